//! The table of deliveries: claims, outcomes, heads and the sweep, as `shared::store` states them.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::domain::delivery::{Delivery, Place};
use shared::domain::ids::{ChannelId, ConversationId, TurnId};
use shared::store::{Backlog, Claim, Claimed, Hint, Lowest, Settlement, Verdict};
use tokio::time::Instant;

use super::db::{Db, DeliveryRow, Fate};

/// A row whose bell was rung is left alone for so long.
const HINTED: Duration = Duration::from_secs(30);
/// One that moved up counts as rung so long ago.
const MOVED_UP: Duration = Duration::from_secs(25);

impl DeliveryRow {
    fn is_free(&self, now: Instant) -> bool {
        self.state == Fate::Unsettled
            && self.due <= now
            && self.claimed_until.is_none_or(|until| until <= now)
    }

    fn seen(&self, now: Instant) -> Lowest {
        let claim = self.claimed_until.unwrap_or(now);
        Lowest {
            delivery: self.delivery.clone(),
            due_in: self.due.saturating_duration_since(now),
            claimed_for: claim.saturating_duration_since(now),
            disabled: false,
            hash: self.hash,
        }
    }
}

impl Db {
    pub(super) fn lowest(&self, conversation: ConversationId, now: Instant) -> Option<Lowest> {
        let number = self.lowest_number(conversation)?;
        Some(self.deliveries.get(&(conversation, number))?.seen(now))
    }

    pub(super) fn unsettled(&self, conversation: ConversationId, turn: TurnId) -> Vec<Delivery> {
        let rows = self.deliveries.range((conversation, 0)..=(conversation, i64::MAX));
        rows.map(|(_, row)| row)
            .filter(|row| row.state == Fate::Unsettled && row.delivery.id.turn == turn)
            .map(|row| row.delivery.clone())
            .collect()
    }

    pub(super) fn claim(
        &mut self,
        place: Place,
        seen: u32,
        lease: Duration,
        now: Instant,
    ) -> Claimed {
        let row = self.deliveries.get_mut(&(place.conversation, place.number));
        let free = |row: &&mut DeliveryRow| row.is_free(now) && row.delivery.attempt == seen;
        let Some(row) = row.filter(free) else { return Claimed::No };
        row.delivery.attempt += 1;
        row.claimed_until = Some(now + lease);
        Claimed::Yes(Claim { delivery: row.delivery.clone() })
    }

    /// `attempt` is the log's number, when there is a log row.
    pub(super) fn settle(
        &mut self,
        place: Place,
        seen: u32,
        attempt: Option<u32>,
        verdict: &Verdict,
        now: Instant,
    ) -> Settlement {
        let conversation = place.conversation;
        let Some(row) = self.deliveries.get_mut(&(conversation, place.number)) else {
            return Settlement::Missed;
        };
        let after = attempt.unwrap_or(seen);
        let plain = !matches!(verdict, Verdict::Delivered | Verdict::Park(_));
        let must_be_claimed = plain && attempt.is_some() && after == seen;
        if row.state != Fate::Unsettled
            || row.delivery.attempt != seen
            || (must_be_claimed && row.claimed_until.is_none())
        {
            return Settlement::Missed;
        }
        row.delivery.attempt = after;
        row.claimed_until = None;
        let later = |wait: Duration| (now + wait, None);
        match verdict {
            Verdict::Delivered => row.state = Fate::Delivered,
            Verdict::Park(_) => row.state = Fate::Parked,
            Verdict::Retry(wait) => {
                row.delivery.failures += 1;
                (row.due, row.hinted_at) = later(*wait);
            }
            Verdict::Defer(wait) => {
                row.delivery.deferrals += 1;
                (row.due, row.hinted_at) = later(*wait);
            }
            Verdict::Ours(wait) => (row.due, row.hinted_at) = later(*wait),
        }
        if row.state != Fate::Unsettled {
            row.head = false;
        }
        if matches!(verdict, Verdict::Park(_)) {
            let behind = (conversation, place.number)..=(conversation, i64::MAX);
            let unsettled = |row: &&mut DeliveryRow| row.state == Fate::Unsettled;
            for row in self.deliveries.range_mut(behind).map(|(_, row)| row).filter(unsettled) {
                (row.state, row.head) = (Fate::Parked, false);
            }
        }
        self.move_head(conversation, now);
        Settlement::Written { next: self.lowest(conversation, now) }
    }

    fn move_head(&mut self, conversation: ConversationId, now: Instant) {
        let Some(number) = self.lowest_number(conversation) else { return };
        if let Some(row) = self.deliveries.get_mut(&(conversation, number)).filter(|row| !row.head)
        {
            row.head = true;
            row.hinted_at = now.checked_sub(MOVED_UP);
        }
    }

    fn free_heads(&self, now: Instant) -> Vec<(Instant, (ConversationId, i64))> {
        let free = self.deliveries.iter().filter(|(_, row)| row.head && row.is_free(now));
        let mut heads: Vec<_> = free.map(|(at, row)| (row.due, *at)).collect();
        heads.sort();
        heads
    }

    pub(super) fn due(&self, channel: &ChannelId, limit: u32, now: Instant) -> Vec<Lowest> {
        let rows = self.free_heads(now).into_iter().filter_map(|(_, at)| self.deliveries.get(&at));
        rows.filter(|row| row.delivery.channel == *channel)
            .take(limit as usize)
            .map(|row| row.seen(now))
            .collect()
    }

    pub(super) fn backlog(&self, now: Instant) -> Backlog {
        let heads = self.free_heads(now);
        let oldest = heads.first().map(|(due, _)| now.saturating_duration_since(*due));
        Backlog { due: heads.len() as u64, oldest: oldest.unwrap_or_default() }
    }

    pub(super) fn sweep(
        &mut self,
        per_endpoint: u32,
        limit: u32,
        paused: &[ChannelId],
        now: Instant,
    ) -> Vec<Hint> {
        let mut taken: BTreeMap<ChannelId, u32> = BTreeMap::new();
        let mut hints = Vec::new();
        for (_, at) in self.free_heads(now) {
            let Some(row) = self.deliveries.get_mut(&at) else { continue };
            if row.hinted_at.is_some_and(|hinted| hinted + HINTED > now) {
                continue;
            }
            let channel = row.delivery.channel.clone();
            let most = if paused.contains(&channel) { 1 } else { per_endpoint };
            let taken = taken.entry(channel.clone()).or_default();
            if *taken >= most || hints.len() >= limit as usize {
                continue;
            }
            *taken += 1;
            row.hinted_at = Some(now);
            let (place, turn) = (row.delivery.place, row.delivery.id.turn);
            hints.push(Hint { place, hash: row.hash, channel, turn });
        }
        hints
    }
}
