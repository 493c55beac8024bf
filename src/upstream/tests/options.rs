use super::*;

#[tokio::test]
async fn what_the_operator_adds_is_sent_in_place_of_what_the_client_says() {
    let origin = Origin::start(&[Reply::Keep(OK)]).await;
    let secret = |text: &str| Secret::new(text.to_owned());
    let upstreams = one(config::Upstream {
        auth_header: http::HeaderName::from_static("api-key"),
        headers: vec![(http::HeaderName::from_static("x-title"), secret("shop"))],
        query: vec![("api-version".to_owned(), secret("2024-10-21"))],
        ..row(&format!("http://{}/openai", origin.address))
    });
    let mut call = call();
    for (name, value) in [
        ("authorization", "Bearer client-key"),
        ("api-key", "client-key"),
        ("x-title", "client"),
    ] {
        call.headers.append(name, HeaderValue::from_static(value));
        call.headers.append(name, HeaderValue::from_static("twice"));
    }
    let route = upstreams.route("m");
    upstreams.send(&route[0], call).await.expect("an answer");
    let (_, request) = origin.requests().remove(0);
    let (head, _) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(
        lines.remove(0),
        "POST /openai/chat/completions?api-version=2024-10-21 HTTP/1.1"
    );
    lines.sort_unstable();
    let host = format!("host: {}", origin.address);
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "api-key: sk-canary",
            "content-length: 13",
            host.as_str(),
            "x-title: shop",
        ]
    );
}

#[tokio::test]
async fn an_upstream_that_is_as_it_was_keeps_its_connections() {
    let kept = Origin::start(&[Reply::Keep(OK)]).await;
    let changed = Origin::start(&[Reply::Keep(OK)]).await;
    let rows = |key: &str| {
        let at = |origin: &Origin| row(&format!("http://{}", origin.address));
        let changed = config::Upstream {
            api_key: Some(Secret::new(key.to_owned())),
            ..at(&changed)
        };
        [("kept", at(&kept)), ("changed", changed)]
    };
    let routes = [route("kept", 0, 1), route("changed", 1, 1)];
    let ask = async |upstreams: &Upstreams, held: Option<&Arc<Endpoint>>| {
        let route = upstreams.route("m");
        for endpoint in route.iter().chain(held) {
            let answer = upstreams.send(endpoint, call()).await;
            assert_eq!(text(answer.expect("an answer")).await, "ok");
        }
        route[1].clone()
    };
    let before = build(rows("sk-old"), &routes).expect("upstreams");
    let held = ask(&before, None).await;
    let after = before.rebuilt(&config(rows("sk-new"), &routes));
    let after = after.expect("upstreams");
    drop(before);
    // A request under way keeps the endpoint that it began with.
    ask(&after, Some(&held)).await;
    drop(held);
    let connections = |origin: &Origin| -> Vec<usize> {
        origin
            .requests()
            .iter()
            .map(|(number, _)| *number)
            .collect()
    };
    let numbers = connections(&kept);
    assert_eq!(numbers[0], numbers[1]);
    let numbers = connections(&changed);
    assert!(
        numbers[0] != numbers[1] && numbers[0] == numbers[2],
        "{numbers:?}"
    );
    let keys: Vec<bool> = changed
        .requests()
        .iter()
        .map(|(_, request)| request.contains("Bearer sk-new"))
        .collect();
    assert_eq!(keys, [false, true, false]);
    let gone = after
        .rebuilt(&config([], &routes))
        .expect_err("no upstream");
    assert!(gone.to_string().contains("`kept`"), "{gone}");
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_a_failure_to_connect() {
    // Its backlog takes the connection; nobody ever reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let upstreams = one(config::Upstream {
        connect_timeout_ms: 20,
        proxy: Some(config::Proxy {
            address: address.clone(),
            authorization: Some(Secret::new(format!("Basic {CANARY}"))),
        }),
        ..row("http://upstream.test")
    });
    let error = failure(&upstreams).await;
    assert_eq!((error.kind, error.sent), (SendErrorKind::Connect, false));
    let said = format!("no connection within 20 ms through the proxy {address}");
    assert!(error.to_string().ends_with(&said), "{error}");
}

#[tokio::test]
async fn a_tunnel_to_an_address_without_a_port_is_to_that_of_its_scheme() {
    const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    let proxy = Origin::start(&[Reply::Close(REFUSED)]).await;
    for base in ["http://upstream.test/v1", "https://upstream.test/v1"] {
        let upstreams = one(config::Upstream {
            proxy: Some(config::Proxy {
                address: proxy.address.to_string(),
                authorization: None,
            }),
            ..row(base)
        });
        failure(&upstreams).await;
    }
    let requests = proxy.requests();
    let lines: Vec<_> = requests
        .iter()
        .filter_map(|(_, request)| request.lines().next())
        .collect();
    assert_eq!(
        lines,
        [
            "CONNECT upstream.test:80 HTTP/1.1",
            "CONNECT upstream.test:443 HTTP/1.1"
        ]
    );
}

/// The head of the one request that arrives when this is sent: its first line, and its other lines in order.
async fn head_of(call: Call<'_>) -> (String, Vec<String>) {
    let origin = Origin::start(&[Reply::Keep(OK)]).await;
    let upstreams = one(config::Upstream {
        api_key: None,
        query: vec![("v".to_owned(), Secret::new("1".to_owned()))],
        ..row(&format!("http://{}/v1", origin.address))
    });
    let route = upstreams.route("m");
    upstreams.send(&route[0], call).await.expect("an answer");
    let (_, request) = origin.requests().remove(0);
    let (head, _) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    let first = lines.remove(0);
    lines.retain(|line| !line.starts_with("host: "));
    lines.sort_unstable();
    (first, lines)
}

#[tokio::test]
async fn a_call_without_a_body_describes_none() {
    for (method, length) in [
        (Method::GET, None),
        (Method::DELETE, None),
        (Method::POST, Some("content-length: 0")),
    ] {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("content-length", "9"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let call = Call {
            method: method.clone(),
            path: "/responses/resp_1?include[]=x",
            headers,
            body: Bytes::new(),
        };
        let (first, lines) = head_of(call).await;
        assert_eq!(
            first,
            format!("{method} /v1/responses/resp_1?v=1&include[]=x HTTP/1.1")
        );
        let rest = ["accept-encoding: identity"].into_iter().chain(length);
        assert_eq!(lines, rest.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_bodys_type_is_the_callers() {
    const FORM: &str = "multipart/form-data; boundary=x";
    let mut call = call();
    call.headers
        .insert("content-type", HeaderValue::from_static(FORM));
    let (_, lines) = head_of(call).await;
    assert!(
        lines.contains(&format!("content-type: {FORM}")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_call_that_leads_out_of_the_base_leaves_nothing_on_the_wire() {
    let origin = Origin::start(&[Reply::Keep(OK)]).await;
    let upstreams = at(&origin, "/v1");
    let call = Call {
        path: "/responses/../files",
        ..call()
    };
    let route = upstreams.route("m");
    let error = upstreams
        .send(&route[0], call)
        .await
        .expect_err("no address");
    assert_eq!((error.kind, error.sent), (SendErrorKind::Protocol, false));
    assert!(origin.requests().is_empty());
}
