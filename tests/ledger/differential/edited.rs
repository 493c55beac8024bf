//! Bugs planted in the server-side code: each is a text of the scripts and what stands there instead, and the
//! schedules have to find every one.

use std::sync::atomic::{AtomicBool, Ordering};

use tollgate::clock::Clock;
use tollgate::ledger::redis::scripts::Scripts;

use super::coverage::Coverage;
use super::{Pair, SHARING};
use crate::kit::START;
use crate::stores::open_edited;

/// Each has to be found within so many schedules.
const SCHEDULES: u64 = 8 * SHARING;

const EDITS: [(&str, &str); 49] = [
    // What is read, added and compared is no double.
    ("if n < 2^53 and n > -2^53 then", "if true then"),
    ("format('%d%09d'", "format('%d%d'"),
    ("return '-' .. text(-n)", "return text(-n)"),
    (
        "local sum = a + b\n    if sum > -2^53 and sum < 2^53 then",
        "local sum = a + b\n    if true then",
    ),
    (
        "(a[1] == b[1] and a[2] < b[2])",
        "(a[1] == b[1] and a[2] <= b[2])",
    ),
    ("return b[1] > 0", "return true"),
    // Money and its floor.
    (
        "local affordable = least(add(free.m, available), MOST)",
        "local affordable = least(add(free.m, add(available, 1)), MOST)",
    ),
    (
        "sub(add(integer(state.balance), integer(state.line)), integer(state.held))",
        "add(integer(state.balance), integer(state.line))",
    ),
    (
        "local within_limits = math.min(free.m + spend_room, MOST)",
        "local within_limits = MOST",
    ),
    ("(rest_ > 0 and 1 or 0)", "1"),
    (
        "for _, sum in ipairs({balance, credited}) do",
        "for _, sum in ipairs({}) do",
    ),
    ("less(line, owed)", "less(add(line, 1), owed)"),
    ("put('shortfall', text(shortfall_sum))", ""),
    ("charged = least(charged, there)", ""),
    // What a hold reserved, and how it is given back.
    (
        "load_record(record)\n    put('held', text(sub(integer(state.held), record.money)))",
        "load_record(record)",
    ),
    (
        "grant.held = rest(grant.held, take.units)\n        put_grant",
        "put_grant",
    ),
    ("give_back(counter, part.held)", "give_back(counter, 0)"),
    (
        "grant.used = add(grant.used, burned[number])",
        "grant.used = add(grant.used, take.units)",
    ),
    ("left_of(grant_of(state[take.field]))) or 0", "units) or 0"),
    (
        "now < tonumber(grant.expires)",
        "now <= tonumber(grant.expires)",
    ),
    // Counters.
    (
        "if left and less(left, need) then",
        "if left and less(add(left, 1), need) then",
    ),
    (
        "if need > 0 and size < spent then",
        "if need > 0 and size + 1 < spent then",
    ),
    ("if less(0, counter.size) and not less", "if not less"),
    ("ah * bl + (low - left) / 1e9", "ah * bl"),
    ("counter.full = full_of(counter.size, counter.refill)", ""),
    ("level = least(level, full)", ""),
    (
        "if high > full_high or (high == full_high and low > full_low) then\n    return",
        "if false then\n    return",
    ),
    ("least(need, counter.size) or need", "need or need"),
    ("need < size and need or size", "need"),
    ("counters.shift(counter, part, actual)", ""),
    ("product(part - actual, refill)", "0, 0"),
    ("use_up(least(actual, part))", "use_up(actual)"),
    ("(actual < part and actual or part)", "actual"),
    ("now >= tonumber(stop)", "now > tonumber(stop)"),
    // Leases, tombstones, claims, keys, credits, totals.
    ("'XX', 'GT'", "'XX'"),
    (
        "'-inf', until_, 'LIMIT'",
        "'-inf', text(now - pause - 1), 'LIMIT'",
    ),
    (
        "redis.call('SET', request, 'V ' .. string.format('%.0f', now), 'PX', ENDED_MS)",
        "",
    ),
    ("if claim and claim.body ~= body then", "if false then"),
    ("if revision ~= ARGV[9] then", "if false then"),
    ("now >= tonumber(expires)", "now > tonumber(expires)"),
    (
        "local before = redis.call('HGET', entries, ARGV[7])",
        "local before = false",
    ),
    ("total('shortfall', shortfall)", ""),
    // Objects.
    (
        "return object.request or now < tonumber(object.expires)",
        "return object.request or now <= tonumber(object.expires)",
    ),
    ("objects().settle(id, pending)", ""),
    ("new.request = ended ~= 'S' and new.request", ""),
    (
        "if is_known and known.kind ~= new.kind then",
        "if false then",
    ),
    ("if other and other ~= owner", "if false and other ~= owner"),
    ("redis.call('ZCARD', KEYS[5]) >= at_most", "0 >= at_most"),
    (
        "ZCARD', KEYS[4]) + 1 - at_most",
        "ZCARD', KEYS[4]) - at_most",
    ),
];

/// The scripts with a bug.
fn edited(find: &str, replace: &str) -> &'static Scripts {
    let found = AtomicBool::new(false);
    let scripts = Scripts::edited(|part| {
        found.fetch_or(part.contains(find), Ordering::Relaxed);
        part.replace(find, replace)
    });
    assert!(
        found.into_inner(),
        "no script says `{find}`: the list is out of date"
    );
    scripts
}

async fn is_found(scripts: &'static Scripts) -> bool {
    let mut coverage = Coverage::default();
    for first in (0..SCHEDULES).step_by(usize::try_from(SHARING).expect("few")) {
        let clock = Clock::manual(START);
        let opened = open_edited(scripts, &clock).await;
        let mut pair = Pair::new(&*opened.ledger, clock, &mut coverage);
        if let Err(fault) = pair.run(first + 1, SHARING).await {
            // A script that does not even run shows nothing.
            assert!(!fault.contains("user_script"), "{fault}");
            return true;
        }
    }
    false
}

#[tokio::test]
async fn random_schedules_find_every_bug_of_the_scripts() {
    assert!(
        !is_found(Scripts::standard()).await,
        "the scripts are wrong as they are"
    );
    let mut missed = Vec::new();
    for (find, replace) in EDITS {
        if !is_found(edited(find, replace)).await {
            missed.push(find);
        }
    }
    assert_eq!(missed, Vec::<&str>::new(), "not found");
}
