//! Decides what a free connection does next. Pure.
//!
//! The biggest work comes first, so that the work that ends last is small. The indexes of a big table come before the
//! rows of smaller tables. Rows come before the indexes of small tables. If connections would be idle, they share the
//! rows of one table.

use super::graph::Graph;
use super::tasks::{SMALL, Tasks};
use std::collections::VecDeque;

/// Tables up to this size in the archive can be one transaction, whose rows are frozen. Of a larger one, a run that is
/// interrupted keeps what it has loaded.
const WHOLE_BYTES: u64 = 64 * 1024 * 1024;

/// A feed that can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The feed's number.
    pub(crate) feed: usize,
    /// The table's place in the plan; `None` for large objects.
    pub(crate) table: Option<usize>,
    /// Whether no other feed may be loaded at the same time.
    pub(crate) alone: bool,
    /// Whether several connections can take from it.
    pub(crate) shareable: bool,
}

/// The next work of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// Load this feed until its end.
    Load(usize),
    /// Load this feed until its end, without help: the other connections have enough to do.
    LoadWhole(usize),
    /// Help to load this feed, as long as there is no more important work.
    Help(usize),
    /// Create these entries.
    Tasks(Vec<usize>),
    /// Ask again when work has ended or arrived.
    Wait,
    /// All work is done.
    Finished,
}

/// A feed that is being loaded.
#[derive(Debug)]
struct Active {
    offer: Offer,
    weight: u64,
    connections: usize,
    /// Whether enough of it has been read to share the rest.
    is_long: bool,
    /// Whether its end has been read; pieces of it may still be under way.
    ended: bool,
}

/// All work of the load, and its progress.
#[derive(Debug)]
pub(crate) struct Schedule {
    connections: usize,
    tasks: Tasks,
    waiting: VecDeque<Offer>,
    active: Vec<Active>,
    /// The total weight of tables that have not been begun.
    unbegun: u64,
    feeds_ended: bool,
}

impl Schedule {
    /// No work is begun yet.
    pub(crate) fn new(graph: Graph, connections: usize) -> Self {
        let tasks = Tasks::new(graph);
        Self {
            connections,
            unbegun: tasks.all_weights(),
            tasks,
            waiting: VecDeque::new(),
            active: Vec::new(),
            feeds_ended: false,
        }
    }

    /// Takes a table off whose rows are there.
    pub(crate) fn skip_table(&mut self, table: usize, bytes: u64) {
        let weight = self.tasks.table_weight(table);
        self.unbegun = self.unbegun.saturating_sub(weight.unwrap_or_default());
        self.tasks.weigh(table, bytes);
        self.tasks.table_loaded(table);
    }

    /// Takes entries off that are there.
    pub(crate) fn skip_tasks(&mut self, tasks: &[usize]) {
        self.tasks.skip(tasks);
    }

    /// Adds a feed that has arrived.
    pub(crate) fn offer(&mut self, offer: Offer) {
        self.waiting.push_back(offer);
    }

    /// How many feeds wait to be begun.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Notes that no more feeds will arrive.
    pub(crate) fn feeds_ended(&mut self) {
        self.feeds_ended = true;
        self.end_rows();
    }

    /// Notes that a feed is long enough for other connections to help with the rest.
    pub(crate) fn share(&mut self, feed: usize) {
        if let Some(active) = self.active.iter_mut().find(|active| active.offer.feed == feed) {
            active.is_long = true;
        }
    }

    /// Notes that the end of a feed has been read.
    pub(crate) fn feed_ended(&mut self, feed: usize) {
        if let Some(active) = self.active.iter_mut().find(|active| active.offer.feed == feed) {
            active.ended = true;
        }
    }

    /// Notes that a connection has committed its share of a feed. Returns true if the feed is now complete.
    pub(crate) fn leave(&mut self, feed: usize) -> bool {
        let Some(place) = self.active.iter().position(|active| active.offer.feed == feed) else {
            return false;
        };
        let Some(active) = self.active.get_mut(place) else { return false };
        active.connections = active.connections.saturating_sub(1);
        if active.connections > 0 || !active.ended {
            return false;
        }
        let active = self.active.swap_remove(place);
        if let Some(table) = active.offer.table {
            self.tasks.table_loaded(table);
        }
        self.end_rows();
        true
    }

    /// Sets the weight of a table that was not known before its rows were read.
    pub(crate) fn weigh(&mut self, table: usize, bytes: u64) {
        self.tasks.weigh(table, bytes);
    }

    /// Notes that these entries have been created.
    pub(crate) fn done(&mut self, tasks: &[usize]) {
        self.tasks.done(tasks);
    }

    /// Whether the rows of all tables are loaded.
    pub(crate) fn all_rows_loaded(&self) -> bool {
        self.tasks.all_rows_loaded()
    }

    /// Whether there is more important work than to help with this feed.
    pub(crate) fn has_better(&self, feed: usize) -> bool {
        if self.can_begin() {
            return true;
        }
        let active = self.active.iter().find(|active| active.offer.feed == feed);
        let Some(active) = active.filter(|active| !active.ended) else { return true };
        self.tasks.candidate().is_some_and(|task| self.tasks.weight(task) >= active.weight)
    }

