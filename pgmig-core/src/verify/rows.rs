//! Checks the rows of a COPY stream without keeping any: memory does not grow with a row.
//!
//! A row is read as PostgreSQL's `COPY FROM` reads it. Data that the server would refuse is a fault, and so is data
//! that it would read as more or fewer rows than lines.

use super::encoding::{Check, TextEncoding};
use super::fault::RowFault;
use crate::copy::{MAX_ROW_BYTES, escaped_byte};
use crate::verify::fast_scan::FastScan;
use memchr::{memchr_iter, memchr3};

/// The longest escape: `\x41`, `\101`. An escape that begins nearer to the end may continue in the next piece.
const LONGEST_ESCAPE: usize = 4;

/// How many bytes are checked together. Each byte is examined several times, so they should stay in the processor's
/// cache.
const PART_BYTES: usize = 16 * 1024;

/// A fault of a row, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultAt {
    pub(crate) fault: RowFault,
    /// The number of the row, from 1.
    pub(crate) row: u64,
    /// Bytes from the start of the data.
    pub(crate) offset: u64,
}

/// Counts and checks the rows of one COPY stream, piece by piece.
#[derive(Debug)]
#[must_use]
pub(crate) struct RowScanner {
    encoding: TextEncoding,
    /// The number of fields in each row; 0 for a table without columns, whose rows are empty lines.
    fields: u64,
    /// The number of complete rows so far.
    rows: u64,
    /// The number of bytes in these rows.
    offset: u64,
    /// Tabs and bytes of the unfinished row.
    tabs: u64,
    row_bytes: u64,
    /// Whether the marker `\.` has been read.
    ended: bool,
    /// The unfinished character beyond ASCII that escapes spell.
    spelled: Spelled,
    /// The most bytes of a row.
    limit: u64,
}

/// Bytes of one character that are written as `\xc3\xa9`, with one escape directly after the other.
#[derive(Debug, Default)]
struct Spelled {
    bytes: Vec<u8>,
    /// The start and the row of the first escape, and the end of the last one.
    start: u64,
    row: u64,
    end: u64,
}

/// How much of a piece is sound, and what follows.
struct Sound {
    /// The number of sound bytes.
    until: usize,
    next: Next,
}

enum Next {
    /// The next piece.
    More,
    /// The end marker.
    Marker,
    /// A fault.
    Fault(RowFault),
}

impl RowScanner {
    /// Makes a scanner of rows with this number of fields.
    pub(crate) fn new(fields: usize, encoding: TextEncoding) -> Self {
        Self {
            encoding,
            fields: to_u64(fields),
            rows: 0,
            offset: 0,
            tabs: 0,
            row_bytes: 0,
            ended: false,
            spelled: Spelled::default(),
            limit: to_u64(MAX_ROW_BYTES),
        }
    }

    /// Scans the next bytes, and returns how many it has processed. The rest are a few bytes of an incomplete escape
    /// or character. The caller must pass them again, together with the next bytes.
    pub(crate) fn scan(&mut self, piece: &[u8]) -> Result<usize, FaultAt> {
        let mut done = 0;
        loop {
            let rest = piece.get(done..).unwrap_or_default();
            let part = self.encoding.whole_characters(rest.get(..PART_BYTES).unwrap_or(rest));
            let taken = self.scan_part(part)?;
            done += taken;
            if taken == 0 || done == piece.len() {
                return Ok(done);
            }
        }
    }

