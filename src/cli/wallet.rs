//! `tollgate wallet`: what wallets own, and putting money in.

mod change;

use clap::{Args, Subcommand};

use super::client::Server;
use super::exit::{Exit, Failure};
use super::table::Table;
use super::{Globals, block_on};
use crate::admin::view::{CreditJson, List, WalletJson, unit_word};
use crate::admin::wallets::{CreditKind, NewCredit};
use crate::keygen;
use crate::ledger::id::{EntryId, WalletId};
use crate::money::Nano;
use crate::plural::counted;

const SHOW_EXAMPLES: &str = "Examples:
  tollgate wallet show              all wallets
  tollgate wallet show alice        one, with its grants
  tollgate --json wallet show alice | jq -r .balance";

const TOPUP_EXAMPLES: &str = "Examples:
  tollgate wallet topup alice 12.50
  tollgate wallet topup alice 12.50 --id invoice-2027-014 --reason 'invoice 14'

The same id is booked once: repeat a top-up whose outcome you do not know with the same --id.";

#[derive(Debug, Subcommand)]
pub(super) enum WalletCommand {
    /// Show all wallets, or one
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Put money into a wallet, once per id
    #[command(after_help = TOPUP_EXAMPLES)]
    Topup(TopupArgs),
    /// Change how far below zero a wallet may go
    #[command(after_help = change::SET_EXAMPLES)]
    Set(change::SetArgs),
    /// Give a wallet a free quota, once per name
    #[command(after_help = change::GRANT_EXAMPLES)]
    Grant(change::GrantArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Which wallet; all by default
    wallet: Option<WalletId>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct TopupArgs {
    /// Which wallet
    wallet: WalletId,
    /// How much, such as 12.50
    #[arg(allow_negative_numbers = true)]
    amount: Nano,
    /// The top-up's id; a new one is made and printed by default
    #[arg(long)]
    id: Option<EntryId>,
    /// A word for people
    #[arg(long, default_value = "top-up")]
    reason: String,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(globals: &Globals, command: WalletCommand) -> Result<Exit, Failure> {
    match command {
        WalletCommand::Show(args) => block_on(show(globals, &args)),
        WalletCommand::Set(args) => block_on(change::set(globals, &args)),
        WalletCommand::Grant(args) => block_on(change::grant(globals, args)),
        WalletCommand::Topup(args) => block_on(topup(globals, args)),
    }
}

async fn show(globals: &Globals, args: &ShowArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    if let Some(id) = &args.wallet {
        let wallet: WalletJson = admin.get(&format!("/admin/wallets/{id}")).await?;
        globals.print(&wallet, one)?;
    } else {
        let wallets: List<WalletJson> = admin.get("/admin/wallets").await?;
        globals.print(&wallets, |wallets| all(&wallets.data))?;
    }
    Ok(Exit::Fine)
}

async fn topup(globals: &Globals, args: TopupArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    let id = match args.id {
        Some(id) => id,
        None => keygen::id("topup_")?.parse()?,
    };
    let wish = NewCredit {
        id: id.clone(),
        kind: CreditKind::Topup,
        amount: args.amount,
        reason: args.reason,
        actor: "cli".to_owned(),
    };
    let path = format!("/admin/wallets/{}/credits", args.wallet);
    let booked: Result<CreditJson, Failure> = admin.post(&path, &wish).await;
    let booked = booked.map_err(|failure| match failure.exit() {
        Exit::Unreachable => Failure::new(
            Exit::Unreachable,
            format!("{failure}\nif it may have been booked, repeat it with --id {id}: the same id is booked once"),
        ),
        _ => failure,
    })?;
    globals.print(&booked, |booked| {
        let what = if booked.applied {
            "booked"
        } else {
            "had been booked before:"
        };
        format!(
            "{what} {} to {}, id {}; balance {}",
            booked.amount, booked.wallet, booked.id, booked.balance
        )
    })?;
    Ok(Exit::Fine)
}

fn all(wallets: &[WalletJson]) -> String {
    let mut table = Table::new(&[
        "wallet",
        ">balance",
        ">held",
        ">available",
        ">credit line",
        ">charged",
        ">shortfall",
        "currency",
        "grants left",
    ]);
    for wallet in wallets {
        let grants = wallet
            .grants
            .iter()
            .map(|grant| format!("{}={}", grant.name, grant.remaining));
        table.row([
            wallet.id.to_string(),
            wallet.balance.to_string(),
            wallet.held.to_string(),
            wallet.available.to_string(),
            wallet.credit_line.to_string(),
            wallet.charged.to_string(),
            wallet.shortfall.to_string(),
            wallet.currency.clone(),
            grants.collect::<Vec<_>>().join(" "),
        ]);
    }
    if table.is_empty() {
        "no wallets yet: one is opened with the first key, by `tollgate key create --name NAME`"
            .to_owned()
    } else {
        table.to_string()
    }
}

fn one(wallet: &WalletJson) -> String {
    let mut money = Table::new(&["wallet", ">amount", "currency"]);
    for (name, amount) in [
        ("balance", wallet.balance),
        ("held", wallet.held),
        ("available", wallet.available),
        ("credit line", wallet.credit_line),
        ("credited", wallet.credited),
        ("charged", wallet.charged),
        ("shortfall", wallet.shortfall),
    ] {
        money.row([name.to_owned(), amount.to_string(), wallet.currency.clone()]);
    }
    let mut grants = Table::new(&[
        "grant", "unit", ">given", ">used", ">held", ">left", "expires", "models",
    ]);
    for grant in &wallet.grants {
        grants.row([
            grant.name.to_string(),
            unit_word(grant.unit).to_owned(),
            grant.amount.to_string(),
            grant.used.to_string(),
            grant.held.to_string(),
            grant.remaining.to_string(),
            grant
                .expires_at
                .map_or_else(|| "never".to_owned(), |at| at.to_string()),
            grant
                .models
                .as_ref()
                .map_or_else(|| "all".to_owned(), |models| models.len().to_string()),
        ]);
    }
    let grants = if grants.is_empty() {
        "no grants\n".to_owned()
    } else {
        grants.to_string()
    };
    let mut limits = Table::new(&["key", "limit", "since", ">cap", ">used", ">held"]);
    for limit in &wallet.limits {
        let since = limit.period_start.map(|start| start.to_string());
        let cap = limit.cap.map(|cap| cap.to_string());
        limits.row([
            limit.key.clone(),
            limit.limit.clone(),
            since.unwrap_or_default(),
            cap.unwrap_or_default(),
            limit.used.to_string(),
            limit.held.to_string(),
        ]);
    }
    let limits = if limits.is_empty() {
        String::new()
    } else {
        format!("\n{limits}")
    };
    format!(
        "{}, {}\n\n{money}\n{grants}{limits}",
        wallet.id,
        counted(wallet.holds, "live hold")
    )
}
