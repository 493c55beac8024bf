//! What a schedule's requests ask for and come to: many of them exactly what is there, a unit less or a unit more.

use tollgate::clock::UnixMs;
use tollgate::ledger::grant::GrantUnit;
use tollgate::ledger::hold::{Charge, FreeUnits, Hold, IdempotencyClaim, Quote};
use tollgate::ledger::id::RequestId;
use tollgate::ledger::limit::{Ask, CounterAsk, Window};
use tollgate::ledger::wallet::WalletView;
use tollgate::price::Segment;
use tollgate::usage::{Counted, Meter, Usage};

use super::op::Op;
use super::schedule::{Past, Scale, Schedule};
use crate::kit::{self, DAY_MS, EXACT, HOUR_MS, MINUTE, SECOND_MS, counter, id, nano, period};
use crate::kit::{request, segment, signed};
use crate::reference::Reference;

const MODELS: [&str; 2] = ["a", "b"];
/// Whatever a client may send in a header, and what a store's own syntax might trip over.
const TOKENS: [&str; 3] = ["0", "ключ|{1}:\"'", "a b\\c%"];

impl Schedule {
    pub fn hold(&mut self, book: &Reference, now: UnixMs, place: usize) -> Op {
        if self.dice.percent(8)
            && let Some(past) = self.known(now)
        {
            return Op::Hold(past.quote);
        }
        let view = self.view(book, place);
        Op::Hold(self.quote(&view, now, place))
    }

    /// A plain quote of one wallet.
    pub fn blank(&mut self, place: usize, request: RequestId) -> Quote {
        let number = 2 * place + usize::try_from(self.dice.below(2)).expect("two");
        let key = &self.keys[number].0;
        Quote {
            request,
            wallet: key.wallet.clone(),
            key: key.id.clone(),
            key_revision: key.revision,
            model: self.dice.one(&MODELS).into(),
            ..kit::quote(0, &[segment(Meter::Output, 1, 1)])
        }
    }

    fn quote(&mut self, view: &WalletView, now: UnixMs, place: usize) -> Quote {
        self.next += 1;
        let mut quote = self.blank(place, request(self.next));
        quote.segments = self.segments(view);
        quote.counters = self.counters(&quote, view, now);
        quote.lease_ms = self.lease_ms();
        if self.dice.percent(10) {
            quote.aliases = [self.dice.one(&MODELS).into()].into();
        }
        if self.dice.percent(25) {
            quote.idempotency = Some(IdempotencyClaim {
                token: self.dice.one(&TOKENS).into(),
                body: [u8::from(self.dice.percent(20)); 32],
            });
        }
        match self.dice.below(40) {
            0 => quote.key_revision += 1,
            1 => quote.key = id("no-key"),
            2 => quote.key = self.keys[(2 * place + 2) % 4].0.id.clone(),
            _ => {}
        }
        quote
    }

    fn segments(&mut self, view: &WalletView) -> Vec<Segment> {
        use Meter::{CachedInput, Images, Input, Output, Requests, Seconds};
        if self.dice.percent(25) {
            return self.exactly(view.available.get().unsigned_abs());
        }
        if self.scale == Scale::Large && self.dice.percent(60) {
            return self.large_segments();
        }
        let meters: &[Meter] = match self.dice.below(7) {
            0 => &[Images],
            1 => &[Input, Images],
            2 => &[Input, Output, Images, Seconds],
            3 => &[CachedInput, Input, Output, Requests],
            _ => &[Input, Output],
        };
        let clamps = self.dice.percent(40);
        let one = |meter: &Meter| {
            let price = signed(self.dice.below(5));
            let mut segment = segment(*meter, self.dice.below(12), price);
            if clamps && self.dice.percent(60) {
                segment.count_min = self.dice.below(segment.count + 1);
            }
            segment
        };
        meters.iter().map(one).collect()
    }

