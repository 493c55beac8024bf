//! How connections to an upstream are opened: directly or through a proxy, plain or TLS, within a time limit.
//!
//! A proxy is asked for a tunnel (`CONNECT`) to every upstream, be it `https` or `http`: what the proxy itself
//! says then cannot be taken for the upstream's answer, and its credential is in no request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use rustls::ClientConfig;
use tower_service::Service;

use super::error::causes;
use crate::{config, tls};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Direct = HttpsConnector<HttpConnector>;
type Proxied = HttpsConnector<Tunnel<HttpConnector>>;
/// hyper-util does not export it by name.
type TunnelError = <Tunnel<HttpConnector> as Service<Uri>>::Error;

/// What all upstreams share: the options of TCP, and TLS with the public web's roots, which are parsed once.
#[derive(Clone, Debug)]
pub(super) struct Network {
    tcp: HttpConnector,
    tls: Arc<ClientConfig>,
}

/// Opens the connections of one upstream. Its whole work (name, TCP, tunnel, TLS) has a time limit.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    way: Way,
    limit: Duration,
}

#[derive(Clone, Debug)]
enum Way {
    Direct(Direct),
    Proxied { connector: Proxied, proxy: Arc<str> },
}

impl Network {
    /// Ready to connect; nothing is connected yet.
    pub(super) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        // With Nagle on, a small chunk waits for the acknowledgement of the one before.
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.enforce_http(false);
        Network {
            tcp,
            tls: tls::public_web(),
        }
    }

    /// The connector of an upstream. The reason why that cannot be is a sentence.
    pub(super) fn connector(&self, row: &config::Upstream) -> Result<Connector, String> {
        let tls = match &row.ca_file {
            None => Arc::clone(&self.tls),
            Some(file) => tls::trusting(&file.certificates)?,
        };
        let way = match &row.proxy {
            None => Way::Direct((self.tcp.clone(), tls).into()),
            Some(proxy) => Way::Proxied {
                connector: (tunnel(self.tcp.clone(), proxy)?, tls).into(),
                proxy: proxy.address.as_str().into(),
            },
        };
        Ok(Connector {
            way,
            limit: Duration::from_millis(row.connect_timeout_ms),
        })
    }
}

fn tunnel(tcp: HttpConnector, proxy: &config::Proxy) -> Result<Tunnel<HttpConnector>, String> {
    let address = Uri::builder()
        .scheme("http")
        .authority(proxy.address.as_str())
        .path_and_query(PathAndQuery::from_static("/"))
        .build()
        .map_err(|_| "`proxy` is no address".to_owned())?;
    let tunnel = Tunnel::new(address, tcp);
    match &proxy.authorization {
        None => Ok(tunnel),
        Some(credential) => {
            let mut value = HeaderValue::from_str(credential.expose())
                .map_err(|_| "`proxy` has a credential that no header can carry".to_owned())?;
            value.set_sensitive(true);
            Ok(tunnel.with_auth(value))
        }
    }
}

impl Service<Uri> for Connector {
    type Response = <Direct as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.way {
            Way::Direct(connector) => connector.poll_ready(cx),
            Way::Proxied { connector, proxy } => {
                let outcome = ready!(connector.poll_ready(cx));
                Poll::Ready(outcome.map_err(|error| through(proxy, error)))
            }
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        let (connecting, proxy) = match &mut self.way {
            Way::Direct(connector) => (connector.call(uri), None),
            Way::Proxied { connector, proxy } => (connector.call(uri), Some(Arc::clone(proxy))),
        };
        Box::pin(async move {
            match (tokio::time::timeout(limit, connecting).await, proxy) {
                (Ok(outcome), None) => outcome,
                (Ok(outcome), Some(proxy)) => outcome.map_err(|error| through(&proxy, error)),
                (Err(_), None) => Err(late(limit).into()),
                (Err(_), Some(proxy)) => {
                    Err(format!("{} through the proxy {proxy}", late(limit)).into())
                }
            }
        })
    }
}

fn late(limit: Duration) -> String {
    format!("no connection within {} ms", limit.as_millis())
}

/// An error that says whether the proxy is to blame, or the upstream behind it.
fn through(proxy: &str, error: BoxError) -> BoxError {
    match error.downcast::<TunnelError>() {
        Ok(error) => format!(
            "the proxy {proxy} opens no tunnel: {}",
            causes(Some(&*error))
        )
        .into(),
        Err(error) => error,
    }
}
