//! Finds the entries that require rights that `username` does not have: all of them, before anything is dropped.

use super::Planner;
use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::lines::{count, inline};
use crate::progress::{Notice, NoticeCode, Severity};
use crate::restore::plan::entry::{label, owner, sql};
use crate::restore::plan::hand_over::hand_over;
use crate::restore::plan::kinds::{self, Part, Whole};
use crate::restore::plan::roles::Roles;
use crate::restore::plan::superuser::{can_be_handed_over, needs_superuser};
use crate::restore::plan::words::name_after;
use crate::restore::plan::{Blocked, RunAs};
use crate::restore::refusal::Refusal;
use crate::sql::{QualifiedName, quote_ident};
use std::collections::{BTreeMap, HashSet};

/// The names of skipped objects that other entries name in their SQL. Scripts have no dependencies to follow.
#[derive(Default)]
pub(crate) struct SkippedWholes {
    publications: HashSet<String>,
    servers: HashSet<String>,
}

/// A schema in which `username` may not create objects.
pub(crate) struct ClosedSchema {
    /// The first entry in it.
    first: String,
    entries: Vec<DumpId>,
}

impl SkippedWholes {
    /// Notes an entry that was skipped, if others can name it.
    fn note(&mut self, entry: &Entry) {
        let names = match entry.kind {
            EntryKind::Publication => &mut self.publications,
            EntryKind::Server => &mut self.servers,
            _ => return,
        };
        names.insert(entry.name().to_owned());
    }

    fn of(&self, whole: Whole) -> &HashSet<String> {
        match whole {
            Whole::Publication => &self.publications,
            Whole::Server => &self.servers,
        }
    }
}

