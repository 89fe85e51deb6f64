//! The writing side of the load: pieces from the archive go to the server, which acknowledges them.

use super::error::{RestoreError, RowError};
use super::execute::Executor;
use super::failpoint::Failpoints;
use super::pieces::{LargeObjectPart, Piece, Pieces, TableEnd};
use super::plan::{RowForm, RunAs, TableLoad};
use super::report::{Replacements, TableReport};
use super::step::Step;
use super::watch::Watch;
use crate::copy::{CopyOptions, CopyStatement};
use crate::error::Result;
use crate::progress::Progress;
use crate::sql::{QualifiedName, quote_literal};
use crate::target::{ServerError, TargetError};
use bytes::Bytes;
use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;
use std::collections::HashMap;

/// A COPY is ended and begun anew, within the table's transaction, after this many bytes: the server reports a
/// bad row only at a COPY's end, and acknowledges no row before.
const COPY_BYTES: usize = 16 * 1024 * 1024;

/// The largest COPY message.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Large objects as they were loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LargeObjectTotals {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// IDs found in them, replaced or not, and in how many of them.
    pub(super) ids: u64,
    pub(super) with_ids: u64,
}

/// What the load did.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) tables: Vec<TableReport>,
    pub(super) large_objects: LargeObjectTotals,
    /// Mapping keys that left pgmig though they should not have, by table.
    pub(super) leftovers: Vec<(String, u64)>,
}

/// What the load needs to know.
pub(super) struct Loader<'a> {
    pub(super) executor: &'a mut Executor,
    pub(super) tables: &'a [TableLoad],
    /// Tables to which rows of a partition go instead, by the partition.
    pub(super) roots: &'a HashMap<QualifiedName, QualifiedName>,
    /// The archive's encoding, where it is not the session's UTF-8.
    pub(super) encoding: Option<String>,
    /// Whether large objects have to be made when their data come.
    pub(super) create_large_objects: bool,
    pub(super) watch: &'a Watch,
    pub(super) failpoints: Failpoints,
    pub(super) progress: &'a dyn Progress,
    pub(super) on_bytes: &'a (dyn Fn() + Sync),
}

