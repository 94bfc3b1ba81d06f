//! Makes a flag known: whether tokio is built so that a seed decides the order of its wake-ups.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(tokio_unstable)");
    println!("cargo::rerun-if-changed=build.rs");
}
