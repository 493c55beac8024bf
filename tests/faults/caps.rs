//! Storms on free quotas and limits: none is ever passed.

use std::slice::from_ref;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::crowd::{Seen, Tally, Visit, Watch, money, outcomes, storm, with_status};
use crate::support::dice::{Dice, rounds, seed};
use crate::support::prices::{IMAGE, chat_body, image_body, input_worst, setup};
use crate::support::storms::CHATS as CHAT;
use crate::support::{Call, Mock, Proxy, decimal};

const CLIENTS: u64 = 200;
const IMAGES: &str = "/v1/images/generations";
const FREE_IMAGES: i64 = 7;
const FREE_TOKENS: i64 = 30_000;
/// How requests end where money and grants decide.
const FUNDS: &[&str] = &["200", "402 insufficient_quota", "429 balance_held"];

fn start() -> (Mock, Proxy) {
    let mock = Mock::start();
    let setup = setup(&mock)
        .grant(json!({ "name": "images", "unit": "images", "amount": FREE_IMAGES }))
        .grant(json!({ "name": "tokens", "unit": "tokens", "amount": FREE_TOKENS }));
    let proxy = Proxy::start_quiet(&setup);
    (mock, proxy)
}

/// Rounds of one storm, each with a key of its own.
fn each_round(
    test: &str,
    needed: &[&str],
    mut one: impl FnMut(&Mock, &Proxy, &str, &mut Dice) -> Vec<Seen>,
) {
    let seed = seed(test);
    let (mock, proxy) = start();
    let (rounds, mut tally) = (rounds(5, 50), Tally::default());
    for round in 0..rounds {
        mock.reset();
        let name = format!("{test}-{seed}-{round}");
        let dice = &mut Dice::new(seed.wrapping_add(round));
        tally.add(&one(&mock, &proxy, &name, dice));
        let wallet = proxy.idle_wallet(&name);
        assert_eq!(money(&wallet, "held"), 0, "{name}: {wallet}");
    }
    let report = proxy.audit();
    assert_eq!(report["live_holds"], 0, "seed {seed}: {report}");
    tally.close(
        &format!("{test}, seed {seed}, {rounds} rounds of {CLIENTS}"),
        needed,
    );
}

fn images(dice: &mut Dice, secret: &str) -> Vec<Visit> {
    let visit = |_| {
        let delay = dice.within(0, 30);
        let call = Call::post(IMAGES, image_body()).key(secret);
        Visit::new(call.header("x-mock-delay-ms", delay))
    };
    (0..CLIENTS).map(visit).collect()
}

fn chats(dice: &mut Dice, secret: &str, delay_ms: (u64, u64)) -> Vec<Visit> {
    let visit = |_| {
        let (max_tokens, stream) = (dice.within(1, 200) as i64, dice.percent(50));
        let body = chat_body(dice.within(0, 300), max_tokens, stream);
        let prompt = dice.within(1, input_worst(&body) as u64);
        let call = Call::post(CHAT, body)
            .key(secret)
            .header("x-mock-prompt", prompt)
            .header("x-mock-completion", dice.within(1, max_tokens as u64))
            .header("x-mock-delay-ms", dice.within(delay_ms.0, delay_ms.1));
        Visit::new(call)
    };
    (0..CLIENTS).map(visit).collect()
}

fn watch(name: &str, cap: Option<u64>) -> Watch {
    Watch {
        wallet: name.to_owned(),
        credit_line: 0,
        cap,
    }
}

fn assert_only(name: &str, seen: &[Seen], allowed: &[&str]) {
    let counts = outcomes(seen);
    assert!(
        counts.keys().all(|outcome| allowed.contains(&&**outcome)),
        "{name}: {counts:?}"
    );
}