impl Planner<'_> {
    /// Whether a superuser has to create the entry's object, and `username` is not one.
    pub(crate) fn needs_superuser(&self, entry: &Entry, sql: &str) -> bool {
        !self.facts.owner_is_superuser
            && !self.has_wrapper(entry, sql)
            && (needs_superuser(entry, sql, self.strings, &self.facts.database)
                || self.untrusted_language(entry, sql).is_some()
                || self.estimator_of_others(entry, sql).is_some()
                || self.is_about_types_that_are_not_ours(entry)
                || self.publishes_schemas(entry))
    }

    /// Whether another entry publishes the tables of a schema in this publication. Only a superuser can do that, so the
    /// publication may exist already, too.
    fn publishes_schemas(&self, publication: &Entry) -> bool {
        let publishes = |entry: &&Entry| {
            entry.kind == EntryKind::PublicationTablesInSchema
                && name_after(sql(entry).unwrap_or_default(), self.strings, &["alter", "publication"])
                    .as_deref()
                    == Some(publication.name())
        };
        publication.kind == EntryKind::Publication
            && self.archive.entries().iter().any(|entry| publishes(&entry))
    }

    /// Whether the entry is a foreign server whose wrapper `username` may use. A superuser needs no such right.
    fn has_wrapper(&self, entry: &Entry, sql: &str) -> bool {
        let wrapper = || name_after(sql, self.strings, &["foreign", "data", "wrapper"]);
        entry.kind == EntryKind::Server
            && !self.facts.is_superuser
            && wrapper().is_some_and(|wrapper| self.facts.database.wrappers.contains(&wrapper))
    }

    /// Whether an entry belongs to an object that exists and is not `username`'s. Then the entry is skipped. Its SQL names
    /// the object, because scripts have no dependencies.
    pub(crate) fn belongs_to_skipped(&mut self, entry: &Entry, sql: &str) -> bool {
        let Some(whole) = kinds::of(entry.kind).whole else { return false };
        let name = match whole {
            Whole::Publication => name_after(sql, self.strings, &["alter", "publication"]),
            Whole::Server => name_after(sql, self.strings, &["server"]),
        };
        let belongs = self.describes(entry, &self.skipped)
            || name.is_some_and(|name| self.skipped_wholes.of(whole).contains(&name));
        if belongs {
            self.skip(entry, Severity::Warning, "what it belongs to is there already, and is not username's");
        }
        belongs
    }

    /// Whether the entry is a cast between types that the archive does not make. Only the owner of one of its types can make
    /// a cast. The tag names the types, because scripts have no dependencies.
    fn is_about_types_that_are_not_ours(&self, entry: &Entry) -> bool {
        if entry.kind != EntryKind::Cast {
            return false;
        }
        let types =
            entry.name().strip_prefix("CAST (").and_then(|tag| tag.strip_suffix(')')).unwrap_or_default();
        // The name of a type can contain " AS ", so each place is tried.
        let is_own = |(at, _): (usize, &str)| {
            let (from, to) = (types.get(..at), types.get(at + " AS ".len()..));
            let names = [from, to].into_iter().flatten().filter_map(|name| QualifiedName::parse(name).ok());
            names.into_iter().any(|name| self.types.contains(&name))
        };
        !types.match_indices(" AS ").any(is_own)
    }

    /// Whether the entry's object exists and is not `username`'s. Such an object is welcome if only a superuser can make it;
    /// else it is an obstacle.
    pub(crate) fn is_not_ours(&mut self, entry: &Entry, sql: &str) -> bool {
        if self.belongs_to_skipped(entry, sql) {
            return true;
        }
        let Some(owner) = self.facts.database.not_ours.owner_of(entry, sql, self.strings) else {
            return false;
        };
        if self.needs_superuser(entry, sql) {
            let why = format!("it is there already, and stays as it is; it belongs to {owner}");
            self.skip(entry, Severity::Notice, &why);
            self.skipped_wholes.note(entry);
        } else {
            self.obstacles.push(format!("{}, which is the archive's, too", of(entry, owner)));
        }
        true
    }

    /// Notes the schema of an entry, or the database, if `username` may not create objects in it.
    pub(crate) fn note_closed_schema(&mut self, entry: &Entry) {
        let database = &self.facts.database;
        if kinds::of(entry.kind).in_database && database.closed && !self.facts.owner_is_superuser {
            let owner = quote_ident(&self.facts.roles.owner);
            let line = format!("{}, as {owner} may not create in the database", label(entry));
            self.impossible.push((entry.dump_id, line));
        }
        let Some(schema) = entry.schema() else { return };
        let is_closed = database.schemas.get(schema).is_some_and(|rights| !rights.creates);
        if is_closed && !self.facts.is_superuser {
            let closed = || ClosedSchema { first: label(entry), entries: Vec::new() };
            let closed = self.closed_schemas.entry(schema.to_owned()).or_insert_with(closed);
            closed.entries.push(entry.dump_id);
        }
    }

    /// Refuses everything that was noted, at once.
    pub(crate) fn refuse_what_lacks_rights(&mut self) -> Result<(), Blocked> {
        let owner = quote_ident(&self.facts.roles.owner);
        let impossible = std::mem::take(&mut self.impossible);
        let (mut entries, mut lines): (Vec<_>, Vec<_>) = impossible.into_iter().unzip();
        for (schema, ClosedSchema { first, entries: in_schema }) in &self.closed_schemas {
            let schema = quote_ident(schema);
            lines.push(format!(
                "{first} and all else in schema {schema}, in which {owner} may not create (GRANT CREATE ON SCHEMA \
                 {schema} TO {owner})"
            ));
            entries.extend(in_schema);
        }
        if !lines.is_empty() {
            let refusal = Refusal::NeedsSuperuser { login: self.facts.login.clone(), entries: lines };
            return Err(Blocked { refusal, entries });
        }
        if !self.obstacles.is_empty() {
            let obstacles = std::mem::take(&mut self.obstacles);
            return Err(Refusal::CannotClear { owner, obstacles }.into());
        }
        Ok(())
    }

    /// The statements of an entry whose object a superuser has to create: it is then handed over, if that is possible.
    pub(crate) fn as_superuser(
        &mut self,
        entry: &Entry,
        sql: &str,
        reason: Option<String>,
    ) -> Vec<(RunAs, String)> {
        let mut statements = Vec::with_capacity(2);
        if !self.facts.is_superuser {
            let label = label(entry);
            let line = match reason {
                Some(reason) => format!("{label}: {reason}"),
                None => label,
            };
            self.impossible.push((entry.dump_id, line));
            return statements;
        }
        if let Some(reason) = reason {
            self.plan.reasons.insert(entry.dump_id, reason);
        }
        statements.push((RunAs::Superuser, sql.to_owned()));
        match hand_over(entry, sql, self.strings, &self.facts.roles.owner) {
            Some(hand_over) if can_be_handed_over(entry, sql, self.strings) => {
                if !self.facts.builds_as_superuser {
                    statements.push((RunAs::Superuser, hand_over));
                }
            }
            _ => drop(self.superusers.insert(entry.dump_id)),
        }
        statements
    }
}

