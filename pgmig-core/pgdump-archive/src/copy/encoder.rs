//! Encodes values as fields and rows, as the server's `COPY TO` writes them.

/// Appends a value as a field; `None` is NULL.
pub fn encode_field(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(value) = value else {
        out.extend_from_slice(b"\\N");
        return;
    };
    for &byte in value {
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            b'\\' => b'\\',
            plain => {
                out.push(plain);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}

/// Appends a row of these values, with its line end.
pub fn encode_row<'a>(values: impl IntoIterator<Item = Option<&'a [u8]>>, out: &mut Vec<u8>) {
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        encode_field(value, out);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::{decode_field, fields, rows};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_read_back(
            table in prop::collection::vec(
                prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..6)), 1..5), 0..5),
        ) {
            let mut run = Vec::new();
            for row in &table {
                encode_row(row.iter().map(Option::as_deref), &mut run);
            }
            let decoded: Vec<Vec<Option<Vec<u8>>>> = rows(&run)
                .map(|row| fields(row).map(|field| decode_field(field).map(|value| value.into_owned())).collect())
                .collect();
            prop_assert_eq!(decoded, table);
        }
    }
}
