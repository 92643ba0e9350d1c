//! What an ingress does with what users say, without HTTP: a turn is published, and only a confirm is a
//! yes. One user says the next thing when the last is answered, accepted or refused; a hasty one does not wait
//! for answers.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use shared::broker::{Broker as _, PublishError, ReplyAddress};
use shared::clock::Clock;
use shared::domain::ids::TurnId;
use shared::domain::turn::{Mode, Turn};
use shared::entropy::Entropy;
use shared::topology::Queue;
use shared::wire::envelope::Keys;
use shared::wire::jobs::{Replies, TurnJob};
use tokio::time::Instant;

use crate::broker::SimBroker;
use crate::check::{Send, Sent};
use crate::run::{BOT, CLIENT, channel};
use crate::world::World;

/// How long a synchronous caller waits.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// One user.
pub(crate) struct User {
    pub(crate) world: World,
    pub(crate) broker: SimBroker,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) number: u64,
    pub(crate) mode: Mode,
    pub(crate) turns: u64,
    /// Waits for no answer before the next message, and thinks for a moment only.
    pub(crate) hasty: bool,
}

impl User {
    pub(crate) async fn talk(self) {
        let mut jobs = Vec::new();
        for number in 1..=self.turns {
            let think = self.world.draw(|chance| match chance.between(0, 3) {
                0 => Duration::ZERO,
                1..3 => chance.ms(0, 400),
                _ if self.hasty => chance.ms(0, 1_500),
                _ => chance.ms(400, 6_000),
            });
            tokio::time::sleep(think).await;
            jobs.extend(self.say(number).await);
            // As a client does that has not seen the answer to its request.
            if self.hasty && self.world.draw(|chance| chance.permille(150)) {
                self.repeat(&jobs).await;
            }
        }
    }

    /// Says it, and returns the job when it was accepted.
    async fn say(&self, number: u64) -> Option<(TurnId, Bytes)> {
        let turn = self.turn(number);
        let (id, key) = (turn.id, turn.conversation());
        let address = self.broker.reply_address().borrow().clone();
        let reply_to = address.filter(|_| self.mode == Mode::Sync).map(|ReplyAddress(to)| to);
        let job = TurnJob { turn, reply_to, traceparent: None }.seal(&self.keys).ok()?;
        let partition = self.broker.topology().partition(&key);
        let at = Instant::now();
        let sent = match self.broker.publish(Queue::Turns, partition, id, job.clone()).await {
            Ok(()) => Sent::Accepted,
            Err(PublishError::Unknown) => Sent::Unknown,
            Err(PublishError::Full | PublishError::Unavailable(_)) => Sent::Refused,
        };
        let (conversation, mode) = (key.id(), self.mode);
        let said = Send { conversation, number, turn: id, mode, sent, at };
        self.world.lock().history.sends.push(said);
        if sent == Sent::Accepted && self.mode == Mode::Sync && !self.hasty {
            // Whoever waits too long is told to poll; the answer is in the store.
            let _ = tokio::time::timeout(ANSWER_MAX, self.answered(id)).await;
        }
        (sent == Sent::Accepted).then_some((id, job))
    }

    /// Publishes once more what was accepted before.
    async fn repeat(&self, jobs: &[(TurnId, Bytes)]) {
        let at = self.world.draw(|chance| chance.index(jobs.len()));
        let Some((id, job)) = jobs.get(at) else { return };
        let partition = self.broker.topology().partition(&self.turn(0).conversation());
        let _ = self.broker.publish(Queue::Turns, partition, *id, job.clone()).await;
    }

    async fn answered(&self, turn: TurnId) {
        loop {
            let change = self.world.change();
            if self.world.lock().history.replies.iter().any(|(of, _)| *of == turn) {
                return;
            }
            change.await;
        }
    }

    fn turn(&self, number: u64) -> Turn {
        let user = format!("user-{}", self.number);
        let payload = json!({"message": {"text": number.to_string()}, "from": {"id": user}});
        Turn {
            id: TurnId::new(self.entropy.uuid_v7(self.clock.unix_ms())),
            client: CLIENT.into(),
            channel: channel(self.mode),
            bot: BOT.into(),
            user: user.into(),
            mode: self.mode,
            new_session: false,
            text: number.to_string(),
            payload: payload.to_string(),
        }
    }
}

/// Takes the replies of an ingress.
pub(crate) async fn listen(world: World, broker: SimBroker, keys: Keys) {
    let Some(mut replies) = broker.replies() else { return };
    while let Some(sealed) = replies.recv().await {
        let Ok(opened) = Replies::open(&keys, &sealed) else { continue };
        let answers = opened.0.into_iter().map(|reply| (reply.turn, reply.answer));
        world.lock().history.replies.extend(answers);
        world.changed();
    }
}
