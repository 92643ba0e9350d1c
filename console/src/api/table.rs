//! Every route: its path, the right that it needs, what comes in and what goes out.

use http::Method;

use crate::office::actor::Scope;

/// Where the paths of the table begin.
pub(super) const BASE: &str = "/api/admin/v1";

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub action: Action,
    pub method: &'static Method,
    /// Below [`BASE`]; `{word}` stands for one part.
    pub path: &'static str,
    /// The right that it needs; `None`: anybody who holds a token.
    pub scope: Option<Scope>,
    pub summary: &'static str,
    pub body: Option<Body>,
    pub answer: Answer,
    /// Words after the question mark that it understands.
    pub query: &'static [&'static str],
}

/// What a request's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    App,
    AppPatch,
    Rotation,
    Bot,
    BotPatch,
    Parent,
    Document,
    Channel,
    ChannelPatch,
    Association,
    Publish,
    Why,
    Whom,
    Operator,
    OperatorPatch,
    Token,
    Replay,
}

/// What an answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// 200 with one thing.
    One(Shape),
    /// 201 with what was made.
    Made(Shape),
    /// 200 with a page of things.
    Page(Shape),
    /// 204.
    Nothing,
}

/// What a thing looks like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shape {
    Actor,
    App,
    Bot,
    Document,
    Imported,
    Channel,
    Placeholder,
    Request,
    Operator,
    Token,
    Audit,
    Turn,
    WholeTurn,
    Attempt,
    Delivery,
    Replay,
    Analytics,
    Rows,
    /// A description of something: any object.
    Schema,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    OpenApi,
    BotSchema,
    Me,
    ListApps,
    AddApp,
    GetApp,
    ChangeApp,
    RemoveApp,
    RotateApp,
    ListBots,
    AddBot,
    ImportBot,
    GetBot,
    ChangeBot,
    RemoveBot,
    SetParent,
    ExportBot,
    Publish,
    ListChannels,
    AddChannel,
    GetChannel,
    ChangeChannel,
    RemoveChannel,
    ApproveChannel,
    SuspendChannel,
    RotateSigning,
    EraseUser,
    Redrive,
    ListPlaceholders,
    Associate,
    RemovePlaceholder,
    ListRequests,
    GetRequest,
    ApproveRequest,
    RejectRequest,
    WithdrawRequest,
    ListOperators,
    AddOperator,
    ChangeOperator,
    RemoveOperator,
    ListTokens,
    AddToken,
    RemoveToken,
    ListAudit,
    ListTurns,
    GetTurn,
    ListAttempts,
    ListDeliveries,
    CountDeliveries,
    ResendDelivery,
    ListReplays,
    AddReplay,
    GetReplay,
    CancelReplay,
    Analytics,
}

impl Action {
    /// The operation's name in the document.
    pub fn id(self) -> String {
        let name = format!("{self:?}");
        let (first, rest) = name.split_at(1);
        format!("{}{rest}", first.to_ascii_lowercase())
    }
}

const PAGE: &[&str] = &["limit", "cursor"];

macro_rules! routes {
    ($( $action:ident $method:ident $path:literal $scope:tt $body:tt $answer:expr, $query:expr, $summary:literal; )+) => {
        /// The table.
        pub const ROUTES: &[Route] = &[ $( Route {
            action: Action::$action,
            method: &Method::$method,
            path: $path,
            scope: routes!(@scope $scope),
            summary: $summary,
            body: routes!(@body $body),
            answer: $answer,
            query: $query,
        }, )+ ];
    };
    (@scope -) => { None };
    (@scope $scope:ident) => { Some(Scope::$scope) };
    (@body -) => { None };
    (@body $body:ident) => { Some(Body::$body) };
}

use Answer::{Made, Nothing, One, Page};

