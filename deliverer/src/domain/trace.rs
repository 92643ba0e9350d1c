//! `traceparent` of an attempt (W3C Trace Context): a child of the turn's trace.

use shared::domain::ids::TurnId;

/// The header's value: the trace that the turn came with, or one made of the turn's id, so that all
/// attempts of a turn share it. `span` is a random id.
pub(crate) fn child(parent: Option<&str>, turn: TurnId, span: u64) -> String {
    let span = span.max(1);
    if let Some((trace, flags)) = parent.and_then(split) {
        return format!("00-{trace}-{span:016x}-{flags}");
    }
    format!("00-{turn}-{span:016x}-00")
}

/// Trace id and flags of a value of version 00.
fn split(parent: &str) -> Option<(&str, &str)> {
    let mut parts = parent.split('-');
    let (version, trace, parent_id, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let shaped = version == "00" && hex(trace, 32) && hex(parent_id, 16) && hex(flags, 2);
    let valid = shaped && trace.bytes().any(|b| b != b'0') && parts.next().is_none();
    valid.then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_a_child_of_the_turns_trace_or_of_one_made_of_its_id() {
        let turn = TurnId::new(uuid::Uuid::from_u128(0xabc));
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            child(Some(parent), turn, 5),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000005-01"
        );
        let own = "00-00000000000000000000000000000abc-0000000000000005-00";
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for bad in [None, Some(""), Some(zero), Some("00-xyz-1-1"), Some(&parent[..54])] {
            assert_eq!(child(bad, turn, 5), own, "{bad:?}");
        }
        assert!(child(None, turn, 0).contains("-0000000000000001-"), "a span id is not zero");
    }
}
