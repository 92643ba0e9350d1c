//! Ingress said no, with a reason. What HTTP makes of it is `error.rs`'s business.

use std::time::Duration;

use shared::domain::channel::ChannelState;
use shared::domain::ids::TurnId;

/// Every way in which a request does not get what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such path.
    NoPath,
    /// A bot's call with a ticket that is not ours or has expired; the same for all reasons.
    NoTicket,
    /// A bot's call for a turn that is settled already: what it says can reach nobody.
    TurnEnded,
    /// The path does not take this method, but this one.
    Method(&'static str),
    /// The request's framing can be read in two ways, or its target is not plain.
    Framing(&'static str),
    /// Anything before the token is proved; the same for all reasons.
    Unauthenticated,
    /// This address has sent too many bad tokens.
    TooManyFailures(Duration),
    /// The channel does not work.
    NotLive(ChannelState),
    /// The body is not said to be JSON, or is encoded.
    MediaType(&'static str),
    TooLarge {
        max: usize,
    },
    BodyTimedOut,
    /// The body ended early or its framing broke.
    BodyBroken,
    /// What is wrong with the body, naming the field.
    Invalid(String),
    /// The `Idempotency-Key` cannot be one.
    BadKey(&'static str),
    /// The `Idempotency-Key` was used with another body.
    KeyMismatch,
    /// The conversation speaks faster than its channel allows.
    TooFast(Duration),
    /// As many turns wait as may.
    Busy,
    /// The bot's turns wait too long.
    Saturated,
    /// This request left nothing behind that will be worked on.
    NotAccepted(Why),
    /// The turn may have been accepted, and may still be worked on.
    Unknown(TurnId),
    /// Accepted, but no answer in time: it can be polled.
    TimedOut {
        turn: TurnId,
        poll_url: String,
    },
    /// A poll that names nothing of this app.
    NoData,
    /// A poll that cannot be answered now.
    PollAway,
}

/// Why a turn was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    QueueFull,
    BrokerAway,
    /// No connection for replies, which a synchronous turn needs.
    NoReplies,
    DatabaseAway,
    /// The registry has not been read for too long.
    RegistryStale,
    /// This release cannot read the bot's settings; another may.
    BotUnreadable,
    /// A defect of ours.
    Internal,
}

impl Why {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::QueueFull => "the queue is full",
            Self::BrokerAway => "the broker is away",
            Self::NoReplies => "there is no way back for answers",
            Self::DatabaseAway => "the database is away",
            Self::RegistryStale => "the registry is out of date",
            Self::BotUnreadable => "the bot's settings cannot be read by this release",
            Self::Internal => "internal error",
        }
    }
}

impl Refusal {
    /// Whether the request was refused while its body may still be on its way.
    pub(crate) const fn leaves_the_body(&self) -> bool {
        !matches!(self, Self::Framing(_) | Self::BodyTimedOut | Self::BodyBroken)
    }

    /// The label in metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::NoPath => "no_path",
            Self::NoTicket => "no_ticket",
            Self::TurnEnded => "turn_ended",
            Self::Method(_) => "method",
            Self::Framing(_) => "framing",
            Self::Unauthenticated => "unauthenticated",
            Self::TooManyFailures(_) => "too_many_failures",
            Self::NotLive(_) => "not_live",
            Self::MediaType(_) => "media_type",
            Self::TooLarge { .. } => "too_large",
            Self::BodyTimedOut => "body_timed_out",
            Self::BodyBroken => "body_broken",
            Self::Invalid(_) => "invalid",
            Self::BadKey(_) => "bad_key",
            Self::KeyMismatch => "key_mismatch",
            Self::TooFast(_) => "too_fast",
            Self::Busy => "busy",
            Self::Saturated => "saturated",
            Self::NotAccepted(Why::QueueFull) => "queue_full",
            Self::NotAccepted(Why::BrokerAway) => "broker_away",
            Self::NotAccepted(Why::NoReplies) => "no_replies",
            Self::NotAccepted(Why::DatabaseAway) => "database_away",
            Self::NotAccepted(Why::RegistryStale) => "registry_stale",
            Self::NotAccepted(Why::BotUnreadable) => "bot_unreadable",
            Self::NotAccepted(Why::Internal) => "internal",
            Self::Unknown(_) => "unknown",
            Self::TimedOut { .. } => "timed_out",
            Self::NoData => "no_data",
            Self::PollAway => "poll_away",
        }
    }
}
