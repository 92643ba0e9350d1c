//! Where bots are heard that reply by calls of their own: the tickets that this process gives out, who waits
//! for what comes with them, and how bots have been found to reply (`docs/adr/0028`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntCounterVec;
use shared::broker::{Broker, ReplyAddress};
use shared::clock::Clock;
use shared::domain::ids::{BotId, TurnId};
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::wire::activity::{Activity, Ticket};
use shared::wire::envelope::Keys;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bots::TurnContext;

/// How long a ticket outlives its turn's deadline: two clocks are compared.
const LEEWAY: Duration = Duration::from_mins(1);
/// Calls of one run that wait to be looked at.
const CALLS_MAX: usize = 256;
/// How long it counts how a bot was found to reply, and of how many bots.
const WAY_KEPT: Duration = Duration::from_mins(10);
const WAYS_MAX: usize = 1_024;

/// How a bot replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Response,
    Calls,
}

/// See the module's documentation. By default nobody is heard. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Callbacks {
    door: Option<Arc<Door>>,
    ways: Arc<Mutex<HashMap<BotId, (Way, Instant)>>>,
}

#[derive(Debug)]
struct Door {
    /// Where bots reach an ingress; without a slash at its end.
    url: String,
    keys: Keys,
    clock: Clock,
    address: watch::Receiver<Option<ReplyAddress>>,
    waiting: Arc<Waiting>,
    _open: DropGuard,
}

/// Bounded by the runs that there may be at once.
type Waiting = Mutex<HashMap<(TurnId, u64), mpsc::Sender<Activity>>>;

/// One run's place among those who wait, which it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// What the bot is told to call.
    pub(super) service_url: String,
    calls_rx: mpsc::Receiver<Activity>,
    key: (TurnId, u64),
    waiting: Arc<Waiting>,
}

impl Callbacks {
    /// Begins to hear, until the last clone is gone. `heard` counts calls by what became of them.
    pub(crate) fn start<B: Broker, S>(
        ground: &Ground<B, S>,
        url: String,
        heard: IntCounterVec,
    ) -> Self {
        let Some(activities) = ground.broker.activities() else { return Self::default() };
        let (waiting, open) = (Arc::<Waiting>::default(), CancellationToken::new());
        let keys = ground.keys.clone();
        let hearing = hear(activities, keys.clone(), Arc::clone(&waiting), open.clone(), heard);
        let _hearing = ground.lifecycle.spawn(hearing);
        let (clock, address) = (ground.clock.clone(), ground.broker.reply_address());
        let door = Door { url, keys, clock, address, waiting, _open: open.drop_guard() };
        Self { door: Some(Arc::new(door)), ways: Arc::default() }
    }

    /// A place for one run; `None` where bots cannot be heard, or not now.
    pub(super) fn wait(&self, turn: &TurnContext, entropy: &Entropy) -> Option<Place> {
        let door = self.door.as_ref()?;
        let ReplyAddress(to) = door.address.borrow().clone()?;
        let left = turn.deadline.saturating_duration_since(Instant::now()) + LEEWAY;
        let until = door.clock.unix_ms() + u64::try_from(left.as_millis()).unwrap_or(u64::MAX / 2);
        let key = (turn.turn.id, entropy.u64());
        let client = (!turn.is_shadow).then_some(&turn.turn.client);
        let ticket = Ticket::new(to, (key.0, client), key.1, until).seal(&door.keys);
        let (calls_tx, calls_rx) = mpsc::channel(CALLS_MAX);
        lock(&door.waiting).insert(key, calls_tx);
        let service_url = format!("{}/bot-framework/{ticket}/", door.url);
        Some(Place { service_url, calls_rx, key, waiting: Arc::clone(&door.waiting) })
    }

    /// How the bot was found to reply, lately.
    pub(super) fn way(&self, bot: &BotId) -> Option<Way> {
        let ways = lock(&self.ways);
        ways.get(bot).filter(|(_, since)| since.elapsed() < WAY_KEPT).map(|(way, _)| *way)
    }

