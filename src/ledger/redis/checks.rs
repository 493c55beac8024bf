//! What is looked at before a Redis is trusted with money: it must forget nothing, take writes, and run scripts.

use std::fmt;

use redis::Value;

use super::error::OpenError;
use super::link::Link;
use super::link::text::{line, list, text};
use super::options::{Address, Endpoints};
use super::scripts::Script;

/// The oldest version that has everything that is used.
const VERSION_MIN: u32 = 7;
const SLOTS: u32 = 16_384;

/// What the checks found, for a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How Redis is run: `standalone`, `sentinel` or `cluster`.
    pub topology: &'static str,
    /// Every serving master, by address.
    pub masters: Vec<Master>,
    /// What is allowed but unwise, a sentence each.
    pub warnings: Vec<String>,
}

/// A serving master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Where it is.
    pub address: Address,
    /// Its name and version: `Redis 7.0.15`, `Valkey 8.0.1`.
    pub version: String,
    /// Whether it writes what it does to a file as it goes (`appendonly yes`).
    pub append_only: bool,
    /// Whether it writes all of its data to a file now and then; `None` where it does not tell.
    pub snapshots: Option<bool>,
    /// How many replicas are connected to it.
    pub replicas: u64,
    /// How many of them it must have to take writes (`min-replicas-to-write`); `None` where it does not tell.
    pub replicas_needed: Option<u64>,
    /// The memory that it may use, in bytes; 0 for all there is.
    pub memory_max: u64,
}

/// Looks at every master.
///
/// # Errors
/// Why this Redis cannot be a ledger, with its address and the remedy.
pub async fn check(link: &Link) -> Result<Found, OpenError> {
    covered(link)?;
    let mut info = link.everywhere(&redis::cmd("INFO")).await?;
    info.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let mut masters = Vec::new();
    let mut warnings = Vec::new();
    let cluster = matches!(link.options().endpoints, Endpoints::Cluster(_));
    for (address, report) in info {
        let report = text(&report).unwrap_or_default();
        let master = master(address, &report, cluster)?;
        troubles(&master.address, &report, &mut warnings);
        masters.push(master);
    }
    settings(link, &mut masters).await;
    if masters.iter().any(|master| master.append_only) {
        reread(link).await?;
    }
    scripts(link).await?;
    for master in &masters {
        warnings.extend(unwise(master));
    }
    Ok(Found {
        topology: match link.options().endpoints {
            Endpoints::Standalone { .. } => "standalone",
            Endpoints::Sentinel { .. } => "sentinel",
            Endpoints::Cluster(_) => "cluster",
        },
        masters,
        warnings,
    })
}

fn unfit(address: &Address, what: impl fmt::Display) -> OpenError {
    OpenError::Unfit(format!("Redis at {address} {what}"))
}

fn covered(link: &Link) -> Result<(), OpenError> {
    match link.slots_covered() {
        Some(covered) if covered < SLOTS => Err(OpenError::Away(format!(
            "the cluster serves {covered} of {SLOTS} slots; give the others a master (`redis-cli --cluster fix`), \
             and look why theirs is gone"
        ))),
        _ => Ok(()),
    }
}

/// What a server tells of itself, if it can be a master of the ledger.
fn master(address: Address, report: &str, cluster: bool) -> Result<Master, OpenError> {
    let number = |name| line(report, name).and_then(|text| text.parse::<u64>().ok());
    let redis = line(report, "redis_version").unwrap_or("of unknown version");
    let version = match line(report, "valkey_version") {
        Some(valkey) => format!("Valkey {valkey}"),
        None => format!("Redis {redis}"),
    };
    let major = redis.split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < VERSION_MIN) {
        return Err(unfit(
            &address,
            format_args!("is {version}; {VERSION_MIN}.0 or newer is needed"),
        ));
    }
    match (line(report, "redis_mode"), cluster) {
        (Some("cluster"), false) => {
            return Err(unfit(
                &address,
                format_args!(
                    "is a node of a cluster; write `nodes: [\"{address}\"]` in place of `url`"
                ),
            ));
        }
        (Some("standalone"), true) => {
            return Err(unfit(
                &address,
                format_args!(
                    "is no node of a cluster; write `url: redis://{address}` in place of `nodes`"
                ),
            ));
        }
        _ => {}
    }
    if line(report, "role") == Some("slave") {
        let part = |name| line(report, name).unwrap_or("?");
        let (host, port) = (part("master_host"), part("master_port"));
        return Err(unfit(
            &address,
            format_args!("is a replica of {host}:{port}; name its master"),
        ));
    }
    let memory_max = number("maxmemory").unwrap_or(0);
    let policy = line(report, "maxmemory_policy").unwrap_or("noeviction");
    if memory_max > 0 && policy != "noeviction" {
        return Err(unfit(
            &address,
            format_args!(
                "forgets keys when its memory is full (maxmemory-policy {policy}), and money with them; \
                 set maxmemory-policy noeviction"
            ),
        ));
    }
    Ok(Master {
        append_only: line(report, "aof_enabled") == Some("1"),
        snapshots: None,
        replicas: number("connected_slaves").unwrap_or(0),
        replicas_needed: None,
        version,
        memory_max,
        address,
    })
}

