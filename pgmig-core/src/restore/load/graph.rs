//! Which entries each entry after the rows must wait for, and which entries cannot run at the same time. Pure.
//!
//! The rules are pg_restore's (`fix_dependencies`, `identify_locking_dependencies`), with two exceptions:
//!
//! - Only indexes, constraints and foreign keys are created while other tables are still being loaded. All rows of
//!   their tables must come from the tables' own entries.
//! - Every other entry of a table waits for the entries of that table that precede it.

use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::restore::plan::kinds::{self, Made, TableWork};
use crate::restore::plan::words::words;
use crate::restore::plan::{EntryStep, RowForm, TableLoad, Task};
use crate::sql::QualifiedName;
use std::collections::{BTreeSet, HashMap, HashSet};

/// One entry, and the tables and entries that it waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Entries that must be complete, by their places in the graph.
    pub(crate) after: Vec<usize>,
    /// Tables that must be loaded, by their places in the plan.
    pub(crate) after_rows: Vec<usize>,
    /// Whether it waits for all rows of all tables.
    pub(crate) after_all_rows: bool,
    /// TABLE entries that it locks exclusively.
    pub(crate) exclusive: Vec<DumpId>,
    /// TABLE entries that it locks against writing: several indexes of one table can be built at the same time.
    pub(crate) shared: Vec<DumpId>,
    /// Tables that it is on or refers to, by their places in the plan. The largest of them determines its weight.
    pub(crate) tables: Vec<usize>,
    /// Whether it runs functions that the archive defines, which can read and lock any table.
    pub(crate) calls_code: bool,
    /// Whether it also concerns a table without rows of its own: a partition root, which can be much work.
    pub(crate) has_root: bool,
}

/// The kind of an entry, as far as it matters for the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    /// A primary key, a unique or an exclusion constraint.
    Constraint,
    ForeignKey,
    #[default]
    Other,
    /// Comes after all entries before it, since its table is not known.
    Barrier,
}

/// The entries that come after the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// The bytes of each table's rows in the archive, by the table's place in the plan; `None` if not known.
    pub(crate) table_weights: Vec<Option<u64>>,
}

impl Graph {
    /// Makes the graph of these tasks, which keep their places. Rows of tables in `moved` can end up in other tables.
    pub(crate) fn of(
        archive: &Archive,
        tables: &[TableLoad],
        tasks: &[&Task],
        moved: &HashMap<QualifiedName, QualifiedName>,
    ) -> Self {
        let table_weights = tables.iter().map(|load| archive.stored_bytes(load.dump_id)).collect();
        let rows = Rows::of(archive, tables, moved);
        let places: HashMap<DumpId, usize> =
            tasks.iter().enumerate().map(|(place, task)| (task.dump_id, place)).collect();
        let mut nodes: Vec<Node> = tasks.iter().map(|task| node(archive, task, &places, &rows)).collect();
        for (place, _) in tasks.iter().enumerate().filter(|(_, task)| task.step == EntryStep::Second) {
            if let (Some(node), Some(first)) = (nodes.get_mut(place), place.checked_sub(1)) {
                node.after.push(first);
            }
        }
        keep_order(&mut nodes);
        Self { nodes, table_weights }
    }
}

impl Graph {
    /// Makes every entry wait for all rows. Loading a table then reads other tables, which no entry may lock meanwhile.
    pub(crate) fn wait_for_all_rows(&mut self) {
        for node in &mut self.nodes {
            node.after_rows.clear();
            node.after_all_rows = true;
        }
    }

    /// The same tables, without any tasks.
    pub(crate) fn without_tasks(&self) -> Self {
        Self { nodes: Vec::new(), table_weights: self.table_weights.clone() }
    }
}

/// The sources of the rows of TABLE entries.
#[derive(Default)]
struct Rows {
    /// The place of a table in the plan, by its TABLE entry.
    places: HashMap<DumpId, usize>,
    /// Tables whose rows can come from entries of other tables, or go to other tables.
    mixed: HashSet<usize>,
}

