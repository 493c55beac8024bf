//! An HTTP/2 client whose windows, resets and streams a test holds in its hand.

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::http::Headers;
use super::{Answer, Call, DEADLINE};

/// A connection by prior knowledge.
pub struct Http2 {
    /// Starts streams.
    pub send: SendRequest<Bytes>,
    /// Ends with the connection.
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

/// A stream whose answer's head has come.
pub struct Stream {
    pub status: u16,
    pub headers: Headers,
    /// Drop it to reset the stream.
    pub body: RecvStream,
}

impl Http2 {
    pub async fn open(address: &str) -> Http2 {
        Http2::with(address, &Builder::new()).await
    }

    /// With other windows than the usual.
    pub async fn with(address: &str, builder: &Builder) -> Http2 {
        let socket = TcpStream::connect(address).await.expect("a connection");
        let (send, connection) = builder.handshake(socket).await.expect("HTTP/2");
        Http2 {
            send,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends the head of a request; the answer to come, and the way for its body.
    pub async fn begin(&self, call: &Call, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut send = ready(&self.send).await;
        send.send_request(call.request(), end).expect("a stream")
    }

    /// Sends a request and waits for nothing.
    pub async fn start(&self, call: &Call) -> ResponseFuture {
        let body = call.body();
        let (answer, mut stream) = self.begin(call, body.is_empty()).await;
        if !body.is_empty() {
            stream.send_data(body, true).expect("a body");
        }
        answer
    }

    /// Sends a request and reads the head of its answer.
    pub async fn request(&self, call: &Call) -> Stream {
        head(self.start(call).await).await
    }

    /// Sends a request and reads its whole answer.
    pub async fn send(&self, call: &Call) -> Answer {
        self.request(call).await.finish().await
    }

    /// Waits for the other side to end the connection; more could be sent all the time.
    pub async fn ended(self) -> Result<(), h2::Error> {
        let _send = self.send;
        in_time(self.connection).await.expect("no panic")
    }
}

/// The head of an answer.
pub async fn head(answer: ResponseFuture) -> Stream {
    let (parts, body) = in_time(answer).await.expect("an answer").into_parts();
    Stream {
        status: parts.status.as_u16(),
        headers: headers(&parts.headers),
        body,
    }
}

impl Stream {
    /// The next piece of the body, with room made for another; `None` at its end.
    pub async fn piece(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let piece = in_time(self.body.data()).await?;
        if let Ok(bytes) = &piece {
            let room = self.body.flow_control().release_capacity(bytes.len());
            room.expect("taken before");
        }
        Some(piece)
    }

    /// Reads on until `text` has come.
    pub async fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let piece = self
                .piece()
                .await
                .unwrap_or_else(|| panic!("the end after {seen}"));
            seen.push_str(&String::from_utf8_lossy(&piece.expect("a piece")));
        }
        seen
    }

    /// Reads the rest.
    pub async fn finish(mut self) -> Answer {
        let (mut body, mut whole) = (Vec::new(), true);
        while let Some(piece) = self.piece().await {
            match piece {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        let trailers = match whole {
            true => in_time(self.body.trailers()).await.ok().flatten(),
            false => None,
        };
        Answer {
            status: self.status,
            headers: self.headers,
            body,
            trailers: trailers.as_ref().map(headers).unwrap_or_default(),
            whole,
        }
    }
}

async fn ready(send: &SendRequest<Bytes>) -> SendRequest<Bytes> {
    in_time(send.clone().ready())
        .await
        .expect("an open connection")
}

async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(DEADLINE, future).await.expect("in time")
}

fn headers(map: &http::HeaderMap) -> Headers {
    let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
    let pairs = map
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)));
    Headers(pairs.collect())
}
