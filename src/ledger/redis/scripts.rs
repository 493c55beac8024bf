//! The code that runs inside Redis.

/// A piece of server-side code. It is named by its hash, so that proxies of two versions run side by side.
#[derive(Debug)]
pub struct Script {
    /// What it is called in messages.
    pub name: &'static str,
    source: String,
    sha: String,
}

impl Script {
    /// The script with this source, which holds no text of clients or config.
    pub fn new(name: &'static str, source: String) -> Script {
        let sha = ::redis::Script::new(&source).get_hash().to_owned();
        Script { name, source, sha }
    }

    /// Its Lua source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The SHA-1 of its source in hex, by which Redis knows it.
    pub fn sha(&self) -> &str {
        &self.sha
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_by_the_hash_of_its_source() {
        let script = Script::new("one", "return 1".to_owned());
        assert_eq!(script.sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
