//! The ground that the rooms stand on. It knows no room.
//!
//! Pure: [`domain`] what it is about; [`wire`] the bodies that travel; [`topology`] the names on the
//! broker. Doors, two engines each: [`broker`], [`store`]. Around them: [`registry`] apps, bots and
//! channels; [`vault`] secrets at rest; [`keys`] the installation's keys; [`config`] the settings;
//! [`clock`], [`entropy`] time and chance; [`lanes`], [`partitions`] ordered work on a queue;
//! [`sweep`] rings for what nobody looks after; [`egress`] the only way out; [`ground`] all of it in one
//! argument; [`engines`] opens a pair; [`process`], [`lifecycle`] starting, living and stopping;
//! [`telemetry`] logs; [`tracer`] traces; [`admin`] probes and metrics; [`channels`] figures of single channels;
//! [`fault`] what tests break on purpose.

pub mod admin;
pub mod broker;
pub mod channels;
pub mod clock;
pub mod config;
pub mod domain;
pub mod egress;
pub mod engines;
pub mod entropy;
pub mod fault;
pub mod ground;
pub mod keys;
pub mod lanes;
pub mod lease;
pub mod lifecycle;
pub mod partitions;
pub mod process;
pub mod registry;
pub mod sqlite;
pub mod store;
pub mod sweep;
pub mod telemetry;
pub mod topology;
pub mod tracer;
pub mod vault;
pub mod wire;
