//! `tollgate demo`: the shipped price list, or a named config's, against the built-in simulator, with a fresh key.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;

use super::app::{App, asked_to_end};
use super::exit::{EXIT_CODES, Exit, Failure};
use super::table::printable;
use super::{Globals, from_here, say};
use crate::config::{
    Category, Config, GrantRow, GrantUnit, KeyRow, ModelRow, OnDisconnect, OnShort,
};
use crate::gateway::observe::{Observed, Observer, PROBES};
use crate::gateway::refusal::Code;
use crate::keygen;
use crate::ledger::embedded::Embedded;
use crate::ledger::receipt::Receipt;
use crate::money::{Factor, NANO_PER_UNIT, Nano};
use crate::plural::counted;
use crate::secret::Secret;
use crate::telemetry;

/// The config that ships with Tollgate; the demo needs no file.
const SHIPPED: &str = include_str!("../../config.yaml");
const BALANCE: Nano = Nano::new(10 * NANO_PER_UNIT);
const NAME: &str = "demo";
/// So few that the first answer shows both: what a free quota covers, and a cost.
const FREE_TOKENS_MAX: u64 = 20;

const EXAMPLES: &str = "Examples:
  tollgate demo
  tollgate demo --listen 127.0.0.1:9000
  tollgate --config staging.yaml demo        the models and prices of that file

Free quotas of tokens are cut to 20, so that answers have a cost.
Nothing is stored, nothing leaves this machine, no money is real. Faults come on demand, by the
model's name or by a header:
  \"model\": \"DeepSeek-R1#cut\"        the upstream breaks off in the middle
  x-simulator-fault: status=500       the upstream fails";

/// Run the shipped price list (or that of --config) against a built-in simulated endpoint, with a fresh key
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct DemoArgs {
    /// Where to listen; a free port where this one is taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// Serves the demo until it is told to end.
pub fn run(globals: &Globals, args: &DemoArgs) -> Result<Exit, Failure> {
    telemetry::start("error");
    let named = globals.config.is_some();
    let config = match named {
        true => globals.load()?,
        false => Config::parse(SHIPPED, "config.yaml", &|_| None)?,
    };
    let mut config = config.simulated();
    let chats = |model: &&ModelRow| model.category == Category::Chat;
    let model = config.models.iter().find(chats).ok_or_else(|| {
        let what = "the config has no model of the category chat, which the demo shows";
        Failure::new(Exit::Failed, what)
    })?;
    let model = model.aliases.first().unwrap_or(&model.id).clone();
    let tokens = |grant: &&mut GrantRow| grant.unit == GrantUnit::Tokens;
    for grant in config.grants.iter_mut().filter(tokens) {
        grant.amount = grant.amount.min(FREE_TOKENS_MAX);
    }
    config.server.tls = None;
    let secret = keygen::secret()?;
    config.keys = vec![key(Secret::new(secret.expose().to_owned()))];
    config.server.listen = free(args.listen)?;
    // Any free port: several demos may run.
    config.server.admin_listen.set_port(0);
    let ledger = Arc::new(Embedded::in_memory(&config.currency, None)?);
    let currency = config.currency.clone();
    let live = LiveLines {
        json: globals.json,
        currency: currency.clone(),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let ending = asked_to_end()?;
        let app = App::start(config, ledger, None, Some(Box::new(live))).await?;
        let intro = Intro {
            list: if named { "a named" } else { "the shipped" },
            base_url: format!("http://{}/v1", from_here(app.address()?)),
            secret: secret.expose(),
            model: &model,
            currency: &currency,
        };
        intro.tell(globals.json);
        app.run(ending).await?;
        Ok(Exit::Fine)
    })
}

fn key(secret: Secret) -> KeyRow {
    KeyRow {
        name: NAME.to_owned(),
        secret: Some(secret),
        balance: Some(BALANCE),
        credit_line: None,
        wallet: NAME.to_owned(),
        models: None,
        allowed_ips: Vec::new(),
        limits: Vec::new(),
        expires: None,
        on_short: OnShort::Refuse,
        on_disconnect: OnDisconnect::Drain,
        offline_allowance: Nano::ZERO,
        multiplier: Factor::ONE,
        grants: None,
        line: 0,
    }
}