routes! {
    OpenApi GET "/openapi.json" - - One(Shape::Schema), &[], "This document; it needs no token";
    BotSchema GET "/schemas/bot.json" - - One(Shape::Schema), &[], "JSON Schema of an exported bot; it needs no token";
    Me GET "/me" - - One(Shape::Actor), &[], "Whose token this is, and what it may";

    ListApps GET "/apps" Read - Page(Shape::App), PAGE, "List apps";
    AddApp POST "/apps" Configure App Made(Shape::App), &[], "Add an app; its secret is shown once";
    GetApp GET "/apps/{app}" Read - One(Shape::App), &[], "Show an app";
    ChangeApp PATCH "/apps/{app}" Configure AppPatch One(Shape::App), &[], "Change an app's name or rules";
    RemoveApp DELETE "/apps/{app}" Configure - Nothing, &[], "Remove an app that no channel uses";
    RotateApp POST "/apps/{app}/rotate" Configure Rotation One(Shape::App), &[], "Give an app a new key; the present one stays good for the overlap";

    ListBots GET "/bots" Read - Page(Shape::Bot), PAGE, "List bots as they are edited";
    AddBot POST "/bots" Configure Bot Made(Shape::Bot), &[], "Add a bot";
    ImportBot POST "/bots/import" Configure Document Made(Shape::Imported), &["name"], "Make a bot of an exported one; its channels are placeholders";
    GetBot GET "/bots/{bot}" Read - One(Shape::Bot), &[], "Show a bot as it is edited";
    ChangeBot PATCH "/bots/{bot}" Configure BotPatch One(Shape::Bot), &[], "Change a bot; what runs stays until it is published and approved";
    RemoveBot DELETE "/bots/{bot}" Configure - Nothing, &[], "Remove a bot without channels";
    SetParent PUT "/bots/{bot}/parent" Configure Parent One(Shape::Bot), &[], "Let a bot inherit the channels that another publishes, or no more";
    ExportBot GET "/bots/{bot}/export" Read - One(Shape::Document), &[], "A bot with its channels, without secrets";
    Publish POST "/bots/{bot}/publish-requests" Configure Publish Made(Shape::Request), &[], "Ask for approval to let a bot run with these channels";

    ListChannels GET "/channels" Read - Page(Shape::Channel), &["limit", "cursor", "bot"], "List channels as they are edited";
    AddChannel POST "/channels" Configure Channel Made(Shape::Channel), &[], "Add a channel, a draft";
    GetChannel GET "/channels/{channel}" Read - One(Shape::Channel), &[], "Show a channel as it is edited";
    ChangeChannel PATCH "/channels/{channel}" Configure ChannelPatch One(Shape::Channel), &[], "Change a channel; what runs stays until it is published and approved";
    RemoveChannel DELETE "/channels/{channel}" Configure - Nothing, &[], "Remove a channel for good; one that was ever published needs the right to approve";
    ApproveChannel POST "/channels/{channel}/approve" Approve - One(Shape::Channel), &[], "Let one channel go live, or go live again";
    SuspendChannel POST "/channels/{channel}/suspend" Approve - One(Shape::Channel), &[], "Stop a live channel";
    RotateSigning POST "/channels/{channel}/rotate-signing" Configure - One(Shape::Channel), &[], "Give an endpoint a new signing secret, at once; it is shown once";
    EraseUser POST "/channels/{channel}/erase-user" Operate Whom One(Shape::Rows), &[], "Remove what is known of a user on a channel";
    Redrive POST "/channels/{channel}/redrive" Operate Whom One(Shape::Rows), &[], "Put a user's parked deliveries back, in order, at the end";

    ListPlaceholders GET "/placeholders" Read - Page(Shape::Placeholder), &["limit", "cursor", "bot"], "List imported channels without an app";
    Associate POST "/placeholders/{placeholder}/associate" Configure Association Made(Shape::Channel), &[], "Give a placeholder its app: it becomes a draft of a channel";
    RemovePlaceholder DELETE "/placeholders/{placeholder}" Configure - Nothing, &[], "Remove a placeholder";

    ListRequests GET "/publish-requests" Read - Page(Shape::Request), &["limit", "cursor", "state"], "List requests to publish: state=open (as is usual) or state=decided";
    GetRequest GET "/publish-requests/{request}" Read - One(Shape::Request), &[], "Show a request with what it changes of what runs";
    ApproveRequest POST "/publish-requests/{request}/approve" Approve Why One(Shape::Request), &[], "Let run what a request shows";
    RejectRequest POST "/publish-requests/{request}/reject" Approve Why One(Shape::Request), &[], "Say no, and why";
    WithdrawRequest POST "/publish-requests/{request}/withdraw" Configure Why One(Shape::Request), &[], "Take a request back";

    ListOperators GET "/operators" Administer - Page(Shape::Operator), PAGE, "List operators";
    AddOperator POST "/operators" Administer Operator Made(Shape::Operator), &[], "Add an operator; a password that is made is shown once";
    ChangeOperator PATCH "/operators/{operator}" Administer OperatorPatch One(Shape::Operator), &[], "Change an operator's role or password, or lock them out";
    RemoveOperator DELETE "/operators/{operator}" Administer - Nothing, &[], "Remove an operator with all their tokens";

    ListTokens GET "/tokens" - - Page(Shape::Token), PAGE, "List one's own tokens, or with the right to administer everybody's";
    AddToken POST "/tokens" - Token Made(Shape::Token), &[], "Make a token that may no more than this one; it is shown once";
    RemoveToken DELETE "/tokens/{token}" - - Nothing, &[], "Remove a token: it is refused at once";

    ListAudit GET "/audit" Administer - Page(Shape::Audit), &["limit", "cursor", "subject"], "Who changed what, newest first";

    ListTurns GET "/turns" Read - Page(Shape::Turn), &["limit", "cursor", "channel", "user", "outcome"], "List turns, newest first; a page that found little may still have a next one";
    GetTurn GET "/turns/{turn}" Read - One(Shape::WholeTurn), &[], "Show a turn with its answer, its deliveries and the first 50 attempts at them";
    ListAttempts GET "/turns/{turn}/attempts" Read - Page(Shape::Attempt), PAGE, "List the attempts at a turn's deliveries, by message and attempt";
    ListDeliveries GET "/deliveries" Read - Page(Shape::Delivery), &["limit", "cursor", "channel", "state"], "List deliveries: state=waiting (as is usual; the first of each conversation), delivered or parked";
    CountDeliveries GET "/deliveries/count" Read - One(Shape::Rows), &["channel", "from_ms", "to_ms", "state"], "How many deliveries of a channel were settled in a range of time: what a replay would send again";
    ResendDelivery POST "/turns/{turn}/deliveries/{message}/resend" Operate - Made(Shape::Replay), &[], "Send one settled delivery again, at the end of its conversation";
    ListReplays GET "/replays" Read - Page(Shape::Replay), PAGE, "List replays, newest first";
    AddReplay POST "/replays" Operate Replay Made(Shape::Replay), &[], "Send the deliveries of a channel that were settled in a range of time again, in their old order at the end of their conversations";
    GetReplay GET "/replays/{replay}" Read - One(Shape::Replay), &[], "Show how far a replay is";
    CancelReplay POST "/replays/{replay}/cancel" Operate - One(Shape::Replay), &[], "Stop a replay; what it has sent stays sent";
    Analytics GET "/channels/{channel}/analytics" Read - One(Shape::Analytics), &["range"], "A channel's messages, users, outcomes, latency and deliveries over time: range=24h (as is usual), 72h or 8d";
}

