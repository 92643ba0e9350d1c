//! Requests for pages: who asks, whether they may, and whether it is one of our own forms.

use std::net::IpAddr;

use http::header::{CONTENT_TYPE, HOST, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method};
use shared::broker::Broker;
use shared::store::Store;

use super::ask::Ask;
use super::browser::{Browser, csrf};
use super::form::{Words, query};
use super::frame;
use super::reply::{self, Done, Refusal};
use super::sign_in::{self, Door};
use super::table::{PAGES, PageRoute, Right, To};
use super::ui::Frame;
use super::{
    analytics, approvals, apps, assets, bots, channels, exchange, home, ledger, people, replays,
    talk, turn, wizard,
};
use crate::api::Reply;
use crate::arriving::{Arriving, Unread};
use crate::office::problem::Problem;
use crate::office::sessions::SignedIn;
use crate::room::Room;

const BODY_MAX: usize = 4 * 1024 * 1024;
/// Before anybody is signed in.
const BODY_AT_THE_DOOR_MAX: usize = 16 * 1024;

/// Answers one request for a page.
pub(crate) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    head: &Parts,
    body: &mut Arriving<'_>,
    peer: IpAddr,
) -> Reply {
    if let Some(reply) = assets::find(head.uri.path()).filter(|_| head.method == Method::GET) {
        return reply;
    }
    let browser = Browser {
        keys: &room.ground.keys,
        public: room.ways.public_url.as_ref(),
        now_ms: room.ground.clock.unix_ms(),
    };
    let outside = frame::outside(String::new());
    if head.headers.get_all(HOST).iter().count() != 1 || head.uri.authority().is_some() {
        return Refusal::BadRequest.reply(&outside);
    }
    let shown = browser.session(&head.headers);
    let holder = match &shown {
        Some(shown) => match room.desk.session(&shown.token).await {
            Ok(holder) => holder,
            Err(problem) => return reply::refused(&outside, &problem),
        },
        None => None,
    };
    let session = shown.zip(holder);
    let frame = match &session {
        Some((shown, who)) => frame::inside(room, who, csrf(&shown.token)).await,
        None => outside,
    };
    let (route, parts) = match route(head) {
        Ok(found) => found,
        // Whoever is not signed in does not learn what is there.
        Err(_) if session.is_none() => return reply::go("/sign-in"),
        Err(refusal) => return refusal.reply(&frame),
    };
    let call = Call { room, head, browser: &browser, route, parts, frame: &frame, peer };
    if let Some((shown, who)) = session {
        let token = shown.token.clone();
        let mut reply = inside(&call, body, who, &token).await;
        if shown.renew && !reply.headers().contains_key(SET_COOKIE) {
            set(&mut reply, browser.set_session(&token));
        }
        return reply;
    }
    if route.right == Right::Anybody {
        return at_the_door(&call, body).await;
    }
    let back =
        if head.method == Method::GET && head.uri.path() != "/" { head.uri.path() } else { "" };
    reply::go(&query("/sign-in", &[("next", back)]))
}

/// One request, and what is known of it.
pub(super) struct Call<'r, B, S> {
    pub(super) room: &'r Room<B, S>,
    pub(super) head: &'r Parts,
    pub(super) browser: &'r Browser<'r>,
    pub(super) route: &'static PageRoute,
    pub(super) parts: Vec<String>,
    pub(super) frame: &'r Frame,
    pub(super) peer: IpAddr,
}

