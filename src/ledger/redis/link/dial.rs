//! One connection to one server: name, TCP, TLS, password, database, within a time limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::super::error::LinkError;
use super::super::options::{Address, Endpoints, RedisOptions};
use super::words::{self, Stage};
use crate::secret::Secret;
use crate::tls;

/// Calls that can wait to be written. Up to it a call is handed over without waiting, which keeps calls in order.
const QUEUE: usize = 65_536;

static LINES: AtomicU64 = AtomicU64::new(0);

/// Opens connections of one kind: to Redis itself, or to its Sentinels.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: Option<Arc<ClientConfig>>,
    own_ca: bool,
    user: Option<String>,
    password: Option<Secret>,
    database: u32,
    connect: Duration,
    response: Duration,
}

/// An open connection. It ends when this is dropped, and calls that wait for an answer then fail at once.
pub(super) struct Line {
    /// Tells lines of one process apart.
    pub id: u64,
    /// The server.
    pub address: Address,
    connection: MultiplexedConnection,
    over: watch::Receiver<bool>,
    driver: AbortHandle,
    response: Duration,
}

impl Dialer {
    /// To Redis itself.
    pub fn new(options: &RedisOptions) -> Result<Dialer, LinkError> {
        let tls = match (&options.ca_file, options.tls) {
            (_, false) => None,
            (None, true) => Some(tls::public_web()),
            (Some(file), true) => {
                Some(tls::trusting(&file.certificates).map_err(LinkError::Refused)?)
            }
        };
        let database = match options.endpoints {
            Endpoints::Standalone { database, .. } => database,
            Endpoints::Sentinel { .. } | Endpoints::Cluster(_) => 0,
        };
        Ok(Dialer {
            tls,
            own_ca: options.ca_file.is_some(),
            user: options.user.clone(),
            password: options.password.clone(),
            database,
            connect: options.connect_limit(),
            response: options.response_limit(),
        })
    }

    /// To the Sentinels of the same Redis.
    pub fn sentinels(&self, options: &RedisOptions) -> Dialer {
        Dialer {
            user: options.sentinel_user.clone(),
            password: options.sentinel_password.clone(),
            ..self.clone()
        }
    }

    /// Connects, and has an answer from the server.
    pub async fn dial(&self, address: &Address) -> Result<Line, LinkError> {
        let stage = Mutex::new(Stage::Name);
        let opening = self.open(address, &stage);
        match tokio::time::timeout(self.connect, opening).await {
            Ok(outcome) => outcome,
            Err(_) => Err(words::unreached(address, ms(self.connect), *stage.lock())),
        }
    }

    async fn open(&self, address: &Address, stage: &Mutex<Stage>) -> Result<Line, LinkError> {
        let tcp = connect(address, stage).await?;
        let line = match &self.tls {
            None => self.line(address, tcp, stage).await?,
            Some(config) => {
                *stage.lock() = Stage::Tls;
                let name = ServerName::try_from(address.host.clone()).map_err(|_| {
                    LinkError::refused(format_args!(
                        "`{}` is no name that a certificate can have",
                        address.host
                    ))
                })?;
                let connector = TlsConnector::from(Arc::clone(config));
                let stream = connector.connect(name, tcp).await;
                let stream =
                    stream.map_err(|error| words::untrusted(address, &error, self.own_ca))?;
                self.line(address, stream, stage).await?
            }
        };
        self.greet(&line).await?;
        Ok(line)
    }

    async fn line<S>(
        &self,
        address: &Address,
        stream: S,
        stage: &Mutex<Stage>,
    ) -> Result<Line, LinkError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        *stage.lock() = Stage::Greeting;
        // What the library would say by itself goes unsaid: each step is said here, and its failure told in words.
        let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let opened = MultiplexedConnection::new_with_config(&silent, stream, config).await;
        let (connection, driver) = opened.map_err(|error| words::broken(address, &error))?;
        let (ended, over) = watch::channel(false);
        let driver = tokio::spawn(async move {
            // Also when this task is aborted, `over` tells so: its sender is gone.
            driver.await;
            ended.send_replace(true);
        });
        Ok(Line {
            id: LINES.fetch_add(1, Ordering::Relaxed),
            address: address.clone(),
            connection,
            over,
            driver: driver.abort_handle(),
            response: self.response,
        })
    }

    async fn greet(&self, line: &Line) -> Result<(), LinkError> {
        if let Some(password) = &self.password {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = &self.user {
                auth.arg(user);
            }
            auth.arg(password.expose());
            line.first(&auth).await?;
        }
        if self.database > 0 {
            line.first(redis::cmd("SELECT").arg(self.database)).await?;
        }
        line.first(&redis::cmd("PING")).await.map(drop)
    }
}

impl Line {
    /// Sends a command and waits for its answer, however long that takes. It is sent by the first poll.
    pub async fn send(&self, command: &Cmd) -> redis::RedisResult<Value> {
        let mut connection = self.connection.clone();
        unnested(connection.send_packed_command(command).await)
    }

    /// The same for a command that the server takes only because it has been told of it by `ASK`.
    pub async fn send_asking(&self, command: &Cmd) -> redis::RedisResult<Value> {
        let mut both = redis::pipe();
        both.cmd("ASKING").ignore().add_command(command.clone());
        let mut connection = self.connection.clone();
        let mut answers = connection.send_packed_commands(&both, 0, 2).await?;
        unnested(answers.pop().map_or(Ok(Value::Nil), Ok))
    }

    /// Sends a command; an answer that is late, or is an error, is told in words.
    pub async fn ask(&self, command: &Cmd) -> Result<Value, LinkError> {
        match tokio::time::timeout(self.response, self.send(command)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(words::broken(&self.address, &error)),
            Err(_) => Err(words::late(&self.address, ms(self.response))),
        }
    }

    /// Whether the connection has ended.
    pub fn is_over(&self) -> bool {
        *self.over.borrow() || self.over.has_changed().is_err()
    }

    /// Ends the connection: what waits for an answer fails at once.
    pub fn close(&self) {
        self.driver.abort();
    }

    /// Waits until the connection has ended.
    pub async fn over(&self) {
        let mut over = self.over.clone();
        // An error too: the task that would tell it has ended.
        drop(over.wait_for(|over| *over).await);
    }

    /// One of the first words on a connection: where it ends now, it has the wrong kind of server at its end.
    async fn first(&self, command: &Cmd) -> Result<Value, LinkError> {
        self.send(command)
            .await
            .map_err(|error| match error.is_connection_dropped() {
                true => words::speechless(&self.address),
                false => words::broken(&self.address, &error),
            })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}

/// Errors stand in answers as values.
fn unnested(answer: redis::RedisResult<Value>) -> redis::RedisResult<Value> {
    match answer? {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

async fn connect(address: &Address, stage: &Mutex<Stage>) -> Result<TcpStream, LinkError> {
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let found = found.map_err(|error| words::unresolved(address, &error))?;
    *stage.lock() = Stage::Tcp;
    let mut failure = None;
    for place in found {
        match TcpStream::connect(place).await {
            Ok(stream) => {
                // With Nagle on, a small command waits for the acknowledgement of the one before.
                let set = stream.set_nodelay(true);
                return set
                    .map(|()| stream)
                    .map_err(|error| words::unconnected(address, &error));
            }
            Err(error) => failure = Some(error),
        }
    }
    let failure = failure.unwrap_or_else(|| std::io::Error::other("its name has no address"));
    Err(words::unconnected(address, &failure))
}

pub(super) fn ms(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}
