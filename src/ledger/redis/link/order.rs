//! What is sent: a script or a plain command.

use redis::{Arg, Cmd};

use super::cluster;
use crate::ledger::redis::scripts::Script;

/// What is sent.
pub(super) enum Order {
    Script {
        script: &'static Script,
        keys: Vec<Vec<u8>>,
        args: Vec<Vec<u8>>,
    },
    Plain(Cmd),
}

impl Order {
    /// The command; a script by its hash, or `with_source`.
    pub(super) fn command(&self, with_source: bool) -> Cmd {
        match self {
            Order::Plain(command) => command.clone(),
            Order::Script { script, keys, args } => {
                let (name, code) = match with_source {
                    true => ("EVAL", script.source()),
                    false => ("EVALSHA", script.sha()),
                };
                let size: usize = keys.iter().chain(args).map(Vec::len).sum();
                let mut command =
                    Cmd::with_capacity(keys.len() + args.len() + 3, size + code.len() + 24);
                command
                    .arg(name)
                    .arg(code)
                    .arg(keys.len())
                    .arg(keys)
                    .arg(args);
                command
            }
        }
    }

    /// The slot of its first key, in a cluster.
    pub(super) fn slot(&self) -> u16 {
        match self {
            Order::Script { keys, .. } => keys.first().map_or(0, |key| cluster::slot(key)),
            Order::Plain(command) => match command.args_iter().nth(1) {
                Some(Arg::Simple(key)) => cluster::slot(key),
                _ => 0,
            },
        }
    }
}
