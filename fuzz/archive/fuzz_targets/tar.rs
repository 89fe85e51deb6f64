//! The tar format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgdump_archive_fuzz::check(data));
