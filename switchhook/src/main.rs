//! switchhook
fn main() {}
