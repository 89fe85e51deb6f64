//! The statements that drop the target's objects. Pure.
//!
//! Objects depend on each other in circles (a default calls a function whose argument is the table's row), so most
//! are dropped with CASCADE. CASCADE drops nothing extra: with all tables locked we first check that every dependent
//! object is being dropped too, and afterwards that everything else still exists. The last kinds must be empty by
//! then, and are dropped with RESTRICT.

use crate::restore::clearing::object::Object;
use crate::restore::plan::kinds::{self, Cleared};
use std::borrow::Cow;

/// The most objects in one statement: for each object, PostgreSQL searches all objects that the statement drops.
const AT_ONCE: usize = 100;

/// Kinds in the order in which they are dropped, so that CASCADE never has to follow long chains.
const WITH_CASCADE: [&str; 19] = [
    "event trigger",
    "publication",
    "view",
    "materialized view",
    "foreign table",
    "table",
    "sequence",
    "statistics object",
    "text search configuration",
    "text search dictionary",
    "operator class",
    "operator family",
    "operator",
    "cast",
    "function",
    "procedure",
    "aggregate",
    "type",
    // DROP SERVER drops its user mappings, too.
    "server",
];

/// Kinds on which nothing depends by then. Kinds in neither list come between the two lists.
const LAST: [&str; 6] =
    ["foreign-data wrapper", "language", "access method", "text search template", "extension", "schema"];

pub(crate) fn statements(objects: &[Object]) -> Vec<String> {
    let mut objects: Vec<&Object> = objects.iter().collect();
    objects.sort_by_key(|object| rank(&object.kind));
    let same_statement = |a: &&Object, b: &&Object| a.kind == b.kind && names_several(&a.kind);
    let chunks = objects.chunk_by(same_statement).flat_map(|kind| kind.chunks(AT_ONCE));
    chunks.map(statement).collect()
}

fn statement(objects: &[&Object]) -> String {
    let kind = objects.first().map_or("", |object| object.kind.as_str());
    let names: Vec<&str> = objects.iter().map(|object| object.identity.as_str()).collect();
    let behaviour = if LAST.contains(&kind) { "RESTRICT" } else { "CASCADE" };
    // CASCADE may have dropped some of the objects already.
    format!("DROP {} IF EXISTS {} {behaviour}", keywords(kind), names.join(", "))
}

fn rank(kind: &str) -> usize {
    let position = |kinds: &[&str]| kinds.iter().position(|known| *known == kind);
    match (position(&WITH_CASCADE), position(&LAST)) {
        (Some(rank), _) => rank,
        (None, Some(rank)) => WITH_CASCADE.len() + 1 + rank,
        (None, None) => WITH_CASCADE.len(),
    }
}

/// The word that DROP uses for a kind of object that `pg_identify_object` calls `kind`.
fn keywords(kind: &str) -> Cow<'static, str> {
    match kinds::identified(kind).map(|kind| kind.cleared) {
        Some(Cleared::Dropped { word, .. }) => Cow::Borrowed(word),
        // A kind that is in no archive.
        _ => Cow::Owned(kind.to_uppercase()),
    }
}

fn names_several(kind: &str) -> bool {
    !matches!(kinds::identified(kind).map(|kind| kind.cleared), Some(Cleared::Dropped { several: false, .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, identity: &str) -> Object {
        Object { kind: kind.to_owned(), identity: identity.to_owned(), owner: String::new() }
    }

    #[test]
    fn schemas_come_last_and_must_be_empty() {
        let objects = [
            object("schema", "store"),
            object("conversion", "store.c"),
            object("table", "store.a"),
            object("function", "store.f(integer)"),
            object("operator family", "store.o USING btree"),
            object("table", "store.\"B\""),
            object("extension", "citext"),
        ];
        assert_eq!(
            statements(&objects),
            [
                "DROP TABLE IF EXISTS store.a, store.\"B\" CASCADE",
                "DROP OPERATOR FAMILY IF EXISTS store.o USING btree CASCADE",
                "DROP ROUTINE IF EXISTS store.f(integer) CASCADE",
                "DROP CONVERSION IF EXISTS store.c CASCADE",
                "DROP EXTENSION IF EXISTS citext RESTRICT",
                "DROP SCHEMA IF EXISTS store RESTRICT",
            ]
        );
    }

    #[test]
    fn a_statement_names_a_hundred_at_most() {
        let objects: Vec<_> = (0..250).map(|number| object("table", &format!("t{number}"))).collect();
        assert_eq!(statements(&objects).len(), 3);
        let objects = [object("cast", "(a AS b)"), object("cast", "(b AS a)")];
        assert_eq!(statements(&objects).len(), 2);
    }

    #[test]
    fn every_kind_in_the_order_is_one_that_is_dropped() {
        for kind in WITH_CASCADE.iter().chain(&LAST) {
            let cleared = kinds::identified(kind).map(|kind| kind.cleared);
            assert!(matches!(cleared, Some(Cleared::Dropped { .. })), "{kind}");
        }
    }
}
