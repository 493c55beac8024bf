//! What one attempt puts on the wire, and what it makes of what comes back, against a small scripted server.

mod options;
mod order;
mod origin;
mod pool;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpListener;

use super::retry::{Attempt, Next, decide};
use super::*;
use crate::secret::Secret;
use origin::{LATER, Origin, Reply};

const CANARY: &str = "sk-canary";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn row(base_url: &str) -> config::Upstream {
    config::Upstream {
        kind: UpstreamKind::Openai,
        base_url: Some(base_url.to_owned()),
        api_key: Some(Secret::new(CANARY.to_owned())),
        response_timeout_ms: 30_000,
        idle_timeout_ms: 30_000,
        ..config::Upstream::simulator()
    }
}

fn route(upstream: &str, priority: u32, weight: u32) -> config::Route {
    config::Route {
        upstream: upstream.to_owned(),
        model: "theirs".to_owned(),
        weight,
        priority,
    }
}

/// A config of these upstreams, and a model `m` with these routes.
fn config<const N: usize>(rows: [(&str, config::Upstream); N], routes: &[config::Route]) -> Config {
    const SMALL: &str = r#"{ "currency": "CNY", "upstreams": { "up": { "kind": "simulator" } },
        "models": [{ "id": "m", "upstream": "up", "prices": [{ "free": true }] }] }"#;
    let mut config = Config::parse(SMALL, "test.yaml", &|_| None).expect("a config");
    config.upstreams = rows.map(|(name, row)| (name.to_owned(), row)).into();
    config.models[0].routes = routes.to_vec();
    config
}

fn build<const N: usize>(
    rows: [(&str, config::Upstream); N],
    routes: &[config::Route],
) -> Result<Upstreams, SetupError> {
    Upstreams::new(&config(rows, routes))
}

/// One upstream `up` that serves the model `m`.
fn one(row: config::Upstream) -> Upstreams {
    build([("up", row)], &[route("up", 0, 1)]).expect("upstreams")
}

/// The server as upstream `up`, with this path as its base.
fn at(origin: &Origin, path: &str) -> Upstreams {
    one(row(&format!("http://{}{path}", origin.address)))
}

fn call() -> Call<'static> {
    Call {
        method: Method::POST,
        path: "/chat/completions",
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{\"model\":\"m\"}"),
    }
}

async fn send(upstreams: &Upstreams) -> Result<Response<UpstreamBody>, SendError> {
    let route = upstreams.route("m");
    upstreams.send(&route[0], call()).await
}

/// The error of an attempt, which must never show the key.
async fn failure(upstreams: &Upstreams) -> SendError {
    let error = send(upstreams).await.expect_err("a failure");
    let shown = format!("{error} {error:?} {upstreams:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(error.to_string().contains("upstream `up`"), "{error}");
    error
}

async fn text(response: Response<UpstreamBody>) -> String {
    let body = response.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8")
}

/// An address at which nothing listens.
fn nowhere() -> String {
    "http://127.0.0.1:1".to_owned()
}

#[tokio::test]
async fn a_call_goes_below_the_base_with_the_upstreams_credential() {
    let origin = Origin::start(&[Reply::Keep(OK)]).await;
    let upstreams = at(&origin, "/api/v3/");
    let mut call = call();
    for (name, value) in [
        ("authorization", "Bearer client-key"),
        ("accept-encoding", "gzip, br"),
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("host", "elsewhere"),
        ("x-custom", "kept"),
    ] {
        call.headers.insert(name, HeaderValue::from_static(value));
    }
    let route = upstreams.route("m");
    let response = upstreams
        .send(&route[0], call.clone())
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, "ok");

    let (_, request) = origin.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /api/v3/chat/completions HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", origin.address);
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "authorization: Bearer sk-canary",
            "content-length: 13",
            host.as_str(),
            "x-custom: kept",
        ]
    );
    assert_eq!(body, "{\"model\":\"m\"}");
}

