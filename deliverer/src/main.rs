//! deliverer
fn main() {}
