//! Which entries take rights that `username` lacks: found out before anything is dropped, all of them at once.

use super::{Planner, label, qualified_name};
use crate::archive::{Archive, Entry, EntryKind};
use crate::progress::Severity;
use crate::restore::plan::RunAs;
use crate::restore::plan::hand_over::hand_over;
use crate::restore::plan::superuser::{can_be_handed_over, name_after, needs_superuser};
use crate::restore::refusal::Refusal;
use crate::sql::{QualifiedName, quote_ident};
use std::collections::HashSet;

impl Planner<'_> {
    /// Whether an entry has to be created by a superuser, since `username` is none.
    pub(crate) fn needs_superuser(&self, entry: &Entry, sql: &str) -> bool {
        !self.facts.owner_is_superuser
            && !self.has_wrapper(entry, sql)
            && (needs_superuser(entry, sql, self.strings, &self.facts.fresh)
                || self.is_about_types_of_others(entry)
                || self.publishes_schemas(entry))
    }

    /// The tables of a schema are published by a superuser's hand only: then the publication may be there already, too.
    fn publishes_schemas(&self, publication: &Entry) -> bool {
        let publishes = |entry: &&Entry| {
            let alter = entry.sql().and_then(|sql| sql.to_str().ok()).unwrap_or_default();
            entry.kind == EntryKind::PublicationTablesInSchema
                && name_after(alter, self.strings, &["alter", "publication"]).as_deref()
                    == publication.tag.to_str().ok()
        };
        publication.kind == EntryKind::Publication
            && self.archive.entries().iter().any(|entry| publishes(&entry))
    }

    /// A foreign server is made by who may use its wrapper; a superuser may in any case.
    fn has_wrapper(&self, entry: &Entry, sql: &str) -> bool {
        let wrapper = || name_after(sql, self.strings, &["foreign", "data", "wrapper"]);
        entry.kind == EntryKind::Server
            && !self.facts.is_superuser
            && wrapper().is_some_and(|wrapper| self.facts.fresh.wrappers.contains(&wrapper))
    }

    /// Whether an entry belongs to an object that is there already and not `username`'s. It names that: scripts have no
    /// dependencies.
    pub(crate) fn belongs_to_skipped(&mut self, entry: &Entry, sql: &str) -> bool {
        use EntryKind as K;
        let whole: &[&str] = match entry.kind {
            K::PublicationTable | K::PublicationTablesInSchema => &["alter", "publication"],
            K::UserMapping => &["server"],
            _ => return false,
        };
        let name = name_after(sql, self.strings, whole);
        let belongs = self.describes(entry, &self.skipped)
            || name.is_some_and(|name| self.skipped_wholes.contains(&(entry.kind == K::UserMapping, name)));
        if belongs {
            self.skip(entry, Severity::Warning, "what it belongs to is there already, and is not username's");
        }
        belongs
    }

    /// A cast is made by who owns one of its types, which are the archive's own as a rule. Its tag names them: scripts
    /// have no dependencies.
    fn is_about_types_of_others(&self, entry: &Entry) -> bool {
        if entry.kind != EntryKind::Cast {
            return false;
        }
        let tag = entry.tag.to_str().unwrap_or_default();
        let types = tag.strip_prefix("CAST (").and_then(|tag| tag.strip_suffix(')')).unwrap_or_default();
        // A name may have these letters in it, too.
        let is_own = |(at, _): (usize, &str)| {
            let (from, to) = (types.get(..at), types.get(at + " AS ".len()..));
            let names = [from, to].into_iter().flatten().filter_map(|name| QualifiedName::parse(name).ok());
            names.into_iter().any(|name| self.types.contains(&name))
        };
        !types.match_indices(" AS ").any(is_own)
    }

    /// Whether what an entry makes is there already and is not `username`'s. That is what is wanted of what only a
    /// superuser can make, and in the way of everything else.
    pub(crate) fn is_of_others(&mut self, entry: &Entry, sql: &str) -> bool {
        if self.belongs_to_skipped(entry, sql) {
            return true;
        }
        let Some(owner) = self.facts.fresh.of_others.owner_of(entry, sql, self.strings) else { return false };
        if self.needs_superuser(entry, sql) {
            let why = format!("it is there already, and stays as it is; it belongs to {owner}");
            self.skip(entry, Severity::Notice, &why);
            if matches!(entry.kind, EntryKind::Publication | EntryKind::Server) {
                let name = entry.tag.to_str().unwrap_or_default().to_owned();
                self.skipped_wholes.insert((entry.kind == EntryKind::Server, name));
            }
        } else {
            self.obstacles.push(format!("{}, which is the archive's, too", of(entry, owner)));
        }
        true
    }

    /// Remembers a schema of others in which `username` may not create what the archive has in it.
    pub(crate) fn note_closed_schema(&mut self, entry: &Entry) {
        let fresh = &self.facts.fresh;
        let into_database =
            matches!(entry.kind, EntryKind::Schema | EntryKind::Extension | EntryKind::Publication);
        if into_database && fresh.closed && !self.facts.owner_is_superuser {
            let owner = quote_ident(&self.facts.roles.owner);
            self.impossible.push(format!("{}, as {owner} may not create in the database", label(entry)));
        }
        let Some(schema) = entry.namespace.as_ref().and_then(|schema| schema.to_str().ok()) else { return };
        let is_closed = fresh.schemas.get(schema).is_some_and(|rights| !rights.creates);
        if is_closed && !self.facts.is_superuser && !self.closed_schemas.contains_key(schema) {
            self.closed_schemas.insert(schema.to_owned(), label(entry));
        }
    }

    /// Refuses what was found, all at once.
    pub(crate) fn refuse_what_lacks_rights(&mut self) -> Result<(), Refusal> {
        let owner = quote_ident(&self.facts.roles.owner);
        for (schema, first) in &self.closed_schemas {
            let schema = quote_ident(schema);
            self.impossible.push(format!(
                "{first} and all else in schema {schema}, in which {owner} may not create (GRANT CREATE ON SCHEMA \
                 {schema} TO {owner})"
            ));
        }
        if !self.impossible.is_empty() {
            let (login, entries) = (self.facts.login.clone(), std::mem::take(&mut self.impossible));
            return Err(Refusal::NeedsSuperuser { login, entries });
        }
        if !self.obstacles.is_empty() {
            return Err(Refusal::CannotClear { owner, obstacles: std::mem::take(&mut self.obstacles) });
        }
        Ok(())
    }

    /// The statements of an entry that has to be created by a superuser.
    pub(crate) fn as_superuser(&mut self, entry: &Entry, sql: &str, statements: &mut Vec<(RunAs, String)>) {
        if !self.facts.is_superuser {
            self.impossible.push(label(entry));
            return;
        }
        statements.push((RunAs::Superuser, sql.to_owned()));
        match hand_over(entry, sql, self.strings, &self.facts.roles.owner) {
            Some(hand_over) if can_be_handed_over(entry, sql, self.strings) => {
                statements.push((RunAs::Superuser, hand_over));
            }
            _ => drop(self.superusers.insert(entry.dump_id)),
        }
    }
}

/// The types that an archive makes, and those of its relations' rows.
pub(crate) fn created_types(archive: &Archive) -> HashSet<QualifiedName> {
    use EntryKind as K;
    let is_type = |entry: &&Entry| {
        matches!(
            entry.kind,
            K::Type | K::Domain | K::ShellType | K::Table | K::View | K::MaterializedView | K::ForeignTable
        )
    };
    archive.entries().iter().filter(is_type).map(qualified_name).collect()
}

fn of(entry: &Entry, owner: &str) -> String {
    format!("{} of {owner}", label(entry))
}
