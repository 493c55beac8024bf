//! The page that Prometheus reads. Every name stands here, once; units follow Prometheus' conventions.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::count::Histogram;
use super::journal::journal;
use super::writer::Writer;
use super::{COUNTED, Count, FREE_UNITS, MONEY, OfModel, OfUpstream};
use crate::gateway::Gateway;
use crate::gateway::observe::Outcome;
use crate::gateway::refusal::Code;
use crate::gateway::server::fault::Fault;
use crate::telemetry;
use crate::usage::{Meter, Unit};

/// What the page is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Renders everything, as it is now.
pub fn render(gateway: &Arc<Gateway>) -> Result<String, fmt::Error> {
    gateway.metrics.offer(&gateway.catalog());
    let mut registry = Registry::with_prefix("tollgate");
    registry.register_collector(Box::new(Scrape(Arc::clone(gateway))));
    let mut page = String::with_capacity(16 * 1024);
    text::encode(&mut page, &registry)?;
    Ok(page)
}

/// One reading of a gateway.
struct Scrape(Arc<Gateway>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Writer(encoder);
        requests(&self.0, &mut page)?;
        models(&self.0, &mut page)?;
        upstreams(&self.0, &mut page)?;
        ledger(&self.0, &mut page)?;
        process(&self.0, &mut page)
    }
}

fn requests(gateway: &Gateway, page: &mut Writer<'_>) -> fmt::Result {
    let metrics = &gateway.metrics;
    page.counters(
        "requests",
        "Requests that ended, by the path without /v1 and the status sent; 499: the client had gone, 503 also: the process ended first",
        metrics.requests.all().iter().map(|((endpoint, status), count)| {
            let labels = [("endpoint", (*endpoint).to_owned()), ("status", status.to_string())];
            (labels, count.get())
        }),
    )?;
    page.histograms(
        "request_duration_seconds",
        "From the head of a request to its end; the client's upload and the upstream included",
        metrics
            .durations
            .all()
            .iter()
            .map(|(endpoint, it)| ([("endpoint", *endpoint)], &**it)),
    )?;
    page.counters(
        "refusals",
        "Requests whose client was told of an error of Tollgate's own, by its code",
        Code::ALL
            .iter()
            .zip(&metrics.refusals)
            .map(|(code, count)| ([("code", code.word())], count.get())),
    )?;
    page.histogram(
        "added_latency_seconds",
        "What Tollgate itself took of a charged request: up to the first attempt, and after the upstream's last byte",
        &metrics.added,
    )
}

fn models(gateway: &Gateway, page: &mut Writer<'_>) -> fmt::Result {
    let all = gateway.metrics.models.all();
    let each = || all.iter().map(|(model, it)| (&**model, &**it));
    let of = |count: fn(&OfModel) -> &Count| {
        let row = move |(model, it): (_, _)| ([("model", model)], count(it).get());
        each().map(row)
    };
    page.counters(
        "settled",
        "Charged requests, by model and who counted the usage: exact is the upstream's word",
        each().flat_map(|(model, it)| {
            let pairs = COUNTED.iter().zip(&it.settled);
            pairs.map(move |(word, count)| {
                ([("model", model), ("counted", word.name())], count.get())
            })
        }),
    )?;
    page.counters("uncharged", "Requests that an upstream answered and that cost nothing, since it failed or delivered nothing", of(|it| &it.uncharged))?;
    page.counters(
        "late",
        "Charged requests whose hold had lapsed before",
        of(|it| &it.late),
    )?;
    page.counters(
        "tokens",
        "Tokens consumed, by model and meter; the meters are disjoint",
        each().flat_map(|(model, it)| {
            let meters = Meter::ALL
                .into_iter()
                .filter(|meter| meter.unit() == Unit::Tokens);
            meters.map(move |meter| {
                (
                    [("model", model), ("meter", meter.name())],
                    it.usage[meter as usize].get(),
                )
            })
        }),
    )?;
    page.counters(
        "images",
        "Images delivered",
        of(|it| &it.usage[Meter::Images as usize]),
    )?;
    page.counters(
        "audio_seconds",
        "Seconds of audio",
        of(|it| &it.usage[Meter::Seconds as usize]),
    )?;
    page.counters(
        "characters",
        "Characters of text to be spoken",
        of(|it| &it.usage[Meter::Characters as usize]),
    )?;
    page.counters(
        "free_units",
        "What free quotas covered, by model and unit",
        each().flat_map(|(model, it)| {
            let units = FREE_UNITS.into_iter().zip(&it.free);
            units.map(move |(unit, count)| ([("model", model), ("unit", unit)], count.get()))
        }),
    )?;
    let help = [
        "Money that wallets were charged, in units of the currency",
        "Money that grants of money covered, in units of the currency",
        "Money that requests were worth beyond what could be charged: the operator's",
    ];
    for (index, (name, help)) in MONEY.into_iter().zip(help).enumerate() {
        let currency = &*gateway.currency;
        let rows = each().map(move |(model, it)| {
            (
                [("model", model), ("currency", currency)],
                it.money[index].get(),
            )
        });
        page.money(name, help, rows)?;
    }
    page.histograms(
        "first_byte_seconds",
        "Streams: from the client's last byte to the upstream's first",
        // The largest of a model's rows, and nobody waits for its first: long lists stay short.
        each()
            .filter(|(_, it)| !it.first_byte.is_empty())
            .map(|(model, it)| ([("model", model)], &it.first_byte)),
    )?;
    page.counters(
        "flags",
        "What was odd about charged requests, as their receipts have it",
        gateway
            .metrics
            .flags
            .all()
            .iter()
            .map(|(flag, count)| ([("flag", &**flag)], count.get())),
    )
}

