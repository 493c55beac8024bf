//! A gateway over a ledger in memory, at which requests are held and concluded without a wire.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::answers::Answer;
use super::dice::Dice;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::gateway::asked::Asked;
use crate::gateway::catalog::{Catalog, Current, Pinned};
use crate::gateway::conclude::{Conclusion, End, Facts, abandon, conclude};
use crate::gateway::facts::whole;
use crate::gateway::job::Job;
use crate::gateway::meter::{DocumentTap, EventTap};
use crate::gateway::observe::Record;
use crate::gateway::reservation::Reservation;
use crate::ledger::Ledger;
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::embedded::Embedded;
use crate::ledger::grant::ModelSet;
use crate::ledger::hold::Quote;
use crate::ledger::id::RequestId;
use crate::ledger::key::{Key, OnDisconnect, OnShort};
use crate::ledger::receipt::Receipt;
use crate::ledger::wallet::NewWallet;
use crate::money::{Factor, Nano};
use crate::price::{Model, Segment, Terms};

const CONFIG: &str = r"
ledger: { path: unused.db }
currency: CNY
upstreams: { demo: { kind: simulator } }
models: [{ id: m, upstream: demo, prices: [{ free: true }] }]
";

pub struct Desk {
    gateway: Arc<Gateway>,
    runtime: Runtime,
    keys: Cell<u64>,
}

impl Desk {
    pub fn new() -> Desk {
        let config = Config::parse(CONFIG, "test.yaml", &|_| None).expect("a sound config");
        let ledger = Arc::new(Embedded::in_memory("CNY", None).expect("memory"));
        let current = Arc::new(Current::new(Catalog::new(config).expect("a catalog")));
        let gateway = Gateway::new(ledger, current, None).expect("a gateway");
        let runtime = Builder::new_current_thread().enable_all().build();
        Desk {
            gateway: Arc::new(gateway),
            runtime: runtime.expect("a runtime"),
            keys: Cell::new(0),
        }
    }

    /// A key of a wallet of its own, which is not opened yet.
    pub fn key(&self, multiplier: Factor, on_short: OnShort) -> Key {
        self.keys.set(self.keys.get() + 1);
        let number = self.keys.get();
        Key {
            id: format!("k{number}").parse().expect("an id"),
            wallet: format!("w{number}").parse().expect("an id"),
            name: "k".to_owned(),
            revision: 0,
            enabled: true,
            expires_at: None,
            models: ModelSet::All,
            allowed_ips: Vec::new(),
            limits: Vec::new(),
            on_short,
            on_disconnect: OnDisconnect::Drain,
            offline_allowance: Nano::ZERO,
            multiplier,
            created_at: self.gateway.ledger.now(),
        }
    }

    /// What a request is priced by, and its worst case; `None` where it is refused.
    pub fn quote(
        &self,
        asked: &Asked<'_>,
        model: &Model,
        key: &Key,
    ) -> Option<(Terms, Vec<Segment>)> {
        let now = self.gateway.ledger.now();
        let price = model.at(now).expect("a price");
        asked.fits(model).expect("the right service");
        asked.quote(model, price, now, key).ok()
    }

