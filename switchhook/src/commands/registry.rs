//! Apps, bots, channels, a file of them, and what users left: one request each.

pub(super) mod files;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use console::office::exchange::schema::schema;
use console::office::moment;
use console::office::publish::{PublishDraft, RequestView};
use console::office::replays::{ReplayAsk, ReplayView};
use serde_json::Value;
use shared::config::Settings;
use shared::process::{Failure, block_on};

use super::office;
use crate::cli::office::Publish;
use crate::cli::registry::{
    AddChannel, App, Apply, Bot, Channel, Delivery, Json, Named, Replay, Rotate, User, Vault,
};
use crate::office::apply::Line;
use crate::office::apps::{AppPatch, Rotation};
use crate::office::drafts::ToolDraft;
use crate::office::reach::reach;
use crate::office::views::{AppView, BotView, ChannelView, ResealedView};
use crate::office::{Request, Response};
use crate::output;

/// Largest secret that is read from a file.
const SECRET_MAX: u64 = 64 * 1024;

pub(crate) fn app(settings: &Settings, command: App) -> Result<(), Failure> {
    let (request, json) = match command {
        App::Add { mut draft, secret_file, public_key_file, json } => {
            draft.secret = secret_file.as_deref().map(secret).transpose()?;
            draft.public_key = public_key_file.as_deref().map(secret).transpose()?;
            (Request::AddApp { draft }, json)
        }
        App::Rotate(Rotate { name, overlap, algorithm, secret_file, public_key_file, json }) => {
            let secret_text = secret_file.as_deref().map(secret).transpose()?;
            let public_key = public_key_file.as_deref().map(secret).transpose()?;
            let rotation = Rotation { overlap, algorithm, secret: secret_text, public_key };
            (Request::Rotate { name, rotation }, json)
        }
        App::Rules { name, rules, json } => {
            let patch = AppPatch { name: None, rules: Some(rules) };
            (Request::ChangeApp { name, patch }, json)
        }
        App::Remove(Named { name, json }) => (Request::RemoveApp { name }, json),
        App::List(json) => (Request::Apps, json),
        App::Show(Named { name, json }) => (Request::App { name }, json),
    };
    ask(settings, request, json)
}

pub(crate) fn bot(settings: &Settings, command: Bot) -> Result<(), Failure> {
    let (request, json) = match command {
        Bot::Add { mut draft, script, env_file, authorization_file, tools_file, json } => {
            draft.authorization = authorization_file.as_deref().map(secret).transpose()?;
            if let (Some(connector), Some(file)) = (&mut draft.connector, tools_file) {
                connector.tools = Some(tools(&file)?);
            }
            if let Some(file) = script {
                draft.read_script(&file).map_err(Failure::usage)?;
            }
            draft.env = env_file.as_deref().map(env).transpose()?;
            (Request::AddBot { draft }, json)
        }
        Bot::Test(test) => return super::rehearse::run(settings, &test),
        Bot::List(json) => (Request::Bots, json),
        Bot::Show(Named { name, json }) => (Request::Bot { name }, json),
        Bot::Set(set) => {
            let patch = office::patch(&set)?;
            (Request::ChangeBot { name: set.name, patch }, set.json)
        }
        Bot::Publish(Publish { bot, channels, comment, json }) => {
            (Request::Publish { bot, draft: PublishDraft { channels, comment } }, json)
        }
        Bot::Parent { name, parent, json } => (Request::Parent { name, of: parent }, json),
        Bot::Export { schema: true, .. } => return output::json(&schema()),
        Bot::Export { name, .. } => {
            (Request::Export { name: name.unwrap_or_default() }, Json { json: true })
        }
        Bot::Import { file, name, json } => {
            (Request::Import { document: office::document(&file)?, name }, json)
        }
        Bot::Remove(Named { name, json }) => (Request::RemoveBot { name }, json),
    };
    ask(settings, request, json)
}

pub(crate) fn channel(settings: &Settings, command: Channel) -> Result<(), Failure> {
    let (request, json) = match command {
        Channel::Add(add) => {
            let AddChannel { mut draft, access_token_file, overrides_file, json } = *add;
            draft.overrides = overrides_file.as_deref().map(overrides).transpose()?;
            draft.access_token = access_token_file.as_deref().map(secret).transpose()?;
            (Request::AddChannel { draft }, json)
        }
        Channel::List { bot, json } => (Request::Channels { bot }, json),
        Channel::Show(Named { name, json }) => (Request::Channel { name }, json),
        Channel::Approve(Named { name, json }) => (Request::Approve { name }, json),
        Channel::Suspend(Named { name, json }) => (Request::Suspend { name }, json),
        Channel::Set(set) => {
            let patch = office::patch(&set)?;
            (Request::ChangeChannel { name: set.name, patch }, set.json)
        }
        Channel::RotateSigning(Named { name, json }) => (Request::RotateSigning { name }, json),
        Channel::Remove(Named { name, json }) => (Request::RemoveChannel { name }, json),
    };
    ask(settings, request, json)
}

