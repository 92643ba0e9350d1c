//! From a call to the office and back.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::broker::Broker;
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::registry::Channel;
use shared::registry::control::Kind;
use shared::store::Store;

use super::answer::{self, Reply};
use super::call::Call;
use super::table::{Action, Answer};
use super::{Room, page};
use crate::office::drafts::ChannelDraft;
use crate::office::execute::Desk;
use crate::office::find;
use crate::office::ledger::{DeliveriesOf, TurnsOf};
use crate::office::operators::{ApiTokenView, OperatorView};
use crate::office::problem::Problem;
use crate::office::publish::{self, Verdict};
use crate::office::replays::ReplayAsk;
use crate::office::views::AppView;
use crate::office::{book, exchange};

/// Why something is decided so.
#[derive(Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    #[serde(default)]
    why: String,
}

/// A user on a channel: `from.id`, exactly.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Whom {
    user: String,
}

/// Which bot a bot inherits from; `null`: none.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parent {
    parent: Option<String>,
}

/// Carries a call out.
pub(super) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    call: &Call,
) -> Result<Reply, Problem> {
    let mut desk = room.desk.clone();
    if call.route.takes_key() {
        desk.once = call.once()?;
    }
    let value = done(&desk, call).await?;
    let tagged = call.route.is_tagged();
    Ok(match call.route.answer {
        Answer::Made(_) => answer::one(StatusCode::CREATED, &value, true),
        Answer::One(_) | Answer::Page(_) => answer::one(StatusCode::OK, &value, tagged),
        Answer::Nothing => answer::nothing(),
    })
}

/// What needs no token: descriptions.
pub(super) fn described(action: Action) -> Value {
    if action == Action::BotSchema { exchange::schema::schema() } else { super::document() }
}

async fn done<S: Store>(desk: &Desk<S>, call: &Call) -> Result<Value, Problem> {
    let (actor, id) = (&call.actor, call.id());
    match call.route.action {
        Action::OpenApi | Action::BotSchema => Ok(described(call.route.action)),
        Action::Me => Ok(json!({
            "name": actor.name, "operator": actor.person, "scopes": actor.scopes,
        })),
        Action::ListApps => apps(desk, call).await,
        Action::AddApp => told(desk.add_app(actor, &call.body()?).await),
        Action::GetApp => told(desk.app(id).await),
        Action::ChangeApp => told(desk.change_app(actor, id, &call.body()?, call.expected()).await),
        Action::RemoveApp => told(desk.remove_app(actor, id, call.expected()).await),
        Action::RotateApp => told(desk.rotate(actor, id, &call.body_or_default()?).await),
        Action::ListBots => bots(desk, call).await,
        Action::AddBot => told(desk.add_bot(actor, &call.body()?).await),
        Action::ImportBot => told(desk.import(actor, &call.body()?, call.word("name")).await),
        Action::GetBot => told(desk.bot(id).await),
        Action::ChangeBot => told(desk.change_bot(actor, id, &patch(call)?, call.expected()).await),
        Action::RemoveBot => told(desk.remove_bot(actor, id, call.expected()).await),
        Action::SetParent => {
            let Parent { parent } = call.body()?;
            told(desk.set_parent(actor, id, parent.as_deref()).await)
        }
        Action::ExportBot => told(desk.export(id).await),
        Action::Publish => told(desk.publish(actor, id, &call.body()?).await),
        action => of_channels(desk, call, action).await,
    }
}

