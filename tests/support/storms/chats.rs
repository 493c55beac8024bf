//! Storms of chats, whose cost is known only afterwards: the worst case decides who is admitted.

use serde_json::json;

use super::super::crowd::{Seen, Tally, Visit, Watch, money, outcomes, storm};
use super::super::dice::{Dice, rounds, seed};
use super::super::prices::{self, chat_body, chat_worst, input_worst};
use super::super::{Call, Fleet, decimal, nano, until};
use super::CHATS;

const CLIENTS: usize = 500;

/// One client's request, and its worst case in nano units.
struct Asked {
    visit: Visit,
    worst: i64,
}

/// A chat of random size, usage, pace and fate.
fn asked(dice: &mut Dice, secret: &str) -> Asked {
    let (max_tokens, stream) = (dice.within(1, 200) as i64, dice.percent(50));
    let body = chat_body(dice.within(0, 300), max_tokens, stream);
    let worst = chat_worst(&body, max_tokens);
    let mut prompt = dice.within(1, input_worst(&body) as u64);
    if dice.percent(3) {
        // An upstream that reports more than can be: the difference is the operator's.
        prompt += 3_000;
    }
    let completion = dice.within(1, max_tokens as u64);
    let mut call = Call::post(CHATS, body)
        .key(secret)
        .header("x-mock-prompt", prompt)
        .header("x-mock-completion", completion)
        .header("x-mock-delay-ms", dice.within(0, 30));
    let mut leave_after = None;
    match dice.within(1, 100) {
        1..=10 => call = call.header("x-mock-fault", "no-usage"),
        11..=15 => call = call.header("x-mock-fault", "status=500"),
        16..=20 => call = call.header("x-mock-fault", "cut-before"),
        21..=25 if stream => {
            let fault = format!("cut-after={}", dice.within(0, completion));
            call = call.header("x-mock-fault", fault);
        }
        26..=35 => leave_after = Some(dice.within(0, 400) as usize),
        _ => {}
    }
    let visit = Visit {
        leave_after,
        ..Visit::new(call)
    };
    Asked { visit, worst }
}

/// Charges stay within the funds, and the worst case decides who is admitted.
pub fn chats(fleet: &Fleet) {
    let seed = seed("chats");
    let (rounds, mut tally) = (rounds(5, 50), Tally::default());
    for round in 0..rounds {
        let dice = &mut Dice::new(seed.wrapping_add(round));
        let name = format!("chats-{seed}-{round}");
        // Evenly spread, so that few rounds have poor wallets among them and rich ones.
        let magnitude = 18 + seed.wrapping_add(5 * round) % 13;
        one_round(fleet, &name, round, magnitude, dice, &mut tally);
    }
    fleet.mock.totals();
    let report = fleet.first().audit();
    assert_eq!(report["live_holds"], 0, "seed {seed}: {report}");
    tally.close(
        &format!("chats, seed {seed}, {rounds} rounds of {CLIENTS}"),
        &["200", "402 insufficient_quota", "429 balance_held", "left"],
    );
}

