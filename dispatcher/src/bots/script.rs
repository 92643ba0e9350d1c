//! A bot that is a script (`docs/scripts.md`).
//!
//! Scripts run in jailed processes of their own; here is what they are given and what becomes of what they
//! come to. A script that waits is run again from its beginning, with its journal: for calls within the
//! turn, for the user's answer in the turn that brings it.

mod calls;
mod dialog;
mod wider;

use std::path::PathBuf;
use std::time::Duration;

use ::script::job::{Fault, FaultKind, Input, Job, Limits, Message, Output};
use ::script::pool::{Config, Error, Pool};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use shared::config;
use shared::domain::ids::BotId;
use shared::egress::Client;
use shared::lanes::permits::Permits;
use shared::registry::ScriptLogic;
use shared::wire::v1::{BotMessage, TaskEnd};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Bot, BotError, TurnContext, TurnEnd, user_context};
use crate::domain::overrides::message_of;
use crate::domain::{clean, template};
use dialog::Dialog;
pub(crate) use wider::scopes;

/// Messages, questions and calls that one dialog may have.
const STEPS_MAX: usize = 500;
/// Room for the JSON around messages and session.
const OUTPUT_ROOM: usize = 64 * 1024;
const OUTPUT_MAX: usize = 8 * 1024 * 1024;
/// The longest reason, id or name of a task, in bytes.
const WORD_MAX: usize = 1_000;

/// Where scripts run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scripts {
    pool: Pool,
    /// Shadows have a host of their own: one that is slow takes no place from a turn that waits.
    aside: Pool,
    /// A bot may not have all hosts: another's script gets one though this one's hang.
    shares: Permits<BotId>,
    share: u32,
    memory: usize,
    deadline: Duration,
}

impl Scripts {
    pub fn new(settings: &config::Script) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let hosts = match settings.hosts {
            0 => u32::try_from(cores).unwrap_or(1),
            hosts => hosts,
        };
        let program = settings.program.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let best_effort = settings.jail == "best-effort";
        let of = |hosts| Pool::new(Config { program: program.clone(), hosts, best_effort });
        Self {
            pool: of(usize::try_from(hosts).unwrap_or(usize::MAX)),
            aside: of(1),
            shares: Permits::new(hosts),
            share: (hosts / 2).max(1),
            memory: settings.memory_max.0,
            deadline: settings.deadline,
        }
    }

    /// Keeps hosts at the ready until `stop`; the first run asks for the first of them.
    pub fn keep(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let (pool, aside) = (self.pool.clone(), self.aside.clone());
        async move {
            tokio::join!(pool.keep(stop.clone()), aside.keep(stop));
        }
    }

    async fn run(&self, job: &Job, turn: &TurnContext) -> Result<Output, Error> {
        let deadline = turn.deadline;
        if turn.is_shadow {
            return self.aside.run(job, deadline).await;
        }
        let share = self.shares.acquire(&turn.bot.id, self.share);
        let Ok(_share) = tokio::time::timeout_at(deadline, share).await else {
            return Err(Error::NoHost("the bot's scripts are all at work".to_owned()));
        };
        self.pool.run(job, deadline).await
    }
}

/// The version of the script that an open dialog is to go on with, where that is not the bot's own.
pub fn began_with<'a>(logic: &ScriptLogic, dialog: Option<&'a Value>) -> Option<&'a str> {
    dialog
        .filter(|_| !logic.restart_dialogs)
        .and_then(|dialog| dialog::began_with(dialog, &logic.source))
}

/// One turn's use of a script.
#[derive(Debug)]
pub struct ScriptBot<'a> {
    pub logic: &'a ScriptLogic,
    pub scripts: &'a Scripts,
    pub egress: &'a Client,
}

impl Bot for ScriptBot<'_> {
    async fn turn(&self, turn: &TurnContext) -> Result<TurnEnd, BotError> {
        let mut dialog = Dialog::open(turn, &self.logic.source);
        let scopes = wider::scopes(&self.logic.source, &turn.turn);
        let mut job = self.job(turn, &dialog);
        job.input.wider = wider::input(&scopes, &turn.wider);
        loop {
            let output = match self.scripts.run(&job, turn).await {
                Ok(output) => output,
                Err(Error::NoHost(why)) => {
                    return Err(BotError::Failed(format!("there is no script host: {why}")));
                }
                Err(Error::Script(fault)) => return Err(self.blame(&fault)),
            };
            let output = check(output).map_err(|why| self.blame(&why))?;
            for said in output.says {
                turn.say(message(said))?;
            }
            job.input.journal.extend(output.journal);
            // A replay, in this turn or a later one, reads what was read now.
            *dialog::heard_last(&mut job.input.message, &mut job.input.journal) = output.seen;
            let calls = calls::of(output.open);
            if output.done || calls.is_empty() {
                let changes = wider::changes(&scopes, &turn.wider, output.changes);
                turn.change_wider(changes.map_err(|why| self.wrong(why))?);
                let kept = output.bot_user_session;
                dialog.began.seen.clone_from(&job.input.message.seen);
                let journal = std::mem::take(&mut job.input.journal);
                let open = !output.done;
                dialog = dialog.wait(journal, output.round);
                if output.closed {
                    turn.close_session();
                } else {
                    turn.set_state(kept, open.then(|| dialog.to_value()))?;
                }
                return Ok(TurnEnd { task: output.task.map(ended) });
            }
            let round = output.round + 1;
            let results = calls::make(self.egress, turn, calls).await;
            // What a call came to by then says that the turn's time was up; a script that were told would
            // throw, and a dialog end, whenever its host was quicker than the turn's own end.
            if Instant::now() >= turn.deadline {
                return Err(BotError::TimedOut);
            }
            for (step, result) in results {
                if let Some(step) = job.input.journal.get_mut(step) {
                    (step.round, step.result) = (Some(round), Some(result));
                }
            }
        }
    }
}

