//! Bodies that come slowly keep nobody out.

use reqwest::Method;
use testkit::pair::Pair;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::api::Api;
use crate::support::pages::Browser;

on_both! {
    whoever_sends_slowly_takes_no_place_from_others,
}

/// More of each kind than there are places.
const SLOW: usize = 80;

/// A request whose body is waited for: the server has said so.
async fn begun(address: &str, path: &str, media: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {media}\r\ncontent-length: 14\r\n\
         expect: 100-continue\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n", "{path}");
    stream
}

async fn whoever_sends_slowly_takes_no_place_from_others<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let address = api.url.trim_start_matches("http://").to_owned();
    let token = format!("authorization: Bearer {}\r\n", api.admin);
    let form = "application/x-www-form-urlencoded";
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let path = "/api/admin/v1/apps";
        slow.push(begun(&address, path, "application/json", &token).await);
        slow.push(begun(&address, "/sign-in", form, "").await);
    }
    assert_eq!(api.get("/apps").await.status, 200);
    assert_eq!(Browser::new(&api).get("/sign-in").await.status, 200);
    let added = api.ask(Method::POST, "/apps", Some(serde_json::json!({"name": "quick"}))).await;
    assert_eq!(added.status, 201, "{}", added.text);
    // Each is still answered when it is all there.
    let one = &mut slow[0];
    one.write_all(b"{\"name\":\"app\"}").await.unwrap();
    let mut answer = [0; 12];
    one.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
}
