//! A deterministic simulation: the real lanes, dispatcher and deliverer over a broker and a store that
//! are models, on one thread and on a clock that jumps. One seed, one history.
//!
//! The models do what the contracts of `shared::broker` and `shared::store` allow, and are mean about
//! it: confirms that never come, publishes that arrive late, jobs that come again, commits whose answer
//! is lost. Processes are killed, frozen, cut off and replaced. What this cannot show is how lapin, the
//! databases, the kernel or a real broker behave: the end-to-end tests are for that.
//!
//! Inside: `chance` the seed; `world` processes, time and the trace; `broker` and `store` the models;
//! `bot`, `endpoint` and `clients` the outside; `nemesis` the faults; `check` what must hold; `run` one
//! seed from beginning to end.

mod bot;
mod broker;
mod chance;
mod check;
mod clients;
mod endpoint;
mod nemesis;
mod run;
mod store;
mod world;

pub use check::Verdict;
pub use run::{Defect, Scenario, run};