impl ScriptBot<'_> {
    fn job(&self, turn: &TurnContext, dialog: &Dialog) -> Job {
        let super::Limits { messages_max, message_max, session_max } = turn.limits;
        let output = message_max * messages_max + 3 * session_max + OUTPUT_ROOM;
        let env = self.logic.env.as_ref().map(|env| env.expose_secret().to_owned());
        let payload = &dialog.began.payload;
        Job {
            name: self.logic.name.clone(),
            source: self.logic.source.to_string(),
            input: Input {
                bot_user_session: dialog.bot_user.clone(),
                user_context: user_context(turn, payload),
                message: dialog.began.clone(),
                session_id: turn.session().id,
                channel: json!({"id": turn.channel.id.as_str(), "name": turn.channel.name, "type": "ivr"}),
                env: env.and_then(|env| serde_json::from_str(&env).ok()).unwrap_or_default(),
                journal: dialog.journal.clone(),
                wider: Map::new(),
            },
            limits: Limits {
                memory: self.scripts.memory,
                time_ms: u64::try_from(self.scripts.deadline.as_millis()).unwrap_or(u64::MAX),
                output: output.min(OUTPUT_MAX),
                messages: messages_max,
                steps: STEPS_MAX,
            },
        }
    }

    fn wrong(&self, message: String) -> BotError {
        self.blame(&Fault { kind: FaultKind::Output, message, line: None })
    }

    fn blame(&self, fault: &Fault) -> BotError {
        if fault.kind == FaultKind::Time {
            return BotError::Script {
                place: format!("{}: its time was up", self.logic.name),
                detail: fault.describe(&self.logic.name, &self.logic.source),
            };
        }
        let line = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
        BotError::Script {
            place: format!("{}{line}", self.logic.name),
            detail: fault.describe(&self.logic.name, &self.logic.source),
        }
    }
}

/// What came out of a host is not to be trusted: its engine may have been taken over.
fn check(output: Output) -> Result<Output, Fault> {
    let wrong = |message: &str| {
        Err(Fault { kind: FaultKind::Output, message: message.to_owned(), line: None })
    };
    if output.journal.len() > STEPS_MAX || output.open.len() > STEPS_MAX {
        return wrong("it has too many steps");
    }
    let shallow = output.says.iter().all(clean::is_shallow)
        && output.bot_user_session.values().all(clean::is_shallow)
        && output.seen.values().all(clean::is_shallow);
    if !shallow {
        return wrong("what it said or kept is nested too deep");
    }
    if let Some(why) = output.says.iter().find_map(|said| template::check(message_of(said)).err()) {
        return wrong(&why);
    }
    let words = output.task.iter().flat_map(|task| [&task.reason, &task.name, &task.id]);
    if words.flatten().any(|word| word.len() > WORD_MAX) {
        return wrong("what it says of the task's end is too long");
    }
    Ok(output)
}

fn message(said: Value) -> BotMessage {
    match said {
        Value::String(text) => BotMessage::Text(text),
        template => BotMessage::Template(template),
    }
}

fn ended(task: ::script::job::Task) -> TaskEnd {
    TaskEnd {
        end_of_task: true,
        end_reason: task.reason.map(clean::text),
        completed_task_id: task.id.map(clean::text),
        completed_task_name: task.name.map(clean::text),
    }
}

/// The turn as scripts meet it. Time and chance come from the turn's id, so that the turn run again, here or
/// elsewhere, finds the same.
fn heard(turn: &TurnContext) -> Message {
    Message {
        text: turn.turn.text.clone(),
        payload: serde_json::from_str(&turn.turn.payload).unwrap_or_default(),
        now: turn.turn.id.unix_ms(),
        seed: dialog::hash32(turn.turn.id.to_string().as_bytes()),
        seen: Map::new(),
    }
}
