//! Runs the plan's statements in the staging database: as whom each wants, with the settings it wants.

mod refused_entry;

use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::plan::transaction_control::control_in;
use crate::restore::plan::{RunAs, Task};
use crate::restore::refusal::Refusal;
use crate::restore::superuser_session::SuperuserSession;
use crate::rewrite::{Rules, rewrite_ddl};
use crate::server::TargetError;
use crate::server::session::{Change, Session};
use crate::sql::{Lexer, QualifiedName, StandardStrings, quote_ident, quote_literal, split_statements};
use refused_entry::entry_error;
use std::borrow::Cow;
use std::sync::Arc;

/// The most entries that are sent together; each takes locks until the end.
const BATCH_TASKS: usize = 64;

/// The most text that is sent together.
const BATCH_BYTES: usize = 256 * 1024;

/// How often an entry is tried that comes in another connection's way.
const ATTEMPTS: usize = 5;

/// SQLSTATEs of that: a deadlock, and a row of the catalogs that two sessions changed at once.
const IN_THE_WAY: [&str; 2] = ["40P01", "XX000"];

/// A session on the staging database that remembers what it has set.
pub(crate) struct Executor {
    pub(crate) session: Session,
    /// Where code of the archive has a login of its own, and that is not `su_username`'s: the session that makes what only
    /// a superuser can make.
    superuser: Option<SuperuserSession>,
    /// Tables of extensions that `username` may fill for now.
    lent: Vec<QualifiedName>,
    /// `username`.
    owner: String,
    strings: StandardStrings,
    /// Rules for the literals of DDL; `None` keeps them.
    pub(crate) rules: Option<Arc<Rules>>,
    schema: Option<String>,
    tablespace: String,
    access_method: Option<String>,
    /// Whether no rows have been loaded yet. The server's messages then hold no values, only definitions.
    pub(crate) is_before_rows: bool,
    /// Replacements in DDL so far.
    pub(crate) replaced: u64,
}

impl Executor {
    /// Takes a session that is fresh, and applies more settings to it.
    ///
    /// # Errors
    ///
    /// If the session cannot be set up.
    pub(crate) async fn new(
        mut session: Session,
        superuser: Option<SuperuserSession>,
        owner: &str,
        strings: StandardStrings,
        rules: Option<Arc<Rules>>,
        settings: &str,
    ) -> Result<Self> {
        let on_off = if strings == StandardStrings::On { "on" } else { "off" };
        let sql = format!("SET standard_conforming_strings = {on_off}; {settings}");
        session.execute(&sql, "set up the session").await?;
        Ok(Self {
            session,
            superuser,
            lent: Vec::new(),
            owner: owner.to_owned(),
            strings,
            rules,
            schema: None,
            tablespace: String::new(),
            access_method: None,
            is_before_rows: false,
            replaced: 0,
        })
    }

