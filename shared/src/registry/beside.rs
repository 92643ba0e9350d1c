//! Other bots that stand beside a bot: one that answers when it fails, one that is tried out unseen, one
//! that takes over some of its conversations.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::ids::{BotId, ConversationId};

/// See the module's documentation. Of a bot that stands beside another only the logic and its permits count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Answers a turn when the bot fails at it, or is answered for.
    pub fallback: Option<BotId>,
    /// Gets the same turns; its answers are compared and never shown.
    pub shadow: Option<BotId>,
    pub canary: Option<Canary>,
}

/// A bot that stands in for another in a share of its conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    pub bot: BotId,
    /// Hundredths of a percent.
    pub share: u32,
}

impl Canary {
    /// All of them.
    pub const WHOLE: u32 = 10_000;

    /// Whether it has this conversation: the same at every turn, and those of a smaller share are among those
    /// of a larger one.
    pub fn takes(&self, conversation: ConversationId) -> bool {
        let mut bytes = conversation.uuid().as_bytes().to_vec();
        bytes.extend_from_slice(self.bot.as_str().as_bytes());
        xxh3_64(&bytes) % u64::from(Self::WHOLE) < u64::from(self.share)
    }
}

impl Beside {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All of them, with the words that name them.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &BotId)> {
        let canary = self.canary.as_ref().map(|canary| &canary.bot);
        let all = [
            ("fallback", self.fallback.as_ref()),
            ("shadow", self.shadow.as_ref()),
            ("canary", canary),
        ];
        all.into_iter().filter_map(|(word, bot)| Some((word, bot?)))
    }
}

/// As it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct BesideSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<(String, u32)>,
}

impl BesideSpec {
    pub(super) fn of(beside: &Beside) -> Self {
        let text = |bot: &BotId| bot.to_string();
        Self {
            fallback: beside.fallback.as_ref().map(text),
            shadow: beside.shadow.as_ref().map(text),
            canary: beside.canary.as_ref().map(|canary| (text(&canary.bot), canary.share)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fallback.is_none() && self.shadow.is_none() && self.canary.is_none()
    }

    pub(super) fn into_beside(self) -> Beside {
        let canary = |(bot, share): (String, u32)| Canary { bot: BotId::new(bot), share };
        Beside {
            fallback: self.fallback.map(BotId::new),
            shadow: self.shadow.map(BotId::new),
            canary: self.canary.map(canary),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_has_its_share_of_conversations_always_the_same_and_keeps_them_when_it_grows() {
        let canary = |share| Canary { bot: "st-2".into(), share };
        let all: Vec<_> = (0..10_000_u128)
            .map(|n| ConversationId::new(uuid::Uuid::from_u128(n * 0x9e37_79b9_7f4a_7c15)))
            .collect();
        let taken = |share| -> Vec<_> {
            all.iter().filter(|conversation| canary(share).takes(**conversation)).collect()
        };
        let (none, some, more, whole) = (taken(0), taken(500), taken(2_000), taken(Canary::WHOLE));
        assert_eq!((none.len(), whole.len()), (0, 10_000));
        assert!((400..600).contains(&some.len()) && (1_800..2_200).contains(&more.len()));
        assert!(some.iter().all(|conversation| more.contains(conversation)));
        // Another canary has other conversations.
        let other = Canary { bot: "st-3".into(), share: 500 };
        assert!(some.iter().any(|conversation| !other.takes(**conversation)));
    }
}
