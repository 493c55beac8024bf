//! The real binary: run to its end, or kept running as a server.

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::binary::{TOLLGATE, isolated};
use serde_json::Value;

/// The token of every server here.
pub const TOKEN: &str = "a-token-for-tests-only";

/// What a command said, and how it ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A folder of this test's own, emptied before.
pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an old folder that can go");
    }
    std::fs::create_dir_all(&folder).expect("a new folder");
    folder
}

/// `tollgate` with these arguments, and nothing of Tollgate's in its environment.
pub fn tollgate(args: &[&str]) -> Command {
    let mut command = isolated(TOLLGATE);
    command.args(args);
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary runs");
    Ran {
        code: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A running `tollgate serve`; killed when dropped.
pub struct Serving {
    child: Child,
    pub admin: String,
}

impl Serving {
    /// Starts a server and waits until it listens.
    pub fn start(config: &str) -> Serving {
        Serving::start_with(config, TOKEN)
    }

    /// The same with this text for the admin token.
    pub fn start_with(config: &str, token: &str) -> Serving {
        let mut child = tollgate(&["--config", config, "serve"])
            .env("TOLLGATE_ADMIN_TOKEN", token)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let said = out.lines().map(|line| line.expect("text"));
        let admin = said
            .filter_map(|line| Some(line.strip_prefix("admin API on ")?.to_owned()))
            .next()
            .expect("it says where the admin API is");
        Serving { child, admin }
    }

    /// Runs a client command against this server.
    pub fn ask(&self, args: &[&str]) -> Ran {
        let mut command = tollgate(args);
        command.env("TOLLGATE_ADMIN", &self.admin);
        run(command.env("TOLLGATE_ADMIN_TOKEN", TOKEN))
    }

    /// Tells it to stop, and answers its exit code.
    pub fn stop(mut self) -> i32 {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill runs").success());
        let status = self.child.wait().expect("it ends");
        status.code().expect("it ends by itself")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A running `tollgate --json demo`; killed when dropped.
pub struct Demo {
    child: Child,
    /// What it prints after its first line; drop it to stop reading.
    pub lines: Option<Lines<BufReader<ChildStdout>>>,
    /// What it printed first: `base_url`, `api_key`, `balance`.
    pub intro: Value,
}

impl Demo {
    /// Starts a demo on a free port and waits until it listens.
    pub fn start() -> Demo {
        Demo::of(&[])
    }

    /// The same with these arguments too.
    pub fn of(more: &[&str]) -> Demo {
        let mut child = tollgate(&["--json", "demo", "--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let intro = lines.next().expect("a line").expect("text");
        Demo {
            child,
            lines: Some(lines),
            intro: serde_json::from_str(&intro).expect("JSON"),
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process; it may have ended already, which is as well.
fn end(child: &mut Child) {
    child.kill().unwrap_or_default();
    child.wait().map(drop).unwrap_or_default();
}
