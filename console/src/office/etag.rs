//! Whether what is to be changed is still what was looked at: a digest of the whole of it, as it is shown.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use serde::Serialize;

use super::problem::{Kind, Problem};

/// The tag of something as it is shown, without the quotes.
pub fn of(view: &impl Serialize) -> String {
    let text = serde_json::to_vec(view).unwrap_or_default();
    let digest = digest::digest(&digest::SHA256, &text);
    digest.as_ref().iter().take(16).fold(String::new(), |mut tag, byte| {
        let _ = write!(tag, "{byte:02x}");
        tag
    })
}

/// Refuses when `expected` is given and is another.
pub fn check(expected: Option<&str>, view: &impl Serialize) -> Result<(), Problem> {
    match expected {
        Some(expected) if expected != of(view) => {
            Err(Problem::new(Kind::Stale, "it has changed since it was read: read it again"))
        }
        Some(_) | None => Ok(()),
    }
}
