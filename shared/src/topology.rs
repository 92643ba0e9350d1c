//! Every name and limit on the broker, as data. Pure: engines create what this page says.

use std::fmt;

use crate::domain::ids::ConversationKey;

/// The queues that carry work, in partitions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Queue {
    Turns,
    Deliveries,
}

impl Queue {
    pub const ALL: [Self; 2] = [Self::Turns, Self::Deliveries];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Deliveries => "deliveries",
        }
    }

    /// Whether a publish waits until the broker has it on disk. A turn is the only copy of what a
    /// client was told is safe; a delivery job is a doorbell for a row (docs/adr/0003).
    pub const fn durable(self) -> bool {
        match self {
            Self::Turns => true,
            Self::Deliveries => false,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of the ordered queues that a [`Queue`] is divided into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Partition(pub u16);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:02}", self.0)
    }
}

/// The longest a full queue may grow, in jobs.
pub const QUEUE_JOBS_MAX: i64 = 100_000;
/// The most a full queue may hold, in bytes.
pub const QUEUE_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// It only buys "returns to the head in order", which RabbitMQ 3.x grants to queues with a limit;
/// it never judges poison.
pub const DELIVERY_LIMIT: i64 = 100_000;
/// Jobs that one partition's consumer holds unacknowledged.
pub const PREFETCH: u16 = 1_000;

/// The names of one installation on a broker. Generation 1 is the first set of partitions; changing
/// their number makes the next one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topology {
    pub prefix: String,
    pub generation: u32,
    pub partitions: u16,
}

impl Topology {
    /// The partition of a conversation. Publishers compute it; no broker plugin takes part.
    pub fn partition(&self, conversation: &ConversationKey) -> Partition {
        self.partition_of_hash(conversation.hash())
    }

    /// The partition of a stored hash (`domain::ids::ConversationKey::hash`).
    pub fn partition_of_hash(&self, hash: u64) -> Partition {
        let partitions = u64::from(self.partitions.max(1));
        Partition(u16::try_from(hash % partitions).unwrap_or(0))
    }

    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.partitions).map(Partition)
    }

    /// The direct exchange that jobs of this queue are published to, with [`Self::routing_key`].
    pub fn exchange(&self, queue: Queue) -> String {
        format!("{}.{queue}", self.prefix)
    }
    pub fn routing_key(&self, partition: Partition) -> String {
        format!("g{}.{partition}", self.generation)
    }
    pub fn queue(&self, queue: Queue, partition: Partition) -> String {
        format!("{}.{queue}.g{}.{partition}", self.prefix, self.generation)
    }
    /// Where the exchange sends what no queue is bound for; every dispatcher consumes it.
    pub fn unrouted(&self, queue: Queue) -> String {
        format!("{}.{queue}.unrouted", self.prefix)
    }
    /// What the broker itself dead-letters.
    pub fn dead(&self, queue: Queue) -> String {
        format!("{}.{queue}.dead", self.prefix)
    }
    /// Where the broker sends what it dead-letters; the routing key is the queue's own name.
    pub fn dead_exchange(&self) -> String {
        format!("{}.dead", self.prefix)
    }
    pub fn replies_exchange(&self) -> String {
        format!("{}.replies", self.prefix)
    }
    /// A new name for every connection: a half-dead one still holds the old.
    pub fn reply_queue(&self, process: &str, connection: &str) -> String {
        format!("{}.replies.{process}.{connection}", self.prefix)
    }
    /// The fan-out of registry changes and announcements.
    pub fn control_exchange(&self) -> String {
        format!("{}.control", self.prefix)
    }
    pub fn control_queue(&self, process: &str, connection: &str) -> String {
        format!("{}.control.{process}.{connection}", self.prefix)
    }
}

impl Default for Topology {
    fn default() -> Self {
        Self { prefix: "switchhook".to_owned(), generation: 1, partitions: 16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_prefix_and_generation() {
        let topology = Topology { prefix: "acme".into(), generation: 2, partitions: 16 };
        assert_eq!(topology.queue(Queue::Turns, Partition(3)), "acme.turns.g2.p03");
        assert_eq!(topology.exchange(Queue::Deliveries), "acme.deliveries");
        assert_eq!(topology.routing_key(Partition(15)), "g2.p15");
        assert_eq!(topology.partitions().count(), 16);
    }

    #[test]
    fn the_partition_of_a_conversation_never_changes() {
        let topology = Topology::default();
        let vectors = include_str!("../tests/partition-vectors.txt");
        let mut read = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split('\t').collect();
            let [channel, user, hash, partition] = fields[..] else { panic!("bad line: {line}") };
            let key = ConversationKey::new(channel.into(), user.into());
            assert_eq!(format!("{:016x}", key.hash()), hash, "{line}");
            assert_eq!(topology.partition(&key).to_string(), partition, "{line}");
            read += 1;
        }
        assert!(read >= 8, "only {read} vectors");
    }
}
