//! What a random schedule asks for.

use super::fixture::{counter, grant, id, models, request, segment};
use super::model::Past;
use super::schedule::{Run, START, signed};
use crate::clock::UnixMs;
use crate::ledger::grant::{Grant, GrantUnit};
use crate::ledger::hold::{Charge, FreeUnits, IdempotencyClaim, Quote};
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::ledger::receipt::Detail;
use crate::money::Nano;
use crate::price::Segment;
use crate::usage::{Counted, Meter, Usage};

const MODELS: [&str; 2] = ["a", "b"];

/// Numbers from a seed (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.below(u64::try_from(from.len()).expect("short"));
        from.get(usize::try_from(place).expect("short"))
    }
}

impl Run {
    pub(super) fn grant(&mut self, number: u64) -> Grant {
        use GrantUnit::{Images, Money, Requests, Tokens};
        let units = [Tokens, Tokens, Images, Money, Requests];
        let unit = *self.dice.pick(&units).expect("there are some");
        let most = if unit == Requests { 3 } else { 40 };
        let mut given = grant(&format!("g{number}"), unit, self.dice.below(most));
        given.models = match self.dice.below(3) {
            0 => models(&["a"]),
            1 => models(&["a", "b"]),
            _ => models(&[]),
        };
        let soon = START.plus(self.dice.below(1500));
        given.expires_at = self.dice.percent(50).then_some(soon);
        given
    }

    /// A request that was made before, preferably a live one.
    pub(super) fn known(&mut self, place: usize) -> Option<Past> {
        let model = &self.models[place];
        let live: Vec<Past> = model.live().cloned().collect();
        let all: Vec<Past> = model.requests.clone();
        let from = if self.dice.percent(70) { live } else { all };
        let request = self.dice.pick(&from)?.quote.request;
        // Of an id that was forgotten and used again, the latest.
        let model = &self.models[place];
        let place = model.find(request);
        let last = || {
            model
                .requests
                .iter()
                .rposition(|ask| ask.quote.request == request)
        };
        place
            .or_else(last)
            .map(|place| model.requests[place].clone())
    }

    pub(super) fn quote(&mut self, place: usize) -> Quote {
        self.next += 1;
        let key = format!("k{place}{}", self.dice.below(2));
        let counters = self.counters(&key);
        let stale = u64::from(self.dice.percent(3));
        let revision = self.models[place].keys[&key].revision + stale;
        let key = if self.dice.percent(1) {
            "k99".to_owned()
        } else {
            key
        };
        let renamed = self.dice.percent(10);
        let claim = IdempotencyClaim {
            token: self.dice.below(3).to_string().into(),
            body: [u8::from(self.dice.percent(10)); 32],
        };
        Quote {
            request: request(self.next),
            wallet: id(&format!("w{place}")),
            key: id(&key),
            key_revision: revision,
            model: (*self.dice.pick(&MODELS).expect("two")).into(),
            aliases: self
                .dice
                .pick(&MODELS)
                .filter(|_| renamed)
                .map(|name| (*name).into())
                .into_iter()
                .collect(),
            price_version: "v".into(),
            segments: self.segments(),
            counters,
            lease_ms: 5 + self.dice.below(300),
            idempotency: self.dice.percent(15).then_some(claim),
        }
    }

    pub(super) fn segments(&mut self) -> Vec<Segment> {
        use Meter::{Images, Input, Output, Seconds};
        let meters: &[Meter] = match self.dice.below(6) {
            0 => &[Images],
            1 => &[Input, Images],
            2 => &[Input, Output, Images, Seconds],
            _ => &[Input, Output],
        };
        let clamps = self.dice.percent(40);
        let one = |meter: &Meter| {
            let mut segment = segment(*meter, self.dice.below(12), signed(self.dice.below(5)));
            if clamps && self.dice.percent(60) {
                segment.count_min = self.dice.below(segment.count + 1);
            }
            segment
        };
        let mut segments: Vec<Segment> = meters.iter().map(one).collect();
        if self.dice.percent(1) {
            // Each is within the range, all together are beyond.
            segments.extend([segment(Output, 1 << 26, 1 << 26); 2]);
        }
        segments
    }

    pub(super) fn counters(&mut self, key: &str) -> Vec<CounterAsk> {
        let start = UnixMs(self.now.0 - self.now.0.rem_euclid(500));
        // Now and then the proxy's idea of the time is a little old.
        let start = UnixMs(start.0 - if self.dice.percent(2) { 500 } else { 0 });
        let period = Window::Period {
            start,
            end: start.plus(500),
        };
        let slow = self.dice.percent(1);
        let refill_ms = if slow { 9_000_001 } else { 20 };
        let bucket = Window::Bucket { refill_ms };
        let rate = [0, 3, 8, 8, 8, 8, 8, 8][usize::try_from(self.dice.below(8)).expect("few")];
        let (tokens, images) = (self.dice.below(9), self.dice.below(12));
        let all = [
            counter(&format!("{key}/spend"), Ask::Money, 150, Window::Total),
            counter(
                &format!("{key}/tokens"),
                Ask::Fixed(tokens),
                90,
                Window::Total,
            ),
            counter(&format!("{key}/day/{start}"), Ask::Money, 45, period),
            counter(&format!("{key}/count/{start}"), Ask::Fixed(1), 6, period),
            counter(&format!("{key}/rate"), Ask::Fixed(images), rate, bucket),
            counter(&format!("{key}/money-rate"), Ask::Money, 60, bucket),
            counter(
                &format!("{key}/parallel"),
                Ask::Fixed(1),
                4,
                Window::Concurrent,
            ),
        ];
        all.into_iter().filter(|_| self.dice.percent(35)).collect()
    }

    pub(super) fn charge(&mut self, ask: &Past) -> Charge {
        let mut free = FreeUnits::default();
        let mut most = ask.worst.money;
        for (_, unit, units) in &ask.worst.taken {
            match unit {
                GrantUnit::Tokens => free.tokens += self.dice.below(units + 1),
                GrantUnit::Images => free.images += self.dice.below(units + 1),
                GrantUnit::Requests => free.requests += units,
                GrantUnit::Money => most += units,
            }
        }
        let beyond = if self.dice.percent(15) { 30 } else { 1 };
        let full = self.dice.percent(30);
        let priced = if full {
            most
        } else {
            self.dice.below(most + beyond)
        };
        let counters = ask.quote.counters.iter();
        Charge {
            usage: Usage::NONE,
            counted: Counted::Exact,
            priced: Nano::new(signed(priced)),
            free,
            counters: counters.map(|_| self.dice.below(14)).collect(),
            detail: Detail::default(),
        }
    }
}
