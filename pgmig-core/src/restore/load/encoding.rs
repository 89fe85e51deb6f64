//! INSERT statements of the archive in the encoding that the session sends.

use super::worker::Worker;
use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::sql::bytes_as_escapes;

impl Worker<'_, '_> {
    /// SQL text of the archive in the session's encoding. The server converts it, as it converts COPY data.
    pub(super) async fn in_utf8(&mut self, sql: Vec<u8>, doing: &str) -> Result<String> {
        let work = self.crew.work;
        if work.is_raw && work.encoding.as_deref().is_none_or(|encoding| encoding == "SQL_ASCII") {
            return bytes_as_escapes(&sql, self.executor.strings()).ok_or_else(|| {
                let reason = "a name in its INSERT statements has bytes that are not UTF-8".to_owned();
                RestoreError::Data { table: doing.to_owned(), reason }.into()
            });
        }
        let session = &mut self.executor.session;
        match (String::from_utf8(sql), &self.crew.work.encoding) {
            (Ok(sql), None) => Ok(sql),
            (Ok(sql), Some(_)) if sql.is_ascii() => Ok(sql),
            (Ok(sql), Some(encoding)) => Ok(session.convert(sql.as_bytes(), encoding, doing).await?),
            (Err(error), Some(encoding)) => Ok(session.convert(error.as_bytes(), encoding, doing).await?),
            (Err(_), None) => {
                let reason = "it holds bytes that are not UTF-8, the archive's encoding".to_owned();
                Err(RestoreError::Data { table: doing.to_owned(), reason }.into())
            }
        }
    }
}
