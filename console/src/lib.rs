//! The console: the control plane. It reads and writes the registry and reads the ledgers; it is never on
//! the path of a turn.
//!
//! [`office`] is the one layer that decides. The command line, the admin API and the pages are ways to
//! reach it, and add nothing.

mod ids;
pub mod office;
