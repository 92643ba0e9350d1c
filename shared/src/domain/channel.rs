//! The life of a channel.
//!
//! ```text
//! draft ─submit▶ awaiting approval ─approve▶ live ◀approve─ suspended
//!   ▲ ▲            │withdraw  │reject         │ └──suspend───▶  │
//!   │ └────────────┘          ▼               └─disable─▶ disabled (approve brings it back)
//!   └─────────── submit ── rejected
//! ```
//! An imported channel without an app is no channel yet, and a deleted one none any more: neither has a
//! state.

use std::fmt;

/// Where a channel stands. Only a live one works.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChannelState {
    /// Saved; nobody was asked to approve it.
    Draft,
    AwaitingApproval,
    /// An admin said no.
    Rejected,
    Live,
    /// Stopped by an admin.
    Suspended,
    /// Its bot was published without it.
    Disabled,
}

/// What can be done to a channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChannelAction {
    /// Ask for its approval.
    Submit,
    /// Take the question back.
    Withdraw,
    Approve,
    Reject,
    Suspend,
    /// Publish its bot without it.
    Disable,
}

/// The action does not apply in this state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a channel that is {state} cannot be {}", .action.participle())]
pub struct NotAllowed {
    pub state: ChannelState,
    pub action: ChannelAction,
}

impl ChannelAction {
    pub const ALL: [Self; 6] =
        [Self::Submit, Self::Withdraw, Self::Approve, Self::Reject, Self::Suspend, Self::Disable];

    const fn participle(self) -> &'static str {
        match self {
            Self::Submit => "submitted",
            Self::Withdraw => "withdrawn",
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Suspend => "suspended",
            Self::Disable => "disabled",
        }
    }
}

impl ChannelState {
    pub const ALL: [Self; 6] = [
        Self::Draft,
        Self::AwaitingApproval,
        Self::Rejected,
        Self::Live,
        Self::Suspended,
        Self::Disabled,
    ];

    /// The state after an action. Approving brings back what was suspended or disabled.
    pub fn after(self, action: ChannelAction) -> Result<Self, NotAllowed> {
        use ChannelAction as A;
        match (self, action) {
            (Self::Draft | Self::Rejected, A::Submit) => Ok(Self::AwaitingApproval),
            (Self::AwaitingApproval, A::Withdraw) => Ok(Self::Draft),
            (Self::AwaitingApproval | Self::Suspended | Self::Disabled, A::Approve) => {
                Ok(Self::Live)
            }
            (Self::AwaitingApproval, A::Reject) => Ok(Self::Rejected),
            (Self::Live, A::Suspend) => Ok(Self::Suspended),
            (Self::Live, A::Disable) => Ok(Self::Disabled),
            (
                Self::Draft
                | Self::AwaitingApproval
                | Self::Rejected
                | Self::Live
                | Self::Suspended
                | Self::Disabled,
                A::Submit | A::Withdraw | A::Approve | A::Reject | A::Suspend | A::Disable,
            ) => Err(NotAllowed { state: self, action }),
        }
    }

    /// Whether it has ever been approved: what runs, or ran, is then another copy than what is edited.
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Live | Self::Suspended | Self::Disabled)
    }

    /// The plain words that a proven caller reads in a 403, and an operator in a listing.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::AwaitingApproval => "awaiting approval",
            Self::Rejected => "rejected",
            Self::Live => "live",
            Self::Suspended => "suspended",
            Self::Disabled => "disabled",
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
    use super::ChannelAction as A;
    use super::ChannelState::{AwaitingApproval, Disabled, Draft, Live, Rejected, Suspended};
    use super::*;

    #[test]
    fn every_state_and_action_has_the_stated_result() {
        // Columns: submit, withdraw, approve, reject, suspend, disable.
        let none = None;
        let waits = Some(AwaitingApproval);
        let table = [
            (Draft, [waits, none, none, none, none, none]),
            (AwaitingApproval, [none, Some(Draft), Some(Live), Some(Rejected), none, none]),
            (Rejected, [waits, none, none, none, none, none]),
            (Live, [none, none, none, none, Some(Suspended), Some(Disabled)]),
            (Suspended, [none, none, Some(Live), none, none, none]),
            (Disabled, [none, none, Some(Live), none, none, none]),
        ];
        assert_eq!(table.map(|(state, _)| state), ChannelState::ALL);
        for (state, row) in table {
            for (action, expected) in A::ALL.into_iter().zip(row) {
                assert_eq!(state.after(action).ok(), expected, "{state} {action:?}");
            }
        }
    }

    #[test]
    fn states_are_read_back_from_their_words() {
        for state in ChannelState::ALL {
            assert_eq!(ChannelState::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn a_refused_action_says_why() {
        assert_eq!(
            Live.after(A::Approve).unwrap_err().to_string(),
            "a channel that is live cannot be approved"
        );
    }
}
