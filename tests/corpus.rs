//! The corpus of exchanges: for each shape that vendors send, the exact usage and charge, and the exact bytes that reach
//! the client. One file per exchange below `tests/corpus/exchanges`; `tests/corpus/exchange.rs` says how to read one.
//! The models and their prices are in `tests/corpus/models.json`, and every cost was computed from them by hand.

#[path = "corpus/exchange.rs"]
mod exchange;
#[path = "corpus/rivals.rs"]
mod rivals;
#[path = "corpus/splits.rs"]
mod splits;
#[path = "corpus/stage.rs"]
mod stage;
mod support;
#[path = "corpus/template.rs"]
mod template;

use exchange::{Exchange, Outcome};
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
    assert!(stage.play(&turns) >= 45);
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
        assert_eq!(direct.body, exchange.answer.sent, "{name}");
        let through = stage.proxy.send(ALICE, exchange.call());
        if matches!(exchange.outcome, Outcome::Refused(..)) {
            continue;
        }
        // Where nothing is added, the comparison needs no template.
        let adds = |piece: &Piece| !matches!(piece, Piece::Bytes(_));
        if !exchange.answer.got.iter().any(adds) && exchange.answer.got.len() == 1 {
            let taken_out = exchange.answer.sent.len() - received(exchange).len();
            assert_eq!(through.body.len(), direct.body.len() - taken_out, "{name}");
        }
        assert_eq!(through.status, direct.status, "{name}");
        let own = |name: &str| {
            name.starts_with("x-tollgate-") && name != "x-tollgate-upstream-request-id"
                || [
                    "x-request-id",
                    "request-id",
                    "content-length",
                    "transfer-encoding",
                ]
                .contains(&name)
        };
        let mut headers = through.headers.0.clone();
        headers.retain(|(name, _)| !own(name));
        headers.sort_unstable();
        assert_eq!(headers, Exchange::passed_on(&direct.headers), "{name}");
        let id = through.header("x-tollgate-request-id");
        assert_eq!(through.header("x-request-id"), id, "{name}");
        if let (Some(length), false) = (direct.headers.get("content-length"), exchange.is_stream())
        {
            assert_eq!(
                through.headers.get("content-length"),
                Some(length),
                "{name}"
            );
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
        let seen = stage.upstream.last_body(&exchange.name);
        if let Err(why) = exchange.request.compare(&seen, "") {
            panic!("{}: {why}", exchange.name);
        }
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
