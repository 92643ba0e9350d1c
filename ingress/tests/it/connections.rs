//! Raw connections: doubtful framing, slow peers, too many of them.

use std::time::Duration;

use testkit::lapse;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::{ASYNC_HOOK, Doing, HOOK, SOON, Setup, Worker, World, said, token, until};

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.address()).await.unwrap()
}

/// Sends bytes and reads until the peer closes.
async fn exchange(world: &World, bytes: &str) -> String {
    let mut stream = connect(world).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.expect("closed in time").ok();
    String::from_utf8(answer).unwrap()
}

fn head(extra: &str) -> String {
    format!(
        "POST {HOOK} HTTP/1.1\r\nhost: x\r\nauthorization: bearer {}\r\n\
         content-type: application/json\r\n{extra}",
        token()
    )
}

#[tokio::test]
async fn framing_that_two_readers_may_read_differently_is_refused_in_the_protocols_shape() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    let body = said("ann", "hello").to_string();
    let length = body.len();
    for doubtful in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{body}"),
        format!("content-length: {length}\r\ncontent-length: {length}\r\n\r\n{body}"),
        format!("content-length: +{length}\r\n\r\n{body}"),
        format!("content-length : {length}\r\n\r\n{body}"),
        format!("content-length: {length}\n\r\n{body}"),
        format!("transfer-encoding: gzip, chunked\r\n\r\n{body}"),
        format!("host: y\r\ncontent-length: {length}\r\n\r\n{body}"),
        format!("x: a\r\n folded\r\ncontent-length: {length}\r\n\r\n{body}"),
    ] {
        let answer = exchange(&world, &head(&doubtful)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{doubtful}: {answer}");
        assert!(answer.contains(r#"{"errors":[{"msg":"Bad request"#), "{doubtful}: {answer}");
    }
    let fine = format!("content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    assert!(exchange(&world, &head(&fine)).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(worker.seen().len(), 1, "nothing doubtful was taken");
}

#[tokio::test]
async fn a_request_that_names_no_host_is_refused() {
    let world = World::start(Setup::default()).await;
    let answer = exchange(&world, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("there is no Host"), "{answer}");
}

#[tokio::test]
async fn a_client_that_sends_too_much_sees_why_it_is_refused() {
    let world = World::start(Setup::default()).await;
    let large = "x".repeat(900 * 1024);
    let length = format!("content-length: {}\r\n\r\n{large}", large.len());
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{large}", large.len());
    for body in [length, chunked] {
        let answer = exchange(&world, &head(&body)).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    let waits = "content-length: 300000\r\nexpect: 100-continue\r\n\r\n";
    let answer = exchange(&world, &head(waits)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "it is not asked for the body: {answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_in_the_protocols_shape() {
    let world = World::start(Setup::default()).await;
    let large = format!("x: {}\r\n\r\n", "a".repeat(64 * 1024));
    let answer = exchange(&world, &head(&large)).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains(r#""code":431"#), "{answer}");
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let settings = &[("ingress.head_timeout", "500ms")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let started = Instant::now();
    let (mut reader, mut writer) = connect(&world).await.into_split();
    let trickle = async {
        while writer.write_all(b"x").await.is_ok() {
            lapse(Duration::from_millis(20), "the client is slow").await;
        }
    };
    let mut answer = Vec::new();
    let closed = timeout(SOON, reader.read_to_end(&mut answer));
    tokio::select! {
        () = trickle => {}
        closed = closed => { closed.expect("cut off in time").ok(); }
    }
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let settings = &[("ingress.head_timeout", "300ms")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    assert_eq!(rest(&mut connect(&world).await).await, "");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let settings = &[("ingress.body_timeout", "300ms")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let answer = exchange(&world, &head("content-length: 100\r\n\r\n{")).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("The body did not come in time"), "{answer}");
}

#[tokio::test]
async fn waiting_for_a_slow_bot_is_not_idling() {
    let settings = &[("ingress.head_timeout", "200ms")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let asked = world.say(HOOK, "ann", "hello");
    let later = async {
        lapse(Duration::from_secs(1), "the bot is slow").await;
        worker.now(Doing::Answers);
    };
    let (answer, ()) = tokio::join!(asked, later);
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn one_address_holds_a_share_of_the_connections() {
    let settings = &[("ingress.connections_per_ip_max", "2")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let held = [connect(&world).await, connect(&world).await];
    until("both are held", || async { world.metric("switchhook_ingress_connections") >= 2.0 })
        .await;
    assert_eq!(rest(&mut connect(&world).await).await, "");
    drop(held);
    until("both are closed", || async { world.metric("switchhook_ingress_connections") <= 0.0 })
        .await;
    let answer = exchange(&world, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn browsers_may_call_and_read_the_headers_that_matter() {
    let world = World::start(Setup::default()).await;
    let _worker = Worker::start(&world.ground, Doing::Answers).await;
    let preflight = world
        .http
        .request(reqwest::Method::OPTIONS, format!("{}{HOOK}", world.url))
        .header("origin", "https://example.org")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,idempotency-key");
    let preflight = crate::support::Answer::of(preflight).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (200, "*"));
    let request = world.post(HOOK, &said("ann", "a")).header("origin", "https://example.org");
    let answer = crate::support::Answer::of(request).await;
    let exposed = answer.header("access-control-expose-headers").to_owned();
    for name in ["retry-after", "switchhook-turn-id"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

/// As a process that is stopped in the middle of a request, for longer than its lease lasts.
#[tokio::test]
async fn what_is_published_after_the_lease_has_ended_is_not_told_to_be_accepted() {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let body = said("ann", "hello").to_string();
    let framing = format!(
        "content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut open = Vec::new();
    for path in [ASYNC_HOOK, HOOK] {
        let mut stream = connect(&world).await;
        stream.write_all(head(&framing).replace(HOOK, path).as_bytes()).await.unwrap();
        // It is past the door when its body is asked for.
        let mut asked = vec![0; GO_ON.len()];
        timeout(SOON, stream.read_exact(&mut asked)).await.expect("in time").unwrap();
        assert_eq!(asked, GO_ON);
        open.push(stream);
    }
    world.ground.lease.lose();
    for mut stream in open {
        stream.write_all(body.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("Unknown: the message may have been accepted"), "{answer}");
    }
    let refused = world.say(ASYNC_HOOK, "ann", "hello").await;
    assert_eq!(refused.refusal(), "Not accepted: the registry is out of date");
    worker.now(Doing::Answers);
    until("both are worked on", || async { worker.seen().len() >= 2 }).await;
    assert_eq!(worker.seen().len(), 2, "nothing of what was refused at the door");
}
