//! What the target has and the archive lacks.

use super::build::Build;
use super::execute::Executor;
use super::journal::Journal;
use super::plan::RunAs;
use crate::error::Result;
use crate::sql::quote_ident;
use crate::target::contents::create_extension;
use std::collections::BTreeSet;

impl Build {
    /// What the target has and the archive lacks: extensions are made again, the rest is a warning.
    pub(super) async fn extras(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        executor.become_role(&RunAs::Superuser).await?;
        let sql = "SELECT extname FROM pg_catalog.pg_extension";
        let rows = executor.session.rows(sql, "list the restored extensions").await?;
        let present: BTreeSet<&str> = rows.iter().map(|row| row.text(0)).collect();
        for (name, schema) in
            self.extras.extensions.iter().filter(|(name, _)| !present.contains(name.as_str()))
        {
            let everyone =
                self.facts.fresh.available.get(name).is_some_and(|extension| extension.for_everyone);
            executor.become_role(if everyone { &RunAs::Owner } else { &RunAs::Superuser }).await?;
            let made = executor.session.execute(&create_extension(name, schema), "create an extension").await;
            match made {
                Ok(_) => journal.notice(format!(
                    "extension {}, which the target has and the archive lacks, was created again",
                    quote_ident(name)
                )),
                Err(error) => journal.warn(format!(
                    "the target has the extension {}, which the archive lacks: {error}",
                    quote_ident(name)
                )),
            }
        }
        self.warn_of_lost(executor, journal).await
    }

    async fn warn_of_lost(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        executor.become_role(&RunAs::Superuser).await?;
        let sql = "SELECT pubname FROM pg_catalog.pg_publication";
        let rows = executor.session.rows(sql, "list the restored publications").await?;
        let present: BTreeSet<&str> = rows.iter().map(|row| row.text(0)).collect();
        let lost: Vec<&str> = self
            .extras
            .publications
            .iter()
            .map(String::as_str)
            .filter(|name| !present.contains(name))
            .collect();
        if !lost.is_empty() {
            journal.warn(format!("the target has publications that the archive lacks: {}", lost.join(", ")));
        }
        let others = &self.extras.of_others;
        if !others.is_empty() {
            let some: Vec<&str> = others.iter().take(10).map(String::as_str).collect();
            let more = if others.len() > some.len() { ", ..." } else { "" };
            journal.warn(format!(
                "the target has {} relations that do not belong to {}, and they are replaced too: {}{more}",
                others.len(),
                quote_ident(self.config.username()),
                some.join(", ")
            ));
        }
        Ok(())
    }
}
