//! The entries of the load: which of them wait, can run, or run, and the locks they hold. Pure.

use super::graph::{Graph, Node};
use crate::archive::DumpId;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// Entries of tables below this size in the archive are small: many are created in one transaction.
pub(super) const SMALL: u64 = 64 * 1024;

/// The most entries created in one transaction; each holds locks until its end.
const TASKS_AT_ONCE: usize = 64;

/// How many ready entries are searched for one that does not conflict with a running entry's locks.
const LOOK_AHEAD: usize = 200;

/// The state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits for this many tables and entries.
    Waiting(usize),
    Ready,
    Running,
    Done,
}

/// All entries of the load, and their progress.
#[derive(Debug)]
pub(super) struct Tasks {
    /// How many small entries are created in one transaction. Code that an entry runs can wait for any table, and a
    /// transaction that holds the locks of several entries could wait for it in turn: there is none then.
    at_once: usize,
    nodes: Vec<Node>,
    states: Vec<State>,
    /// For each table, the entries that wait for its rows.
    after_rows: Vec<Vec<usize>>,
    /// For each entry, the entries that wait for it.
    after: Vec<Vec<usize>>,
    /// Ready entries, the biggest first, equal ones in the plan's order.
    ready: BTreeSet<(Reverse<u64>, usize)>,
    running: usize,
    left: usize,
    locks: HashMap<DumpId, Locks>,
    table_weights: Vec<Option<u64>>,
    loaded: Vec<bool>,
    all_rows_loaded: bool,
}

/// Locks of running entries on one table.
#[derive(Debug, Default)]
struct Locks {
    shared: usize,
    exclusive: usize,
}

