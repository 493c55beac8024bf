//! Real redis-servers on free ports of the loopback, each in a folder of its own; ended with the test.

pub mod cluster;
pub mod sentinel;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::temp::TempDir;
use super::tls::Issued;
use super::{signal, until};

pub use cluster::Cluster;
pub use sentinel::Sentinels;

/// The program. A test that cannot run it fails.
const SERVER: &str = "redis-server";
/// The name and the password of the user that the README tells an operator to make.
pub const DOCUMENTED: (&str, &str) = ("tollgate", "password");
/// What is tried when a port turns out to be taken.
const TRIES: usize = 20;

/// What a server keeps when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Everything, written every second.
    EverySecond,
    /// Everything, written before it is answered.
    Always,
}

/// A server; killed when dropped.
pub struct Server {
    child: Option<Child>,
    port: u16,
    args: Vec<String>,
    tls: bool,
    login: Option<(String, String)>,
    folder: TempDir,
}

impl Server {
    /// One that keeps nothing, ready for commands.
    pub fn start() -> Server {
        Server::with(Keep::Nothing, &[])
    }

    /// One that keeps this, with more arguments, such as `["--maxmemory", "1mb"]`.
    pub fn with(keep: Keep, more: &[&str]) -> Server {
        let persistence: &[&str] = match keep {
            Keep::Nothing => &["--appendonly", "no"],
            Keep::EverySecond => &["--appendonly", "yes", "--appendfsync", "everysec"],
            Keep::Always => &["--appendonly", "yes", "--appendfsync", "always"],
        };
        let args = persistence.iter().chain(more);
        Server::of(args.map(ToString::to_string).collect(), None)
    }

    /// One that speaks TLS with this certificate at its port, and nothing else.
    pub fn tls(issued: &Issued, more: &[&str]) -> Server {
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let mut args = vec!["--tls-cert-file".to_owned(), path(&issued.certificate)];
        args.extend(["--tls-key-file".to_owned(), path(&issued.key)]);
        args.extend(["--tls-auth-clients", "no"].map(str::to_owned));
        args.extend(more.iter().map(ToString::to_string));
        Server::of(args, Some(()))
    }

    fn of(args: Vec<String>, tls: Option<()>) -> Server {
        let mut server = Server {
            child: None,
            port: 0,
            args,
            tls: tls.is_some(),
            login: None,
            folder: TempDir::new(),
        };
        for _ in 0..TRIES {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("no free port in {TRIES} tries: {}", server.log());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// What stands in a config as `ledger.url`.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Its folder, where its data are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Makes the user that the README tells an operator to make.
    pub fn documented_user(&self) {
        let readme = include_str!("../../README.md");
        let line = readme
            .lines()
            .find(|line| line.contains("ACL SETUSER tollgate"));
        let rule = line.expect("the README tells the rights").trim();
        let words: Vec<&str> = rule.split_ascii_whitespace().collect();
        assert_eq!(self.ask(&words), "OK");
    }

    /// Starts with these arguments too, the next time.
    pub fn more(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(ToString::to_string));
    }

    /// Who commands are from, from now on; for a server that wants a password.
    pub fn login(&mut self, user: &str, password: &str) {
        self.login = Some((user.to_owned(), password.to_owned()));
    }

    /// Asks with redis-cli; panics when that fails.
    pub fn ask(&self, command: &[&str]) -> String {
        ask(self.port, self.login.as_ref(), command)
    }

    /// The same, but tells whether it went well.
    pub fn try_ask(&self, command: &[&str]) -> bool {
        let output = cli(self.port, self.login.as_ref(), command);
        output.status.success() && !output.stdout.starts_with(b"ERR")
    }

    /// Ends it as the power cut would: at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already, which is as well.
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }

    /// Ends it as an operator would, with what it has written.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal("TERM", child.id());
            child.wait().expect("it ends");
        }
    }

    /// Holds its process up: connections stay, nothing is answered.
    pub fn pause(&self) {
        signal("STOP", self.pid());
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// Starts it again after it was ended, at the same port and in the same folder.
    pub fn restart(&mut self) {
        self.kill();
        // The port is its own; who took it meanwhile gives it back.
        until("the server starts again", || self.launch().then_some(()));
    }

    /// Makes it a replica of another, and waits until it has everything.
    pub fn replica_of(&self, master: &Server) {
        self.ask(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        self.wait_synced();
    }

    /// Waits until it has everything of its master.
    pub fn wait_synced(&self) {
        until("the replica is in step", || {
            let info = self.ask(&["INFO", "replication"]);
            info.contains("master_link_status:up").then_some(())
        });
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts it; false if its port is taken.
    fn launch(&mut self) -> bool {
        let port = self.port.to_string();
        let (plain, tls) = if self.tls {
            ("0", port.as_str())
        } else {
            (port.as_str(), "0")
        };
        let mut command = Command::new(SERVER);
        command
            .args(["--bind", "127.0.0.1", "--port", plain, "--tls-port", tls])
            .args([
                // A replica is served at once, and not after a wait for more of them.
                "--repl-diskless-sync-delay",
                "0",
                "--save",
                "",
                "--daemonize",
                "no",
                "--enable-debug-command",
                "local",
            ])
            .arg("--dir")
            .arg(self.folder.path())
            .arg("--logfile")
            .arg(self.log_path())
            .args(&self.args);
        let mut child = spawn(&mut command);
        let ready = ready(&mut child, self.port, self.tls);
        self.child = Some(child);
        if !ready {
            let log = self.log();
            let taken = log.contains("Address already in use") || log.contains("bind:");
            assert!(
                taken,
                "redis-server does not start with {:?}: {log}",
                self.args
            );
            self.kill();
        }
        ready
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody has now, and whose cluster bus (10,000 above) is a port too.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if port < 55_000 {
            return port;
        }
    }
}

/// Starts a program without a terminal.
fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => {
            panic!("{SERVER} is not installed; these tests need Redis 7.0 or newer")
        }
        _ => panic!("{SERVER} does not start: {error}"),
    })
}

/// Whether it takes connections (and, where it is not encrypted, answers) before it ends.
fn ready(child: &mut Child, port: u16, tls: bool) -> bool {
    until("redis-server starts", || {
        if child.try_wait().expect("a child").is_some() {
            return Some(false);
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let answers = match tls {
            true => TcpStream::connect(address).is_ok(),
            false => answers(address).unwrap_or(false),
        };
        // Another program may answer at a port that was taken; then this one has ended, or soon has.
        answers.then(|| {
            std::thread::sleep(Duration::from_millis(20));
            child.try_wait().expect("a child").is_none()
        })
    })
}

/// Whether a Redis answers at an address, and is not loading.
fn answers(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 8];
    let length = stream.read(&mut answer)?;
    Ok(answer[..length].starts_with(b"+PONG") || answer[..length].starts_with(b"-NOAUTH"))
}

/// Asks the server at a port with redis-cli; panics when that fails.
fn ask(port: u16, login: Option<&(String, String)>, command: &[&str]) -> String {
    let output = cli(port, login, command);
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    assert!(
        output.status.success() && !text.starts_with("ERR"),
        "{command:?}: {text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn cli(port: u16, login: Option<&(String, String)>, command: &[&str]) -> Output {
    let mut cli = Command::new("redis-cli");
    cli.args(["-p", &port.to_string()]);
    if let Some((user, password)) = login {
        cli.args(["--no-auth-warning", "--user", user, "--pass", password]);
    }
    cli.args(command).output().expect("redis-cli runs")
}
