//! The command line: arguments to a command, its result to an exit code.

mod app;
mod audit;
mod backup;
mod check;
mod client;
mod demo;
mod exit;
mod health;
mod journal;
mod key;
mod ledger;
mod limit;
mod prices;
mod reload;
mod restore;
mod retention;
mod serve;
mod table;
mod wallet;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::clock::{Clock, UnixMs};
use crate::config::Config;
use crate::telemetry;
use exit::{EXIT_CODES, Exit, Failure};

const EXAMPLES: &str = "Examples:
  tollgate demo                                     try it: no key, no network
  tollgate serve                                    run the proxy
  tollgate check                                    is the config sound?
  tollgate prices list                              what does what cost?
  tollgate key create --name alice --balance 10     a key with money
  tollgate wallet topup alice 12.50                 more money
  tollgate audit                                    does everything add up?
  tollgate backup --out copy.db                     a copy of the ledger, while it runs";

/// An OpenAI-compatible metering reverse proxy: exact prices, strict limits, receipts for every request
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Globals {
    /// The config file [default: config.yaml]; `demo` has a list of its own unless one is named
    #[arg(long, global = true, env = "TOLLGATE_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
    /// Print JSON, for scripts
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Serve(serve::ServeArgs),
    /// Run the shipped price list against a built-in simulated endpoint, with a fresh key
    Demo(demo::DemoArgs),
    /// Validate the config file, and name what looks unwise in it
    Check(check::CheckArgs),
    /// Is a running server ready? For the health checks of containers
    Health(health::HealthArgs),
    /// Make, list and revoke keys (of a running server)
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Show wallets and put money into them (of a running server)
    #[command(subcommand)]
    Wallet(wallet::WalletCommand),
    /// Show the price list, and what looks wrong in it (from the config file)
    #[command(subcommand)]
    Prices(prices::PricesCommand),
    /// Check that all money, grants and receipts add up
    Audit(audit::AuditArgs),
    /// What waits in the journal of a proxy that does not run, and its delivery to Redis
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Copy the ledger to a file, while it is in use
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the ledger (of a stopped server)
    Restore(restore::RestoreArgs),
}

/// Runs the command that this process was called with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let ended = dispatch(cli);
    telemetry::flush();
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            for line in failure.to_string().lines() {
                eprintln!("tollgate: {line}");
            }
            failure.exit().into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let globals = cli.globals;
    match cli.command {
        Command::Serve(args) => serve::run(&globals, &args),
        Command::Demo(args) => demo::run(&globals, &args),
        Command::Check(args) => check::run(&globals, &args),
        Command::Health(args) => health::run(&globals, &args),
        Command::Key(command) => key::run(&globals, command),
        Command::Wallet(command) => wallet::run(&globals, command),
        Command::Prices(command) => prices::run(&globals, &command),
        Command::Audit(args) => audit::run(&globals, &args),
        Command::Journal(command) => journal::run(&globals, &command),
        Command::Backup(args) => backup::run(&globals, &args),
        Command::Restore(args) => restore::run(&globals, &args),
    }
}

impl Globals {
    /// The config, read and validated.
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(self.config())?)
    }

    /// The config file, whether it was named or not.
    fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("config.yaml"))
    }

    /// Prints `json` where scripts asked for it, else what `people` makes of the same.
    fn print<T: Serialize>(
        &self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let mut text = if self.json {
            serde_json::to_string_pretty(value)?
        } else {
            people(value)
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(write_out(&text)?)
    }
}

/// Writes to standard output, at once.
fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a line of a server, which goes on where nobody can read it.
fn say(line: &str) {
    if let Err(error) = write_out(&format!("{line}\n")) {
        tracing::warn!(%error, "standard output cannot be written");
    }
}

/// The time, for commands that work without a store.
fn offline_now() -> UnixMs {
    Clock::system(UnixMs(0)).now()
}

/// How a server that listens here is reached from its own machine.
fn from_here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Runs a client command; one thread is plenty.
fn block_on<T>(task: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(task)
}
