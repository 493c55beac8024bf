//! Tollgate itself: the real binary with a config of its own, its logs kept, its end watched.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use serde_json::{Value, json};

use super::binary::{TOLLGATE, isolated};
use super::{Answer, Call, DEADLINE, Exchange, Setup, TempDir, signal, until};

/// The token of the admin API.
pub const ADMIN_TOKEN: &str = "admin-canary-0123456789-abcdef";

/// A running proxy; on drop it is ended and its folder removed.
pub struct Proxy {
    /// `host:port` of the proxy.
    pub address: String,
    /// Whether it speaks TLS there.
    pub tls: bool,
    /// `host:port` of the admin API.
    pub admin_address: String,
    pub dir: TempDir,
    /// What it logs.
    level: &'static str,
    /// Whether anybody reads that.
    is_read: bool,
    /// More of its environment.
    env: Vec<(String, String)>,
    child: Option<Child>,
}

impl Proxy {
    /// Writes the config into a new folder and serves it.
    pub fn start(setup: &Setup) -> Proxy {
        Proxy::start_at("debug", true, setup, &[])
    }

    /// The same, logging errors only: for many requests.
    pub fn start_quiet(setup: &Setup) -> Proxy {
        Proxy::start_at("error", true, setup, &[])
    }

    /// The same, with a standard error that takes no more than a pipe holds: nobody reads it.
    pub fn start_unread(setup: &Setup) -> Proxy {
        Proxy::start_at("debug", false, setup, &[])
    }

    /// The same, with these environment variables.
    pub fn start_with_env(setup: &Setup, env: &[(&str, &str)]) -> Proxy {
        Proxy::start_at("debug", true, setup, env)
    }

    fn start_at(level: &'static str, is_read: bool, setup: &Setup, env: &[(&str, &str)]) -> Proxy {
        let dir = TempDir::new();
        let mut proxy = Proxy {
            address: String::new(),
            tls: false,
            admin_address: String::new(),
            dir,
            level,
            is_read,
            env: env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            child: None,
        };
        proxy.configure(setup);
        proxy.serve();
        proxy
    }

    /// Replaces the config; the next start reads it.
    pub fn configure(&self, setup: &Setup) {
        let mut setup = setup.0.clone();
        for file in ["path", "journal"] {
            let path = setup["ledger"][file].as_str().map(str::to_owned);
            if let Some(path) = path {
                setup["ledger"][file] = json!(self.dir.path().join(path));
            }
        }
        let text = serde_json::to_string_pretty(&setup).expect("JSON");
        fs::write(self.config_path(), text).expect("the config is written");
    }

    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    /// Starts the binary, which must not run; addresses are new each time. While its ledger's store is away, it is
    /// started again, as supervisors do.
    pub fn serve(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let end = Instant::now() + DEADLINE;
        while !self.try_serve() {
            let log = self.log();
            let is_away = log.contains("the ledger is not available") && Instant::now() < end;
            assert!(is_away, "no line `listening on ...`:\n{log}");
        }
    }

