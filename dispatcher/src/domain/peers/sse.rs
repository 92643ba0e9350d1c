//! Server-sent events, read from a whole body. Lenient: comments, CRLF, several data lines, a last event
//! without the blank line, and names of events that nobody knows.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Empty when the peer gave none.
    pub name: String,
    pub data: String,
}

/// The events of a body; those without data are left out.
pub fn events(body: &str) -> Vec<Event> {
    let mut all = Vec::new();
    let mut open: Option<Event> = None;
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    // A last blank line, whether or not the peer sent it.
    for line in body.lines().chain([""]) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            all.extend(open.take().filter(|event| !event.data.is_empty()));
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let event = open.get_or_insert_default();
        match field {
            "event" => value.clone_into(&mut event.name),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            _ => {}
        }
    }
    all
}

/// Whether a body is one JSON value and not events.
pub fn is_json(body: &str) -> bool {
    body.trim_start().starts_with(['{', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_peers_really_write_them() {
        let body = ": keepalive\r\n\r\nevent: a\r\ndata: 1\r\ndata:2\r\nid: 7\r\n\r\ndata: {\"x\":1}\n\nevent: empty\n\ndata: [DONE]";
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        let expected = [event("a", "1\n2"), event("", "{\"x\":1}"), event("", "[DONE]")];
        assert_eq!(events(body), expected);
        assert_eq!(events(""), []);
        assert!(is_json(" {\"a\":1}") && !is_json("data: {}"));
    }
}
