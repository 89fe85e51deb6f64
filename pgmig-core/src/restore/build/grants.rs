//! Runs the archive's grants, and compares the privileges that are there afterwards with those that must be there.

use super::Build;
use crate::error::Result;
use crate::progress::{NoticeCode, Step};
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::plan::RunAs;
use crate::restore::privileges::acl::Key;
use crate::restore::privileges::catalog::{self, Catalog, Held};
use crate::restore::privileges::statement::{Kind, Statement, grantee_sql};
use crate::restore::privileges::statements_of;
use crate::restore::privileges::target::wanted;
use crate::server::TargetError;
use crate::sql::quote_ident;
use std::collections::BTreeSet;

/// The statements of the archive that grant and revoke.
#[derive(Debug)]
pub(super) struct Grants {
    statements: Vec<Statement>,
    /// Whether every statement was understood.
    is_complete: bool,
}

impl Build {
    /// Runs the archive's grants.
    ///
    /// `username` cannot grant on objects of other roles: those of the system and of extensions. A superuser's session
    /// does if it runs the archive's statements anyway. Otherwise a superuser makes only statements that give nobody a
    /// privilege; all others become a warning of [`compare_privileges`](Self::compare_privileges).
    pub(super) async fn grants(&mut self, executor: &mut Executor, journal: &Journal) -> Result<Grants> {
        let tasks = std::mem::take(&mut self.known.plan.privileges);
        let strings = executor.strings();
        let parsed: Vec<Option<Vec<Statement>>> =
            tasks.iter().map(|task| statements_of(task, strings)).collect();
        let is_complete = parsed.iter().all(Option::is_some);
        let statements: Vec<Statement> = parsed.iter().flatten().flatten().cloned().collect();
        let catalog = match statements.is_empty() {
            true => Catalog::default(),
            false => self.read_privileges(executor, &statements).await?,
        };
        let is_foreign = |statement: &Statement| {
            let held = catalog.objects.get(&statement.object);
            statement.object.kind != Kind::Default && held.is_some_and(|held| !held.is_own)
        };
        let (mut own, mut foreign) = (Vec::with_capacity(tasks.len()), Vec::new());
        for (mut task, parsed) in tasks.into_iter().zip(parsed) {
            let parsed = parsed.filter(|statements| statements.iter().any(is_foreign));
            match parsed {
                Some(statements) if !self.sessions_are_superusers() => {
                    foreign.extend(statements);
                    continue;
                }
                Some(_) => task.statements.iter_mut().for_each(|(run_as, _)| *run_as = RunAs::Superuser),
                None => {}
            }
            own.push(task);
        }
        self.tasks(executor, journal, &own, Step::Privileges).await?;
        self.harmless_on_foreign(executor, &catalog, &foreign).await?;
        Ok(Grants { statements, is_complete })
    }

    async fn harmless_on_foreign(
        &self,
        executor: &mut Executor,
        catalog: &Catalog,
        statements: &[Statement],
    ) -> Result<()> {
        let Some(superuser) = executor.superuser().filter(|_| self.known.facts.is_superuser) else {
            return Ok(());
        };
        for statement in statements {
            let Some(held) = catalog.objects.get(&statement.object).filter(|held| held.is_of_system) else {
                continue;
            };
            for sql in harmless(statement, held, &catalog.all(&held.letter)) {
                superuser.get().await?.execute(&sql, "set privileges on an object of a superuser").await?;
            }
        }
        Ok(())
    }

    /// Warns of every object whose privileges are not those of the archive and of the target.
    pub(super) async fn compare_privileges(
        &self,
        executor: &mut Executor,
        journal: &mut Journal,
        grants: &Grants,
    ) -> Result<()> {
        let catalog = self.read_privileges(executor, &grants.statements).await?;
        let username = self.config.username();
        let known = &self.known.target_privileges;
        for (object, wanted) in wanted(&catalog, username, &grants.statements, known, grants.is_complete) {
            let (written, owner, acl) = match catalog.objects.get(&object) {
                Some(held) => (held.written.as_str(), held.owner.as_str(), held.acl.clone()),
                None => ("", object.name.as_str(), catalog.initial_default(&object)),
            };
            let changes = wanted.statements(&acl, &object, written, owner);
            if !changes.is_empty() {
                journal.warn(
                    NoticeCode::PrivilegesDiffer,
                    format!(
                        "the privileges on {} are not those of the backup; to set them, run: {}",
                        object.label(written),
                        changes.join("; ")
                    ),
                );
            }
        }
        Ok(())
    }

    async fn read_privileges(
        &self,
        executor: &mut Executor,
        statements: &[Statement],
    ) -> Result<Catalog, TargetError> {
        const DOING: &str = "read the privileges of the database";
        let names: BTreeSet<&str> =
            statements.iter().map(|statement| statement.object.name.as_str()).collect();
        let session = executor.reader().await?;
        let path = session.leave_search_path(DOING).await?;
        let catalog = catalog::read(session, self.config.username(), &names).await?;
        session.return_to_search_path(&path, DOING).await?;
        Ok(catalog)
    }
}

/// The parts of a statement that give nobody a privilege: those that revoke, and those that grant a privilege of PUBLIC. They
/// are written anew, with the names of the catalogs.
fn harmless(statement: &Statement, held: &Held, all: &BTreeSet<String>) -> Vec<String> {
    let mut privileges = Vec::new();
    for (privilege, columns) in &statement.privileges {
        let names: Vec<&String> = match privilege.as_str() {
            "ALL" if columns.is_empty() => all.iter().collect(),
            _ => all.iter().filter(|name| *name == privilege).collect(),
        };
        let is_harmless = |name: &&String| !statement.grants || held.acl.contains_key(&Key::whole("", name));
        let columns: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
        let columns = if columns.is_empty() { String::new() } else { format!("({})", columns.join(", ")) };
        privileges.extend(names.into_iter().filter(is_harmless).map(|name| format!("{name}{columns}")));
    }
    if privileges.is_empty() || statement.with_option {
        return Vec::new();
    }
    let (privileges, on) =
        (privileges.join(", "), format!("{} {}", statement.object.kind.words(), held.written));
    let option = if statement.is_about_option { "GRANT OPTION FOR " } else { "" };
    let sql = |grantee: &String| match (statement.grants, grantee_sql(grantee)) {
        (true, grantee) => format!("GRANT {privileges} ON {on} TO {grantee}"),
        (false, grantee) => format!("REVOKE {option}{privileges} ON {on} FROM {grantee}"),
    };
    statement.grantees.iter().map(sql).collect()
}
