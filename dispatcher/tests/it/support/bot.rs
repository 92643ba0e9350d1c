//! Bot logic by closure, and a log of its runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatcher::bots::{Bot, BotError, TurnContext, TurnEnd};
use serde_json::{Map, Value, json};
use shared::wire::v1::BotMessage;

use super::until;

/// What a run does.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Appends the text to the list in the session, and says the list.
    Append,
    Say(Vec<BotMessage>),
    /// Puts this into the session and says "ok".
    Keep(Map<String, Value>),
    Fail,
    Panic,
    /// Never ends.
    Hang,
    /// Waits, then appends.
    Slow(Duration),
    /// Waits, then fails.
    FailLate(Duration),
    /// Stops one of the dispatcher's threads, then appends.
    Block(Duration),
}

type Script = dyn Fn(&str, usize) -> Do + Send + Sync;

/// Cheap to clone; all clones share the log.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<State>);

struct State {
    script: Box<Script>,
    runs: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: Mutex<Vec<usize>>,
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Scripted {
    /// Does what the script says of the message's text and the number of the run, counted from 0.
    pub(crate) fn new(script: impl Fn(&str, usize) -> Do + Send + Sync + 'static) -> Self {
        let (runs, most) = (Mutex::default(), Mutex::default());
        Self(Arc::new(State { script: Box::new(script), runs, now: AtomicUsize::new(0), most }))
    }

    pub(crate) fn always(what: Do) -> Self {
        Self::new(move |_, _| what.clone())
    }

    /// The texts of the runs that have begun.
    pub(crate) fn runs(&self) -> Vec<String> {
        self.0.runs.lock().unwrap().clone()
    }

    pub(crate) fn runs_of(&self, text: &str) -> usize {
        self.runs().iter().filter(|run| *run == text).count()
    }

    /// For each run, how many ran when it began, itself included.
    pub(crate) fn beside(&self) -> Vec<usize> {
        self.0.most.lock().unwrap().clone()
    }

    /// Waits until that many runs have begun.
    pub(crate) async fn began(&self, count: usize) {
        until(&format!("{count} runs"), || async { self.runs().len() >= count }).await;
    }
}

impl Bot for Scripted {
    #[expect(clippy::panic, reason = "some bots do")]
    async fn turn(&self, turn: &TurnContext) -> Result<TurnEnd, BotError> {
        let text = turn.turn.text.clone();
        let running = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(&self.0.now);
        let number = {
            let mut runs = self.0.runs.lock().unwrap();
            runs.push(text.clone());
            self.0.most.lock().unwrap().push(running);
            runs.len() - 1
        };
        match (self.0.script)(&text, number) {
            Do::Append => append(turn, &text)?,
            Do::Say(messages) => messages.into_iter().try_for_each(|message| turn.say(message))?,
            Do::Keep(bot_user) => {
                turn.set_session(bot_user)?;
                turn.say(BotMessage::Text("ok".to_owned()))?;
            }
            Do::Fail => return Err(BotError::Failed("as told".to_owned())),
            Do::Panic => panic!("as told"),
            Do::Hang => std::future::pending().await,
            Do::Slow(wait) => {
                testkit::lapse(wait, "the bot is slow").await;
                append(turn, &text)?;
            }
            Do::FailLate(wait) => {
                testkit::lapse(wait, "the bot fails late").await;
                return Err(BotError::Failed("as told".to_owned()));
            }
            Do::Block(wait) => {
                testkit::block(wait, "a stand-in for a process that is stopped");
                append(turn, &text)?;
            }
        }
        Ok(TurnEnd::default())
    }
}

fn append(turn: &TurnContext, text: &str) -> Result<(), BotError> {
    let mut bot_user = turn.session().bot_user;
    let list = bot_user.entry("list").or_insert_with(|| json!([]));
    list.as_array_mut().unwrap().push(json!(text));
    let said = list.to_string();
    turn.set_session(bot_user)?;
    turn.say(BotMessage::Text(said))
}
