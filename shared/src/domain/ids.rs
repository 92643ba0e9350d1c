//! Identifiers, each a type of its own.

use std::fmt;

use aws_lc_rs::digest;
use uuid::Uuid;

/// The longest `from.id`, in bytes. Longer ones are refused at the door.
pub const USER_ID_MAX: usize = 256;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            pub fn new(text: impl Into<std::sync::Arc<str>>) -> Self {
                Self(text.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// A bot, `st-` and a UUID of version 5 shape (clients match on that shape, protocol §7.5).
    BotId
}
text_id! {
    /// The public id of an app, `cs-` and a UUID (protocol §0).
    ClientId
}
text_id! {
    /// One webhook instance of a bot, `ivrInst-` and a UUID (protocol §0).
    ChannelId
}
text_id! {
    /// `from.id`: who speaks. Opaque bytes, compared exactly, never normalised.
    UserId
}

/// One inbound message and all that is done to answer it. A UUID of version 7; its 32 hex digits
/// are the poll id. The deduplication key of the inbox.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnId(Uuid);

impl TurnId {
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }
    pub const fn uuid(self) -> Uuid {
        self.0
    }
    /// Milliseconds since the Unix epoch at which the id was made, by the maker's clock. It only
    /// bounds polling and retention; nothing is ordered by it.
    pub fn unix_ms(self) -> u64 {
        let b = self.0.as_bytes();
        u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]])
    }
    /// Reads 32 hex digits, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 32).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}
impl fmt::Debug for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The lasting thread of one user on one channel: the ordering key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConversationKey {
    pub channel: ChannelId,
    pub user: UserId,
}

impl ConversationKey {
    pub fn new(channel: ChannelId, user: UserId) -> Self {
        Self { channel, user }
    }

    /// `len(channel) as u32 LE ‖ channel ‖ user`: no two keys share these bytes.
    fn bytes(&self) -> Vec<u8> {
        let channel = self.channel.as_str().as_bytes();
        let len = u32::try_from(channel.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(4 + channel.len() + self.user.as_str().len());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(channel);
        bytes.extend_from_slice(self.user.as_str().as_bytes());
        bytes
    }

    /// The id of the conversation's row: the first 128 bits of a SHA-256, as a UUID of version 8.
    /// Users choose their own ids, so a hash that can be collided on purpose would not do.
    pub fn id(&self) -> ConversationId {
        let hash = digest::digest(&digest::SHA256, &self.bytes());
        let mut head = [0; 16];
        head.copy_from_slice(&hash.as_ref()[..16]);
        ConversationId(uuid::Builder::from_custom_bytes(head).into_uuid())
    }

    /// The hash that picks the partition. Rows store the hash, never the partition.
    pub fn hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&self.bytes())
    }
}

/// See [`ConversationKey::id`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(Uuid);

impl ConversationId {
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}
impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}
impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One delivery: the `index`-th message of a turn (from 0). Its text is the `webhook-id` of every
/// attempt, so it never holds a dot (Standard Webhooks 1.0).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DeliveryId {
    pub turn: TurnId,
    pub index: u16,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "msg_{}_{}", self.turn, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_id_is_read_back_from_its_hex_and_tells_its_time() {
        let id = TurnId::new(
            uuid::Builder::from_unix_timestamp_millis(1_700_000_000_123, &[7; 10]).into_uuid(),
        );
        assert_eq!(TurnId::parse(&id.to_string()), Some(id));
        assert_eq!(TurnId::parse(&id.to_string().to_uppercase()), Some(id));
        assert_eq!(id.unix_ms(), 1_700_000_000_123);
        for bad in ["", "zz", &id.uuid().hyphenated().to_string(), &id.to_string()[..31]] {
            assert_eq!(TurnId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_that_only_differ_in_where_the_channel_ends_are_different_conversations() {
        let a = ConversationKey::new("ab".into(), "c".into());
        let b = ConversationKey::new("a".into(), "bc".into());
        assert_ne!(a.id(), b.id());
        assert_ne!(a.hash(), b.hash());
    }
}
