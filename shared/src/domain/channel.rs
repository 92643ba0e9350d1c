//! The life of a channel.

use std::fmt;

/// Where a channel stands. Only a live one works.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChannelState {
    AwaitingApproval,
    Live,
    Suspended,
}

/// What an admin can do to a channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChannelAction {
    Approve,
    Suspend,
}

/// The action does not apply in this state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a channel that is {state} cannot be {}", .action.participle())]
pub struct NotAllowed {
    pub state: ChannelState,
    pub action: ChannelAction,
}

impl ChannelAction {
    const fn participle(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Suspend => "suspended",
        }
    }
}

impl ChannelState {
    pub const ALL: [Self; 3] = [Self::AwaitingApproval, Self::Live, Self::Suspended];

    /// The state after an action. Approving a suspended channel brings it back.
    pub fn after(self, action: ChannelAction) -> Result<Self, NotAllowed> {
        match (self, action) {
            (Self::AwaitingApproval | Self::Suspended, ChannelAction::Approve) => Ok(Self::Live),
            (Self::Live, ChannelAction::Suspend) => Ok(Self::Suspended),
            (Self::Live, ChannelAction::Approve)
            | (Self::AwaitingApproval | Self::Suspended, ChannelAction::Suspend) => {
                Err(NotAllowed { state: self, action })
            }
        }
    }

    /// The plain words that a proven caller reads in a 403, and an operator in a listing.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting approval",
            Self::Live => "live",
            Self::Suspended => "suspended",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for ChannelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::ChannelAction::{Approve, Suspend};
    use super::ChannelState::{AwaitingApproval, Live, Suspended};
    use super::*;

    #[test]
    fn every_state_and_action_has_the_stated_result() {
        let table = [
            (AwaitingApproval, Approve, Some(Live)),
            (AwaitingApproval, Suspend, None),
            (Live, Approve, None),
            (Live, Suspend, Some(Suspended)),
            (Suspended, Approve, Some(Live)),
            (Suspended, Suspend, None),
        ];
        for (state, action, expected) in table {
            assert_eq!(state.after(action).ok(), expected, "{state} {action:?}");
        }
        assert_eq!(table.len(), ChannelState::ALL.len() * 2);
    }

    #[test]
    fn a_refused_action_says_why() {
        assert_eq!(
            Live.after(Approve).unwrap_err().to_string(),
            "a channel that is live cannot be approved"
        );
    }
}
