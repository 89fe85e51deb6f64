//! Runs the plan's statements in the staging database, each with its role and its settings.

mod batch;
mod noted;
mod refused_entry;

use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::plan::transaction_control::control_in;
use crate::restore::plan::{RunAs, Task};
use crate::restore::record::{Record, Unit};
use crate::restore::refusal::Refusal;
use crate::restore::superuser_session::SuperuserSession;
use crate::rewrite::{Rules, rewrite_ddl};
use crate::server::TargetError;
use crate::server::session::{Change, Session};
use crate::sql::{QualifiedName, StandardStrings, quote_ident, quote_literal, split_statements};
use noted::{note_of, with_note};
use refused_entry::entry_error;
use std::borrow::Cow;
use std::sync::Arc;

const HANDING_OVER: &str = "create an object and hand it over";

/// A session on the staging database that remembers its settings.
pub(crate) struct Executor {
    pub(crate) session: Session,
    /// Present if code of the archive has its own login, different from `su_username`: the session of a superuser
    /// that creates the objects that only a superuser can create.
    superuser: Option<SuperuserSession>,
    /// Tables of extensions that `username` may fill at present.
    lent: Vec<QualifiedName>,
    /// The role `username`.
    owner: String,
    strings: StandardStrings,
    /// Rules for the literals of DDL; `None` keeps them.
    pub(crate) rules: Option<Arc<Rules>>,
    schema: Option<String>,
    tablespace: String,
    access_method: Option<String>,
    /// Whether no rows have been loaded yet. The server's messages then hold no values, only definitions.
    pub(crate) is_before_rows: bool,
    /// The number of replacements in DDL.
    pub(crate) replaced: u64,
    /// Where the entries that are complete are noted.
    pub(crate) record: Record,
}

