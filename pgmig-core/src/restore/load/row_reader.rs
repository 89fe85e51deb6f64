//! Reads a table's COPY stream as runs of complete rows.

use crate::archive::DataReader;
use crate::copy::{CopyError, EndMarker, MAX_ROW_BYTES, RowSplitter, remove_oids};
use crate::error::{Error, Result};
use crate::restore::error::RestoreError;
use crate::restore::plan::{RowForm, TableLoad};

/// How many bytes are read at a time. COPY messages of 64 to 256 KiB are best: larger ones only use more memory.
pub(crate) const PIECE_BYTES: usize = 128 * 1024;

pub(crate) struct RowReader<'a, 'b> {
    table: &'a TableLoad,
    data: &'a mut DataReader<'b>,
    splitter: Option<RowSplitter>,
    chunk: Vec<u8>,
    drop_oids: bool,
}

impl<'a, 'b> RowReader<'a, 'b> {
    /// Refuses rows of more than `longest_row` bytes.
    pub(crate) fn new(table: &'a TableLoad, data: &'a mut DataReader<'b>, longest_row: usize) -> Self {
        let drop_oids = matches!(&table.form, RowForm::Copy(copy) if copy.has_oids);
        let splitter = Some(RowSplitter::new(EndMarker::Required).with_limit(longest_row));
        Self { table, data, splitter, chunk: Vec::new(), drop_oids }
    }

    /// The next rows and their number; `None` at the end, which the stream must mark.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, u64)>> {
        let broken = |error| broken(self.table.table.to_string(), &error);
        let mut out = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
        let mut rows = 0;
        while let Some(mut splitter) = self.splitter.take() {
            self.chunk.clear();
            if self.data.read_into(&mut self.chunk, PIECE_BYTES)? == 0 {
                splitter.finish(&mut out).map_err(broken)?;
                break;
            }
            rows += splitter.push(&self.chunk, &mut out).map_err(broken)?;
            self.splitter = Some(splitter);
            if rows > 0 {
                break;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        if self.drop_oids {
            remove_oids(&mut out);
        }
        Ok(Some((out, rows)))
    }
}

fn broken(table: String, error: &CopyError) -> Error {
    match *error {
        CopyError::RowTooLong { row, limit } if limit < MAX_ROW_BYTES => {
            RestoreError::RowTooLarge { table, row, limit: u64::try_from(limit).unwrap_or(u64::MAX) }.into()
        }
        _ => RestoreError::Data { table, reason: error.to_string() }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_does_not_fit_into_memory_is_no_damage() {
        let of = |limit| broken("t".to_owned(), &CopyError::RowTooLong { row: 7, limit }).to_string();
        assert!(of(5 << 20).starts_with("row 7 of table t is larger than 5 MiB"), "{}", of(5 << 20));
        assert!(of(MAX_ROW_BYTES).contains("damaged"), "{}", of(MAX_ROW_BYTES));
    }
}
