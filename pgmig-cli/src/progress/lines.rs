//! Progress as plain lines, for logs: a line for each step and migration, and at intervals one for the present work.

use super::label::label;
use crate::output::{Text, bytes, count, duration, say};
use pgmig_core::progress::{Event, Step};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The interval between lines about the same step.
const INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Lines {
    started: Instant,
    state: Mutex<State>,
}

struct State {
    last_line: Instant,
    step: Option<Step>,
    table: String,
    rows: u64,
}

impl Lines {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            state: Mutex::new(State { last_line: now, step: None, table: String::new(), rows: 0 }),
        }
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        match *event {
            Event::StepBegan { step } => self.step(step),
            Event::ArchiveRead { bytes, total, .. } => self.archive_read(bytes, total),
            Event::TableBegan { table } => self.table(table, 0),
            Event::TableRows { table, rows, .. } => self.table(table, rows),
            Event::EntryBegan { entry, number, total } if self.is_time() => {
                self.line(&format!("  {number} of {total}: {entry}"));
            }
            Event::MigrationBegan { version, description, number, total } => {
                self.line(&format!("  migration {number} of {total}: {version} ({description})"));
            }
            Event::MigrationEnded { version, description, took } => {
                self.line(&format!("  migration {version} ({description}) took {}", duration(took)));
            }
            _ => {}
        }
    }

    fn step(&self, step: Step) {
        let before = self.update(|state| {
            state.table.clear();
            state.step.replace(step)
        });
        // This work continues in the library, which reads the backup.
        if before != Some(step) {
            self.line(label(step));
        }
    }

    fn archive_read(&self, read: u64, total: Option<u64>) {
        if !self.is_time() {
            return;
        }
        let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
        let table = self.update(|state| match state.table.as_str() {
            "" => String::new(),
            table => format!("; {table}: {} rows", count(state.rows)),
        });
        self.line(&format!("  {}{of} of the archive read{table}", bytes(read)));
    }

    fn table(&self, table: &str, rows: u64) {
        self.update(|state| {
            table.clone_into(&mut state.table);
            state.rows = rows;
        });
    }

    fn is_time(&self) -> bool {
        self.update(|state| state.last_line.elapsed() >= INTERVAL)
    }

    fn line(&self, text: &str) {
        self.update(|state| state.last_line = Instant::now());
        say(&Text::of(format!("[{:>7.1} s] {text}", self.started.elapsed().as_secs_f64())));
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // A thread that panicked may have left an old value, which can still be shown.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
