//! Wherever the network cuts a stream, it is the same stream: the same receipt, and the same bytes for the client.

use super::exchange::{self, Exchange};
use super::stage::{Stage, Turn};
use crate::support::dice::{Dice, rounds, seed};

/// Longer bodies are cut at fewer places than at every byte.
const EVERY_BYTE_MAX: usize = 8_192;
/// Where somebody waits in an exchange.
const SLOW_SPLITS: u64 = 6;

fn turn(exchange: &Exchange, cuts: String) -> Turn<'_> {
    Turn { exchange, cuts }
}

/// Streams that can be cut.
fn streams() -> Vec<Exchange> {
    let mut streams = exchange::streams();
    streams.retain(|exchange| exchange.script.body.len() > 1);
    streams
}

/// An offset inside of a body.
fn within(dice: &mut Dice, length: usize) -> usize {
    usize::try_from(dice.within(1, length as u64 - 1)).expect("an offset")
}

#[test]
fn a_stream_split_in_two_at_any_byte_is_the_same_stream() {
    let mut dice = Dice::new(seed("splits in two"));
    let exchanges = streams();
    let stage = Stage::start(&exchanges);
    let mut turns = Vec::new();
    for exchange in &exchanges {
        let length = exchange.script.body.len();
        if exchange.is_slow() || length > EVERY_BYTE_MAX {
            let few = (0..SLOW_SPLITS).map(|_| within(&mut dice, length));
            turns.extend(few.map(|at| turn(exchange, at.to_string())));
            continue;
        }
        // A quick run takes every 23rd byte, from another one each time.
        let stride = usize::try_from(rounds(23, 1)).expect("a stride");
        let first = 1 + within(&mut dice, stride + 1) % stride;
        let offsets = (first..length).step_by(stride);
        turns.extend(offsets.map(|at| turn(exchange, at.to_string())));
    }
    let played = stage.play(&turns);
    eprintln!("{played} splits in two of {} streams", exchanges.len());
}

#[test]
fn a_stream_split_in_three_anywhere_is_the_same_stream() {
    let mut dice = Dice::new(seed("splits in three"));
    let exchanges = streams();
    let stage = Stage::start(&exchanges);
    let mut turns = Vec::new();
    for exchange in &exchanges {
        let length = exchange.script.body.len();
        let times = match exchange.is_slow() {
            true => SLOW_SPLITS,
            false => rounds(10, 200),
        };
        for _ in 0..times {
            let two = [within(&mut dice, length), within(&mut dice, length)];
            let (first, second) = (two[0].min(two[1]), two[0].max(two[1]));
            turns.push(turn(exchange, format!("{first},{second}")));
        }
    }
    let played = stage.play(&turns);
    eprintln!("{played} splits in three of {} streams", exchanges.len());
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_the_same_stream() {
    let exchanges = streams();
    let stage = Stage::start(&exchanges);
    let short = |exchange: &&Exchange| exchange.script.body.len() <= EVERY_BYTE_MAX;
    let turns: Vec<Turn<'_>> = exchanges
        .iter()
        .filter(short)
        .map(|exchange| turn(exchange, "all".to_owned()))
        .collect();
    stage.play(&turns);
}
