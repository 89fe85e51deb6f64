//! pgmig's knowledge about each kind of entry: one row for each kind, in [`table`].
//!
//! The planner and the checks ask the row of an entry instead of matching on its kind. To support a new kind of
//! PostgreSQL, add its row: the compiler and the tests say what is missing. The name of a kind in the table of
//! contents is [`EntryKind`](crate::archive::EntryKind)'s own.

mod table;
#[cfg(test)]
mod tests;

use super::expected::ObjectKind;
use super::pass::PlanPass;
use crate::archive::Section;
use crate::sql::StandardStrings;
pub(crate) use table::of;

/// Whether the statement of an entry has a certain property.
pub(crate) type Test = fn(&str, StandardStrings) -> bool;

/// One kind of entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The section in which pg_dump writes the entry, unless the object's dependencies force a later one.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the archive names the section; the tests compare both")
    )]
    pub(crate) section: Section,
    /// The part of a database that the entry belongs to.
    pub(crate) part: Part,
    /// The pass in which the entry is restored.
    pub(crate) pass: PassRule,
    /// How the planner treats the entry.
    pub(crate) made: Made,
    /// The role that can create the object.
    pub(crate) creator: Creator,
    /// The role that can own the object.
    pub(crate) owner: Owner,
    /// Whether creating the object requires CREATE on the database.
    pub(crate) in_database: bool,
    /// The object that this one is useless without, if the entry names it in its SQL only.
    pub(crate) whole: Option<Whole>,
    /// Where the object is in the catalogs.
    pub(crate) place: Place,
    /// The locks that creating the object adds to a transaction.
    pub(crate) locks: Locks,
    /// How the restored object is verified.
    pub(crate) verified: Verified,
    /// How the entry affects its table after the rows were loaded.
    pub(crate) work: TableWork,
    /// The treatment of the target's own objects of the kind before a restore in place.
    pub(crate) cleared: Cleared,
}

/// A part of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Settings of the session, or properties of the database itself.
    Session,
    /// How the database is defined.
    Definition,
    /// Data: rows, sequence values, large objects.
    Contents,
    /// The part of the object that the entry describes.
    OfItsObject,
}

/// Which pass restores an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PassRule {
    /// This one.
    Always(PlanPass),
    /// That of the object that the entry describes: event triggers have their own, all others the main pass.
    OfItsObject,
    /// The main pass for a table, the last one for a materialized view, which must be filled by then.
    LastInPostData,
}

/// How the planner treats an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is not restored: it is about the session or the database itself.
    Never,
    /// Its statement is run.
    Object,
    /// Its statement is run unless the schema exists.
    Schema,
    /// Its statement is run unless the extension exists.
    Extension,
    /// Its statement is run unless the language exists, as an extension or without one.
    Language,
    /// Its rows are loaded.
    Rows,
    /// One large object is made.
    LargeObject,
    /// A group of large objects is made.
    LargeObjectGroup,
    /// The contents of large objects are loaded.
    LargeObjectData,
    /// Its statements are run by the roles that may grant, for the roles that exist.
    Privileges,
    /// Its statement is run for the roles that exist.
    Policy,
    /// Its statement is run if the role exists.
    UserMapping,
    /// Its statement is run by the owner of the object that it describes.
    Description,
    /// It is skipped: it connects to another server.
    Subscription,
    /// Its statements are run on servers that accept statistics.
    Statistics,
}

/// Which role can create an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Creator {
    /// Any role that may create objects in the schema or the database.
    Anyone,
    /// A superuser.
    Superuser,
    /// A superuser if the statement has this property, else any role.
    SuperuserIf(Test),
    /// Any role if the server trusts the extension, else a superuser.
    ByExtension,
}

/// Which role can own an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    /// Any role, by `ALTER word ... OWNER TO`.
    Anyone(&'static str),
    /// Any role, by `ALTER word ... OWNER TO`, unless the statement has this property.
    AnyoneUnless(Test, &'static str),
    /// A superuser.
    Superuser,
    /// The role that created it: it is not handed over.
    Creator,
    /// It has no owner of its own.
    Nobody,
}

impl Owner {
    /// The word of `ALTER word ... OWNER TO`.
    pub(crate) const fn alter_word(self) -> Option<&'static str> {
        match self {
            Self::Anyone(word) | Self::AnyoneUnless(_, word) => Some(word),
            Self::Superuser | Self::Creator | Self::Nobody => None,
        }
    }
}

/// An object that others are useless without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    Publication,
    /// A foreign server.
    Server,
}

/// Where an object is in the catalogs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The catalog that has a row for it; "" if there is none.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the tests compare it with archives and with clearing")
    )]
    pub(crate) catalog: &'static str,
    /// The kind's name in `pg_identify_object`; "" if pgmig does not ask for it.
    pub(crate) identified: &'static str,
    /// The names that it takes.
    pub(crate) names: Names,
}

/// The names that an object takes, which no other object of the same catalog can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// None that pgmig looks for.
    None,
    /// A relation's, and a type's for its rows.
    RelationAndRowType,
    /// A relation's.
    Relation,
    /// A relation's: that of the index behind a constraint.
    IndexOfConstraint,
    /// A type's.
    Type,
    /// A type's, and a relation's if the type is composite.
    TypeOrRowType,
    /// A function's, with its arguments.
    Routine,
    /// Two types.
    Cast,
    /// A type and a language.
    Transform,
    /// Its own, in a schema.
    InSchema,
    /// Its own, in the database.
    InDatabase,
}

impl Names {
    /// Whether there is a type of the object's name.
    pub(crate) const fn include_type(self) -> bool {
        matches!(self, Self::RelationAndRowType | Self::Type | Self::TypeOrRowType)
    }
}

/// How many locks creating an object adds to those that its transaction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locks {
    /// So many.
    Count(u64),
    /// A table's: more if it stores rows itself.
    Table,
    /// None if the object is a relation, on which the transaction holds a lock already; else one.
    Description,
}

/// How a restored object is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It must be in the catalogs under its name.
    Listed(ObjectKind),
    /// Not by its name: rows and large objects are counted while they are loaded.
    Counted,
    /// Not at all: it changes another object and has no name.
    Unnamed,
    /// Not at all: the query does not list objects of its kind. The server would have reported an error.
    Unlisted,
    /// Not at all: it is not restored.
    NotRestored,
}

/// How an entry affects its table after the rows were loaded. This determines which work it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableWork {
    Index,
    /// A primary key, a unique or an exclusion constraint.
    Key,
    ForeignKey,
    Other,
    /// Something else, by an entry that does not name its table in archives of pg_dump 10 and older.
    OtherAtUnknownTable,
}

/// The treatment of the target's own objects before a restore in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleared {
    /// `DROP word` drops them, several in a statement or one.
    Dropped { word: &'static str, several: bool },
    /// They go with the object that they belong to.
    WithTheirObject,
    /// They are unlinked.
    Unlinked,
    /// They are revoked.
    Revoked,
    /// They survive.
    Kept,
}

/// The kind whose objects `pg_identify_object` calls `identified`. Kinds that share this word share the answers, too: they
/// are dropped alike, and take the same names.
pub(crate) fn identified(identified: &str) -> Option<&'static Kind> {
    let mut all = table::ALL.iter().map(|kind| of(*kind));
    all.find(|kind| !identified.is_empty() && kind.place.identified == identified)
}
