//! `verify` of archives in one file: custom, tar, plain script.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgmig_fuzz::check(data));
