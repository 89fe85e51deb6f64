//! Runs the plan's statements in the staging database: as whom each wants, with the settings it wants.

use super::error::RestoreError;
use super::plan::{RunAs, Task};
use crate::archive::DumpId;
use crate::error::Result;
use crate::rewrite::{Rules, rewrite_ddl};
use crate::sql::{StandardStrings, quote_ident, quote_literal};
use crate::target::TargetError;
use crate::target::session::Session;
use std::sync::Arc;

/// A session on the staging database that remembers what it has set.
pub(super) struct Executor {
    pub(super) session: Session,
    /// `username`.
    owner: String,
    strings: StandardStrings,
    /// Rules for the literals of DDL; `None` keeps them.
    pub(super) rules: Option<Arc<Rules>>,
    schema: Option<String>,
    tablespace: String,
    access_method: Option<String>,
    /// Replacements in DDL so far.
    pub(super) replaced: u64,
}

impl Executor {
    /// Takes a session that is fresh.
    ///
    /// # Errors
    ///
    /// If the session cannot be set up.
    pub(super) async fn new(
        mut session: Session,
        owner: &str,
        strings: StandardStrings,
        rules: Option<Arc<Rules>>,
    ) -> Result<Self> {
        let on_off = if strings == StandardStrings::On { "on" } else { "off" };
        // What this database holds is made durable by the swap's commit, so no commit before needs to wait.
        let sql = format!("SET standard_conforming_strings = {on_off}; SET synchronous_commit = off");
        session.execute(&sql, "set up the session").await?;
        Ok(Self {
            session,
            owner: owner.to_owned(),
            strings,
            rules,
            schema: None,
            tablespace: String::new(),
            access_method: None,
            replaced: 0,
        })
    }

    /// Runs one entry's statements.
    ///
    /// # Errors
    ///
    /// [`RestoreError::Entry`] if the server refuses one.
    pub(super) async fn run(&mut self, task: &Task) -> Result<()> {
        self.settings(task).await?;
        for (run_as, sql) in &task.statements {
            self.become_role(run_as).await?;
            let sql = match &self.rules {
                Some(rules) => {
                    // Text that cannot be read is no SQL: the server will say what is wrong with it.
                    let (sql, replaced) =
                        rewrite_ddl(sql, rules, self.strings).unwrap_or((sql.as_str().into(), 0));
                    self.replaced += replaced;
                    sql
                }
                None => sql.as_str().into(),
            };
            let done = self.session.execute(&sql, &format!("create {}", task.label)).await;
            done.map_err(|error| entry_error(task.dump_id, &task.label, error))?;
        }
        Ok(())
    }

    /// How much these rules replace in a task's statements.
    pub(super) fn replacements(&self, task: &Task, rules: &Rules) -> u64 {
        let statements = task.statements.iter();
        statements.filter_map(|(_, sql)| Some(rewrite_ddl(sql, rules, self.strings).ok()?.1)).sum()
    }

    /// Becomes who runs a statement.
    pub(super) async fn become_role(&mut self, run_as: &RunAs) -> Result<(), TargetError> {
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
    pub(super) async fn set_schema(&mut self, schema: Option<&str>) -> Result<(), TargetError> {
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

/// The server's refusal of an entry. Its message names objects of the schema; an index or a foreign key that
/// cannot be made has the offending values in DETAIL, which is never kept. What expressions and functions that read
/// rows say of them (of an index, a materialized view) is cut.
fn entry_error(dump_id: DumpId, entry: &str, error: TargetError) -> crate::Error {
    match error.server() {
        Some(server) if server.sqlstate.is_some() && !server.connection_lost => {
            let server = server.clone().without_values().without_raised_text();
            RestoreError::Entry {
                entry: entry.to_owned(),
                dump_id,
                message: server.message,
                sqlstate: server.sqlstate.unwrap_or_default(),
            }
            .into()
        }
        _ => error.into(),
    }
}
