//! Text that the server sends: COPY TO STDOUT, and bytes that it converts.

use super::TargetError;
use super::session::Session;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

/// The rows of a COPY TO STDOUT, chunk by chunk.
pub(crate) struct CopyOut<'a> {
    stream: BoxStream<'a, Result<bytes::Bytes, sqlx::Error>>,
}

impl CopyOut<'_> {
    /// The next chunk; `None` at the end.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<bytes::Bytes>, TargetError> {
        self.stream.next().await.transpose().map_err(TargetError::doing("read a table"))
    }
}

impl Session {
    /// Starts COPY TO STDOUT.
    pub(crate) async fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>, TargetError> {
        let stream = self.conn().copy_out_raw(sql).await.map_err(TargetError::doing("read a table"))?;
        Ok(CopyOut { stream })
    }

    /// Bytes in one of PostgreSQL's encodings, converted by the server.
    pub(crate) async fn convert(
        &mut self,
        bytes: &[u8],
        encoding: &str,
        doing: &str,
    ) -> Result<String, TargetError> {
        let query = sqlx::query_scalar::<_, String>("SELECT pg_catalog.convert_from($1, $2)");
        let converted = query.bind(bytes).bind(encoding).fetch_one(self.conn()).await;
        converted.map_err(TargetError::doing(doing))
    }
}
