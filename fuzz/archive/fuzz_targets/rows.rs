//! COPY rows: cut the same in any pieces, and decoded to what encodes to the same again.
#![no_main]

use pgdump_archive::copy::{EndMarker, RowSplitter, decode_field, encode_field, fields, rows};

fn split(data: &[u8], size: usize) -> (Vec<u8>, Option<u64>) {
    let (mut splitter, mut out) = (RowSplitter::new(EndMarker::Optional), Vec::new());
    let pushed = data.chunks(size).all(|piece| splitter.push(piece, &mut out).is_ok());
    let rows = if pushed { splitter.finish(&mut out).ok() } else { None };
    (out, rows)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((size, data)) = data.split_first() else { return };
    let (out, count) = split(data, data.len().max(1));
    assert!(count.is_none() || count == Some(rows(&out).count() as u64));
    assert_eq!(split(data, usize::from(*size).max(1)).1, count);
    for value in rows(&out).flat_map(fields).filter_map(|field| decode_field(field).map(|v| v.into_owned())) {
        let mut encoded = Vec::new();
        encode_field(Some(&value), &mut encoded);
        assert_eq!(decode_field(&encoded).as_deref(), Some(value.as_slice()));
    }
});
