//! One pass over the names of a head drops what a look-up of each name that might be there would drop.

use proptest::prelude::*;

use super::*;

/// Drops these names, one after the other, and those that `also` says.
fn drop_each(headers: &mut HeaderMap, names: &[&str], also: impl Fn(&str) -> bool) {
    let connection = headers.get_all(header::CONNECTION).iter();
    let connection: Vec<String> = connection
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| name != "content-type")
        .collect();
    for name in connection {
        if let Ok(name) = name.parse::<HeaderName>() {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP.iter().chain(names) {
        headers.remove(*name);
    }
    let others: Vec<HeaderName> = headers.keys().cloned().collect();
    for name in others {
        if also(name.as_str()) {
            headers.remove(name);
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    let listed = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        prop::sample::select(names)
    };
    prop_oneof![
        listed(&HOP_BY_HOP),
        listed(&CLIENT_ONLY),
        listed(&OPERATOR_ONLY),
        (listed(&STEERING), "[a-z]{1,4}").prop_map(|(begin, end)| format!("{begin}{end}")),
        (listed(&X_STEERING), "[a-z]{0,4}").prop_map(|(begin, end)| format!("x-{begin}{end}")),
        (listed(&OPERATOR_ONLY_PREFIXES), "[a-z]{1,4}")
            .prop_map(|(begin, end)| format!("{begin}{end}")),
        listed(&[
            "content-type",
            "request-id",
            "x-request-id",
            "accept",
            "connection",
            "user-agent"
        ]),
        "(x-)?[a-z]{1,5}(-[a-z]{1,5})?",
    ]
}

fn head() -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof![
        "[a-z0-9]{0,6}",
        prop::collection::vec(name(), 1..4).prop_map(|names| names.join(" , "))
    ];
    prop::collection::vec((name(), value), 0..24).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        headers
    })
}

proptest! {
    #[test]
    fn what_is_dropped_towards_an_upstream_is_what_was_named(head in head()) {
        let mut expected = head.clone();
        drop_each(&mut expected, &CLIENT_ONLY, steers);
        let mut headers = head;
        towards_upstream_as_sent(&mut headers);
        prop_assert_eq!(headers, expected);
    }

    #[test]
    fn what_is_dropped_towards_a_client_is_what_was_named(head in head()) {
        let mut expected = head.clone();
        drop_each(&mut expected, &OPERATOR_ONLY, |name| begins(name, &OPERATOR_ONLY_PREFIXES));
        for name in &REQUEST_IDS {
            if let Some(id) = expected.remove(name) {
                expected.insert(UPSTREAM_REQUEST_ID, id);
            }
        }
        let mut headers = head;
        towards_client(&mut headers);
        prop_assert_eq!(headers, expected);
    }
}