impl Tasks {
    /// No entry runs yet.
    pub(super) fn new(graph: Graph) -> Self {
        let Graph { nodes, table_weights } = graph;
        let mut after_rows = vec![Vec::new(); table_weights.len()];
        let mut after = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            for table in &node.after_rows {
                note(&mut after_rows, *table, place);
            }
            for task in &node.after {
                note(&mut after, *task, place);
            }
        }
        let states = nodes
            .iter()
            .map(|node| {
                State::Waiting(node.after.len() + node.after_rows.len() + usize::from(node.after_all_rows))
            })
            .collect();
        let calls_code = nodes.iter().any(|node| node.calls_code);
        let mut tasks = Self {
            at_once: if calls_code { 1 } else { TASKS_AT_ONCE },
            left: nodes.len(),
            states,
            after_rows,
            after,
            ready: BTreeSet::new(),
            running: 0,
            locks: HashMap::new(),
            loaded: vec![false; table_weights.len()],
            table_weights,
            all_rows_loaded: false,
            nodes,
        };
        for place in 0..tasks.nodes.len() {
            tasks.make_ready_if_free(place);
        }
        tasks
    }

    /// Sets the weight of a table that was not known before its rows were read.
    pub(super) fn weigh(&mut self, table: usize, bytes: u64) {
        if let Some(weight) = self.table_weights.get_mut(table) {
            weight.get_or_insert(bytes);
        }
    }

    /// The weight of a table, if it is known.
    pub(super) fn table_weight(&self, table: usize) -> Option<u64> {
        *self.table_weights.get(table)?
    }

    /// The total weight of the tables whose weight is known.
    pub(super) fn all_weights(&self) -> u64 {
        self.table_weights.iter().flatten().fold(0, |sum, weight| sum.saturating_add(*weight))
    }

    /// Notes that these entries have been created.
    pub(super) fn done(&mut self, tasks: &[usize]) {
        for &task in tasks {
            self.unlock(task);
            self.running = self.running.saturating_sub(1);
            self.left = self.left.saturating_sub(1);
            self.set(task, State::Done);
            for after in self.after.get(task).cloned().unwrap_or_default() {
                self.one_less(after);
            }
        }
        self.break_cycle();
    }

    /// Notes that these entries were created by an earlier run.
    pub(super) fn skip(&mut self, tasks: &[usize]) {
        for &task in tasks {
            self.left = self.left.saturating_sub(1);
            self.set(task, State::Done);
        }
        let states = &self.states;
        self.ready.retain(|(_, task)| states.get(*task) != Some(&State::Done));
        for &task in tasks {
            for after in self.after.get(task).cloned().unwrap_or_default() {
                self.one_less(after);
            }
        }
    }

    /// Whether every entry is made.
    pub(super) fn are_done(&self) -> bool {
        self.left == 0
    }

    /// Whether the rows of all tables are loaded.
    pub(super) fn all_rows_loaded(&self) -> bool {
        self.all_rows_loaded
    }

    /// Notes that the last rows are loaded: releases the entries that wait for all rows, or for tables whose data never
    /// came.
    pub(super) fn end_rows(&mut self) {
        if self.all_rows_loaded {
            return;
        }
        self.all_rows_loaded = true;
        for table in 0..self.loaded.len() {
            self.table_loaded(table);
        }
        for task in 0..self.nodes.len() {
            if self.nodes.get(task).is_some_and(|node| node.after_all_rows) {
                self.one_less(task);
            }
        }
        self.break_cycle();
    }

    /// Notes that the rows of a table are loaded.
    pub(super) fn table_loaded(&mut self, table: usize) {
        let Some(loaded) = self.loaded.get_mut(table) else { return };
        if std::mem::replace(loaded, true) {
            return;
        }
        for task in self.after_rows.get(table).cloned().unwrap_or_default() {
            self.one_less(task);
        }
    }

    /// The best entry that can run now.
    pub(super) fn candidate(&self) -> Option<usize> {
        self.ready.iter().take(LOOK_AHEAD).map(|(_, task)| *task).find(|task| self.is_free(*task))
    }

    /// Begins an entry. If it is small, begins other small ones with it, up to the share of one of the connections.
    pub(super) fn begin(&mut self, first: usize, connections: usize) -> Vec<usize> {
        let mut tasks = vec![first];
        self.run(first);
        if self.weight(first) < SMALL {
            let share = self.ready.len().div_ceil(connections.saturating_mul(2).max(1));
            let candidates: Vec<usize> = self.ready.iter().take(LOOK_AHEAD).map(|(_, task)| *task).collect();
            for task in candidates {
                if tasks.len() > share || tasks.len() >= self.at_once {
                    break;
                }
                if self.weight(task) < SMALL && self.is_free(task) {
                    self.run(task);
                    tasks.push(task);
                }
            }
            tasks.sort_unstable();
        }
        tasks
    }

    fn run(&mut self, task: usize) {
        self.ready.remove(&(Reverse(self.weight(task)), task));
        self.set(task, State::Running);
        self.running += 1;
        let Some(node) = self.nodes.get(task) else { return };
        for table in &node.shared {
            self.locks.entry(*table).or_default().shared += 1;
        }
        for table in &node.exclusive {
            self.locks.entry(*table).or_default().exclusive += 1;
        }
    }

    fn unlock(&mut self, task: usize) {
        let Some(node) = self.nodes.get(task) else { return };
        for table in &node.shared {
            if let Some(locks) = self.locks.get_mut(table) {
                locks.shared = locks.shared.saturating_sub(1);
            }
        }
        for table in &node.exclusive {
            if let Some(locks) = self.locks.get_mut(table) {
                locks.exclusive = locks.exclusive.saturating_sub(1);
            }
        }
    }

    /// Whether no running entry holds a lock that conflicts with this one's.
    fn is_free(&self, task: usize) -> bool {
        let Some(node) = self.nodes.get(task) else { return false };
        let locks = |table| self.locks.get(table);
        node.shared.iter().filter_map(locks).all(|locks| locks.exclusive == 0)
            && node.exclusive.iter().filter_map(locks).all(|locks| locks.exclusive == 0 && locks.shared == 0)
    }

    /// The weight of an entry: that of its biggest table.
    pub(super) fn weight(&self, task: usize) -> u64 {
        let Some(node) = self.nodes.get(task) else { return 0 };
        let tables = node.tables.iter().filter_map(|table| self.table_weights.get(*table));
        let least = if node.has_root { SMALL } else { 0 };
        tables.map(|weight| weight.unwrap_or(u64::MAX)).max().unwrap_or_default().max(least)
    }

    fn set(&mut self, task: usize, state: State) {
        if let Some(own) = self.states.get_mut(task) {
            *own = state;
        }
    }

    fn one_less(&mut self, task: usize) {
        if let Some(State::Waiting(count)) = self.states.get_mut(task) {
            *count = count.saturating_sub(1);
        }
        self.make_ready_if_free(task);
    }

    fn make_ready_if_free(&mut self, task: usize) {
        if self.states.get(task) == Some(&State::Waiting(0)) {
            self.set(task, State::Ready);
            self.ready.insert((Reverse(self.weight(task)), task));
        }
    }

    /// Lets entries that wait for each other run in the plan's order. No pg_dump writes such a cycle.
    fn break_cycle(&mut self) {
        if self.left == 0 || self.running > 0 || !self.ready.is_empty() || !self.all_rows_loaded {
            return;
        }
        let waiting = |state: &State| matches!(state, State::Waiting(_));
        if let Some(task) = self.states.iter().position(waiting) {
            self.set(task, State::Waiting(0));
            self.make_ready_if_free(task);
        }
    }
}

fn note(lists: &mut [Vec<usize>], place: usize, waits: usize) {
    if let Some(list) = lists.get_mut(place) {
        list.push(waits);
    }
}
