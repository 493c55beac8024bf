//! The server-side code: one script per operation, each named by its hash, so that proxies of two versions can
//! work on one store. No text of clients or of the config ever becomes part of a source.

use std::sync::LazyLock;

const INTEGERS: &str = include_str!("scripts/integers.lua");
const HEADER: &str = include_str!("scripts/header.lua");
const COUNTERS: &str = include_str!("scripts/counters.lua");
const WALLET: &str = include_str!("scripts/wallet.lua");
const FOLDING: &str = include_str!("scripts/folding.lua");
const OBJECTS: &str = include_str!("scripts/objects.lua");

/// A script and its hash.
#[derive(Debug)]
pub struct Script {
    /// What journals and messages call it.
    pub name: &'static str,
    source: String,
    sha: String,
}

impl Script {
    /// The script of this text.
    pub fn new(name: &'static str, source: String) -> Script {
        let sha = ::redis::Script::new(&source).get_hash().to_owned();
        Script { name, source, sha }
    }

    /// Its Lua source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The SHA-1 of its source in hexadecimal digits, by which the store knows it.
    pub fn sha(&self) -> &str {
        &self.sha
    }
}

/// All scripts.
#[derive(Debug)]
pub struct Scripts {
    /// Reserves a worst case.
    pub hold: Script,
    /// Replaces a hold by its charge.
    pub settle: Script,
    /// Releases a hold.
    pub void: Script,
    /// Extends leases.
    pub renew: Script,
    /// Opens a wallet.
    pub open: Script,
    /// Books a credit.
    pub credit: Script,
    /// Changes a credit line.
    pub line: Script,
    /// Writes a key's record.
    pub key: Script,
    /// Keeps whose an object is.
    pub object: Script,
    /// Forgets an object.
    pub drop: Script,
    /// Lists objects.
    pub list: Script,
    /// A journal has replayed what a partition lost.
    pub recovered: Script,
    /// Folds old receipts.
    pub fold: Script,
    /// Keeps folding out of a partition for a while.
    pub still: Script,
    /// Reads receipts.
    pub page: Script,
    /// Reads a wallet for an audit.
    pub account: Script,
}

impl Scripts {
    /// As they are.
    pub fn standard() -> &'static Scripts {
        static STANDARD: LazyLock<Scripts> = LazyLock::new(|| Scripts::with(str::to_owned));
        &STANDARD
    }

    /// As they are after `edit`: tests plant bugs this way. They live as long as the process.
    #[doc(hidden)]
    pub fn edited(edit: impl Fn(&str) -> String) -> &'static Scripts {
        Box::leak(Box::new(Scripts::with(edit)))
    }

    /// Those that a journal may hold, by name.
    pub fn named(&self, name: &str) -> Option<&Script> {
        let journalled = [
            &self.settle,
            &self.void,
            &self.open,
            &self.credit,
            &self.line,
            &self.key,
            &self.object,
            &self.drop,
        ];
        journalled.into_iter().find(|script| script.name == name)
    }

    fn with(edit: impl Fn(&str) -> String) -> Scripts {
        let script = |name, parts: &[&str]| {
            let source: Vec<String> = parts.iter().map(|part| edit(part)).collect();
            Script::new(name, source.join("\n"))
        };
        macro_rules! of {
            ($($part:expr),+; $file:literal) => {
                script(
                    $file,
                    &[$($part,)+ include_str!(concat!("scripts/", $file, ".lua"))],
                )
            };
        }
        Scripts {
            hold: of!(INTEGERS, HEADER, COUNTERS, WALLET; "hold"),
            settle: of!(INTEGERS, HEADER, COUNTERS, WALLET, FOLDING, OBJECTS; "settle"),
            void: of!(INTEGERS, HEADER, COUNTERS, WALLET; "void"),
            renew: of!(INTEGERS, HEADER, COUNTERS, WALLET; "renew"),
            open: of!(INTEGERS, HEADER; "open"),
            credit: of!(INTEGERS, HEADER; "credit"),
            line: of!(INTEGERS, HEADER; "line"),
            key: of!(HEADER; "key"),
            object: of!(HEADER, OBJECTS; "object"),
            drop: of!(HEADER, OBJECTS; "drop"),
            list: script("list", &[include_str!("scripts/list.lua")]),
            recovered: of!(HEADER; "recovered"),
            fold: of!(INTEGERS, HEADER, FOLDING; "fold"),
            still: of!(HEADER; "still"),
            page: script("page", &[include_str!("scripts/page.lua")]),
            account: script("account", &[include_str!("scripts/account.lua")]),
        }
    }
}
