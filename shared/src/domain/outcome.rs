//! The final fate of a turn, exactly one each.

use std::fmt;

/// How a turn ended. Stored as its number: never renumber.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The bot answered (perhaps with no message at all).
    Answered = 1,
    /// The bot failed; its configured error message was the answer.
    BotFailed = 2,
    /// The bot did not answer within its deadline; its error message was the answer.
    BotTimedOut = 3,
    /// The bot's breaker was open; its error message was the answer without a call.
    BotUnavailable = 4,
    /// The bot's result could not be stored; its error message was the answer.
    ResultRefused = 5,
    /// Given up: see the reason. Parking ends the turn's place in the order.
    Parked = 6,
    /// Not run: its text was answered with that of a later message.
    Merged = 7,
    /// Not run: a later message was answered instead.
    Superseded = 8,
    /// Not run: it came while an earlier message was being answered.
    Rejected = 9,
}

impl Outcome {
    pub const ALL: [Self; 9] = [
        Self::Answered,
        Self::BotFailed,
        Self::BotTimedOut,
        Self::BotUnavailable,
        Self::ResultRefused,
        Self::Parked,
        Self::Merged,
        Self::Superseded,
        Self::Rejected,
    ];

    pub const fn code(self) -> i16 {
        self as i16
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    /// Whether it was settled without a run because of other messages of its conversation.
    pub const fn is_aside(self) -> bool {
        matches!(self, Self::Merged | Self::Superseded | Self::Rejected)
    }

    /// The label in metrics and the word in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::BotFailed => "bot_failed",
            Self::BotTimedOut => "bot_timed_out",
            Self::BotUnavailable => "bot_unavailable",
            Self::ResultRefused => "result_refused",
            Self::Parked => "parked",
            Self::Merged => "merged",
            Self::Superseded => "superseded",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
