//! Sends answers to the ingresses where callers wait. Those that are ready for one address at the
//! same moment travel together; nobody waits for company.

use shared::broker::{Broker, ReplyAddress};
use shared::wire::envelope::Keys;
use shared::wire::jobs::{Replies, Reply};
use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// Answers that wait to be sent; beyond it lanes wait.
const WAITING_MAX: usize = 1_024;
/// The most answers and bytes in one message.
const BATCH_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 1024 * 1024;

type Addressed = (ReplyAddress, Reply);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Replier {
    answers_tx: mpsc::Sender<Addressed>,
}

/// The task that sends.
pub(crate) struct Sender<B> {
    pub(crate) broker: B,
    pub(crate) keys: Keys,
    pub(crate) metrics: Metrics,
    answers_rx: mpsc::Receiver<Addressed>,
}

pub(crate) fn replier<B: Broker>(broker: B, keys: Keys, metrics: Metrics) -> (Replier, Sender<B>) {
    let (answers_tx, answers_rx) = mpsc::channel(WAITING_MAX);
    (Replier { answers_tx }, Sender { broker, keys, metrics, answers_rx })
}

impl Replier {
    /// Best effort: the stored answer is the truth.
    pub(crate) async fn send(&self, to: ReplyAddress, reply: Reply) {
        let turn = reply.turn;
        if self.answers_tx.send((to, reply)).await.is_err() {
            tracing::debug!(turn.id = %turn, "an answer came after the sending had ended");
        }
    }
}

impl<B: Broker> Sender<B> {
    /// Sends until every lane has ended, with whatever holds a [`Replier`], and nothing waits.
    pub(crate) async fn run(mut self) {
        let mut ready = Vec::with_capacity(BATCH_MAX);
        while self.answers_rx.recv_many(&mut ready, BATCH_MAX).await > 0 {
            while let Some((to, _)) = ready.first() {
                let to = to.clone();
                let batch = take_batch(&mut ready, &to);
                self.send(&to, batch).await;
            }
        }
    }

    async fn send(&self, to: &ReplyAddress, batch: Vec<Reply>) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match Replies(batch).seal(&self.keys) {
            Ok(sealed) => {
                self.broker.reply(to, sealed).await;
                self.metrics.replies.inc_by(count);
                self.metrics.reply_batches.inc();
            }
            Err(error) => tracing::error!(%error, "stored answers are no JSON and were not sent"),
        }
    }
}

/// Takes what is for one address, in order, up to the size of a batch.
fn take_batch(ready: &mut Vec<Addressed>, to: &ReplyAddress) -> Vec<Reply> {
    let mut bytes = 0;
    let fits = |(address, reply): &mut Addressed| {
        let more = bytes + reply.answer.len();
        let fits = address == to && (bytes == 0 || more <= BATCH_BYTES_MAX);
        if fits {
            bytes = more;
        }
        fits
    };
    ready.extract_if(.., fits).map(|(_, reply)| reply).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use shared::domain::ids::TurnId;

    use super::*;

    #[test]
    fn answers_for_one_address_travel_together_up_to_the_size_of_a_batch() {
        let answer = |to: &str, n: u128, bytes: usize| {
            let turn = TurnId::new(uuid::Uuid::from_u128(n));
            let answer = Bytes::from(vec![b'0'; bytes]);
            (ReplyAddress(to.to_owned()), Reply { turn, answer, spent: None })
        };
        let big = BATCH_BYTES_MAX - 10;
        let mut ready =
            vec![answer("a", 1, 5), answer("b", 2, 5), answer("a", 3, big), answer("a", 4, 8)];
        let turns = |batch: Vec<Reply>| -> Vec<_> {
            batch.into_iter().map(|reply| reply.turn.uuid().as_u128()).collect()
        };
        assert_eq!(turns(take_batch(&mut ready, &ReplyAddress("a".into()))), [1, 3]);
        assert_eq!(turns(take_batch(&mut ready, &ReplyAddress("b".into()))), [2]);
        assert_eq!(turns(take_batch(&mut ready, &ReplyAddress("a".into()))), [4]);
        assert!(ready.is_empty());
    }
}