fn set(reply: &mut Reply, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        reply.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Before anybody is signed in.
async fn at_the_door<B: Broker, S: Store>(call: &Call<'_, B, S>, body: &mut Arriving<'_>) -> Reply {
    let Call { head, browser, room, .. } = call;
    let known = browser.guest(&head.headers);
    let guest = known.clone().unwrap_or_else(|| room.ground.entropy.hex(16));
    let (query, form) = match said(call, body, known.as_deref()).await {
        Ok(said) => said,
        Err(refusal) => return refusal.reply(call.frame),
    };
    let token = csrf(&guest);
    let frame = frame::outside(token.clone());
    let door = Door { call, query, form, csrf: token };
    let (result, cookies) = match call.route.to {
        To::SignIn => sign_in::enter(&door).await,
        To::Welcome => sign_in::accept(&door).await,
        To::WelcomeForm => (sign_in::welcome(&door).await, Vec::new()),
        _ => (Ok(sign_in::form(&door, None)), Vec::new()),
    };
    let mut reply = match result {
        Ok(done) => reply::done(&frame, done),
        Err(problem) => reply::refused(&frame, &problem),
    };
    for cookie in cookies {
        set(&mut reply, Some(cookie));
    }
    if known.is_none() {
        set(&mut reply, browser.set_guest(&guest));
    }
    reply
}

async fn inside<B: Broker, S: Store>(
    call: &Call<'_, B, S>,
    body: &mut Arriving<'_>,
    who: SignedIn,
    token: &str,
) -> Reply {
    let (query, form) = match said(call, body, Some(token)).await {
        Ok(said) => said,
        Err(refusal) => return refusal.reply(call.frame),
    };
    if call.route.right == Right::Anybody {
        return reply::go("/");
    }
    if call.route.to == To::SignOut {
        let ended = call.room.desk.close_session(&who.actor, token).await;
        if let Err(problem) = ended {
            return reply::refused(call.frame, &problem);
        }
        let mut reply = reply::go("/sign-in?done=signed-out");
        set(&mut reply, call.browser.end_session());
        return reply;
    }
    let may = match call.route.right {
        Right::Anybody | Right::SignedIn => Ok(()),
        Right::Holder(scope) => who.actor.need(scope),
    };
    let result = match may {
        Ok(()) => {
            let ask = Ask {
                room: call.room,
                actor: who.actor,
                csrf: csrf(token),
                parts: call.parts.clone(),
                query,
                form,
                is_script: call.head.headers.contains_key("x-piece"),
            };
            to(call.route.to, &ask).await
        }
        Err(problem) => Err(problem),
    };
    if call.head.method == Method::POST && result.is_ok() && call.route.to.touches_registry() {
        call.room.tell().await;
    }
    match result {
        Ok(done) => reply::done(call.frame, done),
        Err(problem) => reply::refused(call.frame, &problem),
    }
}

/// What query and form say. A form that is not from a page of ours for this session is refused.
async fn said<B: Broker, S: Store>(
    call: &Call<'_, B, S>,
    body: &mut Arriving<'_>,
    token: Option<&str>,
) -> Result<(Words, Words), Refusal> {
    let head = call.head;
    let query = head.uri.query().unwrap_or_default();
    let query = Words::read(query.as_bytes()).ok_or(Refusal::BadRequest)?;
    if head.method != Method::POST {
        return Ok((query, Words::default()));
    }
    if !call.browser.is_ours(&head.headers) {
        return Err(Refusal::Foreign);
    }
    let media = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::BadRequest);
    }
    let door = call.route.right == Right::Anybody;
    let most = if door { BODY_AT_THE_DOOR_MAX } else { BODY_MAX };
    let bytes = body.read(most).await.map_err(|why| match why {
        Unread::TooLarge => Refusal::TooLarge,
        Unread::TooSlow => Refusal::TooSlow,
        Unread::Broken => Refusal::BadRequest,
        Unread::Busy => Refusal::Busy,
    })?;
    let form = Words::read(&bytes).ok_or(Refusal::BadRequest)?;
    let expected = token.map(csrf).ok_or(Refusal::Foreign)?;
    let same = aws_lc_rs::constant_time::verify_slices_are_equal(
        expected.as_bytes(),
        form.raw("csrf").as_bytes(),
    );
    same.map_err(|_| Refusal::Foreign)?;
    Ok((query, form))
}

fn route(head: &Parts) -> Result<(&'static PageRoute, Vec<String>), Refusal> {
    let path = head.uri.path();
    let here: Vec<_> =
        PAGES.iter().filter_map(|route| Some((route, route.matches(path)?))).collect();
    let Some((first, _)) = here.first() else { return Err(Refusal::NoPage) };
    let allowed = first.method.as_str();
    let found = here.into_iter().find(|(route, _)| *route.method == head.method);
    let (route, raw) = found.ok_or(Refusal::Method(allowed))?;
    let decoded = raw.into_iter().map(decoded).collect::<Option<Vec<_>>>();
    Ok((route, decoded.ok_or(Refusal::NoPage)?))
}

/// Percent-decoded.
fn decoded(part: &str) -> Option<String> {
    let part = part.replace('+', "%2B");
    if part.contains(['&', '=']) {
        return None;
    }
    let (word, _) = url::form_urlencoded::parse(part.as_bytes()).next()?;
    (!word.contains('\u{fffd}') && !word.contains('\0')).then(|| word.into_owned())
}