impl Rows {
    fn of(archive: &Archive, tables: &[TableLoad], moved: &HashMap<QualifiedName, QualifiedName>) -> Self {
        let mut rows = Self::default();
        for (place, load) in tables.iter().enumerate() {
            let elsewhere = matches!(&load.form, RowForm::Copy(copy) if copy.table != load.table);
            if elsewhere || moved.contains_key(&load.table) {
                rows.mixed.insert(place);
            }
            let dependencies = archive.entry(load.dump_id).map(|entry| entry.dependencies.as_slice());
            let own = dependencies.unwrap_or_default().iter().filter(|id| is_table(archive, **id));
            rows.places.extend(own.map(|id| (*id, place)));
        }
        rows
    }
}

fn node(archive: &Archive, task: &Task, places: &HashMap<DumpId, usize>, rows: &Rows) -> Node {
    let mut node = Node::default();
    let Some(entry) = archive.entry(task.dump_id) else { return Node { after_all_rows: true, ..node } };
    let own_place = places.get(&task.dump_id);
    let dependencies: BTreeSet<DumpId> = entry.dependencies.iter().copied().collect();
    let before = dependencies.iter().filter_map(|id| places.get(id));
    node.after = before.filter(|place| Some(*place) != own_place).copied().collect();
    let tables: Vec<DumpId> = dependencies.into_iter().filter(|id| is_table(archive, *id)).collect();
    node.tables = tables.iter().filter_map(|id| rows.places.get(id)).copied().collect();
    node.has_root = node.tables.len() < tables.len();
    node.kind = kind(entry, tables.is_empty());
    // A foreign key names two tables. It waits for all rows if it refers to its own table, or if one table is not
    // known.
    let least = match node.kind {
        Kind::Index | Kind::Constraint => 1,
        Kind::ForeignKey => 2,
        Kind::Other | Kind::Barrier => usize::MAX,
    };
    node.calls_code = match node.kind {
        Kind::Index => calls_code(archive, entry),
        Kind::Constraint => is_exclusion(archive, task),
        Kind::ForeignKey | Kind::Other | Kind::Barrier => false,
    };
    let have_own_rows = !node.has_root && node.tables.iter().all(|place| !rows.mixed.contains(place));
    if have_own_rows && !node.calls_code && tables.len() >= least {
        node.after_rows.clone_from(&node.tables);
    } else {
        node.after_all_rows = true;
    }
    match (node.kind, task.step) {
        (Kind::Index, _) | (Kind::Constraint, EntryStep::First) => node.shared = tables,
        // VALIDATE only reads the table that is referred to.
        (Kind::ForeignKey, EntryStep::Second) => {
            (node.exclusive, node.shared) = tables.into_iter().partition(|id| is_on(archive, entry, *id));
        }
        _ => node.exclusive = tables,
    }
    node
}

/// Whether a constraint is an exclusion constraint, which can call any function: pg_dump does not say which.
fn is_exclusion(archive: &Archive, task: &Task) -> bool {
    let strings = archive.strings();
    task.statements.iter().any(|(_, sql)| words(sql, strings, &["exclude", "using"]))
}

/// Whether an index calls a function that the archive defines: itself, or by an operator or a type.
fn calls_code(archive: &Archive, entry: &Entry) -> bool {
    use EntryKind as K;
    let mut seen = HashSet::new();
    let mut open: Vec<DumpId> = entry.dependencies.clone();
    while let Some(id) = open.pop() {
        let Some(entry) = archive.entry(id).filter(|_| seen.insert(id)) else { continue };
        match entry.kind {
            K::Function | K::Procedure | K::Aggregate => return true,
            K::Operator | K::OperatorClass | K::OperatorFamily | K::Type | K::Domain | K::Cast => {
                open.extend(&entry.dependencies);
            }
            _ => {}
        }
    }
    false
}

/// Whether a constraint is on this table, and does not only refer to it. The tag of a constraint is `TABLE
/// CONSTRAINT`.
fn is_on(archive: &Archive, constraint: &Entry, table: DumpId) -> bool {
    archive.entry(table).is_some_and(|table| {
        let after_name = constraint.tag.as_bytes().strip_prefix(table.tag.as_bytes());
        after_name.is_some_and(|rest| rest.starts_with(b" ")) && constraint.namespace == table.namespace
    })
}