    /// The next work of a connection, which counts as begun.
    pub(crate) fn next(&mut self) -> Work {
        let task = self.tasks.candidate();
        let task_weight = task.map(|task| self.tasks.weight(task));
        let feed = self.waiting.front().copied().filter(|_| self.can_begin());
        if let Some(feed) = feed {
            let weight = self.feed_weight(feed);
            match task {
                Some(task) if task_weight > Some(weight) => {
                    return Work::Tasks(self.tasks.begin(task, self.connections));
                }
                _ => return self.load(feed),
            }
        }
        if let Some(feed) = self.helpable(task_weight) {
            return Work::Help(feed);
        }
        match task {
            Some(task) => Work::Tasks(self.tasks.begin(task, self.connections)),
            None if self.tasks.are_done() && self.all_rows_loaded() => Work::Finished,
            None => Work::Wait,
        }
    }

    fn load(&mut self, offer: Offer) -> Work {
        self.waiting.pop_front();
        let whole = self.is_loaded_whole(offer);
        let offer = Offer { shareable: offer.shareable && !whole, ..offer };
        let weight = self.feed_weight(offer);
        self.active.push(Active { offer, weight, connections: 1, is_long: false, ended: false });
        if whole { Work::LoadWhole(offer.feed) } else { Work::Load(offer.feed) }
    }

    /// Whether the other connections are busy with other tables while this one is being loaded. False for small
    /// tables, where it makes no difference.
    fn is_loaded_whole(&mut self, offer: Offer) -> bool {
        let weight = offer.table.and_then(|table| self.tasks.table_weight(table));
        let Some(weight) = weight else { return false };
        self.unbegun = self.unbegun.saturating_sub(weight);
        let others = u64::try_from(self.connections.saturating_sub(1)).unwrap_or(u64::MAX);
        offer.shareable
            && (SMALL..=WHOLE_BYTES).contains(&weight)
            && weight.saturating_mul(others) <= self.unbegun
    }

    /// The biggest feed that can be shared and that outweighs `task`.
    fn helpable(&mut self, task: Option<u64>) -> Option<usize> {
        let shareable =
            self.active.iter_mut().filter(|active| active.offer.shareable && active.is_long && !active.ended);
        let biggest = shareable.max_by_key(|active| active.weight)?;
        if task.is_some_and(|task| task >= biggest.weight) {
            return None;
        }
        biggest.connections += 1;
        Some(biggest.offer.feed)
    }

    fn feed_weight(&self, offer: Offer) -> u64 {
        // The weight of large objects, and of tables in a stream, is not known: they go first.
        let weight = offer.table.and_then(|table| self.tasks.table_weight(table));
        weight.unwrap_or(u64::MAX)
    }

    fn can_begin(&self) -> bool {
        match self.waiting.front() {
            Some(next) if next.alone => self.active.is_empty(),
            Some(_) => !self.active.iter().any(|active| active.offer.alone),
            None => false,
        }
    }