    fn try_serve(&mut self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let mut child = isolated(TOLLGATE)
            .arg("serve")
            .arg("--config")
            .arg(self.config_path())
            .env("TOLLGATE_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("TOLLGATE_LOG", self.level)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(match self.is_read {
                true => Stdio::from(log.expect("a log")),
                false => Stdio::piped(),
            })
            .spawn()
            .expect("tollgate starts");
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        self.child = Some(child);
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Read on when nobody listens: a full pipe would stop the proxy.
                send.send(line).unwrap_or_default();
            }
        });
        let next = |prefix: &str| {
            let line = lines.recv_timeout(DEADLINE).ok()?;
            let address = line.strip_prefix(prefix);
            let address = address.unwrap_or_else(|| panic!("not `{prefix}...`: {line}"));
            Some(address.to_owned())
        };
        let (Some(listening), Some(admin)) = (next("listening on "), next("admin API on http://"))
        else {
            self.kill();
            return false;
        };
        let (scheme, address) = listening.split_once("://").expect("a URL");
        let (tls, address) = (scheme == "https", address.to_owned());
        self.admin_address = admin;
        self.address = address;
        self.tls = tls;
        true
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until it has logged this: lines are written by a thread of their own.
    pub fn logged(&self, text: &str) {
        until(text, || self.log().contains(text).then_some(()));
    }

    /// Everything that it counts, as Prometheus gets it.
    pub fn metrics(&self) -> String {
        let answer = Call::get("/metrics").send(&self.admin_address);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Asks it to end, without waiting.
    pub fn ask_to_end(&self) {
        signal("TERM", self.pid());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        until("the proxy's end", || child.try_wait().expect("a child"))
    }

    /// SIGTERM, and its end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.wait()
    }

    /// SIGKILL, and its end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a signal");
            child.wait().expect("its end");
        }
    }

    /// Ends it in order and starts it again.
    pub fn restart(&mut self) {
        let ended = self.terminate();
        assert!(ended.success(), "{ended}");
        self.serve();
    }

    /// Sends a request with a key.
    pub fn send(&self, secret: &str, call: Call) -> Answer {
        call.key(secret).send(&self.address)
    }

    /// Sends a request with a key, and reads the head of its answer.
    pub fn open(&self, secret: &str, call: Call) -> Exchange {
        call.key(secret).open(&self.address)
    }

    /// A request of the customer's own view, which must succeed.
    pub fn view(&self, secret: &str, path: &str) -> Value {
        let answer = self.send(secret, Call::get(path));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The receipt of a request; waits until there is one.
    pub fn receipt(&self, secret: &str, request: &str) -> Value {
        until("a receipt", || {
            let answer = self.send(secret, Call::get(&format!("/v1/receipts/{request}")));
            (answer.status == 200).then(|| answer.json())
        })
    }

    /// A request of the admin API.
    pub fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let call = match body {
            Some(body) => {
                Call::new(method, path, body.to_string()).header("content-type", "application/json")
            }
            None => Call::new(method, path, ""),
        };
        let answer = call.key(ADMIN_TOKEN).send(&self.admin_address);
        (answer.status, answer.json())
    }

    /// Makes a key (`{"name", "balance", "limits", ...}`): its secret, and the whole answer.
    pub fn create_key(&self, wish: &Value) -> (String, Value) {
        let (status, made) = self.admin("POST", "/admin/keys", Some(wish));
        assert_eq!(status, 201, "{made}");
        (made["secret"].as_str().expect("a secret").to_owned(), made)
    }

    /// Revokes a key by its id.
    pub fn revoke_key(&self, id: &str) {
        let (status, body) = self.admin("DELETE", &format!("/admin/keys/{id}"), None);
        assert_eq!(status, 200, "{body}");
    }

    /// Books money into a wallet, once per id; whether that was now.
    pub fn top_up(&self, wallet: &str, id: &str, amount: &str) -> bool {
        let credit = json!({ "id": id, "kind": "topup", "amount": amount });
        let path = format!("/admin/wallets/{wallet}/credits");
        let (status, body) = self.admin("POST", &path, Some(&credit));
        assert!([200, 201].contains(&status), "{body}");
        status == 201
    }

    /// A page of the admin API; asked for again while the ledger's store is away.
    pub fn page(&self, path: &str) -> Value {
        let (status, body) = until("the ledger's store", || {
            Some(self.admin("GET", path, None)).filter(|(status, _)| *status != 503)
        });
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A wallet as it stands.
    pub fn wallet(&self, id: &str) -> Value {
        self.page(&format!("/admin/wallets/{id}"))
    }

    /// A wallet, once it has no live hold.
    pub fn idle_wallet(&self, id: &str) -> Value {
        until("all holds to end", || {
            Some(self.wallet(id)).filter(|wallet| wallet["holds"] == 0)
        })
    }

    /// All receipts of a wallet.
    pub fn receipts(&self, wallet: &str) -> Vec<Value> {
        let path = format!("/admin/receipts?wallet={wallet}&limit=1000");
        let body = self.page(&path);
        body["data"].as_array().expect("a list").clone()
    }

    /// Every receipt of a wallet, by request, page by page from the newest.
    pub fn all_receipts(&self, wallet: &str) -> HashMap<String, Value> {
        const PAGE: usize = 1_000;
        let mut found = HashMap::new();
        let mut to = String::new();
        loop {
            let path = format!("/admin/receipts?wallet={wallet}&limit={PAGE}{to}");
            let body = self.page(&path);
            let page = body["data"].as_array().expect("a list");
            let before = found.len();
            for receipt in page {
                let id = receipt["request_id"].as_str().expect("an id");
                found.insert(id.to_owned(), receipt.clone());
            }
            let Some(oldest) = page.last().filter(|_| page.len() == PAGE) else {
                return found;
            };
            assert!(found.len() > before, "a page of one millisecond");
            // The end is not included, and others of the same millisecond may follow.
            let oldest = oldest["settled_at"].as_str().expect("a time");
            let oldest: jiff::Timestamp = oldest.parse().expect("RFC 3339");
            let after = oldest + jiff::SignedDuration::from_millis(1);
            to = format!("&to={after}");
        }
    }

    /// The audit's report, asked for again while the ledger's store is away; asserts that nothing is wrong.
    pub fn audit(&self) -> Value {
        let (status, report) = until("the ledger's store", || {
            Some(self.admin("POST", "/admin/audit", None)).filter(|(status, _)| *status != 503)
        });
        assert_eq!(status, 200, "{report}");
        assert_eq!(report["findings"], json!([]), "{report}");
        report
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that it has ended already.
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(8_000);
            let from = (from..=log.len())
                .find(|at| log.is_char_boundary(*at))
                .unwrap_or(0);
            eprintln!("--- the proxy's log:\n{}", &log[from..]);
        }
    }
}