fn one_round(
    fleet: &Fleet,
    name: &str,
    round: u64,
    magnitude: u64,
    dice: &mut Dice,
    tally: &mut Tally,
) {
    let proxy = fleet.first();
    // From less than one worst case to most of them.
    let funds = dice.within(0, 1 << magnitude) as i64;
    let credit_line = if round % 2 == 1 { funds / 2 } else { 0 };
    let balance = funds - credit_line;
    let (secret, _) = proxy.create_key(&json!({
        "name": name, "balance": decimal(balance), "credit_line": decimal(credit_line),
    }));
    let watch = Watch {
        wallet: name.to_owned(),
        credit_line,
        cap: None,
    };
    let asked: Vec<Asked> = (0..CLIENTS).map(|_| asked(dice, &secret)).collect();
    let visits: Vec<Visit> = asked.iter().map(|asked| asked.visit.clone()).collect();
    let seen = storm(&fleet.proxies, &visits, &watch, name);
    tally.add(&seen);
    let counts = outcomes(&seen);

    let wallet = proxy.idle_wallet(name);
    let rest = money(&wallet, "balance") + credit_line;
    let charged = money(&wallet, "charged");
    assert_eq!(rest, funds - charged, "{name}: {wallet}");
    assert!(rest >= 0, "{name}: below the floor: {wallet}");
    assert_eq!(money(&wallet, "held"), 0, "{name}: {wallet}");
    let receipts = proxy.receipts(name);
    let sum: i64 = receipts.iter().map(|receipt| money(receipt, "cost")).sum();
    assert_eq!(sum, charged, "{name}: the receipts come to something else");
    for receipt in &receipts {
        let (priced, held) = (money(receipt, "priced"), money(receipt, "hold"));
        assert_eq!(
            money(receipt, "cost"),
            priced.min(held),
            "{name}: {receipt}"
        );
    }
    for (asked, seen) in asked.iter().zip(&seen) {
        let Seen::Answered(answer) = seen else {
            continue;
        };
        let held = answer.headers.get("x-tollgate-hold").map(nano);
        match answer.status {
            200 => assert_eq!(
                held,
                Some(asked.worst),
                "{name}: the hold is the worst case"
            ),
            402 => assert!(
                asked.worst > rest,
                "{name}: {} fits into {rest}, but was refused for good: {answer:?}",
                asked.worst
            ),
            _ => assert!(
                [429, 500, 502].contains(&answer.status),
                "{name}: {counts:?}"
            ),
        }
    }
    boundary(fleet, name, &secret, credit_line, dice);
}

/// One more request is admitted if and only if its worst case fits: as the wallet stands, with one nano unit less than
/// that, and with exactly that.
pub fn boundary(fleet: &Fleet, name: &str, secret: &str, credit_line: i64, dice: &mut Dice) {
    let max_tokens = dice.within(1, 4_096) as i64;
    let body = chat_body(dice.within(0, 900), max_tokens, false);
    let worst = chat_worst(&body, max_tokens);
    let rest = || money(&fleet.first().idle_wallet(name), "balance") + credit_line;
    // Each through another proxy than the one before.
    let turn = dice.within(0, 2) as usize;
    let send = |number: usize| {
        let call = Call::post(CHATS, body.clone()).header("x-mock-completion", 1);
        let call = call.header("x-mock-prompt", 1);
        let proxy = fleet.at(turn + number);
        until("the ledger's store", || {
            let answer = proxy.send(secret, call.clone());
            if answer.status == 503 {
                // What it held all the same is released.
                proxy.idle_wallet(name);
                return None;
            }
            Some(answer)
        })
    };
    let before = rest();
    let answer = send(0);
    let admitted = answer.status == 200;
    assert_eq!(admitted, worst <= before, "{name}: {worst} of {before}");

    let one_less = worst - 1 - rest();
    if one_less != 0 {
        let credit = json!({
            "id": format!("{name}:less"), "kind": "adjustment", "amount": decimal(one_less),
        });
        let path = format!("/admin/wallets/{name}/credits");
        let (status, body) = fleet.at(turn + 2).admin("POST", &path, Some(&credit));
        assert_eq!(status, 201, "{name}: {body}");
    }
    let answer = send(1);
    assert_eq!(answer.status, 402, "{name}: one nano unit is missing");
    assert_eq!(rest(), worst - 1, "{name}: a refusal charges nothing");
    fleet
        .at(turn)
        .top_up(name, &format!("{name}:one"), "0.000000001");
    let answer = send(2);
    assert_eq!(answer.status, 200, "{name}: exactly enough: {answer:?}");
    assert_eq!(nano(answer.header("x-tollgate-hold")), worst, "{name}");
    assert_eq!(rest(), worst - prices::chat(1, 1), "{name}");
}
