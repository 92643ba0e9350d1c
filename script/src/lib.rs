//! Scripts of bots, run where they can do no harm.
//!
//! A script runs in a *host*: a separate process that has jailed itself and does nothing but take a job
//! and give back a reply, as JSON bytes. It knows no bot, no store and no network. A script that needs
//! something from outside (an answer of the user, a call) stops; it is run again from its beginning with
//! what came of it in its journal (`docs/adr/0020-scripts-run-in-jailed-processes-and-are-replayed.md`).
//!
//! * [`job`] what goes in and comes out.
//! * [`engine`] one run: a new runtime each. `prelude.js` is the script's world, `libraries` what is lent to it.
//! * [`host`] the host's side of the pipe, [`jail`] what it may not do.
//! * [`pool`] the parent's side: hosts kept warm, killed at the deadline, replaced.

pub mod engine;
mod frame;
pub mod host;
pub mod jail;
pub mod job;
mod libraries;
pub mod pool;
