//! The promises under fire: a load that knows what it said, a bot that remembers what it heard, an
//! endpoint that logs what it got, and a pure checker that compares the three.

pub mod bot;
pub mod chance;
pub mod check;
pub mod endpoint;
pub mod history;
pub mod journal;
pub mod load;
pub mod nemesis;
pub mod open_loop;
pub mod overload;
pub mod recovery;
pub mod rig;
pub mod soak;
pub mod torture;