impl Executor {
    /// Makes an executor of a fresh session, and applies more settings to it.
    ///
    /// # Errors
    ///
    /// The session cannot be set up.
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
            record: Record::default(),
        })
    }

    /// Runs the statements of one entry.
    ///
    /// # Errors
    ///
    /// [`RestoreError::Entry`] if the server refuses a statement.
    pub(crate) async fn run(&mut self, task: &Task) -> Result<()> {
        if self.is_done(task) {
            return Ok(());
        }
        self.refuse_control(&[task])?;
        let is_superusers = task.statements.iter().all(|(run_as, _)| run_as.is_superuser());
        if let Some(superuser) = self.superuser.as_mut().filter(|_| is_superusers) {
            let record = &self.record;
            return run_ours(superuser.get().await?, task, record, self.is_before_rows).await;
        }
        self.settings(task).await?;
        // Other sessions never see an object that is to be handed over while it still belongs to the superuser.
        let is_handed_over = is_superusers && task.statements.len() > 1 && !self.session.is_one_transaction();
        if is_handed_over {
            self.become_role(&RunAs::Superuser).await?;
            self.session.begin(HANDING_OVER).await?;
        }
        let run = self.statements(task).await;
        if is_handed_over { self.session.end(run, HANDING_OVER).await } else { run }
    }

    async fn statements(&mut self, task: &Task) -> Result<()> {
        for (place, (run_as, sql)) in task.statements.iter().enumerate() {
            let sql = self.rewritten(sql).into_owned();
            if self.record.has(Unit::Statement(task.dump_id, task.step, place)) {
                continue;
            }
            let note = note_of(&self.record, task, place);
            if let Some(superuser) = self.superuser.as_mut().filter(|_| run_as.is_superuser()) {
                let text = with_note(&sql, note.as_deref());
                execute_ours(superuser.get().await?, task, &text, self.is_before_rows).await?;
                continue;
            }
            self.become_role(run_as).await?;
            self.execute_noted(&sql, task, run_as, note).await?;
        }
        Ok(())
    }

    /// Runs a text of an entry. If one transaction holds the whole restore, the statements go one by one, so that the
    /// server and pgmig agree on each statement.
    async fn execute(&mut self, sql: &str, task: &Task) -> Result<()> {
        let doing = format!("restore {}", task.label);
        if !self.session.is_one_transaction() {
            let done = self.session.execute(sql, &doing).await;
            done.map_err(|error| entry_error(task, sql, error, self.is_before_rows))?;
            return self.require_unchanged(&task.label).await;
        }
        // Text that cannot be split is not SQL; the server's error says why.
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

    /// Checks that `culprit` has not changed properties of the session that pgmig relies on: the transaction, the
    /// role, and how strings are read.
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

    /// How strings of the archive's statements are read.
    pub(crate) fn strings(&self) -> StandardStrings {
        self.strings
    }

    /// The separate session of a superuser, which runs pgmig's own statements. `None` if this session is the
    /// superuser's, or if there is no superuser.
    pub(crate) fn superuser(&mut self) -> Option<&mut SuperuserSession> {
        self.superuser.as_mut()
    }

    /// The session in which a superuser runs pgmig's own statements: the separate session, or this one as
    /// `su_username`.
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

    /// The session that may read the most of the database: the one of [`superusers`](Self::superusers). If one
    /// transaction holds the whole restore, only this session sees its objects.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub(crate) async fn reader(&mut self) -> Result<&mut Session, TargetError> {
        if self.session.is_one_transaction() {
            self.become_role(&RunAs::Superuser).await?;
            return Ok(&mut self.session);
        }
        self.superusers().await
    }

    /// Lets `username` fill a table of an extension. The table belongs to the superuser.
    ///
    /// # Errors
    ///
    /// The table does not belong to an extension.
    pub(crate) async fn lend(&mut self, table: &QualifiedName) -> Result<()> {
        let owner = quote_ident(&self.owner);
        let Some(superuser) = self.superuser.as_mut().filter(|_| !self.lent.contains(table)) else {
            return Ok(());
        };
        let doing = format!("let username fill table {table} of an extension");
        let session = superuser.get().await?;
        if !session.holds(&of_extension(table), &doing).await? {
            let reason = "its table is neither the backup's nor an extension's".to_owned();
            return Err(RestoreError::Data { table: table.to_string(), reason }.into());
        }
        session.execute(&format!("GRANT INSERT ON TABLE {table} TO {owner}"), &doing).await?;
        self.lent.push(table.clone());
        Ok(())
    }

    /// Revokes what was [lent](Self::lend), after its rows have been committed.
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

    /// Revokes what an interrupted run may have lent.
    pub(crate) async fn take_back_from(&mut self, tables: Vec<QualifiedName>) -> Result<()> {
        self.lent = tables;
        self.take_back().await
    }

    /// Closes the session.
    pub(crate) async fn close(self) {
        if let Some(superuser) = self.superuser {
            superuser.close().await;
        }
        self.session.close().await;
    }

    /// Refuses transaction control. The preflight has checked all entries except those of a script in a stream.
    fn refuse_control(&self, tasks: &[&Task]) -> Result<(), Refusal> {
        if !self.session.is_one_transaction() {
            return Ok(());
        }
        match tasks.iter().find_map(|task| control_in(task, self.strings)) {
            Some(entry) => Err(Refusal::TransactionControl(vec![entry])),
            None => Ok(()),
        }
    }

    /// A statement with its IDs replaced. Counts the replacements.
    fn rewritten<'s>(&mut self, sql: &'s str) -> Cow<'s, str> {
        let Some(rules) = &self.rules else { return sql.into() };
        // Text that cannot be parsed is not SQL; the server's error says why.
        let (sql, replaced) = rewrite_ddl(sql, rules, self.strings).unwrap_or((sql.into(), 0));
        self.replaced += replaced;
        sql
    }

    /// The number of replacements that these rules make in a task's statements.
    pub(crate) fn replacements(&self, task: &Task, rules: &Rules) -> u64 {
        let statements = task.statements.iter();
        statements.filter_map(|(_, sql)| Some(rewrite_ddl(sql, rules, self.strings).ok()?.1)).sum()
    }

    /// Changes to the role that runs a statement.
    pub(crate) async fn become_role(&mut self, run_as: &RunAs) -> Result<(), TargetError> {
        let role = match run_as {
            RunAs::Owner => Some(self.owner.clone()),
            RunAs::Superuser | RunAs::Written => None,
            RunAs::Grantor(role) => {
                // Only su_username can change to a role that the present role is not a member of.
                self.session.become_role(None).await?;
                Some(role.clone())
            }
        };
        self.session.become_role(role.as_deref()).await
    }

    /// Puts a schema first in search_path, for archives that name objects without their schemas.
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
            // The name is a value here, so an unusual name needs identifier quotes inside the value.
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

/// Whether a table belongs to an extension.
fn of_extension(table: &QualifiedName) -> String {
    format!(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
             AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' \
         WHERE c.relkind IN ('r', 'p') AND n.nspname = {} AND c.relname = {})",
        quote_literal(table.schema.as_deref().unwrap_or_default()),
        quote_literal(&table.name)
    )
}

/// If one transaction holds the whole restore, checks that `culprit` has not ended it.
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

/// Runs statements that pgmig itself has written.
async fn run_ours(superuser: &mut Session, task: &Task, record: &Record, is_before_rows: bool) -> Result<()> {
    for (place, (_, sql)) in task.statements.iter().enumerate() {
        if record.has(Unit::Statement(task.dump_id, task.step, place)) {
            continue;
        }
        let text = with_note(sql, note_of(record, task, place).as_deref());
        execute_ours(superuser, task, &text, is_before_rows).await?;
    }
    Ok(())
}

async fn execute_ours(superuser: &mut Session, task: &Task, sql: &str, is_before_rows: bool) -> Result<()> {
    let done = superuser.execute(sql, &format!("create {}", task.label)).await;
    done.map_err(|error| entry_error(task, sql, error, is_before_rows))?;
    Ok(())
}
