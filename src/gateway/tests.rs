//! No charge of an honest upstream exceeds its hold: from the bytes of a request to the charge of its answer, for
//! rows, requests and answers of every kind.

mod answers;
mod bodies;
mod desk;
mod dice;
mod honest;
mod json;
mod row;
mod seen;
mod spent;

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};

use super::asked::Asked;
use super::conclude::End;
use super::reservation::is_input;
use super::service::Service;
use crate::ledger::key::OnShort;
use crate::ledger::receipt::Receipt;
use crate::money::Nano;
use crate::price::Segment;
use crate::usage::{Counted, Meter, Unit};
use answers::Told;
use bodies::Body;
use desk::Desk;
use dice::Dice;
use honest::most;
use row::Row;
use seen::Seen;
use spent::Spent;

const CASES: u32 = 5_000;
const SERVICES: [Service; 11] = [
    Service::Chat,
    Service::Responses,
    Service::Messages,
    Service::Completions,
    Service::Images,
    Service::ImageEdits,
    Service::Embeddings,
    Service::Rerank,
    Service::Speech,
    Service::Transcriptions,
    Service::Moderations,
];

/// As the config has it by default.
const JSON_DEPTH: usize = 64;

#[test]
fn no_charge_of_an_honest_upstream_exceeds_its_hold() {
    let (desk, seen) = (Desk::new(), RefCell::new(Seen::default()));
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    };
    let draws = |most| vec(any::<u32>(), 0..=most);
    let lists = (
        vec(any::<u32>(), 70..=70),
        draws(300),
        vec(any::<u32>(), 60..=60),
        0..SERVICES.len(),
    );
    let mut runner = TestRunner::new(config);
    let ran = runner.run(&lists, |(row, body, answer, service)| {
        let exchange = Exchange {
            desk: &desk,
            seen: &seen,
            service: SERVICES[service],
            row: Row::draw(SERVICES[service], &mut Dice::new(&row)),
        };
        exchange.run(&mut Dice::new(&body), &mut Dice::new(&answer))
    });
    // The numbers that it was drawn from would say nothing.
    match ran {
        Ok(()) => seen.into_inner().covers(CASES),
        Err(TestError::Fail(why, _)) => panic!("{why}"),
        Err(TestError::Abort(why)) => panic!("gave up: {why}"),
    }
}

/// One request and its answer.
struct Exchange<'t> {
    desk: &'t Desk,
    seen: &'t RefCell<Seen>,
    service: Service,
    row: Row,
}