impl Route {
    /// Whether it answers with a tag that a change can be tied to.
    pub const fn is_tagged(&self) -> bool {
        matches!(
            self.action,
            Action::GetApp
                | Action::ChangeApp
                | Action::GetBot
                | Action::ChangeBot
                | Action::GetChannel
                | Action::ChangeChannel
        )
    }

    /// Whether `If-Match` must be given.
    pub const fn wants_match(&self) -> bool {
        matches!(
            self.action,
            Action::ChangeApp
                | Action::RemoveApp
                | Action::ChangeBot
                | Action::RemoveBot
                | Action::ChangeChannel
                | Action::RemoveChannel
        )
    }

    /// Whether `Idempotency-Key` is understood.
    pub const fn takes_key(&self) -> bool {
        matches!(self.answer, Answer::Made(_))
    }

    pub const fn is_public(&self) -> bool {
        matches!(self.action, Action::OpenApi | Action::BotSchema)
    }

    /// The names of the parts of its path that vary.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// What stands in the path where the table has words in braces.
    pub fn matches(&self, path: &str) -> Option<Vec<String>> {
        let mut found = Vec::new();
        let (mut given, mut wanted) = (path.split('/'), self.path.split('/'));
        loop {
            match (given.next(), wanted.next()) {
                (None, None) => return Some(found),
                (Some(part), Some(word)) if word.starts_with('{') && !part.is_empty() => {
                    found.push(part.to_owned());
                }
                (Some(part), Some(word)) if part == word => {}
                (Some(_) | None, Some(_) | None) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_routes_are_the_same_and_no_path_hides_another() {
        let mut seen = BTreeSet::new();
        for route in ROUTES {
            assert!(seen.insert((route.path, route.method.as_str())), "{route:?}");
        }
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.action.id()).collect();
        assert_eq!(names.len(), ROUTES.len());
    }

    #[test]
    fn a_path_is_matched_part_by_part() {
        let route = |action| ROUTES.iter().find(|route| route.action == action).unwrap();
        assert_eq!(route(Action::GetApp).matches("/apps/cs-1"), Some(vec!["cs-1".to_owned()]));
        for wrong in ["/apps", "/apps/", "/apps/x/", "/apps/x/y", "/bots/x", "apps/x"] {
            assert_eq!(route(Action::GetApp).matches(wrong), None, "{wrong}");
        }
        assert_eq!(route(Action::ListApps).matches("/apps"), Some(vec![]));
    }
}
