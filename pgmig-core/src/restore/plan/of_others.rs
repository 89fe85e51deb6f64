//! Objects of others that are in the database when a restore begins, and which entries of an archive make the same.

use super::superuser::{name_after, words};
use crate::archive::{Entry, EntryKind};
use crate::sql::{QualifiedName, StandardStrings, quote_ident};
use std::collections::HashMap;

/// The names that relations share.
const RELATIONS: [&str; 7] =
    ["table", "view", "materialized view", "sequence", "foreign table", "index", "composite type"];

/// Objects by what `pg_identify_object` says of them, and their owners as SQL.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfOthers(HashMap<(&'static str, String), String>);

/// Kinds that are looked for: as `pg_identify_object` calls them, and as they are kept here, where all that share names
/// are one kind.
fn shared_names(kind: &str) -> Option<&'static str> {
    if RELATIONS.contains(&kind) {
        return Some("relation");
    }
    const OTHERS: [&str; 16] = [
        "type",
        "operator class",
        "operator family",
        "collation",
        "conversion",
        "text search configuration",
        "text search dictionary",
        "text search parser",
        "text search template",
        "statistics object",
        "event trigger",
        "foreign-data wrapper",
        "server",
        "language",
        "access method",
        "publication",
    ];
    match kind {
        "function" | "procedure" | "aggregate" => Some("routine"),
        "cast" => Some("cast"),
        "transform" => Some("transform"),
        kind => OTHERS.into_iter().find(|known| *known == kind),
    }
}

impl<'a> FromIterator<(&'a str, &'a str, &'a str)> for OfOthers {
    /// Kind, identity and owner of each.
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str, &'a str)>>(objects: T) -> Self {
        let key = |(kind, identity, owner): (&str, &str, &str)| {
            let kind = shared_names(kind)?;
            Some(((kind, normal(kind, identity)), owner.to_owned()))
        };
        Self(objects.into_iter().filter_map(key).collect())
    }
}

impl OfOthers {
    /// Who owns the object that is there already under a name that `entry` takes, if there is one.
    pub(crate) fn owner_of(&self, entry: &Entry, sql: &str, strings: StandardStrings) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let Names(first, second) = names(entry, sql, strings)?;
        let owner = |name| self.0.get(&name).map(String::as_str);
        owner(first).or_else(|| second.and_then(owner))
    }
}

/// An identity without what archives write otherwise: blanks between arguments, the schema of PostgreSQL's own types, the
/// access method of an operator class.
fn normal(kind: &str, identity: &str) -> String {
    match kind {
        "operator class" | "operator family" => {
            identity.rsplit_once(" USING ").map_or(identity, |(name, _)| name).to_owned()
        }
        "routine" | "cast" | "transform" => identity.replace(", ", ",").replace("pg_catalog.", ""),
        _ => identity.to_owned(),
    }
}

/// The names that an object takes, each with its kind.
struct Names((&'static str, String), Option<(&'static str, String)>);

fn names(entry: &Entry, sql: &str, strings: StandardStrings) -> Option<Names> {
    use EntryKind as K;
    let tag = entry.tag.to_str().ok()?;
    let schema = entry.namespace.as_ref().and_then(|schema| schema.to_str().ok()).unwrap_or_default();
    let qualified = || QualifiedName::new(schema, tag).to_string();
    let only = |kind, name| Some(Names((kind, name), None));
    match entry.kind {
        // Its rows are of a type of this name.
        K::Table | K::View | K::MaterializedView | K::ForeignTable => {
            Some(Names(("relation", qualified()), Some(("type", qualified()))))
        }
        K::Sequence | K::Index => only("relation", qualified()),
        // Its index has its name; its tag is the table's and its own.
        K::Constraint => {
            let name = name_after(sql, strings, &["add", "constraint"])?;
            only("relation", QualifiedName::new(schema, &name).to_string())
        }
        K::Type if words(sql, strings, &["as", "("]) => {
            Some(Names(("type", qualified()), Some(("relation", qualified()))))
        }
        K::Type | K::Domain | K::ShellType => only("type", qualified()),
        // Its tag is its signature, as SQL.
        K::Function | K::Procedure | K::Aggregate => {
            only("routine", normal("routine", &format!("{}.{tag}", quote_ident(schema))))
        }
        K::Cast => only("cast", normal("cast", tag.strip_prefix("CAST ")?)),
        K::Transform => {
            let (of, language) = tag.strip_prefix("TRANSFORM ").unwrap_or(tag).split_once(" LANGUAGE ")?;
            let of = of.strip_prefix("FOR ")?;
            only("transform", normal("transform", &format!("for {of} language {language}")))
        }
        K::OperatorClass => only("operator class", qualified()),
        K::OperatorFamily => only("operator family", qualified()),
        K::Collation => only("collation", qualified()),
        K::Conversion => only("conversion", qualified()),
        K::TextSearchConfiguration => only("text search configuration", qualified()),
        K::TextSearchDictionary => only("text search dictionary", qualified()),
        K::TextSearchParser => only("text search parser", qualified()),
        K::TextSearchTemplate => only("text search template", qualified()),
        K::Statistics => only("statistics object", qualified()),
        K::EventTrigger => only("event trigger", quote_ident(tag)),
        K::ForeignDataWrapper => only("foreign-data wrapper", quote_ident(tag)),
        K::Server => only("server", quote_ident(tag)),
        K::ProceduralLanguage => only("language", quote_ident(tag)),
        K::AccessMethod => only("access method", quote_ident(tag)),
        K::Publication => only("publication", quote_ident(tag)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_compared_without_blanks_and_access_methods() {
        assert_eq!(normal("routine", "public.f(integer, pg_catalog.text)"), "public.f(integer,text)");
        assert_eq!(normal("operator class", "public.\"odd USING\" USING btree"), "public.\"odd USING\"");
        assert_eq!(shared_names("view"), shared_names("sequence"));
    }
}
