//! One fault under load, and everything that is known of it afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{IN_FLIGHT_MIN, Stage, number};
use crate::support::account::{Account, Joined, by_id, every_planted_bug_is_found};
use crate::support::dice::Dice;
use crate::support::prices::chat_body;
use crate::support::storms::{CHATS, boundary};
use crate::support::{Call, Load, Seen, decimal, nano, until};

/// Every client has its answer within this, on a machine however busy: twice the ledger's deadline of 1.5 s, the
/// upstream's 0.2 s, and room.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);
/// A killed process may have read an answer this long ago without having booked it.
const UNBOOKED_MS: u64 = 2_000;
/// Clients per proxy and wallet.
const CLIENTS: &str = "6";

/// What a fault may cost the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Losses {
    /// The store forgets nothing that it acknowledged.
    Nothing,
    /// Holds may be forgotten or lapse, and the same money be admitted on again.
    Writes,
}

/// A wallet of one round.
struct Wallet {
    name: String,
    secret: String,
    opening: i64,
}

/// A round whose load has ended, and whose store is well again.
pub struct Round {
    /// One with money for all, one without.
    wallets: [Wallet; 2],
    /// What the clients of each wallet saw.
    seen: [Vec<Seen>; 2],
    records: BTreeMap<String, Value>,
    /// When the fault struck, by the upstream's clock.
    struck: u64,
}

impl Round {
    /// Runs a load, and lets the fault strike and heal.
    pub fn run(
        stage: &mut Stage,
        name: &str,
        dice: &mut Dice,
        fault: impl FnOnce(&mut Stage, &mut Dice),
    ) -> Round {
        stage.killed = None;
        stage.fleet.mock.reset();
        let rich = Wallet::new(stage, format!("{name}-rich"), nano("100000"), dice);
        // So that some are refused, and the last coin is fought for.
        let funds = dice.within(500_000_000, 4_000_000_000) as i64;
        let poor = Wallet::new(stage, format!("{name}-poor"), funds, dice);
        let wallets = [rich, poor];
        stage.wallets = wallets.iter().map(|wallet| wallet.name.clone()).collect();
        let loads = wallets.each_ref().map(|wallet| load(stage, wallet, dice));
        until("the first answers", || {
            let mut all = loads.iter().flatten();
            all.all(|load| load.bytes() > 0).then_some(())
        });
        std::thread::sleep(Duration::from_millis(dice.within(0, 500)));
        fault(stage, dice);
        let struck = stage.take_struck();
        // Some go through the healed store.
        std::thread::sleep(Duration::from_millis(dice.within(100, 600)));
        loads.iter().flatten().for_each(Load::end);
        let seen = loads.map(finish);
        stage.settle();
        let records = by_id(stage.fleet.mock.requests());
        Round {
            wallets,
            seen,
            records: records.unwrap_or_else(|wrong| panic!("{name}: {wrong}")),
            struck,
        }
    }

    /// Checks everything that was promised; what it came to, in words.
    pub fn check(self, stage: &Stage, losses: Losses, dice: &mut Dice) -> Result<String, String> {
        let in_flight = self.in_flight();
        if in_flight < IN_FLIGHT_MIN {
            return Err(format!("only {in_flight} requests in flight: no fault"));
        }
        let outcomes = self.answered(stage.killed)?;
        let mut shortfall = 0;
        for (wallet, seen) in self.wallets.iter().zip(&self.seen) {
            let joined = self.compare(stage, wallet, seen);
            let joined = joined.map_err(|finding| format!("{}: {finding}", wallet.name))?;
            shortfall += joined.shortfall;
        }
        if losses == Losses::Nothing && shortfall != 0 {
            return Err(format!(
                "nothing was lost, but {} fell short",
                decimal(shortfall)
            ));
        }
        let [_, poor] = &self.wallets;
        boundary(&stage.fleet, &poor.name, &poor.secret, 0, dice);
        // All of them audit the same store.
        let proxy = stage.fleet.at(dice.within(0, 2) as usize);
        let (_, report) = until("the store", || {
            let answer = proxy.admin("POST", "/admin/audit", None);
            Some(answer).filter(|(status, _)| *status != 503)
        });
        if report["findings"] != json!([]) || report["live_holds"] != 0 {
            return Err(format!("the audit finds something: {report}"));
        }
        let shortfall = decimal(shortfall);
        Ok(format!(
            "{in_flight} in flight, {outcomes:?}, shortfall {shortfall}"
        ))
    }

    /// How many requests the upstream had in hand when the fault struck, by its own log.
    fn in_flight(&self) -> usize {
        let across = |record: &&Value| {
            let (arrived, ended) = (number(record, "arrived_ms"), number(record, "ended_ms"));
            (arrived..=ended).contains(&self.struck)
        };
        self.records.values().filter(across).count()
    }

