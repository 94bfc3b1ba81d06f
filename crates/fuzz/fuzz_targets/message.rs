#![no_main]
//! `cargo +nightly fuzz run --fuzz-dir . --features libfuzzer message`, in this folder.

libfuzzer_sys::fuzz_target!(|data: &[u8]| cinclus_fuzz::message(data));