async fn to<B: Broker, S: Store>(to: To, ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    match to {
        To::Home => home::home(ask).await,
        To::Bots => bots::list(ask).await,
        To::BotForm => Ok(bots::form(ask)),
        To::AddBot => bots::add(ask).await,
        To::Bot => bots::one(ask).await,
        To::BotEdit => bots::edit(ask).await,
        To::ChangeBot => bots::change(ask).await,
        To::ParentForm => bots::parent(ask).await,
        To::SetParent => bots::set_parent(ask).await,
        To::BotDelete => bots::delete(ask).await,
        To::RemoveBot => bots::remove(ask).await,
        To::ImportForm => Ok(exchange::form(ask, None)),
        To::Import => exchange::import(ask).await,
        To::Export => exchange::export(ask).await,
        To::PublishForm => approvals::publish_form(ask, None).await,
        To::Publish => approvals::publish(ask).await,
        To::Apps => apps::list(ask).await,
        To::AppForm => Ok(apps::form(ask, None)),
        To::AddApp => apps::add(ask).await,
        To::App => apps::one(ask).await,
        To::AppEdit => apps::edit(ask, None).await,
        To::ChangeApp => apps::change(ask).await,
        To::RotateForm => apps::rotate_form(ask, None).await,
        To::Rotate => apps::rotate(ask).await,
        To::AppDelete => apps::delete(ask).await,
        To::RemoveApp => apps::remove(ask).await,
        to => to_channels(to, ask).await,
    }
}

async fn to_channels<B: Broker, S: Store>(to: To, ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    match to {
        To::WizardApp => wizard::app(ask, None).await,
        To::WizardPick => wizard::pick(ask).await,
        To::WizardName => wizard::name(ask).await,
        To::WizardEnable => wizard::enable(ask, Vec::new()).await,
        To::WizardPing => wizard::ping(ask).await,
        To::WizardSave => wizard::save(ask).await,
        To::Channels => channels::list(ask).await,
        To::Channel => channels::one(ask).await,
        To::ChannelEdit => channels::edit(ask, None).await,
        To::ChangeChannel => channels::change(ask).await,
        To::Mint => channels::mint(ask).await,
        To::SigningForm => channels::signing_form(ask).await,
        To::RotateSigning => channels::rotate_signing(ask).await,
        To::SuspendForm | To::ApproveForm | To::RejectForm => channels::act_form(ask, to).await,
        To::Suspend | To::ApproveChannel | To::RejectChannel => channels::act(ask, to).await,
        To::ChannelDelete => channels::delete(ask).await,
        To::RemoveChannel => channels::remove(ask).await,
        To::EraseForm | To::RedriveForm => Ok(ledger::ask_user(ask, to)),
        To::Erase | To::Redrive => ledger::operate(ask, to).await,
        To::Talk => talk::page(ask).await,
        To::Say => talk::say(ask).await,
        To::Heard => talk::heard(ask).await,
        To::Turns => ledger::turns(ask).await,
        To::Turn => turn::page(ask).await,
        To::Deliveries => ledger::deliveries(ask).await,
        To::ResendForm => replays::resend_form(ask).await,
        To::Resend => replays::resend(ask).await,
        To::Replays => replays::list(ask).await,
        To::ReplayForm => replays::form(ask).await,
        To::AddReplay => replays::add(ask).await,
        To::Replay => replays::one(ask).await,
        To::Analytics => analytics::page(ask).await,
        To::CancelReplay => replays::cancel_it(ask).await,
        To::AssociateForm => exchange::associate_form(ask, None).await,
        To::Associate => exchange::associate(ask).await,
        To::PlaceholderDelete => Ok(exchange::delete(ask)),
        To::RemovePlaceholder => exchange::remove(ask).await,
        to => to_people(to, ask).await,
    }
}

async fn to_people<B: Broker, S: Store>(to: To, ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    match to {
        To::Approvals => approvals::list(ask).await,
        To::Approval => approvals::one(ask, None).await,
        To::ApproveRequest | To::RejectRequest | To::WithdrawRequest => {
            approvals::judge(ask, to).await
        }
        To::Operators => people::list(ask).await,
        To::OperatorForm => Ok(people::form(ask, None)),
        To::AddOperator => people::add(ask).await,
        To::OperatorEdit => people::edit(ask, None).await,
        To::ChangeOperator => people::change(ask).await,
        To::OperatorDelete => Ok(people::delete(ask)),
        To::RemoveOperator => people::remove(ask).await,
        To::Tokens => people::tokens(ask).await,
        To::TokenForm => Ok(people::token_form(ask, None)),
        To::AddToken => people::add_token(ask).await,
        To::TokenDelete => Ok(people::token_delete(ask)),
        To::RemoveToken => people::remove_token(ask).await,
        To::AuditLog => people::audit(ask).await,
        _ => Err(Problem::invalid("this page is not known here")),
    }
}
