//! What every room is built on: the engines, the registry's copy, keys, time, chance, and the
//! process's own life. Made once by whoever starts rooms; a room takes it as an argument.

use uuid::Uuid;

use crate::admin::Readiness;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::lease::Lease;
use crate::lifecycle::Lifecycle;
use crate::registry::cache::Cache;
use crate::tracer::Tracer;
use crate::wire::envelope::Keys;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Ground<B, S> {
    pub broker: B,
    pub store: S,
    pub registry: Cache,
    /// The right to act on the present set of partitions.
    pub lease: Lease,
    pub keys: Keys,
    pub clock: Clock,
    pub entropy: Entropy,
    pub lifecycle: Lifecycle,
    /// Rooms register their metrics here.
    pub metrics: prometheus::Registry,
    pub readiness: Readiness,
    /// Records spans, or nothing.
    pub tracer: Tracer,
    /// This incarnation of this process: new at every start.
    pub process: Uuid,
}
