//! `tollgate demo`: the shipped price list against the built-in simulator, with a fresh key.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

use super::app::{App, asked_to_end};
use super::exit::{EXIT_CODES, Exit, Failure};
use super::table::printable;
use super::{Globals, say};
use crate::config::{Config, KeyRow, OnDisconnect, OnShort};
use crate::gateway::observe::{Observed, Observer, PROBES};
use crate::gateway::refusal::Code;
use crate::keygen;
use crate::ledger::embedded::Embedded;
use crate::ledger::receipt::Receipt;
use crate::money::{NANO_PER_UNIT, Nano};
use crate::secret::Secret;
use crate::telemetry;

/// The config that ships with Tollgate; the demo needs no file.
const SHIPPED: &str = include_str!("../../config.yaml");
const BALANCE: Nano = Nano::new(10 * NANO_PER_UNIT);
const NAME: &str = "demo";

const EXAMPLES: &str = "Examples:
  tollgate demo
  tollgate demo --listen 127.0.0.1:9000

Nothing is stored, nothing leaves this machine, no money is real. Faults come on demand, by the
model's name or by a header:
  \"model\": \"DeepSeek-R1#cut\"        the upstream breaks off in the middle
  x-simulator-fault: status=500       the upstream fails";

/// Run the shipped price list against a built-in simulated endpoint, with a fresh key
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
    let mut config = Config::parse(SHIPPED, "config.yaml", &|_| None)?.simulated();
    let secret = keygen::secret()?;
    config.keys = vec![key(Secret::new(secret.expose().to_owned()))];
    config.server.listen = free(args.listen)?;
    // Any free port: several demos may run.
    config.server.admin_listen.set_port(0);
    let ledger = Embedded::in_memory(&config.currency, None)?;
    let live = LiveLines {
        json: globals.json,
        currency: config.currency.clone(),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let ending = asked_to_end()?;
        let app = App::start(config, ledger, None, Some(Box::new(live))).await?;
        introduce(globals, app.address()?, secret.expose());
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

fn introduce(globals: &Globals, address: SocketAddr, secret: &str) {
    let host = if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    };
    let base_url = format!("http://{host}/v1");
    if globals.json {
        let line = serde_json::json!({
            "base_url": base_url, "api_key": secret, "balance": BALANCE,
        });
        say(&line.to_string());
        return;
    }
    say(&format!(
        "Tollgate demo: the shipped price list, a simulated endpoint, a fresh key with {BALANCE} CNY.

In another terminal:

  curl -i {base_url}/chat/completions -H 'Authorization: Bearer {secret}' \\
    -H 'Content-Type: application/json' \\
    -d '{{\"model\": \"DeepSeek-R1\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'

or with OpenAI's Python SDK (pip install openai):

  from openai import OpenAI
  client = OpenAI(base_url=\"{base_url}\", api_key=\"{secret}\")
  for chunk in client.chat.completions.create(model=\"DeepSeek-R1\", stream=True,
          messages=[{{\"role\": \"user\", \"content\": \"Hello!\"}}]):
      print(chunk.choices[0].delta.content or \"\", end=\"\", flush=True)

Requests (Ctrl-C ends the demo):"
    ));
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
            (0, images) => format!("  free {images} images"),
            (tokens, _) => format!("  free {tokens} tokens"),
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
