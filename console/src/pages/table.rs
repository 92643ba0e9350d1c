//! Every page: its path, the right that it needs, and what answers it.

use http::Method;

use crate::office::actor::Scope;

/// Who may ask for a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Before anybody is signed in.
    Anybody,
    SignedIn,
    Holder(Scope),
}

/// One page, or one thing that a form does.
#[derive(Clone, Copy, Debug)]
pub struct PageRoute {
    pub method: &'static Method,
    /// `{word}` stands for one part.
    pub path: &'static str,
    pub right: Right,
    pub(super) to: To,
}

impl PageRoute {
    /// What stands in the path where the table has words in braces, still encoded.
    pub fn matches<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut found = Vec::new();
        let (mut given, mut wanted) = (path.split('/'), self.path.split('/'));
        loop {
            match (given.next(), wanted.next()) {
                (None, None) => return Some(found),
                (Some(part), Some(word)) if word.starts_with('{') && !part.is_empty() => {
                    found.push(part);
                }
                (Some(part), Some(word)) if part == word => {}
                (Some(_) | None, Some(_) | None) => return None,
            }
        }
    }
}

macro_rules! pages {
    ($( $method:ident $path:literal $right:tt $to:ident; )+) => {
        /// What answers.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum To { $( $to, )+ }

        /// The table. A literal path stands before one with a part that varies.
        pub const PAGES: &[PageRoute] = &[ $( PageRoute {
            method: &Method::$method,
            path: $path,
            right: pages!(@right $right),
            to: To::$to,
        }, )+ ];
    };
    (@right anybody) => { Right::Anybody };
    (@right signed_in) => { Right::SignedIn };
    (@right $scope:ident) => { Right::Holder(Scope::$scope) };
}