    /// Runs many entries' statements, in order. Those that agree in role and settings go to the server together, as
    /// one transaction; if that fails, it is as if it had not been tried, and they run one by one: what fails
    /// then is named, and what cannot run in a transaction does not have to.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) async fn run_all(&mut self, tasks: &[&Task]) -> Result<()> {
        let mut rest = tasks;
        while let Some((first, _)) = rest.split_first() {
            let together = self.batch_length(rest).max(1);
            let (batch, after) = rest.split_at_checked(together).unwrap_or((rest, &[]));
            rest = after;
            if batch.len() == 1 {
                self.run_patiently(first).await?;
            } else if !self.run_together(batch).await? {
                for task in batch {
                    self.run_patiently(task).await?;
                }
            }
        }
        Ok(())
    }

    /// How many of the first of these tasks can be sent together.
    fn batch_length(&self, tasks: &[&Task]) -> usize {
        let Some(first) = tasks.first() else { return 0 };
        let Some(run_as) = single_role(first).filter(|_| !self.session.is_one_transaction()) else {
            return 1;
        };
        let mut bytes = 0;
        let fits = |task: &&&Task| {
            bytes += task.statements.iter().map(|(_, sql)| sql.len()).sum::<usize>();
            bytes <= BATCH_BYTES
                && task.settings == first.settings
                && single_role(task) == Some(run_as)
                && task.statements.iter().all(|(_, sql)| self.ends_cleanly(sql))
        };
        tasks.iter().take(BATCH_TASKS).take_while(fits).count()
    }

    /// Whether this text cannot swallow what comes after it.
    fn ends_cleanly(&self, sql: &str) -> bool {
        Lexer::new(sql.as_bytes(), self.strings).all(|token| token.is_ok())
    }

    /// Sends these tasks, which agree in role and settings, in one message, which is one transaction. False if the
    /// server refuses it.
    async fn run_together(&mut self, tasks: &[&Task]) -> Result<bool> {
        let Some(run_as) = tasks.first().and_then(|task| single_role(task)).cloned() else {
            return Ok(false);
        };
        self.refuse_control(tasks)?;
        if let Some(task) = tasks.first() {
            self.settings(task).await?;
        }
        self.become_role(&run_as).await?;
        let before = self.replaced;
        let mut all = String::new();
        for (_, sql) in tasks.iter().flat_map(|task| &task.statements) {
            all.push_str(&self.rewritten(sql));
            // A line end, as the text can end in a comment.
            all.push_str("\n;\n");
        }
        match self.execute_together(&run_as, &all, tasks).await {
            Ok(()) => Ok(true),
            Err(crate::Error::Target(error)) if error.is_answer() => {
                self.replaced = before;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends statements in one message.
    async fn execute_together(&mut self, run_as: &RunAs, sql: &str, tasks: &[&Task]) -> Result<()> {
        const DOING: &str = "create objects";
        if let Some(superuser) = self.superuser.as_mut().filter(|_| *run_as == RunAs::Superuser) {
            return Ok(superuser.get().await?.execute(sql, DOING).await.map(drop)?);
        }
        self.session.execute(sql, DOING).await?;
        let label = |task: Option<&&Task>| task.map(|task| task.label.clone()).unwrap_or_default();
        let culprit = format!("one of {} to {}", label(tasks.first()), label(tasks.last()));
        self.require_unchanged(&culprit).await
    }

    /// Runs one entry's statements, again if they came in the way of another connection's.
    async fn run_patiently(&mut self, task: &Task) -> Result<()> {
        // A statement that failed in the one transaction cannot be tried again, and no other connection is in its way.
        let attempts = if self.session.is_one_transaction() { 1 } else { ATTEMPTS };
        for _ in 1..attempts {
            match self.run(task).await {
                Err(crate::Error::Restore(RestoreError::Entry { sqlstate, .. }))
                    if IN_THE_WAY.contains(&sqlstate.as_str()) && task.statements.len() == 1 => {}
                done => return done,
            }
        }
        self.run(task).await
    }

    /// Runs one entry's statements.
    ///
    /// # Errors
    ///
    /// [`RestoreError::Entry`] if the server refuses one.
    pub(crate) async fn run(&mut self, task: &Task) -> Result<()> {
        self.refuse_control(&[task])?;
        let is_superusers = task.statements.iter().all(|(run_as, _)| *run_as == RunAs::Superuser);
        if let Some(superuser) = self.superuser.as_mut().filter(|_| is_superusers) {
            return run_ours(superuser.get().await?, task, self.is_before_rows).await;
        }
        self.settings(task).await?;
        // An object of the superuser's that is handed over is never the superuser's for others to see.
        let is_handed_over = is_superusers && task.statements.len() > 1 && !self.session.is_one_transaction();
        if is_handed_over {
            self.become_role(&RunAs::Superuser).await?;
            self.session.begin("create an object and hand it over").await?;
        }
        let run = self.statements(task).await;
        if is_handed_over {
            match &run {
                Ok(()) => self.session.commit("create an object and hand it over").await?,
                Err(_) => self.session.rollback("create an object and hand it over").await?,
            }
        }
        run
    }

    async fn statements(&mut self, task: &Task) -> Result<()> {
        for (run_as, sql) in &task.statements {
            self.become_role(run_as).await?;
            let sql = self.rewritten(sql).into_owned();
            self.execute(&sql, task).await?;
        }
        Ok(())
    }

    /// Runs a text of an entry. Where one transaction holds everything, its statements go one by one, so that the server
    /// sees each where we do.
    async fn execute(&mut self, sql: &str, task: &Task) -> Result<()> {
        let doing = format!("create {}", task.label);
        if !self.session.is_one_transaction() {
            let done = self.session.execute(sql, &doing).await;
            done.map_err(|error| entry_error(task, sql, error, self.is_before_rows))?;
            return self.require_unchanged(&task.label).await;
        }
        // Text that cannot be split is no SQL: the server says what is wrong with it.
        let statements = split_statements(sql, self.strings).unwrap_or_else(|_| vec![sql]);
        for statement in statements {
            match self.session.execute_one(statement, &doing).await {
                Ok(_) => self.require_unchanged(&task.label).await?,
                Err(_) if matches!(self.session.is_same_transaction().await, Ok(false)) => {
                    return Err(RestoreError::TransactionEnded(task.label.clone()).into());
                }
                Err(error) => return Err(entry_error(task, statement, error, self.is_before_rows)),
            }
        }
        Ok(())
    }

    /// Makes sure that `culprit` has changed nothing of the session that pgmig relies on: the transaction, the role, how
    /// strings are read.
    ///
    /// # Errors
    ///
    /// [`RestoreError::TransactionEnded`], [`RestoreError::SessionChanged`].
    pub(crate) async fn require_unchanged(&mut self, culprit: &str) -> Result<()> {
        let culprit = || culprit.to_owned();
        match self.session.change(self.strings).await? {
            None => Ok(()),
            Some(Change::Transaction) => Err(RestoreError::TransactionEnded(culprit()).into()),
            Some(Change::Role) => {
                Err(RestoreError::SessionChanged { culprit: culprit(), what: "the role" }.into())
            }
            Some(Change::Strings) => Err(RestoreError::SessionChanged {
                culprit: culprit(),
                what: "the setting standard_conforming_strings",
            }
            .into()),
        }
    }

    /// The session of a superuser beside this one, which runs pgmig's own statements; `None` where this session is the
    /// superuser's, or there is no superuser.
    pub(crate) fn superuser(&mut self) -> Option<&mut SuperuserSession> {
        self.superuser.as_mut()
    }

    /// The session in which a superuser runs pgmig's own statements: beside this one, or this one as `su_username`.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub(crate) async fn superusers(&mut self) -> Result<&mut Session, TargetError> {
        if self.superuser.is_none() {
            self.become_role(&RunAs::Superuser).await?;
        }
        match &mut self.superuser {
            Some(superuser) => superuser.get().await,
            None => Ok(&mut self.session),
        }
    }

    /// Lets `username` fill a table of an extension, which is the superuser's.
    ///
    /// # Errors
    ///
    /// The table is no extension's.
    pub(crate) async fn lend(&mut self, table: &QualifiedName) -> Result<()> {
        let owner = quote_ident(&self.owner);
        let Some(superuser) = self.superuser.as_mut().filter(|_| !self.lent.contains(table)) else {
            return Ok(());
        };
        let doing = format!("let username fill table {table} of an extension");
        let session = superuser.get().await?;
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
                 AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' \
             WHERE c.relkind = 'r' AND n.nspname = {} AND c.relname = {})",
            quote_literal(table.schema.as_deref().unwrap_or_default()),
            quote_literal(&table.name)
        );
        if !session.holds(&sql, &doing).await? {
            let reason = "its table is neither the backup's nor an extension's".to_owned();
            return Err(RestoreError::Data { table: table.to_string(), reason }.into());
        }
        session.execute(&format!("GRANT INSERT ON TABLE {table} TO {owner}"), &doing).await?;
        self.lent.push(table.clone());
        Ok(())
    }

    /// Takes back what was [lent](Self::lend), when its rows are committed.
    pub(crate) async fn take_back(&mut self) -> Result<()> {
        let owner = quote_ident(&self.owner);
        let Some(superuser) = self.superuser.as_mut().filter(|_| !self.lent.is_empty()) else {
            return Ok(());
        };
        let session = superuser.get().await?;
        for table in std::mem::take(&mut self.lent) {
            let sql = format!("REVOKE INSERT ON TABLE {table} FROM {owner}");
            session.execute(&sql, "take back the right to fill a table of an extension").await?;
        }
        Ok(())
    }

    /// Says good-bye to the server.
    pub(crate) async fn close(self) {
        if let Some(superuser) = self.superuser {
            superuser.close().await;
        }
        self.session.close().await;
    }

    /// What is known beforehand has been looked at already; entries of a script that is a stream have not.
    fn refuse_control(&self, tasks: &[&Task]) -> Result<(), Refusal> {
        if !self.session.is_one_transaction() {
            return Ok(());
        }
        match tasks.iter().find_map(|task| control_in(task, self.strings)) {
            Some(entry) => Err(Refusal::TransactionControl(vec![entry])),
            None => Ok(()),
        }
    }

    /// A statement with its IDs replaced, which is counted.
    fn rewritten<'s>(&mut self, sql: &'s str) -> Cow<'s, str> {
        let Some(rules) = &self.rules else { return sql.into() };
        // Text that cannot be read is no SQL: the server will say what is wrong with it.
        let (sql, replaced) = rewrite_ddl(sql, rules, self.strings).unwrap_or((sql.into(), 0));
        self.replaced += replaced;
        sql
    }

    /// How much these rules replace in a task's statements.
    pub(crate) fn replacements(&self, task: &Task, rules: &Rules) -> u64 {
        let statements = task.statements.iter();
        statements.filter_map(|(_, sql)| Some(rewrite_ddl(sql, rules, self.strings).ok()?.1)).sum()
    }

    /// Becomes who runs a statement.
    pub(crate) async fn become_role(&mut self, run_as: &RunAs) -> Result<(), TargetError> {
        let role = match run_as {
            RunAs::Owner => Some(self.owner.clone()),
            RunAs::Superuser => None,
            RunAs::Grantor(role) => {
                // From one role only su_username can get to another that it is no member of.
                self.session.become_role(None).await?;
                Some(role.clone())
            }
        };
        self.session.become_role(role.as_deref()).await
    }

    /// Puts a schema first in search_path, for archives that name objects without theirs.
    pub(crate) async fn set_schema(&mut self, schema: Option<&str>) -> Result<(), TargetError> {
        let Some(schema) = schema.filter(|schema| self.schema.as_deref() != Some(*schema)) else {
            return Ok(());
        };
        let mut path = quote_ident(schema);
        if schema != "pg_catalog" {
            path.push_str(", pg_catalog");
        }
        self.session.execute(&format!("SET search_path = {path}"), "set search_path").await?;
        self.schema = Some(schema.to_owned());
        Ok(())
    }

    async fn settings(&mut self, task: &Task) -> Result<(), TargetError> {
        self.set_schema(task.settings.schema.as_deref()).await?;
        if let Some(tablespace) = task.settings.tablespace.as_ref().filter(|name| **name != self.tablespace) {
            // The name is a value here, so an odd one needs identifier quotes inside of it.
            let value = if tablespace.is_empty() { String::new() } else { quote_ident(tablespace) };
            let sql = format!("SET default_tablespace = {}", quote_literal(&value));
            self.session.execute(&sql, "set default_tablespace").await?;
            self.tablespace.clone_from(tablespace);
        }
        let method = task.settings.access_method.as_ref();
        if let Some(method) = method.filter(|method| self.access_method.as_ref() != Some(*method)) {
            let sql = format!("SET default_table_access_method = {}", quote_ident(method));
            self.session.execute(&sql, "set default_table_access_method").await?;
            self.access_method = Some(method.clone());
        }
        Ok(())
    }
}

/// Makes sure, where one transaction is to hold everything, that `culprit` has not ended it.
///
/// # Errors
///
/// [`RestoreError::TransactionEnded`].
pub(crate) async fn require_same_transaction(session: &mut Session, culprit: &str) -> Result<()> {
    if !session.is_one_transaction() || session.is_same_transaction().await? {
        return Ok(());
    }
    Err(RestoreError::TransactionEnded(culprit.to_owned()).into())
}

/// Runs statements that pgmig has written itself.
async fn run_ours(superuser: &mut Session, task: &Task, is_before_rows: bool) -> Result<()> {
    for (_, sql) in &task.statements {
        let done = superuser.execute(sql, &format!("create {}", task.label)).await;
        done.map_err(|error| entry_error(task, sql, error, is_before_rows))?;
    }
    Ok(())
}

/// Who runs all statements of a task, if that is one role for all.
fn single_role(task: &Task) -> Option<&RunAs> {
    let (first, _) = task.statements.first()?;
    let same = task.statements.iter().all(|(run_as, _)| run_as == first);
    (same && !matches!(first, RunAs::Grantor(_))).then_some(first)
}
