#![no_main]
//! `cargo fuzz run --features libfuzzer message`, in this folder.

libfuzzer_sys::fuzz_target!(|data: &[u8]| cinclus_fuzz::message(data));