    /// Every client was answered, in time, in words that it can act on.
    fn answered(&self, killed: Option<usize>) -> Result<BTreeMap<String, u64>, String> {
        let mut outcomes = BTreeMap::new();
        for seen in self.seen.iter().flatten() {
            let of_killed = killed.is_some_and(|number| seen.id.contains(&format!("-p{number}-")));
            let code = seen.code.as_deref();
            let fine = match seen.status {
                200 => ["complete", "disconnected", "error_event"].contains(&&*seen.outcome),
                402 => code == Some("insufficient_quota"),
                429 => code == Some("balance_held"),
                500 => code == Some("mock_fault"),
                503 => code == Some("ledger_unavailable"),
                _ => seen.outcome == "abandoned",
            };
            if !(fine || of_killed) {
                return Err(format!("such an answer cannot be: {seen:?}"));
            }
            if seen.latency >= ANSWERED_WITHIN {
                return Err(format!("late: {seen:?}"));
            }
            let outcome = format!("{} {}", seen.status, code.unwrap_or(&seen.outcome));
            *outcomes.entry(outcome).or_default() += 1;
        }
        Ok(outcomes)
    }

    /// Joins the two accounts of a wallet.
    fn compare(&self, stage: &Stage, wallet: &Wallet, seen: &[Seen]) -> Result<Joined, String> {
        let name = &wallet.name;
        let idle = idle(stage, wallet);
        let mine = format!("{name}-p");
        let sent = self.records.iter().filter(|(id, _)| id.starts_with(&mine));
        let account = Account {
            seen: seen.to_vec(),
            sent: sent
                .map(|(id, record)| (id.clone(), record.clone()))
                .collect(),
            booked: stage.fleet.first().all_receipts(name),
        };
        let killed = stage
            .killed
            .map(|number| format!("{}-", run_id(name, number)));
        let lost = |seen: &Seen, record: Option<&Value>| {
            let of_killed = killed.as_ref().is_some_and(|run| seen.id.starts_with(run));
            let ended = record.map(|record| number(record, "ended_ms"));
            of_killed && ended.is_none_or(|ended| ended + UNBOOKED_MS >= self.struck)
        };
        let joined = account.join(&lost)?;
        if joined.charged > wallet.opening {
            return Err(format!("below the floor: {idle}"));
        }
        for proxy in &stage.fleet.proxies {
            account.settles(&proxy.wallet(name), wallet.opening, &joined)?;
        }
        let is_paid = |seen: &Seen| seen.seen_end && seen.status == 200;
        if seen.iter().any(is_paid) {
            every_planted_bug_is_found(&account, &lost);
        }
        Ok(joined)
    }
}

impl Wallet {
    fn new(stage: &Stage, name: String, opening: i64, dice: &mut Dice) -> Wallet {
        let proxy = stage.fleet.at(dice.within(0, 2) as usize);
        let wish = json!({ "name": name, "balance": decimal(opening) });
        // A partition may still be recovering from the round before.
        let made = until("the key", || {
            let (status, made) = proxy.admin("POST", "/admin/keys", Some(&wish));
            assert!([201, 503].contains(&status), "{made}");
            (status == 201).then_some(made)
        });
        Wallet {
            name,
            secret: made["secret"].as_str().expect("a secret").to_owned(),
            opening,
        }
    }
}

/// A wallet without live holds. Those that lapsed end with its next operation: the upstream fails this one, which is
/// not charged, and its records are not asked for any more.
fn idle(stage: &Stage, wallet: &Wallet) -> Value {
    let proxy = stage.fleet.first();
    until("all holds to end", || {
        let now = proxy.wallet(&wallet.name);
        if now["holds"] == 0 {
            return Some(now);
        }
        let call = Call::post(CHATS, chat_body(1, 1, false));
        proxy.send(&wallet.secret, call.header("x-mock-fault", "status=500"));
        std::thread::sleep(Duration::from_millis(100));
        None
    })
}

/// A load on every proxy, by the same key.
fn load(stage: &Stage, wallet: &Wallet, dice: &mut Dice) -> Vec<Load> {
    let proxies = stage.fleet.proxies.iter().enumerate();
    let start = |(number, proxy)| {
        let run = run_id(&wallet.name, number);
        // The delay keeps requests in flight; the rate keeps those that are refused at once from eating the machine.
        let bounds = ["--concurrency", CLIENTS, "--rate", "40", "--seconds", "120"];
        let more = [&bounds[..], &["--header", "x-mock-delay-ms=200"]].concat();
        Load::start(proxy, &wallet.secret, &run, dice.next() >> 32, &more)
    };
    proxies.map(start).collect()
}

fn run_id(wallet: &str, proxy: usize) -> String {
    format!("{wallet}-p{proxy}")
}

fn finish(loads: Vec<Load>) -> Vec<Seen> {
    let seen = loads.into_iter().map(|load| load.finish(PATIENCE).1);
    seen.flatten().collect()
}