/// The address, or a free port of the same host where it is taken.
fn free(wanted: SocketAddr) -> Result<SocketAddr, Failure> {
    match std::net::TcpListener::bind(wanted) {
        Ok(_) => Ok(wanted),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok(SocketAddr::new(wanted.ip(), 0))
        }
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("cannot listen on {wanted}: {error}"),
        )),
    }
}

/// What is said first.
struct Intro<'a> {
    list: &'a str,
    base_url: String,
    secret: &'a str,
    /// A model that chats, by the name that people use.
    model: &'a str,
    currency: &'a str,
}

impl Intro<'_> {
    fn tell(&self, json: bool) {
        let Intro {
            list,
            base_url,
            secret,
            model,
            currency,
        } = self;
        if json {
            let line = serde_json::json!({
                "base_url": base_url, "api_key": secret, "balance": BALANCE,
            });
            say(&line.to_string());
            return;
        }
        say(&format!(
        "Tollgate demo: {list} price list, a simulated endpoint, a fresh key with {BALANCE} {currency}
and a free quota of {FREE_TOKENS_MAX} tokens.

In another terminal:

  curl -i {base_url}/chat/completions -H 'Authorization: Bearer {secret}' \\
    -H 'Content-Type: application/json' \\
    -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'

or with OpenAI's Python SDK (pip install openai):

  from openai import OpenAI
  client = OpenAI(base_url=\"{base_url}\", api_key=\"{secret}\")
  for chunk in client.chat.completions.create(model=\"{model}\", stream=True,
          messages=[{{\"role\": \"user\", \"content\": \"Hello!\"}}]):
      print(chunk.choices[0].delta.content or \"\", end=\"\", flush=True)

Requests (Ctrl-C ends the demo):"
    ));
    }
}

/// One line per request.
struct LiveLines {
    json: bool,
    currency: String,
}

impl Observer for LiveLines {
    fn ended(&self, request: &Observed) {
        let line = match &request.settled {
            _ if PROBES.contains(&request.endpoint) => return,
            Some((receipt, balance)) => self.settled(receipt, *balance),
            None if request.uncharged => self.uncharged(request),
            None => match request.code {
                Some(code) => self.refused(request, code),
                None => return,
            },
        };
        say(&line);
    }
}

impl LiveLines {
    fn settled(&self, receipt: &Receipt, balance: Nano) -> String {
        let (model, usage, cost) = (&receipt.model, &receipt.usage, receipt.charged);
        let currency = &self.currency;
        if self.json {
            let line = serde_json::json!({
                "request_id": receipt.request_id, "model": model, "usage": usage,
                "cost": cost, "free": receipt.free, "counted": receipt.counted, "balance": balance,
            });
            return line.to_string();
        }
        let free = match (receipt.free.tokens, receipt.free.images) {
            (0, 0) => String::new(),
            (0, images) => format!("  free {}", counted(images, "image")),
            (tokens, _) => format!("  free {}", counted(tokens, "token")),
        };
        let flags: String = receipt
            .detail
            .flags
            .iter()
            .map(|flag| format!("  {flag}"))
            .collect();
        format!(
            "  {model:<32} {usage}  cost {cost} {currency}{free}  balance {balance} {currency}{flags}"
        )
    }

    fn uncharged(&self, request: &Observed) -> String {
        let (model, status) = (request.model.as_deref().unwrap_or_default(), request.status);
        if self.json {
            let line = serde_json::json!({
                "request_id": request.request, "model": model, "cost": Nano::ZERO,
                "upstream_status": status,
            });
            return line.to_string();
        }
        format!("  {model:<32} not charged: the upstream answered {status}")
    }

    fn refused(&self, request: &Observed, code: Code) -> String {
        if self.json {
            let line = serde_json::json!({
                "request_id": request.request, "status": request.status, "code": code.word(),
            });
            return line.to_string();
        }
        let message = request.message.as_deref().unwrap_or_default();
        format!(
            "  refused: {} {code}: {}",
            request.status,
            printable(message)
        )
    }
}
