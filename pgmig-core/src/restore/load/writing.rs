//! The writing side of the load: sends pieces to the server, which acknowledges them.

use super::active_feed::{ActiveFeed, Share};
use super::feed::{BudgetGuard, Content, Piece, Rows};
use super::loaded::cut_short;
use super::noting::NOTING;
use super::refused_row::{RefusedRow, SentRows};
use super::watch::Watch;
use super::worker::Worker;
use crate::copy::{CopyOptions, CopyStatement};
use crate::error::Result;
use crate::progress::{Event, Step};
use crate::restore::error::RestoreError;
use crate::restore::plan::{RowForm, RunAs, TableLoad, TempTable};
use crate::server::TargetError;
use crate::sql::{QualifiedName, quote_literal};
use bytes::Bytes;
use sqlx::postgres::PgCopyIn;
use sqlx::{AssertSqlSafe, PgConnection};

/// pgmig ends a COPY after this many bytes, and begins the next in the same transaction. The server reports a bad
/// row, and acknowledges rows, only at the end of a COPY. A table that is loaded alone gets one COPY, as from pg_restore: the
/// code that runs for a row would see the rows of an earlier COPY.
const COPY_BYTES: usize = 16 * 1024 * 1024;

/// After so many bytes of rows pgmig commits, where the record of a resumable restore notes them: then a run that goes on need not
/// load them again.
const COMMIT_BYTES: u64 = 32 * 1024 * 1024;

/// The largest COPY message.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Up to this size, several tables are loaded in one transaction.
const SMALL_TABLE_BYTES: u64 = 256 * 1024;

/// How many of them; each holds locks until the end of the transaction.
const TABLES_AT_ONCE: usize = 64;

impl Worker<'_, '_> {
    pub(crate) async fn load(&mut self, number: usize, share: Share) -> Result<()> {
        let Some(active) = self.crew.active(number) else { return Ok(()) };
        let (mut alone, mut is_buffered) = (true, false);
        match active.feed.content {
            Content::Table(index) => {
                let Some(load) = self.crew.work.tables.get(index) else { return Err(cut_short()) };
                let table = load.table.to_string();
                self.crew.work.progress.event(&Event::TableBegan { table: &table });
                self.table(load, &active, share).await?;
                (alone, is_buffered) = (load.is_alone(), load.temp_table().is_some());
            }
            Content::LargeObjects(_) => self.large_objects(&active).await?,
        }
        self.pending.push(number);
        if alone || is_buffered || self.pending.len() >= TABLES_AT_ONCE || active.bytes() > SMALL_TABLE_BYTES
        {
            self.commit().await?;
        }
        Ok(())
    }

    /// Loads a share of a feed that another connection began.
    pub(crate) async fn help(&mut self, number: usize) -> Result<()> {
        let Some(active) = self.crew.active(number) else { return Ok(()) };
        // Only tables are shared.
        let Content::Table(index) = active.feed.content else { return Err(cut_short()) };
        let Some(load) = self.crew.work.tables.get(index) else { return Err(cut_short()) };
        self.table(load, &active, Share::Help).await?;
        self.pending.push(number);
        self.commit().await
    }

