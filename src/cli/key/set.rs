//! `tollgate key set`: changing a key that was made with `tollgate key create`.

use clap::Args;
use ipnet::IpNet;

use super::{DisconnectWord, ShortWord, find, limit, parse_net};
use crate::admin::keys::edit::KeyEdit;
use crate::admin::terms::NewLimit;
use crate::admin::view::KeyJson;
use crate::cli::Globals;
use crate::cli::client::Server;
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::printable;
use crate::money::{Factor, Nano};

pub(super) const EXAMPLES: &str = "Examples:
  tollgate key set alice --limit spend=10.00/day --limit requests=120/minute
  tollgate key set alice --no-limits
  tollgate key set ci --models DeepSeek-R1 --expires 2027-01-01
  tollgate key set ci --all-models --expires never

The next request goes by it. --limit replaces all limits of the key; one that keeps its name (spend-day) and\nits measure goes on counting, any other counts anew. A declared key is changed in the config.";

#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true)]
pub(in crate::cli) struct SetArgs {
    /// The key's id or name
    #[arg(group = "which")]
    key: String,
    /// Another name for people
    #[arg(long, group = "change")]
    name: Option<String>,
    /// All of its caps from now on: spend, tokens, images or requests =N/total|minute|hour|day|week|month, or concurrent=N
    #[arg(long = "limit", value_name = "MEASURE=N/PER", value_parser = limit::parse, group = "change")]
    limits: Vec<NewLimit>,
    /// No caps any more
    #[arg(long, conflicts_with = "limits", group = "change")]
    no_limits: bool,
    /// The models that it may use
    #[arg(long, value_delimiter = ',', value_name = "ID,...", group = "change")]
    models: Vec<String>,
    /// Every model
    #[arg(long, conflicts_with = "models", group = "change")]
    all_models: bool,
    /// The networks that it may be used from
    #[arg(long, value_delimiter = ',', value_name = "NET,...", value_parser = parse_net, group = "change")]
    allowed_ips: Vec<IpNet>,
    /// From anywhere
    #[arg(long, conflicts_with = "allowed_ips", group = "change")]
    all_ips: bool,
    /// From when on it is refused: a date, RFC 3339, or `never`
    #[arg(long, value_name = "TIME", group = "change")]
    expires: Option<String>,
    /// What to do with a request whose worst case is not affordable
    #[arg(long, value_enum, group = "change")]
    on_short: Option<ShortWord>,
    /// What to do upstream when the client goes away
    #[arg(long, value_enum, group = "change")]
    on_disconnect: Option<DisconnectWord>,
    /// What each Tollgate may spend by it while a ledger in Redis is away; 0 for nothing
    #[arg(
        long,
        value_name = "AMOUNT",
        allow_negative_numbers = true,
        group = "change"
    )]
    offline_allowance: Option<Nano>,
    /// What every price is multiplied by, such as 0.8; 0 to 1000
    #[arg(
        long,
        value_name = "FACTOR",
        allow_negative_numbers = true,
        group = "change"
    )]
    multiplier: Option<Factor>,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(globals: &Globals, args: SetArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    let id = find(&admin, &args.key).await?;
    let key: KeyJson = admin
        .patch(&format!("/admin/keys/{id}"), &args.edit())
        .await?;
    globals.print(&key, |key| {
        let limits: Vec<String> = key.limits.iter().map(limit::text).collect();
        let or = |text: String, other: &str| {
            if text.is_empty() {
                other.to_owned()
            } else {
                text
            }
        };
        format!(
            "changed  {} ({})\n\
             limits   {}\n\
             models   {}\n\
             expires  {}\n\
             offline  {}\n\
             factor   {}",
            printable(&key.name),
            key.id,
            or(limits.join(" "), "none"),
            or(key.models.as_deref().unwrap_or_default().join(","), "all"),
            key.expires_at
                .map_or_else(|| "never".to_owned(), |at| at.to_string()),
            key.offline_allowance,
            key.multiplier,
        )
    })?;
    Ok(Exit::Fine)
}

impl SetArgs {
    fn edit(self) -> KeyEdit {
        KeyEdit {
            name: self.name,
            limits: Some(self.limits).filter(|limits| self.no_limits || !limits.is_empty()),
            models: match self.all_models {
                true => Some(None),
                false => Some(self.models)
                    .filter(|models| !models.is_empty())
                    .map(Some),
            },
            allowed_ips: Some(self.allowed_ips).filter(|nets| self.all_ips || !nets.is_empty()),
            expires_at: self.expires.map(|at| Some(at).filter(|at| at != "never")),
            on_short: self.on_short.map(Into::into),
            on_disconnect: self.on_disconnect.map(Into::into),
            offline_allowance: self.offline_allowance,
            multiplier: self.multiplier,
        }
    }
}
