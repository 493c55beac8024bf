//! Which fields of a changed config a running process can take into use, and which need a restart.

use super::Config;

impl Config {
    /// This config as the process that runs with `running` can use it: listeners, store and caps stay
    /// as they are. Answers too which of those fields differ, as `server.listen`.
    #[must_use]
    pub fn running(mut self, running: &Config) -> (Config, Vec<&'static str>) {
        /// The names of the fields that differ; the section's own name where none of these does.
        macro_rules! changed {
            ($section:ident: $($field:ident)*) => {{
                let (old, new) = (&running.$section, &self.$section);
                let mut names: Vec<&'static str> = Vec::new();
                $(if old.$field != new.$field {
                    names.push(concat!(stringify!($section), ".", stringify!($field)));
                })*
                if names.is_empty() && old != new {
                    names.push(stringify!($section));
                }
                names
            }};
        }
        let mut names = changed!(server:
            listen admin_listen timezone drain_seconds refusal_status_no_funds request_log cors_origins tls
            trusted_proxies
        );
        let ledger = names.len();
        names.extend(changed!(ledger: kind path durability lease_ms keep_receipts_days redis));
        if let (Some(old), Some(new)) = (&running.ledger.redis, &self.ledger.redis)
            && let Some(at) = names[ledger..]
                .iter()
                .position(|name| *name == "ledger.redis")
        {
            names.splice(ledger + at..=ledger + at, old.changes(new));
        }
        names.extend(changed!(caps:
            request_body_bytes request_memory_bytes answer_hold_bytes answer_memory_bytes
            answer_tail_bytes answer_hold_ms json_depth header_bytes header_count header_timeout_ms
            body_timeout_ms client_stall_ms drain_client_ms drain_client_bytes connections h2_streams attempts
            attempts_ms
        ));
        self.server = running.server.clone();
        self.ledger = running.ledger.clone();
        self.caps = running.caps.clone();
        (self, names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "
server: { listen: \"127.0.0.1:8080\" }
ledger: { path: a.db }
currency: CNY
upstreams: { demo: { kind: simulator } }
models: [{ id: m, upstream: demo, prices: [{ free: true }] }]
";

    fn config(text: &str) -> Config {
        Config::parse(text, "config.yaml", &|_| None).expect("a sound config")
    }

    #[test]
    fn listeners_store_and_caps_stay_and_are_named() {
        let edited = BASE
            .replace("8080", "9090")
            .replace("a.db", "b.db, durability: process")
            + "caps: { attempts: 5 }\n";
        let (kept, names) = config(&edited).running(&config(BASE));
        assert_eq!(
            names,
            [
                "server.listen",
                "ledger.path",
                "ledger.durability",
                "caps.attempts"
            ]
        );
        assert_eq!(kept.server.listen.port(), 8080);
        assert_eq!(kept.ledger.path.to_str(), Some("a.db"));
        assert_eq!(kept.caps.attempts, 3);
    }

    #[test]
    fn fields_of_redis_are_named_as_they_are_written() {
        let redis = |fields: &str| {
            let ledger = format!("ledger: {{ kind: redis, {fields} }}");
            config(&BASE.replace("ledger: { path: a.db }", &ledger))
        };
        let running = redis("url: redis://a");
        let (kept, names) = redis("nodes: [b], password: x, prefix: y").running(&running);
        assert_eq!(names, ["ledger.nodes", "ledger.password", "ledger.prefix"]);
        assert_eq!(kept.ledger, running.ledger);
        let (_, names) = redis("url: rediss://a, deadline_ms: 3000").running(&running);
        assert_eq!(names, ["ledger.url", "ledger.deadline_ms"]);
        let (_, names) = config(BASE).running(&running);
        assert_eq!(names, ["ledger.kind", "ledger.path", "ledger.redis"]);
    }

    #[test]
    fn everything_else_is_taken_over() {
        let edited = BASE.replace("id: m", "id: other");
        let (kept, names) = config(&edited).running(&config(BASE));
        assert_eq!(names, Vec::<&str>::new());
        assert_eq!(kept.models[0].id, "other");
    }
}
