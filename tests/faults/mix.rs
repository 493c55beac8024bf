//! The big comparison: a mixture of everything, and two accounts of it that share no code.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crowd::money;
use crate::dice::{rounds, seed};
use crate::prices::{self, IMAGE, setup};
use crate::support::{Load, Mock, Proxy, Seen, decimal, nano};

const WALLET: &str = "mix";
const OPENING: &str = "100000";
const PATIENCE: Duration = Duration::from_secs(900);
/// The load generator's prompt, which is the same in all its chats.
const PROMPT_BYTES: usize = 256;
const PROMPT: &str = "The quick brown fox jumps over the lazy dog. ";

/// What a request comes to: by the upstream's account, or by the ledger's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    counted: String,
    input: i64,
    output: i64,
    images: i64,
    charged: i64,
}

/// Planted bugs that it must catch: a request that is charged double, or not at all, when its client leaves; a cut stream
/// that is not charged; an error that is; a usage chunk that is stripped but not read; a charge that is rounded down.
#[test]
fn the_upstreams_account_of_a_mixture_equals_the_ledgers() {
    let seed = seed("mix");
    let mock = Mock::start();
    let proxy = Proxy::start_quiet(&setup(&mock));
    let (secret, _) = proxy.create_key(&json!({ "name": WALLET, "balance": OPENING }));
    let requests = rounds(5_000, 100_000);
    let started = Instant::now();
    let load = Load::start(
        &proxy,
        &secret,
        "mix",
        seed,
        &["--concurrency", "64", "--requests", &requests.to_string()],
    );
    let (report, seen) = load.finish(PATIENCE);
    let seconds = started.elapsed().as_secs();
    assert_eq!(seen.len() as u64, requests, "seed {seed}: {report}");
    // The answers of clients that left are still being read to their end.
    let wallet = proxy.idle_wallet(WALLET);
    let totals = mock.totals();
    assert_eq!(totals["records_dropped"], 0, "seed {seed}: {totals}");

    let sent = by_id(mock.requests(), seed);
    let mut booked = proxy.all_receipts(WALLET);
    compare_totals(&totals, &sent, &booked, seed);
    let sum: i64 = booked.values().map(|receipt| money(receipt, "cost")).sum();
    let kinds = compare_each(&seen, &sent, &mut booked, seed);
    let expected: i64 = sent
        .values()
        .filter_map(expected)
        .map(|item| item.charged)
        .sum();
    assert_eq!(sum, expected, "seed {seed}: the sum of all charges");
    assert_eq!(
        money(&wallet, "balance"),
        nano(OPENING) - expected,
        "{wallet}"
    );
    assert_eq!(money(&wallet, "held"), 0, "seed {seed}: {wallet}");
    let audit = proxy.audit();
    assert_eq!(audit["live_holds"], 0, "seed {seed}: {audit}");
    eprintln!(
        "mix: {requests} requests in {seconds} s, charged {} in all\nupstream {totals}",
        decimal(sum)
    );
    for (kind, (requests, charges, nano)) in kinds {
        let sum = decimal(nano);
        eprintln!("{kind:>16}: {requests:>6} requests, {charges:>6} charges, {sum}");
    }
}

fn by_id(records: Vec<Value>, seed: u64) -> BTreeMap<String, Value> {
    let mut sent = BTreeMap::new();
    for record in records {
        let id = record["id"].as_str().expect("an id").to_owned();
        let twice = sent.insert(id, record);
        assert!(
            twice.is_none(),
            "seed {seed}: sent upstream twice: {twice:?}"
        );
    }
    sent
}

