#![no_main]
//! `cargo fuzz run --features libfuzzer block`, in this folder.

libfuzzer_sys::fuzz_target!(|data: &[u8]| cinclus_fuzz::block(data));
