//! Reads a table's COPY stream as runs of complete rows.

use crate::archive::DataReader;
use crate::copy::{EndMarker, RowSplitter, remove_oids};
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
    pub(crate) fn new(table: &'a TableLoad, data: &'a mut DataReader<'b>) -> Self {
        let drop_oids = matches!(&table.form, RowForm::Copy(copy) if copy.has_oids);
        let splitter = Some(RowSplitter::new(EndMarker::Required));
        Self { table, data, splitter, chunk: Vec::new(), drop_oids }
    }

    /// The next rows and their number; `None` at the end, which the stream must mark.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, u64)>> {
        let broken = |error: crate::copy::CopyError| -> Error {
            RestoreError::Data { table: self.table.table.to_string(), reason: error.to_string() }.into()
        };
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
