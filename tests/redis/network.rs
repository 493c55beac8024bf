//! Faults of the network between the proxies and the store. The store itself loses nothing.

use std::time::Duration;

use crate::round::Losses;
use crate::series::Series;
use crate::stage::{PROXIES, Stage, a_while};
use crate::support::dice::Dice;
use crate::support::redis::{Keep, Server};
use crate::support::{Cut, Direction, Door, Relay, Way};

/// Strikes some relays, waits, and heals all.
fn strike(stage: &mut Stage, dice: &mut Dice, lasting: Duration, fault: impl Fn(&Relay)) {
    stage.strike(|stage| stage.some_relays(dice).into_iter().for_each(fault));
    std::thread::sleep(lasting);
    stage.heal();
}

fn cut(stage: &mut Stage, dice: &mut Dice) {
    let (cut, door) = match dice.within(0, 2) {
        0 => (Cut::Reset, Door::Refuse),
        1 => (Cut::Finish, Door::Close),
        _ => (Cut::Reset, Door::Open),
    };
    let lasting = a_while(dice);
    strike(stage, dice, lasting, |relay| {
        relay.door(door);
        relay.cut(cut);
    });
}

fn cut_inside_a_reply(stage: &mut Stage, dice: &mut Dice) {
    let bytes = dice.within(1, 300);
    let direction = [Direction::Forth, Direction::Back][dice.within(0, 1) as usize];
    let lasting = Duration::from_millis(dice.within(300, 800));
    strike(stage, dice, lasting, |relay| {
        relay.set(direction, Way::CutAfter(bytes));
    });
}

fn delay(stage: &mut Stage, dice: &mut Dice) {
    let (delay, lasting) = (a_while(dice), a_while(dice));
    strike(stage, dice, lasting, |relay| {
        relay.set_both(Way::Delay(delay))
    });
}

/// Nothing arrives; what TCP has kept arrives afterwards, or is lost with its connection.
fn black_hole(stage: &mut Stage, dice: &mut Dice) {
    let way = [Way::Stall, Way::Swallow][dice.within(0, 1) as usize];
    let lasting = a_while(dice);
    strike(stage, dice, lasting, |relay| relay.set_both(way));
}

/// Everything is carried out, and nobody hears of it.
fn replies_lost(stage: &mut Stage, dice: &mut Dice) {
    let way = [Way::Stall, Way::Swallow][dice.within(0, 1) as usize];
    let lasting = a_while(dice);
    strike(stage, dice, lasting, |relay| {
        relay.set(Direction::Back, way)
    });
}

/// One proxy hears nothing while the others go on, so that its leases run out.
fn lapse(stage: &mut Stage, dice: &mut Dice) {
    let relay = dice.within(0, PROXIES as u64 - 1) as usize;
    stage.strike(|stage| stage.relays[relay].set_both(Way::Stall));
    std::thread::sleep(Duration::from_millis(dice.within(2_500, 5_000)));
    stage.heal();
}

fn half_open(stage: &mut Stage, dice: &mut Dice) {
    let cut = [Cut::HalfOpenToClient, Cut::HalfOpenToServer][dice.within(0, 1) as usize];
    let lasting = Duration::from_millis(dice.within(300, 1_500));
    strike(stage, dice, lasting, |relay| relay.cut(cut));
}

fn throttled(stage: &mut Stage, dice: &mut Dice) {
    let rate = dice.within(1_000, 20_000);
    let lasting = a_while(dice);
    strike(stage, dice, lasting, |relay| {
        relay.set_both(Way::Throttle(rate))
    });
}

/// Planted bugs that it must catch: a settle that is given up when its connection breaks; one that is sent again under
/// another number; a hold whose reply was lost and that stays.
#[test]
fn cuts_of_the_network_lose_nothing_and_charge_nothing_twice() {
    let server = Server::with(Keep::EverySecond, &[]);
    let mut series = Series::new("network-cuts", Stage::behind_relays(&server));
    series.faults("cut", Losses::Nothing, cut);
    series.faults("cut-inside", Losses::Nothing, cut_inside_a_reply);
    series.faults("half-open", Losses::Nothing, half_open);
}

/// Planted bugs that it must catch: a request that waits for the store for ever; a settle whose reply was lost and that is
/// applied again; a late reply that is taken for that of another call.
#[test]
fn silence_of_the_network_loses_nothing_and_charges_nothing_twice() {
    let server = Server::with(Keep::EverySecond, &[]);
    let mut series = Series::new("network-silence", Stage::behind_relays(&server));
    series.faults("delay", Losses::Nothing, delay);
    series.faults("black-hole", Losses::Nothing, black_hole);
    series.faults("replies-lost", Losses::Nothing, replies_lost);
    series.faults("throttled", Losses::Nothing, throttled);
}

/// Planted bugs that it must catch: a lapse that charges, or that is terminal; a late settle that passes the floor, or that
/// takes what others hold.
#[test]
fn what_lapsed_in_silence_is_settled_late_and_once() {
    let server = Server::with(Keep::EverySecond, &[]);
    let mut series = Series::new("lapsed", Stage::with_leases(&server, 1_000));
    series.faults("lapsed", Losses::Writes, lapse);
}
