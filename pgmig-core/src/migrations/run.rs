//! Applies a plan on one dedicated connection, one migration at a time.

use super::constraints;
use super::error::SchemaError;
use super::history;
use super::lock::MigrationLock;
use super::one_transaction::{LeftBehind, why_alone, without_concurrently};
use super::plan::UpgradePlan;
use super::reindex;
use super::row_security::{self, Lifted};
use super::set::MigrationFile;
use super::settings::Settings;
use crate::migrations::statement_lines::{self, PlacedStatement};
use crate::migrations::transaction_block::Words;
use crate::profile::Profile;
use crate::server::{ServerError, TargetError, transaction};
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use std::time::{Duration, Instant};

/// Splits SQL into statements, which are parts of the text in their order. The error is the reason why it cannot be
/// split.
pub type SplitStatements = for<'a> fn(&'a str) -> Result<Vec<&'a str>, String>;

/// A migration that has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// The migration's version.
    pub version: i64,
    /// The migration's description.
    pub description: String,
    /// How long it took.
    pub took: Duration,
}

impl Migrated {
    fn of(file: &MigrationFile, took: Duration) -> Self {
        Self { version: file.version(), description: file.description().to_owned(), took }
    }
}

/// A running upgrade. Between two calls of [`Upgrade::next`] the caller may do other work, or stop.
///
/// If it is dropped without [`Upgrade::finish`], the session keeps sqlx's advisory lock until it ends: close the
/// session.
#[derive(Debug)]
#[must_use = "nothing is applied until next() is called; finish() releases the lock"]
pub struct Upgrade<'a> {
    connection: &'a mut PgConnection,
    pending: std::slice::Iter<'a, MigrationFile>,
    split: SplitStatements,
    /// The history table, qualified and quoted.
    table: String,
    lock: MigrationLock,
    before: Settings,
    /// The settings with which each migration begins.
    own: Settings,
}

/// Checks the texts of a plan's migrations: that each can be split into statements, and that none copies rows from
/// the client. A migration that runs in a transaction must not control transactions, or contain statements that
/// cannot run in one. [`Upgrade::begin`] checks the same, but a caller can do so much earlier.
///
/// # Errors
///
/// [`SchemaError::Split`], [`SchemaError::CopyThroughClient`], [`SchemaError::TransactionControl`] and
/// [`SchemaError::OutsideTransaction`], with the file and the line.
pub fn check(plan: &UpgradePlan, split: SplitStatements) -> Result<(), SchemaError> {
    plan.migrations().iter().try_for_each(|file| check_statements(file, split))
}

impl<'a> Upgrade<'a> {
    /// Checks the migrations' texts, takes sqlx's advisory lock (waiting at most 30 seconds) and sets the profile's
    /// `search_path`. Creates the history table if it does not exist. All statements run as the session's current
    /// role.
    ///
    /// # Errors
    ///
    /// A migration in a transaction controls transactions, another session keeps the lock, or the server refuses a
    /// statement.
    pub async fn begin(
        connection: &'a mut PgConnection,
        profile: &Profile,
        plan: &'a UpgradePlan,
        split: SplitStatements,
    ) -> Result<Self, SchemaError> {
        check(plan, split)?;
        let table = history::qualified(connection, profile).await?;
        let lock = MigrationLock::acquire(connection).await?;
        match prepare(connection, profile, &table).await {
            Ok((before, own)) => {
                Ok(Self { connection, pending: plan.migrations().iter(), split, table, lock, before, own })
            }
            Err(error) => {
                let _ = lock.release(connection).await;
                Err(error)
            }
        }
    }

