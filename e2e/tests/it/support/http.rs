//! A client that sends exactly the bytes it is given: well-formed clients cannot ask bad questions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No answer takes longer, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(45);

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case; the last of several with one name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body))
    }
}

/// Sends the bytes on a connection of their own. `None` when the server hung up without an answer.
pub(crate) async fn send(to: SocketAddr, request: &[u8]) -> Option<Answer> {
    tokio::time::timeout(PATIENCE, exchange(to, request)).await.expect("an answer in time")
}

async fn exchange(to: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).await.expect("the server listens");
    let (mut read, mut write) = stream.split();
    // A server may refuse before it has read everything: what it answered counts, not our writing.
    let writing = async {
        if write.write_all(request).await.is_ok() {
            let _ = write.flush().await;
        }
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    let reading = async {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match read.read(&mut chunk).await {
                Ok(0) | Err(_) => return parse(&bytes, true),
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            }
            if let Some(answer) = parse(&bytes, false) {
                return Some(answer);
            }
        }
    };
    tokio::select! {
        () = writing => None,
        answer = reading => answer,
    }
}

/// Reads an answer; incomplete ones only count when the server has `closed`.
fn parse(bytes: &[u8], closed: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    if (100..200).contains(&status) {
        return parse(&bytes[end + 4..], closed);
    }
    let body = &bytes[end + 4..];
    let length = headers.get("content-length").and_then(|length| length.parse::<usize>().ok());
    let complete = length.is_some_and(|length| body.len() >= length) || status == 204;
    (complete || closed).then(|| Answer {
        status,
        headers,
        body: String::from_utf8_lossy(body).into_owned(),
    })
}

/// A request in the making. Every part can be left out or doubled.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let headers = vec![
            ("Host".to_owned(), b"localhost".to_vec()),
            ("Connection".to_owned(), b"close".to_vec()),
        ];
        Self { method: method.to_owned(), path: path.to_owned(), headers, body: Vec::new() }
    }

    /// A POST of JSON.
    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).header("Content-Type", "application/json").body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes, with the body's length unless a header already says one or an encoding.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        let framed = self.headers.iter().any(|(name, _)| {
            ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
        });
        if !framed && (self.method != "GET" || !self.body.is_empty()) {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
