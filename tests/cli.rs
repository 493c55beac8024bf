//! The command line as people and scripts meet it: words, tables, JSON, exit codes.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::command::{Demo, Ran, Serving, TOKEN, folder, run, tollgate};

const SOUND: &str = r#"
server: { listen: "127.0.0.1:0", admin_listen: "127.0.0.2:0", timezone: Asia/Shanghai }
ledger: { kind: embedded, path: PATH, durability: process }
currency: CNY
upstreams: { demo: { kind: simulator } }
models:
  - id: vendor/chat
    aliases: [Chat]
    upstream: demo
    context_tokens: 1000
    max_output_tokens: 100
    prices: [{ per: 1M tokens, input: 4, output: 16 }]
grants:
  - { name: free-chat, unit: tokens, amount: 500000, models: [Chat] }
"#;

/// Writes a config into a folder of the test's own; answers the paths of config and store.
fn config(test: &str, text: &str) -> (String, String) {
    let folder = folder(test);
    let store = folder.join("tollgate.db").display().to_string();
    let config = folder.join("config.yaml");
    std::fs::write(&config, text.replace("PATH", &store)).expect("a config is written");
    (config.display().to_string(), store)
}

fn with_config(config: &str, args: &[&str]) -> Ran {
    run(tollgate(&["--config", config]).args(args))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

#[test]
fn every_command_has_help_with_examples() {
    let commands: [&[&str]; 16] = [
        &[],
        &["serve"],
        &["demo"],
        &["check"],
        &["audit"],
        &["backup"],
        &["restore"],
        &["key", "create"],
        &["key", "set"],
        &["key", "list"],
        &["key", "revoke"],
        &["wallet", "show"],
        &["wallet", "topup"],
        &["wallet", "set"],
        &["wallet", "grant"],
        &["prices", "list"],
    ];
    for command in commands
        .into_iter()
        .chain([&["prices", "lint"][..], &["health"]])
    {
        let help = run(tollgate(command).arg("--help"));
        assert_eq!(help.code, 0, "{command:?}");
        assert!(
            help.out.contains("Examples:\n  "),
            "{command:?}: {}",
            help.out
        );
        assert!(help.out.contains("tollgate "), "{command:?}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let help = run(&mut tollgate(&["--help"]));
    assert!(help.out.contains("Exit codes:"), "{}", help.out);
    for code in ["  0 ", "  1 ", "  2 ", "  3 ", "  69 ", "  70 ", "  78 "] {
        assert!(help.out.contains(code), "{code}: {}", help.out);
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for args in [
        &["fly"][..],
        &["check", "--cows"],
        &["wallet", "topup", "alice"],
        &["wallet", "topup", "alice", "a lot"],
        &["key", "create"],
        &["key", "create", "--name", "a", "--limit", "cows=5/day"],
        &["key", "create", "--name", "a", "--limit", "spend=5"],
        &["key", "create", "--name", "a", "--balance", "1e3"],
    ] {
        let ran = run(&mut tollgate(args));
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(ran.err.contains("error:"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn check_finds_nothing_in_a_sound_config() {
    let (config, store) = config("check-sound", SOUND);
    let ran = with_config(&config, &["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(
        ran.out
            .contains("1 model, 1 upstream, 1 grant, 0 declared keys"),
        "{}",
        ran.out
    );
    assert!(
        !std::path::Path::new(&store).exists(),
        "checking makes no store"
    );
    let report = json(&with_config(&config, &["--json", "check"]).out);
    assert_eq!(
        (&report["models"], &report["warnings"]),
        (&1.into(), &Value::Array(vec![]))
    );
}

#[test]
fn check_names_every_error_with_its_place_and_exits_with_1() {
    let broken = SOUND
        .replace("upstream: demo", "upstream: nowhere")
        .replace("output: 16", "output: sixteen");
    let (config, _) = config("check-broken", &broken);
    let ran = with_config(&config, &["check"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.err);
    assert!(
        lines[0].contains("config.yaml:9: models[0].upstream"),
        "{}",
        ran.err
    );
    assert!(
        lines[1].contains("config.yaml:12: models[0].prices[0].output"),
        "{}",
        ran.err
    );
}

#[test]
fn check_tells_scripts_its_errors_as_json() {
    let (path, _) = config(
        "check-json",
        &SOUND.replace("currency: CNY", "currency: yuan\nx: 1"),
    );
    let ran = with_config(&path, &["--json", "check"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let errors = json(&ran.out)["errors"].as_array().expect("a list").clone();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0]
            .as_str()
            .expect("text")
            .contains("config.yaml:4: currency:"),
        "{errors:?}"
    );
}

#[test]
fn check_exits_with_3_where_something_looks_wrong() {
    let (config, _) = config("check-odd", &SOUND.replace("output: 16", "output: 1"));
    let ran = with_config(&config, &["check"]);
    assert_eq!(ran.code, 3, "{}", ran.out);
    assert!(
        ran.out.contains("warning: vendor/chat: output:"),
        "{}",
        ran.out
    );
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let ran = with_config("/no/such/file.yaml", &["check"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("/no/such/file.yaml"), "{}", ran.err);
    assert!(ran.err.contains("--config"), "{}", ran.err);
}

#[test]
fn the_shipped_list_is_shown_and_its_misprint_flagged() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config.yaml");
    let list = with_config(shipped, &["prices", "list"]);
    assert_eq!(list.code, 0, "{}", list.err);
    let row = list
        .out
        .lines()
        .find(|line| line.contains("DeepSeek-R1 ") && line.contains(" yes "));
    let words: Vec<&str> = row.expect("a row in force").split_whitespace().collect();
    assert_eq!(
        words[..7],
        [
            "deepseek-ai/DeepSeek-R1",
            "chat",
            "1M",
            "tokens",
            "4",
            "16",
            "-"
        ]
    );
    let lint = with_config(shipped, &["prices", "lint"]);
    assert_eq!(lint.code, 3);
    assert!(
        lint.out.contains("ERNIE-4.5-Turbo-128K: output:"),
        "{}",
        lint.out
    );
    let found = json(&with_config(shipped, &["--json", "prices", "lint"]).out);
    assert_eq!(found["data"][0]["model"], "ERNIE-4.5-Turbo-128K");
}

#[test]
fn prices_that_look_right_exit_with_0() {
    let (config, _) = config("lint-sound", SOUND);
    assert_eq!(with_config(&config, &["prices", "lint"]).code, 0);
    let list = json(&with_config(&config, &["--json", "prices", "list"]).out);
    let model = &list["data"][0];
    assert_eq!(
        (&model["id"], &model["prices"][0]["output"]),
        (&"vendor/chat".into(), &"16".into())
    );
}

#[test]
fn client_commands_say_what_is_missing() {
    let ran = run(&mut tollgate(&["key", "list"]));
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("set TOLLGATE_ADMIN_TOKEN"), "{}", ran.err);

    // Not a port that was just free: another test may get it.
    let url = "http://127.0.0.1:1";
    for args in [&["key", "list"][..], &["wallet", "show"], &["audit"]] {
        let ran = run(tollgate(args)
            .args(["--admin", url])
            .env("TOLLGATE_ADMIN_TOKEN", TOKEN));
        assert_eq!(ran.code, 69, "{args:?}: {}", ran.err);
        assert!(
            ran.err.contains("start it with `tollgate serve`"),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains(TOKEN), "{}", ran.err);
    }
    let topup = ["wallet", "topup", "alice", "1", "--admin", url];
    let ran = run(tollgate(&topup).env("TOLLGATE_ADMIN_TOKEN", TOKEN));
    assert_eq!(ran.code, 69);
    assert!(
        ran.err.contains("repeat it with --id topup_"),
        "{}",
        ran.err
    );

    let ran =
        run(tollgate(&["key", "list", "--admin", "https://there"])
            .env("TOLLGATE_ADMIN_TOKEN", TOKEN));
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn whoever_names_the_address_of_customers_as_the_admin_address_is_told() {
    let demo = Demo::start();
    let url = demo.intro["base_url"].as_str().expect("a URL");
    let ran = run(
        tollgate(&["key", "list", "--admin", url.trim_end_matches("/v1")])
            .env("TOLLGATE_ADMIN_TOKEN", TOKEN),
    );
    assert_eq!(ran.code, 69, "{}", ran.err);
    assert!(
        ran.err.contains("`admin_listen`, not its `listen`"),
        "{}",
        ran.err
    );
}

#[test]
fn a_weak_admin_token_keeps_the_server_from_starting() {
    let (config, _) = config("weak-token", SOUND);
    let ran = run(tollgate(&["--config", &config, "serve"]).env("TOLLGATE_ADMIN_TOKEN", "short"));
    assert_eq!(ran.code, 78);
    assert!(
        ran.err
            .contains("has 5 characters and must have at least 16"),
        "{}",
        ran.err
    );
}

#[test]
fn the_admin_token_may_stand_in_a_file() {
    let (config, store) = config("token-file", SOUND);
    let file = std::path::Path::new(&store).with_file_name("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("a file");
    let named = format!("file:{}", file.display());
    let serving = Serving::start_with(&config, &named);
    assert_eq!(serving.ask(&["key", "list"]).code, 0);
    let list = ["key", "list", "--admin", &serving.admin];
    let ran = run(tollgate(&list).env("TOLLGATE_ADMIN_TOKEN", &named));
    assert_eq!(ran.code, 0, "{}", ran.err);
    std::fs::remove_file(&file).expect("it was there");
    let serve = ["--config", &config, "serve"];
    for (command, code) in [(&list[..], 1), (&serve, 78)] {
        let ran = run(tollgate(command).env("TOLLGATE_ADMIN_TOKEN", &named));
        assert_eq!(ran.code, code);
        let why = format!(
            "the file {}, which TOLLGATE_ADMIN_TOKEN names, cannot be read: No such file",
            file.display()
        );
        assert!(ran.err.contains(&why), "{}", ran.err);
    }
    assert_eq!(serving.stop(), 0);
}

/// The sound config with a second upstream, and the model there.
fn remote(fields: &str) -> String {
    let upstream = format!(
        "demo: {{ kind: simulator }}, real: {{ base_url: \"https://127.0.0.1:1\", {fields} }}"
    );
    SOUND
        .replace("demo: { kind: simulator }", &upstream)
        .replace("upstream: demo", "upstream: real")
}

#[test]
fn check_works_without_the_files_of_secrets_and_serve_does_not() {
    let (config, _) = config("secret-file", &remote("api_key: \"file:key\""));
    let place = "config.yaml:5: upstreams.real.api_key: the file ";
    let ran = with_config(&config, &["check"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(
        ran.out.contains(place) && ran.out.contains("/secret-file/key cannot be read"),
        "{}",
        ran.out
    );
    let ran = with_config(&config, &["serve"]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains(place), "{}", ran.err);
    std::fs::write(std::path::Path::new(&config).with_file_name("key"), "sk").expect("a file");
    assert_eq!(with_config(&config, &["check"]).code, 0);
}

#[test]
fn check_names_the_file_whose_authorities_cannot_be_trusted() {
    let (config, _) = config("no-authority", &remote("ca_file: config.yaml"));
    let ran = with_config(&config, &["check"]);
    assert_eq!(ran.code, 1);
    let said = "config.yaml:5: upstreams.real.ca_file: the file ";
    assert!(
        ran.err.contains(said) && ran.err.contains("has no certificate"),
        "{}",
        ran.err
    );
}

/// A sound config whose ledger is in a Redis where nobody listens.
fn in_redis(test: &str, fields: &str) -> (String, String) {
    let embedded = "{ kind: embedded, path: PATH, durability: process }";
    assert!(SOUND.contains(embedded));
    let redis = format!("{{ kind: redis, url: 'redis://127.0.0.1:1', journal: PATH{fields} }}");
    config(test, &SOUND.replace(embedded, &redis))
}

#[test]
fn check_looks_at_a_redis_ledger_of_the_config_without_connecting() {
    let (sound, _) = in_redis("check-redis", "");
    let ran = with_config(&sound, &["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let (wrong, _) = in_redis("check-redis-wrong", ", durability: disk");
    let ran = with_config(&wrong, &["check"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("durability"), "{}", ran.err);
}

#[test]
fn serve_does_not_begin_without_its_redis_and_says_where_it_looked() {
    let (config, journal) = in_redis("serve-redis", "");
    let ran = with_config(&config, &["serve"]);
    assert_eq!(ran.code, 1, "starting it again may help: {}", ran.err);
    assert!(ran.err.contains("127.0.0.1:1"), "{}", ran.err);
    assert!(!std::path::Path::new(&journal).exists(), "no journal yet");
}

#[test]
fn commands_on_an_embedded_file_say_what_to_do_where_the_ledger_is_in_redis() {
    let (config, _) = in_redis("file-redis", "");
    for args in [
        &["backup", "--out", "copy.db"][..],
        &["restore", "copy.db"],
        &["restore", "copy.db", "--yes"],
    ] {
        let ran = with_config(&config, args);
        assert_eq!(ran.code, 78, "{args:?}");
        for words in ["ledger in Redis", "own means", "tollgate audit"] {
            assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
        }
    }
}

#[test]
fn serve_tells_scripts_where_it_listens() {
    let (config, _) = config("serve-json", SOUND);
    let mut child = tollgate(&["--json", "--config", &config, "serve"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut said = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut said).expect("a line");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let said = json(&said);
    let address = said["listening"].as_str().expect("an address");
    assert!(address.starts_with("http://127.0.0.1:"), "{said}");
    assert_eq!(said["admin"], Value::Null, "without a token");
    let metrics = said["metrics"].as_str().expect("an address");
    assert!(metrics.ends_with("/metrics"), "{said}");
}

/// Whoever starts servers starts them again after the second, and not after the first.
#[test]
fn a_wrong_config_and_an_address_in_use_end_with_codes_of_their_own() {
    let (wrong, _) = config("exit-wrong", "currency: 7\n");
    let ran = with_config(&wrong, &["serve"]);
    assert_eq!(ran.code, 78, "{}", ran.err);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let text = SOUND.replace("127.0.0.1:0", &address);
    let (busy, _) = config("exit-busy", &text);
    let ran = with_config(&busy, &["serve"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains(&address), "{}", ran.err);
}

/// As the first process of a container it gets no signal that it does not wait for.
#[test]
fn a_signal_before_the_server_is_up_ends_it_in_order() {
    // Long enough that it is being read when the signal comes.
    let rows = "# a line that says nothing\n".repeat(500_000);
    let (config, _) = config("early-signal", &format!("{SOUND}{rows}"));
    for name in ["TERM", "INT"] {
        let mut child = tollgate(&["--config", &config, "serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let status = format!("/proc/{}/status", child.id());
        let waits_for = |number: u32| {
            let status = std::fs::read_to_string(&status).expect("it runs");
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let mask = u64::from_str_radix(mask.expect("a mask").trim(), 16).expect("hexadecimal");
            mask >> (number - 1) & 1 == 1
        };
        let until = Instant::now() + Duration::from_secs(30);
        while !(waits_for(15) && waits_for(2)) {
            assert!(Instant::now() < until, "it waits for no signal");
            std::thread::yield_now();
        }
        let told = Command::new("kill")
            .args([format!("-{name}"), child.id().to_string()])
            .status();
        assert!(told.expect("kill runs").success());
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{name}");
    }
}

#[test]
fn keys_and_wallets_of_a_running_server_are_changed() {
    let (config, _) = config("changes", SOUND);
    let server = Serving::start(&config);
    server.ask(&["key", "create", "--name", "alice", "--balance", "10"]);

    let set = [
        "key",
        "set",
        "alice",
        "--limit",
        "spend=5/day",
        "--models",
        "Chat",
        "--offline-allowance",
        "1.50",
    ];
    let said = server.ask(&set);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("limits   spend=5/day"), "{}", said.out);
    assert!(said.out.contains("models   vendor/chat"), "{}", said.out);
    assert!(said.out.contains("offline  1.5"), "{}", said.out);
    let back = server.ask(&["key", "set", "alice", "--no-limits", "--all-models"]);
    assert!(
        back.out.contains("limits   none\nmodels   all"),
        "{}",
        back.out
    );
    assert_eq!(
        server.ask(&["key", "set", "alice"]).code,
        2,
        "nothing to change"
    );
    assert_eq!(server.ask(&["key", "set", "nobody", "--no-limits"]).code, 1);

    let line = server.ask(&["wallet", "set", "alice", "--credit-line", "50"]);
    assert_eq!(
        line.out,
        "alice: credit line 50, balance 10, available 60\n"
    );
    let grant = [
        "wallet", "grant", "alice", "--name", "promo", "--unit", "tokens",
    ];
    let given = server.ask(&[&grant[..], &["--amount", "700"]].concat());
    assert_eq!(
        given.out, "promo: given; 700 left of 700\n",
        "{}",
        given.err
    );
    let again = server.ask(&[&grant[..], &["--amount", "700"]].concat());
    let words = "promo: had been given before; 700 left of 700\n";
    assert_eq!((again.code, &*again.out), (0, words), "{}", again.err);
    let other = server.ask(&[&grant[..], &["--amount", "800"]].concat());
    assert_eq!(other.code, 1, "{}", other.out);
    let wrong = server.ask(&[&grant[..], &["--amount", "7.5"]].concat());
    assert_eq!(wrong.code, 2, "{}", wrong.err);
}

#[test]
fn keys_and_wallets_of_a_running_server() {
    let (config, store) = config("story", SOUND);
    let server = Serving::start(&config);

    let made = server.ask(&[
        "--json",
        "key",
        "create",
        "--name",
        "alice",
        "--balance",
        "10",
    ]);
    assert_eq!(made.code, 0, "{}", made.err);
    let made = json(&made.out);
    let secret = made["secret"].as_str().expect("a secret");
    assert_eq!(made["grants"], Value::from(vec!["free-chat"]));
    let plain = server.ask(&[
        "key",
        "create",
        "--name",
        "bob",
        "--wallet",
        "alice",
        "--limit",
        "spend=5.00/day",
        "--models",
        "Chat",
    ]);
    assert_eq!(plain.code, 0, "{}", plain.err);
    assert!(
        plain.out.contains("secret   tg-") && plain.out.contains("alice (was there)"),
        "{}",
        plain.out
    );
    assert!(plain.out.contains("grants   none given"), "{}", plain.out);

    let topup = ["wallet", "topup", "alice", "2.50", "--id", "inv-1"];
    assert_eq!(
        server.ask(&topup).out,
        "booked 2.5 to alice, id inv-1; balance 12.5\n"
    );
    assert_eq!(
        server.ask(&topup).out,
        "had been booked before: 2.5 to alice, id inv-1; balance 12.5\n"
    );
    let other = server.ask(&["wallet", "topup", "alice", "3", "--id", "inv-1"]);
    assert_eq!(other.code, 1, "{}", other.out);
    assert!(other.err.contains("2.5 to alice"), "{}", other.err);
    let negative = server.ask(&["wallet", "topup", "alice", "-3"]);
    assert!(negative.err.contains("more than 0"), "{}", negative.err);
    assert!(
        server
            .ask(&["wallet", "topup", "alice", "1"])
            .out
            .contains("id topup_")
    );
    assert_eq!(server.ask(&["wallet", "topup", "nobody", "1"]).code, 1);

    let wallets = server.ask(&["wallet", "show"]).out;
    let words: Vec<&str> = wallets
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(
        words,
        [
            "alice",
            "13.5",
            "0",
            "13.5",
            "0",
            "0",
            "0",
            "CNY",
            "free-chat=500000"
        ]
    );
    let wallet = json(&server.ask(&["--json", "wallet", "show", "alice"]).out);
    assert_eq!(wallet["balance"], "13.5");
    assert!(
        server
            .ask(&["wallet", "show", "alice"])
            .out
            .contains("free-chat")
    );

    let revoked = server.ask(&["key", "revoke", "bob"]);
    assert!(
        revoked.out.starts_with("revoked bob (key_"),
        "{}",
        revoked.out
    );
    assert_eq!(
        server.ask(&["key", "revoke", "bob"]).code,
        1,
        "revoked already"
    );
    assert_eq!(server.ask(&["key", "revoke", "carol"]).code, 1, "unknown");
    let keys = server.ask(&["key", "list"]).out;
    let bob = keys
        .lines()
        .find(|line| line.contains("bob"))
        .expect("still listed");
    assert!(
        bob.contains("revoked") && bob.contains("spend=5/day") && bob.contains("vendor/chat"),
        "{bob}"
    );
    for args in [
        &["--json", "key", "list"][..],
        &["--json", "wallet", "show"],
        &["--json", "audit"],
    ] {
        assert!(!server.ask(args).out.contains(secret), "{args:?}");
    }

    let audit = server.ask(&["audit"]);
    assert_eq!(audit.code, 0, "{}", audit.out);
    assert!(
        audit.out.starts_with("everything adds up: 1 wallet,"),
        "{}",
        audit.out
    );
    let busy = run(&mut tollgate(&["audit", "--store", &store]));
    assert_eq!(busy.code, 1);
    assert!(busy.err.contains("in use by"), "{}", busy.err);
    let wrong = run(tollgate(&["key", "list", "--admin", &server.admin])
        .env("TOLLGATE_ADMIN_TOKEN", "wrong-wrong-wrong-wrong"));
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.err.contains("does not accept the admin token") && !wrong.err.contains("wrong-wrong"),
        "{}",
        wrong.err
    );

    assert_eq!(server.stop(), 0);
    let offline = run(&mut tollgate(&["audit", "--store", &store]));
    assert_eq!(offline.code, 0, "{}{}", offline.out, offline.err);
}

/// Asks the demo for a chat; answers the status.
async fn chat(demo: &Demo, model: &str) -> u16 {
    let text = |name: &str| demo.intro[name].as_str().expect("text").to_owned();
    let body = serde_json::json!({
        "model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "Hello!"}],
    });
    let http = reqwest::Client::builder().no_proxy().build();
    let request = http
        .expect("a client")
        .post(format!("{}/chat/completions", text("base_url")))
        .bearer_auth(text("api_key"))
        .json(&body);
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn the_demo_answers_its_own_example_and_shows_each_request_as_a_line() {
    let mut demo = Demo::start();
    assert_eq!(demo.intro["balance"], "10");
    assert_eq!(chat(&demo, "DeepSeek-R1").await, 200);
    for (model, status) in [
        ("no-such-model", 404),
        ("DeepSeek-R1#cut", 502),
        ("DeepSeek-R1#status=500", 500),
        ("no-such-model", 404),
    ] {
        assert_eq!(chat(&demo, model).await, status);
    }
    let lines = demo.lines.as_mut().expect("read on");
    let mut line = || json(&lines.next().expect("a line").expect("text"));
    let charged = line();
    assert_eq!(charged["model"], "deepseek-ai/DeepSeek-R1");
    assert_eq!(charged["usage"]["output"], 20);
    // Both are seen: a free quota, and a cost.
    assert_eq!(charged["free"]["tokens"], 20);
    let cost = charged["cost"].as_str().expect("money");
    assert!(cost.starts_with("0.000"), "{charged}");
    assert_ne!(charged["balance"], "10", "{charged}");
    assert_eq!(line()["code"], "model_not_found");
    // What an upstream cut off is refused: one line, not a second one for the upstream's own status.
    assert_eq!(line()["code"], "upstream_unavailable");
    assert_eq!(line()["upstream_status"], 500);
    assert_eq!(line()["code"], "model_not_found");
}

#[tokio::test]
async fn the_demo_of_a_named_config_serves_its_models() {
    let (config, _) = config("demo-of", SOUND);
    let demo = Demo::of(&["--config", &config]);
    assert_eq!(chat(&demo, "Chat").await, 200);
    assert_eq!(chat(&demo, "DeepSeek-R1").await, 404);
}

#[test]
fn clients_ask_the_server_of_the_config_file() {
    let (sound, _) = config("of-file", SOUND);
    let server = Serving::start(&sound);
    let address = server.admin.strip_prefix("http://").expect("plain HTTP");
    let ask = |listen: &str| {
        let text = SOUND.replace("127.0.0.2:0", listen);
        let (named, _) = config("of-file-named", &text);
        let list = ["--config", named.as_str(), "wallet", "show"];
        run(tollgate(&list).env("TOLLGATE_ADMIN_TOKEN", TOKEN))
    };
    let found = ask(address);
    assert_eq!(found.code, 0, "{}", found.err);
    let free = ask("127.0.0.2:0");
    assert_eq!(free.code, 2, "{}", free.err);
    assert!(
        free.err.contains("server.admin_listen has port 0"),
        "{}",
        free.err
    );
    let none = ["--config", "no-such.yaml", "wallet", "show"];
    let none = run(tollgate(&none).env("TOLLGATE_ADMIN_TOKEN", TOKEN));
    assert_eq!(none.code, 1, "{}", none.err);
    assert!(
        none.err.contains("no-such.yaml: cannot be read"),
        "{}",
        none.err
    );
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn the_demo_goes_on_where_nobody_reads_what_it_prints() {
    let mut demo = Demo::start();
    drop(demo.lines.take());
    for _ in 0..2 {
        assert_eq!(chat(&demo, "DeepSeek-R1").await, 200);
    }
}

#[test]
fn without_a_token_operators_see_metrics_and_the_management_api_says_what_to_set() {
    let (config, _) = config("no-token", SOUND);
    let mut child = tollgate(&["--json", "--config", &config, "serve"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut said = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut said).expect("a line");
    let said = json(&said);
    let metrics = said["metrics"].as_str().expect("an address");
    let admin = metrics.strip_suffix("/metrics").expect("a page");
    let ran = run(tollgate(&["key", "list", "--admin", admin]).env("TOLLGATE_ADMIN_TOKEN", TOKEN));
    let address = admin.strip_prefix("http://").expect("plain HTTP");
    let mut pages = Vec::new();
    for path in ["/metrics", "/readyz", "/admin/keys", "/nothing"] {
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, head.as_bytes()).expect("sent");
        let mut page = String::new();
        std::io::Read::read_to_string(&mut stream, &mut page).expect("an answer");
        pages.push(page);
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.err
            .contains("set TOLLGATE_ADMIN_TOKEN where the server runs"),
        "{}",
        ran.err
    );
    for (page, status) in pages.iter().zip([200, 200, 403, 403]) {
        let begin = format!("HTTP/1.1 {status} ");
        assert!(page.starts_with(&begin), "{page}");
    }
}
