//! Progress at a terminal: the present work, and how much of the archive has been read. Without colours.

use super::label::label;
use crate::output::{bytes, count, duration, plural};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pgmig_core::progress::Event;
use pgmig_core::text::printable;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The refresh interval. It is short enough to show that pgmig is running.
const TICK: Duration = Duration::from_millis(120);

pub(super) struct Bars {
    all: MultiProgress,
    now: ProgressBar,
    archive: ProgressBar,
    state: Mutex<State>,
}

/// The line about the archive.
#[derive(Default, Clone, Copy)]
enum Archive {
    #[default]
    NotBegun,
    Shown {
        since: Instant,
    },
    /// All of it has been read. The rest of the restore takes a time that nobody knows.
    Read,
}

#[derive(Default)]
struct State {
    step: &'static str,
    archive: Archive,
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
            Event::ArchiveRead { bytes, total, left } => self.archive_read(bytes, total, left),
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
            Event::Waiting { what, sessions, limit } => self.say(&waiting(what, sessions, limit)),
            _ => {}
        }
    }

    pub(super) fn doing(&self, step: &'static str) {
        self.update(|state| *state = State { step, ..*state });
        self.now.set_message(step);
    }

    fn archive_read(&self, read: u64, total: Option<u64>, left: Option<Duration>) {
        let before = self.update(|state| {
            let before = state.archive;
            let is_read = total.is_some_and(|total| read >= total);
            state.archive = match before {
                Archive::Shown { .. } | Archive::Read if is_read => Archive::Read,
                Archive::NotBegun => Archive::Shown { since: Instant::now() },
                other => other,
            };
            before
        });
        match (before, total) {
            (Archive::Read, _) => {}
            (Archive::Shown { .. }, Some(total)) if read >= total => self.archive.finish_and_clear(),
            (Archive::Shown { since }, _) => {
                self.archive.set_position(read);
                self.archive.set_message(archive_line(read, total, since.elapsed(), left));
            }
            (Archive::NotBegun, total) => {
                if let Some(total) = total {
                    self.archive.set_length(total);
                }
                // Only a message is cut to the terminal's width; anything else would wrap.
                self.archive.set_style(style(if total.is_some() {
                    "  [{bar:20}] {wide_msg}"
                } else {
                    "  {wide_msg}"
                }));
                self.archive.set_position(read);
                self.archive.set_message(archive_line(read, total, Duration::ZERO, left));
                self.all.add(self.archive.clone());
            }
        }
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

/// How much of the archive has been read, how fast, and how long reading the rest takes.
fn archive_line(read: u64, total: Option<u64>, elapsed: Duration, left: Option<Duration>) -> String {
    let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
    let left = left.map(|left| format!(", {} left to read", duration(left))).unwrap_or_default();
    let speed = match elapsed.as_secs() {
        0 => String::new(),
        seconds => format!(", {}/s", bytes(read / seconds)),
    };
    format!("{}{of} read{left}{speed}", bytes(read))
}

fn waiting(what: &str, sessions: usize, limit: Duration) -> String {
    let sessions = if sessions > 0 {
        format!(" ({})", plural(u64::try_from(sessions).unwrap_or(u64::MAX), "session"))
    } else {
        String::new()
    };
    format!("waiting for {}{sessions}, up to {}", printable(what), duration(limit))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("our templates are well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_reading_and_comes_first() {
        let (mib, seconds) = (1 << 20, Duration::from_secs);
        let line = |total, left| archive_line(10 * mib, total, seconds(5), left);
        assert_eq!(
            line(Some(40 * mib), Some(seconds(15))),
            "10.00 MiB of 40.00 MiB read, 15.0 s left to read, 2.00 MiB/s"
        );
        assert_eq!(line(None, None), "10.00 MiB read, 2.00 MiB/s");
        assert_eq!(archive_line(0, None, Duration::ZERO, None), "0 B read");
    }

    #[test]
    fn a_wait_is_shown_with_its_end() {
        let of = |sessions| waiting("other sessions on the target to end", sessions, Duration::from_secs(60));
        assert!(
            of(2).starts_with("waiting for other sessions on the target to end (2 sessions), up to "),
            "{}",
            of(2)
        );
        assert!(of(0).starts_with("waiting for other sessions on the target to end, up to "), "{}", of(0));
    }
}
