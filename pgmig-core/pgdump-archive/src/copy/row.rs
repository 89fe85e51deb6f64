//! Cuts a COPY stream into runs of whole rows.

use super::CopyError;
use memchr::memmem;

/// The longest row that is accepted, in bytes. No server can write or read a longer one.
pub const MAX_ROW_BYTES: usize = 1 << 30;

/// Whether the stream must end with a line `\.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndMarker {
    /// The line is required, as in archives and scripts.
    Required,
    /// The line is optional. Without it the end of input ends the stream, and a last line without a line end is a
    /// row.
    Optional,
}

/// Cuts a COPY stream into runs of whole rows. The stream is given in chunks of any size.
///
/// ```
/// use pgdump_archive::copy::{EndMarker, RowSplitter};
/// let mut splitter = RowSplitter::new(EndMarker::Required);
/// let mut rows = Vec::new();
/// assert_eq!(splitter.push(b"1\ta\n2", &mut rows)?, 1);
/// assert_eq!(rows, b"1\ta\n");
/// rows.clear();
/// assert_eq!(splitter.push(b"\tb\n\\.\n\n\n", &mut rows)?, 1);
/// assert_eq!(rows, b"2\tb\n");
/// assert_eq!(splitter.finish(&mut rows)?, 2);
/// # Ok::<(), pgdump_archive::copy::CopyError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct RowSplitter {
    marker: EndMarker,
    /// The beginning of a row whose end has not come yet.
    partial: Vec<u8>,
    rows: u64,
    ended: bool,
    limit: usize,
}

impl RowSplitter {
    /// A splitter at the beginning of a stream.
    pub fn new(marker: EndMarker) -> Self {
        Self { marker, partial: Vec::new(), rows: 0, ended: false, limit: MAX_ROW_BYTES }
    }

    /// Accepts only rows up to this length in bytes. More than [`MAX_ROW_BYTES`] are never accepted.
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit: limit.min(MAX_ROW_BYTES), ..self }
    }

    /// The number of complete rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the end-of-data marker has been read.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads the next bytes of the stream. Appends to `out` all rows that they complete, each with its line end, but
    /// not the end-of-data marker. Returns the number of these rows.
    ///
    /// # Errors
    ///
    /// [`CopyError::DataAfterMarker`], [`CopyError::RowTooLong`].
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<u64, CopyError> {
        if self.ended {
            return self.expect_nothing(chunk).map(|()| 0);
        }
        let complete = memchr::memrchr(b'\n', chunk).map_or(0, |last| last.saturating_add(1));
        let (whole, rest) = chunk.split_at_checked(complete).unwrap_or((chunk, &[]));
        let begin = out.len();
        if !whole.is_empty() {
            // A long row is not copied: it can be most of the memory that the caller uses.
            if out.is_empty() && self.partial.len() > out.capacity() {
                std::mem::swap(out, &mut self.partial);
            } else {
                out.append(&mut self.partial);
            }
            out.extend_from_slice(whole);
        }
        if let Some(marker) = find_marker(out.get(begin..).unwrap_or_default()) {
            let after = out.split_off(begin.saturating_add(marker));
            let rows = self.count(out.get(begin..));
            self.ended = true;
            self.expect_nothing(after.get(MARKER_LINE.len()..).unwrap_or_default())?;
            return self.expect_nothing(rest).map(|()| rows);
        }
        let rows = self.count(out.get(begin..));
        if self.partial.len().saturating_add(rest.len()) > self.limit {
            return Err(CopyError::RowTooLong { row: self.rows.saturating_add(1), limit: self.limit });
        }
        self.partial.extend_from_slice(rest);
        Ok(rows)
    }

    /// Ends the stream. Appends a last row without a line end, where that is allowed. Returns the number of all rows.
    ///
    /// # Errors
    ///
    /// [`CopyError::MissingEndMarker`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<u64, CopyError> {
        if self.ended || self.partial == b"\\." {
            return Ok(self.rows);
        }
        match self.marker {
            EndMarker::Required => Err(CopyError::MissingEndMarker { rows: self.rows }),
            EndMarker::Optional if self.partial.is_empty() => Ok(self.rows),
            EndMarker::Optional => {
                out.append(&mut self.partial);
                out.push(b'\n');
                Ok(self.rows.saturating_add(1))
            }
        }
    }

    /// Adds these rows to the count and returns their number.
    fn count(&mut self, rows: Option<&[u8]>) -> u64 {
        let rows = memchr::memchr_iter(b'\n', rows.unwrap_or_default()).count();
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.rows = self.rows.saturating_add(rows);
        rows
    }

    fn expect_nothing(&self, bytes: &[u8]) -> Result<(), CopyError> {
        if bytes.iter().all(|&byte| matches!(byte, b'\n' | b'\r')) {
            return Ok(());
        }
        Err(CopyError::DataAfterMarker { rows: self.rows })
    }
}

