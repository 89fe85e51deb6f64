//! `verify` of a data block of each codec, with rows or large objects; the first byte chooses.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((choice, block)) = data.split_first() {
        pgmig_fuzz::check(&pgdump_archive_fuzz::archive_of(*choice, choice & 4 != 0, block));
    }
});
