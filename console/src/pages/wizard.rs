//! "Add a webhook channel", step by step: its app; its name and mode; where answers go; saved, with its URL.
//! What was answered travels in the address; secrets are typed in the last step and travel nowhere else.

use serde_json::{Map, Value};
use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::store::Store;

use super::apps;
use super::ask::{Ask, can_be_mended, cancel};
use super::channel_edit::{card, endpoint, modes};
use super::channels::{signing_secret, try_it};
use super::fields::{self, choice, notice, wrong};
use super::form::query;
use super::reply::Done;
use super::ui::{Block, Card, Code, Field, Kind, Link, Page, Steps, path};
use crate::office::book::Book;
use crate::office::drafts::ChannelDraft;
use crate::office::problem::{self, Problem};
use crate::office::publish::PublishDraft;
use crate::office::views::{BotView, ChannelView};
use crate::office::{copies, ping};

const STEPS: [&str; 4] = ["App", "Name and mode", "Endpoint and enable", "Saved"];

/// Where the wizard of a bot is.
fn at(bot: &str, word: &str) -> String {
    let here = path(&["bots", bot, "add-channel"]);
    if word.is_empty() { here } else { format!("{here}/{word}") }
}

fn page(bot: &BotView, now: usize, title: &str, blocks: Vec<Block>) -> Page {
    let steps = Block::Steps(Steps { names: STEPS.to_vec(), now });
    Page {
        title: title.to_owned(),
        section: "bots",
        crumbs: vec![
            Link::new("/bots", "Bots"),
            Link::new(path(&["bots", &bot.bot_id]), &bot.name),
        ],
        blocks: std::iter::once(steps).chain(blocks).collect(),
        ..Page::default()
    }
}

/// Step 1: one that is there, or a new one.
pub(super) async fn app<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    let desk = ask.desk();
    let (book, bot) = (desk.book().await?, desk.bot(ask.id()).await?);
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    if !book.registry.apps.is_empty() {
        let mut form = ask.form(at(&bot.bot_id, ""), "Use this app");
        form.fields = vec![apps::picker(&book, ask.query.text("app"))];
        form.cancel = Some(cancel(path(&["bots", &bot.bot_id])));
        blocks.push(Block::Card(Card {
            title: "An app that is there".to_owned(),
            words: "Whoever holds its client secret can talk to the channel.".to_owned(),
            parts: vec![Block::Form(form)],
            ..Card::default()
        }));
    }
    let algorithms = apps::ALGORITHMS
        .map(|(word, words)| choice(word, words, word == ask.form.text("algorithm")));
    let mut form = ask.form_once(at(&bot.bot_id, ""), "Make this app");
    form.fields = vec![
        fields::text("new_app", "Name", ask.form.text("new_app")).required(),
        fields::select("algorithm", "How tokens are signed", algorithms.to_vec()),
        fields::area("public_key", "Public key", ask.form.raw("public_key"))
            .hint("For RS256 and RS512: RSA, at least 2048 bits, in PEM.")
            .when("when-rsa"),
    ];
    blocks.push(Block::Card(Card {
        title: "A new app".to_owned(),
        parts: vec![Block::Form(form)],
        ..Card::default()
    }));
    let page = page(&bot, 0, "Add a webhook channel", blocks);
    Ok(if why.is_some() { Done::Again(page) } else { Done::Page(page) })
}

pub(super) async fn pick<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let bot = ask.desk().bot(ask.id()).await?;
    if let Some(known) = ask.form.given("app") {
        let known = ask.desk().app(known).await?;
        let next = query(&at(&bot.bot_id, "name"), &[("app", &known.client_id)]);
        return Ok(Done::Go(next));
    }
    let draft = apps::draft(ask, ask.form.text("new_app"));
    match ask.desk_once("wizard-app").add_app(&ask.actor, &draft).await {
        Ok(made) => {
            let next = query(&at(&bot.bot_id, "name"), &[("app", &made.client_id)]);
            let card = Card {
                title: format!("The app {} is there", made.name),
                parts: apps::secret(&made),
                ..Card::default()
            };
            let mut page = page(&bot, 0, "Add a webhook channel", vec![Block::Card(card)]);
            page.actions = vec![Link::primary(next, "Continue")];
            Ok(Done::Page(page))
        }
        Err(problem) if can_be_mended(&problem) => app(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

/// Step 2.
pub(super) async fn name<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let bot = ask.desk().bot(ask.id()).await?;
    let app = ask.desk().app(ask.query.text("app")).await?;
    let form = super::ui::Filter {
        action: at(&bot.bot_id, "enable"),
        fields: vec![
            Field { kind: Kind::Hidden, ..fields::text("app", "", &app.client_id) },
            fields::text("name", "Display name", ask.query.text("name"))
                .required()
                .hint("Lists show it as “name (webhook)”."),
            modes(ask.query.text("mode")),
        ],
    };
    let next = Block::Ask(super::ui::AskForm {
        filter: form,
        submit: "Continue",
        cancel: at(&bot.bot_id, ""),
    });
    let card = Block::Card(Card { parts: vec![next], ..Card::default() });
    Ok(Done::Page(page(&bot, 1, "Name and mode", vec![card])))
}

/// Step 3, with what a ping or a save has to say.
pub(super) async fn enable<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    said: Vec<Block>,
) -> Result<Done, Problem> {
    let bot = ask.desk().bot(ask.id()).await?;
    // From the address at first, from the form when it is shown again.
    let value = |word: &str| {
        let typed = ask.form.text(word);
        if typed.is_empty() { ask.query.text(word).to_owned() } else { typed.to_owned() }
    };
    let app = ask.desk().app(&value("app")).await?;
    let (name, mode) = (value("name"), value("mode"));
    let is_async = mode == "async";
    let again = !said.is_empty();
    let hidden = |word: &'static str, value: &str| Field {
        kind: Kind::Hidden,
        ..fields::text(word, "", value)
    };
    let mut form = ask.form_once(at(&bot.bot_id, "save"), "Save");
    form.fields = vec![hidden("app", &app.client_id), hidden("name", &name), hidden("mode", &mode)];
    if is_async {
        let inputs = endpoint(&value("post_url"), &value("token_header"));
        let shown = inputs.into_iter().map(|field| {
            let required = field.name == "post_url";
            Field { when: "", required, ..field }
        });
        form.fields.extend(shown);
        form.more = vec![("Send a verification ping", at(&bot.bot_id, "ping"))];
    }
    let enable = !again || ask.form.is_checked("enable");
    let words = "The channel goes to the admins for approval when it is saved. Otherwise it is kept as a draft.";
    form.fields.push(fields::check("enable", "Enable the channel", enable).hint(words));
    let back = [("app", app.client_id.as_str()), ("name", &name), ("mode", &mode)];
    form.cancel = Some(Link::new(query(&at(&bot.bot_id, "name"), &back), "Back"));
    let words = if is_async { "An asynchronous" } else { "A synchronous" };
    let mut blocks = said;
    blocks.push(card(form));
    let mut page = page(&bot, 2, &format!("Enable {name}"), blocks);
    page.lead = format!("{words} channel of {} for the app {}.", bot.name, app.name);
    Ok(if again { Done::Again(page) } else { Done::Page(page) })
}

