//! A stand-in for dispatchers: takes turns from every partition, keeps what it saw, commits an answer,
//! and replies, or not.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use shared::broker::{Acker as _, Broker as _, Consumer as _, ReplyAddress};
use shared::domain::ids::TurnId;
use shared::domain::outcome::Outcome;
use shared::domain::turn::{Mode, Turn};
use shared::store::{Session, TurnCommit, TurnRecord, Turns as _};
use shared::topology::Queue;
use shared::wire::jobs::{Replies, Reply, TurnJob};
use tokio::sync::watch;
use tokio::task::JoinSet;

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

/// Works until it is dropped.
pub(crate) struct Worker {
    desk: Desk,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Desk {
    seen: Arc<Mutex<Vec<TurnJob>>>,
    doing: watch::Sender<Doing>,
}

impl Worker {
    pub(crate) async fn start(ground: &TestGround, doing: Doing) -> Self {
        let desk = Desk { seen: Arc::default(), doing: watch::Sender::new(doing) };
        let mut tasks = JoinSet::new();
        for partition in ground.broker.topology().partitions() {
            let mut consumer = ground.broker.consume(Queue::Turns, partition).await.unwrap();
            let (desk, ground) = (desk.clone(), ground.clone());
            tasks.spawn(async move {
                let mut doing = desk.doing.subscribe();
                loop {
                    doing.wait_for(|doing| *doing != Doing::Nothing).await.unwrap();
                    let job = consumer.next().await.unwrap();
                    desk.work(&ground, &job.body).await;
                    consumer.acker().ack(job.tag).unwrap();
                }
            });
        }
        Self { desk, _tasks: tasks }
    }

    /// What it does from the next turn on.
    pub(crate) fn now(&self, doing: Doing) {
        self.desk.doing.send_replace(doing);
    }

    /// Works on a turn of this id as if it had been queued.
    pub(crate) async fn settle(&self, ground: &TestGround, id: TurnId) {
        let turn = Turn {
            id,
            client: "cs-1".into(),
            channel: "ivrInst-1".into(),
            bot: super::BOT.into(),
            user: "ann".into(),
            mode: Mode::Sync,
            new_session: false,
            text: "hello".to_owned(),
            payload: super::said("ann", "hello").to_string(),
        };
        let job = TurnJob { turn, reply_to: None, traceparent: None };
        self.desk.work(ground, &job.seal(&ground.keys).unwrap()).await;
    }

    /// The turns that it took, in its order.
    pub(crate) fn seen(&self) -> Vec<TurnJob> {
        self.desk.seen.lock().unwrap().clone()
    }
}

impl Desk {
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
                wider: Vec::new(),
            };
            ground.store.commit(commit).await.unwrap();
            reply
        };
        let reply_to = job.reply_to.filter(|_| *self.doing.borrow() == Doing::Answers);
        if let Some(address) = reply_to {
            let body = Replies(vec![Reply { turn: turn.id, answer: reply, spent: None }])
                .seal(&ground.keys)
                .unwrap();
            ground.broker.reply(&ReplyAddress(address), body).await;
        }
    }
}
