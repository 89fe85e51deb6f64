//! Finds the rights that the statement of an entry requires beyond those of its kind: on parameters, languages, and
//! objects that belong to others.

use super::Planner;
use crate::archive::{Archive, Entry, EntryKind};
use crate::progress::Severity;
use crate::restore::plan::RunAs;
use crate::restore::plan::comment::comment_on;
use crate::restore::plan::entry::sql;
use crate::restore::plan::foreign_key::foreign_key;
use crate::restore::plan::function_settings::{FunctionSetting, settings, without};
use crate::restore::plan::hand_over::routine;
use crate::restore::plan::superuser::{
    estimators, is_known_as_untrusted, is_shell_type, language, privileged_attribute,
};
use crate::restore::plan::touched::{
    Right, alter_function, relations, require_owner_of_function, sequence_value,
};
use crate::restore::plan::words::words;
use crate::sql::{QualifiedName, quote_ident};
use std::collections::HashSet;

/// PL/pgSQL's own parameters are known to a session that has loaded it.
const LOAD_PLPGSQL: &str = "DO LANGUAGE plpgsql 'BEGIN END'";

impl Planner<'_> {
    /// The statements that make an entry's object, each with its role.
    pub(crate) fn statements(&mut self, entry: &Entry, sql: &str) -> Vec<(RunAs, String)> {
        if self.facts.owner_is_superuser || self.facts.builds_as_superuser {
            return match self.needs_superuser(entry, sql) {
                true => self.as_superuser(entry, sql, None),
                false => vec![(self.builder(entry), sql.to_owned())],
            };
        }
        match entry.kind {
            EntryKind::SequenceSet => return self.sequence_set(entry, sql),
            EntryKind::Type if self.facts.is_superuser && self.is_shell_type(entry, sql) => {
                return self.shell_type(entry);
            }
            _ => {}
        }
        if self.needs_superuser(entry, sql) {
            let reason = self.attribute_of_superuser(entry, sql);
            return self.as_superuser(entry, sql, reason);
        }
        if let Some(statements) = self.foreign_key_to_extension(entry, sql) {
            return statements;
        }
        let reason = self.required_right(entry, sql);
        if let Some(reason) = reason.or_else(|| self.closed_object(entry, sql)) {
            return self.as_superuser(entry, sql, Some(reason));
        }
        self.function_settings(entry, sql)
    }

    /// A right that the statement of an entry requires and that `username` does not have, as a reason.
    pub(crate) fn required_right(&mut self, entry: &Entry, sql: &str) -> Option<String> {
        if self.facts.owner_is_superuser || self.facts.builds_as_superuser {
            return None;
        }
        let refused_options = self.facts.rights.refused_options.get(&entry.dump_id).cloned();
        refused_options.or_else(|| self.right_of_others(entry, sql))
    }

    /// The attribute of a function or an operator that only a superuser can give it, as a reason.
    fn attribute_of_superuser(&self, entry: &Entry, sql: &str) -> Option<String> {
        if let Some(function) = self.estimator_of_others(entry, sql) {
            return Some(format!("only a superuser may make an operator with the estimator {function}"));
        }
        if !is_routine(entry) {
            return None;
        }
        if let Some(language) = self.untrusted_language(entry, sql) {
            return Some(format!("language {} is not trusted", quote_ident(&language)));
        }
        let attribute = privileged_attribute(sql, self.strings)?;
        Some(format!("only a superuser may make a function {attribute}"))
    }

    /// The language of a function, if it is known to be an untrusted one. The archive says it of its own languages, the
    /// server of those in the target and of extensions.
    pub(crate) fn untrusted_language(&self, entry: &Entry, function: &str) -> Option<String> {
        if !is_routine(entry) {
            return None;
        }
        let language = language(function, self.strings)?;
        if matches!(language.as_str(), "sql" | "plpgsql") {
            return None;
        }
        let mut entries = self.archive.entries().iter();
        let of_archive =
            entries.find(|entry| entry.kind == EntryKind::ProceduralLanguage && entry.name() == language);
        let made_by = || self.facts.database.available.get(&language);
        let is_trusted = match of_archive.and_then(sql) {
            Some(sql) if words(sql, self.strings, &["trusted"]) => true,
            // `CREATE LANGUAGE x` without a handler takes it from an extension or a template.
            Some(sql) if words(sql, self.strings, &["handler"]) => false,
            _ => match (self.facts.rights.languages.get(&language), made_by()) {
                (Some(is_trusted), _) => *is_trusted,
                (None, Some(extension)) if extension.for_everyone => true,
                _ => !is_known_as_untrusted(&language),
            },
        };
        (!is_trusted).then_some(language)
    }

    /// The selectivity estimator of an operator, if it is not one of the system. Only a superuser can use it on servers with
    /// the correction for CVE-2026-2004.
    pub(crate) fn estimator_of_others(&self, entry: &Entry, sql: &str) -> Option<QualifiedName> {
        if entry.kind != EntryKind::Operator || !restricts_estimators(self.facts.server_version) {
            return None;
        }
        // Old archives name the functions of the operator's own schema without it.
        let is_created = |name: &str| {
            let mut routines = self.archive.entries().iter().filter(|entry| is_routine(entry));
            routines.any(|routine| routine.name().split('(').next() == Some(name))
        };
        let in_catalog = |name: &QualifiedName| match &name.schema {
            Some(schema) => schema == "pg_catalog",
            None => !is_created(&name.name),
        };
        estimators(sql, self.strings).into_iter().find(|name| !in_catalog(name))
    }

    /// The statements of a foreign key to a table that is not `username`'s, if a superuser may add it.
    fn foreign_key_to_extension(&mut self, entry: &Entry, sql: &str) -> Option<Vec<(RunAs, String)>> {
        if entry.kind != EntryKind::FkConstraint || !self.facts.is_superuser {
            return None;
        }
        let of_others: Vec<Right> = relations(entry, sql, self.strings)
            .into_iter()
            .filter(|(name, _)| self.relation_of_others(entry, name).is_some())
            .map(|(_, right)| right)
            .collect();
        if of_others != [Right::References] {
            return None;
        }
        let key = foreign_key(sql, self.strings, &self.facts.roles.owner, self.facts.server_version)?;
        let validate = key.validate.map(|sql| (RunAs::Owner, sql));
        Some([(RunAs::Written, key.add)].into_iter().chain(validate).collect())
    }

    /// Why an entry requires a right on a relation that the archive does not make and that is not `username`'s.
    fn right_of_others(&self, entry: &Entry, sql: &str) -> Option<String> {
        let owner = quote_ident(&self.facts.roles.owner);
        for (name, right) in relations(entry, sql, self.strings) {
            let Some(whose) = self.relation_of_others(entry, &name) else { continue };
            match right {
                Right::Owner => {
                    return Some(format!("it requires the owner of {name}, which belongs to {whose}"));
                }
                Right::References if self.facts.is_superuser => {
                    return Some(format!(
                        "it refers to {name}, which belongs to {whose}, from a table with partitions or by a PERIOD"
                    ));
                }
                Right::References if self.facts.rights.referable.contains(&name.to_string()) => {}
                Right::References => {
                    return Some(format!(
                        "it refers to {name}, which belongs to {whose} (GRANT REFERENCES ON TABLE {name} TO {owner})"
                    ));
                }
            }
        }
        None
    }

    /// The owner of a relation that the archive does not make, if it is another role or an extension of a superuser.
    fn relation_of_others(&self, entry: &Entry, name: &QualifiedName) -> Option<String> {
        let schema = name.schema.as_deref()?;
        if self.relations.contains(name) || matches!(schema, "pg_catalog" | "information_schema") {
            return None;
        }
        if let Some(owner) = self.facts.database.not_ours.owner_of_relation(name) {
            return Some(owner.to_owned());
        }
        let extensions: Vec<&Entry> = self
            .archive
            .entries()
            .iter()
            .filter(|extension| extension.kind == EntryKind::Extension && extension.name() != "plpgsql")
            .collect();
        let depended: Vec<&Entry> = extensions
            .iter()
            .copied()
            .filter(|extension| entry.dependencies.contains(&extension.dump_id))
            .collect();
        let candidates = if depended.is_empty() { extensions } else { depended };
        let is_superusers = |extension: &&Entry| {
            let available = self.facts.database.available.get(extension.name());
            available.is_some_and(|extension| extension.is_superusers)
        };
        let first = candidates.first()?;
        candidates.iter().all(is_superusers).then(|| match candidates.len() {
            1 => format!("extension {}", quote_ident(first.name())),
            _ => "an extension".to_owned(),
        })
    }

    /// A function without the settings that `username` may not make, and the superuser's statement that adds them.
    /// Such a setting gives no right: the server checks it again whenever the function is called.
    fn function_settings(&mut self, entry: &Entry, sql: &str) -> Vec<(RunAs, String)> {
        let all = match &self.facts.rights.parameters {
            Some(_) if is_routine(entry) => settings(sql, self.strings),
            _ => Vec::new(),
        };
        let may_set = |setting: &&FunctionSetting| {
            self.facts.rights.parameters.as_ref().is_none_or(|known| known.contains(&setting.parameter))
        };
        let (own, of_superuser): (Vec<_>, Vec<_>) = all.iter().partition(may_set);
        let mut statements = Vec::with_capacity(2);
        if own.iter().any(|setting| setting.parameter.starts_with("plpgsql.")) {
            statements.push((RunAs::Owner, LOAD_PLPGSQL.to_owned()));
        }
        if of_superuser.is_empty() {
            statements.push((RunAs::Owner, sql.to_owned()));
            return statements;
        }
        match routine(entry, sql, self.strings).filter(|_| self.facts.is_superuser && self.qualified) {
            Some(signature) => {
                statements.push((RunAs::Owner, without(sql, &of_superuser)));
                // The types of a forged archive may be those of another function.
                let owner = &self.facts.roles.owner;
                statements.push((RunAs::Written, require_owner_of_function(&signature, owner)));
                statements.push((RunAs::Written, alter_function(&signature, &of_superuser)));
                statements
            }
            None => {
                let reason = self.parameters_of_superuser(&of_superuser);
                self.as_superuser(entry, sql, Some(reason))
            }
        }
    }

    fn parameters_of_superuser(&self, settings: &[&FunctionSetting]) -> String {
        let names: Vec<String> = settings.iter().map(|setting| quote_ident(&setting.parameter)).collect();
        let (names, owner) = (names.join(", "), quote_ident(&self.facts.roles.owner));
        let grant = match self.facts.server_version {
            150_000.. => format!(" (GRANT SET ON PARAMETER {names} TO {owner})"),
            _ => String::new(),
        };
        format!("it sets {names}, which {owner} may not{grant}")
    }

    /// A sequence's value. A superuser sets those of extensions.
    fn sequence_set(&mut self, entry: &Entry, sql: &str) -> Vec<(RunAs, String)> {
        let own = vec![(RunAs::Owner, sql.to_owned())];
        let Some((name, written)) = sequence_value(sql, self.strings) else { return own };
        let Some(whose) = self.relation_of_others(entry, &name) else { return own };
        if self.facts.is_superuser {
            return vec![(RunAs::Written, written)];
        }
        let why = format!("sequence {name} belongs to {whose}; to set it, run as a superuser: {written}");
        self.skip(entry, Severity::Warning, &why);
        Vec::new()
    }

    /// A comment on a schema that exists and belongs to another role (`public`): a superuser makes it. Returns false for
    /// any other entry. pg_dump writes an entry for the schema only if something else of it is not the default.
    pub(crate) fn comment_on_schema_of_others(&mut self, entry: &Entry) -> bool {
        let comment = sql(entry).filter(|_| entry.kind == EntryKind::Comment);
        let Some((schema, written)) = comment.and_then(|sql| comment_on("schema", sql, self.strings)) else {
            return false;
        };
        let owns = match self.facts.database.schemas.get(&schema) {
            Some(rights) => rights.owns,
            None => schema != "public" || self.facts.owner_owns_public,
        };
        if owns || self.facts.owner_is_superuser {
            return false;
        }
        if self.facts.is_superuser {
            self.push(entry, vec![(RunAs::Written, written)]);
            return true;
        }
        // The comment that the schema has in a new database.
        if written.ends_with(" IS 'standard public schema'") {
            self.skipped.insert(entry.dump_id);
            return true;
        }
        let owner = quote_ident(&self.facts.roles.owner);
        let why = format!("{owner} does not own the schema; to set it, run as its owner: {written}");
        self.skip(entry, Severity::Warning, &why);
        true
    }

    /// Whether an entry is a type that was never completed, in a schema of the archive.
    fn is_shell_type(&self, entry: &Entry, sql: &str) -> bool {
        let schema = entry.schema().unwrap_or_default();
        let mut entries = self.archive.entries().iter();
        is_shell_type(sql, self.strings)
            && (schema == "public"
                || entries.any(|entry| entry.kind == EntryKind::Schema && entry.name() == schema))
    }

    /// A type that was never completed, which nobody can use.
    fn shell_type(&self, entry: &Entry) -> Vec<(RunAs, String)> {
        let (name, owner) = (entry.qualified_name(), quote_ident(&self.facts.roles.owner));
        vec![
            (RunAs::Written, format!("CREATE TYPE {name}")),
            (RunAs::Written, format!("ALTER TYPE {name} OWNER TO {owner}")),
        ]
    }
}

/// The relations that an archive makes.
pub(crate) fn created_relations(archive: &Archive) -> HashSet<QualifiedName> {
    use EntryKind as K;
    let is_relation = |entry: &&Entry| {
        matches!(entry.kind, K::Table | K::ForeignTable | K::View | K::MaterializedView | K::Sequence)
    };
    archive.entries().iter().filter(is_relation).map(Entry::qualified_name).collect()
}

/// Whether a server restricts the estimators of operators to those of the system, except for superusers.
fn restricts_estimators(server_version: i32) -> bool {
    match server_version {
        180_000.. => server_version >= 180_002,
        170_000.. => server_version >= 170_008,
        160_000.. => server_version >= 160_012,
        150_000.. => server_version >= 150_016,
        _ => server_version >= 140_021,
    }
}

fn is_routine(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Function | EntryKind::Procedure)
}
