//! Answers of the HTTP library itself, to what is no request at all: it writes a bare status, which is
//! given a body of the protocol's shape here.

use bytes::Bytes;
use shared::entropy::Entropy;

use crate::error::trace_id;

/// The whole answer to write in place of the library's, when `written` is such a one.
pub(super) fn instead_of(written: &[u8], entropy: &Entropy) -> Option<Bytes> {
    let text = std::str::from_utf8(written).ok()?;
    let rest = text.strip_prefix("HTTP/1.1 4").or_else(|| text.strip_prefix("HTTP/1.0 4"))?;
    if !text.contains("\r\ncontent-length: 0\r\n") {
        return None;
    }
    let (status, words) = match rest.get(..2)? {
        "00" => ("400 Bad Request", "Bad request: this is not plain HTTP/1.1"),
        "14" => ("414 URI Too Long", "Bad request: the address is too long"),
        "31" => ("431 Request Header Fields Too Large", "Bad request: the head is too large"),
        _ => return None,
    };
    let code = &status[..3];
    let trace = trace_id(entropy);
    tracing::debug!(
        refusal.id = trace,
        status = code.parse::<u16>().ok(),
        "what came is no request"
    );
    let body =
        format!(r#"{{"errors":[{{"msg":"{words}","code":{code}}}],"_v":"v1","_t":"{trace}"}}"#);
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    Some(answer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_refusals_are_given_a_body() {
        let bare = b"HTTP/1.1 431 X\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let answer =
            String::from_utf8(instead_of(bare, &Entropy::seeded(1)).unwrap().to_vec()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        serde_json::from_str::<serde_json::Value>(body).unwrap();
        for other in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n",
            "",
        ] {
            assert_eq!(instead_of(other.as_bytes(), &Entropy::seeded(1)), None, "{other}");
        }
    }
}
