//! A server put together: ledger, prices, upstreams, gateway, admin API; started, run, and ended in order.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::exit::{Exit, Failure};
use super::reload::{Changes, Reload, publish};
use super::retention;
use crate::admin::Admin;
use crate::admin::token::AdminToken;
use crate::config::Config;
use crate::gateway::catalog::{Catalog, Current};
use crate::gateway::observe::Observer;
use crate::gateway::server::tls::Certificates;
use crate::gateway::{Gateway, server};
use crate::ledger::Ledger;
use crate::ledger::retention::Retention;

/// A server that listens but does not answer yet.
pub struct App {
    gateway: Arc<Gateway>,
    ledger: Arc<dyn Ledger>,
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    admin: Admin,
    admin_listener: TcpListener,
    retention: Option<Retention>,
    drain: Duration,
    reload: Option<Reload>,
}

impl App {
    /// Binds the listeners and makes the ledger hold what the config declares.
    ///
    /// Without a token, the admin listener answers only to those who watch.
    pub async fn start(
        config: Config,
        ledger: Arc<dyn Ledger>,
        token: Option<AdminToken>,
        observer: Option<Box<dyn Observer>>,
    ) -> Result<App, Failure> {
        // First of all: a server that cannot listen leaves the ledger as it was.
        let certificates = match &config.server.tls {
            Some(files) => Some(Arc::new(
                Certificates::load(files).map_err(Failure::config)?,
            )),
            None => None,
        };
        let listener = bind(config.server.listen, "server.listen").await?;
        let admin_listener = bind(config.server.admin_listen, "server.admin_listen").await?;
        let drain = Duration::from_secs(config.server.drain_seconds);
        let catalog = Catalog::new(config).map_err(Failure::config)?;
        publish(&*ledger, &catalog).await?;
        let current = Arc::new(Current::new(catalog));
        let gateway =
            Gateway::new(Arc::clone(&ledger), current, observer).map_err(Failure::config)?;
        let gateway = Arc::new(gateway);
        Ok(App {
            retention: gateway.retention.clone(),
            admin: Admin::new(Arc::clone(&gateway), token),
            gateway,
            ledger,
            listener,
            certificates,
            admin_listener,
            drain,
            reload: None,
        })
    }

    /// The same server, reading its config again when there is a reason to.
    #[must_use]
    pub fn reloading(mut self, path: PathBuf, changes: Changes) -> App {
        self.reload = Some(Reload {
            path,
            ledger: Arc::clone(&self.ledger),
            current: Arc::clone(&self.gateway.current),
            certificates: self.certificates.clone(),
            changes,
        });
        self
    }

    /// Where customers connect.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.listener.local_addr()?)
    }

    /// How customers connect: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self.certificates {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Where the operator connects.
    pub fn admin_address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.admin_listener.local_addr()?)
    }

    /// Serves until `shutdown` resolves, lets requests finish within the config's bound, ends
    /// every hold, and closes the ledger.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
        let (end, ended) = watch::channel(());
        let mut over = ended.clone();
        let admin = tokio::spawn(self.admin.serve(self.admin_listener, async move {
            // An error means that the server is gone, which is an end as well.
            over.changed().await.unwrap_or_default();
        }));
        let reloading = self.reload.map(|reload| tokio::spawn(reload.run()));
        let ledger = Arc::clone(&self.ledger);
        let folding = tokio::spawn(retention::run(ledger, self.retention, ended));
        let (listener, certificates) = (self.listener, self.certificates);
        server::serve(self.gateway, listener, certificates, self.drain, shutdown).await?;
        if let Some(reloading) = reloading {
            reloading.abort();
        }
        end.send_replace(());
        admin.await?;
        folding.await?;
        self.ledger.close().await?;
        Ok(())
    }
}

async fn bind(address: SocketAddr, field: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot listen on {address} ({field}): {error}"),
        )
    })
}

/// Resolves when the process is asked to end (SIGTERM, or Ctrl-C), since this call: a signal counts from then
/// on, whenever it is waited for.
///
/// # Errors
/// If the signals cannot be waited for.
pub fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending: requests may finish");
    })
}