    /// Commits the loaded rows; no other work may rely on them before.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        let note = self.note();
        self.uncommitted = 0;
        if std::mem::take(&mut self.in_transaction) {
            self.executor.require_unchanged("code that runs when rows are loaded").await?;
            if let Some(note) = note {
                self.executor.session.execute(&note, NOTING).await?;
            }
            self.executor.session.commit_part("commit the rows").await?;
            self.executor.take_back().await?;
        } else if let Some(note) = note {
            self.executor.become_role(&RunAs::Owner).await?;
            self.executor.session.execute(&note, NOTING).await?;
        }
        for number in std::mem::take(&mut self.pending) {
            self.crew.leave(number)?;
        }
        Ok(())
    }

    async fn table(&mut self, load: &TableLoad, active: &ActiveFeed, share: Share) -> Result<()> {
        if load.temp_table().is_some() {
            // The temporary table is dropped when its transaction ends.
            self.commit().await?;
        }
        match &load.form {
            RowForm::Copy(copy) => self.copy(load, copy, active, share).await?,
            RowForm::Inserts { schema } => self.inserts(load, schema.as_deref(), active).await?,
        }
        match load.temp_table().filter(|_| self.in_transaction) {
            Some(buffer) => self.insert_buffered(load, buffer, active).await,
            None => Ok(()),
        }
    }

    /// Inserts the rows of the temporary table into the target's table, every one of them.
    async fn insert_buffered(
        &mut self,
        load: &TableLoad,
        buffer: &TempTable,
        active: &ActiveFeed,
    ) -> Result<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(buffer.insert.clone()));
        let target = load.destination(self.crew.work.roots);
        let inserted = match sql.execute(self.executor.session.conn()).await {
            Ok(done) => done.rows_affected(),
            Err(error) => {
                return Err(self.refused(load, target, &error, &SentRows::default(), Vec::new()).await);
            }
        };
        let rows = active.acknowledged();
        if inserted == rows {
            return Ok(());
        }
        let fault = format!(
            "table {}: {inserted} of its {rows} rows got into the target's table {target}; does a trigger keep the others \
             out?",
            load.table
        );
        Err(RestoreError::Verification(vec![fault]).into())
    }

    /// Opens a transaction, unless one is open. Only pgmig writes, so a failure undoes no more than it must.
    async fn begin(&mut self, load: &TableLoad, doing: &str) -> Result<()> {
        self.executor.become_role(&load.run_as).await?;
        if load.run_as == RunAs::Superuser {
            self.executor.lend(load.destination(self.crew.work.roots)).await?;
        }
        if !self.in_transaction {
            self.executor.session.begin_part(doing).await?;
            self.in_transaction = true;
            if let Some(buffer) = load.temp_table() {
                self.executor.session.execute(&buffer.create, doing).await?;
            }
        }
        Ok(())
    }

    async fn copy(
        &mut self,
        load: &TableLoad,
        copy: &CopyStatement,
        active: &ActiveFeed,
        share: Share,
    ) -> Result<()> {
        let work = self.crew.work;
        let is_frozen = self.is_frozen(load, active, share);
        let (target, sql) = self.copy_sql(load, copy, is_frozen);
        let name = load.table.to_string();
        let mut truncate = is_frozen;
        // After a failure, no query is possible in the restore's one transaction.
        let ask_now = self.executor.session.is_one_transaction() && *target != load.table;
        let bounds = if ask_now { self.bounds_now(target).await } else { Vec::new() };
        let most_bytes = if load.is_alone() { usize::MAX } else { COPY_BYTES };
        // A table without rows needs no COPY.
        while let Some(piece) = self.crew.next_piece(active, share).await? {
            let (Piece::Rows(rows), held) = piece else { return Err(cut_short()) };
            let doing = format!("load table {name}");
            self.begin(load, &doing).await?;
            if std::mem::take(&mut truncate) {
                self.executor.session.execute(&format!("TRUNCATE ONLY {target}"), &doing).await?;
            }
            let mut sent = SentRows::default();
            match self.segment((&sql, most_bytes), (rows, held), active, share, &mut sent).await {
                Ok(acknowledged) => {
                    let rows = active.acknowledge(acknowledged);
                    let event = Event::TableRows { table: &name, rows, bytes: active.bytes_taken() };
                    work.progress.event(&event);
                    self.will_note(load, sent.runs(), acknowledged);
                    self.uncommitted += sent.bytes();
                }
                Err(Failure::Server(error)) => {
                    return Err(self.refused(load, target, &error, &sent, bounds).await);
                }
                Err(Failure::Other(error)) => return Err(error),
            }
            if !is_frozen && self.uncommitted >= COMMIT_BYTES && self.may_commit_early(load) {
                self.commit().await?;
            }
        }
        Ok(())
    }

    /// Whether a part of the table can be committed before the rest, so that a run which goes on need not load it again. The
    /// tables of an extension have their constraints already, and can defer them.
    fn may_commit_early(&self, load: &TableLoad) -> bool {
        self.crew.work.record.is_kept() && !load.is_alone() && load.into.is_none()
    }

    /// Whether COPY can freeze the rows, so that no vacuum has to visit them again. The server allows that if the
    /// same transaction has emptied the table and no other session loads it.
    fn is_frozen(&self, load: &TableLoad, active: &ActiveFeed, share: Share) -> bool {
        let copied = matches!(&load.form, RowForm::Copy(copy) if copy.table == load.table);
        let stays = *load.destination(self.crew.work.roots) == load.table;
        // In the target itself, readers with an older snapshot would see frozen rows.
        let is_staged = !self.executor.session.is_one_transaction() && active.before == 0;
        // A table that the archive does not make is an extension's, and has rows of its own.
        is_staged && !load.alone && share == Share::Whole && copied && stays && load.into.is_none()
    }

    /// The table into which the rows finally go, and the COPY statement.
    fn copy_sql<'l>(
        &self,
        load: &'l TableLoad,
        copy: &'l CopyStatement,
        freeze: bool,
    ) -> (&'l QualifiedName, String)
    where
        Self: 'l,
    {
        let work = self.crew.work;
        let options = CopyOptions { encoding: work.encoding.clone(), freeze };
        let Some(into) = &load.into else {
            let target = work.roots.get(&copy.table).unwrap_or(&copy.table);
            return (target, copy.to_sql(target, &options));
        };
        let sql = match &into.temp_table {
            Some(buffer) => copy.to_sql(&buffer.table, &options),
            None => {
                let columns = copy.columns.as_ref().map(|_| into.columns.clone());
                CopyStatement { columns, ..copy.clone() }.to_sql(&into.table, &options)
            }
        };
        (&into.table, sql)
    }

    /// One COPY, up to so many bytes or the end of the feed. Returns the number of rows that the server
    /// acknowledged.
    async fn segment(
        &mut self,
        (sql, most_bytes): (&str, usize),
        first: (Rows, BudgetGuard),
        active: &ActiveFeed,
        share: Share,
        sent: &mut SentRows,
    ) -> std::result::Result<u64, Failure> {
        let (crew, pid) = (self.crew, self.pid);
        let mut copy = self.executor.session.copy_in(sql).await?;
        let mut bytes_sent = 0;
        let mut next = Some(first);
        while let Some((rows, held)) = next.take() {
            sent.push(&rows);
            bytes_sent += rows.bytes.len();
            send(&mut copy, rows.bytes, &crew.work.watch, pid).await?;
            // The reader of a huge row waits for it.
            drop(held);
            if let Err(stop) = crew.work.failpoints.pass(Step::Data) {
                let _ = copy.abort("stopped at a failpoint").await;
                return Err(Failure::Other(stop.into()));
            }
            if bytes_sent >= most_bytes {
                break;
            }
            next = match crew.next_piece(active, share).await {
                Ok(Some((Piece::Rows(rows), held))) => Some((rows, held)),
                Ok(None) => None,
                Ok(Some(_)) | Err(_) => {
                    // An error here would only hide the reason why the pieces ended.
                    let _ = copy.abort("the archive could not be read on").await;
                    return Err(Failure::Other(cut_short()));
                }
            };
        }
        Ok(copy.finish().await?)
    }

    /// Makes the error for a refused row, without any of its values.
    async fn refused(
        &mut self,
        load: &TableLoad,
        target: &QualifiedName,
        error: &sqlx::Error,
        sent: &SentRows,
        known_bounds: Vec<String>,
    ) -> crate::Error {
        let refused = match RefusedRow::of(error, load) {
            Ok(refused) => refused,
            Err(error) => return error.into(),
        };
        let bounds = match refused.fits_no_partition() {
            true if known_bounds.is_empty() => self.bounds(target).await,
            true => known_bounds,
            false => Vec::new(),
        };
        refused.into_error(load, sent, bounds).into()
    }

    /// The partitions of a table and their bounds, for an error message. Undoes the load first.
    async fn bounds(&mut self, table: &QualifiedName) -> Vec<String> {
        let session = &mut self.executor.session;
        // The restore's one transaction accepts no query after a failure, and after it the partitions are other ones.
        if session.is_one_transaction() || session.rollback("undo the load").await.is_err() {
            return Vec::new();
        }
        self.bounds_now(table).await
    }

    async fn bounds_now(&mut self, table: &QualifiedName) -> Vec<String> {
        let sql = format!(
            "SELECT c.oid::pg_catalog.regclass || ' ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid) \
             FROM pg_catalog.pg_partition_tree({}::pg_catalog.regclass) t \
             JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE c.relpartbound IS NOT NULL",
            quote_literal(&table.to_string())
        );
        let rows = self.executor.session.rows(&sql, "list the partitions").await.unwrap_or_default();
        rows.iter().map(|row| row.text(0).to_owned()).collect()
    }

    async fn inserts(&mut self, load: &TableLoad, schema: Option<&str>, active: &ActiveFeed) -> Result<()> {
        let work = self.crew.work;
        let name = load.table.to_string();
        let doing = format!("load table {name}");
        self.executor.become_role(&load.run_as).await?;
        self.executor.set_schema(schema).await?;
        while let Some(piece) = self.crew.next_piece(active, Share::Own).await? {
            let (Piece::Statements(sql), _held) = piece else { return Err(cut_short()) };
            self.begin(load, &doing).await?;
            let sql = self.in_utf8(sql, &doing).await?;
            let done = self.executor.session.execute_long(sql, &doing).await;
            let rows = active.acknowledge(done.map_err(TargetError::without_message)?);
            self.executor.require_unchanged(&name).await?;
            work.progress.event(&Event::TableRows { table: &name, rows, bytes: active.bytes_taken() });
            work.failpoints.pass(Step::Data)?;
        }
        self.will_note(load, &[], active.acknowledged());
        Ok(())
    }
}

/// Why a COPY ended too early.
enum Failure {
    Server(sqlx::Error),
    Other(crate::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Server(error)
    }
}

/// Sends COPY data to the server process `pid`. The server's errors are only read at the end.
async fn send(
    copy: &mut PgCopyIn<&mut PgConnection>,
    bytes: Bytes,
    watch: &Watch,
    pid: i32,
) -> std::result::Result<(), Failure> {
    // One piece can hold a single huge row, and sqlx keeps a buffer as large as the largest message.
    for message in bytes.chunks(MESSAGE_BYTES) {
        tokio::select! {
            sent = copy.send(message) => drop(sent?),
            () = watch.stuck(pid) => {
                watch.end(pid).await;
                return Err(Failure::Other(RestoreError::Stalled.into()));
            }
        }
    }
    Ok(())
}
