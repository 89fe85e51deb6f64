//! The present work of a run in words: its step, and how far it is.

use super::label::label;
use crate::output::{bytes, clock, count, duration, plural};
use pgmig_core::progress::{Event, Step};
use std::time::{Duration, Instant};

/// The present work. It begins without a step.
#[derive(Debug)]
pub(super) struct Work {
    step: &'static str,
    now: Now,
    /// When the work of `now` began.
    since: Instant,
    archive: Option<Reading>,
}

/// What the step is about at present.
#[derive(Debug, Default, PartialEq, Eq)]
enum Now {
    #[default]
    Unknown,
    Table {
        name: String,
        rows: u64,
    },
    Entry {
        name: String,
        number: usize,
        total: usize,
    },
    Migration {
        name: String,
        number: usize,
        total: usize,
    },
    Waiting {
        what: String,
        limit: Duration,
    },
}

/// How much of the archive is read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    read: u64,
    total: Option<u64>,
    left: Option<Duration>,
    since: Instant,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { step: "", now: Now::Unknown, since: Instant::now(), archive: None }
    }

    /// The name of a work that is no step of the library's.
    pub(super) fn doing(&mut self, what: &'static str) {
        self.step = what;
        self.begin(Now::Unknown);
    }

    /// Learns from an event.
    pub(super) fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::StepBegan { step } => self.step(step),
            Event::ArchiveRead { bytes, total, left } => self.archive(bytes, total, left),
            Event::TableBegan { table } => self.begin(Now::Table { name: table.to_owned(), rows: 0 }),
            Event::TableRows { table, rows, .. } => {
                let is_same = matches!(&self.now, Now::Table { name, .. } if name == table);
                let now = Now::Table { name: table.to_owned(), rows };
                if is_same { self.now = now } else { self.begin(now) }
            }
            Event::EntryBegan { entry, number, total } => {
                self.begin(Now::Entry { name: entry.to_owned(), number, total });
            }
            Event::MigrationBegan { version, description, number, total } => {
                self.begin(Now::Migration { name: format!("{version} {description}"), number, total });
            }
            Event::MigrationEnded { .. } => self.begin(Now::Unknown),
            Event::Waiting { what, sessions, limit } => {
                let sessions = u64::try_from(sessions).unwrap_or(u64::MAX);
                let of =
                    if sessions > 0 { format!(" ({})", plural(sessions, "session")) } else { String::new() };
                self.begin(Now::Waiting { what: format!("{what}{of}"), limit });
            }
            _ => {}
        }
    }

    fn step(&mut self, step: Step) {
        self.doing(label(step));
    }

    fn archive(&mut self, read: u64, total: Option<u64>, left: Option<Duration>) {
        let since = self.archive.map_or_else(Instant::now, |reading| reading.since);
        self.archive = Some(Reading { read, total, left, since });
    }

    fn begin(&mut self, now: Now) {
        self.now = now;
        self.since = Instant::now();
    }

    /// The work in a line: `upgrading the schema: migration 7 of 12, 20 parts get tables (0:54)`.
    pub(super) fn in_words(&self) -> String {
        let lasts = self.since.elapsed();
        match &self.now {
            Now::Unknown => format!("{}{}", self.step, time_of(lasts)),
            Now::Table { name, rows } => format!("{}: {name}, {} rows", self.step, count(*rows)),
            Now::Entry { name, number, total } => {
                format!("{}: {number} of {total}, {name}{}", self.step, time_of(lasts))
            }
            Now::Migration { name, number, total } => {
                format!("{}: migration {number} of {total}, {name}{}", self.step, time_of(lasts))
            }
            Now::Waiting { what, limit } => {
                format!("{}: waiting for {what}, {} of {}", self.step, clock(lasts), clock(*limit))
            }
        }
    }

    /// Bytes of the archive that are read, and all of them, where that is known. `None` before the first, and after the last.
    pub(super) fn share(&self) -> Option<(u64, Option<u64>)> {
        let reading =
            self.archive.filter(|reading| reading.total.is_none_or(|total| reading.read < total))?;
        Some((reading.read, reading.total))
    }

    /// How much of the archive is read, how long the rest takes, and how fast it goes.
    pub(super) fn archive_in_words(&self) -> Option<String> {
        self.share()?;
        let reading = self.archive?;
        let of = reading.total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
        let left = reading.left.map(|left| format!(", {} left to read", duration(left))).unwrap_or_default();
        let speed = match reading.since.elapsed().as_secs() {
            0 => String::new(),
            seconds => format!(", {}/s", bytes(reading.read / seconds)),
        };
        Some(format!("{}{of} read{left}{speed}", bytes(reading.read)))
    }
}

