//! Objects of other roles that exist when a restore begins, and the entries of an archive that would make the same.

use super::kinds::{self, Names};
use super::words::{name_after, words};
use crate::archive::Entry;
use crate::sql::{QualifiedName, StandardStrings, quote_ident};
use std::collections::HashMap;

/// Groups of kinds that share names.
const RELATION: &str = "relation";
const TYPE: &str = "type";
const ROUTINE: &str = "routine";
const CAST: &str = "cast";
const TRANSFORM: &str = "transform";

/// Objects by kind and identity, each with its owner as SQL. `pg_identify_object` reports kind and identity.
#[derive(Debug, Clone, Default)]
pub(crate) struct NotOurs(HashMap<(&'static str, String), String>);

/// The group of a kind that `pg_identify_object` reports, or the kind itself. `None`: no entry is compared with objects of
/// that kind.
fn shared_names(identified: &str) -> Option<&'static str> {
    // The relation behind a composite type. No entry is of this kind.
    if identified == "composite type" {
        return Some(RELATION);
    }
    let place = &kinds::identified(identified)?.place;
    match place.names {
        Names::RelationAndRowType | Names::Relation => Some(RELATION),
        Names::Type | Names::TypeOrRowType => Some(TYPE),
        Names::Routine => Some(ROUTINE),
        Names::Cast => Some(CAST),
        Names::Transform => Some(TRANSFORM),
        Names::InSchema | Names::InDatabase => Some(place.identified),
        Names::None | Names::IndexOfConstraint => None,
    }
}

impl<'a> FromIterator<(&'a str, &'a str, &'a str)> for NotOurs {
    /// Kind, identity and owner of each.
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str, &'a str)>>(objects: T) -> Self {
        let key = |(kind, identity, owner): (&str, &str, &str)| {
            let kind = shared_names(kind)?;
            Some(((kind, normal(kind, identity)), owner.to_owned()))
        };
        Self(objects.into_iter().filter_map(key).collect())
    }
}

impl NotOurs {
    /// The owner of an existing object whose name `entry` takes.
    pub(crate) fn owner_of(&self, entry: &Entry, sql: &str, strings: StandardStrings) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let Taken(first, second) = names(entry, sql, strings)?;
        let owner = |name| self.0.get(&name).map(String::as_str);
        owner(first).or_else(|| second.and_then(owner))
    }
}

impl NotOurs {
    /// The owner of an existing relation.
    pub(crate) fn owner_of_relation(&self, name: &QualifiedName) -> Option<&str> {
        self.0.get(&(RELATION, name.to_string())).map(String::as_str)
    }
}

/// An identity in the spelling of archives: without blanks between arguments, the schema of PostgreSQL's own types, and
/// the access method of an operator class.
fn normal(kind: &str, identity: &str) -> String {
    match kind {
        "operator class" | "operator family" => {
            identity.rsplit_once(" USING ").map_or(identity, |(name, _)| name).to_owned()
        }
        ROUTINE | CAST | TRANSFORM => identity.replace(", ", ",").replace("pg_catalog.", ""),
        _ => identity.to_owned(),
    }
}

/// The names that an object takes, one or two, each with its kind.
struct Taken((&'static str, String), Option<(&'static str, String)>);

fn names(entry: &Entry, sql: &str, strings: StandardStrings) -> Option<Taken> {
    let tag = entry.name();
    let schema = entry.schema().unwrap_or_default();
    let qualified = || QualifiedName::new(schema, tag).to_string();
    let only = |kind, name| Some(Taken((kind, name), None));
    let place = &kinds::of(entry.kind).place;
    match place.names {
        Names::RelationAndRowType => Some(Taken((RELATION, qualified()), Some((TYPE, qualified())))),
        Names::Relation => only(RELATION, qualified()),
        // The tag of a constraint is `table constraint`.
        Names::IndexOfConstraint => {
            let name = name_after(sql, strings, &["add", "constraint"])?;
            only(RELATION, QualifiedName::new(schema, &name).to_string())
        }
        Names::TypeOrRowType if words(sql, strings, &["as", "("]) => {
            Some(Taken((TYPE, qualified()), Some((RELATION, qualified()))))
        }
        Names::Type | Names::TypeOrRowType => only(TYPE, qualified()),
        Names::Routine => {
            // The tag of a routine is its name, without quotes, and the types of its arguments as SQL.
            let (name, arguments) = tag.split_once('(')?;
            let signature = format!("{}.{}({arguments}", quote_ident(schema), quote_ident(name));
            only(ROUTINE, normal(ROUTINE, &signature))
        }
        Names::Cast => only(CAST, normal(CAST, tag.strip_prefix("CAST ")?)),
        Names::Transform => {
            let (of, language) = tag.strip_prefix("TRANSFORM ").unwrap_or(tag).split_once(" LANGUAGE ")?;
            let of = of.strip_prefix("FOR ")?;
            only(TRANSFORM, normal(TRANSFORM, &format!("for {of} language {language}")))
        }
        Names::InSchema => only(place.identified, qualified()),
        Names::InDatabase => only(place.identified, quote_ident(tag)),
        Names::None => None,
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
