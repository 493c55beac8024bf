//! A management API on a real listener, over a ledger in memory.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::sync::Arc;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tollgate::admin::Admin;
use tollgate::admin::token::AdminToken;
use tollgate::clock::{Clock, UnixMs};
use tollgate::config::Config;
use tollgate::gateway::Gateway;
use tollgate::gateway::catalog::{Catalog, Current};
use tollgate::ledger::Ledger;
use tollgate::ledger::embedded::Embedded;

/// The token of every server here.
pub const TOKEN: &str = "a-token-for-tests-only";

/// 2026-11-23T00:00:00Z
pub const NOW: UnixMs = UnixMs(1_795_392_000_000);

/// A config with two models and two grants; declared keys are appended to it.
pub const CONFIG: &str = r#"
server: { listen: "127.0.0.1:0", admin_listen: "127.0.0.1:8081", timezone: Asia/Shanghai }
ledger: { kind: embedded, path: unused.db, durability: process }
currency: CNY
upstreams:
  demo: { kind: simulator }
models:
  - id: vendor/chat
    aliases: [Chat]
    category: chat
    upstream: demo
    context_tokens: 1000
    max_output_tokens: 100
    prices:
      - { free: true }
      - { effective_from: "2025-03-31T00:00:00+08:00", per: 1M tokens, input: 4, output: 16 }
  - id: vendor/image
    category: text-to-image
    upstream: demo
    prices: [{ per: image, image: "0.35" }]
grants:
  - { name: free-chat, unit: tokens, amount: 500000, models: [vendor/chat] }
  - { name: free-image, unit: images, amount: 5, models: [vendor/image] }
"#;

/// A running server, and a client of it.
pub struct Server {
    pub url: String,
    pub ledger: Arc<Embedded>,
    http: Client,
}

/// Reads a config, with no environment.
pub fn config(text: &str) -> Config {
    Config::parse(text, "test.yaml", &|_| None).expect("a sound config")
}

/// A ledger in memory at [`NOW`].
pub fn ledger() -> Arc<Embedded> {
    Arc::new(Embedded::in_memory("CNY", Some(Clock::manual(NOW))).expect("memory"))
}

impl Server {
    /// Starts a server on a free port of the loopback; it ends with the test's runtime.
    pub async fn start() -> Server {
        let catalog = Catalog::new(config(CONFIG)).expect("a catalog");
        let ledger = ledger();
        let token = AdminToken::new(TOKEN).expect("a strong token");
        let shared = Arc::clone(&ledger) as Arc<dyn Ledger>;
        let gateway = Gateway::new(shared, Arc::new(Current::new(catalog)), None);
        let admin = Admin::new(Arc::new(gateway.expect("a gateway")), Some(token));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(admin.serve(listener, std::future::pending()));
        let http = Client::builder().no_proxy().build().expect("a client");
        Server { url, ledger, http }
    }

    /// A request with the right token, yet to be sent.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.bare(method, path).bearer_auth(TOKEN)
    }

    /// A request without a token, yet to be sent.
    pub fn bare(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }
}

/// Sends a request; the answer must be JSON.
pub async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    (status, json)
}
