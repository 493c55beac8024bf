//! A config for a test: a small one that works, and whatever the test changes in it.

use serde_json::{Map, Value, json};

use super::{Call, Connection, Mock, Proxy, until};

/// The secret of the key `alice`.
pub const ALICE: &str = "alice-0123456789-abcdefghij-XYZ";
/// The secret of the key `bob`.
pub const BOB: &str = "bob-0123456789-abcdefghij-XYZ";
/// What the upstream takes for a credential.
pub const UPSTREAM_KEY: &str = "upstream-canary-0123456789-abcdef";

/// A config as JSON, which is YAML too.
#[derive(Clone, Debug)]
pub struct Setup(pub Value);

/// A mock, and a proxy before it with the plain setup.
pub fn start() -> (Mock, Proxy) {
    start_with(|setup| setup)
}

/// A mock, and a proxy before it with a setup that differs.
pub fn start_with(change: impl FnOnce(Setup) -> Setup) -> (Mock, Proxy) {
    let mock = Mock::start();
    let proxy = Proxy::start(&change(Setup::new(&mock)));
    (mock, proxy)
}

/// A chat request to `vendor/chat`, with these fields too.
pub fn chat(fields: Value) -> Call {
    let mut body = json!({
        "model": "vendor/chat",
        "messages": [{ "role": "user", "content": "Say something." }],
    });
    merge(&mut body, fields);
    Call::json("/v1/chat/completions", &body)
}

/// A streamed chat request, with these fields too.
pub fn stream(fields: Value) -> Call {
    let mut all = json!({ "stream": true });
    merge(&mut all, fields);
    chat(all)
}

/// A request for images of `vendor/image`, with these fields too.
pub fn image(fields: Value) -> Call {
    let mut body = json!({ "model": "vendor/image", "prompt": "A gate." });
    merge(&mut body, fields);
    Call::json("/v1/images/generations", &body)
}

/// A request that holds what it needs for as long as the connection stays (and its key cancels what nobody
/// waits for).
pub fn occupy(mock: &Mock, proxy: &Proxy, secret: &str, call: Call) -> Connection {
    let before = mock.arrived();
    let call = call.header("x-mock-fault", "hang").key(secret);
    let connection = call.start(&proxy.address);
    until("the request to hang", || {
        (mock.arrived() > before).then_some(())
    });
    connection
}

impl Setup {
    /// `vendor/chat` (alias `chat`; 4 in, 16 out per 1M), `vendor/image` (alias `image`; 0.35 each) and `free/chat`
    /// over `mock`; keys alice and bob with 10 each.
    pub fn new(mock: &Mock) -> Setup {
        let chat = |id: &str, alias: &str, price: Value| {
            json!({
                "id": id, "aliases": [alias], "upstream": "mock", "prices": [price],
                "context_tokens": 65536, "max_output_tokens": 4096, "overhead_tokens": 64,
            })
        };
        let key =
            |name: &str, secret: &str| json!({ "name": name, "secret": secret, "balance": "10" });
        Setup(json!({
            "server": { "listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "drain_seconds": 20 },
            "ledger": { "path": "tollgate.db", "durability": "process" },
            "currency": "CNY",
            "upstreams": { "mock": { "base_url": mock.base_url(), "api_key": UPSTREAM_KEY } },
            "models": [
                chat("vendor/chat", "chat", json!({ "per": "1M tokens", "input": 4, "output": 16 })),
                chat("free/chat", "free", json!({ "free": true })),
                { "id": "vendor/image", "aliases": ["image"], "category": "text-to-image",
                  "upstream": "mock", "images_max": 8, "prices": [{ "per": "image", "image": "0.35" }] },
            ],
            "grants": [],
            "keys": [key("alice", ALICE), key("bob", BOB)],
            "caps": {},
        }))
    }

    /// Changes a field of a section such as `server`, `ledger` or `caps`.
    pub fn set(mut self, section: &str, field: &str, value: impl Into<Value>) -> Setup {
        self.0[section][field] = value.into();
        self
    }

    pub fn cap(self, field: &str, value: impl Into<Value>) -> Setup {
        self.set("caps", field, value)
    }

    /// Adds an upstream, or changes fields of one.
    pub fn upstream(mut self, name: &str, fields: Value) -> Setup {
        merge(&mut self.0["upstreams"][name], fields);
        self
    }

    /// Adds a model, or changes fields of the one with this `id`.
    pub fn model(self, fields: Value) -> Setup {
        self.item("models", "id", fields)
    }

    /// Adds a grant, or changes fields of the one with this `name`.
    pub fn grant(self, fields: Value) -> Setup {
        self.item("grants", "name", fields)
    }

    /// Adds a key, or changes fields of the one with this `name`.
    pub fn key(self, fields: Value) -> Setup {
        self.item("keys", "name", fields)
    }

    fn item(mut self, list: &str, id: &str, fields: Value) -> Setup {
        let items = self.0[list].as_array_mut().expect("a list");
        match items.iter_mut().find(|item| item[id] == fields[id]) {
            Some(item) => merge(item, fields),
            None => items.push(fields),
        }
        self
    }
}

fn merge(into: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else {
        panic!("not an object: {fields}")
    };
    if into.is_null() {
        *into = Value::Object(Map::new());
    }
    into.as_object_mut().expect("an object").extend(fields);
}