fn count(value: &Value, field: &str) -> i64 {
    value[field]
        .as_i64()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// What has to be charged for what the upstream says that it sent; `None` for nothing at all.
fn expected(record: &Value) -> Option<Item> {
    let chat = |counted: &str, input: i64, output: i64| {
        Some(Item {
            counted: counted.to_owned(),
            input,
            output,
            images: 0,
            charged: prices::chat(input, output),
        })
    };
    let sent = count(record, "completion_tokens_sent");
    match record["outcome"].as_str().expect("an outcome") {
        "complete" if count(record, "images") > 0 => Some(Item {
            counted: "exact".to_owned(),
            input: 0,
            output: 0,
            images: count(record, "images"),
            charged: count(record, "images") * IMAGE,
        }),
        "complete" if record["had_usage"] == true => chat(
            "exact",
            count(record, "prompt_tokens"),
            count(record, "completion_tokens"),
        ),
        // Nobody told: the prompt was counted here, and the answer, whose words are a token each.
        "complete" => chat("estimated", prompt_tokens(), sent),
        "cut" if sent > 0 => chat("partial", prompt_tokens(), sent),
        "cut" | "error" => None,
        other => panic!("{other} cannot be under `drain`: {record}"),
    }
}

/// The prompt as OpenAI's format frames it: 3 and the role's and text's tokens for the message, and 3.
fn prompt_tokens() -> i64 {
    static TOKENS: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *TOKENS.get_or_init(|| {
        let mut prompt = PROMPT.repeat(PROMPT_BYTES / PROMPT.len() + 1);
        prompt.truncate(PROMPT_BYTES);
        let vocabulary = tiktoken_rs::o200k_base_singleton();
        let tokens = |text: &str| vocabulary.encode_ordinary(text).len() as i64;
        3 + 3 + tokens("user") + tokens(&prompt)
    })
}

/// What the ledger says of a request.
fn item(receipt: &Value) -> Item {
    let meter = |name: &str| receipt["usage"][name].as_i64().unwrap_or(0);
    assert_eq!(money(receipt, "shortfall"), 0, "{receipt}");
    Item {
        counted: receipt["counted"].as_str().expect("a word").to_owned(),
        input: meter("input"),
        output: meter("output"),
        images: meter("images"),
        charged: money(receipt, "cost"),
    }
}

/// Request by request, joined by what the client saw; those that showed it nothing, as a whole. Of each kind: requests,
/// charges, and their sum.
fn compare_each(
    seen: &[Seen],
    sent: &BTreeMap<String, Value>,
    booked: &mut HashMap<String, Value>,
    seed: u64,
) -> BTreeMap<String, (u64, u64, i64)> {
    let (mut unseen, mut kinds) = (Vec::new(), BTreeMap::new());
    for seen in seen {
        let record = sent.get(&seen.id);
        let due = record.and_then(expected);
        let kind: &mut (u64, u64, i64) = kinds.entry(seen.kind.clone()).or_default();
        kind.0 += 1;
        kind.1 += u64::from(due.is_some());
        kind.2 += due.as_ref().map_or(0, |due| due.charged);
        let Some(id) = &seen.request_id else {
            unseen.extend(due);
            continue;
        };
        let receipt = booked.remove(id);
        let charged = receipt.as_ref().map(item);
        assert_eq!(
            charged, due,
            "seed {seed}: ledger and upstream differ: {seen:?}\n{receipt:?}\n{record:?}"
        );
        if let (Some(cost), true) = (seen.cost, seen.seen_end) {
            let due = due.map_or(0, |due| due.charged);
            assert_eq!(
                cost, due,
                "seed {seed}: the client was told otherwise: {seen:?}"
            );
        }
    }
    let mut left: Vec<Item> = booked.values().map(item).collect();
    left.sort_unstable();
    unseen.sort_unstable();
    assert_eq!(
        left, unseen,
        "seed {seed}: requests whose clients saw no head"
    );
    kinds
}

/// The upstream's own totals against the ledger's sums.
fn compare_totals(
    totals: &Value,
    sent: &BTreeMap<String, Value>,
    booked: &HashMap<String, Value>,
    seed: u64,
) {
    let items: Vec<Item> = booked.values().map(item).collect();
    let sum = |words: &[&str], field: fn(&Item) -> i64| -> i64 {
        let of_words = items.iter().filter(|item| words.contains(&&*item.counted));
        of_words.map(field).sum()
    };
    let untold: i64 = sent
        .values()
        .filter(|record| record["outcome"] == "complete" && record["had_usage"] == false)
        .map(|record| count(record, "prompt_tokens"))
        .sum();
    let pairs = [
        ("prompt_tokens", sum(&["exact"], |item| item.input) + untold),
        (
            "completion_tokens",
            sum(&["exact", "estimated"], |item| item.output),
        ),
        (
            "partial_completion_tokens",
            sum(&["partial"], |item| item.output),
        ),
        (
            "images_delivered",
            items.iter().map(|item| item.images).sum(),
        ),
    ];
    for (field, ledger) in pairs {
        assert_eq!(
            count(totals, field),
            ledger,
            "seed {seed}: {field} of the upstream and of the ledger"
        );
    }
}