    fn scan_part(&mut self, piece: &[u8]) -> Result<usize, FaultAt> {
        if self.ended {
            self.expect_line_ends(piece)?;
            return Ok(piece.len());
        }
        let scan = self.fast_scan(piece);
        let mut sound = Sound { until: piece.len(), next: Next::More };
        if !scan.is_some_and(|scan| scan.is_ascii) {
            self.check_encoding(piece, &mut sound);
        }
        let is_plain = scan.is_some_and(|scan| scan.is_plain);
        let spelled = if is_plain { Ok(()) } else { self.check_bytes(piece, &mut sound) };
        match scan.filter(|scan| scan.rows_fit && sound.until == piece.len()) {
            Some(scan) => self.take(piece, &scan),
            // Before the faults found so far: a fault in these rows comes earlier.
            None => self.count_rows(piece.get(..sound.until).unwrap_or_default())?,
        }
        spelled?;
        match sound.next {
            Next::More => Ok(sound.until),
            Next::Fault(fault) => Err(self.fault_here(fault)),
            Next::Marker => {
                self.ended = true;
                let after = piece.get(sound.until + MARKER.len()..).unwrap_or_default();
                self.offset += to_u64(MARKER.len());
                self.expect_line_ends(after)?;
                Ok(piece.len())
            }
        }
    }

    /// Ends the stream with `rest`, the bytes that [`scan`](Self::scan) has left. Returns the number of rows.
    pub(crate) fn finish(mut self, rest: &[u8]) -> Result<u64, FaultAt> {
        self.spelled_is_complete()?;
        let at_row_start = self.tabs == 0 && self.row_bytes == 0;
        // A marker without a line end is valid, too.
        if self.ended || (rest == MARKER && at_row_start) {
            return Ok(self.rows);
        }
        self.offset += to_u64(rest.len());
        Err(self.fault_here(RowFault::MissingEndMarker))
    }

    /// The quick check of `piece`; `None` if it cannot show enough.
    fn fast_scan(&self, piece: &[u8]) -> Option<FastScan> {
        let within_limit = self.row_bytes.saturating_add(to_u64(piece.len())) <= self.limit;
        let tabs = self.fields.checked_sub(1)?;
        if self.encoding == TextEncoding::NotAsciiSafe || !within_limit {
            return None;
        }
        FastScan::at(piece, self.tabs, tabs)
    }

    /// Counts the rows of `piece`, which have the right number of fields.
    fn take(&mut self, piece: &[u8], scan: &FastScan) {
        let begun = to_u64(piece.len() - scan.until);
        if scan.rows == 0 {
            self.row_bytes += begun;
        } else {
            self.offset += self.row_bytes + to_u64(scan.until);
            self.row_bytes = begun;
        }
        self.rows += scan.rows;
        self.tabs = scan.tabs;
    }

    fn check_encoding(&self, piece: &[u8], sound: &mut Sound) {
        match self.encoding.check(piece) {
            Check::Valid => {}
            Check::Incomplete(at) => sound.until = at,
            Check::Invalid(at) => *sound = Sound { until: at, next: Next::Fault(RowFault::NotInEncoding) },
        }
    }

    /// Checks bytes that do not stand for themselves, or are not allowed: escapes, carriage returns (COPY writes
    /// `\r`) and NULs.
    fn check_bytes(&mut self, piece: &[u8], sound: &mut Sound) -> Result<(), FaultAt> {
        let mut from = 0;
        while let Some(found) = piece.get(from..sound.until).and_then(|rest| memchr3(b'\\', b'\r', 0, rest)) {
            let at = from + found;
            let length = match piece.get(at) {
                Some(0) => {
                    sound.fault(at, RowFault::NulByte);
                    return Ok(());
                }
                Some(b'\r') => {
                    sound.fault(at, RowFault::CarriageReturn);
                    return Ok(());
                }
                _ => self.escape(piece, at, sound)?,
            };
            if length == 0 {
                return Ok(());
            }
            from = at + length;
        }
        Ok(())
    }

