//! plenum
fn main() {}
