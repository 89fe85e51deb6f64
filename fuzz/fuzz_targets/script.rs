//! Plain scripts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgmig_fuzz::check(data));