    /// Tells the entries when the last rows are loaded.
    fn end_rows(&mut self) {
        if self.feeds_ended && self.waiting.is_empty() && self.active.is_empty() {
            self.tasks.end_rows();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::graph::Node;
    use super::*;
    use crate::archive::DumpId;

    fn id(number: u32) -> DumpId {
        DumpId::new(number).unwrap()
    }

    /// An index on the table with this place, whose TABLE entry has the number `place + 1`.
    fn index(table: usize) -> Node {
        let entry = id(u32::try_from(table).unwrap() + 1);
        Node { after_rows: vec![table], tables: vec![table], shared: vec![entry], ..Node::default() }
    }

    fn foreign_key(tables: [usize; 2], after: usize) -> Node {
        let exclusive = tables.iter().map(|table| id(u32::try_from(*table).unwrap() + 1)).collect();
        let after = vec![after];
        Node { after_rows: tables.to_vec(), tables: tables.to_vec(), after, exclusive, ..Node::default() }
    }

    fn offer(feed: usize) -> Offer {
        Offer { feed, table: Some(feed), alone: false, shareable: true }
    }

    fn schedule(nodes: Vec<Node>, table_weights: &[u64]) -> Schedule {
        let table_weights = table_weights.iter().copied().map(Some).collect();
        Schedule::new(Graph { nodes, table_weights }, 2)
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_table_is_loaded_whole_while_others_suffice_for_the_others() {
        let mut schedule = schedule(Vec::new(), &[3 * MIB, 2 * MIB, MIB, MIB, 1]);
        (0..5).for_each(|feed| schedule.offer(offer(feed)));
        assert_eq!(schedule.next(), Work::LoadWhole(0));
        assert_eq!(schedule.next(), Work::LoadWhole(1));
        assert_eq!(schedule.next(), Work::LoadWhole(2));
        assert_eq!(schedule.next(), Work::Load(3));
        assert_eq!(schedule.next(), Work::Load(4));
        assert_eq!(schedule.next(), Work::Wait, "as long as it is short");
        schedule.share(3);
        assert_eq!(schedule.next(), Work::Help(3));
    }

    #[test]
    fn rows_then_help_then_the_indexes() {
        let nodes = vec![index(0), index(1)];
        let mut schedule = schedule(nodes, &[9 * MIB, MIB]);
        schedule.offer(offer(0));
        schedule.offer(offer(1));
        schedule.feeds_ended();
        assert_eq!(schedule.next(), Work::Load(0));
        assert_eq!(schedule.next(), Work::Load(1));
        schedule.feed_ended(1);
        assert!(schedule.leave(1));
        schedule.share(0);
        // The big table's rows outweigh the small one's index.
        assert_eq!(schedule.next(), Work::Help(0));
        assert!(!schedule.has_better(0));
        schedule.feed_ended(0);
        assert!(schedule.has_better(0));
        assert!(!schedule.leave(0));
        assert_eq!(schedule.next(), Work::Tasks(vec![1]));
        assert!(schedule.leave(0));
        assert!(schedule.all_rows_loaded());
        assert_eq!(schedule.next(), Work::Tasks(vec![0]));
        assert_eq!(schedule.next(), Work::Wait);
        schedule.done(&[0, 1]);
        assert_eq!(schedule.next(), Work::Finished);
    }

    #[test]
    fn indexes_of_a_big_table_come_before_the_rows_of_small_ones() {
        let mut schedule = schedule(vec![index(0), index(0)], &[9 * MIB, MIB]);
        schedule.offer(offer(0));
        assert_eq!(schedule.next(), Work::Load(0));
        schedule.feed_ended(0);
        assert!(schedule.leave(0));
        schedule.offer(offer(1));
        assert_eq!(schedule.next(), Work::Tasks(vec![0]));
        assert_eq!(schedule.next(), Work::Tasks(vec![1]), "at the same time");
        assert_eq!(schedule.next(), Work::Load(1));
    }

    #[test]
    fn locks_are_respected() {
        let key = Node { shared: Vec::new(), exclusive: vec![id(1)], ..index(0) };
        let nodes = vec![index(0), key, foreign_key([0, 1], 1), index(1)];
        let mut schedule = schedule(nodes, &[2 * MIB, MIB]);
        schedule.feeds_ended();
        assert_eq!(schedule.next(), Work::Tasks(vec![0]));
        assert_eq!(
            schedule.next(),
            Work::Tasks(vec![3]),
            "the key would lock the table that has an index made"
        );
        schedule.done(&[0]);
        assert_eq!(schedule.next(), Work::Tasks(vec![1]));
        assert_eq!(schedule.next(), Work::Wait, "the foreign key needs the key");
        schedule.done(&[1]);
        assert_eq!(schedule.next(), Work::Wait, "and its other table");
        schedule.done(&[3]);
        assert_eq!(schedule.next(), Work::Tasks(vec![2]));
    }

    #[test]
    fn small_entries_are_made_together() {
        let mut schedule = schedule((0..10).map(index).collect(), &[1; 10]);
        schedule.feeds_ended();
        assert_eq!(schedule.next(), Work::Tasks(vec![0, 1, 2, 3]));
        assert_eq!(schedule.next(), Work::Tasks(vec![4, 5, 6]));
    }

    #[test]
    fn small_entries_are_made_apart_where_one_calls_code() {
        let code = Node { calls_code: true, ..index(9) };
        let mut schedule = schedule((0..9).map(index).chain([code]).collect(), &[1; 10]);
        schedule.feeds_ended();
        assert_eq!(schedule.next(), Work::Tasks(vec![0]));
        assert_eq!(schedule.next(), Work::Tasks(vec![1]));
    }

    #[test]
    fn what_must_be_alone_is() {
        let mut schedule = schedule(Vec::new(), &[1, 1, 1]);
        schedule.offer(offer(0));
        schedule.offer(Offer { alone: true, shareable: false, ..offer(1) });
        schedule.offer(offer(2));
        schedule.feeds_ended();
        assert_eq!(schedule.next(), Work::Load(0));
        schedule.feed_ended(0);
        assert_eq!(schedule.next(), Work::Wait);
        schedule.leave(0);
        assert_eq!(schedule.next(), Work::Load(1));
        assert_eq!(schedule.next(), Work::Wait);
        schedule.feed_ended(1);
        schedule.leave(1);
        assert_eq!(schedule.next(), Work::Load(2));
    }

    #[test]
    fn a_circle_of_dependencies_ends() {
        let circle = |after: usize| Node { after: vec![after], after_all_rows: true, ..Node::default() };
        let mut schedule = schedule(vec![circle(1), circle(0)], &[]);
        schedule.feeds_ended();
        assert_eq!(schedule.next(), Work::Tasks(vec![0]));
        schedule.done(&[0]);
        assert_eq!(schedule.next(), Work::Tasks(vec![1]));
        schedule.done(&[1]);
        assert_eq!(schedule.next(), Work::Finished);
    }
}