/// The types that an archive makes, including the row types of its relations.
pub(crate) fn created_types(archive: &Archive) -> HashSet<QualifiedName> {
    let is_type = |entry: &&Entry| kinds::of(entry.kind).place.names.include_type();
    archive.entries().iter().filter(is_type).map(Entry::qualified_name).collect()
}

/// The owners of the archive's objects, restored or not. Schema public has the owner of the database; it says nothing about the application.
pub(crate) fn owners(archive: &Archive) -> HashSet<String> {
    let is_object = |entry: &&Entry| {
        let is_public = entry.kind == EntryKind::Schema && entry.name() == "public";
        !is_public && matches!(kinds::of(entry.kind).part, Part::Definition | Part::Contents)
    };
    let objects = archive.all_entries().iter().filter(is_object);
    let of_objects = objects.filter(|entry| entry.kind != EntryKind::DefaultAcl);
    of_objects.map(owner).filter(|owner| !owner.is_empty()).map(str::to_owned).collect()
}

/// Warnings for the roles besides the application's that own a part of the archive's objects and that the cluster has:
/// pg_restore would give these objects to them, and here `username` owns all.
pub(crate) fn other_owners(
    objects: &ObjectsByOwner<'_>,
    application: Option<&str>,
    roles: &Roles,
) -> Vec<Notice> {
    let others =
        objects.iter().filter(|(role, _)| Some(**role) != application && roles.existing.contains(**role));
    let warning = |(role, objects): (&&str, &Vec<String>)| {
        let text = format!(
            "{} of role {} in the backup will belong to {}: {}",
            count(objects.len(), "object"),
            quote_ident(role),
            quote_ident(&roles.owner),
            inline(objects.iter())
        );
        Notice::warning(NoticeCode::OwnerChanged, text)
    };
    others.map(warning).collect()
}

/// The objects that can be handed over, by their owner in the archive.
pub(crate) type ObjectsByOwner<'a> = BTreeMap<&'a str, Vec<String>>;

pub(crate) fn objects_by_owner(archive: &Archive) -> ObjectsByOwner<'_> {
    let strings = archive.strings();
    let mut objects = ObjectsByOwner::new();
    for entry in archive.entries() {
        let is_public = entry.kind == EntryKind::Schema && entry.name() == "public";
        let kind = kinds::of(entry.kind);
        let is_handed_over = kind.part == Part::Definition
            && sql(entry).is_some_and(|sql| can_be_handed_over(entry, sql, strings));
        if is_handed_over && !is_public && !owner(entry).is_empty() {
            objects.entry(owner(entry)).or_default().push(label(entry));
        }
    }
    objects
}

/// The application's role in the archive: `username` itself, or the owner of most, which gets a new name here.
pub(crate) fn application(objects: &ObjectsByOwner<'_>, roles: &Roles) -> Option<String> {
    if objects.contains_key(roles.owner.as_str()) {
        return Some(roles.owner.clone());
    }
    let most = objects.iter().max_by_key(|(_, objects)| objects.len());
    most.map(|(role, _)| (*role).to_owned())
}

fn of(entry: &Entry, owner: &str) -> String {
    format!("{} of {owner}", label(entry))
}