async fn of_channels<S: Store>(
    desk: &Desk<S>,
    call: &Call,
    action: Action,
) -> Result<Value, Problem> {
    let (actor, id) = (&call.actor, call.id());
    match action {
        Action::ListChannels => channels(desk, call).await,
        Action::AddChannel => {
            let draft: ChannelDraft = call.body()?;
            if draft.approve {
                return Err(Problem::invalid("approve: publish the bot and let that be approved"));
            }
            told(desk.add_channel(actor, &draft, ChannelState::Draft).await)
        }
        Action::GetChannel => told(desk.channel(id).await),
        Action::ChangeChannel => {
            told(desk.change_channel(actor, id, &patch(call)?, call.expected()).await)
        }
        Action::RemoveChannel => told(desk.remove_channel(actor, id, call.expected()).await),
        Action::ApproveChannel => told(desk.act(actor, id, ChannelAction::Approve).await),
        Action::SuspendChannel => told(desk.act(actor, id, ChannelAction::Suspend).await),
        Action::RotateSigning => told(desk.rotate_signing(actor, id).await),
        Action::EraseUser => {
            let Whom { user } = call.body()?;
            desk.erase(actor, id, &user).await.map(|rows| json!({ "rows": rows }))
        }
        Action::Redrive => {
            let Whom { user } = call.body()?;
            desk.redrive(actor, id, &user).await.map(|rows| json!({ "rows": rows }))
        }
        Action::ListPlaceholders => {
            let all = desk.placeholders(call.word("bot")).await?;
            page::of(call, all.iter(), |one| &one.placeholder_id, |one| Ok(json!(one)))
        }
        Action::Associate => told(desk.associate(actor, id, &call.body()?).await),
        Action::RemovePlaceholder => told(desk.remove_placeholder(actor, id).await),
        action => of_requests(desk, call, action).await,
    }
}

async fn of_requests<S: Store>(
    desk: &Desk<S>,
    call: &Call,
    action: Action,
) -> Result<Value, Problem> {
    let (actor, id) = (&call.actor, call.id());
    let why = || call.body_or_default::<Why>().map(|body| body.why);
    match action {
        Action::ListRequests => requests(desk, call).await,
        Action::GetRequest => told(desk.request(id).await),
        Action::ApproveRequest => told(desk.judge(actor, id, Verdict::Approve, &why()?).await),
        Action::RejectRequest => told(desk.judge(actor, id, Verdict::Reject, &why()?).await),
        Action::WithdrawRequest => told(desk.judge(actor, id, Verdict::Withdraw, &why()?).await),
        Action::ListOperators => {
            let book = desk.book().await?;
            let view = |record: &_| book::body::<OperatorView>(record);
            page::of(call, book.all(Kind::Operator), |record| &record.id, view)
        }
        Action::AddOperator => told(desk.add_operator(actor, &call.body()?).await),
        Action::ChangeOperator => told(desk.change_operator(actor, id, &call.body()?).await),
        Action::RemoveOperator => told(desk.remove_operator(actor, id).await),
        Action::ListTokens => {
            let all: Vec<ApiTokenView> = desk.api_tokens(actor).await?;
            page::of(call, all.iter(), |one| &one.token_id, |one| Ok(json!(one)))
        }
        Action::AddToken => told(desk.add_api_token(actor, &call.body()?).await),
        Action::RemoveToken => told(desk.remove_api_token(actor, id).await),
        Action::ListAudit => {
            let (limit, before) = (more(call)?, call.cursor()?);
            let all = desk.audit(actor, call.word("subject"), before.as_deref(), limit).await?;
            page::read(call, all, |one| one.entry_id.clone())
        }
        action => of_ledger(desk, call, action).await,
    }
}

