//! Reads `Retry-After`: seconds or a date (RFC 9110 §10.2.3).

use std::time::{Duration, UNIX_EPOCH};

/// The wait that is asked for, counted from `unix_ms`; a date that has passed is no wait. `None` when
/// the value is neither.
pub(crate) fn parse(value: &str, unix_ms: u64) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(Duration::from_millis(unix_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        // Fri, 31 Dec 1999 23:59:59 GMT
        let then = 946_684_799_000;
        let table = [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", Some(59_500)),
            ("Friday, 31-Dec-99 23:59:59 GMT", Some(59_500)),
            ("Fri Dec 31 23:59:59 1999", Some(59_500)),
            ("Fri, 31 Dec 1999 23:50:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("1e9", None),
        ];
        for (value, expected) in table {
            let wait = parse(value, then - 59_500);
            assert_eq!(wait, expected.map(Duration::from_millis), "{value:?}");
        }
        assert_eq!(parse(&"9".repeat(40), 0), Some(Duration::from_secs(u64::MAX)));
    }
}
