//! The names of the topology, made once in the form that lapin wants.

use lapin::types::ShortString;

use crate::topology::{Partition, Queue, Topology};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) turns: ShortString,
    pub(super) deliveries: ShortString,
    pub(super) replies: ShortString,
    pub(super) control: ShortString,
    routing_keys: Vec<ShortString>,
    topology: Topology,
}

impl Names {
    pub(super) fn new(topology: &Topology) -> Self {
        let key = |partition| topology.routing_key(partition).into();
        Self {
            turns: topology.exchange(Queue::Turns).into(),
            deliveries: topology.exchange(Queue::Deliveries).into(),
            replies: topology.replies_exchange().into(),
            control: topology.control_exchange().into(),
            routing_keys: topology.partitions().map(key).collect(),
            topology: topology.clone(),
        }
    }

    pub(super) fn routing_key(&self, partition: Partition) -> ShortString {
        let known = self.routing_keys.get(usize::from(partition.0));
        known.cloned().unwrap_or_else(|| self.topology.routing_key(partition).into())
    }
}