pub(crate) fn apply(settings: &Settings, args: &Apply) -> Result<(), Failure> {
    let file = files::read(&args.file)?;
    let request = Request::Apply { file, rehearse: args.dry_run };
    ask(settings, request, args.json)?;
    if args.dry_run && !args.json.json {
        output::line("nothing was done: this was a dry run")?;
    }
    Ok(())
}

pub(crate) fn vault(settings: &Settings, command: Vault) -> Result<(), Failure> {
    let Vault::Reseal(json) = command;
    ask(settings, Request::Reseal, json)
}

pub(crate) fn user(settings: &Settings, command: User) -> Result<(), Failure> {
    let User::Erase { whom, json } = command;
    ask(settings, Request::Erase { channel: whom.channel, user: whom.user }, json)
}

pub(crate) fn delivery(settings: &Settings, command: Delivery) -> Result<(), Failure> {
    let (request, json) = match command {
        Delivery::Redrive { whom, json } => {
            (Request::Redrive { channel: whom.channel, user: whom.user }, json)
        }
        Delivery::Resend { turn, message, json } => (Request::Resend { turn, message }, json),
        Delivery::Replay(replay) => (range(&replay)?, replay.json),
        Delivery::Replays(json) => (Request::Replays, json),
        Delivery::Progress(Named { name, json }) => (Request::ReplayProgress { id: name }, json),
        Delivery::Cancel(Named { name, json }) => (Request::CancelReplay { id: name }, json),
    };
    ask(settings, request, json)
}

fn range(replay: &Replay) -> Result<Request, Failure> {
    let moment = |word: &str, text: &str| {
        let wrong =
            || Failure::usage(format!("--{word} {text}: a moment like 2026-11-24T10:30, in UTC"));
        moment::parse(text).ok_or_else(wrong)
    };
    let (from_ms, to_ms) = (moment("from", &replay.from)?, moment("to", &replay.to)?);
    let (channel, state) = (replay.channel.clone(), replay.state.clone());
    let ask = ReplayAsk { channel, from_ms, to_ms, state };
    Ok(if replay.count { Request::Count { ask } } else { Request::Replay { ask } })
}

fn print_replays(replays: &[ReplayView]) -> Result<(), Failure> {
    let row = |replay: &ReplayView| {
        vec![
            replay.replay_id.clone(),
            replay.state.clone(),
            format!("{}/{}", replay.sent + replay.passed_over, replay.deliveries),
            replay.channel_id.clone(),
        ]
    };
    let rows: Vec<_> = replays.iter().map(row).collect();
    output::table(&["REPLAY", "STATE", "DONE", "WEBHOOK ID"], &rows)
}

pub(super) fn ask(settings: &Settings, request: Request, json: Json) -> Result<(), Failure> {
    let response = block_on(reach(settings, request))?;
    if json.json { print_json(response) } else { print_plain(response) }
}

fn print_json(response: Response) -> Result<(), Failure> {
    match response {
        Response::App(app) => output::json(&app),
        Response::Apps(apps) => output::json(&apps),
        Response::Bot(bot) => output::json(&bot),
        Response::Bots(bots) => output::json(&bots),
        Response::Channel(channel) => output::json(&channel),
        Response::Channels(channels) => output::json(&channels),
        Response::Applied(lines) => output::json(&lines),
        Response::Token(token) => output::json(&token),
        Response::Wire(wire) => output::json(&wire),
        Response::Resealed(view) => output::json(&view),
        Response::Rows(rows) => output::json(&serde_json::json!({ "rows": rows })),
        Response::Done => output::json(&serde_json::json!({ "done": true })),
        Response::Document(document) => output::json(&document),
        Response::Imported(imported) => output::json(&imported),
        Response::Placeholders(placeholders) => output::json(&placeholders),
        Response::Request(request) => output::json(&request),
        Response::Requests(requests) => output::json(&requests),
        Response::Operator(operator) => output::json(&operator),
        Response::Operators(operators) => output::json(&operators),
        Response::ApiToken(token) => output::json(&token),
        Response::ApiTokens(tokens) => output::json(&tokens),
        Response::Audit(entries) => output::json(&entries),
        Response::Replay(replay) => output::json(&replay),
        Response::Replays(replays) => output::json(&replays),
        Response::Refused(why) => Err(Failure::refused(why)),
    }
}

