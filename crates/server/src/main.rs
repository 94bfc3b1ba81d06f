//! The cinclus binary.
fn main() {}
