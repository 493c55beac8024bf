//! How commands end: exit codes, and failures that say what to do.

use std::fmt;
use std::process::ExitCode;

/// How a command ended. The numbers are part of the command line's contract; `--help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// Refused, or failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It ran, and found something to look at.
    Findings = 3,
    /// The server cannot be reached.
    Unreachable = 69,
    /// The server's config, or the ledger that it names, cannot be used (`EX_CONFIG` of sysexits.h).
    Config = 78,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

/// The words on exit codes for `--help`.
pub const EXIT_CODES: &str = "Exit codes:
  0   all is well
  1   refused or failed
  2   the command line is wrong
  3   it ran and found problems (check, prices lint, audit, backup, restore, journal)
  69  the server (or for journal replay, Redis) cannot be reached
  70  the server could not write its ledger, and ended rather than go on
  78  the server's config, or the ledger that it names, cannot be used: starting it again does not help";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl Failure {
    /// A failure that ends the process with `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure {
            exit,
            message: message.into(),
        }
    }

    /// A failure to start that lasts until somebody mends the config.
    pub fn config(error: impl fmt::Display) -> Self {
        Failure::new(Exit::Config, error.to_string())
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    /// Any other error: refused or failed.
    fn from(error: E) -> Self {
        Failure::new(Exit::Failed, error.to_string())
    }
}