fn kind(entry: &Entry, has_no_table: bool) -> Kind {
    let kind = kinds::of(entry.kind);
    // A description in a script whose object is not found by its name: only the script's order says where it belongs.
    if kind.made == Made::Description && entry.dependencies.is_empty() {
        return Kind::Barrier;
    }
    match kind.work {
        TableWork::Index => Kind::Index,
        TableWork::Key => Kind::Constraint,
        TableWork::ForeignKey => Kind::ForeignKey,
        TableWork::OtherAtUnknownTable if has_no_table => Kind::Barrier,
        TableWork::Other | TableWork::OtherAtUnknownTable => Kind::Other,
    }
}

/// Adds the dependencies that keep the order of a restore over one connection.
///
/// An entry that is no index, constraint or foreign key comes after all earlier entries of the same tables. For
/// example, row level security would hide rows from a foreign key. If its table is not known, it comes after all
/// earlier entries. A foreign key comes after the keys of its tables.
fn keep_order(nodes: &mut [Node]) {
    let mut before: HashMap<DumpId, Vec<usize>> = HashMap::new();
    let mut keys: HashMap<DumpId, Vec<usize>> = HashMap::new();
    let mut since_barrier = Vec::new();
    for (place, node) in nodes.iter_mut().enumerate() {
        if node.kind == Kind::Barrier {
            node.after = std::mem::replace(&mut since_barrier, vec![place]);
            continue;
        }
        since_barrier.push(place);
        let tables = node.shared.iter().chain(&node.exclusive);
        let mut after: BTreeSet<usize> = node.after.iter().copied().collect();
        for table in tables {
            match node.kind {
                Kind::Constraint => keys.entry(*table).or_default().push(place),
                Kind::ForeignKey => after.extend(keys.get(table).into_iter().flatten()),
                _ => {}
            }
            if node.kind == Kind::Other {
                after.extend(before.insert(*table, vec![place]).unwrap_or_default());
            } else {
                before.entry(*table).or_default().push(place);
            }
        }
        node.after = after.into_iter().collect();
    }
}

pub(crate) fn is_table(archive: &Archive, id: DumpId) -> bool {
    archive.entry(id).is_some_and(|entry| entry.kind == EntryKind::Table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_no_index_or_constraint_keeps_its_place_on_its_tables() {
        let table = |number| vec![DumpId::new(number).unwrap()];
        let early = |number| Node { kind: Kind::Constraint, exclusive: table(number), ..Node::default() };
        let other = |number| Node { exclusive: table(number), ..Node::default() };
        let mut nodes = [early(1), early(2), other(1), early(1), other(1), other(2), early(2)];
        keep_order(&mut nodes);
        let after: Vec<&[usize]> = nodes.iter().map(|node| node.after.as_slice()).collect();
        let expected: [&[usize]; 7] = [&[], &[], &[0], &[], &[2, 3], &[1], &[]];
        assert_eq!(after, expected);
    }

    #[test]
    fn a_foreign_key_comes_after_the_keys_of_its_tables() {
        let tables = |numbers: &[u32]| numbers.iter().map(|number| DumpId::new(*number).unwrap()).collect();
        let of = |kind, numbers: &[u32]| Node { kind, exclusive: tables(numbers), ..Node::default() };
        let mut nodes = [
            of(Kind::Constraint, &[1]),
            of(Kind::Constraint, &[2]),
            of(Kind::Constraint, &[3]),
            of(Kind::ForeignKey, &[1, 3]),
        ];
        keep_order(&mut nodes);
        assert_eq!(nodes.last().unwrap().after, [0, 2]);
    }

    #[test]
    fn every_entry_can_wait_for_all_rows() {
        let early = Node { after_rows: vec![0, 1], ..Node::default() };
        let mut graph = Graph { nodes: vec![early], table_weights: vec![Some(1), Some(1)] };
        graph.wait_for_all_rows();
        assert!(graph.nodes.iter().all(|node| node.after_all_rows && node.after_rows.is_empty()));
    }

    #[test]
    fn what_has_no_table_comes_after_everything_before_it() {
        let barrier = || Node { kind: Kind::Barrier, ..Node::default() };
        let mut nodes = [Node::default(), Node::default(), barrier(), Node::default(), barrier()];
        keep_order(&mut nodes);
        let after: Vec<&[usize]> = nodes.iter().map(|node| node.after.as_slice()).collect();
        let expected: [&[usize]; 5] = [&[], &[], &[0, 1], &[], &[2, 3]];
        assert_eq!(after, expected);
    }
}
