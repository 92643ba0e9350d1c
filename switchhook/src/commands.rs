//! Each command, from what was typed to what is printed.

mod doctor;
mod office;
mod partitions;
mod registry;
mod rehearse;
mod send;
mod settings;
mod talk;
mod top;
mod up;
mod watch;

use clap::CommandFactory as _;
use shared::config::{self, Settings};
use shared::engines;
use shared::keys::WhenMissing;
use shared::process::{self, Failure};

use crate::cli::{Cli, Command, Engines, Room};
use crate::output;

pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let engines = &cli.engines;
    match cli.command {
        Command::Up(args) => up::run(engines, &args),
        Command::Ingress(args) => room(engines, &args, "ingress"),
        Command::Dispatcher(args) => room(engines, &args, "dispatcher"),
        Command::Deliverer(args) => room(engines, &args, "deliverer"),
        Command::Console(args) => room(engines, &args, "console"),
        Command::Migrate => migrate(&load(engines, &[])?),
        Command::App(command) => registry::app(&load(engines, &[])?, command),
        Command::Bot(command) => registry::bot(&load(engines, &[])?, command),
        Command::Channel(command) => registry::channel(&load(engines, &[])?, command),
        Command::Request(command) => office::request(&load(engines, &[])?, command),
        Command::Placeholder(command) => office::placeholder(&load(engines, &[])?, command),
        Command::Operator(command) => office::operator(&load(engines, &[])?, command),
        Command::ApiToken(command) => office::api_token(&load(engines, &[])?, command),
        Command::Audit(args) => office::audit(&load(engines, &[])?, args),
        Command::Apply(args) => registry::apply(&load(engines, &[])?, &args),
        Command::Vault(command) => registry::vault(&load(engines, &[])?, command),
        Command::User(command) => registry::user(&load(engines, &[])?, command),
        Command::Delivery(command) => registry::delivery(&load(engines, &[])?, command),
        Command::Token(args) => talk::token(&load(engines, &[])?, &args),
        Command::Send(args) => send::run(&load(engines, &[])?, &args),
        Command::Doctor(args) => doctor::run(engines, &args),
        Command::Healthcheck(args) => watch::healthcheck(&load(engines, &[])?, &args),
        Command::Top(args) => top::run(&load(engines, &[])?, &args),
        Command::Partitions(args) => partitions::run(&load(engines, &[])?, &args),
        Command::LogLevel(args) => watch::log_level(&load(engines, &[])?, &args),
        Command::Bench(args) => process::block_on(async { Ok(bench::run(args).await?) }),
        Command::Settings(args) => settings::run(&args),
        Command::ScriptHost { .. } => Err(Failure::usage("a script host runs nothing else")),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "switchhook", &mut text);
            output::line(String::from_utf8_lossy(&text).trim_end())
        }
    }
}

/// The settings, with what was typed on top.
fn load(engines: &Engines, flags: &[(&'static str, String)]) -> Result<Settings, Failure> {
    Ok(config::load(engines.config.as_deref(), &all_flags(engines, flags))?)
}

fn all_flags(engines: &Engines, also: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let data = engines.data.as_ref().map(|path| path.to_string_lossy().into_owned());
    let given = [
        ("engines.data", data),
        ("engines.amqp", engines.amqp.clone()),
        ("engines.postgres", engines.postgres.clone()),
    ];
    let given = given.into_iter().filter_map(|(key, value)| Some((key, value?)));
    given.chain(also.iter().cloned()).collect()
}

/// `--listen` and `--admin-listen` as settings.
fn listen_flags(listen: Option<&String>, admin: Option<&String>) -> Vec<(&'static str, String)> {
    let given = [("ingress.listen", listen), ("admin.listen", admin)];
    given.into_iter().filter_map(|(key, value)| Some((key, value?.clone()))).collect()
}

fn room(engines: &Engines, args: &Room, name: &'static str) -> Result<(), Failure> {
    let mut flags = listen_flags(args.listen.as_ref(), args.admin_listen.as_ref());
    if name == "console" {
        flags.iter_mut().filter(|(key, _)| *key == "ingress.listen").for_each(|flag| {
            flag.0 = "console.listen";
        });
    }
    let flags = all_flags(engines, &flags);
    let file = engines.config.as_deref();
    match name {
        "ingress" => process::run_room(name, file, &flags, ingress::Alone::bind),
        "console" => process::run_room(name, file, &flags, console::Alone::bind),
        "dispatcher" => process::run_room(name, file, &flags, |_| Ok(dispatcher::Alone)),
        _ => process::run_room(name, file, &flags, |_| Ok(deliverer::Alone)),
    }
}

fn migrate(settings: &Settings) -> Result<(), Failure> {
    let embedded = settings.engines.postgres.is_none();
    let keys = if embedded { WhenMissing::Make } else { WhenMissing::Refuse };
    process::block_on(async {
        let schema = engines::migrate(settings, keys).await?;
        let up_to_date = || "the schema is up to date".to_owned();
        output::line(&schema.map_or_else(up_to_date, |schema| schema.to_string()))
    })
}
