//! Faults of processes: the store or a proxy is killed, or stopped for a while.

use std::time::Duration;

use crate::round::Losses;
use crate::series::Series;
use crate::stage::{PROXIES, Stage, a_while};
use crate::support::dice::Dice;
use crate::support::redis::{Keep, Server};

/// Planted bugs that it must catch: a settle that is answered before the store or the journal has it; an entry that is not
/// sent again after a restart; leases that run while the store is away.
#[test]
fn a_killed_store_loses_nothing_that_it_acknowledged() {
    let mut server = Server::with(Keep::EverySecond, &[]);
    let stage = Stage::behind_relays(&server);
    Series::new("store-killed", stage).faults("store-killed", Losses::Nothing, |stage, dice| {
        stage.strike(|_| server.kill());
        std::thread::sleep(a_while(dice));
        server.restart();
    });
}

/// Planted bugs that it must catch: a request that waits for the store beyond its deadline; a hold whose reply came too
/// late and that stays; leases that run while the store is away.
///
/// Rivals: litellm PR #35273: without a timeout towards Redis every request hung.
#[test]
fn a_stopped_store_keeps_nobody_waiting() {
    let server = Server::with(Keep::EverySecond, &[]);
    let stage = Stage::behind_relays(&server);
    Series::new("store-stopped", stage).faults("store-stopped", Losses::Nothing, |stage, dice| {
        stage.strike(|_| server.pause());
        std::thread::sleep(a_while(dice));
        server.resume();
    });
}

/// Planted bugs that it must catch: an answer whose end leaves before its charge is in the journal; a journal that is not
/// replayed by the process that opens it next; holds of a dead process that do not lapse.
#[test]
fn a_killed_proxy_has_charged_whatever_its_clients_saw_the_end_of() {
    let server = Server::with(Keep::EverySecond, &[]);
    // So that the holds of the dead end soon.
    let stage = Stage::with_leases(&server, 2_000);
    Series::new("proxy-killed", stage).faults("proxy-killed", Losses::Nothing, |stage, dice| {
        let number = dice.within(0, PROXIES as u64 - 1) as usize;
        // What it settles from then on is in its journal alone.
        let without_store = dice.percent(50);
        stage.strike(|stage| {
            if without_store {
                server.pause();
                std::thread::sleep(Duration::from_millis(50));
            }
            stage.fleet.proxies[number].kill();
        });
        stage.killed = Some(number);
        std::thread::sleep(Duration::from_millis(dice.within(0, 500)));
        server.resume();
        restart(stage, number, dice);
    });
}

fn restart(stage: &mut Stage, number: usize, dice: &mut Dice) {
    std::thread::sleep(Duration::from_millis(dice.within(0, 1_000)));
    stage.fleet.proxies[number].serve();
}