    /// Reads the escape at `at` and returns its length; 0 if the sound part ends there, either for now or with a
    /// fault.
    fn escape(&mut self, piece: &[u8], at: usize, sound: &mut Sound) -> Result<usize, FaultAt> {
        let escape = piece.get(at..).unwrap_or_default();
        let at_row_start = match at.checked_sub(1) {
            Some(before) => piece.get(before) == Some(&b'\n'),
            None => self.row_bytes == 0,
        };
        match (escape.get(1), at_row_start) {
            // An apparent backslash may be a later byte of a character.
            (Some(letter), false) if self.encoding == TextEncoding::NotAsciiSafe => {
                return Ok(if *letter == b'\\' { 2 } else { 1 });
            }
            (Some(b'.'), true) if escape.len() == MARKER.len() => {}
            (Some(b'.'), true) if escape.get(2) == Some(&b'\n') => {
                *sound = Sound { until: at, next: Next::Marker };
                return Ok(0);
            }
            (Some(b'.'), _) => {
                sound.fault(at, RowFault::StrayEndMarker);
                return Ok(0);
            }
            (Some(b'\n'), _) => {
                sound.fault(at, RowFault::EscapedLineEnd);
                return Ok(0);
            }
            (Some(b'\t'), _) => {
                sound.fault(at, RowFault::EscapedTab);
                return Ok(0);
            }
            (Some(b'\r'), _) => {
                sound.fault(at + 1, RowFault::CarriageReturn);
                return Ok(0);
            }
            (Some(0), _) => {
                sound.fault(at + 1, RowFault::NulByte);
                return Ok(0);
            }
            (Some(b'x' | b'0'..=b'7'), _) if escape.len() >= LONGEST_ESCAPE => {
                return self.spell(piece, at, escape).inspect_err(|_| sound.until = at);
            }
            (None | Some(b'x' | b'0'..=b'7'), _) => {}
            (Some(_), _) => return Ok(2),
        }
        *sound = Sound { until: at, next: Next::More };
        Ok(0)
    }

    /// Reads the escape of a byte at `at`, and returns its length.
    fn spell(&mut self, piece: &[u8], at: usize, escape: &[u8]) -> Result<usize, FaultAt> {
        let (byte, length) = escaped_byte(escape);
        let start = self.offset + self.row_bytes + to_u64(at);
        if self.spelled.end != start {
            self.spelled_is_complete()?;
        }
        let row = || self.rows + 1 + to_u64(memchr_iter(b'\n', piece.get(..at).unwrap_or_default()).count());
        let fault = |fault, row| FaultAt { fault, row, offset: start };
        match byte {
            Some(0) => return Err(fault(RowFault::NulByte, row())),
            Some(byte) if !byte.is_ascii() && self.encoding == TextEncoding::Utf8 => {
                if self.spelled.bytes.is_empty() {
                    (self.spelled.start, self.spelled.row) = (start, row());
                }
                self.spelled.bytes.push(byte);
                self.spelled.end = start + to_u64(length);
                match self.encoding.check(&self.spelled.bytes) {
                    Check::Valid => self.spelled.bytes.clear(),
                    Check::Incomplete(_) => {}
                    Check::Invalid(_) => return Err(fault(RowFault::NotInEncoding, self.spelled.row)),
                }
            }
            _ => self.spelled_is_complete()?,
        }
        Ok(length)
    }

    fn spelled_is_complete(&self) -> Result<(), FaultAt> {
        if self.spelled.bytes.is_empty() {
            return Ok(());
        }
        let Spelled { start, row, .. } = self.spelled;
        Err(FaultAt { fault: RowFault::NotInEncoding, row, offset: start })
    }

    /// Counts rows and their fields. `rows` may begin and end within a row.
    fn count_rows(&mut self, rows: &[u8]) -> Result<(), FaultAt> {
        let mut start = 0;
        for end in memchr_iter(b'\n', rows) {
            let row = rows.get(start..end).unwrap_or_default();
            self.grow_row(row)?;
            let fields = if self.fields == 0 && self.row_bytes == 0 { 0 } else { self.tabs + 1 };
            if fields != self.fields {
                let fault = RowFault::FieldCount { fields, expected: self.fields };
                return Err(FaultAt { offset: self.offset, ..self.fault_here(fault) });
            }
            self.rows += 1;
            self.offset += self.row_bytes + 1;
            (self.tabs, self.row_bytes) = (0, 0);
            start = end + 1;
        }
        self.grow_row(rows.get(start..).unwrap_or_default())
    }

