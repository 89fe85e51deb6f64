//! The quick check with instructions that most x86-64 processors have.

use crate::verify::fast_scan::FastScan;
use pulp::x86::V3;
use std::arch::x86_64::__m256i;

/// How many bytes are checked at once.
const BLOCK: usize = 64;

/// Fills the rest of the last block.
const FILLER: u8 = b'x';

/// Checks a part; `None` if the processor does not have the instructions.
pub(super) fn look(part: &[u8], tabs: u64, expected: u64) -> Option<FastScan> {
    let simd = V3::try_new()?;
    Some(simd.vectorize(
        #[inline(always)]
        || Look::new(tabs, expected).at(simd, part),
    ))
}

/// The positions of special bytes in a block; the first byte is the lowest bit.
struct Marks {
    line_ends: u64,
    tabs: u64,
    /// Positions of backslashes, carriage returns and NULs.
    special: u64,
    is_ascii: bool,
}

impl Marks {
    #[inline(always)]
    fn of(simd: V3, block: &[u8; BLOCK]) -> Self {
        let [low, high]: [__m256i; 2] = pulp::cast(*block);
        let (avx, avx2) = (simd.avx, simd.avx2);
        let is = |half, byte: u8| avx2._mm256_cmpeq_epi8(half, avx._mm256_set1_epi8(byte.cast_signed()));
        let mask = |half| u64::from(avx2._mm256_movemask_epi8(half).cast_unsigned());
        let both = |low, high| mask(low) | mask(high) << 32;
        let or = |a, b| avx2._mm256_or_si256(a, b);
        let is_special = |half| or(or(is(half, b'\\'), is(half, b'\r')), is(half, 0));
        Self {
            line_ends: both(is(low, b'\n'), is(high, b'\n')),
            tabs: both(is(low, b'\t'), is(high, b'\t')),
            special: both(is_special(low), is_special(high)),
            is_ascii: mask(or(low, high)) == 0,
        }
    }
}

struct Look {
    seen: FastScan,
    expected: u64,
    /// The place after the last escape.
    after_escape: usize,
}

impl Look {
    #[inline(always)]
    fn new(tabs: u64, expected: u64) -> Self {
        let seen = FastScan { rows: 0, until: 0, tabs, rows_fit: true, is_ascii: true, is_plain: true };
        Self { seen, expected, after_escape: 0 }
    }

    #[inline(always)]
    fn at(mut self, simd: V3, part: &[u8]) -> FastScan {
        let (blocks, rest) = part.as_chunks::<BLOCK>();
        let mut start = 0;
        for block in blocks {
            self.block(&Marks::of(simd, block), part, start);
            start += BLOCK;
        }
        if !rest.is_empty() {
            let mut block = [FILLER; BLOCK];
            if let Some(to) = block.get_mut(..rest.len()) {
                to.copy_from_slice(rest);
            }
            self.block(&Marks::of(simd, &block), part, start);
        }
        self.seen
    }

    /// Checks the block of `part` that begins at `start`.
    #[inline(always)]
    fn block(&mut self, marks: &Marks, part: &[u8], start: usize) {
        self.seen.is_ascii &= marks.is_ascii;
        if marks.special != 0 {
            self.escapes(marks.special, part, start);
        }
        let (mut line_ends, mut tabs) = (marks.line_ends, marks.tabs);
        while line_ends != 0 {
            // The lowest line end and all bytes before it.
            let row = line_ends ^ (line_ends - 1);
            let in_row = self.seen.tabs + u64::from((tabs & row).count_ones());
            self.seen.rows_fit &= in_row == self.expected;
            self.seen.rows += 1;
            self.seen.until = start + bits(row);
            self.seen.tabs = 0;
            tabs &= !row;
            line_ends &= line_ends - 1;
        }
        self.seen.tabs += u64::from(tabs.count_ones());
    }

    #[inline(always)]
    fn escapes(&mut self, special: u64, part: &[u8], start: usize) {
        let mut left = special;
        while left != 0 {
            let at = start + bits(left ^ (left - 1)) - 1;
            left &= left - 1;
            if at < self.after_escape {
                continue;
            }
            match part.get(at..at + 2) {
                Some([b'\\', b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'N' | b'\\']) => {
                    self.after_escape = at + 2;
                }
                _ => self.seen.is_plain = false,
            }
        }
    }
}

/// The number of bits that are set in a mask of a block.
#[inline(always)]
fn bits(mask: u64) -> usize {
    // At most 64.
    usize::try_from(mask.count_ones()).unwrap_or(BLOCK)
}
