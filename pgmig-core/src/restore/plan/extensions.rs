//! The extensions that an archive needs, beside those that the server and the target have.

use super::Facts;
use super::entry::{label, sql};
use super::kinds::{self, Part};
use super::words::name_after;
use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::progress::{Notice, NoticeCode};
use crate::sql::{QualifiedName, quote_ident};
use std::collections::BTreeSet;

/// How many entries a message names.
const NAMED: usize = 5;

/// The extension whose script accepts only the database of its setting `cron.database_name`.
const PG_CRON: &str = "pg_cron";

/// An extension that the server has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Whether any role with CREATE on the database may create it (a trusted extension).
    pub(crate) for_everyone: bool,
    /// Whether its objects belong to a superuser, whoever creates it.
    pub(crate) is_superusers: bool,
    /// The version that CREATE EXTENSION makes.
    pub(crate) version: String,
    /// The only schema that it can be created in.
    pub(crate) schema: Option<String>,
    /// The extensions that have to exist before it.
    pub(crate) requires: Vec<String>,
}

/// An extension that exists when a restore begins, and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StayingExtension {
    pub(crate) schema: String,
    pub(crate) owner: String,
    /// Whether ALTER EXTENSION can move it to another schema.
    pub(crate) is_relocatable: bool,
}

/// A table or a sequence of an extension that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberRelation {
    pub(crate) extension: String,
    /// The rows that a backup contains, as the end of a query: empty for all rows. `None` if a backup contains none.
    pub(crate) condition: Option<String>,
    /// What `username` lacks to replace these rows; `None` if it may.
    pub(crate) lacks: Option<Lack>,
}

/// The reason why a role cannot replace the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It lacks a privilege.
    Privileges,
    /// Row level security hides rows from it.
    RowSecurity,
}

/// Rows of an extension's table that give way to those of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplacedRows {
    pub(crate) table: QualifiedName,
    /// The end of a query for them.
    pub(crate) condition: String,
}

/// The findings about the archive's extensions.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Extensions with which a restore cannot succeed, each with the reason.
    pub(crate) obstacles: Vec<(DumpId, String)>,
    pub(crate) notices: Vec<Notice>,
}

impl MemberRelation {
    /// Why the rows in the archive are left out; `None` if they can replace those of the target.
    pub(crate) fn why_left_out(
        &self,
        name: &QualifiedName,
        username: &str,
        su_is_superuser: bool,
    ) -> Option<String> {
        let extension = quote_ident(&self.extension);
        let kept = format!("it belongs to extension {extension}, which stays in the target as it is");
        let user = quote_ident(username);
        let schema = quote_ident(name.schema.as_deref().unwrap_or_default());
        let or =
            if su_is_superuser { ", or RestoreOptions::trust_archive, by which a superuser may" } else { "" };
        Some(match self.lacks {
            _ if self.condition.is_none() => format!("{kept}; the extension does not leave it to its users"),
            None => return None,
            Some(Lack::RowSecurity) => format!(
                "{kept}; row level security does not let {user} replace all of its rows, only a superuser can \
                 (RestoreOptions::trust_archive)"
            ),
            Some(Lack::Privileges) => format!(
                "{kept}; {user} may not replace its rows (GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT, INSERT, \
                 DELETE ON TABLE {name} TO {user}{or})"
            ),
        })
    }
}

/// Compares the archive's extensions with those of the server and of the database to restore into.
pub(crate) fn findings(archive: &Archive, facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    let extensions = || archive.entries().iter().filter(|entry| entry.kind == EntryKind::Extension);
    let names: BTreeSet<&str> = extensions().map(Entry::name).collect();
    for entry in extensions() {
        let schema = name_after(sql(entry).unwrap_or_default(), archive.strings(), &["with", "schema"]);
        let looking = Looking { archive, facts, entry, schema: schema.as_deref() };
        match facts.database.staying.get(entry.name()) {
            Some(staying) => looking.staying(staying, &mut findings),
            None if facts.database.extensions.contains(entry.name()) => {}
            None => findings.obstacles.extend(looking.obstacle(&names).map(|line| (entry.dump_id, line))),
        }
    }
    findings
}

struct Looking<'a> {
    archive: &'a Archive,
    facts: &'a Facts,
    /// The entry of an extension.
    entry: &'a Entry,
    /// The schema that it names.
    schema: Option<&'a str>,
}

