//! The rows of one table: their form in the archive, and the table that they go to.

use super::task::RunAs;
use crate::archive::DumpId;
use crate::copy::CopyStatement;
use crate::rewrite::Shape;
use crate::sql::QualifiedName;
use std::collections::HashMap;

/// Rows of one TABLE DATA entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableLoad {
    /// The entry.
    pub(crate) dump_id: DumpId,
    /// The table that the entry belongs to, with its schema.
    pub(crate) table: QualifiedName,
    /// The form of its rows.
    pub(crate) form: RowForm,
    /// The role that loads them. A table of an extension belongs to the role that created the extension.
    pub(crate) run_as: RunAs,
    /// Loaded in the archive's order, while nothing else is loaded. The tables of an extension have their constraints
    /// already, so their rows can refer to each other.
    pub(crate) alone: bool,
    /// Loaded alone, after all tables that precede it in the archive and before the tables that follow it: its rows are
    /// checked or computed by functions, which can read other tables.
    pub(crate) in_order: bool,
    /// Loaded alone, after all other tables: triggers fire for its rows, and can read other tables.
    pub(crate) last: bool,
    /// The destination in the target's own schema. `None`: the table itself, as the archive defines it.
    pub(crate) into: Option<Box<Destination>>,
}

impl TableLoad {
    /// Whether nothing else is loaded at the same time.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone || self.in_order || self.last
    }

    /// The temporary table that buffers the rows before they go to their table.
    pub(crate) fn temp_table(&self) -> Option<&TempTable> {
        self.into.as_ref()?.temp_table.as_ref()
    }

    /// The table that the rows go to. `roots` names the root for partitions whose rows must go through it.
    pub(crate) fn destination<'a>(
        &'a self,
        roots: &'a HashMap<QualifiedName, QualifiedName>,
    ) -> &'a QualifiedName {
        match &self.into {
            Some(into) => &into.table,
            None => roots.get(&self.table).unwrap_or(&self.table),
        }
    }
}

/// The destination of rows in a schema that is not the archive's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The target's table.
    pub(crate) table: QualifiedName,
    /// The target's columns, in the order of the rows' fields.
    pub(crate) columns: Vec<String>,
    /// The archive's columns, in that order, with the shape of their values.
    pub(crate) from: Vec<(String, Shape)>,
    /// Set if rows have to be converted: a temporary table buffers them.
    pub(crate) temp_table: Option<TempTable>,
}

/// A temporary table with the archive's columns, from which rows are inserted into the target's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TempTable {
    /// Its name.
    pub(crate) table: QualifiedName,
    /// The statement that makes it. The end of the transaction drops it.
    pub(crate) create: String,
    /// The statement that inserts its rows into the destination.
    pub(crate) insert: String,
}

/// The form of the rows of a TABLE DATA entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowForm {
    /// A COPY stream. The statement names the table with its schema; it can be the root of a partition.
    Copy(CopyStatement),
    /// INSERT statements (`pg_dump --inserts`), with the schema of search_path if they need one.
    Inserts { schema: Option<String> },
}
