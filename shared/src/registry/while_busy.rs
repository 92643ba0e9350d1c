//! What becomes of messages that come faster than answers.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What becomes of a message that waits behind another of its conversation, or that others wait behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhileBusy {
    /// Each is answered, in order.
    #[default]
    Queue,
    /// Those that follow one another within this time are answered as one.
    Merge(Duration),
    /// Of those that wait only the newest is answered.
    Latest,
    /// Those that come while one is being answered are refused.
    Reject,
}

impl WhileBusy {
    pub const WINDOW: RangeInclusive<Duration> =
        Duration::from_millis(100)..=Duration::from_secs(5);

    /// `queue`, `latest`, `reject`, or `merge:` and milliseconds.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "queue" => Some(Self::Queue),
            "latest" => Some(Self::Latest),
            "reject" => Some(Self::Reject),
            merge => {
                let window = merge.strip_prefix("merge:")?.strip_suffix("ms")?.parse().ok()?;
                Some(Self::Merge(Duration::from_millis(window)))
            }
        }
    }
}

impl fmt::Display for WhileBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue => f.write_str("queue"),
            Self::Merge(window) => write!(f, "merge:{}ms", window.as_millis()),
            Self::Latest => f.write_str("latest"),
            Self::Reject => f.write_str("reject"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_read_back_from_its_words() {
        let window = Duration::from_millis(750);
        for one in
            [WhileBusy::Queue, WhileBusy::Merge(window), WhileBusy::Latest, WhileBusy::Reject]
        {
            assert_eq!(WhileBusy::parse(&one.to_string()), Some(one));
        }
        for bad in ["", "merge", "merge:", "merge:1s", "merge:-1ms", "Queue"] {
            assert_eq!(WhileBusy::parse(bad), None, "{bad}");
        }
    }
}