    /// The migration that [`next`](Self::next) will apply; `None` after the last.
    pub fn upcoming(&self) -> Option<&'a MigrationFile> {
        self.pending.as_slice().first()
    }

    /// Applies the next migration; returns `None` when all have been applied.
    ///
    /// Lifts FORCE ROW LEVEL SECURITY from the current role's tables, and sets it again in the same transaction. For
    /// a `-- no-transaction` file that happens before and after the migration.
    ///
    /// If the connection has an open transaction, the migration runs in it. Indexes are then built without
    /// CONCURRENTLY, since no other session sees their tables.
    /// [`check_in_one_transaction`](super::check_in_one_transaction) finds other statements that need their own
    /// transaction beforehand.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Migration`]. A migration that failed left no changes behind, unless it is `-- no-transaction`.
    pub async fn next(&mut self) -> Result<Option<Migrated>, SchemaError> {
        let Some(file) = self.pending.next() else { return Ok(None) };
        // Settings of a migration apply to itself only.
        self.own.set_back(self.connection).await?;
        let took = if file.is_no_transaction() && !is_in_transaction(self.connection) {
            self.apply_without_transaction(file).await?
        } else {
            self.apply_in_transaction(file).await?
        };
        Ok(Some(Migrated::of(file, took)))
    }

    /// Applies the next migration in one transaction, even if it is a `-- no-transaction` file, so that an interruption leaves
    /// nothing half done. Indexes are built without CONCURRENTLY, as [`next`](Self::next) does in an open transaction.
    ///
    /// Returns `None` and leaves the migration for [`next`](Self::next) if it cannot run so: it controls transactions, or the
    /// server refuses a statement.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Target`] and [`SchemaError::Migration`] if the connection is lost.
    pub async fn next_as_whole(&mut self) -> Result<Option<Migrated>, SchemaError> {
        let Some(file) = self.upcoming() else { return Ok(None) };
        let statements = split(file, self.split)?;
        if statements.iter().any(|statement| why_alone(*statement).is_some()) {
            return Ok(None);
        }
        self.own.set_back(self.connection).await?;
        match self.attempt(file, &statements, How::Whole).await {
            Ok(took) => {
                self.pending.next();
                Ok(Some(Migrated::of(file, took)))
            }
            Err(error) if error.is_answer() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The connection, for work between migrations. Role and `search_path` must not be changed.
    pub fn connection(&mut self) -> &mut PgConnection {
        self.connection
    }

    /// Restores the session's settings and releases the lock.
    ///
    /// # Errors
    ///
    /// The server refuses a statement, for example after a lost connection.
    pub async fn finish(self) -> Result<(), SchemaError> {
        self.before.set_back(self.connection).await?;
        Ok(self.lock.release(self.connection).await?)
    }

    /// Does the same as sqlx's `apply`, but one statement at a time, so that an error has a line. The transaction
    /// also contains the change of row level security.
    async fn apply_in_transaction(&mut self, file: &MigrationFile) -> Result<Duration, SchemaError> {
        let statements = split(file, self.split)?;
        if !is_in_transaction(self.connection) {
            return self.attempt(file, &statements, How::Alone).await;
        }
        let left = LeftBehind::of(self.connection, &statements).await?;
        let applied = match self.attempt(file, &statements, How::Part).await {
            Err(first) if first.is_answer() => {
                // Does it need deferred constraints? If these are in its way, that was not the reason.
                let second = self.attempt(file, &statements, How::PartWithDeferred).await;
                if second.as_ref().is_err_and(SchemaError::is_pending) { Err(first) } else { second }
            }
            applied => applied,
        }?;
        left.remove(self.connection).await?;
        Ok(applied)
    }

    async fn attempt(
        &mut self,
        file: &MigrationFile,
        statements: &[PlacedStatement<'_>],
        how: How,
    ) -> Result<Duration, SchemaError> {
        let start = Instant::now();
        let mut transaction =
            self.connection.begin().await.map_err(TargetError::doing("begin a transaction"))?;
        if how == How::PartWithDeferred {
            constraints::defer(&mut transaction).await?;
        }
        let lifted = lift(&mut transaction, file).await?;
        execute_all(&mut transaction, file, statements, how).await?;
        // The migration must answer for its deferred checks: they must not fail the commit, or block ALTER TABLE.
        constraints::set_immediate(&mut transaction)
            .await
            .map_err(|error| failed(file, &error, "check its deferred constraints"))?;
        if let Some(lifted) = lifted {
            lifted.set_back(&mut transaction).await?;
        }
        let took = start.elapsed();
        record(&mut transaction, &self.table, file, took).await?;
        transaction.commit().await.map_err(|error| failed(file, &error, "commit it"))?;
        Ok(took)
    }

    /// Two statements in one message would run in one transaction, which CREATE INDEX CONCURRENTLY and others refuse.
    async fn apply_without_transaction(&mut self, file: &MigrationFile) -> Result<Duration, SchemaError> {
        let start = Instant::now();
        let statements = split(file, self.split)?;
        let lifted = lift(self.connection, file).await?;
        let result = execute_all(self.connection, file, &statements, How::Alone).await;
        let set_back = match lifted {
            Some(lifted) => lifted.set_back(self.connection).await,
            None => Ok(()),
        };
        // The migration's own error comes first.
        result?;
        set_back?;
        let took = start.elapsed();
        record(self.connection, &self.table, file, took).await?;
        Ok(took)
    }
}

/// How a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// In its own transaction, or without any.
    Alone,
    /// In its own transaction, whatever the file says.
    Whole,
    /// In the open transaction, with no deferred constraints.
    Part,
    /// In the open transaction, with those constraints deferred that are initially deferred in a new one.
    PartWithDeferred,
}

/// Whether a transaction is open, of which the migrations become a part.
fn is_in_transaction(connection: &PgConnection) -> bool {
    transaction::depth(connection) > 0
}

async fn execute_all(
    connection: &mut PgConnection,
    file: &MigrationFile,
    statements: &[PlacedStatement<'_>],
    how: How,
) -> Result<(), SchemaError> {
    for statement in statements {
        let run = match how {
            How::Alone => vec![statement.sql.to_owned()],
            How::Whole | How::Part | How::PartWithDeferred => {
                match reindex::of_parts(connection, statement.sql).await? {
                    Some(parts) => parts,
                    None => vec![without_concurrently(statement.sql).into_owned()],
                }
            }
        };
        for sql in run {
            // Migrations are the operator's own programs: no part of them comes from data.
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.map_err(|error| {
                failed_at(file, *statement, ServerError::from_sqlx(&error, "run a statement"))
            })?;
        }
    }
    Ok(())
}

/// sqlx's `skip` writes the same row as its `apply`, but runs no migration.
async fn record(
    connection: &mut PgConnection,
    table: &str,
    file: &MigrationFile,
    took: Duration,
) -> Result<(), SchemaError> {
    connection
        .skip(table, file.migration())
        .await
        .map_err(|error| failed_with(file, None, server_error(error, "write the migration history")))?;
    sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET execution_time = $1 WHERE version = $2")))
        .bind(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX))
        .bind(file.version())
        .execute(connection)
        .await
        .map_err(TargetError::doing("write the migration history"))?;
    Ok(())
}

/// Returns two sets of the session's settings: the previous ones, and those for migrations.
async fn prepare(
    connection: &mut PgConnection,
    profile: &Profile,
    table: &str,
) -> Result<(Settings, Settings), SchemaError> {
    let before = Settings::of(connection).await?;
    let (schema, exists): (String, bool) = sqlx::query_as(
        "SELECT pg_catalog.quote_ident($1), pg_catalog.to_regnamespace(pg_catalog.quote_ident($1)) IS NOT NULL",
    )
    .bind(profile.schema())
    .fetch_one(&mut *connection)
    .await
    .map_err(TargetError::doing("look for the store's schema"))?;
    // CREATE SCHEMA IF NOT EXISTS requires the right to create schemas even if the schema exists.
    if !exists {
        connection
            .create_schema_if_not_exists(&schema)
            .await
            .map_err(|error| SchemaError::Target(server_error(error, "create the store's schema").into()))?;
    }
    sqlx::query(
        "SELECT pg_catalog.set_config('search_path', pg_catalog.string_agg(
             pg_catalog.quote_ident(path.name), ', ' ORDER BY path.position), false)
         FROM unnest($1::text[]) WITH ORDINALITY AS path (name, position)",
    )
    .bind(profile.search_path())
    .execute(&mut *connection)
    .await
    .map_err(TargetError::doing("set search_path"))?;
    connection
        .ensure_migrations_table(table)
        .await
        .map_err(|error| SchemaError::Target(server_error(error, "create the migration history").into()))?;
    Ok((before, Settings::of(connection).await?))
}