fn print_plain(response: Response) -> Result<(), Failure> {
    match response {
        Response::App(app) => print_app(&app),
        Response::Apps(apps) => {
            let row = |app: &AppView| {
                vec![app.client_id.clone(), app.algorithm.clone(), app.name.clone()]
            };
            output::table(
                &["CLIENT ID", "ALGORITHM", "NAME"],
                &apps.iter().map(row).collect::<Vec<_>>(),
            )
        }
        Response::Bot(bot) => output::json(&bot),
        Response::Bots(bots) => {
            let row = |bot: &BotView| vec![bot.bot_id.clone(), bot.logic.clone(), bot.name.clone()];
            output::table(&["BOT ID", "LOGIC", "NAME"], &bots.iter().map(row).collect::<Vec<_>>())
        }
        Response::Channel(channel) => print_channel(&channel),
        Response::Channels(channels) => print_channels(&channels),
        Response::Replay(replay) => print_replays(&[replay]),
        Response::Replays(replays) => print_replays(&replays),
        Response::Applied(lines) => lines.iter().try_for_each(print_line),
        Response::Resealed(ResealedView { secrets, resealed }) => output::line(&format!(
            "{resealed} of {secrets} secrets were encrypted anew; the others had the current key already"
        )),
        Response::Rows(rows) => output::line(&format!("{rows} rows")),
        Response::Done => output::line("done"),
        Response::Requests(requests) => {
            let row = |request: &RequestView| {
                let state = request.decision.as_ref();
                let state = state.map_or("open", |decision| decision.outcome.as_str()).to_owned();
                let bot = request.bot_id.clone();
                vec![request.request_id.clone(), state, bot, request.comment.clone()]
            };
            let rows: Vec<_> = requests.iter().map(row).collect();
            output::table(&["REQUEST", "STATE", "BOT ID", "COMMENT"], &rows)
        }
        Response::Placeholders(placeholders) => {
            let rows: Vec<_> = placeholders
                .iter()
                .map(|one| vec![one.placeholder_id.clone(), one.bot_id.clone(), one.name.clone()])
                .collect();
            output::table(&["PLACEHOLDER", "BOT ID", "NAME"], &rows)
        }
        // What has no plain form of its own is told as JSON.
        other => print_json(other),
    }
}

fn print_app(app: &AppView) -> Result<(), Failure> {
    output::line(&format!("app        {}", app.name))?;
    output::line(&format!("client id  {}", app.client_id))?;
    output::line(&format!("algorithm  {}", app.algorithm))?;
    match &app.client_secret {
        Some(secret) => output::line(&format!("secret     {secret}   (shown this once)")),
        None => Ok(()),
    }
}

fn print_channel(channel: &ChannelView) -> Result<(), Failure> {
    output::line(&format!("channel  {} ({})", channel.name, channel.webhook_id))?;
    output::line(&format!("mode     {}", channel.mode))?;
    output::line(&format!("state    {}", channel.state))?;
    output::line(&format!("url      {}", channel.url))?;
    let Some(endpoint) = &channel.endpoint else { return Ok(()) };
    output::line(&format!("answers  {}", endpoint.post_url))?;
    if endpoint.disabled {
        output::line("         disabled by the receiver (410); approve the channel to go on")?;
    }
    match &endpoint.signing_secret {
        Some(secret) => output::line(&format!("signing  {secret}   (shown this once)")),
        None => Ok(()),
    }
}

fn print_channels(channels: &[ChannelView]) -> Result<(), Failure> {
    let row = |channel: &ChannelView| {
        vec![
            channel.webhook_id.clone(),
            channel.mode.clone(),
            channel.state.clone(),
            channel.name.clone(),
            channel.url.clone(),
        ]
    };
    let rows: Vec<_> = channels.iter().map(row).collect();
    output::table(&["WEBHOOK ID", "MODE", "STATE", "NAME", "URL"], &rows)
}

pub(super) fn print_line(line: &Line) -> Result<(), Failure> {
    let Line { what, name, id, done, differences, secret } = line;
    let id = if id.is_empty() { String::new() } else { format!(" ({id})") };
    let secret = secret.as_ref().map_or(String::new(), |secret| format!("  secret {secret}"));
    output::line(&format!("{done:9}  {what} {name}{id}{secret}"))?;
    for one in differences {
        let (before, after) = (told(one.before.as_ref()), told(one.after.as_ref()));
        output::line(&format!("{:11}{}: {before} -> {after}", "", one.word))?;
    }
    Ok(())
}

/// A value in one line.
fn told(value: Option<&serde_json::Value>) -> String {
    const LONGEST: usize = 120;
    let Some(value) = value else { return "nothing".to_owned() };
    let lines = value.as_str().map_or(0, |text| text.lines().count());
    let text = value.to_string();
    if lines > 1 || text.len() > LONGEST {
        return format!("({} bytes in {} lines)", text.len(), lines.max(1));
    }
    text
}

/// What a model may call.
pub(super) fn tools(path: &Path) -> Result<Vec<ToolDraft>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{}: not a JSON list of tools: {error}", path.display()))
    })
}

/// What a channel says instead of its bot's messages.
fn overrides(path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{}: not a JSON object of messages: {error}", path.display()))
    })
}

/// What a script finds in `env`.
pub(super) fn env(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    serde_json::from_str(&secret(path)?)
        .map_err(|_| Failure::usage(format!("{}: not a JSON object of texts", path.display())))
}

/// A secret from a file, or from standard input for `-`, without the line's end.
pub(super) fn secret(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(SECRET_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(SECRET_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
