//! One kept-alive client connection.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};

/// Closes when dropped, whatever is in flight on it: that is how a client disconnects.
pub struct Connection {
    pub sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

// === impl Connection ===

impl Connection {
    pub async fn open(authority: &str) -> Result<Connection, String> {
        let stream = TcpStream::connect(authority)
            .await
            .map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let (sender, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // Its errors reach whoever waits for the answer.
        let driver = spawn_local(async move { drop(driver.await) });
        Ok(Connection { sender, driver })
    }

    /// Ready for the next request, or closed by the server meanwhile.
    pub async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