#[tokio::test]
async fn an_upstream_without_a_key_gets_no_credential_at_all() {
    let origin = Origin::start(&[Reply::Keep(OK)]).await;
    let base = format!("http://{}", origin.address);
    let upstreams = one(config::Upstream {
        api_key: None,
        ..row(&base)
    });
    let mut call = call();
    call.headers.insert(
        "authorization",
        HeaderValue::from_static("Bearer client-key"),
    );
    let route = upstreams.route("m");
    upstreams
        .send(&route[0], call.clone())
        .await
        .expect("an answer");
    assert!(!origin.requests()[0].1.contains("authorization"));
}

#[tokio::test]
async fn a_refused_connection_is_tried_elsewhere_with_the_same_bytes() {
    let origin = Origin::start(&[Reply::Keep(OK)]).await;
    let (first, second) = (nowhere(), format!("http://{}", origin.address));
    let upstreams = build(
        [("up", row(&first)), ("other", row(&second))],
        &[route("other", 2, 1), route("up", 1, 1)],
    )
    .expect("upstreams");
    let error = failure(&upstreams).await;
    assert_eq!((error.kind, error.sent), (SendErrorKind::Connect, false));
    assert_eq!(decide(Attempt::Failed(&error)), Next::Retry);

    let route = upstreams.route("m");
    let names: Vec<_> = route
        .iter()
        .map(|endpoint| endpoint.upstream().as_ref())
        .collect();
    assert_eq!(names, ["up", "other"]);
    upstreams.send(&route[1], call()).await.expect("an answer");
    assert!(origin.requests()[0].1.ends_with("{\"model\":\"m\"}"));
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_is_a_failure_to_connect() {
    // Its backlog takes the connection; nobody ever reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("https://{}", silent.local_addr().expect("an address"));
    let upstreams = one(config::Upstream {
        connect_timeout_ms: 20,
        ..row(&base)
    });
    let error = failure(&upstreams).await;
    assert_eq!((error.kind, error.sent), (SendErrorKind::Connect, false));
    assert!(error.to_string().contains("20 ms"), "{error}");
}

#[tokio::test]
async fn a_timeout_of_a_request_that_was_sent_is_not_tried_again() {
    let origin = Origin::start(&[Reply::Hang]).await;
    let upstreams = one(config::Upstream {
        response_timeout_ms: 500,
        ..row(&format!("http://{}", origin.address))
    });
    let error = failure(&upstreams).await;
    assert_eq!((error.kind, error.sent), (SendErrorKind::Timeout, true));
    assert_eq!(decide(Attempt::Failed(&error)), Next::Fail);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_closed_before_the_head_is_not_tried_again() {
    let origin = Origin::start(&[Reply::Close("")]).await;
    let error = failure(&at(&origin, "")).await;
    assert_eq!((error.kind, error.sent), (SendErrorKind::Closed, true));
    assert_eq!(decide(Attempt::Failed(&error)), Next::Fail);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_closes_under_a_request_does_not_repeat_it() {
    let origin = Origin::start(&[Reply::Keep(OK), Reply::Close(""), Reply::Keep(OK)]).await;
    let upstreams = at(&origin, "");
    assert_eq!(text(send(&upstreams).await.expect("an answer")).await, "ok");
    let error = failure(&upstreams).await;
    assert_eq!((error.kind, error.sent), (SendErrorKind::Closed, true));
    assert_eq!(text(send(&upstreams).await.expect("an answer")).await, "ok");
    let connections: Vec<_> = origin.requests().iter().map(|seen| seen.0).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[tokio::test]
async fn connections_that_close_after_every_answer_never_make_a_request_arrive_twice() {
    let origin = Origin::start(&[Reply::Close(OK)]).await;
    let upstreams = Arc::new(at(&origin, ""));
    let attempts = (0..100).map(|number| {
        let upstreams = upstreams.clone();
        tokio::spawn(async move {
            let call = Call {
                body: Bytes::from(format!("request {number}")),
                ..call()
            };
            let sent = upstreams.send(&upstreams.route("m")[0], call.clone()).await;
            // Reading on hands the connection to the next, which may find it closing.
            match sent {
                Ok(response) => text(response).await == "ok",
                Err(error) => error.sent,
            }
        })
    });
    let mut arrived = 0;
    for attempt in attempts {
        arrived += usize::from(attempt.await.expect("no panic"));
    }
    let requests = origin.requests();
    let mut bodies: Vec<_> = requests.iter().map(|(_, text)| text.as_str()).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(
        bodies.len(),
        requests.len(),
        "every request arrived at most once"
    );
    assert!(requests.len() <= arrived, "what arrived counts as sent");
}

#[tokio::test]
async fn an_answer_that_is_not_http_breaks_the_protocol() {
    let origin = Origin::start(&[Reply::Close("SSH-2.0-OpenSSH_9.6\r\n\r\n")]).await;
    let error = failure(&at(&origin, "")).await;
    assert_eq!((error.kind, error.sent), (SendErrorKind::Protocol, true));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    const MOVED: &str =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: /v2/elsewhere\r\ncontent-length: 0\r\n\r\n";
    let origin = Origin::start(&[Reply::Keep(MOVED), Reply::Keep(OK)]).await;
    let response = send(&at(&origin, "")).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()["location"], "/v2/elsewhere");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_gives_what_came_and_then_an_error() {
    const CUT: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let origin = Origin::start(&[Reply::Close(CUT)]).await;
    let mut body = send(&at(&origin, "")).await.expect("an answer").into_body();
    let first = body.frame().await.expect("a frame").expect("data");
    assert_eq!(first.into_data().expect("data"), "hello");
    let error = body.frame().await.expect("an end").expect_err("an error");
    assert!(error.to_string().contains("broke off"), "{error}");
}

#[tokio::test]
async fn a_route_has_each_endpoint_once_by_priority_and_weight() {
    let upstreams = build(
        ["a", "b", "c"].map(|name| (name, row("http://host"))),
        &[route("c", 1, 1), route("a", 0, 9), route("b", 0, 1)],
    )
    .expect("upstreams");
    let mut first_a = 0;
    for _ in 0..1_000 {
        let route = upstreams.route("m");
        let names: Vec<_> = route
            .iter()
            .map(|endpoint| endpoint.upstream().as_ref())
            .collect();
        assert!(
            names == ["a", "b", "c"] || names == ["b", "a", "c"],
            "{names:?}"
        );
        first_a += usize::from(names[0] == "a");
    }
    assert!((860..=940).contains(&first_a), "{first_a}");
    assert!(upstreams.route("unknown").is_empty());
}

#[test]
fn what_cannot_be_set_up_names_the_upstream_and_the_reason() {
    let unknown = build([], &[route("typo", 0, 1)]).expect_err("unknown");
    assert!(
        unknown.to_string().contains("`typo`: model `m`"),
        "{unknown}"
    );
    let no_url = build([("up", row("example.com/v1"))], &[]).expect_err("no URL");
    assert!(
        no_url.to_string().starts_with("upstream `up`: `base_url`"),
        "{no_url}"
    );
}

#[test]
fn an_endpoint_names_the_model_as_its_upstream_does_and_a_simulator_as_the_client_did() {
    let never = config::Upstream {
        ask_usage: AskUsage::Never,
        ..row("http://host")
    };
    let endpoint = one(never).route("m").remove(0);
    assert_eq!(endpoint.model().map(Arc::as_ref), Some("theirs"));
    assert!(!endpoint.ask_usage() && !endpoint.is_simulator());
    let simulator = config::Upstream {
        kind: UpstreamKind::Simulator,
        base_url: None,
        ..row("")
    };
    let endpoint = one(simulator).route("m").remove(0);
    assert_eq!(endpoint.model(), None);
    assert!(endpoint.ask_usage() && endpoint.is_simulator());
}
