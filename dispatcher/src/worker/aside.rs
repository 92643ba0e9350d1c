//! Turns that are settled without a run, because others of their conversation wait or run: what their channel
//! says of messages that come faster than answers (`docs/adr/0018`).
//!
//! Each is committed like any other turn, alone and in its place in the order. That a later one will run is
//! what the store says of one that waits in this lane; should somebody else have run it in between, the
//! conversation's version has moved and nothing is committed here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::broker::Broker;
use shared::domain::ids::TurnId;
use shared::domain::outcome::Outcome;
use shared::lanes::Run;
use shared::registry::{self, Channel, RegistryStore, WhileBusy};
use shared::store::{Conversation, StoreError, Turns};
use tokio::time::Instant;

use super::run::{self, Done};
use super::{Halt, Memory, Work};
use crate::bots::Bot;
use crate::domain::merge;
use crate::domain::session::{self, Session};
use crate::domain::step::{self, Step};
use crate::room::Room;

/// Another turn that waits behind the one at hand.
#[derive(Clone, Copy, Debug)]
struct Follower {
    turn: TurnId,
    new_session: bool,
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// What is committed of a turn that is not to run; `None` for one that is.
    pub(super) async fn aside(
        &self,
        memory: &mut Memory,
        work: &Work,
        conversation: &Conversation,
        run: &Run<Work>,
    ) -> Result<Option<Done>, Halt> {
        // Without its channel a turn is given up, elsewhere.
        let Some(channel) = self.channel(work) else { return Ok(None) };
        match channel.while_busy {
            WhileBusy::Queue => Ok(None),
            WhileBusy::Reject => {
                let busy = memory.busy_until.is_some_and(|until| work.arrived < until);
                // The message is not taken: it begins no session and leaves no trace in one.
                let state = || conversation.session.state.clone();
                Ok(busy.then(|| self.without_run(work, Outcome::Rejected, state())))
            }
            WhileBusy::Latest => {
                let Some(_) = self.follower(work, run).await? else { return Ok(None) };
                let Some(opened) = self.opened(work, conversation) else { return Ok(None) };
                let state = opened.to_bytes_unseen();
                Ok(Some(self.without_run(work, Outcome::Superseded, state)))
            }
            WhileBusy::Merge(window) => {
                let began = Instant::now();
                let merged = self.merge(work, conversation, window, run).await;
                memory.paused = began.elapsed();
                merged
            }
        }
    }

    /// Keeps the turn's text for the one that follows within the window, if one does.
    async fn merge(
        &self,
        work: &Work,
        conversation: &Conversation,
        window: Duration,
        run: &Run<Work>,
    ) -> Result<Option<Done>, Halt> {
        let Some(mut opened) = self.opened(work, conversation) else { return Ok(None) };
        let text = &work.turn.text;
        if !merge::is_plain(&work.turn.payload) || !merge::keep(&mut opened.merged, text) {
            return Ok(None);
        }
        let state = opened.to_bytes_unseen();
        if state.len() > self.limits.session_max {
            return Ok(None);
        }
        let until = work.arrived + window;
        loop {
            match self.follower(work, run).await? {
                // A new session begins without what was said before it.
                Some(follower) if follower.new_session => return Ok(None),
                Some(_) => {
                    return Ok(Some(self.without_run(work, Outcome::Merged, state)));
                }
                None if Instant::now() >= until => return Ok(None),
                None => {
                    let more = tokio::time::timeout_at(until, run.more(work.key.id()));
                    let _in_time = self.unless_closing(run, more).await?;
                }
            }
        }
    }

    /// The next other turn of the lane that is not settled yet. Which one came later is the queue's to say:
    /// the times inside two doors' ids are those of two clocks.
    async fn follower(&self, work: &Work, run: &Run<Work>) -> Result<Option<Follower>, Halt> {
        let mut waiting = Vec::new();
        run.behind(work.key.id(), &mut |next: &Work| {
            // This one once more is a repeat; so is one that is settled, which the store says.
            if next.turn.id != work.turn.id {
                let (turn, new_session) = (next.turn.id, next.turn.new_session);
                waiting.push(Follower { turn, new_session });
            }
        });
        for follower in waiting {
            if self.will_run(work, follower.turn, run).await? {
                return Ok(Some(follower));
            }
        }
        Ok(None)
    }

    /// Whether a turn of this conversation has no row yet, for as long as it takes to know.
    async fn will_run(&self, work: &Work, turn: TurnId, run: &Run<Work>) -> Result<bool, Halt> {
        let mut failures = 0;
        loop {
            match self.unless_closing(run, self.store.load(&work.key, turn)).await? {
                Ok((_, settled)) => return Ok(settled.is_none()),
                Err(StoreError::Refused(_)) => return Ok(false),
                Err(error @ StoreError::Away(_)) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "a turn that waits cannot be looked up yet");
                    self.wait(failures, run).await?;
                }
            }
        }
    }

    /// The session that the turn belongs to; `None` when its bot is not known.
    fn opened(&self, work: &Work, conversation: &Conversation) -> Option<Session> {
        let bot = self.registry.get().bots.get(&work.turn.bot).cloned()?;
        Some(run::open(work, conversation, &bot))
    }

    fn without_run(&self, work: &Work, outcome: Outcome, state: Bytes) -> Done {
        let channel = self.channel(work);
        let step = step::aside(outcome, state, Done::reader(work, channel.as_deref()));
        self.not_run(work, step, channel)
    }

    /// A turn that is given up.
    pub(super) fn parked(&self, work: &Work, conversation: &Conversation, why: &str) -> Done {
        tracing::error!(reason = why, "a turn is given up and parked");
        let channel = self.channel(work);
        let state = session::without_texts(&conversation.session.state);
        let reader = Done::reader(work, channel.as_deref());
        let step = step::park(why.to_owned(), state, work.sealed.clone(), reader);
        self.not_run(work, step, channel)
    }

    fn not_run(&self, work: &Work, step: Step, channel: Option<Arc<Channel>>) -> Done {
        Done {
            step,
            opened: Session {
                id: String::new(),
                is_new: true,
                bot_user: serde_json::Map::new(),
                dialog: None,
                merged: Vec::new(),
                closed: false,
            },
            error_message: registry::Bot::ERROR_MESSAGE.to_owned(),
            channel,
            took: Duration::ZERO,
            queued: self.queued(work),
            spent: None,
            shadowed: None,
        }
    }
}
