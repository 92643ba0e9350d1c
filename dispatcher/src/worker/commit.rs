//! The one commit of a turn, until it is known what became of it.

use std::time::Duration;

use shared::broker::Broker;
use shared::domain::outcome::Outcome;
use shared::lanes::Run;
use shared::registry::RegistryStore;
use shared::store::{
    CommitError, Committed, Conversation, Session, SettledTurn, TurnCommit, TurnRecord, Turns,
};
use shared::tracer::Kind;

use super::find::Found;
use super::run::Done;
use super::{Halt, Work};
use crate::bots::Bot;
use crate::domain::session;
use crate::domain::step::{self, Instead, Ran, SecondLook, Step};
use crate::room::Room;

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    Committed(Committed, Box<Done>),
    /// The state that the run was based on is no more; this is the present one.
    Moved(Conversation),
    /// The inbox has it.
    Settled(SettledTurn),
    /// The database refuses everything that could be said of this turn.
    Refused(String),
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// Commits what was done, without another run for as long as its state stands. `misses` counts the
    /// runs whose state has moved before.
    pub(super) async fn commit(
        &self,
        work: &Work,
        based_on: &Conversation,
        mut done: Done,
        misses: u32,
        run: &Run<Work>,
    ) -> Result<End, Halt> {
        let mut failures = 0;
        loop {
            let commit = commit_of(work, based_on, &done);
            // Not left when a hand-over begins: the result is there, and the lane bounds the wait.
            let began = tokio::time::Instant::now();
            let (_, mut span) =
                self.tracer.child("commit", Kind::Client, work.trace, &self.entropy);
            let result = self.store.commit(commit).await;
            self.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
            span.text("switchhook.result", self.count(&result));
            drop(span);
            self.load.store_is(matches!(result, Err(CommitError::Unknown(_))));
            let error = match result {
                Ok(committed) => return Ok(End::Committed(committed, Box::new(done))),
                Err(CommitError::Refused(why)) => {
                    tracing::error!(
                        outcome = %done.step.outcome,
                        reason = %why,
                        "the database refuses a turn's result"
                    );
                    match instead(work, based_on, &mut done, &why) {
                        Some(step) => done.step = step,
                        None => return Ok(End::Refused(why)),
                    }
                    continue;
                }
                Err(error @ (CommitError::Missed | CommitError::Unknown(_))) => error,
            };
            failures += 1;
            if matches!(error, CommitError::Unknown(_)) || failures > 1 {
                tracing::warn!(%error, failures, "a turn is not known to be committed; looking again");
                self.wait(failures, run).await?;
            }
            let now = match self.look(work, run).await? {
                Found::Open(now) => now,
                Found::Settled(settled) => return Ok(End::Settled(settled)),
                Found::Refused(why) => return Ok(End::Refused(why)),
            };
            match step::second_look(based_on.version, now.version, misses) {
                SecondLook::CommitAgain => {}
                SecondLook::RunAgain => return Ok(End::Moved(now)),
                SecondLook::Close => {
                    return Err(Halt("somebody else works on the same conversation".to_owned()));
                }
            }
        }
    }

    fn count(&self, result: &Result<Committed, CommitError>) -> &'static str {
        let result = match result {
            Ok(_) => "committed",
            Err(CommitError::Missed) => "missed",
            Err(CommitError::Unknown(_)) => "unknown",
            Err(CommitError::Refused(_)) => "refused",
        };
        self.metrics.commits.with_label_values(&[result]).inc();
        result
    }
}

fn commit_of(work: &Work, based_on: &Conversation, done: &Done) -> TurnCommit {
    let (turn, step) = (&work.turn, &done.step);
    TurnCommit {
        conversation: work.key.clone(),
        version: based_on.version,
        session: Session { state: step.state.clone() },
        record: TurnRecord {
            turn: turn.id,
            client: turn.client.clone(),
            channel: turn.channel.clone(),
            outcome: step.outcome,
            detail: step.detail.clone(),
            reply: step.reply.clone(),
            parked: step.parked.clone(),
            queued_ms: ms(done.queued),
            bot_ms: ms(done.took),
        },
        deliveries: step.deliveries.clone(),
        wider: step.wider.clone(),
    }
}

/// What is committed instead of what was refused; `None` when nothing is left to try.
fn instead(work: &Work, based_on: &Conversation, done: &mut Done, why: &str) -> Option<Step> {
    let reader = Done::reader(work, done.channel.as_deref());
    match step::instead_of(done.step.outcome) {
        Instead::ErrorReply => {
            let ran = Ran::Badly { outcome: Outcome::ResultRefused, detail: why.to_owned() };
            Some(step::after(ran, &done.opened, &done.error_message, reader))
        }
        Instead::Park => {
            let state = session::without_texts(&based_on.session.state);
            Some(step::park(why.to_owned(), state, work.sealed.clone(), reader))
        }
        Instead::Stray => None,
    }
}

pub(super) fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
