//! The script host seen from outside.

mod jail;
