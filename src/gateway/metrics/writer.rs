//! Writes metrics as OpenMetrics text.
//!
//! Counts are exact integers until they are printed. Money is kept in nano units and printed in units of the
//! currency, as a 64-bit float: exact up to nine million, and to 16 digits beyond.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::count::Histogram;
use crate::money::NANO_PER_UNIT;

const MICROS_PER_SECOND: u64 = 1_000_000;
const MILLIS_PER_SECOND: u64 = 1_000;

/// The page as far as it is written. Names come without `tollgate_` and `_total`.
pub struct Writer<'e>(pub DescriptorEncoder<'e>);

impl Writer<'_> {
    /// A counter.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        total(&mut metric, value)
    }

    /// A counter with labels.
    pub fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in rows {
            total(&mut metric.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    /// Counters of nano units, printed in units of the currency.
    pub fn money<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, nano) in rows {
            let units = ratio(nano, NANO_PER_UNIT.unsigned_abs());
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, f64, f64>(&units, None)?;
        }
        Ok(())
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    /// A gauge of milliseconds, printed in seconds.
    pub fn gauge_ms(&mut self, name: &str, help: &str, ms: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&ratio(ms, MILLIS_PER_SECOND))
    }

    /// A gauge with labels.
    pub fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A histogram with labels.
    pub fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in rows {
            buckets(&mut metric.encode_family(&labels)?, histogram)?;
        }
        Ok(())
    }

    /// A histogram.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let histograms = MetricType::Histogram;
        let mut metric = self.0.encode_descriptor(name, help, None, histograms)?;
        buckets(&mut metric, histogram)
    }

    /// What does not change while the process runs, or hardly: labels, with the value 1.
    pub fn info(&mut self, name: &str, help: &str, labels: impl EncodeLabelSet) -> fmt::Result {
        self.gauges(name, help, [(labels, 1)])
    }
}

fn total(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}

fn buckets(metric: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let (counts, sum) = histogram.get();
    let bounds = histogram.bounds.iter().map(|bound| seconds(*bound));
    let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
    metric.encode_histogram::<NoLabelSet>(seconds(sum), counts.iter().sum(), &buckets, None)
}

fn seconds(micros: u64) -> f64 {
    ratio(micros, MICROS_PER_SECOND)
}

#[allow(
    clippy::float_arithmetic,
    reason = "only to be printed: Prometheus reads floats"
)]
fn ratio(count: u64, per: u64) -> f64 {
    count as f64 / per as f64
}
