//! How many locks an entry adds to those that a transaction holds.

use crate::archive::{Entry, EntryKind};

/// An extension's own objects; the contrib modules of PostgreSQL 15 take 4 to 32.
const EXTENSION: u64 = 30;

/// The locks that making an entry's object adds: on what is new, and on what it is made in. Those of tables in any of
/// their parts are held already.
pub(crate) fn of_entry(entry: &Entry, is_partitioned: bool) -> u64 {
    use EntryKind as K;
    match entry.kind {
        K::Table if is_partitioned => 1,
        // With what is stored out of line, and its index.
        K::Table | K::MaterializedView => 3,
        // The new contents, which then take the place of the old.
        K::MaterializedViewData => 8,
        K::Extension => EXTENSION,
        K::Comment | K::SecurityLabel => u64::from(!is_about_relation(entry)),
        K::Function
        | K::Procedure
        | K::Aggregate
        | K::Domain
        | K::Trigger
        | K::FkConstraint
        | K::CheckConstraint
        | K::Default
        | K::SequenceOwnedBy
        | K::SequenceSet
        | K::Acl
        | K::AclLanguage
        | K::DefaultAcl
        | K::Policy
        | K::RowSecurity
        | K::Rule
        | K::TableAttach
        | K::IndexAttach => 0,
        _ => 1,
    }
}

fn is_about_relation(entry: &Entry) -> bool {
    const RELATIONS: [&[u8]; 6] =
        [b"TABLE ", b"COLUMN ", b"VIEW ", b"SEQUENCE ", b"INDEX ", b"MATERIALIZED VIEW "];
    RELATIONS.iter().any(|kind| entry.tag.as_bytes().starts_with(kind))
}
