//! The command line's view of a running server: its management API.

use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, StatusCode, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::{Exit, Failure};
use super::table::printable;
use super::{Globals, from_here};
use crate::admin::error::ErrorBody;
use crate::admin::token::{self, TOKEN_ENV};
use crate::config::Config;
use crate::secret::Secret;

/// An audit of a large ledger takes a while; everything else is quick.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(300);
/// Where the management API listens unless the config says otherwise.
const USUAL: &str = "http://127.0.0.1:8081";
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Which server to talk to.
#[derive(Debug, Args)]
pub struct Server {
    /// The running server's management API [default: `server.admin_listen` of the config file, or http://127.0.0.1:8081]
    #[arg(long, env = "TOLLGATE_ADMIN", value_name = "URL")]
    admin: Option<String>,
}

/// A client of one server.
pub struct Admin {
    http: Client,
    base: String,
    token: Secret,
}

impl Server {
    /// A client of the server, with the token of the environment (arguments are visible to other users).
    pub fn connect(&self, globals: &Globals) -> Result<Admin, Failure> {
        let token = token::of_environment()?;
        if token.expose().is_empty() {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "no admin token: set {TOKEN_ENV} to the token that the server was started with"
                ),
            ));
        }
        let base = match &self.admin {
            Some(admin) => admin.clone(),
            None => own(globals)?,
        };
        if !base.starts_with("http://") {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "--admin `{}` is no http:// URL; reach a remote server through a tunnel, such as `ssh -L`",
                    printable(&base)
                ),
            ));
        }
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            .build()?;
        Ok(Admin {
            http,
            base: base.trim_end_matches('/').to_owned(),
            token,
        })
    }
}

/// The management API of the server that the config file describes. Without a file, and none named, that is the
/// usual one.
fn own(globals: &Globals) -> Result<String, Failure> {
    let path = globals.config();
    if globals.config.is_none() && !path.exists() {
        return Ok(USUAL.to_owned());
    }
    let listen = Config::load_server(path)?.admin_listen;
    if listen.port() == 0 {
        return Err(Failure::new(
            Exit::Usage,
            "server.admin_listen has port 0, which is another free port at each start: name the server with --admin",
        ));
    }
    Ok(format!("http://{}", from_here(listen)))
}

impl Admin {
    /// `GET path`
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(Method::GET, path, None::<&()>).await
    }

    /// `DELETE path`
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(Method::DELETE, path, None::<&()>).await
    }

    /// `POST path` with a JSON body.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PATCH path` with a JSON body.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| self.unreachable(&error);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let json = response.text().await.map_err(unreachable)?;
        if !status.is_success() {
            return Err(self.refused(status, &json));
        }
        serde_json::from_str(&json).map_err(|_| self.foreign())
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if error.is_builder() {
            return Failure::new(
                Exit::Usage,
                format!("--admin `{}` is no URL", printable(&self.base)),
            );
        }
        let why = if error.is_timeout() {
            "it does not answer"
        } else if error.is_connect() {
            "nothing listens there"
        } else {
            "the connection broke"
        };
        Failure::new(
            Exit::Unreachable,
            format!(
                "cannot reach the server at {}: {why}; start it with `tollgate serve`, \
                 or name another with --admin or TOLLGATE_ADMIN",
                printable(&self.base)
            ),
        )
    }

    fn refused(&self, status: StatusCode, json: &str) -> Failure {
        let Ok(ErrorBody { error }) = serde_json::from_str(json) else {
            return self.foreign();
        };
        // The proxy's own listener refuses in the same shape, but with this code.
        if error.code == "unknown_url" {
            return self.foreign();
        }
        if status == StatusCode::UNAUTHORIZED {
            return Failure::new(
                Exit::Failed,
                format!(
                    "the server does not accept the admin token: {TOKEN_ENV} here and there must be the same"
                ),
            );
        }
        let param = error
            .param
            .map(|param| format!("{}: ", printable(&param)))
            .unwrap_or_default();
        Failure::new(
            Exit::Failed,
            format!("{param}{}", printable(&error.message)),
        )
    }

    fn foreign(&self) -> Failure {
        Failure::new(
            Exit::Unreachable,
            format!(
                "what listens at {} does not answer like Tollgate's management API; \
                 it is the server's `admin_listen`, not its `listen`",
                printable(&self.base)
            ),
        )
    }
}
