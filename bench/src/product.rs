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

/// A running product; ends when dropped.
pub(crate) struct Product {
    system: System,
    bot: String,
}

impl Product {
    pub(crate) async fn start(
        engine: &Engine,
        mode: Mode,
        sink: &Sink,
        set: &[(String, String)],
    ) -> anyhow::Result<Self> {
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
        // Names of this measurement's own: an earlier one's jobs are not consumed, its bots not changed.
        let own = format!("bench-{}", sink.port);
        let bot = format!("st-00000000-0000-5000-8000-{:012x}", sink.port);
        let mut settings = vec![
            ("egress.allow", "127.0.0.0/8"),
            ("engines.prefix", own.as_str()),
            ("log.level", "warn"),
        ];
        settings.extend(set.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let registry = registry(&own, &bot, mode, sink);
        let binary = std::env::current_exe()?;
        let system = System::start(&binary, shape, &registry, &settings).await?;
        Ok(Self { system, bot })
    }

    pub(crate) fn watched(&self) -> Vec<Watched> {
        let processes = self.system.processes().iter();
        processes.filter_map(|process| Some((process.room().to_owned(), process.pid()?))).collect()
    }

    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let host = self.system.hosts().into_iter().next().unwrap_or_default();
        Ok(Target {
            authority: host.trim_start_matches("http://").to_owned(),
            path: format!("/chatbot/hooks/{}", self.bot),
            token: payload::token()?,
        })
    }
}

/// One app, one echo bot, one channel.
fn registry(own: &str, bot: &str, mode: Mode, sink: &Sink) -> String {
    let mut file = format!(
        "[[apps]]\nname = \"bench\"\nid = \"{}\"\nsecret = \"{}\"\n\n\
         [[bots]]\nname = \"{own}\"\nid = \"{bot}\"\npermits = 512\n\n\
         [[channels]]\nname = \"{own}\"\nbot = \"{own}\"\napp = \"bench\"\napprove = true\n\
         rate = 100000\nburst = 100000\n",
        payload::CLIENT_ID,
        payload::SECRET,
    );
    if mode == Mode::Async {
        // Writing to a String cannot fail.
        let _ = writeln!(file, "post_url = \"{}\"\npost_permits = 256", sink.url());
    }
    file
}
