//! The header and the table of contents of the custom format, and what hangs on them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgdump_archive_fuzz::check(data));
