//! What stands in the way of loading rows in any order: foreign keys, triggers, rules. Lifted for the load, and set
//! back as it was; a foreign key is checked when it is set back.

use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;
use crate::restore::target_schema::find::TargetSchema;
use crate::restore::target_schema::triggers::{TableTrigger, USER_TABLES};
use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::{QualifiedName, quote_ident, quote_literal};
use std::collections::{HashMap, HashSet};

/// The objects that were lifted.
#[derive(Debug, Default)]
#[must_use = "the schema is not the target's until set_back() and finish()"]
pub(crate) struct Lifted {
    foreign_keys: Vec<ForeignKey>,
    set_back: Vec<String>,
    /// Triggers and rules that are on again as soon as the tables are empty.
    for_rows: Vec<String>,
    row_security: Vec<String>,
    event_triggers: Vec<String>,
}

#[derive(Debug)]
struct ForeignKey {
    label: String,
    /// The first one checks the rows.
    statements: Vec<String>,
    constraint: (QualifiedName, String),
    /// Those of its triggers that are not simply on, and how they are: table and function tell them.
    triggers: Vec<(String, String)>,
}

impl Lifted {
    /// Lifts everything. [`release`](Self::release) turns on what is to act on the rows.
    pub(crate) async fn lift(
        executor: &mut Executor,
        run_as: &RunAs,
        is_superuser: bool,
        schema: &TargetSchema,
    ) -> Result<Self> {
        let mut lifted = Self::default();
        // Event triggers would fire on every statement here; only a superuser can have made them.
        if is_superuser {
            lifted.event_triggers(executor.superusers().await?).await?;
        }
        executor.become_role(run_as).await?;
        let session = &mut executor.session;
        lifted.triggers(session, &schema.held).await?;
        lifted.rules(session, &schema.loaded).await?;
        lifted.foreign_keys(session, schema).await?;
        lifted.row_security(session).await?;
        Ok(lifted)
    }

    async fn event_triggers(&mut self, session: &mut Session) -> Result<(), TargetError> {
        let sql = "SELECT pg_catalog.quote_ident(evtname), evtenabled FROM pg_catalog.pg_event_trigger \
                   WHERE evtenabled <> 'D' ORDER BY evtname";
        for row in session.rows(sql, "list the event triggers").await? {
            let name = row.text(0);
            let sql = format!("ALTER EVENT TRIGGER {name} DISABLE");
            session.execute(&sql, "turn an event trigger off while rows are loaded").await?;
            self.event_triggers.push(format!("ALTER EVENT TRIGGER {name} {}", enable(row.text(1))));
        }
        Ok(())
    }

    /// Each relation by itself, since a partition's clone can be in another state than its parent's trigger.
    async fn triggers(
        &mut self,
        session: &mut Session,
        held: &HashSet<TableTrigger>,
    ) -> Result<(), TargetError> {
        let sql = format!(
            "SELECT n.nspname, c.relname, g.tgname, g.tgenabled FROM pg_catalog.pg_trigger g \
             JOIN (SELECT c.oid, c.relname, c.relnamespace FROM {USER_TABLES}) c ON c.oid = g.tgrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE g.tgenabled <> 'D' AND (NOT g.tgisinternal OR g.tgconstraint = 0) ORDER BY 1, 2, 3"
        );
        let mut off = Vec::new();
        for row in session.rows(&sql, "list the triggers").await? {
            let trigger = TableTrigger {
                table: QualifiedName::new(row.text(0), row.text(1)),
                name: row.text(2).to_owned(),
            };
            let alter = format!("ALTER TABLE ONLY {}", trigger.table);
            let name = quote_ident(&trigger.name);
            off.push(format!("{alter} DISABLE TRIGGER {name}"));
            let on = if held.contains(&trigger) { &mut self.set_back } else { &mut self.for_rows };
            on.push(format!("{alter} {} TRIGGER {name}", enable(row.text(3))));
        }
        turn_off(session, off, "turn a trigger off while rows are loaded").await?;
        Ok(())
    }

