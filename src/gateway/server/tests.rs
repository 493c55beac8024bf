//! Panics inside a request: the client is answered, and the hold ends.

mod ageing;
mod brittle;
mod observing;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::gateway::catalog::{Catalog, Current};
use crate::gateway::observe::{Observed, Observer};
use crate::gateway::refusal::Code;
use crate::ledger::Ledger;
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::embedded::Embedded;
use crate::ledger::grant::ModelSet;
use crate::ledger::id::WalletId;
use crate::ledger::key::{Key, OnDisconnect, OnShort};
use crate::ledger::wallet::{NewWallet, WalletView};
use crate::money::{Factor, Nano};
use brittle::{Brittle, Moment};

const SECRET: &str = "a-secret-for-tests-only";
const OPENING: Nano = Nano::new(1_000_000_000);
const CONFIG: &str = r#"
ledger: { path: unused.db }
currency: CNY
upstreams: { demo: { kind: simulator } }
models:
  - id: chat
    upstream: demo
    max_output_tokens: 100
    prices: [{ per: 1M tokens, input: 4, output: 16 }]
"#;

/// A proxy in front of the simulator, over a ledger that can be made to panic.
struct Proxy {
    ledger: Arc<Brittle>,
    gateway: Arc<Gateway>,
    seen: Seen,
    url: String,
    http: Client,
}

/// The codes of the requests that were told of.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Option<Code>>>>);

impl Observer for Seen {
    fn ended(&self, request: &Observed) {
        self.0.lock().push(request.code);
    }
}

fn wallet_id() -> WalletId {
    "w".parse().expect("an id")
}

