//! The owner of schema public. A new database has the schema already, so its entry makes nothing.

use super::Planner;
use crate::archive::Entry;
use crate::progress::{Notice, NoticeCode};
use crate::restore::plan::RunAs;
use crate::restore::plan::entry::{owner, sql};
use crate::sql::quote_ident;

/// The owner of public in a new database since PostgreSQL 15.
const DATABASE_OWNER: &str = "pg_database_owner";

impl Planner<'_> {
    /// Gives public to `username` if it belonged to the application, as pg_restore does. A warning says so where that
    /// cannot be, and where it belonged to another role of this cluster.
    pub(crate) fn owner_of_public(&mut self, entry: &Entry) -> Vec<(RunAs, String)> {
        let wanted = owner(entry);
        if entry.name() != "public" || wanted.is_empty() || wanted == DATABASE_OWNER {
            return Vec::new();
        }
        let username = self.facts.roles.owner.clone();
        // pg_dump 10 and earlier have an entry for each public, whose owner nobody has chosen. A script for psql is written
        // for nobody.
        let is_chosen = !sql(entry).unwrap_or_default().trim_start().starts_with("CREATE SCHEMA");
        if !is_chosen || username.is_empty() {
            return Vec::new();
        }
        if wanted == username || self.application.as_deref() == Some(wanted) {
            let statement = format!("ALTER SCHEMA public OWNER TO {}", quote_ident(&username));
            if self.owns_schema("public") && !self.facts.database.closed {
                return vec![(RunAs::Owner, statement)];
            }
            if self.facts.is_superuser {
                return vec![(RunAs::Written, statement)];
            }
            self.warn_of_public(wanted, &username);
        } else if self.facts.roles.existing.contains(wanted) && !self.is_owner_of_public(entry, wanted) {
            self.warn_of_public(wanted, wanted);
        }
        Vec::new()
    }

    /// Whether public already belongs to the role that it had.
    fn is_owner_of_public(&self, entry: &Entry, wanted: &str) -> bool {
        let sql = sql(entry).unwrap_or_default();
        let present = self.facts.database.not_ours.owner_of(entry, sql, self.strings);
        present == Some(quote_ident(wanted).as_str())
    }

    fn warn_of_public(&mut self, wanted: &str, role: &str) {
        let text = format!(
            "schema public belonged to role {}, and keeps the owner that it has here: ALTER SCHEMA public OWNER TO {}",
            quote_ident(wanted),
            quote_ident(role)
        );
        self.plan.notices.push(Notice::warning(NoticeCode::PublicOwnerKept, text));
    }
}
