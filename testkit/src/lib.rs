//! Private RabbitMQ and PostgreSQL instances for tests and benchmarks, and the one way for a test to wait.
//!
//! Each instance lives in a folder of its own, listens on loopback only, on ports that were free, and dies
//! with the process that started it, even when that one is killed. No running engine is touched.

pub mod cluster;
mod keeper;
pub mod pair;
pub mod postgres;
pub mod proxy;
pub mod rabbitmq;
pub mod system;
pub mod timed;
pub mod wait;

pub use wait::{
    SOON, another_millisecond, block, lapse, lapse_until, silence, until, until_within, wait,
};

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// A port of 127.0.0.1 that nobody listens on just now, outside the range that outgoing connections
/// take theirs from.
pub fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const PORTS: u32 = 17_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(7_919).wrapping_add(step.wrapping_mul(13));
        let port = u16::try_from(FIRST + offset % PORTS).unwrap_or(u16::MAX);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