/// What goes wrong there now.
fn troubles(address: &Address, report: &str, warnings: &mut Vec<String>) {
    for (name, what) in [
        (
            "aof_last_write_status",
            "could not write its append-only file",
        ),
        (
            "rdb_last_bgsave_status",
            "could not write its last snapshot",
        ),
    ] {
        if line(report, name).is_some_and(|status| status != "ok") {
            warnings.push(format!(
                "Redis at {address} {what}: look at its log and its disk"
            ));
        }
    }
}

/// A Redis that starts again carries out its append-only file in the name of its user `default`, and many versions
/// pass over what that user may not do: all that scripts wrote, without a word. Whoever may not ask is not told.
async fn reread(link: &Link) -> Result<(), OpenError> {
    let mut rehearsal = redis::cmd("ACL");
    rehearsal.arg("DRYRUN").arg("default").arg("HSET");
    rehearsal
        .arg(format!("{}:meta", link.options().prefix))
        .arg("schema")
        .arg("1");
    let Ok(answers) = link.everywhere(&rehearsal).await else {
        return Ok(());
    };
    match answers.iter().find(|(_, answer)| *answer != Value::Okay) {
        None => Ok(()),
        Some((address, _)) => Err(unfit(
            address,
            "would lose what Tollgate wrote when it starts again: it reads its append-only file as its user `default`, \
             which may write nothing; give that user all rights, also where it is off (in redis.conf or the ACL file: \
             `user default off ~* &* +@all`; at once: `ACL SETUSER default ~* &* +@all`)",
        )),
    }
}

/// What only `CONFIG GET` tells, which hosted services and careful operators forbid: then it stays unknown.
async fn settings(link: &Link, masters: &mut [Master]) {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("save").arg("min-replicas-to-write");
    let Ok(answers) = link.everywhere(&command).await else {
        return;
    };
    for (address, answer) in answers {
        let items = list(answer);
        let value = |name: &str| {
            let mut pairs = items.chunks_exact(2);
            let pair = pairs.find(|pair| text(&pair[0]).as_deref() == Some(name))?;
            text(&pair[1])
        };
        if let Some(master) = masters.iter_mut().find(|master| master.address == address) {
            master.snapshots = value("save").map(|save| !save.is_empty());
            master.replicas_needed =
                value("min-replicas-to-write").and_then(|needed| needed.parse().ok());
        }
    }
}

/// Whether the user may run scripts, by name and by source.
async fn scripts(link: &Link) -> Result<(), OpenError> {
    let probe = Script::new("probe", "return 1".to_owned());
    let mut by_source = redis::cmd("EVAL");
    by_source.arg(probe.source()).arg(0);
    let mut by_name = redis::cmd("EVALSHA");
    by_name.arg(probe.sha()).arg(0);
    for command in [by_source, by_name] {
        let answers = link.everywhere(&command).await?;
        for (address, answer) in answers {
            if answer != Value::Int(1) {
                return Err(unfit(
                    &address,
                    "runs no scripts as Redis does; Tollgate needs EVAL and EVALSHA",
                ));
            }
        }
    }
    Ok(())
}

fn unwise(master: &Master) -> Option<String> {
    let address = &master.address;
    match (master.append_only, master.snapshots) {
        (true, _) => None,
        (false, Some(false)) => Some(format!(
            "Redis at {address} keeps nothing on disk: its restart loses every wallet; set appendonly yes"
        )),
        (false, _) => Some(format!(
            "Redis at {address} has no append-only file: its restart loses what came after the last snapshot; \
             set appendonly yes"
        )),
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.topology)?;
        for (index, master) in self.masters.iter().enumerate() {
            let before = if index == 0 { ": " } else { "; " };
            write!(f, "{before}{master}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = match (self.append_only, self.snapshots) {
            (true, _) => "append-only file",
            (false, Some(true)) => "snapshots only",
            (false, Some(false)) => "nothing on disk",
            (false, None) => "no append-only file",
        };
        let memory = match self.memory_max {
            0 => "memory unlimited".to_owned(),
            bytes => format!("memory {bytes} bytes, none evicted"),
        };
        write!(
            f,
            "{} at {}, {disk}, {memory}, replicas {}",
            self.version, self.address, self.replicas
        )?;
        match self.replicas_needed {
            Some(needed) => write!(f, " ({needed} needed for a write)"),
            None => Ok(()),
        }
    }
}
