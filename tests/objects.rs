//! Objects that an upstream keeps: each customer reaches its own, and none another's; what is written in the background
//! is charged once, by what it came to. The real binary runs against an upstream that keeps what it made.

#[path = "objects/background.rs"]
mod background;
#[path = "objects/restarts.rs"]
mod restarts;
mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::keeper::Keeper;
use support::setup::{ALICE, BOB, UPSTREAM_KEY};
use support::{Answer, Call, Proxy, Setup, nano, until};

fn start() -> (Keeper, Proxy) {
    let keeper = Keeper::start();
    let proxy = Proxy::start(&setup(&keeper));
    (keeper, proxy)
}

fn setup(keeper: &Keeper) -> Setup {
    let key = |name: &str, secret: &str| json!({ "name": name, "secret": secret, "balance": "10" });
    let model = |id: &str, upstream: &str| {
        json!({
            "id": id, "upstream": upstream, "context_tokens": 10_000, "max_output_tokens": 1_000,
            "prices": [{ "per": "1M tokens", "input": 4, "output": 16 }],
        })
    };
    let upstream = json!({ "base_url": keeper.base_url(), "api_key": UPSTREAM_KEY, "files": true });
    Setup(json!({
        "server": { "listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "drain_seconds": 20 },
        "ledger": { "path": "tollgate.db", "durability": "process" },
        "currency": "CNY",
        "upstreams": { "keeper": upstream, "other": { "base_url": keeper.base_url(), "api_key": UPSTREAM_KEY } },
        "models": [
            model("m", "keeper"), model("elsewhere", "other"),
            { "id": "/videos", "aliases": ["/videos/stream"], "category": "path", "upstream": "keeper",
              "prices": [{ "request": "0.5" }] },
        ],
        "keys": [key("alice", ALICE), key("bob", BOB)],
    }))
}

fn ask(fields: Value) -> Call {
    let mut body = json!({ "model": "m", "input": "Hello", "max_output_tokens": 100 });
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    Call::json("/v1/responses", &body)
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn not_found(answer: &Answer) {
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "object_not_found");
}

/// 20 input tokens at 4, 5 output tokens at 16 a million.
const COST: &str = "0.00016";

#[test]
fn a_stored_response_is_reached_by_its_wallet_alone_and_costs_nothing_again() {
    let (keeper, proxy) = start();
    let made = proxy.send(ALICE, ask(json!({})));
    let id = id(&made);
    assert_eq!(made.header("x-tollgate-cost"), COST);
    let path = format!("/v1/responses/{id}");
    for secret in [BOB, ALICE] {
        for call in [
            Call::get(&path),
            Call::get(&format!("{path}/input_items")),
            Call::post(&format!("{path}/cancel"), ""),
            ask(json!({ "previous_response_id": id })),
            Call::new("DELETE", &path, ""),
        ] {
            let answer = proxy.send(secret, call);
            match secret {
                BOB => not_found(&answer),
                _ => assert_eq!(answer.status, 200, "{answer:?}"),
            }
        }
    }
    assert_eq!(keeper.count(&format!("GET /responses/{id}")), 1);
    not_found(&proxy.send(ALICE, Call::get(&path)));
    // The first response, and the one that went on from it.
    assert_eq!(proxy.receipts("alice").len(), 2);
    assert!(proxy.receipts("bob").is_empty());
    proxy.audit();
}

#[test]
fn a_streamed_response_is_reached_too_and_one_that_is_not_stored_is_not() {
    let (_keeper, proxy) = start();
    let streamed = proxy.send(ALICE, ask(json!({ "stream": true })));
    assert!(streamed.whole && streamed.text().contains("response.completed"));
    let answer = proxy.send(ALICE, Call::get("/v1/responses/resp_1"));
    assert_eq!(id(&answer), "resp_1");
    let unstored = id(&proxy.send(ALICE, ask(json!({ "store": false }))));
    not_found(&proxy.send(ALICE, Call::get(&format!("/v1/responses/{unstored}"))));
}

#[test]
fn what_was_said_before_is_held_for_in_full() {
    let (_keeper, proxy) = start();
    let first = proxy.send(ALICE, ask(json!({})));
    let next = proxy.send(ALICE, ask(json!({ "previous_response_id": id(&first) })));
    let hold = |answer: &Answer| nano(answer.header("x-tollgate-hold"));
    // The whole context at 4, 100 tokens at 16 a million.
    assert_eq!(hold(&next), 10_000 * 4_000 + 100 * 16_000);
    assert!(hold(&first) < hold(&next));
}

#[test]
fn a_model_at_another_upstream_cannot_go_on_from_it() {
    let (_keeper, proxy) = start();
    let first = id(&proxy.send(ALICE, ask(json!({}))));
    let next = ask(json!({ "model": "elsewhere", "previous_response_id": first }));
    let answer = proxy.send(ALICE, next);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.json()["error"]["param"], "previous_response_id");
}

