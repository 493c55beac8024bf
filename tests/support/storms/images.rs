//! Storms on the last coin: money for exactly so many images.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::crowd::{Tally, Visit, Watch, money, outcomes, storm, with_status};
use super::super::dice::{Dice, rounds, seed};
use super::super::prices::{IMAGE, image_body};
use super::super::{Answer, Call, Fleet, Proxy, decimal};
use super::IMAGES;

const CLIENTS: u64 = 500;

/// What a round gives a wallet, and how its clients behave.
struct Round {
    name: String,
    images: i64,
    /// Money that is left when all images are paid; less than one costs.
    rest: i64,
    /// The money is a credit line instead of a balance.
    postpaid: bool,
    /// Some upstream answers fail, and clients try again while others' holds are in the way.
    faults: bool,
}

impl Round {
    fn draw(dice: &mut Dice, round: u64, seed: u64) -> Round {
        Round {
            name: format!("images-{seed}-{round}"),
            images: dice.within(1, 40) as i64,
            rest: dice.within(0, IMAGE as u64 - 1) as i64,
            postpaid: round % 3 == 2,
            faults: round % 3 == 1,
        }
    }

    fn funds(&self) -> i64 {
        self.images * IMAGE + self.rest
    }

    fn credit_line(&self) -> i64 {
        if self.postpaid { self.funds() } else { 0 }
    }

    fn visits(&self, dice: &mut Dice, secret: &str) -> Vec<Visit> {
        let visit = |_| {
            let delay = dice.within(0, 40);
            let mut call = Call::post(IMAGES, image_body())
                .key(secret)
                .header("x-mock-delay-ms", delay);
            if self.faults && dice.percent(20) {
                let fault = ["status=500", "cut-before"][dice.within(0, 1) as usize];
                call = call.header("x-mock-fault", fault);
            }
            Visit {
                retry: self.faults,
                ..Visit::new(call)
            }
        };
        (0..CLIENTS).map(visit).collect()
    }
}

/// Money for exactly `n` images buys exactly `n`, whoever asks first and wherever.
pub fn images(fleet: &Fleet) {
    let seed = seed("images");
    let (rounds, mut tally) = (rounds(5, 50), Tally::default());
    for round in 0..rounds {
        let dice = &mut Dice::new(seed.wrapping_add(round));
        let round = Round::draw(dice, round, seed);
        one_round(fleet, &round, dice, &mut tally);
    }
    let report = fleet.first().audit();
    assert_eq!(report["live_holds"], 0, "seed {seed}: {report}");
    tally.close(
        &format!("images, seed {seed}, {rounds} rounds of {CLIENTS}"),
        &["200", "402 insufficient_quota", "429 balance_held"],
    );
}

fn one_round(fleet: &Fleet, round: &Round, dice: &mut Dice, tally: &mut Tally) {
    let (name, mock, proxy) = (&round.name, &fleet.mock, fleet.first());
    let wish = match round.postpaid {
        true => json!({ "name": name, "credit_line": decimal(round.funds()) }),
        false => json!({ "name": name, "balance": decimal(round.funds()) }),
    };
    let (secret, _) = proxy.create_key(&wish);
    mock.reset();
    let watch = Watch {
        wallet: name.clone(),
        credit_line: round.credit_line(),
        cap: None,
    };
    let visits = round.visits(dice, &secret);
    let seen = storm(&fleet.proxies, &visits, &watch, name);
    tally.add(&seen);
    let counts = outcomes(&seen);

    let allowed = [
        "200",
        "402 insufficient_quota",
        "429 balance_held",
        "500 mock_fault",
        "502 upstream_unavailable",
    ];
    assert!(
        counts.keys().all(|outcome| allowed.contains(&&**outcome)),
        "{name}: {counts:?}"
    );
    let served: Vec<&Answer> = with_status(&seen, 200).collect();
    assert_eq!(served.len() as i64, round.images, "{name}: {counts:?}");
    let wallet = proxy.idle_wallet(name);
    let left = round.funds() - round.images * IMAGE - round.credit_line();
    assert_eq!(money(&wallet, "balance"), left, "{name}: {wallet}");
    assert_eq!(money(&wallet, "held"), 0, "{name}: {wallet}");
    assert_eq!(money(&wallet, "shortfall"), 0, "{name}: {wallet}");
    let totals = mock.totals();
    assert_eq!(
        totals["images_delivered"], round.images,
        "{name}: the upstream counts {totals}"
    );
    charged_once_each(proxy, name, &served);
    for proxy in &fleet.proxies {
        let last = Call::post(IMAGES, image_body());
        let refused = proxy.send(&secret, last);
        assert_eq!(refused.status, 402, "{name}: {refused:?}");
        assert_eq!(refused.header("x-should-retry"), "false", "{name}");
    }
}

/// Every answer has its own receipt over one image, and there are no others.
fn charged_once_each(proxy: &Proxy, wallet: &str, served: &[&Answer]) {
    let ids: BTreeSet<&str> = served
        .iter()
        .map(|answer| answer.header("x-tollgate-request-id"))
        .collect();
    let receipts = proxy.receipts(wallet);
    let booked: BTreeSet<&str> = receipts
        .iter()
        .map(|receipt| receipt["request_id"].as_str().expect("an id"))
        .collect();
    assert_eq!((receipts.len(), &booked), (served.len(), &ids), "{wallet}");
    for answer in served {
        assert_eq!(answer.header("x-tollgate-cost"), decimal(IMAGE), "{wallet}");
    }
    for receipt in &receipts {
        assert_eq!(money(receipt, "cost"), IMAGE, "{wallet}: {receipt}");
    }
}
