//! A connection with the settings that a restore needs, and a current role.

use crate::server::activity::Activity;
use crate::server::connect::{Connection, connect_at_once};
use crate::server::settings::SETTINGS;
use crate::server::trust::Trust;
use crate::server::{TargetConfig, TargetError, connect, transaction};
use crate::sql::{StandardStrings, quote_ident, quote_literal};
use futures_util::StreamExt;
use sqlx::postgres::{PgCopyIn, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How soon a busy server process notices that pgmig is gone.
const CLIENT_CHECK: &str = "SET client_connection_check_interval = '10s'";

/// How long saying good-bye may take.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// One connection to one database.
pub(crate) struct Session {
    conn: PgConnection,
    trust: Trust,
    activity: Arc<Activity>,
    version: i32,
    pid: i32,
    /// The process that the other end named at the login.
    process_at_login: Option<i32>,
    /// The role that has logged in.
    login: String,
    /// The role that `RESET ROLE` leads to.
    base_role: String,
    role: Option<String>,
    /// The role when each open transaction began: undoing one undoes SET ROLE, too.
    roles_before: Vec<Option<String>>,
    /// The ID of the transaction that holds everything which is done on this session.
    one_transaction: Option<String>,
}

impl Session {
    /// Connects as `su_username` and applies the settings.
    pub(crate) async fn open(
        config: &TargetConfig,
        database: &str,
        application: &str,
    ) -> Result<Self, TargetError> {
        Self::set_up(connect(config, config.login(), database, application).await?).await
    }

    /// Connects as [`open`](Self::open) does, but does not wait for a connection slot: there are other sessions to
    /// do the work.
    pub(crate) async fn open_another(
        config: &TargetConfig,
        database: &str,
        application: &str,
    ) -> Result<Self, TargetError> {
        Self::set_up(connect_at_once(config, config.login(), database, application).await?).await
    }

    async fn set_up(connection: Connection) -> Result<Self, TargetError> {
        let mut session = Self {
            conn: connection.session,
            trust: connection.trust,
            activity: connection.activity,
            version: 0,
            pid: 0,
            process_at_login: connection.process,
            login: String::new(),
            base_role: String::new(),
            role: None,
            roles_before: Vec::new(),
            one_transaction: None,
        };
        session.execute(SETTINGS, "set up the session").await?;
        let sql = "SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.pg_backend_pid(), \
                   session_user, current_user, \
                   CASE WHEN pg_catalog.current_setting('is_superuser') = 'on' \
                       AND pg_catalog.current_setting('session_replication_role') <> 'origin' \
                   THEN pg_catalog.set_config('session_replication_role', 'origin', false) END";
        let rows = session.rows(sql, "read the server's version").await?;
        if let Some(row) = rows.first() {
            (session.version, session.pid) = (row.number(0), row.number(1));
            (session.login, session.base_role) = (row.text(2).to_owned(), row.text(3).to_owned());
        }
        session.activity.set_process(session.pid);
        session.set_up_rest().await?;
        session.activity.set_short(false);
        Ok(session)
    }

    /// Sets what not every server has, or not every role may set.
    async fn set_up_rest(&mut self) -> Result<(), TargetError> {
        let session = self;
        if session.version >= 140_000 {
            session.execute("SET idle_session_timeout = 0", "set up the session").await?;
            // Some platforms do not support this setting.
            let _ = session.execute(CLIENT_CHECK, "set up the session").await;
        }
        if session.version >= 170_000 {
            session.execute("SET transaction_timeout = 0", "set up the session").await?;
        }
        // Minor releases of 2024 brought the first, which would close views; only a superuser may set the second.
        let sql = "SELECT name FROM pg_catalog.pg_settings \
                   WHERE name = 'restrict_nonsystem_relation_kind' AND setting <> '' \
                      OR name = 'session_replication_role' AND setting <> 'origin'";
        for row in session.rows(sql, "read the session's settings").await? {
            let value = if row.text(0) == "session_replication_role" { "origin" } else { "''" };
            let _ = session.execute(&format!("SET {} = {value}", row.text(0)), "set up the session").await;
        }
        Ok(())
    }

    /// Sets whether the session asks only what a server answers at once. A server that leaves such a question without an
    /// answer is given up; any other statement may take as long as it likes.
    /// Returns what was set before.
    pub(crate) fn expect_answers(&self, are_expected: bool) -> bool {
        let was = self.activity.is_short();
        self.activity.set_short(are_expected);
        was
    }

    /// The server's version as a number, 150018 for 15.18.
    pub(crate) fn server_version(&self) -> i32 {
        self.version
    }

    /// Whether a pooler or another proxy stands between: it names another process than the server does.
    pub(crate) fn is_through_proxy(&self) -> bool {
        self.process_at_login.is_some_and(|process| process != self.pid)
    }

    /// What is known of the server.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The server process.
    pub(crate) fn backend_pid(&self) -> i32 {
        self.pid
    }

    /// The connection itself, for what is not a plain statement.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    /// Runs statements that return nothing of interest, in one message; several are one transaction. Returns
    /// the number of rows that they affected. `doing` completes "could not ...".
    pub(crate) async fn execute(&mut self, sql: &str, doing: &str) -> Result<u64, TargetError> {
        self.execute_long(sql.to_owned(), doing).await
    }

    /// The same for a text that may be large: it is not copied.
    pub(crate) async fn execute_long(&mut self, sql: String, doing: &str) -> Result<u64, TargetError> {
        let result = self.conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
        result.map(|done| done.rows_affected()).map_err(TargetError::doing(doing))
    }

    /// Runs one statement that pgmig has not written, by the extended protocol: the server refuses a text that holds
    /// several.
    pub(crate) async fn execute_one(&mut self, sql: &str, doing: &str) -> Result<u64, TargetError> {
        let query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
        let result = self.conn.execute(query).await;
        result.map(|done| done.rows_affected()).map_err(TargetError::doing(doing))
    }

    /// Runs a query and returns its rows as text, NULL as `None`. For catalogs: not for large results.
    pub(crate) async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<TextRow>, TargetError> {
        let rows = self.conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        let rows = rows.map_err(TargetError::doing(doing))?;
        rows.iter().map(|row| TextRow::read(row, doing)).collect()
    }

    /// Runs a query and hands over its rows one by one, for results that can be long.
    pub(crate) async fn each_row(
        &mut self,
        sql: &str,
        doing: &str,
        mut take: impl FnMut(TextRow),
    ) -> Result<(), TargetError> {
        let mut rows = self.conn.fetch(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        while let Some(row) = rows.next().await {
            take(TextRow::read(&row.map_err(TargetError::doing(doing))?, doing)?);
        }
        Ok(())
    }

    /// Runs a query for one value.
    pub(crate) async fn value(&mut self, sql: &str, doing: &str) -> Result<String, TargetError> {
        Ok(self.optional(sql, doing).await?.unwrap_or_default())
    }

    /// Runs a query for one value that may be NULL or absent.
    pub(crate) async fn optional(&mut self, sql: &str, doing: &str) -> Result<Option<String>, TargetError> {
        let rows = self.rows(sql, doing).await?;
        Ok(rows.into_iter().next().and_then(|row| row.0.into_iter().next().flatten()))
    }

    /// Runs a query for a condition.
    pub(crate) async fn holds(&mut self, sql: &str, doing: &str) -> Result<bool, TargetError> {
        Ok(self.value(sql, doing).await? == "t")
    }

    /// Starts COPY FROM STDIN.
    pub(crate) async fn copy_in(&mut self, sql: &str) -> Result<PgCopyIn<&mut PgConnection>, sqlx::Error> {
        self.conn.copy_in_raw(sql).await
    }

    /// Becomes `role`, or `su_username` again for `None`.
    pub(crate) async fn become_role(&mut self, role: Option<&str>) -> Result<(), TargetError> {
        if self.role.as_deref() == role {
            return Ok(());
        }
        let (sql, doing) = match role {
            Some(role) => {
                (format!("SET ROLE {}", quote_ident(role)), format!("become role {}", quote_ident(role)))
            }
            None => ("RESET ROLE".to_owned(), "become su_username again".to_owned()),
        };
        self.execute(&sql, &doing).await?;
        self.role = role.map(str::to_owned);
        Ok(())
    }

    /// Begins a transaction; within one, a savepoint.
    pub(crate) async fn begin(&mut self, doing: &str) -> Result<(), TargetError> {
        transaction::begin(&mut self.conn).await.map_err(TargetError::doing(doing))?;
        self.roles_before.push(self.role.clone());
        Ok(())
    }

    /// Commits what [`begin`](Self::begin) began last.
    pub(crate) async fn commit(&mut self, doing: &str) -> Result<(), TargetError> {
        let committed = transaction::commit(&mut self.conn).await.map_err(TargetError::doing(doing));
        if let Err(error) = &committed
            && error.is_answer()
        {
            // The server has rolled back already; sqlx has yet to know.
            let _ = transaction::rollback(&mut self.conn).await;
        }
        self.roles_before.pop();
        committed
    }

    /// Undoes what [`begin`](Self::begin) began last.
    pub(crate) async fn rollback(&mut self, doing: &str) -> Result<(), TargetError> {
        transaction::rollback(&mut self.conn).await.map_err(TargetError::doing(doing))?;
        if let Some(role) = self.roles_before.pop() {
            self.role = role;
        }
        Ok(())
    }

    /// Undoes all that was begun and not ended: a future that was dropped may have begun it.
    pub(crate) async fn undo_all(&mut self, doing: &str) -> Result<(), TargetError> {
        while transaction::depth(&self.conn) > 0 {
            self.rollback(doing).await?;
        }
        // sqlx counts a transaction once its BEGIN is answered. A future that was dropped before may have begun one that
        // is not counted; where there is none, this is a warning of the server's.
        self.execute("ROLLBACK", doing).await.map(drop)
    }

    /// Commits what [`begin`](Self::begin) began last if all of it is done; undoes it otherwise.
    pub(crate) async fn end<T, E: From<TargetError>>(
        &mut self,
        done: Result<T, E>,
        doing: &str,
    ) -> Result<T, E> {
        match done {
            Ok(_) => self.commit(doing).await?,
            // The first error says more than that of a rollback on a connection that is lost.
            Err(_) => drop(self.rollback(doing).await),
        }
        done
    }

    /// Empties search_path, so that an object of a user cannot replace one of the catalogs. Returns what it was, for
    /// [`return_to_search_path`](Self::return_to_search_path).
    pub(crate) async fn leave_search_path(&mut self, doing: &str) -> Result<String, TargetError> {
        let path = self.value("SHOW search_path", doing).await?;
        self.execute("SET search_path = ''", doing).await?;
        Ok(path)
    }

    /// Sets search_path to what [`leave_search_path`](Self::leave_search_path) returned.
    pub(crate) async fn return_to_search_path(&mut self, path: &str, doing: &str) -> Result<(), TargetError> {
        let sql = format!("SELECT pg_catalog.set_config('search_path', {}, false)", quote_literal(path));
        self.execute(&sql, doing).await.map(drop)
    }

    /// Begins the transaction that is to hold everything which is done on this session from now on: parts of the work
    /// that are transactions of their own elsewhere are none here.
    pub(crate) async fn begin_one_transaction(&mut self, doing: &str) -> Result<(), TargetError> {
        self.begin(doing).await?;
        self.one_transaction = Some(self.current_transaction(doing).await?);
        Ok(())
    }

    /// Undoes everything; what is done from now on is as on any other session.
    pub(crate) async fn end_one_transaction(&mut self, doing: &str) -> Result<(), TargetError> {
        self.one_transaction = None;
        self.rollback(doing).await
    }

    /// The ID of the transaction that holds everything; `None` where there is none such.
    pub(crate) fn one_transaction(&self) -> Option<&str> {
        self.one_transaction.as_deref()
    }

    /// Whether the transaction that is to hold everything is still open. Only a statement that ends transactions can
    /// have ended it.
    pub(crate) async fn is_same_transaction(&mut self) -> Result<bool, TargetError> {
        let now = self.current_transaction("look whether the transaction is still open").await?;
        Ok(self.one_transaction.as_ref().is_none_or(|one| *one == now))
    }

    /// What a statement that pgmig has not written has changed of this session, although pgmig relies on it.
    pub(crate) async fn change(&mut self, strings: StandardStrings) -> Result<Option<Change>, TargetError> {
        let transaction = if self.is_one_transaction() { self.transaction_id() } else { "NULL" };
        let sql = format!(
            "SELECT session_user, current_user, pg_catalog.current_setting('standard_conforming_strings'), {transaction}"
        );
        let rows = self.rows(&sql, "look whether the session is as it was").await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let role = self.role.as_ref().unwrap_or(&self.base_role);
        let strings = if strings == StandardStrings::On { "on" } else { "off" };
        Ok(if self.one_transaction.as_deref() != row.get(3) {
            Some(Change::Transaction)
        } else if row.text(0) != self.login || row.text(1) != role {
            Some(Change::Role)
        } else if row.text(2) != strings {
            Some(Change::Strings)
        } else {
            None
        })
    }

    async fn current_transaction(&mut self, doing: &str) -> Result<String, TargetError> {
        self.value(&format!("SELECT {}", self.transaction_id()), doing).await
    }

    fn transaction_id(&self) -> &'static str {
        if self.version >= 130_000 { "pg_catalog.pg_current_xact_id()" } else { "pg_catalog.txid_current()" }
    }

    /// Whether one transaction holds everything.
    pub(crate) fn is_one_transaction(&self) -> bool {
        self.one_transaction.is_some()
    }

    /// Begins a transaction for a part of the work, unless one transaction holds everything. Not even a savepoint is
    /// made there: COPY FREEZE is refused within one, and nothing of the work is ever undone in part.
    pub(crate) async fn begin_part(&mut self, doing: &str) -> Result<(), TargetError> {
        if self.is_one_transaction() { Ok(()) } else { self.begin(doing).await }
    }

    /// Commits what [`begin_part`](Self::begin_part) began.
    pub(crate) async fn commit_part(&mut self, doing: &str) -> Result<(), TargetError> {
        if self.is_one_transaction() { Ok(()) } else { self.commit(doing).await }
    }

    /// Says good-bye to the server; an error there changes nothing, nor does a server that does not listen.
    pub(crate) async fn close(self) {
        let _ = timeout(GOOD_BYE, self.conn.close()).await;
    }
}

/// What a statement can change of a session, although pgmig relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The transaction that is to hold everything has ended.
    Transaction,
    /// Who logged in, or as whom statements run.
    Role,
    /// `standard_conforming_strings`, by which pgmig finds the end of a string.
    Strings,
}

/// A row whose values are text.
#[derive(Debug, Clone)]
pub(crate) struct TextRow(Vec<Option<String>>);

impl TextRow {
    fn read(row: &PgRow, doing: &str) -> Result<Self, TargetError> {
        let values = (0..row.len()).map(|column| {
            row.try_get_unchecked::<Option<String>, _>(column).map_err(TargetError::doing(doing))
        });
        Ok(Self(values.collect::<Result<_, _>>()?))
    }

    /// The value in `column` (from 0); NULL and a column that is not there are `None`.
    pub(crate) fn get(&self, column: usize) -> Option<&str> {
        self.0.get(column).and_then(Option::as_deref)
    }

    /// The value in `column`, "" for NULL.
    pub(crate) fn text(&self, column: usize) -> &str {
        self.get(column).unwrap_or_default()
    }

    /// The value in `column` as a number; 0 for NULL and what is no number.
    pub(crate) fn number<N: std::str::FromStr + Default>(&self, column: usize) -> N {
        self.text(column).parse().unwrap_or_default()
    }

    /// Whether the value in `column` is true.
    pub(crate) fn is_true(&self, column: usize) -> bool {
        self.text(column) == "t"
    }
}