    /// What costs as much as is there, a nano less or a nano more.
    fn exactly(&mut self, there: u64) -> Vec<Segment> {
        let cost = self.dice.around(there).min(EXACT);
        // Grants cover tokens, but no seconds.
        let meter = self
            .dice
            .one(&[Meter::Seconds, Meter::Seconds, Meter::Output]);
        let mut segments = match self.dice.below(4) {
            0 => vec![segment(meter, 1, signed(cost))],
            1 => vec![
                segment(Meter::Input, cost / 2, 1),
                segment(meter, cost - cost / 2, 1),
            ],
            2 => vec![
                segment(meter, cost / 7, 7),
                segment(Meter::Seconds, cost % 7, 1),
            ],
            _ => vec![segment(meter, cost, 1)],
        };
        if self.dice.percent(30) {
            let last = segments.last_mut().expect("there is one");
            last.count_min = self.dice.below(last.count + 1);
        }
        segments
    }

    /// Counts and prices at the end of what is exact, together or alone.
    fn large_segments(&mut self) -> Vec<Segment> {
        let bits = self.dice.below(54);
        let count = 1 + self.dice.below(1 << bits);
        let most = self.dice.around(EXACT / count);
        let share = self.dice.one(&[1, 1, 2, 3]);
        let mut priced = segment(Meter::Output, count, signed(most / share));
        if self.dice.percent(40) {
            priced.count_min = self.dice.below(count + 1);
        }
        let mut segments = vec![priced];
        match self.dice.below(5) {
            0 => segments.insert(0, segment(Meter::Input, self.dice.edge(), 0)),
            1 => segments.push(segment(Meter::Output, self.dice.edge(), 1)),
            2 => segments.push(segment(
                Meter::Images,
                self.dice.below(9),
                signed(EXACT / 2),
            )),
            3 => segments.insert(0, segment(Meter::Input, 1, self.dice.signed_edge())),
            _ => {}
        }
        segments
    }

    fn counters(&mut self, quote: &Quote, view: &WalletView, now: UnixMs) -> Vec<CounterAsk> {
        let mut asks = Vec::new();
        for kind in 0..8 {
            if self.dice.percent(30) {
                let ask = self.counter(kind, quote, now);
                asks.push(self.sharpened(ask, quote, view));
            }
        }
        if let Some(first) = asks.first().cloned()
            && self.dice.percent(5)
        {
            asks.push(first);
        }
        asks
    }

    fn counter(&mut self, kind: u64, quote: &Quote, now: UnixMs) -> CounterAsk {
        // Now and then the proxy's idea of the time is a little old.
        let old = if self.dice.percent(2) { SECOND_MS } else { 0 };
        let now = UnixMs(now.0 - signed(old));
        let bucket = match self.dice.below(50) {
            0 => Window::Bucket {
                refill_ms: Window::REFILL_MS_MAX + 1,
            },
            1 => Window::Bucket {
                refill_ms: Window::REFILL_MS_MAX,
            },
            2 => Window::Bucket { refill_ms: 0 },
            3..10 => Window::Bucket { refill_ms: 20 },
            _ => MINUTE,
        };
        let length = self.dice.one(&[SECOND_MS, HOUR_MS, DAY_MS]);
        let windows = [
            Window::Total,
            bucket,
            Window::Concurrent,
            period(now, length),
        ];
        let (name, window, ask, cap) = match kind {
            0 => ("spend", Window::Total, Ask::Money, 150),
            1 => ("tokens", Window::Total, Ask::Fixed(self.dice.below(9)), 90),
            2 => ("period-spend", period(now, length), Ask::Money, 45),
            3 => ("period-count", period(now, length), Ask::Fixed(1), 6),
            4 => ("rate", bucket, Ask::Fixed(self.dice.below(12)), 8),
            5 => ("money-rate", bucket, Ask::Money, 60),
            6 => ("parallel", Window::Concurrent, Ask::Fixed(1), 4),
            _ => ("any", self.dice.one(&windows), Ask::Fixed(1), 3),
        };
        let key = match window {
            Window::Period { start, .. } => format!("{}/{name}/{}", quote.key, start.0),
            _ => format!("{}/{name}", quote.key),
        };
        counter(&key, ask, cap, window)
    }

