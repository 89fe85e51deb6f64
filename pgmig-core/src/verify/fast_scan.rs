//! A quick check of a part of a COPY stream, 64 bytes at a time.
//!
//! It recognises parts without any special case, which are nearly all. The scanner examines other parts again, byte
//! by byte. On processors without AVX2 it examines all parts.

#[cfg(target_arch = "x86_64")]
mod avx2;

/// The result of a quick check of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FastScan {
    /// The number of line ends.
    pub(super) rows: u64,
    /// The number of bytes up to and including the last line end.
    pub(super) until: usize,
    /// The number of tabs after the last line end. Without a line end, it includes the earlier tabs of the unfinished
    /// row.
    pub(super) tabs: u64,
    /// Whether every row that ends in the part has the expected number of tabs.
    pub(super) rows_fit: bool,
    /// Whether all bytes are ASCII.
    pub(super) is_ascii: bool,
    /// Whether the only special bytes are one-letter escapes: no end marker, no carriage return, no NUL ...
    pub(super) is_plain: bool,
}

impl FastScan {
    /// Checks `part`, whose first row already had `tabs` tabs of the `expected` number in each row. `None` if the
    /// processor does not have the instructions.
    pub(super) fn at(part: &[u8], tabs: u64, expected: u64) -> Option<Self> {
        look(part, tabs, expected)
    }
}

#[cfg(target_arch = "x86_64")]
use avx2::look;

#[cfg(not(target_arch = "x86_64"))]
fn look(_part: &[u8], _tabs: u64, _expected: u64) -> Option<FastScan> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use memchr::{memchr, memchr_iter, memrchr};
    use proptest::prelude::*;

    /// The same result, without optimisation.
    fn slow(part: &[u8], tabs: u64, expected: u64) -> FastScan {
        let count = |row: &[u8]| u64::try_from(memchr_iter(b'\t', row).count()).unwrap_or(u64::MAX);
        let until = memrchr(b'\n', part).map_or(0, |end| end + 1);
        let (rows, begun) = part.split_at(until);
        let mut before = tabs;
        let mut fits = true;
        let mut number = 0;
        for row in rows.split_inclusive(|byte| *byte == b'\n') {
            fits &= before + count(row) == expected;
            (before, number) = (0, number + 1);
        }
        let mut is_plain = memchr(b'\r', part).is_none() && memchr(0, part).is_none();
        let mut rest = part;
        while let Some(at) = memchr(b'\\', rest) {
            is_plain &= rest.get(at + 1).is_some_and(|letter| b"bfnrtvN\\".contains(letter));
            rest = rest.get(at + 2..).unwrap_or_default();
        }
        let tabs = before + count(begun);
        FastScan { rows: number, until, tabs, rows_fit: fits, is_ascii: part.is_ascii(), is_plain }
    }

    proptest! {
        #[test]
        fn sees_what_a_slow_look_sees(
            letters in prop::collection::vec(
                prop::sample::select(b"aaaaaaaaaaaaaaaaaaaa\t\t\t\t\n\n\\\\nN.\r\0\xc3".to_vec()), 0..400),
            plain in prop::collection::vec(prop::sample::select(b"abcdefgh\t\t\n".to_vec()), 0..400),
            tabs in 0_u64..3,
            expected in 0_u64..4,
        ) {
            for part in [letters, plain] {
                if let Some(scan) = FastScan::at(&part, tabs, expected) {
                    prop_assert_eq!(scan, slow(&part, tabs, expected));
                }
            }
        }
    }
}