impl Loader<'_> {
    /// Loads everything that comes.
    ///
    /// # Errors
    ///
    /// The server's refusal of a row, or what ended the reading.
    pub(super) async fn run(&mut self, mut pieces: Pieces) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        let mut failed = None;
        while let Some(piece) = pieces.next().await {
            (self.on_bytes)();
            let result = match piece {
                Piece::Table(index) => self.table(index, &mut pieces, &mut loaded).await,
                Piece::LargeObjects(parts) => self.large_objects(parts, &mut loaded.large_objects).await,
                _ => Ok(()),
            };
            if let Err(error) = result {
                failed = Some(error);
                break;
            }
        }
        match failed {
            // The reading's own error explains an end of pieces in the middle of a table.
            Some(error) if is_cut_short(&error) => pieces.finish().await.and(Err(error)),
            Some(error) => Err(error),
            None => pieces.finish().await.map(|()| loaded),
        }
    }

    async fn table(&mut self, index: usize, pieces: &mut Pieces, loaded: &mut Loaded) -> Result<()> {
        let Some(load) = self.tables.get(index) else { return Err(cut_short()) };
        let name = load.table.to_string();
        self.progress.table(&name);
        let doing = format!("load table {name}");
        self.executor.become_role(&load.run_as).await?;
        self.executor.session.execute("BEGIN", &doing).await?;
        let (end, acknowledged) = match &load.form {
            RowForm::Copy(copy) => self.copy(load, copy, pieces).await?,
            RowForm::Inserts { schema } => self.inserts(&doing, schema.as_deref(), pieces).await?,
        };
        if end.rows != acknowledged && !end.is_uncounted {
            let fault =
                format!("table {name}: {acknowledged} rows were acknowledged of {} in the archive", end.rows);
            return Err(RestoreError::Verification(vec![fault]).into());
        }
        self.executor.session.execute("COMMIT", &doing).await?;
        self.progress.rows(acknowledged);
        if end.leftovers > 0 {
            loaded.leftovers.push((name.clone(), end.leftovers));
        }
        loaded.tables.push(report(name, acknowledged, end));
        Ok(())
    }

    async fn copy(
        &mut self,
        load: &TableLoad,
        copy: &CopyStatement,
        pieces: &mut Pieces,
    ) -> Result<(TableEnd, u64)> {
        let target = self.roots.get(&copy.table).unwrap_or(&copy.table).clone();
        let sql = copy.to_sql(&target, &CopyOptions { encoding: self.encoding.clone(), freeze: false });
        let mut acknowledged = 0;
        loop {
            let segment = self.segment(&sql, pieces).await;
            match segment {
                Ok((rows, end)) => {
                    acknowledged += rows;
                    self.progress.rows(acknowledged);
                    if let Some(end) = end {
                        return Ok((end, acknowledged));
                    }
                }
                Err(Failure::Server(error)) => {
                    return Err(self.refused(load, &target, error, acknowledged).await);
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
    }

    /// One COPY: up to [`COPY_BYTES`], or to the table's end. Returns the rows that the server acknowledged.
    async fn segment(
        &mut self,
        sql: &str,
        pieces: &mut Pieces,
    ) -> std::result::Result<(u64, Option<TableEnd>), Failure> {
        let failpoints = self.failpoints;
        let mut copy = self.executor.session.copy_in(sql).await?;
        let mut sent = 0;
        while sent < COPY_BYTES {
            match pieces.next().await {
                Some(Piece::Rows(bytes)) => {
                    sent += bytes.len();
                    send(&mut copy, bytes, self.watch).await?;
                    (self.on_bytes)();
                    if let Err(stop) = failpoints.pass(Step::Data) {
                        let _ = copy.abort("stopped at a failpoint").await;
                        return Err(Failure::Other(stop.into()));
                    }
                }
                Some(Piece::TableEnd(end)) => return Ok((copy.finish().await?, Some(end))),
                _ => {
                    // An error would only hide the reason why the pieces ended.
                    let _ = copy.abort("the archive could not be read on").await;
                    return Err(Failure::Other(cut_short()));
                }
            }
        }
        Ok((copy.finish().await?, None))
    }

    /// Makes the error of a refused row, without any of its values.
    async fn refused(
        &mut self,
        load: &TableLoad,
        target: &QualifiedName,
        error: sqlx::Error,
        acknowledged: u64,
    ) -> crate::Error {
        let server = ServerError::from_sqlx(&error, &format!("load table {}", load.table));
        let Some(sqlstate) = server.sqlstate.clone() else { return TargetError::from(server).into() };
        let (line, column) = server.context.as_deref().map(copy_place).unwrap_or_default();
        let fits_no_partition = sqlstate == "23514" && server.constraint.is_none();
        let bounds = if fits_no_partition { self.bounds(target).await } else { Vec::new() };
        let row = RowError {
            table: load.table.to_string(),
            row: line.map(|line| acknowledged + line),
            column: column.or(server.column),
            condition: condition(&sqlstate, &server.message),
            sqlstate,
            constraint: server.constraint,
            bounds,
        };
        RestoreError::Row(Box::new(row)).into()
    }

    /// The partitions of a table and their bounds, for an error message.
    async fn bounds(&mut self, table: &QualifiedName) -> Vec<String> {
        let sql = format!(
            "SELECT c.oid::pg_catalog.regclass || ' ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid) \
             FROM pg_catalog.pg_partition_tree({}::pg_catalog.regclass) t \
             JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE c.relpartbound IS NOT NULL",
            quote_literal(&table.to_string())
        );
        let session = &mut self.executor.session;
        if session.execute("ROLLBACK", "undo the load").await.is_err() {
            return Vec::new();
        }
        let rows = session.rows(&sql, "list the partitions").await.unwrap_or_default();
        rows.iter().map(|row| row.text(0).to_owned()).collect()
    }

    async fn inserts(
        &mut self,
        doing: &str,
        schema: Option<&str>,
        pieces: &mut Pieces,
    ) -> Result<(TableEnd, u64)> {
        self.executor.set_schema(schema).await?;
        let mut acknowledged = 0;
        loop {
            match pieces.next().await {
                Some(Piece::Statements(sql)) => {
                    let sql = self.in_utf8(sql, doing).await?;
                    let done = self.executor.session.execute(&sql, doing).await;
                    acknowledged += done.map_err(TargetError::without_message)?;
                    (self.on_bytes)();
                    self.progress.rows(acknowledged);
                    self.failpoints.pass(Step::Data)?;
                }
                Some(Piece::TableEnd(end)) => return Ok((end, acknowledged)),
                _ => return Err(cut_short()),
            }
        }
    }

    /// SQL text of the archive in the session's encoding: the server converts it, as it does with COPY data.
    async fn in_utf8(&mut self, sql: Vec<u8>, doing: &str) -> Result<String> {
        match (String::from_utf8(sql), &self.encoding) {
            (Ok(sql), None) => Ok(sql),
            (Ok(sql), Some(_)) if sql.is_ascii() => Ok(sql),
            (Ok(sql), Some(encoding)) => {
                let encoding = encoding.clone();
                Ok(self.executor.session.convert(sql.as_bytes(), &encoding, doing).await?)
            }
            (Err(error), Some(encoding)) => {
                let encoding = encoding.clone();
                Ok(self.executor.session.convert(error.as_bytes(), &encoding, doing).await?)
            }
            (Err(_), None) => {
                let reason = "it holds bytes that are not UTF-8, the archive's encoding".to_owned();
                Err(RestoreError::Data { table: doing.to_owned(), reason }.into())
            }
        }
    }

    async fn large_objects(
        &mut self,
        parts: Vec<LargeObjectPart>,
        totals: &mut LargeObjectTotals,
    ) -> Result<()> {
        self.executor.become_role(&RunAs::Owner).await?;
        let (mut oids, mut offsets, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            totals.objects += u64::from(part.offset == 0);
            totals.bytes += part.bytes.len() as u64;
            totals.ids += part.ids;
            totals.with_ids += u64::from(part.ids > 0);
            oids.push(i64::from(part.oid));
            offsets.push(i64::try_from(part.offset).unwrap_or(i64::MAX));
            contents.push(part.bytes);
        }
        let doing = "load large objects";
        if self.create_large_objects {
            let sql = "SELECT count(pg_catalog.lo_create(o::pg_catalog.oid)) \
                       FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[])) AS t(o, b) \
                       WHERE b = 0";
            let query = sqlx::query(sql).bind(&oids).bind(&offsets);
            query.execute(self.executor.session.conn()).await.map_err(TargetError::doing(doing))?;
        }
        let sql = "SELECT count(pg_catalog.lo_put(o::pg_catalog.oid, b, d)) \
                   FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[]), \
                   pg_catalog.unnest($3::bytea[])) AS t(o, b, d)";
        let query = sqlx::query(sql).bind(&oids).bind(&offsets).bind(&contents);
        query.execute(self.executor.session.conn()).await.map_err(TargetError::doing(doing))?;
        self.failpoints.pass(Step::LargeObjects)?;
        Ok(())
    }
}

/// Why a COPY ended before its time.
enum Failure {
    Server(sqlx::Error),
    Other(crate::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Server(error)
    }
}

/// Sends COPY data; what the server has against them is only read at the end.
async fn send(
    copy: &mut PgCopyIn<&mut PgConnection>,
    bytes: Bytes,
    watch: &Watch,
) -> std::result::Result<(), Failure> {
    // One piece can hold a single huge row; sqlx keeps a buffer of the largest message that it was given.
    for message in bytes.chunks(MESSAGE_BYTES) {
        tokio::select! {
            sent = copy.send(message) => drop(sent?),
            () = watch.stuck() => {
                watch.end().await;
                return Err(Failure::Other(RestoreError::Stalled.into()));
            }
        }
    }
    Ok(())
}

/// Stands for the reading's own error until that is known.
fn cut_short() -> crate::Error {
    RestoreError::Internal("the data ended in the middle of a table".to_owned()).into()
}

fn is_cut_short(error: &crate::Error) -> bool {
    matches!(error, crate::Error::Restore(RestoreError::Internal(_)))
}

fn report(table: String, rows: u64, end: TableEnd) -> TableReport {
    let counted = |counts: Vec<u64>| -> Vec<Replacements> {
        let counted = end.columns.iter().zip(counts).filter(|(_, count)| *count > 0);
        counted.map(|(column, count)| Replacements { column: column.clone(), count }).collect()
    };
    let (replacements, left) = (counted(end.replaced), counted(end.left));
    TableReport { table, rows, bytes: end.bytes, replacements, left }
}

/// Line and column of `COPY t, line 3, column c`.
fn copy_place(context: &str) -> (Option<u64>, Option<String>) {
    let Some(line_at) = context.rfind(", line ") else { return (None, None) };
    let rest = context.get(line_at + ", line ".len()..).unwrap_or_default();
    match rest.split_once(", column ") {
        Some((line, column)) => (line.parse().ok(), Some(column.to_owned())),
        None => (rest.parse().ok(), None),
    }
}

/// What an SQLSTATE means, in words that hold no values.
fn condition(sqlstate: &str, message: &str) -> String {
    let known = match sqlstate {
        "22P02" | "22007" | "22008" | "2200M" | "22030" | "22032" => "the value is not of the column's type",
        "22P04" => "the row has not as many fields as the table has columns, or is not COPY text",
        "22001" => "the value is too long for the column",
        "22003" => "the number is out of range",
        "22021" | "22P05" => {
            "the bytes are not valid in the archive's encoding, or have no equivalent in the database's"
        }
        "23502" => "the value is missing (NULL) in a column that is NOT NULL",
        "23503" => "the row that it refers to does not exist",
        "23505" => "the key exists already",
        "23514" => "the row violates a check constraint, or fits no partition",
        "23P01" => "the row conflicts with another one (exclusion constraint)",
        "54000" | "54001" => "the value is too large",
        "53100" => "the server's disk is full",
        "53200" => "the server is out of memory",
        "57014" => "the statement was cancelled",
        "57P01" | "57P02" | "57P03" => "the server was shut down",
        _ => match sqlstate.get(..2) {
            // These are about objects, rights and resources; no value of a row is in their messages.
            Some("08" | "42" | "53" | "55" | "57" | "58") => message,
            _ => "the server refused it",
        },
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_bad_row_is_read_from_the_context() {
        assert_eq!(copy_place("COPY workspace, line 3, column id"), (Some(3), Some("id".into())));
        assert_eq!(copy_place("COPY t, line x, line 12"), (Some(12), None));
        assert_eq!(copy_place("PL/pgSQL function f()"), (None, None));
    }
}
