//! Chooses the entries of an archive that a restore makes: the options of pg_restore and pg_dump that leave things out.
//! Pure: no network, no database.
//!
//! `asked` decides about one entry by the options alone. `choose` then follows the dependencies (`links`): parts of an
//! object go with it, and an entry that depends on something left out is left out with a warning. Rows are never left out in
//! this way.

mod asked;
mod choose;
mod error;
mod links;
mod list;
mod names;
mod only;
mod pattern;

pub(crate) use choose::Choice;
pub use error::SelectionError;
pub use list::EntryList;
pub use pattern::{Pattern, TablePattern};

use crate::archive::Section;
use serde::Serialize;
use std::collections::BTreeSet;

/// Which entries of an archive are restored. The default selects all of them.
///
/// The options have the meaning of those of pg_restore, or of pg_dump where pg_restore has none. The target is replaced as
/// a whole: everything that is left out is missing afterwards.
///
/// ```
/// use pgmig_core::restore::{Instances, RestoreOptions};
/// use pgmig_core::selection::{Selection, Without};
/// let mut selection = Selection::default();
/// selection.exclude_tables.push("audit.*".parse()?);
/// selection.exclude_table_data.push("public.session".parse()?);
/// selection.without.insert(Without::Publications);
/// let mut options = RestoreOptions::new(Instances::Keep);
/// options.selection = selection;
/// # Ok::<(), pgmig_core::selection::SelectionError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// Only these entries, in this order.
    pub list: Option<EntryList>,
    /// Only objects in these schemas, with the schemas themselves. `None` of them means all.
    pub only_schemas: Vec<Pattern>,
    /// No objects in these schemas. The schemas themselves are made.
    pub exclude_schemas: Vec<Pattern>,
    /// Only these tables, views and sequences, with their indexes, constraints, triggers and policies.
    pub only_tables: Vec<TablePattern>,
    /// Not these tables, views and sequences.
    pub exclude_tables: Vec<TablePattern>,
    /// Not the rows of these tables, nor the values of these sequences.
    pub exclude_table_data: Vec<TablePattern>,
    /// Not these extensions.
    pub exclude_extensions: Vec<Pattern>,
    /// Only these sections; an empty set selects all.
    pub sections: BTreeSet<Section>,
    /// Kinds of entries that are left out.
    pub without: BTreeSet<Without>,
    /// Leaves out entries that cannot be restored for lack of an extension, a role or a right, instead of refusing the
    /// restore. Each is a warning. Rows are never left out for this reason.
    pub skip_unrestorable: bool,
}

/// A kind of entries, or of properties, that a restore leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Without {
    /// Comments.
    Comments,
    /// Row security policies, and whether row security is enabled.
    Policies,
    /// Publications.
    Publications,
    /// Security labels.
    SecurityLabels,
    /// Subscriptions. A restore never makes them; without them it does not mention them, either.
    Subscriptions,
    /// The tablespaces of objects: everything is made in the database's own.
    Tablespaces,
}

impl Selection {
    /// Whether the options select some objects, instead of leaving out some.
    fn selects_objects(&self) -> bool {
        !self.only_schemas.is_empty() || !self.only_tables.is_empty()
    }
}

/// An entry that a restore leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// The number of the entry in the archive.
    pub dump_id: u32,
    /// The entry: `TABLE store.tenant`.
    pub entry: String,
    /// Why it is left out.
    pub why: WhyLeftOut,
    /// The other entry that it is a part of, or depends on.
    pub because_of: Option<String>,
    /// The reason in words.
    pub reason: String,
}

/// Why an entry is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyLeftOut {
    /// The options leave it out.
    Asked,
    /// It is a part of an entry that is left out.
    Part,
    /// It depends on an entry that is left out.
    Depends,
    /// It cannot be restored here.
    Unrestorable,
}
