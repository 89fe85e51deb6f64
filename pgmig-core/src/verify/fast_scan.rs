//! A quick look at a part of a COPY stream, 64 bytes at a time.
//!
//! It tells whether all is as it is nearly always; what is not, and all of it on processors without AVX2, the
//! scanner looks at again, byte by byte.

#[cfg(target_arch = "x86_64")]
mod avx2;

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    /// Line ends.
    pub(super) rows: u64,
    /// Bytes up to the last line end, with it.
    pub(super) until: usize,
    /// Tabs after the last line end, or of the row that the part goes on with if there is none.
    pub(super) tabs: u64,
    /// Every row that ends here has as many tabs as it should.
    pub(super) rows_fit: bool,
    /// No byte is beyond ASCII.
    pub(super) is_ascii: bool,
    /// Nothing but escapes of one letter stands for more than itself: no end marker, carriage return, NUL ...
    pub(super) is_plain: bool,
}

impl Glance {
    /// Looks at `part`, in whose first row there have been `tabs` tabs, of the `expected` that each row should have. `None` where
    /// the processor is not made for it.
    pub(super) fn at(part: &[u8], tabs: u64, expected: u64) -> Option<Self> {
        look(part, tabs, expected)
    }
}

#[cfg(target_arch = "x86_64")]
use avx2::look;

#[cfg(not(target_arch = "x86_64"))]
fn look(_part: &[u8], _tabs: u64, _expected: u64) -> Option<Glance> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use memchr::{memchr, memchr_iter, memrchr};
    use proptest::prelude::*;

    /// The same, without haste.
    fn slow(part: &[u8], tabs: u64, expected: u64) -> Glance {
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
        Glance { rows: number, until, tabs, rows_fit: fits, is_ascii: part.is_ascii(), is_plain }
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
                if let Some(glance) = Glance::at(&part, tabs, expected) {
                    prop_assert_eq!(glance, slow(&part, tabs, expected));
                }
            }
        }
    }
}
