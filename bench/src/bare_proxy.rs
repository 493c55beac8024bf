//! `bare-proxy`: what a reverse proxy of the same libraries costs that reads nothing, counts nothing and keeps nothing.

use std::net::SocketAddr;

use clap::Parser;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Forwards all requests to one upstream.
#[derive(Debug, Parser)]
#[command(name = "bare-proxy", version)]
struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// HOST:PORT to forward to
    #[arg(long)]
    upstream: Authority,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(512)
        .build(connector);
    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), options.upstream.clone());
        let service = service_fn(move |request| forward(client.clone(), upstream.clone(), request));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn forward(
    client: Client<HttpConnector, Incoming>,
    upstream: Authority,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, Error> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().cloned();
    parts
        .headers
        .insert(HOST, HeaderValue::from_str(upstream.as_str())?);
    parts.headers.remove(CONNECTION);
    parts.uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(upstream)
        .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
        .build()?;
    parts.version = Version::HTTP_11;
    let mut answer = client.request(Request::from_parts(parts, body)).await?;
    for name in [CONNECTION, TRANSFER_ENCODING] {
        answer.headers_mut().remove(name);
    }
    Ok(answer)
}