pub(super) async fn ping<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let target = ping::Target {
        post_url: ask.form.text("post_url"),
        token_header: ask.form.text("token_header"),
        access_token: ask.form.given("access_token"),
        bot: ask.id(),
    };
    let taken = ask.room.limits.take_ping(&ask.actor.person).map_err(|wait| {
        let seconds = wait.as_secs().saturating_add(1);
        Problem::conflict(format!("too many pings: the next in {seconds} s"))
    });
    let answered = match taken {
        Ok(()) => ping::ping(ask.room.ways.world.as_ref(), &ask.actor, &target).await,
        Err(problem) => Err(problem),
    };
    let block = match answered {
        Ok(answer) => {
            let kind = if answer.is_good { "good" } else { "warn" };
            notice(kind, &answer.words, "Type the access token again before you save.")
        }
        Err(problem) if can_be_mended(&problem) => {
            notice("bad", "No ping was sent", &problem.words)
        }
        Err(problem) => return Err(problem),
    };
    enable(ask, vec![block]).await
}

/// Step 4.
pub(super) async fn save<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let made = match draft(ask) {
        Ok(draft) => {
            let desk = ask.desk_once("channel");
            desk.add_channel(&ask.actor, &draft, ChannelState::Draft).await
        }
        Err(problem) => Err(problem),
    };
    match made {
        Ok(made) => saved(ask, made).await,
        Err(problem) if can_be_mended(&problem) => enable(ask, vec![wrong(&problem)]).await,
        Err(problem) => Err(problem),
    }
}

fn draft<B, S: Store>(ask: &Ask<'_, B, S>) -> Result<ChannelDraft, Problem> {
    let form = &ask.form;
    let mut draft = Map::new();
    draft.insert("bot".to_owned(), ask.id().into());
    for word in ["app", "name"] {
        draft.insert(word.to_owned(), form.text(word).into());
    }
    if form.text("mode") == "async" {
        draft.insert("post_url".to_owned(), form.text("post_url").into());
        for word in ["token_header", "access_token"] {
            let value = form.given(word).map(Value::from);
            draft.extend(value.map(|value| (word.to_owned(), value)));
        }
    }
    copies::read(draft)
}

async fn saved<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    made: ChannelView,
) -> Result<Done, Problem> {
    let bot = ask.desk().bot(ask.id()).await?;
    let (title, words) = if ask.form.is_checked("enable") {
        match request(ask, &made).await {
            Ok(()) => (
                "The channel is configured",
                "It waits for approval: it refuses messages until an admin has approved it."
                    .to_owned(),
            ),
            Err(why) if why.kind == problem::Kind::Conflict => {
                ("The channel is saved as a draft", why.words)
            }
            Err(why) => return Err(why),
        }
    } else {
        let words = "Publish its bot to ask for approval.".to_owned();
        ("The channel is saved as a draft", words)
    };
    let mut blocks = vec![notice("good", title, &words)];
    let url = Block::Code(Code {
        label: "Webhook URL".to_owned(),
        text: made.url.clone(),
        secret: false,
    });
    let mut parts = vec![url];
    parts.extend(signing_secret(&made));
    blocks.push(Block::Card(Card { parts, ..Card::default() }));
    blocks.push(Block::Card(try_it(ask, &made, None)));
    let mut page = page(&bot, 3, &super::shown::named(&made.name), blocks);
    page.actions = vec![Link::primary(path(&["channels", &made.webhook_id]), "To the channel")];
    Ok(Done::Page(page))
}

/// Asks for approval of the bot with its live channels and this one.
async fn request<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    made: &ChannelView,
) -> Result<(), Problem> {
    let book = ask.desk().book().await?;
    let mut channels = live(&book, &made.bot_id);
    channels.push(made.webhook_id.clone());
    let comment = format!("The channel {} is new.", made.name);
    let draft = PublishDraft { channels, comment };
    ask.desk_once("wizard-publish").publish(&ask.actor, &made.bot_id, &draft).await.map(drop)
}

fn live(book: &Book, bot: &str) -> Vec<String> {
    let all = book.registry.channels.values();
    let live = all.filter(|c| c.bot.as_str() == bot && c.state == ChannelState::Live);
    live.map(|channel| channel.id.to_string()).collect()
}
