//! Mapping files: what is read is written, and read again, as the same.
#![no_main]

use pgmig_core::instance::Mapping;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(mapping) = Mapping::from_yaml(text, "mapping.yaml") {
        let again = Mapping::from_yaml(&mapping.to_yaml(), "mapping.yaml").expect("our own file is read");
        assert_eq!(again.pairs(), mapping.pairs());
    }
});
