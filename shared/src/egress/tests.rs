use std::future::Future;
use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::config::value::Value as _;

/// A server that treats each connection, from its first request on, as `serve` says.
struct Server {
    addr: SocketAddr,
    connections: Arc<std::sync::atomic::AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start<F, S>(serve: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                open.spawn(serve(stream));
            }
        });
        Self { addr, connections, _task: task }
    }

    /// Answers each request with these bytes and then closes.
    async fn once(response: &'static [u8]) -> Self {
        Self::start(move |mut stream| async move {
            request(&mut stream).await?;
            stream.write_all(response).await?;
            stream.shutdown().await
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    fn connections(&self) -> usize {
        self.connections.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Reads one request without a body, up to its empty line.
async fn request(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn client(allow: &str) -> Client {
    let guard = Guard { allow: Vec::parse(allow).unwrap(), ..Guard::default() };
    Client::with_roots(guard, rustls::RootCertStore::empty()).unwrap()
}

fn get(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        deadline: Duration::from_secs(20),
        response_max: 1000,
    }
}

#[tokio::test]
async fn a_request_carries_what_it_was_given_and_nothing_that_asks_for_more() {
    let server = Server::start(|mut stream| async move {
        let head = request(&mut stream).await?;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes()).await
    })
    .await;
    let mut request = get(&server.url());
    request.headers.insert("x-one", "1".parse().unwrap());
    let response = client("127.0.0.0/8").send(request).await.unwrap();
    assert_eq!(response.status, 200);
    let head = String::from_utf8(response.body.to_vec()).unwrap().to_lowercase();
    let expected = format!("get /hook http/1.1\r\nx-one: 1\r\nhost: {}\r\n\r\n", server.addr);
    assert_eq!(head, expected);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(|mut stream| async move {
        loop {
            request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        }
    })
    .await;
    let client = client("127.0.0.0/8");
    for _ in 0..20 {
        assert_eq!(client.send(get(&server.url())).await.unwrap().status, 204);
    }
    assert!(server.connections() <= 3, "{} connections", server.connections());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inside = Server::once(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\nrefresh: 0;url={0}\r\ncontent-length: 0\r\n\r\n",
        inside.url()
    );
    let server = Server::once(location.leak().as_bytes()).await;
    let response = client("127.0.0.0/8").send(get(&server.url())).await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_body_is_cut_at_the_limit_and_never_unpacked() {
    let server = Server::start(|mut stream| async move {
        request(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n")
            .await?;
        loop {
            stream.write_all(&[b'x'; 4096]).await?;
        }
    })
    .await;
    let response = client("127.0.0.0/8").send(get(&server.url())).await.unwrap();
    assert!(response.truncated);
    assert_eq!(response.body, vec![b'x'; 1000]);
}

#[tokio::test]
async fn one_deadline_ends_a_server_that_is_silent_and_one_that_drips() {
    let silent = Server::start(|mut stream| async move {
        request(&mut stream).await?;
        std::future::pending().await
    });
    let drips = Server::start(|mut stream| async move {
        request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n").await?;
        loop {
            stream.write_all(b"x").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    for server in [silent.await, drips.await] {
        let request = Request { deadline: Duration::from_millis(400), ..get(&server.url()) };
        let begun = tokio::time::Instant::now();
        assert_eq!(client("127.0.0.0/8").send(request).await.unwrap_err(), Error::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn what_breaks_off_or_is_no_http_is_a_failed_exchange() {
    let many = "x-many: 1\r\n".repeat(200);
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "a".repeat(1_000_000));
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_owned(),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        String::new(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        long,
    ] {
        let server = Server::once(answer.clone().leak().as_bytes()).await;
        let result = client("127.0.0.0/8").send(get(&server.url())).await;
        let error = result.map(|response| response.status).unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error} for {answer:.60}");
    }
}

#[tokio::test]
async fn each_way_of_not_connecting_has_its_own_name() {
    let plain = Server::start(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        std::future::pending().await
    })
    .await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let table = [
        (format!("https://{}/", plain.addr), "tls"),
        (format!("http://{closed}/"), "connect"),
        ("http://no-such-name.invalid/".to_owned(), "unresolvable"),
    ];
    for (url, expected) in table {
        let error = client("127.0.0.0/8").send(get(&url)).await.unwrap_err();
        assert_eq!(error.as_str(), expected, "{url}: {error}");
    }
}

#[tokio::test]
async fn forbidden_addresses_are_refused_without_a_connection_as_literals_and_behind_names() {
    let server = Server::once(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = server.addr.port();
    let hosts = ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"];
    for host in hosts {
        let url = format!("http://{host}:{port}/");
        let other_port = format!("127.0.0.0/8:{}", port.wrapping_add(1));
        for allow in ["", &other_port] {
            let error = client(allow).send(get(&url)).await.unwrap_err();
            assert!(matches!(error, Error::Refused(Refusal::Address { .. })), "{url}: {error}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn our_own_listener_is_refused_though_its_network_is_allowed() {
    let server = Server::once(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let guard = Guard {
        allow: Vec::parse("0.0.0.0/0, ::/0").unwrap(),
        own: vec![server.addr],
        allow_http: true,
    };
    let client = Client::with_roots(guard, rustls::RootCertStore::empty()).unwrap();
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let url = format!("http://{host}:{}/", server.addr.port());
        let error = client.send(get(&url)).await.unwrap_err();
        assert!(matches!(error, Error::Refused(Refusal::Own(_))), "{url}: {error}");
    }
    assert_eq!(server.connections(), 0);
}
