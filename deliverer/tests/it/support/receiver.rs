//! A receiver that answers as its script says and remembers what came.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::until;

/// One POST as it came.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Post {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// The `text` of the body.
    pub(crate) fn text(&self) -> String {
        let (_, rest) = self.body.split_once(r#""text":""#).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

/// What a receiver does with a POST.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// A status with more header lines.
    With(u16, &'static str),
    /// After a while.
    Slow(Duration, u16),
    /// Nothing, until the caller goes.
    Hang,
    /// The connection is closed without an answer.
    Close,
    /// A head with 200, then a byte now and then, without end.
    Drip,
    /// 200 with that many bytes.
    Huge(usize),
    /// No HTTP at all.
    Garbage,
}

type Script = dyn Fn(&Post, usize) -> Answer + Send + Sync;

/// Ends when dropped.
pub(crate) struct Receiver {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
    _task: JoinSet<()>,
}

struct State {
    script: Box<Script>,
    posts: Mutex<Vec<Post>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    open_max: AtomicUsize,
}

impl Receiver {
    /// Answers each POST as `script` says of it and its number, counted from 0.
    pub(crate) async fn start(
        script: impl Fn(&Post, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script: Box::new(script),
            posts: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            open_max: AtomicUsize::new(0),
        });
        let mut task = JoinSet::new();
        let shared = Arc::clone(&state);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    let _ended = state.serve(stream).await;
                });
            }
        });
        Self { addr, state, _task: task }
    }

    /// Answers every POST with a status.
    pub(crate) async fn answering(status: u16) -> Self {
        Self::start(move |_, _| Answer::Status(status)).await
    }

    pub(crate) fn url(&self) -> url::Url {
        url::Url::parse(&format!("http://{}/hook?a=1", self.addr)).unwrap()
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.state.posts.lock().unwrap().clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.posts().iter().map(Post::text).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The most POSTs that were here at one moment.
    pub(crate) fn at_once_max(&self) -> usize {
        self.state.open_max.load(Ordering::SeqCst)
    }

    /// Waits until that many POSTs have come, and returns them.
    pub(crate) async fn got(&self, count: usize) -> Vec<Post> {
        until(&format!("{count} posts"), || async { self.posts().len() >= count }).await;
        self.posts()
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        while let Some(post) = read(&mut stream).await? {
            let number = {
                let mut posts = self.posts.lock().unwrap();
                posts.push(post.clone());
                posts.len() - 1
            };
            let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
            self.open_max.fetch_max(open, Ordering::SeqCst);
            let answered = self.answer(&mut stream, &post, number).await;
            self.open.fetch_sub(1, Ordering::SeqCst);
            if !answered? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `false` ends the connection.
    async fn answer(&self, stream: &mut TcpStream, post: &Post, number: usize) -> io::Result<bool> {
        let head = |status: u16, more: &str, length: usize| {
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{more}\r\n")
        };
        match (self.script)(post, number) {
            Answer::Status(status) => stream.write_all(head(status, "", 0).as_bytes()).await?,
            Answer::With(status, more) => {
                stream.write_all(head(status, more, 0).as_bytes()).await?;
            }
            Answer::Slow(wait, status) => {
                testkit::lapse(wait, "the endpoint is slow").await;
                stream.write_all(head(status, "", 0).as_bytes()).await?;
            }
            Answer::Hang => {
                let mut rest = [0; 1];
                let _gone = stream.read(&mut rest).await?;
                return Ok(false);
            }
            Answer::Close => return Ok(false),
            Answer::Drip => {
                stream.write_all(head(200, "", 1_000_000).as_bytes()).await?;
                loop {
                    stream.write_all(b"x").await?;
                    testkit::lapse(Duration::from_millis(50), "the pace of a drip").await;
                }
            }
            Answer::Huge(length) => {
                stream.write_all(head(200, "", length).as_bytes()).await?;
                let chunk = vec![b'x'; 64 * 1024];
                let mut left = length;
                while left > 0 {
                    let part = left.min(chunk.len());
                    stream.write_all(&chunk[..part]).await?;
                    left -= part;
                }
            }
            Answer::Garbage => {
                stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Reads one request; `None` when the connection ends between two.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Post>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        // The first byte of a TLS hello is no HTTP.
        if stream.read_buf(&mut bytes).await? == 0 || bytes[0] == 0x16 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).map_err(io::Error::other)?;
    let mut lines = head.split("\r\n");
    let target = lines.next().unwrap_or_default().to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8(body).map_err(io::Error::other)?;
    Ok(Some(Post { target, headers, body, at: Instant::now() }))
}
