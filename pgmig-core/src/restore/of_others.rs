//! Objects of others that are in the database when a restore begins, and which entries of an archive make the same.

use crate::archive::{Entry, EntryKind};
use crate::sql::{QualifiedName, quote_ident};
use std::collections::HashMap;

/// The names that relations share.
const RELATIONS: [&str; 5] = ["table", "view", "materialized view", "sequence", "foreign table"];

/// Objects by what `pg_identify_object` says of them, and their owners as SQL.
#[derive(Debug, Clone, Default)]
pub(super) struct OfOthers(HashMap<(&'static str, String), String>);

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
    /// Who owns the object that is there already under the name of what `entry` makes, if there is one.
    pub(super) fn owner_of(&self, entry: &Entry) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&key(entry)?).map(String::as_str)
    }
}

/// An identity without what archives write otherwise: blanks between arguments, the schema of PostgreSQL's own types, the
/// access method of an operator class.
fn normal(kind: &str, identity: &str) -> String {
    match kind {
        "operator class" | "operator family" => {
            identity.rsplit_once(" USING ").map_or(identity, |(name, _)| name).to_owned()
        }
        "routine" | "cast" => identity.replace(", ", ",").replace("pg_catalog.", ""),
        _ => identity.to_owned(),
    }
}

fn key(entry: &Entry) -> Option<(&'static str, String)> {
    use EntryKind as K;
    let tag = entry.tag.to_str().ok()?;
    let schema = entry.namespace.as_ref().and_then(|schema| schema.to_str().ok()).unwrap_or_default();
    let qualified = || QualifiedName::new(schema, tag).to_string();
    Some(match entry.kind {
        K::Table | K::View | K::MaterializedView | K::Sequence | K::ForeignTable => ("relation", qualified()),
        K::Type | K::Domain | K::ShellType => ("type", qualified()),
        // Its tag is its signature, as SQL.
        K::Function | K::Procedure | K::Aggregate => {
            ("routine", normal("routine", &format!("{}.{tag}", quote_ident(schema))))
        }
        K::Cast => ("cast", normal("cast", tag.strip_prefix("CAST ")?)),
        K::OperatorClass => ("operator class", qualified()),
        K::OperatorFamily => ("operator family", qualified()),
        K::Collation => ("collation", qualified()),
        K::Conversion => ("conversion", qualified()),
        K::TextSearchConfiguration => ("text search configuration", qualified()),
        K::TextSearchDictionary => ("text search dictionary", qualified()),
        K::TextSearchParser => ("text search parser", qualified()),
        K::TextSearchTemplate => ("text search template", qualified()),
        K::Statistics => ("statistics object", qualified()),
        K::EventTrigger => ("event trigger", quote_ident(tag)),
        K::ForeignDataWrapper => ("foreign-data wrapper", quote_ident(tag)),
        K::Server => ("server", quote_ident(tag)),
        K::ProceduralLanguage => ("language", quote_ident(tag)),
        K::AccessMethod => ("access method", quote_ident(tag)),
        K::Publication => ("publication", quote_ident(tag)),
        _ => return None,
    })
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