async fn lift(connection: &mut PgConnection, file: &MigrationFile) -> Result<Option<Lifted>, SchemaError> {
    if row_security::is_handled_by(file.sql()) {
        return Ok(None);
    }
    Ok(Some(Lifted::lift(connection).await?))
}

pub(super) fn split(
    file: &MigrationFile,
    split: SplitStatements,
) -> Result<Vec<PlacedStatement<'_>>, SchemaError> {
    let statements =
        split(file.sql()).map_err(|reason| SchemaError::Split { file: file.name().to_owned(), reason })?;
    Ok(statement_lines::place(file.sql(), &statements))
}

fn check_statements(file: &MigrationFile, splitter: SplitStatements) -> Result<(), SchemaError> {
    for statement in split(file, splitter)? {
        let (name, line) = (|| file.name().to_owned(), Some(statement.line));
        let words = Words::of(statement.sql);
        if words.copy_through_client() {
            return Err(SchemaError::CopyThroughClient { file: name(), line });
        }
        if file.is_no_transaction() {
            continue;
        }
        if let Some(keyword) = statement.transaction_control() {
            return Err(SchemaError::TransactionControl { file: name(), line, keyword });
        }
        if words.need_no_transaction() {
            let statement = statement.excerpt();
            return Err(SchemaError::OutsideTransaction { file: name(), line, statement });
        }
    }
    Ok(())
}

fn failed(file: &MigrationFile, error: &sqlx::Error, doing: &str) -> SchemaError {
    failed_with(file, None, ServerError::from_sqlx(error, doing))
}

/// The error of a failed statement. The statement is the operator's own text, so it is shown.
fn failed_at(file: &MigrationFile, at: PlacedStatement<'_>, error: ServerError) -> SchemaError {
    let line = at.line_of(error.position);
    match failed_with(file, Some(line), error) {
        SchemaError::Migration { version, description, line, error, .. } => {
            SchemaError::Migration { version, description, line, statement: Some(at.excerpt()), error }
        }
        other => other,
    }
}

/// Text that the server quotes, or that a migration raises, can contain values of rows. Neither is kept.
fn failed_with(file: &MigrationFile, line: Option<usize>, error: ServerError) -> SchemaError {
    let (version, description) = (file.version(), file.description().to_owned());
    let error = error.without_values().without_raised_text();
    SchemaError::Migration { version, description, line, statement: None, error: Box::new(error) }
}

fn server_error(error: MigrateError, doing: &str) -> ServerError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            ServerError::from_sqlx(&error, doing)
        }
        // sqlx returns its other errors only from Migrator, which is not used here.
        other => ServerError::from_sqlx(&sqlx::Error::Protocol(other.to_string()), doing),
    }
}
