//! A keep-alive HTTP/1.1 client: one connection for each turn in flight, as a load generator should.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Where to POST, with what token.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `127.0.0.1:8080`.
    pub authority: String,
    pub path: String,
    pub token: String,
}

/// One connection; connects again when the server has closed it.
pub(crate) struct Client {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
    connections: JoinSet<()>,
}

impl Client {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, sender: None, connections: JoinSet::new() }
    }

    /// POSTs a body and returns the response's body; anything but a 200 is an error.
    pub(crate) async fn post(&mut self, body: String) -> anyhow::Result<Bytes> {
        let request = Request::post(&self.target.path)
            .header("host", &self.target.authority)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.target.token))
            .body(Full::new(Bytes::from(body)))?;
        let response = self.send(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != 200 {
            bail!("status {status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
        }
        Ok(body)
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<hyper::Response<Incoming>> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        self.sender = Some(sender);
        Ok(response)
    }

    async fn connect(&mut self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.target.authority).await;
        let stream = stream.with_context(|| format!("connecting to {}", self.target.authority))?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        self.connections.spawn(async move {
            // Its end is seen by the next request.
            let _ = connection.await;
        });
        Ok(sender)
    }
}
