//! The corpus of exchanges: for each shape that vendors send, the exact usage and charge, and the exact bytes that reach
//! the client. One file per exchange below `tests/corpus/exchanges`; `tests/corpus/exchange.rs` says how to read one.
//! The models and their prices are in `tests/corpus/models.json`, and every cost was computed from them by hand.

#[path = "corpus/exchange.rs"]
mod exchange;
#[path = "corpus/outcome.rs"]
mod outcome;
#[path = "corpus/rivals.rs"]
mod rivals;
#[path = "corpus/splits.rs"]
mod splits;
#[path = "corpus/stage.rs"]
mod stage;
mod support;
#[path = "corpus/template.rs"]
mod template;

use exchange::Exchange;
use outcome::Outcome;
use stage::{Stage, Turn};
use support::setup::ALICE;
use template::Piece;

#[test]
fn every_exchange_is_charged_to_the_nano_and_its_additions_are_those_that_it_names() {
    let exchanges = exchange::all();
    let stage = Stage::start(&exchanges);
    let whole = |exchange| Turn {
        exchange,
        cuts: String::new(),
    };
    let turns: Vec<Turn<'_>> = exchanges.iter().map(whole).collect();
    assert!(stage.play(&turns) >= 250);
}

#[test]
fn what_a_client_gets_is_what_it_would_have_got_directly_but_for_the_additions() {
    let exchanges = exchange::all();
    let stage = Stage::start(&exchanges);
    for exchange in &exchanges {
        let name = &exchange.name;
        let Some(direct) = exchange.ask_directly(&stage.upstream) else {
            continue;
        };
        assert_eq!(direct.body, exchange.script.body, "{name}");
        let through = stage.proxy.send(ALICE, exchange.call());
        if matches!(exchange.outcome, Outcome::Refused(..)) {
            continue;
        }
        // Where nothing is added, the comparison needs no template.
        let adds = |piece: &Piece| !matches!(piece, Piece::Bytes(_));
        if !exchange.answer.got.iter().any(adds) && exchange.answer.got.len() == 1 {
            assert_eq!(through.body.len(), received(exchange).len(), "{name}");
        }
        assert_eq!(through.status, direct.status, "{name}");
        let own = |name: &str| {
            name.starts_with("x-tollgate-") && name != "x-tollgate-upstream-request-id"
                || [
                    "x-request-id",
                    "request-id",
                    "content-length",
                    "transfer-encoding",
                    "trailer",
                ]
                .contains(&name)
        };
        let mut headers = through.headers.0.clone();
        headers.retain(|(name, _)| !own(name));
        headers.sort_unstable();
        assert_eq!(headers, Exchange::passed_on(&direct.headers), "{name}");
        let id = through.header("x-tollgate-request-id");
        assert_eq!(through.header("x-request-id"), id, "{name}");
        // A length is told where it is known: not of what flows, nor of an error that is decoded on its way.
        let flows = exchange.is_stream() || exchange.is_late;
        let is_told = direct.headers.has("content-length") && !flows;
        match through.headers.get("content-length") {
            Some(length) => assert_eq!(length, exchange.answer.sent.len().to_string(), "{name}"),
            None => assert!(!is_told || direct.headers.has("content-encoding"), "{name}"),
        }
    }
}

/// Rivals: several: bodies were parsed and printed anew, and lost fields such as `logprobs: false`.
#[test]
fn what_an_upstream_gets_is_what_the_client_sent_but_for_the_additions() {
    let exchanges = exchange::all();
    let stage = Stage::start(&exchanges);
    for exchange in &exchanges {
        stage.proxy.send(ALICE, exchange.call());
        let seen = stage.upstream.last(&exchange.name);
        if let Err(why) = exchange.request.compare(&seen.body, "") {
            panic!("{}: {why}", exchange.name);
        }
        let kind = exchange.header("content-type");
        let kind = kind.unwrap_or("application/json");
        assert_eq!(
            seen.content_type.as_deref(),
            Some(kind),
            "{}",
            exchange.name
        );
    }
}

/// The bytes that pass, without what the proxy puts in.
fn received(exchange: &Exchange) -> Vec<u8> {
    let bytes = exchange.answer.got.iter().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes.as_slice(),
        _ => &[],
    });
    bytes.collect::<Vec<_>>().concat()
}
