//! The tables of turns, as values.

use std::collections::BTreeMap;

use shared::domain::delivery::{Delivery, Place};
use shared::domain::ids::{ConversationId, ConversationKey, DeliveryId, TurnId};
use shared::store::{
    Committed, Conversation, Deaths, Session, SettledTurn, TurnCommit, TurnRecord,
};
use tokio::time::Instant;
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct ConversationRow {
    version: i64,
    next_delivery: i64,
    pub(crate) session: Session,
    used_at: Instant,
}

#[derive(Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) delivery: Delivery,
    pub(crate) hash: u64,
    pub(crate) state: Fate,
    pub(crate) head: bool,
    pub(crate) due: Instant,
    pub(crate) hinted_at: Option<Instant>,
    pub(crate) claimed_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Unsettled,
    Delivered,
    Parked,
}

#[derive(Debug, Default)]
pub(crate) struct Db {
    pub(crate) conversations: BTreeMap<ConversationId, ConversationRow>,
    pub(crate) turns: BTreeMap<TurnId, TurnRecord>,
    pub(crate) deliveries: BTreeMap<(ConversationId, i64), DeliveryRow>,
    pub(crate) marks: BTreeMap<(TurnId, Uuid), bool>,
    pub(crate) strays: Vec<String>,
    /// Turns whose effects were written, in the order of the commits: more than one of a turn only
    /// without a fence.
    pub(crate) effects: Vec<(TurnId, Instant)>,
}

impl Db {
    pub(super) fn load(
        &mut self,
        key: &ConversationKey,
        turn: TurnId,
        now: Instant,
    ) -> (Conversation, Option<SettledTurn>) {
        let id = key.id();
        let row = self.conversations.entry(id).or_insert_with(|| ConversationRow {
            version: 1,
            next_delivery: 1,
            session: Session::default(),
            used_at: now,
        });
        let (version, session) = (row.version, row.session.clone());
        let conversation = Conversation { id, version, session, idle: now - row.used_at };
        (conversation, self.settled(turn))
    }

    pub(crate) fn settled(&self, turn: TurnId) -> Option<SettledTurn> {
        let row = self.turns.get(&turn)?;
        Some(SettledTurn { outcome: row.outcome, reply: row.reply.clone() })
    }

    pub(super) fn commit(
        &mut self,
        commit: TurnCommit,
        now: Instant,
        fenced: bool,
    ) -> Option<Committed> {
        let (id, turn) = (commit.conversation.id(), commit.record.turn);
        let lowest = self.lowest_number(id);
        let row = self.conversations.get_mut(&id)?;
        if fenced && (row.version != commit.version || self.turns.contains_key(&turn)) {
            return None;
        }
        row.version += 1;
        row.session = commit.session;
        row.used_at = now;
        let first_delivery = row.next_delivery;
        let head = lowest.is_none() && !commit.deliveries.is_empty();
        for (number, body) in (first_delivery..).zip(commit.deliveries) {
            let index = u16::try_from(number - first_delivery).unwrap_or(u16::MAX);
            let delivery = Delivery {
                place: Place { conversation: id, number },
                id: DeliveryId { turn, index },
                channel: commit.record.channel.clone(),
                body,
                attempt: 0,
                failures: 0,
                deferrals: 0,
                redriven: false,
            };
            let row = DeliveryRow {
                delivery,
                hash: commit.conversation.hash(),
                state: Fate::Unsettled,
                head: head && number == first_delivery,
                due: now,
                hinted_at: Some(now),
                claimed_until: None,
            };
            self.deliveries.insert((id, number), row);
            self.conversations.get_mut(&id)?.next_delivery = number + 1;
        }
        self.effects.push((turn, now));
        self.turns.insert(turn, commit.record);
        let version = self.conversations.get(&id)?.version;
        Some(Committed { version, first_delivery, head })
    }

    pub(super) fn mark(&mut self, turn: TurnId, process: Uuid, solo: bool) -> Deaths {
        let others = self.marks.iter().filter(|((of, by), _)| *of == turn && *by != process);
        let (mut all, mut alone) = (0, 0);
        for (_, solo) in others {
            all += 1;
            alone += u32::from(*solo);
        }
        self.marks.insert((turn, process), solo);
        Deaths { all, solo: alone }
    }

    /// Nothing is left to deliver.
    pub(crate) fn is_settled(&self) -> bool {
        self.deliveries.values().all(|row| row.state != Fate::Unsettled)
    }

    pub(super) fn lowest_number(&self, conversation: ConversationId) -> Option<i64> {
        let rows = self.deliveries.range((conversation, 0)..=(conversation, i64::MAX));
        rows.filter(|(_, row)| row.state == Fate::Unsettled).map(|(at, _)| at.1).next()
    }
}