    /// Holds with so much money in the wallet, which has to be enough.
    pub fn hold(
        &self,
        (asked, body): (&Asked<'_>, &Bytes),
        model: &Arc<Model>,
        (terms, segments): (Terms, Vec<Segment>),
        key: &Key,
        money: Nano,
    ) -> Box<Job> {
        let ledger = &self.gateway.ledger;
        let quote = Quote {
            request: RequestId::new(),
            wallet: key.wallet.clone(),
            key: key.id.clone(),
            key_revision: 1,
            model: Arc::clone(&model.id),
            aliases: Arc::clone(&model.aliases),
            price_version: "v".into(),
            segments: segments.clone(),
            counters: Vec::new(),
            lease_ms: 60_000,
            idempotency: None,
        };
        let request = quote.request;
        let hold = self.runtime.block_on(async {
            open(&**ledger, key, money).await;
            ledger.hold(quote).await.expect("a ledger")
        });
        let pinned = Pinned {
            held_at: ledger.now(),
            catalog: self.gateway.catalog(),
            model: Arc::clone(model),
            terms,
        };
        let reservation = Reservation::new(
            Arc::clone(&self.gateway),
            Record::resumed(&self.gateway, request, asked.service().path()),
            hold.expect("enough money"),
            segments,
            Vec::new(),
            pinned,
            asked.path(),
        );
        Box::new(Job {
            reservation,
            service: asked.service(),
            request_body: body.clone(),
            request_memory: None,
            on_disconnect: key.on_disconnect,
            idle: Duration::ZERO,
            trailers: false,
            key: key.id.clone(),
            streams_images: asked.streams_images(),
            choices: asked.choices(),
            recording: asked.recording(),
            names_objects: false,
            idempotency: None,
            so_far: None,
            claim: None,
            stored: asked.is_stored(),
            background: asked.is_background(),
        })
    }

    /// Charges a request whose client went before any of its answer came; `None` where nothing is charged.
    pub fn abandon(&self, job: Box<Job>) -> Option<Arc<Receipt>> {
        let request = job.reservation.request();
        let receipt = self.runtime.block_on(async {
            abandon(job).await;
            self.gateway.ledger.receipt(request, None).await
        });
        receipt.expect("a ledger")
    }

    /// Meters an answer, which came to this end or to its own, and charges it; `None` where nothing is charged.
    pub fn conclude(
        &self,
        job: Box<Job>,
        answer: Answer,
        strip_usage: bool,
        end: Option<End>,
        dice: &mut Dice<'_>,
    ) -> Option<Arc<Receipt>> {
        let (facts, complete) = meter(&job, answer, strip_usage, dice);
        let end = end.unwrap_or(complete);
        let concluded = self.runtime.block_on(conclude(job, facts, end));
        match concluded.expect("a ledger") {
            Conclusion::Charged(settled) => Some(Arc::clone(&settled.receipt)),
            Conclusion::Free => None,
            Conclusion::Later(..) => panic!("nothing runs in the background"),
        }
    }
}

async fn open(ledger: &dyn Ledger, key: &Key, money: Nano) {
    let opening = Entry {
        id: format!("opening-{}", key.id).parse().expect("an id"),
        wallet: key.wallet.clone(),
        kind: EntryKind::Opening,
        amount: money,
        reason: String::new(),
        actor: String::new(),
        at: ledger.now(),
    };
    let wallet = NewWallet {
        id: key.wallet.clone(),
        credit_line: Nano::ZERO,
        opening: (!money.is_zero()).then_some(opening),
        grants: Vec::new(),
    };
    ledger.open_wallet(wallet).await.expect("a wallet");
    let digest = ledger.digest(key.id.as_str());
    ledger.put_key(key.clone(), digest).await.expect("a key");
}

/// What is known of an answer, which comes in pieces of any size.
fn meter(job: &Job, answer: Answer, strip_usage: bool, dice: &mut Dice<'_>) -> (Facts, End) {
    let mut out = VecDeque::new();
    match answer {
        Answer::Whole(body) if dice.one_in(4) => {
            let mut tap = DocumentTap::new(job.service, 64);
            pieces(body.as_bytes(), dice, |piece| tap.push(piece, &mut out));
            (tap.facts(), End::Complete)
        }
        Answer::Whole(body) => {
            let facts = whole(body.as_bytes(), job.service, job.choices);
            (facts.expect("an answer that can be metered"), End::Complete)
        }
        Answer::Events(body) => {
            let mut tap = EventTap::new(job.service, job.choices, strip_usage);
            pieces(body.as_bytes(), dice, |piece| tap.push(piece, &mut out));
            tap.close();
            let end = tap.verdict(End::Complete);
            (tap.facts(), end)
        }
        Answer::Opaque(body) => {
            let mut tap = DocumentTap::opaque(job.service, 2);
            pieces(&body, dice, |piece| tap.push(piece, &mut out));
            (tap.facts(), End::Complete)
        }
    }
}

fn pieces(body: &[u8], dice: &mut Dice<'_>, push: impl FnMut(Bytes)) {
    let size = 1 + usize::try_from(dice.draw() % 700).expect("few");
    body.chunks(size).map(Bytes::copy_from_slice).for_each(push);
}