/// The end-of-data marker as a line.
const MARKER_LINE: &[u8] = b"\\.\n";

/// Where the marker's line begins in `rows`, which begins with a row. Elsewhere `\.` is data: the end of a field that
/// holds `\\.`.
fn find_marker(rows: &[u8]) -> Option<usize> {
    memmem::find_iter(rows, MARKER_LINE)
        .find(|&at| at.checked_sub(1).is_none_or(|before| rows.get(before) == Some(&b'\n')))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All rows of `stream`, given in chunks of these sizes, and the result of the whole.
    fn split(stream: &[u8], sizes: &[usize], marker: EndMarker) -> (Vec<u8>, Result<u64, CopyError>) {
        let mut splitter = RowSplitter::new(marker);
        let (mut out, mut rest) = (Vec::new(), stream);
        for size in sizes.iter().chain(std::iter::repeat(&7)) {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            let before = splitter.rows();
            match splitter.push(chunk, &mut out) {
                Ok(rows) => assert_eq!(splitter.rows(), before + rows),
                Err(error) => return (out, Err(error)),
            }
            assert!(out.is_empty() || out.ends_with(b"\n"));
            rest = after;
        }
        let result = splitter.finish(&mut out);
        (out, result)
    }

    #[test]
    fn finds_the_marker_only_alone_on_a_line() {
        let stream = b"\\\\.\n.\n\\\\.\t\\.x\n\\N\n\n\\.\n\n\n";
        let (out, rows) = split(stream, &[1000], EndMarker::Required);
        assert_eq!((out.as_slice(), rows), (&stream[..stream.len() - 5], Ok(5)));
        assert_eq!(split(b"\\.\n", &[], EndMarker::Required), (vec![], Ok(0)));
        assert_eq!(split(b"a\n\\.", &[], EndMarker::Required), (b"a\n".to_vec(), Ok(1)));
    }

    #[test]
    fn reports_a_stream_without_end() {
        for stream in [b"".as_slice(), b"a\n", b"a\nb", b"a\n\\"] {
            let rows = u64::from(stream.len() > 1);
            let (_, result) = split(stream, &[], EndMarker::Required);
            assert_eq!(result, Err(CopyError::MissingEndMarker { rows }));
        }
        assert_eq!(split(b"a\nb", &[], EndMarker::Optional), (b"a\nb\n".to_vec(), Ok(2)));
        assert_eq!(split(b"", &[], EndMarker::Optional), (vec![], Ok(0)));
    }

    #[test]
    fn reports_data_after_the_marker() {
        for sizes in [&[100_usize][..], &[4], &[5], &[6], &[1, 1, 1, 1, 1, 1, 1]] {
            let (out, result) = split(b"a\n\\.\n\nb", sizes, EndMarker::Required);
            assert_eq!(
                (out.as_slice(), result),
                (b"a\n".as_slice(), Err(CopyError::DataAfterMarker { rows: 1 }))
            );
        }
    }

    #[test]
    fn limits_a_row() {
        let mut splitter = RowSplitter { limit: 10, ..RowSplitter::new(EndMarker::Required) };
        let mut out = Vec::new();
        splitter.push(b"a\n12345", &mut out).unwrap();
        splitter.push(b"67890", &mut out).unwrap();
        assert_eq!(splitter.push(b"1", &mut out), Err(CopyError::RowTooLong { row: 2, limit: 10 }));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            rows in prop::collection::vec("[a\\\\.\t]{0,5}", 0..12),
            sizes in prop::collection::vec(1_usize..9, 0..40),
            tail in prop::sample::select(vec!["\\.\n", "\\.\n\n\n", "\\.", "", "\\.\nx"]),
        ) {
            let stream = format!("{}{tail}", rows.iter().map(|row| format!("{row}\n")).collect::<String>());
            let whole = split(stream.as_bytes(), &[stream.len()], EndMarker::Required);
            prop_assert_eq!(&split(stream.as_bytes(), &sizes, EndMarker::Required), &whole);
            let expected: Vec<&String> = rows.iter().take_while(|row| row.as_str() != "\\.").collect();
            let text: String = expected.iter().map(|row| format!("{row}\n")).collect();
            prop_assert_eq!(whole.0, text.into_bytes());
        }
    }
}
