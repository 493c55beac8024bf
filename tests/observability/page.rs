//! The page of metrics, read. (That it is what Prometheus reads is shown with Prometheus' own parser, in
//! `tests/clients/test_metrics.py`.)

use std::collections::BTreeMap;

use crate::support::Proxy;

/// Every sample by its name and labels, as they are written.
pub struct Page(BTreeMap<String, String>);

impl Page {
    pub fn of(proxy: &Proxy) -> Page {
        let text = proxy.metrics();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = samples.map(|line| line.rsplit_once(' ').expect("a sample and its value"));
        Page(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// A whole number; 0 where there is no such sample.
    #[track_caller]
    pub fn count(&self, sample: &str) -> u64 {
        let value = self.0.get(sample);
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// A value as it is written.
    #[track_caller]
    pub fn text(&self, sample: &str) -> &str {
        let value = self.0.get(sample);
        value.unwrap_or_else(|| panic!("no {sample} in {:#?}", self.0))
    }

    /// All samples of one name, summed.
    pub fn sum(&self, name: &str) -> u64 {
        let of_name = self
            .0
            .iter()
            .filter(|(sample, _)| sample.split('{').next() == Some(name));
        of_name
            .map(|(_, value)| value.parse::<u64>().expect("a whole number"))
            .sum()
    }

    /// Every label's value.
    pub fn labels(&self) -> Vec<String> {
        let inside = self.0.keys().filter_map(|sample| sample.split_once('{'));
        inside
            .flat_map(|(_, labels)| labels.split('"').skip(1).step_by(2))
            .map(str::to_owned)
            .collect()
    }
}