fn upstreams(gateway: &Gateway, page: &mut Writer<'_>) -> fmt::Result {
    let all = gateway.metrics.upstreams.all();
    let each = || all.iter().map(|(upstream, it)| (&**upstream, &**it));
    let of = |histogram: fn(&OfUpstream) -> &Histogram| {
        each().map(move |(upstream, it)| ([("upstream", upstream)], histogram(it)))
    };
    page.counters(
        "upstream_attempts",
        "Attempts at upstreams, by what came of them: a class of status, operator_fault (the upstream refuses the operator's key or account), or why no head came",
        each().flat_map(|(upstream, it)| {
            let outcomes = Outcome::WORDS.into_iter().zip(&it.outcomes);
            outcomes.map(move |(word, count)| {
                ([("upstream", upstream), ("outcome", word)], count.get())
            })
        }),
    )?;
    page.histograms(
        "upstream_head_seconds",
        "From the start of an attempt to the head of its answer",
        of(|it| &it.head),
    )?;
    page.histograms(
        "upstream_answer_seconds",
        "From the first attempt to the last byte of the answer, retries included",
        of(|it| &it.answer),
    )?;
    page.gauges(
        "upstream_endpoints_open",
        "Models that an upstream failed at so often in a row that its other endpoints come first",
        gateway
            .catalog()
            .upstreams
            .open()
            .map(|(upstream, count)| ([("upstream", upstream)], count)),
    )
}

fn ledger(gateway: &Gateway, page: &mut Writer<'_>) -> fmt::Result {
    let stats = gateway.ledger.stats();
    page.gauge(
        "ledger_ready",
        "Whether the ledger takes operations",
        u64::from(gateway.ledger.ready().is_ok()),
    )?;
    page.gauge(
        "holds",
        "Requests of this process whose worst case is reserved now",
        gateway.live.count() as u64,
    )?;
    page.counter(
        "lapses",
        "Holds that ended because their lease ran out",
        stats.lapses,
    )?;
    page.counter(
        "ledger_commits",
        "Transactions of the ledger's store",
        stats.commits,
    )?;
    match &stats.journal {
        Some(stats) => journal(stats, page),
        None => Ok(()),
    }
}

fn process(gateway: &Gateway, page: &mut Writer<'_>) -> fmt::Result {
    let uses = [
        ("requests", &gateway.request_memory),
        ("answers", &gateway.answer_memory),
    ];
    page.gauges(
        "memory_bytes",
        "Bodies in memory, against caps.request_memory_bytes and caps.answer_memory_bytes",
        uses.map(|(what, budget)| ([("of", what)], budget.used())),
    )?;
    page.gauges(
        "memory_limit_bytes",
        "What they may take",
        uses.map(|(what, budget)| ([("of", what)], budget.cap())),
    )?;
    page.gauge(
        "connections",
        "Connections of clients that are open",
        gateway.connections() as u64,
    )?;
    page.gauge(
        "connections_limit",
        "How many may be: caps.connections",
        gateway.caps.connections as u64,
    )?;
    let faults = Fault::WORDS.into_iter().zip(&gateway.metrics.faults);
    page.counters(
        "connection_errors",
        "Connections that ended early, by why: no request (head), too large a head, no head in time, tls, http2, or cut",
        faults.map(|(kind, count)| ([("kind", kind)], count.get())),
    )?;
    page.gauge(
        "draining",
        "Whether the process was told to end",
        u64::from(gateway.draining.is_raised()),
    )?;
    page.counter(
        "log_lines_dropped",
        "Log lines that were lost because stderr was too slow, or could not be written",
        telemetry::dropped(),
    )?;
    page.gauge(
        "start_time_seconds",
        "When the process started, in Unix time",
        u64::try_from(gateway.metrics.started.0 / 1_000).unwrap_or(0),
    )?;
    page.info(
        "build_info",
        "The version of Tollgate",
        [("version", env!("CARGO_PKG_VERSION"))],
    )?;
    let reloads = gateway.current.reloads();
    page.counters(
        "config_reloads",
        "How often a changed config was read, by what came of it",
        [("taken", reloads.taken), ("refused", reloads.refused)]
            .map(|(result, count)| ([("result", result)], count)),
    )?;
    page.gauge(
        "config_is_latest",
        "Whether the config that was read last is the one in use; 0 where it was refused",
        u64::from(reloads.is_latest),
    )?;
    let catalog = gateway.catalog();
    page.info(
        "price_info",
        "The price book in use",
        [
            ("version", &**catalog.prices.version()),
            ("currency", &*gateway.currency),
        ],
    )
}
