//! `tollgate wallet set` and `tollgate wallet grant`: the terms of one wallet.

use clap::{Args, ValueEnum};

use crate::admin::view::{Amount, GivenJson, WalletJson};
use crate::admin::wallets::change::{NewGrant, WalletEdit};
use crate::cli::Globals;
use crate::cli::client::Server;
use crate::cli::exit::{Exit, Failure};
use crate::ledger::grant::GrantUnit;
use crate::ledger::id::{GrantId, WalletId};
use crate::money::Nano;

pub(super) const SET_EXAMPLES: &str = "Examples:
  tollgate wallet set alice --credit-line 50      postpaid, down to -50
  tollgate wallet set alice --credit-line 0       prepaid

The line cannot go below what the wallet owes.";

pub(super) const GRANT_EXAMPLES: &str = "Examples:
  tollgate wallet grant alice --name spring-2027 --unit tokens --amount 1000000 --expires 2027-06-01
  tollgate wallet grant alice --name welcome --unit money --amount 5.00 --models DeepSeek-R1

The same name is given once. Grants are used before money.";

#[derive(Debug, Args)]
pub(in crate::cli) struct SetArgs {
    /// Which wallet
    wallet: WalletId,
    /// How far below zero it may go
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    credit_line: Nano,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct GrantArgs {
    /// Which wallet
    wallet: WalletId,
    /// The grant's name, unique in the wallet
    #[arg(long)]
    name: GrantId,
    /// What it gives
    #[arg(long, value_enum)]
    unit: UnitWord,
    /// How much, such as 500000, or 5.00 of money
    #[arg(long)]
    amount: String,
    /// For which models; all by default
    #[arg(long, value_delimiter = ',', value_name = "ID,...")]
    models: Vec<String>,
    /// From when on nothing may be taken from it: a date, or RFC 3339
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// What a grant gives.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnitWord {
    /// Tokens of any kind that has a price
    Tokens,
    /// Images
    Images,
    /// Whole requests
    Requests,
    /// Money, spent before the balance
    Money,
}

pub(super) async fn set(globals: &Globals, args: &SetArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    let edit = WalletEdit {
        credit_line: args.credit_line,
    };
    let path = format!("/admin/wallets/{}", args.wallet);
    let wallet: WalletJson = admin.patch(&path, &edit).await?;
    globals.print(&wallet, |wallet| {
        format!(
            "{}: credit line {}, balance {}, available {}",
            wallet.id, wallet.credit_line, wallet.balance, wallet.available
        )
    })?;
    Ok(Exit::Fine)
}

pub(super) async fn grant(globals: &Globals, args: GrantArgs) -> Result<Exit, Failure> {
    let admin = args.server.connect(globals)?;
    let path = format!("/admin/wallets/{}/grants", args.wallet);
    let given: GivenJson = admin.post(&path, &args.wish()?).await?;
    globals.print(&given, |given| {
        let grant = &given.grant;
        let what = if given.applied {
            "given"
        } else {
            "had been given before"
        };
        format!(
            "{}: {what}; {} left of {}",
            grant.name, grant.remaining, grant.amount
        )
    })?;
    Ok(Exit::Fine)
}

impl GrantArgs {
    fn wish(self) -> Result<NewGrant, Failure> {
        let wrong = |what: String| Failure::new(Exit::Usage, format!("--amount {what}"));
        let (unit, amount) = match self.unit {
            UnitWord::Money => {
                let money = self.amount.parse::<Nano>();
                let money = money.map_err(|error| wrong(error.to_string()))?;
                (GrantUnit::Money, Amount::Money(money))
            }
            units => {
                let count = self.amount.parse();
                let count = count.map_err(|_| wrong("must be a whole number".to_owned()))?;
                let unit = match units {
                    UnitWord::Images => GrantUnit::Images,
                    UnitWord::Requests => GrantUnit::Requests,
                    _ => GrantUnit::Tokens,
                };
                (unit, Amount::Units(count))
            }
        };
        Ok(NewGrant {
            name: self.name,
            unit,
            amount,
            models: Some(self.models).filter(|models| !models.is_empty()),
            expires_at: self.expires,
        })
    }
}
