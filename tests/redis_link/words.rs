//! What is said when Redis cannot be used: host, port and remedy, and never the password.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;
use tollgate::config::CaFile;
use tollgate::ledger::redis::error::OpenError;
use tollgate::ledger::redis::options::{Address, Endpoints, RedisOptions};

use crate::support::redis::{Cluster, Sentinels, Server};
use crate::support::{Authority, TempDir};
use crate::{append, linked, options, refusal};

#[track_caller]
fn says(error: &OpenError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` in: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

fn trusting(authority: &Authority, url: &str) -> RedisOptions {
    let certificates = CertificateDer::pem_slice_iter(authority.pem().as_bytes())
        .collect::<Result<_, _>>()
        .expect("PEM");
    let mut options = options(url);
    options.ca_file = Some(CaFile {
        path: PathBuf::from("ca.pem"),
        certificates,
    });
    options
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let error = refusal(&options("redis://127.0.0.1:1")).await;
    says(
        &error,
        &["nothing listens at 127.0.0.1:1", "is Redis running"],
    );
    let error = refusal(&options("redis://nowhere.invalid:6379")).await;
    says(&error, &["`nowhere.invalid`", "is its name right"]);
}

#[tokio::test]
async fn a_password_that_is_wrong_missing_or_not_wanted_is_told_apart() {
    let server = Server::with(
        crate::support::redis::Keep::Nothing,
        &["--requirepass", "secret-canary"],
    );
    let at = server.address();
    let error = refusal(&options(&server.url())).await;
    says(
        &error,
        &[&at.to_string(), "NOAUTH", "set the password in ledger.url"],
    );
    assert!(matches!(error, OpenError::Unfit(_)));
    let error = refusal(&options(&format!("redis://:wrong-canary@{at}"))).await;
    says(
        &error,
        &[
            &at.to_string(),
            "WRONGPASS",
            "set the right user and password",
        ],
    );
    let fine = options(&format!("redis://default:secret%2Dcanary@{at}"));
    assert!(!format!("{fine:?}").contains("canary"));
    linked(&fine).await;
    let open = Server::start();
    let error = refusal(&options(&format!(
        "redis://:not-wanted-canary@{}",
        open.address()
    )))
    .await;
    says(&error, &["it wants no password: remove it"]);
}

#[tokio::test]
async fn a_user_that_may_not_do_what_is_needed_is_told_what() {
    let server = Server::start();
    server.ask(&[
        "ACL",
        "SETUSER",
        "little",
        "on",
        ">canary",
        "~tollgate:*",
        "+ping",
        "+role",
        "+auth",
    ]);
    let link = linked(&options(&format!(
        "redis://little:canary@{}",
        server.address()
    )))
    .await;
    let error = append(&link, "tollgate:x", 1)
        .await
        .expect_err("not allowed")
        .to_string();
    assert!(
        error.contains("NOPERM") && error.contains("evalsha") && error.contains("README"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told() {
    let server = Server::start();
    linked(&options(&format!("{}/15", server.url()))).await;
    let error = refusal(&options(&format!("{}/16", server.url()))).await;
    says(&error, &["it has not so many databases"]);
    let cluster = Cluster::start();
    let node = &cluster.servers[0];
    says(
        &refusal(&options(&format!("{}/1", node.url()))).await,
        &["a cluster has one database", "`nodes: [...]`"],
    );
}

#[tokio::test]
async fn tls_is_spoken_with_the_authority_of_the_config_and_no_other() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let server = Server::tls(&authority.issue(folder.path()), &[]);
    let link = linked(&trusting(&authority, &server.url())).await;
    append(&link, "list", 1).await.expect("an answer");
    let at = server.address().to_string();
    let error = refusal(&trusting(&Authority::new(), &server.url())).await;
    says(
        &error,
        &[&at, "not issued by an authority in ledger.ca_file"],
    );
    let error = refusal(&options(&server.url())).await;
    says(
        &error,
        &[&at, "not public; name its file in ledger.ca_file"],
    );
    let other = server.url().replace("127.0.0.1", "localhost");
    says(
        &refusal(&trusting(&authority, &other)).await,
        &["its certificate is for another name than `localhost`"],
    );
    let plain = server.url().replace("rediss", "redis");
    says(
        &refusal(&options(&plain)).await,
        &[&at, "TLS port", "write rediss://"],
    );
}

#[tokio::test]
async fn tls_towards_a_plain_port_is_told() {
    let server = Server::start();
    let options = options(&server.url().replace("redis", "rediss"));
    says(
        &refusal(&options).await,
        &[&server.address().to_string(), "TLS"],
    );
}

#[tokio::test]
async fn sentinels_that_do_not_know_the_master_and_servers_that_are_none_are_told() {
    let place = |port| Address {
        host: "127.0.0.1".to_owned(),
        port,
    };
    let asked = |ports: &[u16]| {
        RedisOptions::at(Endpoints::Sentinel {
            sentinels: ports.iter().copied().map(place).collect(),
            master_name: "my-master".to_owned(),
        })
    };
    let server = Server::start();
    let error = refusal(&asked(&[server.port()])).await;
    says(&error, &["is no Sentinel but a Redis server"]);
    let sentinels = Sentinels::start();
    let ports: Vec<u16> = sentinels
        .addresses()
        .iter()
        .filter_map(|address| address.rsplit_once(':')?.1.parse().ok())
        .collect();
    let error = refusal(&asked(&ports)).await;
    says(
        &error,
        &["knows no master `my-master`", "set ledger.master_name"],
    );
    assert!(matches!(error, OpenError::Unfit(_)));
    let error = refusal(&asked(&[1])).await;
    says(
        &error,
        &["no Sentinel tells", "nothing listens at 127.0.0.1:1"],
    );
    assert!(matches!(error, OpenError::Away(_)));
    let error = refusal(&RedisOptions::at(Endpoints::Cluster(vec![place(1)]))).await;
    says(
        &error,
        &[
            "no node of the cluster tells",
            "nothing listens at 127.0.0.1:1",
        ],
    );
    assert!(matches!(error, OpenError::Away(_)));
}