pages! {
    GET "/sign-in" anybody SignInForm;
    POST "/sign-in" anybody SignIn;
    GET "/welcome" anybody WelcomeForm;
    POST "/welcome" anybody Welcome;
    POST "/sign-out" signed_in SignOut;
    GET "/" Read Home;

    GET "/bots" Read Bots;
    GET "/bots/new" Configure BotForm;
    POST "/bots/new" Configure AddBot;
    GET "/bots/import" Configure ImportForm;
    POST "/bots/import" Configure Import;
    GET "/bots/{bot}" Read Bot;
    GET "/bots/{bot}/edit" Configure BotEdit;
    POST "/bots/{bot}/edit" Configure ChangeBot;
    GET "/bots/{bot}/parent" Configure ParentForm;
    POST "/bots/{bot}/parent" Configure SetParent;
    GET "/bots/{bot}/export" Read Export;
    GET "/bots/{bot}/publish" Configure PublishForm;
    POST "/bots/{bot}/publish" Configure Publish;
    GET "/bots/{bot}/delete" Configure BotDelete;
    POST "/bots/{bot}/delete" Configure RemoveBot;
    GET "/bots/{bot}/add-channel" Configure WizardApp;
    POST "/bots/{bot}/add-channel" Configure WizardPick;
    GET "/bots/{bot}/add-channel/name" Configure WizardName;
    GET "/bots/{bot}/add-channel/enable" Configure WizardEnable;
    POST "/bots/{bot}/add-channel/ping" Configure WizardPing;
    POST "/bots/{bot}/add-channel/save" Configure WizardSave;

    GET "/apps" Read Apps;
    GET "/apps/new" Configure AppForm;
    POST "/apps/new" Configure AddApp;
    GET "/apps/{app}" Read App;
    GET "/apps/{app}/edit" Configure AppEdit;
    POST "/apps/{app}/edit" Configure ChangeApp;
    GET "/apps/{app}/rotate" Configure RotateForm;
    POST "/apps/{app}/rotate" Configure Rotate;
    GET "/apps/{app}/delete" Configure AppDelete;
    POST "/apps/{app}/delete" Configure RemoveApp;

    GET "/channels" Read Channels;
    GET "/channels/{channel}" Read Channel;
    GET "/channels/{channel}/edit" Configure ChannelEdit;
    POST "/channels/{channel}/edit" Configure ChangeChannel;
    POST "/channels/{channel}/token" Configure Mint;
    GET "/channels/{channel}/rotate-signing" Configure SigningForm;
    POST "/channels/{channel}/rotate-signing" Configure RotateSigning;
    GET "/channels/{channel}/suspend" Approve SuspendForm;
    POST "/channels/{channel}/suspend" Approve Suspend;
    GET "/channels/{channel}/approve" Approve ApproveForm;
    POST "/channels/{channel}/approve" Approve ApproveChannel;
    GET "/channels/{channel}/reject" Approve RejectForm;
    POST "/channels/{channel}/reject" Approve RejectChannel;
    GET "/channels/{channel}/delete" Configure ChannelDelete;
    POST "/channels/{channel}/delete" Configure RemoveChannel;

    GET "/channels/{channel}/erase" Operate EraseForm;
    POST "/channels/{channel}/erase" Operate Erase;
    GET "/channels/{channel}/redrive" Operate RedriveForm;
    POST "/channels/{channel}/redrive" Operate Redrive;
    GET "/channels/{channel}/talk" Configure Talk;
    POST "/channels/{channel}/talk" Configure Say;
    POST "/channels/{channel}/heard" Configure Heard;

    GET "/turns" Read Turns;
    GET "/turns/{turn}" Read Turn;
    GET "/deliveries" Read Deliveries;
    GET "/turns/{turn}/{message}/resend" Operate ResendForm;
    POST "/turns/{turn}/{message}/resend" Operate Resend;
    GET "/replays" Read Replays;
    GET "/replays/new" Operate ReplayForm;
    POST "/replays/new" Operate AddReplay;
    GET "/replays/{replay}" Read Replay;
    POST "/replays/{replay}/cancel" Operate CancelReplay;
    GET "/analytics" Read Analytics;

    GET "/placeholders/{placeholder}/associate" Configure AssociateForm;
    POST "/placeholders/{placeholder}/associate" Configure Associate;
    GET "/placeholders/{placeholder}/delete" Configure PlaceholderDelete;
    POST "/placeholders/{placeholder}/delete" Configure RemovePlaceholder;

    GET "/approvals" Read Approvals;
    GET "/approvals/{request}" Read Approval;
    POST "/approvals/{request}/approve" Approve ApproveRequest;
    POST "/approvals/{request}/reject" Approve RejectRequest;
    POST "/approvals/{request}/withdraw" Configure WithdrawRequest;

    GET "/operators" Administer Operators;
    GET "/operators/new" Administer OperatorForm;
    POST "/operators/new" Administer AddOperator;
    GET "/operators/{operator}" Administer OperatorEdit;
    POST "/operators/{operator}" Administer ChangeOperator;
    GET "/operators/{operator}/delete" Administer OperatorDelete;
    POST "/operators/{operator}/delete" Administer RemoveOperator;
    GET "/tokens" signed_in Tokens;
    GET "/tokens/new" signed_in TokenForm;
    POST "/tokens/new" signed_in AddToken;
    GET "/tokens/{token}/delete" signed_in TokenDelete;
    POST "/tokens/{token}/delete" signed_in RemoveToken;
    GET "/audit" Administer AuditLog;
}

impl To {
    /// Whether every process has to read the registry again afterwards.
    pub(super) const fn touches_registry(self) -> bool {
        !matches!(
            self,
            Self::Say
                | Self::Heard
                | Self::Mint
                | Self::WizardPing
                | Self::Erase
                | Self::Redrive
                | Self::Resend
                | Self::AddReplay
                | Self::CancelReplay
                | Self::AddOperator
                | Self::ChangeOperator
                | Self::RemoveOperator
                | Self::AddToken
                | Self::RemoveToken
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_hides_another() {
        for (place, route) in PAGES.iter().enumerate() {
            let first = PAGES.iter().position(|other| {
                other.method == route.method && other.matches(route.path).is_some()
            });
            assert_eq!(first, Some(place), "{route:?}");
        }
    }
}