/// How long it has lasted, from the first second on.
fn time_of(lasts: Duration) -> String {
    if lasts.as_secs() == 0 { String::new() } else { format!(" ({})", clock(lasts)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The present work, which began so many seconds ago.
    fn after(events: &[Event<'_>], seconds: u64) -> Work {
        let mut work = Work::new();
        events.iter().for_each(|event| work.event(event));
        let ago = |since: Instant| since.checked_sub(Duration::from_secs(seconds)).unwrap();
        work.since = ago(work.since);
        work.archive = work.archive.map(|reading| Reading { since: ago(reading.since), ..reading });
        work
    }

    fn step(step: Step) -> Event<'static> {
        Event::StepBegan { step }
    }

    #[test]
    fn work_that_lasts_has_its_time() {
        let migration =
            Event::MigrationBegan { version: 20, description: "parts get tables", number: 7, total: 12 };
        let migrating = [step(Step::Upgrade), migration];
        assert_eq!(
            after(&migrating, 54).in_words(),
            "upgrading the schema: migration 7 of 12, 20 parts get tables (0:54)"
        );
        assert_eq!(after(&[step(Step::Verify)], 0).in_words(), "verifying");
        assert_eq!(after(&[step(Step::Verify)], 3661).in_words(), "verifying (1:01:01)");
        let index = Event::EntryBegan { entry: "INDEX t_i", number: 3, total: 9 };
        let making = [step(Step::PostData), index];
        assert_eq!(
            after(&making, 5).in_words(),
            "creating indexes, constraints and triggers: 3 of 9, INDEX t_i (0:05)"
        );
        let ended = Event::MigrationEnded { version: 20, description: "x", took: Duration::ZERO };
        assert_eq!(after(&[migrating[0], migration, ended], 2).in_words(), "upgrading the schema (0:02)");
    }

    #[test]
    fn a_wait_is_shown_with_its_end() {
        let limit = Duration::from_secs(60);
        let wait = |sessions| Event::Waiting { what: "other sessions to end", sessions, limit };
        assert_eq!(
            after(&[step(Step::Swap), wait(2)], 12).in_words(),
            "swapping the databases: waiting for other sessions to end (2 sessions), 0:12 of 1:00"
        );
        let told = after(&[step(Step::Swap), wait(0)], 0).in_words();
        assert!(told.ends_with("waiting for other sessions to end, 0:00 of 1:00"), "{told}");
    }

    #[test]
    fn the_time_left_is_that_of_reading_and_comes_first() {
        let mib = 1 << 20;
        let read = |bytes, total, left| Event::ArchiveRead { bytes, total, left };
        let line = |event, seconds| after(&[step(Step::Data), event], seconds).archive_in_words();
        assert_eq!(
            line(read(10 * mib, Some(40 * mib), Some(Duration::from_secs(15))), 5).unwrap(),
            "10.00 MiB of 40.00 MiB read, 15.0 s left to read, 2.00 MiB/s"
        );
        assert_eq!(line(read(10 * mib, None, None), 5).unwrap(), "10.00 MiB read, 2.00 MiB/s");
        assert_eq!(line(read(0, None, None), 0).unwrap(), "0 B read");
        // The rest of the restore takes a time that nobody knows.
        assert_eq!(line(read(mib, Some(mib), None), 5), None);
    }

    #[test]
    fn rows_are_those_of_the_table_that_came_last() {
        let rows = |table, rows| Event::TableRows { table, rows, bytes: 0 };
        let loading = [step(Step::Data), Event::TableBegan { table: "a" }, rows("a", 10), rows("b", 1000)];
        assert_eq!(after(&loading, 90).in_words(), "loading rows: b, 1,000 rows");
    }
}
