//! What came of the faults, by kind: the table that `make soak` writes.

use super::fault::Kind;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// What came of one fault.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) seed: u64,
    pub(super) kind: Kind,
    /// The login, the strategy, the mapping, and the moment.
    pub(super) how: String,
    /// How each run ended that the fault concerned: an exit status, or `killed`.
    pub(super) ends: Vec<String>,
    pub(super) is_restored: bool,
    /// From the fault to the end of the run.
    pub(super) took: Duration,
    /// Whether a run that nothing disturbed came after it.
    pub(super) ran_again: bool,
    pub(super) wrong: Vec<Wrong>,
}

/// A promise that was broken, and how.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) promise: Promise,
    pub(super) details: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// The target is as before or restored.
    State,
    /// The exit status and the message are true.
    Status,
    /// The run ends in time.
    Time,
    /// The next run succeeds and leaves nothing.
    Leftover,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: BTreeMap<Kind, Row>,
    wrong: Vec<(Promise, String)>,
    ran_again: usize,
}

#[derive(Debug, Default)]
struct Row {
    faults: usize,
    restored: usize,
    ends: BTreeMap<String, usize>,
    slowest: Duration,
}

impl Struck {
    /// The fault in a line.
    pub(super) fn line(&self) -> String {
        let state = if self.is_restored { "restored" } else { "as before" };
        let wrong = if self.wrong.is_empty() { "" } else { ": WRONG" };
        let Self { seed, kind, how, ends, .. } = self;
        format!("seed {seed}: {kind}, {how}: {state}, {} {:?}{wrong}", ends.join(" "), self.took)
    }
}

impl Tally {
    pub(super) fn add(&mut self, struck: Struck) {
        for wrong in &struck.wrong {
            self.wrong
                .push((wrong.promise, format!("{:?}: {}\n{}", wrong.promise, struck.line(), wrong.details)));
        }
        self.ran_again += usize::from(struck.ran_again);
        let row = self.rows.entry(struck.kind).or_default();
        row.faults += 1;
        row.restored += usize::from(struck.is_restored);
        for end in struck.ends {
            *row.ends.entry(end).or_default() += 1;
        }
        row.slowest = row.slowest.max(struck.took);
    }

    /// All that is wrong.
    pub(super) fn wrong(&self) -> String {
        self.wrong.iter().map(|(_, text)| format!("{text}\n")).collect()
    }

    /// The table, in Markdown.
    pub(super) fn table(&self, seed: u64, version: &str, took: Duration) -> String {
        let faults: usize = self.rows.values().map(|row| row.faults).sum();
        let mut text = format!(
            "# What do faults do to a restore?\n\n\
             `make soak` wrote this file: {faults} random faults, from seed {seed} on, in {} minutes, on PostgreSQL {version}. \
             `tests/soak/` has the faults.\n\n\
             | fault | faults | target restored | target as before | ends of the runs | slowest end |\n|---|---|---|---|---|---|\n",
            took.as_secs().div_ceil(60)
        );
        for (kind, row) in &self.rows {
            let ends: Vec<_> = row.ends.iter().map(|(end, times)| format!("{times} x {end}")).collect();
            let _ = writeln!(
                text,
                "| {kind} | {} | {} | {} | {} | {:.1} s |",
                row.faults,
                row.restored,
                row.faults - row.restored,
                ends.join(", "),
                row.slowest.as_secs_f64()
            );
        }
        let broken = |promise| self.wrong.iter().filter(|(broken, _)| *broken == promise).count();
        let _ = write!(
            text,
            "\nEnds are exit statuses, or `killed`. The last column counts from the fault to the end of the process.\n\n\
             - targets that were neither as before nor restored: {}\n\
             - exit statuses and messages that were not true: {}\n\
             - processes that did not end in time: {}\n\
             - leftovers after the next run, in {} next runs: {}\n",
            broken(Promise::State),
            broken(Promise::Status),
            broken(Promise::Time),
            self.ran_again,
            broken(Promise::Leftover)
        );
        text
    }
}
