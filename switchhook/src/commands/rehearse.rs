//! `bot test`: conversations of files, held with a bot that is not in any registry.

use std::path::Path;

use dispatcher::rehearsal::{self, Rehearsal};
use serde_json::json;
use shared::config::Settings;
use shared::entropy::Entropy;
use shared::process::{Failure, block_on};

use super::registry::{env, secret, tools};
use crate::cli::registry::TestBot;
use crate::office::drafts::BotDraft;
use crate::office::validate;
use crate::output;

pub(super) fn run(settings: &Settings, test: &TestBot) -> Result<(), Failure> {
    let draft = json!({"name": "test", "http": test.http});
    let mut draft: BotDraft =
        serde_json::from_value(draft).map_err(|error| Failure::other(error.to_string()))?;
    if let Some(file) = &test.script {
        draft.read_script(file).map_err(Failure::usage)?;
    }
    draft.connector.clone_from(&test.connector);
    if let (Some(connector), Some(file)) = (&mut draft.connector, &test.tools_file) {
        connector.tools = Some(tools(file)?);
    }
    draft.env = test.env_file.as_deref().map(env).transpose()?;
    draft.authorization = test.authorization_file.as_deref().map(secret).transpose()?;
    let bot = validate::bot(&draft, &Entropy::Real).map_err(Failure::refused)?;
    let conversations = test.conversations.iter().map(|path| Ok((path, read(path)?)));
    let conversations = conversations.collect::<Result<Vec<_>, Failure>>()?;
    block_on(async {
        let mut rehearsal =
            Rehearsal::new(bot, settings).map_err(|error| Failure::other(error.to_string()))?;
        let mut failed = 0;
        for (path, lines) in &conversations {
            match rehearsal.hold(lines).await {
                Ok(()) => output::line(&format!("ok      {}", path.display()))?,
                Err(difference) => {
                    failed += 1;
                    output::line(&format!("FAILED  {}", path.display()))?;
                    output::line(difference.to_string().trim_end())?;
                }
            }
        }
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::refused(format!("{failed} of {} conversations failed", conversations.len())))
    })
}

fn read(path: &Path) -> Result<Vec<rehearsal::Line>, Failure> {
    let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    rehearsal::read(&text).map_err(|mistake| wrong(mistake.to_string()))
}
