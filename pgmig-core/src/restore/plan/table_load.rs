//! The rows of one table: how the archive gives them, and where they go.

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
    /// How its rows are given.
    pub(crate) form: RowForm,
    /// Who loads them: an extension's tables belong to whoever created it.
    pub(crate) run_as: RunAs,
    /// Loaded in the archive's order while nothing else is: rows that others can refer to already, by the
    /// constraints of an extension's tables.
    pub(crate) alone: bool,
    /// Loaded alone, after all others: triggers fire for its rows, and may look for what is in other tables.
    pub(crate) last: bool,
    /// Where they go in the target's own schema; `None`: into the table itself, as the archive has defined it.
    pub(crate) into: Option<Box<Destination>>,
}

impl TableLoad {
    /// Where its rows are held before they go to their table.
    pub(crate) fn temp_table(&self) -> Option<&TempTable> {
        self.into.as_ref()?.temp_table.as_ref()
    }

    /// The table that holds the rows in the end. Partitions can have their rows go to a root instead.
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

/// Where rows go in a schema that is not the archive's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The target's table.
    pub(crate) table: QualifiedName,
    /// The target's columns, in the order of the rows' fields.
    pub(crate) columns: Vec<String>,
    /// The archive's columns, in that order, and what their values are made of.
    pub(crate) from: Vec<(String, Shape)>,
    /// Set where rows have to be converted: they are held in a temporary table first.
    pub(crate) temp_table: Option<TempTable>,
}

/// A temporary table with the archive's columns, from which rows are inserted into the target's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TempTable {
    /// Its name.
    pub(crate) table: QualifiedName,
    /// The statement that makes it, for the time of a transaction.
    pub(crate) create: String,
    /// The statement that inserts its rows.
    pub(crate) insert: String,
}

/// How the rows of a TABLE DATA entry are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowForm {
    /// A COPY stream; the statement names the table with its schema (which can be a partition root).
    Copy(CopyStatement),
    /// INSERT statements (`pg_dump --inserts`), with the schema for search_path where they need one.
    Inserts { schema: Option<String> },
}
