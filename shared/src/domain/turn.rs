//! A turn: one inbound message and all that is done to answer it.

use super::ids::{BotId, ChannelId, ClientId, ConversationKey, TurnId, UserId};

/// How the answer comes back: in the HTTP response, or as POSTs to the channel's POST_URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Sync,
    Async,
}

/// What ingress admits, and all that a dispatcher needs besides the registry. Copies of one turn
/// (a repeat with the same `Idempotency-Key`) are identical in every byte that can change the reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    pub id: TurnId,
    /// The app that the token proved. A principal is (app, channel); every query takes both.
    pub client: ClientId,
    pub channel: ChannelId,
    pub bot: BotId,
    pub user: UserId,
    pub mode: Mode,
    /// `session.new`: start a new session before this message.
    pub new_session: bool,
    /// `message.text`.
    pub text: String,
    /// The whole request body as it was admitted: one JSON object, byte for byte.
    pub payload: String,
}

impl Turn {
    pub fn conversation(&self) -> ConversationKey {
        ConversationKey::new(self.channel.clone(), self.user.clone())
    }
}
