//! Progress at a terminal: the present work, and how much of the archive has been read. Without colours.

use super::label::label;
use crate::output::count;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pgmig_core::progress::Event;
use pgmig_core::text::printable;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The refresh interval. It is short enough to show that pgmig is running.
const TICK: Duration = Duration::from_millis(120);

pub(super) struct Bars {
    all: MultiProgress,
    now: ProgressBar,
    archive: ProgressBar,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    step: &'static str,
    archive_is_shown: bool,
}

impl Bars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let now = all.add(ProgressBar::new_spinner());
        now.set_style(style("{spinner} {wide_msg} {elapsed:>8}"));
        now.enable_steady_tick(TICK);
        // It is not in `all` yet: it is drawn when the first byte has been read.
        Self { all, now, archive: ProgressBar::hidden(), state: Mutex::new(State::default()) }
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        match *event {
            Event::StepBegan { step } => self.doing(label(step)),
            Event::ArchiveRead { bytes, total, .. } => self.archive_read(bytes, total),
            Event::TableBegan { table } => self.say(&printable(table)),
            Event::TableRows { table, rows, .. } => {
                self.say(&format!("{}, {} rows", printable(table), count(rows)));
            }
            Event::EntryBegan { entry, number, total } => {
                self.say(&format!("{number} of {total}, {}", printable(entry)));
            }
            Event::MigrationBegan { version, description, number, total } => {
                self.say(&format!("migration {number} of {total}, {version} {}", printable(description)));
            }
            _ => {}
        }
    }

    pub(super) fn doing(&self, step: &'static str) {
        self.update(|state| *state = State { step, ..*state });
        self.now.set_message(step);
    }

    fn archive_read(&self, read: u64, total: Option<u64>) {
        self.archive.set_position(read);
        let first = self.update(|state| !std::mem::replace(&mut state.archive_is_shown, true));
        if !first {
            return;
        }
        match total {
            Some(total) => {
                self.archive.set_length(total);
                self.archive.set_style(style(
                    "  {bytes:>10} of {total_bytes:<10} [{wide_bar}] {binary_bytes_per_sec:>12}, {eta:>4} left",
                ));
            }
            None => self.archive.set_style(style("  {bytes:>10} read, {binary_bytes_per_sec}")),
        }
        self.all.add(self.archive.clone());
    }

    /// Shows the present work of the step.
    fn say(&self, what: &str) {
        let step = self.update(|state| state.step);
        self.now.set_message(format!("{step}: {what}"));
    }

    /// Runs `write`, which writes to standard error, while the bars are hidden.
    pub(super) fn beside(&self, write: impl FnOnce()) {
        self.all.suspend(write);
    }

    pub(super) fn hide(&self) {
        self.now.disable_steady_tick();
        let _ = self.all.clear();
        self.all.set_draw_target(ProgressDrawTarget::hidden());
    }

    pub(super) fn show(&self) {
        self.all.set_draw_target(ProgressDrawTarget::stderr());
        self.now.enable_steady_tick(TICK);
    }

    pub(super) fn finish(&self) {
        self.archive.finish_and_clear();
        self.now.finish_and_clear();
        let _ = self.all.clear();
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // A thread that panicked may have left an old value, which can still be shown.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("our templates are well-formed")
}