/// Planted bugs that it must catch: units that two holds take from the same grant; units that are burned and charged too.
#[test]
fn a_quota_of_images_and_money_for_more_give_exactly_their_sum() {
    each_round("free-images", FUNDS, |mock, proxy, name, dice| {
        let (paid, rest) = (dice.within(0, 5) as i64, dice.within(0, 1_000) as i64);
        let (secret, _) = proxy.create_key(&json!({
            "name": name, "balance": decimal(paid * IMAGE + rest), "grants": ["images"],
        }));
        let seen = storm(
            from_ref(proxy),
            &images(dice, &secret),
            &watch(name, None),
            name,
        );
        assert_only(name, &seen, FUNDS);
        let served = with_status(&seen, 200).count() as i64;
        assert_eq!(served, FREE_IMAGES + paid, "{name}: {:?}", outcomes(&seen));
        assert_eq!(mock.totals()["images_delivered"], served, "{name}");
        let wallet = proxy.idle_wallet(name);
        assert_eq!(money(&wallet, "balance"), rest, "{name}: {wallet}");
        assert_eq!(money(&wallet, "shortfall"), 0, "{name}: {wallet}");
        assert_eq!(wallet["grants"][0]["used"], FREE_IMAGES, "{name}: {wallet}");
        let refused = proxy.send(&secret, Call::post(IMAGES, image_body()));
        assert_eq!(refused.status, 402, "{name}: {refused:?}");
        seen
    });
}

/// Planted bugs that it must catch: a hold for less than the worst case; units of a hold that are not given back.
#[test]
fn a_quota_of_tokens_is_never_passed_and_admits_by_the_worst_case() {
    each_round("free-tokens", &FUNDS[..2], |_, proxy, name, dice| {
        let (secret, _) = proxy.create_key(&json!({ "name": name, "grants": ["tokens"] }));
        let mut visits = chats(dice, &secret, (0, 30));
        // So that the quota is used up.
        visits.iter_mut().for_each(|visit| visit.retry = true);
        let seen = storm(from_ref(proxy), &visits, &watch(name, None), name);
        assert_only(name, &seen, FUNDS);
        let wallet = proxy.idle_wallet(name);
        let used = wallet["grants"][0]["used"].as_i64().expect("a count");
        let usage: i64 = proxy.receipts(name).iter().map(tokens).sum();
        assert_eq!(used, usage, "{name}: the receipts come to something else");
        assert_eq!(money(&wallet, "charged"), 0, "{name}: {wallet}");
        last_tokens(proxy, name, &secret, FREE_TOKENS - used);
        seen
    });
}

/// All tokens of a receipt.
fn tokens(receipt: &Value) -> i64 {
    let count = |meter: &str| receipt["usage"][meter].as_i64().unwrap_or(0);
    count("input") + count("output")
}

/// The largest request that fits into what is left is admitted; one token more is not.
fn last_tokens(proxy: &Proxy, name: &str, secret: &str, left: i64) {
    let worst = |max_tokens: i64| input_worst(&chat_body(9, max_tokens, false)) + max_tokens;
    let fits = (1..=4_096).rev().find(|maximum| worst(*maximum) <= left);
    let send = |max_tokens: i64| {
        let call = Call::post(CHAT, chat_body(9, max_tokens, false));
        proxy
            .send(secret, call.header("x-mock-completion", 1))
            .status
    };
    let more = fits.unwrap_or(0) + 1;
    if more <= 4_096 {
        assert_eq!(send(more), 402, "{name}: {} of {left} tokens", worst(more));
    }
    if let Some(fits) = fits {
        assert_eq!(send(fits), 200, "{name}: {} of {left} tokens", worst(fits));
    }
}

