//! What `deploy/` holds is true.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod generated;
mod sbom;
