//! A stand-in for dispatchers: takes turns from every partition, keeps what it saw, commits an answer,
//! and replies, or not.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use shared::broker::{Acker as _, Broker as _, Consumer as _, ReplyAddress};
use shared::domain::outcome::Outcome;
use shared::store::{Session, TurnCommit, TurnRecord, Turns as _};
use shared::topology::Queue;
use shared::wire::jobs::{Replies, TurnJob};
use tokio::sync::watch;

use super::TestGround;

/// What it does with a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Commits and replies.
    Answers,
    /// Commits, and the reply gets lost.
    CommitsOnly,
    /// Leaves it where it is.
    Nothing,
}

/// Works until its ground ends.
#[derive(Clone)]
pub(crate) struct Worker {
    seen: Arc<Mutex<Vec<TurnJob>>>,
    doing: watch::Sender<Doing>,
}

impl Worker {
    pub(crate) async fn start(ground: &TestGround, doing: Doing) -> Self {
        let worker = Self { seen: Arc::default(), doing: watch::Sender::new(doing) };
        for partition in ground.broker.topology().partitions() {
            let mut consumer = ground.broker.consume(Queue::Turns, partition).await.unwrap();
            let (worker, ground) = (worker.clone(), ground.clone());
            let stop = ground.lifecycle.stop();
            ground.clone().lifecycle.spawn(async move {
                let mut doing = worker.doing.subscribe();
                let working = async {
                    loop {
                        doing.wait_for(|doing| *doing != Doing::Nothing).await.unwrap();
                        let job = consumer.next().await.unwrap();
                        worker.work(&ground, &job.body).await;
                        consumer.acker().ack(job.tag).unwrap();
                    }
                };
                tokio::select! {
                    () = working => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        worker
    }

    /// What it does from the next turn on.
    pub(crate) fn now(&self, doing: Doing) {
        self.doing.send_replace(doing);
    }

    /// The turns that it took, in its order.
    pub(crate) fn seen(&self) -> Vec<TurnJob> {
        self.seen.lock().unwrap().clone()
    }

    async fn work(&self, ground: &TestGround, body: &Bytes) {
        let job = TurnJob::open(&ground.keys, body).unwrap();
        let turn = &job.turn;
        self.seen.lock().unwrap().push(job.clone());
        let (conversation, settled) =
            ground.store.load(&turn.conversation(), turn.id).await.unwrap();
        let reply = if let Some(settled) = settled {
            settled.reply
        } else {
            let reply = Bytes::from(format!(r#"{{"text":"you said {}"}}"#, turn.text));
            let record = TurnRecord {
                turn: turn.id,
                client: turn.client.clone(),
                channel: turn.channel.clone(),
                outcome: Outcome::Answered,
                detail: String::new(),
                reply: reply.clone(),
                parked: None,
                queued_ms: 0,
                bot_ms: 0,
            };
            let commit = TurnCommit {
                conversation: turn.conversation(),
                version: conversation.version,
                session: Session::default(),
                record,
                deliveries: Vec::new(),
            };
            ground.store.commit(commit).await.unwrap();
            reply
        };
        let reply_to = job.reply_to.filter(|_| *self.doing.borrow() == Doing::Answers);
        if let Some(address) = reply_to {
            let body = Replies(vec![(turn.id, reply)]).seal(&ground.keys).unwrap();
            ground.broker.reply(&ReplyAddress(address), body).await;
        }
    }
}
