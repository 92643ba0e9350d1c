//! The product under measurement: one process a room, or one process for all with the embedded
//! engines, started from this same binary.

use std::fmt::Write as _;

use testkit::system::{Shape, System};

use crate::args::{Engines, Mode};
use crate::client::Target;
use crate::compare::Engine;
use crate::meter::Watched;
use crate::payload;
use crate::sink::Sink;

const BOT_ID: &str = "st-00000000-0000-5000-8000-00000000be4c";

/// A running product; ends when dropped.
pub(crate) struct Product {
    system: System,
}

impl Product {
    pub(crate) async fn start(engine: &Engine, mode: Mode, sink: &Sink) -> anyhow::Result<Self> {
        let shape = match engine.kind {
            Engines::Embedded => Shape::Whole,
            Engines::Rabbitmq => Shape::Rooms {
                amqp: engine.amqp.clone(),
                postgres: engine.postgres.clone(),
                ingresses: 1,
                dispatchers: 1,
                deliverers: usize::from(mode == Mode::Async),
            },
        };
        // Names of a run's own on the broker: what an earlier measurement left there is not consumed.
        let prefix = format!("bench-{}", sink.port);
        let settings = [
            ("egress.allow", "127.0.0.0/8"),
            ("engines.prefix", prefix.as_str()),
            ("log.level", "warn"),
        ];
        let binary = std::env::current_exe()?;
        let registry = registry(mode, sink);
        Ok(Self { system: System::start(&binary, shape, &registry, &settings).await? })
    }

    pub(crate) fn watched(&self) -> Vec<Watched> {
        let processes = self.system.processes().iter();
        processes.filter_map(|process| Some((process.room().to_owned(), process.pid()?))).collect()
    }

    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let host = self.system.hosts().into_iter().next().unwrap_or_default();
        Ok(Target {
            authority: host.trim_start_matches("http://").to_owned(),
            path: format!("/chatbot/hooks/{BOT_ID}"),
            token: payload::token()?,
        })
    }
}

/// One app, one echo bot, one channel.
fn registry(mode: Mode, sink: &Sink) -> String {
    let mut file = format!(
        "[[apps]]\nname = \"bench\"\nid = \"{}\"\nsecret = \"{}\"\n\n\
         [[bots]]\nname = \"bench\"\nid = \"{BOT_ID}\"\npermits = 512\n\n\
         [[channels]]\nname = \"bench\"\nbot = \"bench\"\napp = \"bench\"\napprove = true\n\
         rate = 100000\nburst = 100000\npost_permits = 256\n",
        payload::CLIENT_ID,
        payload::SECRET,
    );
    if mode == Mode::Async {
        // Writing to a String cannot fail.
        let _ = writeln!(file, "post_url = \"{}\"", sink.url());
    }
    file
}