impl Looking<'_> {
    /// The reason why the extension cannot be created.
    fn obstacle(&self, of_archive: &BTreeSet<&str>) -> Option<String> {
        let database = &self.facts.database;
        let name = quote_ident(self.entry.name());
        let Some(available) = database.available.get(self.entry.name()) else {
            return Some(format!(
                "extension {name} is not available on the server{}; install it there, or restore the backup without it",
                self.in_words(
                    ", and the archive needs it for ",
                    ", and nothing in the archive depends on it"
                )
            ));
        };
        if let (Some(only), Some(schema)) = (&available.schema, self.schema)
            && only != schema
        {
            return Some(format!(
                "extension {name} is in schema {} in the archive, and this server's version of it can be created in schema \
                 {} only",
                quote_ident(schema),
                quote_ident(only)
            ));
        }
        let exists = |name: &str| {
            of_archive.contains(name) || database.extensions.contains(name) || database.extra.contains(name)
        };
        if let Some(missing) = available.requires.iter().find(|required| !exists(required)) {
            return Some(format!(
                "extension {name} of this server (version {}) requires extension {}, which the archive does not have; create \
                 that in the target, and it is created again",
                available.version,
                quote_ident(missing)
            ));
        }
        let only_in = database.cron_database.as_deref().filter(|_| self.entry.name() == PG_CRON)?;
        (only_in != database.name).then(|| {
            format!(
                "extension {name} can be created only in database {} (the server's setting cron.database_name)",
                quote_ident(only_in)
            )
        })
    }

    /// Compares the schema of an extension that stays with the archive's.
    fn staying(&self, staying: &StayingExtension, findings: &mut Findings) {
        let Some(schema) = self.schema.filter(|schema| *schema != staying.schema) else { return };
        let (name, owner) = (quote_ident(self.entry.name()), quote_ident(&staying.owner));
        let (here, there) = (quote_ident(schema), quote_ident(&staying.schema));
        let fact = format!(
            "the archive has extension {name} in schema {here}, and the target has it in schema {there}, where it stays, as \
             it belongs to {owner}"
        );
        if !self.is_needed(schema) {
            let text = format!("{fact}; nothing in the archive is seen to depend on its schema");
            findings.notices.push(Notice::warning(NoticeCode::ExtensionInOtherSchema, text));
            return;
        }
        let remedy = if staying.is_relocatable {
            format!("let {owner} move it (ALTER EXTENSION {name} SET SCHEMA {here})")
        } else {
            format!(
                "let {owner} create it in schema {here} (DROP EXTENSION {name}; CREATE EXTENSION {name} SCHEMA {here})"
            )
        };
        let line = format!(
            "{fact}{}; {remedy}, or use StrategyChoice::Swap with a superuser",
            self.in_words("; the archive needs it for ", "")
        );
        findings.obstacles.push((self.entry.dump_id, line));
    }

    /// Whether entries of the archive need the extension in this schema. Scripts have no dependencies, so their text counts.
    fn is_needed(&self, schema: &str) -> bool {
        if !self.dependents().is_empty() {
            return true;
        }
        let member = |name: &str| format!("{}.{name}", quote_ident(schema));
        let members = &self.facts.database.member_names;
        let named: Vec<String> = members
            .iter()
            .filter(|(extension, _)| extension == self.entry.name())
            .map(|(_, name)| member(name))
            .collect();
        let mut others = self.archive.entries().iter().filter(|entry| entry.kind != EntryKind::Extension);
        others.any(|entry| {
            let text = sql(entry).unwrap_or_default();
            named.iter().any(|name| has_name(text, name))
        })
    }

    /// The entries with definitions that depend on the extension.
    fn dependents(&self) -> Vec<String> {
        let depends = |entry: &&Entry| {
            entry.dependencies.contains(&self.entry.dump_id)
                && kinds::of(entry.kind).part == Part::Definition
                && !matches!(entry.kind, EntryKind::Comment | EntryKind::SecurityLabel)
        };
        self.archive.entries().iter().filter(depends).map(label).collect()
    }

    /// The entries that depend on the extension, after `some`; or `none`.
    fn in_words(&self, some: &str, none: &str) -> String {
        let dependents = self.dependents();
        if dependents.is_empty() {
            return if self.archive.entries().iter().all(|entry| entry.dependencies.is_empty()) {
                String::new()
            } else {
                none.to_owned()
            };
        }
        let more = if dependents.len() > NAMED { ", ..." } else { "" };
        let named: Vec<&str> = dependents.iter().take(NAMED).map(String::as_str).collect();
        format!("{some}{}{more}", named.join(", "))
    }
}

/// Whether a text contains a name that ends there.
fn has_name(text: &str, name: &str) -> bool {
    let continues =
        |after: &str| after.chars().next().is_some_and(|char| char.is_alphanumeric() || char == '_');
    text.match_indices(name).any(|(at, found)| !text.get(at + found.len()..).is_some_and(continues))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whole() {
        assert!(has_name("email public.citext NOT NULL", "public.citext"));
        assert!(!has_name("email public.citext_2", "public.citext"));
        assert!(has_name("x public.a_b, y public.a", "public.a"));
    }

    #[test]
    fn rows_that_are_left_out_have_a_reason() {
        let member =
            |lacks| MemberRelation { extension: "cron".to_owned(), condition: Some(String::new()), lacks };
        let name = QualifiedName::new("cron", "job");
        let why = |lacks| member(lacks).why_left_out(&name, "app", false).unwrap_or_default();
        assert_eq!(why(None), "");
        assert!(
            why(Some(Lack::Privileges)).contains("GRANT SELECT, INSERT, DELETE ON TABLE cron.job TO app")
        );
        assert!(why(Some(Lack::RowSecurity)).contains("trust_archive"));
    }
}
