//! `tollgate key`: making, listing and revoking keys of a running server.

mod set;

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;

use super::client::{Admin, Server};
use super::exit::{Exit, Failure};
use super::table::{Table, printable};
use super::{Globals, block_on, limit};
use crate::admin::keys::{CreatedKey, GrantChoice, GrantWord, NewKey};
use crate::admin::terms::NewLimit;
use crate::admin::view::{KeyJson, List};
use crate::ledger::id::{KeyId, WalletId};
use crate::ledger::key::{OnDisconnect, OnShort};
use crate::money::{Factor, Nano};

const CREATE_EXAMPLES: &str = "Examples:
  tollgate key create --name alice --balance 10
  tollgate key create --name ci --wallet team --limit spend=5.00/day --limit requests=60/minute
  tollgate key create --name demo --models DeepSeek-R1,Kimi-K2-Instruct --expires 2027-01-01 --no-grants

The secret is printed once, and kept nowhere.";

const LIST_EXAMPLES: &str = "Examples:
  tollgate key list
  tollgate --json key list | jq -r '.data[] | select(.enabled) | .name'";

const REVOKE_EXAMPLES: &str = "Examples:
  tollgate key revoke alice
  tollgate key revoke key_4fT0aXk92LmQ

The wallet and its money stay.";

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key; its wallet is opened with it unless --wallet names one
    #[command(after_help = CREATE_EXAMPLES)]
    Create(Box<CreateArgs>),
    /// Change what a key may do; what is left out stays
    #[command(after_help = set::EXAMPLES)]
    Set(Box<set::SetArgs>),
    /// List all keys
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Disable a key, at once and for good
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// A name for people; also the name of the key's own wallet
    #[arg(long)]
    name: String,
    /// The wallet that pays, shared with its other keys; opened if there is none
    #[arg(long)]
    wallet: Option<WalletId>,
    /// Money to begin with, such as 10 or 12.50
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    balance: Option<Nano>,
    /// How far below zero the new wallet may go (postpaid)
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    credit_line: Option<Nano>,
    /// Give the wallet none of the free quotas of the config
    #[arg(long)]
    no_grants: bool,
    /// A cap: spend, tokens, images or requests =N/total|minute|hour|day|week|month, or concurrent=N
    #[arg(long = "limit", value_name = "MEASURE=N/PER", value_parser = limit::parse)]
    limits: Vec<NewLimit>,
    /// The models that it may use; all by default
    #[arg(long, value_delimiter = ',', value_name = "ID,...")]
    models: Vec<String>,
    /// The networks that it may be used from; all by default
    #[arg(long, value_delimiter = ',', value_name = "NET,...", value_parser = parse_net)]
    allowed_ips: Vec<IpNet>,
    /// From when on it is refused: a date, or RFC 3339
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// What to do with a request whose worst case is not affordable
    #[arg(long, value_enum, default_value = "refuse")]
    on_short: ShortWord,
    /// What to do upstream when the client goes away
    #[arg(long, value_enum, default_value = "drain")]
    on_disconnect: DisconnectWord,
    /// What each Tollgate may spend by it while a ledger in Redis is away
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    offline_allowance: Option<Nano>,
    /// What every price is multiplied by, such as 0.8; 0 to 1000
    #[arg(
        long,
        value_name = "FACTOR",
        allow_negative_numbers = true,
        default_value_t
    )]
    multiplier: Factor,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShortWord {
    /// Refuse it
    Refuse,
    /// Lower its maximum of output to what is affordable
    Clamp,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DisconnectWord {
    /// Read the answer to its end and charge it
    Drain,
    /// Stop it and charge what was delivered
    Cancel,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// The key's id or name
    key: String,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(globals: &Globals, command: KeyCommand) -> Result<Exit, Failure> {
    match command {
        KeyCommand::Create(args) => block_on(create(globals, *args)),
        KeyCommand::Set(args) => block_on(set::run(globals, *args)),
        KeyCommand::List(args) => block_on(list(globals, &args)),
        KeyCommand::Revoke(args) => block_on(revoke(globals, &args)),
    }
}

async fn create(globals: &Globals, args: CreateArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    let made: CreatedKey = admin.post("/admin/keys", &args.wish()).await?;
    globals.print(&made, describe)?;
    Ok(Exit::Fine)
}

async fn list(globals: &Globals, args: &ListArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    let keys: List<KeyJson> = admin.get("/admin/keys").await?;
    globals.print(&keys, |keys| {
        let mut table = Table::new(&[
            "id", "name", "wallet", "state", "expires", "models", "limits",
        ]);
        for key in &keys.data {
            table.row([
                key.id.to_string(),
                key.name.clone(),
                key.wallet.to_string(),
                if key.enabled { "live" } else { "revoked" }.to_owned(),
                key.expires_at
                    .map_or_else(|| "never".to_owned(), |at| at.to_string()),
                key.models
                    .as_ref()
                    .map_or_else(|| "all".to_owned(), |models| models.join(",")),
                key.limits
                    .iter()
                    .map(limit::text)
                    .collect::<Vec<_>>()
                    .join(" "),
            ]);
        }
        if table.is_empty() {
            "no keys yet: make one with `tollgate key create --name NAME`".to_owned()
        } else {
            table.to_string()
        }
    })?;
    Ok(Exit::Fine)
}

async fn revoke(globals: &Globals, args: &RevokeArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    let id = find(&admin, &args.key).await?;
    let key: KeyJson = admin.delete(&format!("/admin/keys/{id}")).await?;
    globals.print(&key, |key| {
        format!(
            "revoked {} ({}); wallet {} keeps its money",
            printable(&key.name),
            key.id,
            key.wallet
        )
    })?;
    Ok(Exit::Fine)
}

/// The key with this id, or the one live key with this name.
async fn find(admin: &Admin, wanted: &str) -> Result<KeyId, Failure> {
    let keys: List<KeyJson> = admin.get("/admin/keys").await?;
    if let Some(key) = keys.data.iter().find(|key| key.id.as_str() == wanted) {
        return Ok(key.id.clone());
    }
    let named: Vec<&KeyJson> = keys.data.iter().filter(|key| key.name == wanted).collect();
    let live: Vec<&KeyJson> = named.iter().copied().filter(|key| key.enabled).collect();
    let shown = printable(wanted);
    let message = match (&live[..], &named[..]) {
        ([key], _) => return Ok(key.id.clone()),
        ([], []) => format!("no key with the id or name `{shown}`: `tollgate key list` shows them"),
        ([], _) => format!("every key named `{shown}` is revoked already"),
        (several, _) => {
            let ids: Vec<&str> = several.iter().map(|key| key.id.as_str()).collect();
            format!(
                "several keys are named `{shown}`: revoke by id, one of {}",
                ids.join(", ")
            )
        }
    };
    Err(Failure::new(Exit::Failed, message))
}

impl CreateArgs {
    fn wish(self) -> NewKey {
        NewKey {
            name: self.name,
            wallet: self.wallet,
            balance: self.balance,
            credit_line: self.credit_line,
            models: Some(self.models).filter(|models| !models.is_empty()),
            allowed_ips: self.allowed_ips,
            limits: self.limits,
            expires_at: self.expires,
            on_short: self.on_short.into(),
            on_disconnect: self.on_disconnect.into(),
            offline_allowance: self.offline_allowance,
            multiplier: self.multiplier,
            grants: GrantChoice::Word(if self.no_grants {
                GrantWord::None
            } else {
                GrantWord::Default
            }),
        }
    }
}

impl From<ShortWord> for OnShort {
    fn from(word: ShortWord) -> Self {
        match word {
            ShortWord::Refuse => OnShort::Refuse,
            ShortWord::Clamp => OnShort::Clamp,
        }
    }
}

impl From<DisconnectWord> for OnDisconnect {
    fn from(word: DisconnectWord) -> Self {
        match word {
            DisconnectWord::Drain => OnDisconnect::Drain,
            DisconnectWord::Cancel => OnDisconnect::Cancel,
        }
    }
}

fn describe(made: &CreatedKey) -> String {
    let opened = if made.wallet_opened {
        "opened now"
    } else {
        "was there"
    };
    let grants: Vec<&str> = made.grants.iter().map(|name| name.as_str()).collect();
    let grants = if grants.is_empty() {
        "none given".to_owned()
    } else {
        grants.join(", ")
    };
    format!(
        "key      {} ({})\n\
         secret   {}\n\
         wallet   {} ({opened})\n\
         balance  {}\n\
         grants   {grants}\n\
         \n\
         The secret is shown this once: keep it now.",
        printable(&made.key.name),
        made.key.id,
        made.secret,
        made.wallet,
        made.balance
    )
}

/// Reads a network, or a single address.
fn parse_net(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "write a network such as 10.0.0.0/8, or an address".to_owned())
}