impl Exchange<'_> {
    fn note(&self, what: &'static str) {
        self.seen.borrow_mut().note(self.service, what);
    }

    fn run(&self, body: &mut Dice<'_>, dice: &mut Dice<'_>) -> Result<(), TestCaseError> {
        let model = self.row.model();
        let Body { headers, bytes } = bodies::body(self.service, body);
        let multiplier = dice.pick(&["1", "0.8", "1.5", "0"]);
        let on_short = dice.pick(&[OnShort::Refuse, OnShort::Refuse, OnShort::Clamp]);
        let key = self
            .desk
            .key(multiplier.parse().expect("a factor"), on_short);
        let asked = Asked::read(self.service, &headers, &bytes, JSON_DEPTH);
        let quoted = asked.ok().and_then(|asked| {
            let quoted = self.desk.quote(&asked, &model, &key)?;
            Some((asked, quoted))
        });
        let Some((asked, (terms, segments))) = quoted else {
            self.note("refused");
            return Ok(());
        };
        self.note("held");
        // All that is needed, or as little as the key is content with.
        let (full, least) = (
            money(&segments, |part| part.count),
            money(&segments, |part| part.count_min),
        );
        let short = u64::try_from(full - least).expect("more");
        let funds = Nano::new(full - i64::try_from(dice.up_to(short)).expect("less"));
        let job = self
            .desk
            .hold((&asked, &bytes), &model, (terms, segments), &key, funds);
        let clamp = asked.clamp(&job.reservation);
        if clamp.is_some() {
            self.note("clamped");
        }
        let strips = asked.asks_usage_unasked();
        let forwarded = asked.edited(&bytes, None, strips, clamp, &model);
        let forwarded = honest::read(self.service, &forwarded.expect("edits"));
        let most = match most(self.service, &forwarded, &self.row) {
            Ok(most) => most,
            Err(why) => {
                return Err(TestCaseError::fail(format!(
                    "held, though {why}: {forwarded}"
                )));
            }
        };
        let spent = Spent::draw(self.service, &most, dice);
        let told = Told {
            service: self.service,
            most: &most,
            spent: &spent,
            has_usage: !dice.one_in(4) && (self.service != Service::Speech || most.is_stream),
        };
        let context = || format!("{:?}\n{forwarded}\n{most:?}\n{spent:?}", self.row);
        prop_assert!(
            !most.is_stream || most.asks_usage || !self.service.has_stream_options(),
            "{}",
            context()
        );
        let bounds = Bounds {
            money: job.reservation.hold.money,
            input: job.reservation.bound(is_input),
            output: job.reservation.bound(Meter::is_output),
            images: job.reservation.bound(|meter| meter == Meter::Images),
        };
        let answer = told.write(dice);
        let receipt = match dice.below(4) {
            0 if !told.has_usage => {
                self.note("abandoned");
                self.desk.abandon(job)
            }
            1 if !told.has_usage => {
                let end = dice.pick(&[End::ClientGone, End::UpstreamCut]);
                self.desk.conclude(job, answer, strips, Some(end), dice)
            }
            _ => self.desk.conclude(job, answer, strips, None, dice),
        };
        match receipt {
            None => {
                self.note("uncharged");
                let is_nothing = most.images > 0 && spent.images == 0;
                prop_assert!(is_nothing || !told.has_usage, "{}", context());
            }
            Some(receipt) => {
                self.within(&receipt, &bounds, &context)?;
                self.exact(&receipt, &told, &context)?;
            }
        }
        Ok(())
    }

    /// Nothing that was held is passed, neither money nor counts.
    fn within(
        &self,
        receipt: &Receipt,
        held: &Bounds,
        context: &impl Fn() -> String,
    ) -> Result<(), TestCaseError> {
        let usage = &receipt.usage;
        prop_assert!(
            receipt.priced <= held.money,
            "{} > {}: {}",
            receipt.priced,
            held.money,
            context()
        );
        prop_assert_eq!(receipt.charged, receipt.priced);
        let side = |covers: fn(Meter) -> bool| {
            let counts = usage.iter().filter(|(meter, _)| covers(*meter));
            counts.map(|(_, count)| count).sum::<u64>()
        };
        let (input, output) = (side(is_input), side(Meter::is_output));
        prop_assert!(
            input <= held.input,
            "{} > {} read: {}",
            input,
            held.input,
            context()
        );
        prop_assert!(
            output <= held.output,
            "{} > {} written: {}",
            output,
            held.output,
            context()
        );
        prop_assert!(usage.total(Unit::Images) <= held.images, "{}", context());
        for odd in ["over_bound", "unpriced_meter", "usage_unbelievable"] {
            let is_flagged = receipt.detail.flags.iter().any(|flag| &**flag == odd);
            prop_assert!(!is_flagged, "{odd}: {}", context());
        }
        if receipt.detail.pricing.above_input_tokens.is_some() {
            self.note("in a tier");
        }
        if receipt.priced == held.money && !held.money.is_zero() {
            self.note("charged to the last nano");
        }
        Ok(())
    }

    /// What the upstream reports is believed to the last token.
    fn exact(
        &self,
        receipt: &Receipt,
        told: &Told<'_>,
        context: &impl Fn() -> String,
    ) -> Result<(), TestCaseError> {
        if !told.has_usage {
            self.note("counted here");
            return Ok(());
        }
        self.note(if told.most.is_stream {
            "reported in a stream"
        } else {
            "reported"
        });
        if told.most.pictures > 0 {
            self.note("with pictures");
        }
        if told.spent.searches > 1 && self.row.counts_requests() {
            self.note("in several units");
        }
        let spent = told.spent.usage(&self.row);
        prop_assert_eq!(receipt.usage, spent, "{}", context());
        prop_assert_eq!(receipt.counted, Counted::Exact, "{}", context());
        Ok(())
    }
}

/// What was held.
struct Bounds {
    money: Nano,
    input: u64,
    output: u64,
    images: u64,
}

/// Money that segments come to where no grant pays.
fn money(segments: &[Segment], count: impl Fn(&Segment) -> u64) -> i64 {
    let cost = |part: &Segment| part.unit_price.get() * i64::try_from(count(part)).expect("few");
    segments.iter().map(cost).sum()
}