    fn grow_row(&mut self, part: &[u8]) -> Result<(), FaultAt> {
        self.tabs += to_u64(memchr_iter(b'\t', part).count());
        self.row_bytes += to_u64(part.len());
        if self.row_bytes > self.limit {
            return Err(self.fault_here(RowFault::TooLong { limit: self.limit }));
        }
        Ok(())
    }

    fn expect_line_ends(&mut self, bytes: &[u8]) -> Result<(), FaultAt> {
        match bytes.iter().position(|byte| *byte != b'\n') {
            None => {
                self.offset += to_u64(bytes.len());
                Ok(())
            }
            Some(at) => {
                self.offset += to_u64(at);
                Err(self.fault_here(RowFault::DataAfterMarker))
            }
        }
    }

    /// A fault in the unfinished row.
    fn fault_here(&self, fault: RowFault) -> FaultAt {
        FaultAt { fault, row: self.rows + 1, offset: self.offset + self.row_bytes }
    }
}

/// The end-of-data marker, without its line end.
const MARKER: &[u8] = b"\\.";

impl Sound {
    fn fault(&mut self, at: usize, fault: RowFault) {
        *self = Self { until: at, next: Next::Fault(fault) };
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::copy::{EndMarker, RowSplitter, fields as fields_of, rows as rows_of};
    use proptest::prelude::*;

    /// The result of scanning `stream` in pieces of these sizes.
    fn scan(
        stream: &[u8],
        fields: usize,
        encoding: TextEncoding,
        sizes: &[usize],
    ) -> Result<u64, (RowFault, u64, u64)> {
        let mut scanner = RowScanner::new(fields, encoding);
        let (mut buffer, mut rest) = (Vec::new(), stream);
        let plain = |at: FaultAt| (at.fault, at.row, at.offset);
        for size in sizes.iter().chain(std::iter::repeat(&5)) {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            buffer.extend_from_slice(piece);
            let done = scanner.scan(&buffer).map_err(plain)?;
            // An incomplete escape and an incomplete character.
            assert!(buffer.len() - done < LONGEST_ESCAPE + char::MAX.len_utf8());
            buffer.drain(..done);
            rest = after;
        }
        scanner.finish(&buffer).map_err(plain)
    }

    fn whole(stream: &[u8], fields: usize) -> Result<u64, (RowFault, u64, u64)> {
        scan(stream, fields, TextEncoding::Utf8, &[stream.len()])
    }

    #[test]
    fn counts_rows_to_the_marker() {
        let stream = "1\ta\n2\t\\N\n\\\\.\té\\t\\303\\251\n\\.\n\n\n";
        assert_eq!(whole(stream.as_bytes(), 2), Ok(3));
        assert_eq!(whole(b"\\.\n", 7), Ok(0));
        assert_eq!(whole(b"a\n\\.", 1), Ok(1));
        assert_eq!(whole(b"\n\n\\.\n", 0), Ok(2));
        assert_eq!(whole(b"\n\\.\n", 1), Ok(1));
    }

    #[test]
    fn parts_do_not_matter() {
        // Parts begin and end anywhere in these rows: 13 does not divide their size.
        let row = "é\\n\t\\303\\251\n";
        assert_eq!((row.len(), PART_BYTES % row.len()), (14, 4));
        let stream = format!("{}\\.\n", row.repeat(PART_BYTES));
        assert_eq!(whole(stream.as_bytes(), 2), Ok(to_u64(PART_BYTES)));
        let late = format!("{}x\n\\.\n", row.repeat(PART_BYTES));
        let fault = RowFault::FieldCount { fields: 1, expected: 2 };
        assert_eq!(whole(late.as_bytes(), 2), Err((fault, to_u64(PART_BYTES) + 1, to_u64(14 * PART_BYTES))));
    }

    #[test]
    fn finds_every_fault_and_its_place() {
        use RowFault as F;
        let count = |fields, expected| F::FieldCount { fields, expected };
        for (stream, fields, fault, row, offset) in [
            (&b"1\t2\n3\n\\.\n"[..], 2, count(1, 2), 2, 4),
            (b"1\t2\t3\n\\.\n", 2, count(3, 2), 1, 0),
            (b"a\n\\.\n", 0, count(1, 0), 1, 0),
            (b"a\nb\xff\n\\.\n", 1, F::NotInEncoding, 2, 3),
            (b"a\nb\\xff\n\\.\n", 1, F::NotInEncoding, 2, 3),
            (b"a\nb\\303c\n\\.\n", 1, F::NotInEncoding, 2, 3),
            (b"a\\303\n\\251\n\\.\n", 1, F::NotInEncoding, 1, 1),
            (b"a\0\n\\.\n", 1, F::NulByte, 1, 1),
            (b"a\\x00\n\\.\n", 1, F::NulByte, 1, 1),
            (b"a\r\n\\.\n", 1, F::CarriageReturn, 1, 1),
            (b"a\\\nb\n\\.\n", 1, F::EscapedLineEnd, 1, 1),
            (b"a\n1\\\t2\n\\.\n", 1, F::EscapedTab, 2, 3),
            (b"a\nb\\.\n\\.\n", 1, F::StrayEndMarker, 2, 3),
            (b"\\.x\n\\.\n", 1, F::StrayEndMarker, 1, 0),
            (b"a\n", 1, F::MissingEndMarker, 2, 2),
            (b"a\nb\\", 1, F::MissingEndMarker, 2, 4),
            (b"a\n\\.\n\nb\n", 1, F::DataAfterMarker, 2, 6),
            // The first fault is reported.
            (b"1\t2\n3\xff\n\\.\n", 1, count(2, 1), 1, 0),
        ] {
            for sizes in [&[100_usize][..], &[1; 20], &[2, 3, 4]] {
                let found = scan(stream, fields, TextEncoding::Utf8, sizes);
                assert_eq!(found, Err((fault.clone(), row, offset)), "{:?} {sizes:?}", stream.escape_ascii());
            }
        }
    }

    #[test]
    fn takes_other_encodings_as_they_are() {
        let latin1 = b"\xe9\n\\351\n\\.\n";
        assert_eq!(scan(latin1, 1, TextEncoding::Bytes, &[100]), Ok(2));
        // In SJIS the second byte of a character can be a backslash.
        let sjis = b"\x83\\\n\x83\\.\n\\N\n\\.\n";
        assert_eq!(scan(sjis, 1, TextEncoding::NotAsciiSafe, &[100]), Ok(3));
    }

    #[test]
    fn a_row_has_a_limit() {
        let mut scanner = RowScanner { limit: 4, ..RowScanner::new(1, TextEncoding::Utf8) };
        scanner.scan(b"abc\nabcd").unwrap();
        let fault = scanner.scan(b"e").unwrap_err();
        assert_eq!((fault.fault, fault.row), (RowFault::TooLong { limit: 4 }, 2));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            rows in prop::collection::vec("[ab\\\\.\tNx30é]{0,6}", 0..8),
            sizes in prop::collection::vec(1_usize..9, 0..40),
            tail in prop::sample::select(vec!["\\.\n", "\\.\n\n\n", "\\.", "", "\\.\nx"]),
        ) {
            let stream = format!("{}{tail}", rows.iter().map(|row| format!("{row}\n")).collect::<String>());
            let expected = whole(stream.as_bytes(), 2);
            prop_assert_eq!(&scan(stream.as_bytes(), 2, TextEncoding::Utf8, &sizes), &expected);
        }

        /// The reader of a restore splits streams that are sound here in the same way.
        #[test]
        fn sound_streams_are_those_that_restores_read(
            stream in prop::collection::vec(prop::sample::select(b"ab\\.\t\nNx3\r\x00\xc3\xa9".to_vec()), 0..40),
        ) {
            if let Ok(rows) = whole(&stream, 1) {
                let mut out = Vec::new();
                let mut splitter = RowSplitter::new(EndMarker::Required);
                splitter.push(&stream, &mut out).unwrap();
                prop_assert_eq!(splitter.finish(&mut out), Ok(rows));
                prop_assert!(rows_of(&out).all(|row| fields_of(row).count() == 1));
            }
        }
    }
}
