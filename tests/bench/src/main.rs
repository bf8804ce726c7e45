//! plenum-bench
fn main() {}