async fn of_ledger<S: Store>(
    desk: &Desk<S>,
    call: &Call,
    action: Action,
) -> Result<Value, Problem> {
    let actor = &call.actor;
    let (after, limit) = (call.cursor()?, u32::try_from(call.limit()?).unwrap_or(u32::MAX));
    let after = after.as_deref();
    match action {
        Action::ListTurns => {
            let (channel, user, outcome) =
                (call.word("channel"), call.word("user"), call.word("outcome"));
            let of = TurnsOf { channel, user, outcome, after, limit };
            Ok(page::ready(&desk.turns(actor, of).await?))
        }
        Action::GetTurn => told(desk.turn(actor, call.id()).await),
        Action::ListAttempts => {
            Ok(page::ready(&desk.attempts(actor, call.id(), after, limit).await?))
        }
        Action::ListDeliveries => {
            let (channel, state) = (call.word("channel"), call.word("state"));
            let of = DeliveriesOf { channel, state, after, limit };
            Ok(page::ready(&desk.deliveries(actor, of).await?))
        }
        Action::CountDeliveries => {
            let number = |word: &str| {
                let wrong = || Problem::invalid(format!("{word}: milliseconds since 1970"));
                call.word(word).and_then(|text| text.parse().ok()).ok_or_else(wrong)
            };
            let needed = || Problem::invalid("channel: which one?");
            let channel = call.word("channel").ok_or_else(needed)?.to_owned();
            let state = call.word("state").map(str::to_owned);
            let (from_ms, to_ms) = (number("from_ms")?, number("to_ms")?);
            let ask = ReplayAsk { channel, from_ms, to_ms, state };
            desk.count_deliveries(actor, &ask).await.map(|rows| json!({ "rows": rows }))
        }
        Action::ResendDelivery => {
            let message = call.parts.get(1).map_or("", String::as_str);
            told(desk.resend(actor, call.id(), message).await)
        }
        Action::Analytics => told(desk.analytics(actor, call.id(), call.word("range")).await),
        Action::ListReplays => Ok(page::ready(&desk.replays(actor, after, limit).await?)),
        Action::AddReplay => told(desk.add_replay(actor, &call.body()?).await),
        Action::GetReplay => told(desk.replay(actor, call.id()).await),
        Action::CancelReplay => told(desk.cancel_replay(actor, call.id()).await),
        _ => Err(Problem::invalid("this operation is not known here")),
    }
}

fn told<T: Serialize>(result: Result<T, Problem>) -> Result<Value, Problem> {
    let value = serde_json::to_value(result?);
    value.map_err(|error| Problem::invalid(error.to_string()))
}

fn patch(call: &Call) -> Result<Map<String, Value>, Problem> {
    call.body()
}

/// One more than a page shows.
fn more(call: &Call) -> Result<u32, Problem> {
    Ok(u32::try_from(call.limit()?).unwrap_or(u32::MAX).saturating_add(1))
}

async fn apps<S: Store>(desk: &Desk<S>, call: &Call) -> Result<Value, Problem> {
    let book = desk.book().await?;
    let apps = book.registry.apps.values();
    page::of(call, apps, |app| app.client_id.as_str(), |app| Ok(AppView::of(app, false)))
}

async fn bots<S: Store>(desk: &Desk<S>, call: &Call) -> Result<Value, Problem> {
    let book = desk.book().await?;
    let bots = book.registry.bots.values();
    page::of(call, bots, |bot| bot.id.as_str(), |bot| desk.bot_view(&book, bot))
}

async fn channels<S: Store>(desk: &Desk<S>, call: &Call) -> Result<Value, Problem> {
    let book = desk.book().await?;
    let view = |channel: &Arc<Channel>| desk.channel_view(&book, channel);
    let Some(bot) = call.word("bot") else {
        return page::of(call, book.registry.channels.values(), |c| c.id.as_str(), view);
    };
    let bot = find::bot(&book.registry, bot)?;
    page::of(call, book.channels(&bot.id).iter(), |c| c.id.as_str(), view)
}

async fn requests<S: Store>(desk: &Desk<S>, call: &Call) -> Result<Value, Problem> {
    match call.word("state") {
        None | Some("open") => {
            let book = desk.book().await?;
            let view = |kept: &_| publish::open_view(&book, kept);
            page::of(call, book.all(Kind::Request), |kept| &kept.id, view)
        }
        Some("decided") => {
            let (limit, before) = (more(call)?, call.cursor()?);
            let all = desk.decided_requests(before.as_deref(), limit).await?;
            page::read(call, all, |one| one.request_id.clone())
        }
        Some(_) => Err(Problem::invalid("state: open or decided")),
    }
}