impl Proxy {
    async fn start() -> Proxy {
        let config = Config::parse(CONFIG, "test.yaml", &|_| None).expect("a sound config");
        let ledger = Arc::new(Brittle::new(
            Embedded::in_memory("CNY", None).expect("memory"),
        ));
        open(&*ledger).await;
        let shared: Arc<dyn Ledger> = ledger.clone();
        let catalog = Catalog::new(config).expect("a catalog");
        let seen = Seen::default();
        let current = Arc::new(Current::new(catalog));
        let gateway = Arc::new(
            Gateway::new(shared, current, Some(Box::new(seen.clone()))).expect("a gateway"),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let serving = serve(
            gateway.clone(),
            listener,
            None,
            Duration::ZERO,
            std::future::pending(),
        );
        tokio::spawn(serving);
        let http = Client::builder().no_proxy().build().expect("a client");
        Proxy {
            ledger,
            gateway,
            seen,
            url,
            http,
        }
    }

    /// How many requests with this code were told of.
    fn told(&self, code: Code) -> usize {
        let seen = self.seen.0.lock();
        seen.iter().filter(|seen| **seen == Some(code)).count()
    }

    async fn chat(&self, stream: bool) -> reqwest::Result<(StatusCode, String)> {
        let body = json!({
            "model": "chat", "stream": stream, "max_tokens": 5,
            "messages": [{"role": "user", "content": "hello"}],
        });
        let answer = self
            .http
            .post(format!("{}/v1/chat/completions", self.url))
            .bearer_auth(SECRET)
            .header("x-simulator-delay-ms", "0")
            .json(&body)
            .send()
            .await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// The wallet, once no hold is left: it may end in a task of its own.
    async fn settled(&self) -> WalletView {
        let ended = async {
            loop {
                let wallet = self.ledger.wallet(wallet_id()).await.expect("a ledger");
                let wallet = wallet.expect("a wallet");
                if wallet.holds == 0 && self.gateway.live.count() == 0 {
                    return wallet;
                }
                tokio::task::yield_now().await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        ended.expect("the hold ends")
    }
}

async fn open(ledger: &dyn Ledger) {
    let opening = Entry {
        id: "opening".parse().expect("an id"),
        wallet: wallet_id(),
        kind: EntryKind::Opening,
        amount: OPENING,
        reason: String::new(),
        actor: String::new(),
        at: ledger.now(),
    };
    let wallet = NewWallet {
        id: wallet_id(),
        credit_line: Nano::ZERO,
        opening: Some(opening),
        grants: Vec::new(),
    };
    ledger.open_wallet(wallet).await.expect("a wallet");
    let key = Key {
        id: "k".parse().expect("an id"),
        wallet: wallet_id(),
        name: "k".to_owned(),
        revision: 0,
        enabled: true,
        expires_at: None,
        models: ModelSet::All,
        allowed_ips: Vec::new(),
        limits: Vec::new(),
        on_short: OnShort::Refuse,
        on_disconnect: OnDisconnect::Drain,
        offline_allowance: Nano::ZERO,
        multiplier: Factor::ONE,
        created_at: ledger.now(),
    };
    let digest = ledger.digest(SECRET);
    ledger.put_key(key, digest).await.expect("a key");
}

/// Rivals: litellm #27639 #30330, new-api #4429, one-api #518: a hold outlived the handler that panicked.
#[tokio::test]
async fn a_panic_before_the_answer_is_a_500_and_ends_the_hold_without_a_charge() {
    let proxy = Proxy::start().await;
    let cases = [
        (Moment::Quoting, false),
        (Moment::Quoting, true),
        (Moment::Held, true),
        (Moment::Settling, false),
    ];
    for (moment, stream) in cases {
        proxy.ledger.arm(Some(moment));
        let (status, body) = proxy.chat(stream).await.expect("an answer");
        assert_eq!(
            status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{moment:?} {body}"
        );
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["error"]["code"], "internal_error", "{moment:?}");
        assert_eq!(*proxy.ledger.panics.lock(), None, "{moment:?} came");
        let wallet = proxy.settled().await;
        let money = (wallet.balance, wallet.held, wallet.charged);
        assert_eq!(money, (OPENING, Nano::ZERO, Nano::ZERO), "{moment:?}");
    }
}

#[tokio::test]
async fn a_panic_after_the_charge_is_a_500_and_the_charge_stands_once() {
    let proxy = Proxy::start().await;
    proxy.ledger.arm(Some(Moment::Settled));
    let (status, _) = proxy.chat(false).await.expect("an answer");
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let once = proxy.settled().await;
    assert!(!once.charged.is_zero() && once.held.is_zero());
    assert_eq!(once.balance.checked_add(once.charged), Some(OPENING));
    proxy.ledger.arm(None);
    let (status, _) = proxy.chat(false).await.expect("an answer");
    assert_eq!(status, StatusCode::OK);
    let twice = proxy.settled().await;
    assert_eq!(Some(twice.charged), once.charged.checked_mul(2));
}

#[tokio::test]
async fn a_panic_in_a_stream_withholds_its_end_and_ends_the_hold() {
    let proxy = Proxy::start().await;
    for (moment, charged) in [(Moment::Settling, false), (Moment::Settled, true)] {
        let before = proxy.settled().await;
        proxy.ledger.arm(Some(moment));
        let answer = proxy.chat(true).await;
        assert!(
            !answer.is_ok_and(|(_, body)| body.contains("[DONE]")),
            "{moment:?}: nobody sees the end of what was not concluded"
        );
        assert_eq!(*proxy.ledger.panics.lock(), None, "{moment:?} came");
        let after = proxy.settled().await;
        assert_eq!(after.charged > before.charged, charged, "{moment:?}");
        assert!(after.held.is_zero(), "{moment:?}");
    }
    proxy.ledger.arm(None);
    let (status, body) = proxy.chat(true).await.expect("others are served on");
    assert!(
        status == StatusCode::OK && body.contains("[DONE]"),
        "{body}"
    );
}

#[tokio::test]
async fn audit_is_clean_after_panics() {
    let proxy = Proxy::start().await;
    let moments = [
        Moment::Quoting,
        Moment::Held,
        Moment::Settling,
        Moment::Settled,
    ];
    for moment in moments {
        for stream in [false, true] {
            proxy.ledger.arm(Some(moment));
            drop(proxy.chat(stream).await);
        }
    }
    proxy.settled().await;
    let report = proxy.ledger.audit().await.expect("a report");
    assert_eq!((report.live_holds, report.findings), (0, Vec::new()));
}
