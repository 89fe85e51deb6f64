//! Objects that the target has and the archive does not.

use crate::error::Result;
use crate::progress::NoticeCode;
use crate::restore::build::Build;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::plan::RunAs;
use crate::restore::report::planned::OnlyInTarget;
use crate::server::TargetError;
use crate::server::contents::{Extras, create_extension};
use crate::server::extensions::InstalledExtension;
use crate::sql::quote_ident;
use std::collections::BTreeSet;

impl Build {
    /// Creates the target's extensions that the archive does not have, and warns of all other objects that are lost.
    pub(crate) async fn extras(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        executor.become_role(&RunAs::Superuser).await?;
        let sql = "SELECT extname FROM pg_catalog.pg_extension";
        let rows = executor.session.rows(sql, "list the restored extensions").await?;
        let present: BTreeSet<&str> = rows.iter().map(|row| row.text(0)).collect();
        let is_present = |extension: &&InstalledExtension| present.contains(extension.name.as_str());
        for InstalledExtension { name, schema, .. } in
            self.known.extras.extensions.iter().filter(|extension| !is_present(extension))
        {
            let everyone =
                self.known.facts.database.available.get(name).is_some_and(|extension| extension.for_everyone);
            if !everyone && self.has_superuser_beside {
                journal.warn(NoticeCode::ExtensionNotCreated, format!(
                    "the target has the extension {0}, which the archive does not have, and it was not created again: a superuser makes \
                     it only before an archive that is not trusted; RestoreOptions::allow_extensions {0} lets it, but not with a stream",
                    quote_ident(name)
                ));
                continue;
            }
            executor.become_role(if everyone { &RunAs::Owner } else { &RunAs::Superuser }).await?;
            match create_again(executor, name, schema).await {
                Ok(_) => journal.notice(
                    NoticeCode::ExtensionCreatedAgain,
                    format!(
                        "extension {}, which the target has and the archive does not, was created again",
                        quote_ident(name)
                    ),
                ),
                Err(error) => journal.warn(
                    NoticeCode::ExtensionNotCreated,
                    format!(
                        "the target has the extension {}, which the archive does not have: {error}",
                        quote_ident(name)
                    ),
                ),
            }
        }
        self.warn_of_lost(executor, journal).await
    }

    async fn warn_of_lost(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        executor.become_role(&RunAs::Superuser).await?;
        let sql = "SELECT pubname FROM pg_catalog.pg_publication";
        let rows = executor.session.rows(sql, "list the restored publications").await?;
        let present: BTreeSet<&str> = rows.iter().map(|row| row.text(0)).collect();
        let only = OnlyInTarget::new(&self.known.extras, &BTreeSet::new(), &present);
        for warning in only.warnings(self.config.username()) {
            journal.warn(NoticeCode::OnlyInTarget, warning);
        }
        Ok(())
    }
}

/// A failure here is only a warning.
async fn create_again(executor: &mut Executor, name: &str, schema: &str) -> Result<(), TargetError> {
    let doing = "create an extension";
    let session = &mut executor.session;
    session.begin(doing).await?;
    let made = session.execute(&create_extension(name, schema), doing).await;
    session.end(made, doing).await.map(drop)
}

impl OnlyInTarget {
    /// The target's extensions and publications that the archive does not have.
    pub(crate) fn new(target: &Extras, extensions: &BTreeSet<&str>, publications: &BTreeSet<&str>) -> Self {
        let names = target.extensions.iter().map(|extension| &extension.name);
        let lacking = |name: &&String, present: &BTreeSet<&str>| !present.contains(name.as_str());
        Self {
            extensions: names.filter(|name| lacking(name, extensions)).cloned().collect(),
            publications: target
                .publications
                .iter()
                .filter(|name| lacking(name, publications))
                .cloned()
                .collect(),
            of_others: target.of_others.clone(),
        }
    }

    /// Warnings about objects that are lost. Only an attempt shows whether an extension can be created again.
    pub(crate) fn warnings(&self, owner: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.publications.is_empty() {
            let lost = self.publications.join(", ");
            warnings.push(format!("the target has publications that the archive does not have: {lost}"));
        }
        if !self.of_others.is_empty() {
            let some: Vec<&str> = self.of_others.iter().take(10).map(String::as_str).collect();
            let more = if self.of_others.len() > some.len() { ", ..." } else { "" };
            warnings.push(format!(
                "the target has {} relations that do not belong to {}, and they are replaced too: {}{more}",
                self.of_others.len(),
                quote_ident(owner),
                some.join(", ")
            ));
        }
        warnings
    }
}