    /// Rules would rewrite the statement that inserts held rows.
    async fn rules(
        &mut self,
        session: &mut Session,
        loaded: &HashSet<QualifiedName>,
    ) -> Result<(), TargetError> {
        let sql = format!(
            "SELECT n.nspname, c.relname, pg_catalog.quote_ident(r.rulename), r.ev_enabled \
             FROM pg_catalog.pg_rewrite r \
             JOIN (SELECT c.oid, c.relname, c.relnamespace FROM {USER_TABLES}) c ON c.oid = r.ev_class \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.ev_enabled <> 'D' ORDER BY 1, 2"
        );
        let mut off = Vec::new();
        for row in session.rows(&sql, "list the rules").await? {
            let (table, name) = (QualifiedName::new(row.text(0), row.text(1)), row.text(2));
            off.push(format!("ALTER TABLE {table} DISABLE RULE {name}"));
            let on = if loaded.contains(&table) { &mut self.set_back } else { &mut self.for_rows };
            on.push(format!("ALTER TABLE {table} {} RULE {name}", enable(row.text(3))));
        }
        turn_off(session, off, "turn a rule off while rows are loaded").await?;
        Ok(())
    }

    async fn row_security(&mut self, session: &mut Session) -> Result<(), TargetError> {
        let sql = format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM {USER_TABLES} AND c.relforcerowsecurity \
             ORDER BY 1"
        );
        let rows = session.rows(&sql, "list the tables with FORCE ROW LEVEL SECURITY").await?;
        let alter = |how: &str| -> Vec<String> {
            let alter = |row: &TextRow| format!("ALTER TABLE {} {how} ROW LEVEL SECURITY", row.text(0));
            rows.iter().map(alter).collect()
        };
        turn_off(session, alter("NO FORCE"), "lift FORCE ROW LEVEL SECURITY").await?;
        self.row_security = alter("FORCE");
        Ok(())
    }

    async fn foreign_keys(
        &mut self,
        session: &mut Session,
        schema: &TargetSchema,
    ) -> Result<(), TargetError> {
        let sql = format!(
            "SELECT n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid), \
                 pg_catalog.quote_literal(pg_catalog.obj_description(k.oid, 'pg_constraint')) \
             FROM pg_catalog.pg_constraint k \
             JOIN (SELECT c.oid, c.relname, c.relnamespace FROM {USER_TABLES}) c ON c.oid = k.conrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY 1, 2, 3"
        );
        let mut states = KeyTriggers::read(session).await?;
        for row in session.rows(&sql, "list the foreign keys").await? {
            let constraint = (QualifiedName::new(row.text(0), row.text(1)), row.text(2).to_owned());
            let triggers = states.take(&constraint);
            let (table, name) = (QualifiedName::new(row.text(0), row.text(1)), row.text(2));
            let is_checked =
                !schema.keeps(&table) && !schema.not_valid.contains(&(table.clone(), name.into()));
            let name = quote_ident(name);
            let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {name}");
            session.execute(&drop, "lift a foreign key while rows are loaded").await?;
            let add = |definition: &str| format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}");
            let mut statements = Vec::new();
            // NOT VALID excuses the rows that were there before, not those that are loaded.
            if let Some(checked) = row.text(3).strip_suffix(" NOT VALID").filter(|_| is_checked) {
                statements.extend([add(checked), drop]);
            }
            statements.push(add(row.text(3)));
            if let Some(comment) = row.get(4) {
                statements.push(format!("COMMENT ON CONSTRAINT {name} ON {table} IS {comment}"));
            }
            let label = format!("foreign key {name} of table {table}");
            self.foreign_keys.push(ForeignKey { label, statements, constraint, triggers });
        }
        Ok(())
    }

    /// Turns on the triggers that fire for rows, and the rules of tables that get no rows of the archive: these tables are
    /// changed by triggers only.
    pub(crate) async fn release(&mut self, session: &mut Session) -> Result<()> {
        Self::run(&std::mem::take(&mut self.for_rows), session).await
    }

    /// Sets everything back but row level security, which would hide rows from the filling of materialized views, and
    /// the event triggers, which would fire for what is still to be done.
    ///
    /// # Errors
    ///
    /// [`RestoreError::Constraints`] with every foreign key that does not hold.
    pub(crate) async fn set_back(&self, session: &mut Session) -> Result<()> {
        let mut faults = Vec::new();
        for key in &self.foreign_keys {
            for statement in &key.statements {
                match session.execute(statement, "set a foreign key back").await {
                    Ok(_) => {}
                    Err(error) if error.sqlstate() == Some("23503") => {
                        faults.push(format!("{}: a row that it refers to does not exist", key.label));
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if !faults.is_empty() {
            return Err(RestoreError::Constraints(faults).into());
        }
        for key in self.foreign_keys.iter().filter(|key| !key.triggers.is_empty()) {
            key.set_triggers(session).await?;
        }
        Self::run(&self.set_back, session).await
    }

    /// Sets the rest back, the event triggers when all else is done.
    pub(crate) async fn finish(self, executor: &mut Executor, run_as: &RunAs) -> Result<()> {
        executor.become_role(run_as).await?;
        Self::run(&self.row_security, &mut executor.session).await?;
        if self.event_triggers.is_empty() {
            return Ok(());
        }
        Self::run(&self.event_triggers, executor.superusers().await?).await
    }

    async fn run(statements: &[String], session: &mut Session) -> Result<()> {
        for statement in statements {
            session.execute(statement, "set the target's schema back as it was").await?;
        }
        Ok(())
    }
}

/// The triggers of foreign keys that are not simply on, by constraint.
struct KeyTriggers(HashMap<(QualifiedName, String), Vec<(String, String)>>);

impl KeyTriggers {
    async fn read(session: &mut Session) -> Result<Self, TargetError> {
        let sql = "SELECT n.nspname, c.relname, k.conname, g.tgrelid::text || ' ' || g.tgfoid::text, g.tgenabled \
                   FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_constraint k ON k.oid = g.tgconstraint \
                   JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE k.contype = 'f' AND k.conparentid = 0 AND g.tgenabled <> 'O' ORDER BY 1, 2, 3, 4";
        let mut states: HashMap<_, Vec<_>> = HashMap::new();
        for row in session.rows(sql, "list the triggers of foreign keys").await? {
            let constraint = (QualifiedName::new(row.text(0), row.text(1)), row.text(2).to_owned());
            states.entry(constraint).or_default().push((row.text(3).to_owned(), row.text(4).to_owned()));
        }
        Ok(Self(states))
    }

    fn take(&mut self, constraint: &(QualifiedName, String)) -> Vec<(String, String)> {
        self.0.remove(constraint).unwrap_or_default()
    }
}

impl ForeignKey {
    /// Brings the new triggers of the constraint into the state of the old ones, whose names they do not have.
    async fn set_triggers(&self, session: &mut Session) -> Result<(), TargetError> {
        let (table, name) = &self.constraint;
        let sql = format!(
            "SELECT g.tgrelid::text || ' ' || g.tgfoid::text, pg_catalog.quote_ident(g.tgname), \
                 pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_trigger g \
             JOIN pg_catalog.pg_constraint k ON k.oid = g.tgconstraint \
             JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE k.conrelid = {}::pg_catalog.regclass AND k.conname = {}",
            quote_literal(&table.to_string()),
            quote_literal(name)
        );
        for row in session.rows(&sql, "list the triggers of a foreign key").await? {
            let Some((_, state)) = self.triggers.iter().find(|(trigger, _)| trigger == row.text(0)) else {
                continue;
            };
            let how = if state == "D" { "DISABLE" } else { enable(state) };
            let sql = format!("ALTER TABLE ONLY {} {how} TRIGGER {}", row.text(2), row.text(1));
            session.execute(&sql, "set a foreign key's triggers back as they were").await?;
        }
        Ok(())
    }
}

async fn turn_off(session: &mut Session, off: Vec<String>, doing: &str) -> Result<(), TargetError> {
    for statement in off {
        session.execute(&statement, doing).await?;
    }
    Ok(())
}

/// How a trigger or rule in this state (`tgenabled`, `ev_enabled`, `evtenabled`) is turned on again.
fn enable(state: &str) -> &'static str {
    match state {
        "A" => "ENABLE ALWAYS",
        "R" => "ENABLE REPLICA",
        _ => "ENABLE",
    }
}