    /// The ask with another cap or amount: large, or just what the counter has room for.
    fn sharpened(&mut self, ask: CounterAsk, quote: &Quote, view: &WalletView) -> CounterAsk {
        let mut ask = ask;
        let large = self.scale == Scale::Large && self.dice.percent(60);
        if large {
            ask.cap = self.dice.edge();
            if matches!(ask.ask, Ask::Fixed(_)) && self.dice.percent(50) {
                ask.ask = Ask::Fixed(self.dice.edge());
            }
        } else if self.dice.percent(10) {
            ask.cap = self.dice.below(5);
        }
        let taken = view.counters.iter().find(|seen| *seen.key == *ask.key);
        let taken = taken.map_or(0, |seen| seen.used.saturating_add(seen.held));
        match (self.dice.below(4), ask.ask) {
            (0, Ask::Fixed(_)) => {
                ask.ask = Ask::Fixed(self.dice.around(ask.cap.saturating_sub(taken)));
            }
            (0, Ask::Money) => {
                let cost = |segment: &Segment| {
                    let product = segment.unit_price.checked_mul(segment.count);
                    product.map_or(0, |product| product.get().unsigned_abs())
                };
                let costs = quote.segments.iter().map(cost);
                let cost = costs.fold(0, u64::saturating_add);
                ask.cap = self.dice.around(taken.saturating_add(cost));
            }
            (1, Ask::Fixed(amount)) => ask.cap = self.dice.around(taken.saturating_add(amount)),
            _ => {}
        }
        ask
    }

    pub fn charge(&mut self, past: &Past) -> Charge {
        let counters = past.quote.counters.len();
        let mut charge = kit::charge(0);
        if let Some(hold) = &past.hold {
            let (free, most) = self.used_up(hold);
            charge.free = free;
            charge.priced = nano(self.priced(most));
        }
        let named = if self.dice.percent(5) {
            counters / 2
        } else {
            counters
        };
        charge.counters = (0..named).map(|_| self.count()).collect();
        charge.usage = Usage::NONE
            .with(Meter::Input, self.count())
            .with(Meter::Output, self.count())
            .with(Meter::Images, self.dice.below(2));
        charge.counted = self
            .dice
            .one(&[Counted::Exact, Counted::Estimated, Counted::Partial]);
        charge
            .detail
            .flags
            .truncate(usize::from(self.dice.percent(20)));
        charge
    }

    fn count(&mut self) -> u64 {
        match self.scale {
            Scale::Large if self.dice.percent(40) => self.dice.edge(),
            _ => self.dice.below(14),
        }
    }

    /// Some of the units that the hold took, and the most that it can pay for.
    fn used_up(&mut self, hold: &Hold) -> (FreeUnits, u64) {
        let mut free = FreeUnits::default();
        let mut most = hold.money.get().unsigned_abs();
        for take in &hold.taken {
            let all = self.dice.percent(40);
            let some = self.dice.below(take.units.saturating_add(1));
            let units = if all { take.units } else { some };
            match take.unit {
                GrantUnit::Tokens => free.tokens += units,
                GrantUnit::Images => free.images += units,
                GrantUnit::Requests => free.requests += take.units,
                GrantUnit::Money => most = most.saturating_add(take.units),
            }
        }
        (free, most)
    }

    fn priced(&mut self, most: u64) -> i64 {
        let most = most.min(i64::MAX.unsigned_abs());
        match self.dice.below(20) {
            0 if self.scale == Scale::Large => self.dice.signed_edge(),
            1 => -1,
            0..8 => signed(most.min(1 << 62) + self.dice.below(3)) - 1,
            8..10 => signed(most.min(1 << 62) + self.dice.below(30)),
            _ => signed(self.dice.below(most + 1)),
        }
    }
}
