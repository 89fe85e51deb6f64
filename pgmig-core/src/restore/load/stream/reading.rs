//! The input of the reading side: the tables to read, and how their rows are rewritten.

use crate::archive::DumpId;
use crate::digest::Columns;
use crate::error::Result;
use crate::instance::{Instance, InstanceColumns};
use crate::restore::load::memory;
use crate::restore::load::resumed::Resumed;
use crate::restore::plan::{Plan, TableLoad};
use crate::rewrite::{ColumnRule, Found, Rules};
use crate::sql::{QualifiedName, StandardStrings};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How rows are rewritten. Absent if the backup's IDs are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewriting {
    pub(crate) rules: Arc<Rules>,
    /// The columns of each table's rows.
    pub(crate) columns: Arc<HashMap<DumpId, TableColumns>>,
}

/// The columns of a table's rows, in their order, each with its rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableColumns {
    pub(crate) names: Vec<String>,
    pub(crate) rules: Vec<ColumnRule>,
}

impl TableColumns {
    /// For each column that an INSERT statement names, its place in the table. The values are in the statement's
    /// order.
    pub(super) fn places(&self, named: Option<&[String]>) -> Vec<Option<usize>> {
        match named {
            Some(named) => named.iter().map(|name| self.names.iter().position(|own| own == name)).collect(),
            None => (0..self.names.len()).map(Some).collect(),
        }
    }
}

/// The table that gets the rows of INSERT statements, and the columns of the table that the statements name, in that
/// table's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) table: QualifiedName,
    pub(crate) columns: Vec<String>,
}

/// Called when all instances of a stream are known; returns the rules that apply from then on.
pub(crate) type Resolve = Box<dyn FnOnce(Vec<Instance>) -> Result<Arc<Rules>> + Send>;

/// The table of instances of a stream. Its rows are held back until the instances are resolved.
pub(crate) struct Discovery {
    pub(crate) dump_id: DumpId,
    pub(crate) columns: InstanceColumns,
    pub(crate) resolve: Resolve,
}

/// The input of the reading side.
pub(crate) struct Reading {
    pub(crate) tables: Arc<Vec<TableLoad>>,
    /// The place of each table in `tables`.
    pub(crate) places: Arc<HashMap<DumpId, usize>>,
    pub(crate) large_objects: Vec<DumpId>,
    pub(crate) strings: StandardStrings,
    /// Tables that INSERT statements of a partition may name.
    pub(crate) partitioned: Arc<HashSet<QualifiedName>>,
    pub(crate) rewriting: Option<Rewriting>,
    /// Tables with INSERT statements whose rows go to another table: from a partition to the root of its tree.
    pub(crate) redirected: Arc<HashMap<DumpId, Redirect>>,
    pub(crate) discovery: Option<Discovery>,
    /// What earlier runs have loaded.
    pub(crate) resumed: Arc<Resumed>,
    /// Where the sources found in each block are counted, if they are noted for another run.
    pub(crate) found: Option<Found>,
    /// The columns of tables whose rows are compared.
    pub(crate) compared: Arc<HashMap<DumpId, Arc<Columns>>>,
    /// The most bytes of a row, which must fit into memory.
    pub(crate) longest_row: usize,
}

impl Reading {
    /// The input for a plan.
    pub(crate) fn of(plan: &Plan, strings: StandardStrings) -> Self {
        let places = plan.tables.iter().enumerate().map(|(place, table)| (table.dump_id, place));
        Self {
            tables: Arc::clone(&plan.tables),
            places: Arc::new(places.collect()),
            large_objects: plan.large_objects.clone(),
            strings,
            partitioned: Arc::clone(&plan.partitioned),
            rewriting: None,
            redirected: Arc::default(),
            discovery: None,
            resumed: Arc::default(),
            found: None,
            compared: Arc::default(),
            longest_row: memory::longest_row(),
        }
    }

    /// Lets one reader count apart what it finds. Returns the counts, which are those of the block that is being read.
    pub(super) fn count_apart(&mut self) -> Found {
        let own = Found::default();
        if let (Some(rewriting), Some(_)) = (&mut self.rewriting, &self.found) {
            rewriting.rules = Arc::new(Rules::clone(&rewriting.rules).counting(&own));
        }
        own
    }

    /// A copy for another reader thread, without the parts that only a stream's single reader uses.
    pub(super) fn for_another(&self) -> Self {
        Self {
            tables: Arc::clone(&self.tables),
            places: Arc::clone(&self.places),
            large_objects: Vec::new(),
            strings: self.strings,
            partitioned: Arc::clone(&self.partitioned),
            rewriting: self.rewriting.clone(),
            redirected: Arc::clone(&self.redirected),
            discovery: None,
            resumed: Arc::clone(&self.resumed),
            found: self.found.clone(),
            compared: Arc::clone(&self.compared),
            longest_row: self.longest_row,
        }
    }
}
