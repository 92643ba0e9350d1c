//! Signing in, and the first admin. Whoever gives a name that nobody has waits as long and reads the same.

use std::time::Duration;

use http::HeaderValue;
use shared::broker::Broker;
use shared::store::Store;

use super::fields::{self, notice, told};
use super::form::Words;
use super::reply::Done;
use super::serve::Call;
use super::ui::{Block, Card, Field, Form, Kind, Page};
use crate::office::actor::Actor;
use crate::office::problem::Problem;

/// Longest name that is looked for.
const NAME_MAX: usize = 200;

/// A request before anybody is signed in.
pub(super) struct Door<'c, 'r, B, S> {
    pub(super) call: &'c Call<'r, B, S>,
    pub(super) query: Words,
    pub(super) form: Words,
    pub(super) csrf: String,
}

type Answered = (Result<Done, Problem>, Vec<HeaderValue>);

pub(super) fn form<B, S>(door: &Door<'_, '_, B, S>, why: Option<&str>) -> Done {
    let page = sign_in_page(door, why);
    if why.is_some() { Done::Again(page) } else { Done::Page(page) }
}

fn sign_in_page<B, S>(door: &Door<'_, '_, B, S>, why: Option<&str>) -> Page {
    let typed = |word: &str| {
        let typed = door.form.text(word);
        if typed.is_empty() { door.query.text(word).to_owned() } else { typed.to_owned() }
    };
    let name = Field { complete: "username", ..fields::text("name", "Name", &typed("name")) };
    let next = Field { kind: Kind::Hidden, ..fields::text("next", "", &typed("next")) };
    let fields = vec![
        name.required(),
        fields::password("password", "Password", "current-password").required(),
        next,
    ];
    let form = Form {
        action: "/sign-in".to_owned(),
        csrf: door.csrf.clone(),
        submit: "Sign in".to_owned(),
        fields,
        ..Form::default()
    };
    let mut blocks: Vec<Block> = told(door.query.text("done")).into_iter().collect();
    blocks.extend(why.map(|why| notice("bad", "You are not signed in", why)));
    blocks.push(Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() }));
    Page { title: "Sign in".to_owned(), blocks, ..Page::default() }
}

/// Proves who somebody is, within the limits, and opens a session.
pub(super) async fn enter<B: Broker, S: Store>(door: &Door<'_, '_, B, S>) -> Answered {
    let call = door.call;
    let (name, password) = (door.form.text("name"), door.form.raw("password"));
    if name.len() > NAME_MAX {
        return (Ok(form(door, Some("The name or the password is wrong."))), Vec::new());
    }
    let device = call.browser.device(&call.head.headers, name);
    let account = format!("{name} {}", device.as_deref().unwrap_or("anywhere"));
    let address = device.is_none().then_some(call.peer);
    if let Err(wait) = call.room.limits.take(&account, address) {
        tracing::warn!(peer = %call.peer, "somebody tries to sign in too often");
        return (Ok(later(door, wait)), Vec::new());
    }
    let Ok(_turn) = call.room.sign_ins.try_acquire() else {
        return (Ok(later(door, Duration::from_secs(2))), Vec::new());
    };
    match call.room.desk.sign_in(name, password).await {
        Ok(Some(actor)) => {
            call.room.limits.proved(&account);
            opened(door, &actor, device).await
        }
        Ok(None) => {
            tracing::warn!(peer = %call.peer, "a sign-in was refused");
            (Ok(form(door, Some("The name or the password is wrong."))), Vec::new())
        }
        Err(problem) => (Err(problem), Vec::new()),
    }
}

fn later<B, S>(door: &Door<'_, '_, B, S>, wait: Duration) -> Done {
    let page = sign_in_page(door, Some("There were too many tries. Wait a little and try again."));
    Done::Later { page, seconds: wait.as_secs() + 1 }
}

async fn opened<B: Broker, S: Store>(
    door: &Door<'_, '_, B, S>,
    actor: &Actor,
    device: Option<String>,
) -> Answered {
    let (call, browser) = (door.call, door.call.browser);
    let before = browser.session(&call.head.headers).map(|shown| shown.token);
    let token = match call.room.desk.open_session(actor, before.as_deref()).await {
        Ok(token) => token,
        Err(problem) => return (Err(problem), Vec::new()),
    };
    let mark = device.unwrap_or_else(|| call.room.ground.entropy.hex(16));
    let cookies = [browser.set_session(&token), browser.set_device(&mark, &actor.person)];
    let next = door.form.text("next");
    // A path of ours, and nothing that a browser could take for another host.
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    let next = if ours { next } else { "/" };
    (Ok(Done::Go(next.to_owned())), cookies.into_iter().flatten().collect())
}

pub(super) async fn welcome<B: Broker, S: Store>(
    door: &Door<'_, '_, B, S>,
) -> Result<Done, Problem> {
    let token = door.query.text("token");
    if !door.call.room.desk.is_invited(token).await? {
        return Ok(not_invited());
    }
    Ok(Done::Page(welcome_page(door, token, None)))
}

fn not_invited() -> Done {
    let used = "This link has been used, has expired, or is another one.";
    let blocks = vec![notice("bad", "The link is not good any more", used)];
    Done::Again(Page { title: "First admin".to_owned(), blocks, ..Page::default() })
}

fn welcome_page<B, S>(door: &Door<'_, '_, B, S>, token: &str, why: Option<&str>) -> Page {
    let name =
        Field { complete: "username", ..fields::text("name", "Your name", door.form.text("name")) };
    let password = fields::password("password", "Password", "new-password");
    let fields = vec![
        Field { kind: Kind::Hidden, ..fields::text("token", "", token) },
        name.required().hint("How you sign in, and how the audit log names you."),
        password.required().hint("At least 12 characters."),
    ];
    let form = Form {
        action: "/welcome".to_owned(),
        csrf: door.csrf.clone(),
        submit: "Become the first admin".to_owned(),
        fields,
        ..Form::default()
    };
    let mut blocks: Vec<Block> =
        why.map(|why| notice("bad", "That did not work", why)).into_iter().collect();
    blocks.push(Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() }));
    let lead = "Nobody can sign in yet. Whoever holds this link becomes the first admin.";
    Page { title: "Welcome".to_owned(), lead: lead.to_owned(), blocks, ..Page::default() }
}

/// Uses the link up.
pub(super) async fn accept<B: Broker, S: Store>(door: &Door<'_, '_, B, S>) -> Answered {
    let (call, form) = (door.call, &door.form);
    // Nobody guesses it, and whoever tries keeps its holder from nothing.
    match call.room.desk.is_invited(form.text("token")).await {
        Ok(true) => {}
        Ok(false) => return (Ok(not_invited()), Vec::new()),
        Err(problem) => return (Err(problem), Vec::new()),
    }
    let Ok(_turn) = call.room.sign_ins.try_acquire() else {
        return (Ok(later(door, Duration::from_secs(2))), Vec::new());
    };
    let token = form.text("token");
    let made = call.room.desk.accept(token, form.text("name"), form.raw("password")).await;
    match made {
        Ok(view) => {
            let actor = Actor { name: view.name.clone(), person: view.name, scopes: Vec::new() };
            opened(door, &actor, None).await
        }
        Err(problem) if super::ask::can_be_mended(&problem) => {
            (Ok(Done::Again(welcome_page(door, token, Some(&problem.words)))), Vec::new())
        }
        Err(problem) => (Err(problem), Vec::new()),
    }
}