#[test]
fn an_upload_whose_client_goes_is_its_wallets_all_the_same() {
    let (keeper, proxy) = start();
    keeper.delay_uploads(Duration::from_millis(300));
    let upload = Call::post("/v1/files", "x").header("content-type", "multipart/form-data");
    let leaving = upload.key(ALICE).start(&proxy.address);
    until("the upload", || {
        (keeper.count("POST /files") == 1).then_some(())
    });
    drop(leaving);
    until("the file", || {
        let files = proxy.view(ALICE, "/v1/files");
        (files["data"][0]["id"] == "file-1").then_some(())
    });
}

#[test]
fn files_are_reached_listed_and_used_by_their_wallet_alone() {
    let (keeper, proxy) = start();
    let form =
        "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--b--\r\n";
    let upload =
        || Call::post("/v1/files", form).header("content-type", "multipart/form-data; boundary=b");
    let first = id(&proxy.send(ALICE, upload()));
    let second = id(&proxy.send(ALICE, upload()));
    let other = id(&proxy.send(BOB, upload()));
    let listed = |secret: &str, path: &str| {
        let page = proxy.view(secret, path);
        let ids = page["data"].as_array().expect("a list").iter();
        let ids: Vec<String> = ids
            .map(|file| file["id"].as_str().expect("an id").to_owned())
            .collect();
        (ids, page["has_more"] == true)
    };
    assert_eq!(listed(BOB, "/v1/files"), (vec![other.clone()], false));
    let (mine, _) = listed(ALICE, "/v1/files");
    assert_eq!(mine.len(), 2);
    let (page, more) = listed(ALICE, "/v1/files?limit=1");
    assert!(page.len() == 1 && more);
    let after = format!("/v1/files?limit=1&after={}", page[0]);
    let (rest, more) = listed(ALICE, &after);
    assert!(rest.len() == 1 && !more && rest != page);
    let content = proxy.send(ALICE, Call::get(&format!("/v1/files/{first}/content")));
    assert!(content.text().contains("user_data"), "{content:?}");
    let using = |id: &str| {
        ask(
            json!({ "input": [{ "role": "user", "content": [{ "type": "input_file", "file_id": id }] }] }),
        )
    };
    assert_eq!(proxy.send(ALICE, using(&second)).status, 200);
    let stolen = proxy.send(ALICE, using(&other));
    not_found(&stolen);
    assert_eq!(
        stolen.json()["error"]["param"],
        "input[0].content[0].file_id"
    );
    not_found(&proxy.send(ALICE, Call::get(&format!("/v1/files/{other}"))));
    not_found(&proxy.send(
        ALICE,
        Call::new("DELETE", &format!("/v1/files/{other}"), ""),
    ));
    let deleted = proxy.send(
        ALICE,
        Call::new("DELETE", &format!("/v1/files/{first}"), ""),
    );
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(listed(ALICE, "/v1/files"), (vec![second], false));
    assert_eq!(keeper.count("GET /files"), 0);
    proxy.audit();
}

#[test]
fn a_path_that_the_operator_prices_is_charged_by_the_request_and_others_are_refused() {
    let (keeper, proxy) = start();
    let form =
        || Call::post("/v1/videos", "a body\r\nof any kind").header("content-type", "text/x-any");
    let answer = proxy.send(ALICE, form());
    assert_eq!(answer.json()["made_of"], "a body\r\nof any kind");
    assert_eq!(answer.header("x-tollgate-cost"), "0.5");
    assert_eq!(answer.header("x-tollgate-model"), "/videos");
    let streamed = proxy.send(ALICE, Call::post("/v1/videos/stream", "{}"));
    assert!(
        streamed.whole && streamed.text().starts_with("data: 1\n\n"),
        "{streamed:?}"
    );
    let receipts = proxy.receipts("alice");
    assert_eq!(receipts.len(), 2);
    for receipt in &receipts {
        assert_eq!(
            (&receipt["cost"], &receipt["counted"]),
            (&json!("0.5"), &json!("exact"))
        );
    }
    for path in ["/v1/videos/1", "/v1/video", "/v1/videos/"] {
        assert_eq!(
            proxy.send(ALICE, Call::post(path, "{}")).status,
            404,
            "{path}"
        );
    }
    assert_eq!(proxy.send(ALICE, Call::get("/v1/videos")).status, 404);
    let as_model = ask(json!({ "model": "/videos" }));
    assert_eq!(proxy.send(ALICE, as_model).status, 400);
    assert_eq!(keeper.count("POST /videos"), 1);
    proxy.audit();
}
