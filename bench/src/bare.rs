//! The yardsticks: the same hops with as little as possible between them. No order, no inbox, no
//! retries, no registry: a limit to be measured against, not a product.

pub(crate) mod embedded;
pub(crate) mod ingress;
pub(crate) mod queue;
pub(crate) mod workers;
