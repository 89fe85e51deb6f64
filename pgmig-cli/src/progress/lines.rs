//! Progress as plain lines, for logs: a line for each step and migration, and one a minute for work that lasts.

use super::label::label;
use super::ticker::Ticker;
use super::work::Work;
use crate::output::{Text, duration};
use pgmig_core::progress::{Event, Step};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nothing is said about work of a shorter time.
const INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Lines {
    shared: Arc<Shared>,
    _ticker: Ticker,
}

struct Shared {
    started: Instant,
    write: fn(&Text),
    state: Mutex<State>,
}

struct State {
    last_line: Instant,
    step: Option<Step>,
    work: Work,
}

impl Lines {
    /// Lines that `write` writes.
    pub(super) fn new(write: fn(&Text)) -> Self {
        Self::with_interval(write, INTERVAL)
    }

    fn with_interval(write: fn(&Text), interval: Duration) -> Self {
        let now = Instant::now();
        let state = Mutex::new(State { last_line: now, step: None, work: Work::new() });
        let shared = Arc::new(Shared { started: now, write, state });
        let ticking = Arc::clone(&shared);
        let ticker = Ticker::every(interval.min(Duration::from_secs(1)), move || ticking.tick(interval));
        Self { shared, _ticker: ticker }
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        self.shared.update(|state| state.work.event(event));
        match *event {
            Event::StepBegan { step } => self.step(step),
            Event::MigrationBegan { version, description, number, total } => {
                self.shared.line(&format!("  migration {number} of {total}: {version} ({description})"));
            }
            Event::MigrationEnded { version, description, took } => {
                self.shared.line(&format!("  migration {version} ({description}) took {}", duration(took)));
            }
            _ => {}
        }
    }

    fn step(&self, step: Step) {
        // This work continues in the library, which reads the backup.
        if self.shared.update(|state| state.step.replace(step)) != Some(step) {
            self.shared.line(label(step));
        }
    }
}

impl Shared {
    /// Says what the work is if nothing was said for so long.
    fn tick(&self, interval: Duration) {
        let words = self.update(|state| {
            let is_time = state.last_line.elapsed() >= interval && state.step.is_some();
            is_time.then(|| (state.work.in_words(), state.work.archive_in_words()))
        });
        match words {
            Some((work, Some(archive))) => self.line(&format!("  {work}; {archive}")),
            Some((work, None)) => self.line(&format!("  {work}")),
            None => {}
        }
    }

    fn line(&self, text: &str) {
        self.update(|state| state.last_line = Instant::now());
        (self.write)(&Text::of(format!("[{:>7.1} s] {text}", self.started.elapsed().as_secs_f64())));
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // A thread that panicked may have left an old value, which can still be shown.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    static WRITTEN: Mutex<String> = Mutex::new(String::new());

    #[test]
    fn work_that_lasts_is_told_at_every_interval() {
        let write =
            |text: &Text| WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).push_str(text.as_str());
        let lines = Lines::with_interval(write, Duration::from_millis(20));
        lines.event(&Event::StepBegan { step: Step::Data });
        lines.event(&Event::TableRows { table: "public.t", rows: 1234, bytes: 0 });
        let written = || WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let told = |text: &str| text.matches("]   loading rows: public.t, 1,234 rows\n").count();
        while told(&written()) < 3 {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(written().contains("] loading rows\n"), "{}", written());
        drop(lines);
        // The thread may be about to write its last line.
        thread::sleep(Duration::from_millis(50));
        let last = written();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(written(), last);
    }
}
