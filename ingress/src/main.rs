//! ingress
fn main() {}