    pub(super) fn found(&self, bot: &BotId, way: Way) {
        let mut ways = lock(&self.ways);
        if ways.len() >= WAYS_MAX {
            ways.retain(|_, (_, since)| since.elapsed() < WAY_KEPT);
        }
        if ways.len() < WAYS_MAX || ways.contains_key(bot) {
            ways.insert(bot.clone(), (way, Instant::now()));
        }
    }

    pub(super) fn forget(&self, bot: &BotId) {
        lock(&self.ways).remove(bot);
    }
}

impl Place {
    /// The bot's next call, when it comes. Cancel safe.
    pub(super) async fn next(&mut self) -> Activity {
        match self.calls_rx.recv().await {
            Some(activity) => activity,
            // The set only lets go of the sender when this is dropped.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.key);
    }
}

/// Hands every call to the run that waits for it.
async fn hear(
    mut activities: mpsc::Receiver<Bytes>,
    keys: Keys,
    waiting: Arc<Waiting>,
    open: CancellationToken,
    heard: IntCounterVec,
) {
    loop {
        let body = tokio::select! {
            biased;
            () = open.cancelled() => return,
            body = activities.recv() => body,
        };
        let Some(body) = body else { return };
        let result = match Activity::open(&keys, &body) {
            Ok(activity) => hand(&waiting, activity),
            Err(error) => {
                tracing::warn!(%error, "a bot's call cannot be read");
                "dropped"
            }
        };
        heard.with_label_values(&[result]).inc();
    }
}

fn hand(waiting: &Waiting, activity: Activity) -> &'static str {
    let run = lock(waiting).get(&(activity.turn, activity.run)).cloned();
    match run.map(|run| run.try_send(activity)) {
        Some(Ok(())) => "taken",
        Some(Err(mpsc::error::TrySendError::Full(_))) => "dropped",
        Some(Err(mpsc::error::TrySendError::Closed(_))) | None => "late",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn how_a_bot_replies_is_kept_for_a_while_and_of_a_bounded_number_of_bots() {
        let callbacks = Callbacks::default();
        let bot = |n: usize| BotId::from(format!("st-{n}"));
        for n in 0..WAYS_MAX + 5 {
            callbacks.found(&bot(n), Way::Calls);
        }
        assert_eq!(callbacks.way(&bot(0)), Some(Way::Calls));
        assert_eq!(callbacks.way(&bot(WAYS_MAX)), None);
        callbacks.found(&bot(0), Way::Response);
        assert_eq!(callbacks.way(&bot(0)), Some(Way::Response));
        callbacks.forget(&bot(1));
        assert_eq!(callbacks.way(&bot(1)), None);
        tokio::time::advance(WAY_KEPT).await;
        assert_eq!(callbacks.way(&bot(0)), None);
        callbacks.found(&bot(WAYS_MAX), Way::Calls);
        assert_eq!(callbacks.way(&bot(WAYS_MAX)), Some(Way::Calls));
    }

    #[test]
    fn a_call_is_taken_by_its_own_run_only() {
        let waiting = Waiting::default();
        let turn = TurnId::new(uuid::Uuid::from_u128(5));
        let (calls_tx, mut calls_rx) = mpsc::channel(1);
        lock(&waiting).insert((turn, 7), calls_tx);
        let call = |run| Activity {
            turn,
            run,
            id: uuid::Uuid::from_u128(1),
            change: shared::wire::activity::Change::Deleted,
        };
        assert_eq!(hand(&waiting, call(8)), "late");
        assert_eq!(hand(&waiting, call(7)), "taken");
        assert_eq!(hand(&waiting, call(7)), "dropped");
        assert_eq!(calls_rx.try_recv().unwrap().run, 7);
        drop(calls_rx);
        assert_eq!(hand(&waiting, call(7)), "late");
    }
}