/// Planted bug that it must catch: a spend limit that does not count what live holds occupy.
#[test]
fn a_spend_limit_of_a_day_is_never_passed() {
    each_round(
        "spend",
        &["200", "429 spend_limit_exceeded", "429 limit_held"],
        |mock, proxy, name, dice| {
            let (count, rest) = (dice.within(1, 30) as i64, dice.within(0, 1_000) as i64);
            let cap = count * IMAGE + rest;
            let (secret, _) = proxy.create_key(&json!({
                "name": name, "balance": "1000", "grants": "none",
                "limits": [{ "spend": decimal(cap), "per": "day" }],
            }));
            let visits = images(dice, &secret);
            let seen = storm(
                from_ref(proxy),
                &visits,
                &watch(name, Some(cap as u64)),
                name,
            );
            let wallet = proxy.idle_wallet(name);
            if wallet["limits"].as_array().is_some_and(|all| all.len() > 1) {
                // Midnight came in the middle: the limit holds on each side, as the watch has seen.
                return seen;
            }
            assert_only(
                name,
                &seen,
                &["200", "429 spend_limit_exceeded", "429 limit_held"],
            );
            let served = with_status(&seen, 200).count() as i64;
            assert_eq!(served, count, "{name}: {:?}", outcomes(&seen));
            assert_eq!(mock.totals()["images_delivered"], count, "{name}");
            assert_eq!(money(&wallet, "charged"), count * IMAGE, "{name}: {wallet}");
            let refused = proxy.send(&secret, Call::post(IMAGES, image_body()));
            assert_eq!(
                crate::support::crowd::code(&refused),
                "spend_limit_exceeded",
                "{name}"
            );
            seen
        },
    );
}

/// Planted bugs that it must catch: a bucket that refills too fast, or that is not debited at the hold.
#[test]
fn requests_per_minute_are_never_passed() {
    each_round(
        "rate",
        &["200", "429 rate_limit_exceeded"],
        |_, proxy, name, dice| {
            let cap = dice.within(1, 60);
            let (secret, _) = proxy.create_key(&json!({
                "name": name, "balance": "1000", "grants": "none",
                "limits": [{ "requests": cap, "per": "minute" }],
            }));
            let visits = chats(dice, &secret, (0, 30));
            let started = Instant::now();
            let seen = storm(from_ref(proxy), &visits, &watch(name, Some(cap)), name);
            let elapsed_ms = started.elapsed().as_millis() as u64 + 1;
            assert_only(name, &seen, &["200", "429 rate_limit_exceeded"]);
            let served = with_status(&seen, 200).count() as u64;
            let refilled = cap * elapsed_ms / 60_000;
            assert!(
                (cap..=cap + refilled).contains(&served),
                "{name}: {served} of {cap} a minute in {elapsed_ms} ms"
            );
            for refused in with_status(&seen, 429) {
                let wait: u64 = refused.header("retry-after").parse().expect("seconds");
                assert!(wait >= 1, "{name}: {refused:?}");
            }
            seen
        },
    );
}

/// Planted bugs that it must catch: a limit that does not count live holds; a request that keeps its place at its end.
#[test]
fn no_more_requests_run_at_once_than_the_limit_says() {
    each_round(
        "concurrent",
        &["200", "429 rate_limit_exceeded"],
        |mock, proxy, name, dice| {
            let cap = dice.within(1, 12);
            let (secret, _) = proxy.create_key(&json!({
                "name": name, "balance": "1000", "grants": "none",
                "limits": [{ "concurrent": cap }],
            }));
            let visits = chats(dice, &secret, (10, 60));
            let seen = storm(from_ref(proxy), &visits, &watch(name, Some(cap)), name);
            assert_only(name, &seen, &["200", "429 rate_limit_exceeded"]);
            let most = mock.totals()["in_flight_max"].as_u64().expect("a count");
            assert!(
                most <= cap,
                "{name}: {most} at once upstream, {cap} are allowed"
            );
            let served = with_status(&seen, 200).count() as u64;
            assert!(served >= cap, "{name}: only {served} of {cap} places used");
            // Every place is free again.
            let after = &chats(dice, &secret, (0, 0))[..cap as usize];
            let free = storm(from_ref(proxy), after, &watch(name, Some(cap)), name);
            assert_only(name, &free, &["200"]);
            seen
        },
    );
}
