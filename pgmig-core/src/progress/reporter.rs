//! Adds to a caller's events what only their sequence tells: when steps end, and how much time is left.

use super::{Event, Progress, Step};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Before so much of an archive has been read, its speed says nothing of the rest.
const MEASURED: Duration = Duration::from_secs(2);

/// Passes events on to a caller, with the end of each step and an estimate of the time left.
pub(crate) struct Reporter {
    listener: Arc<dyn Progress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    step: Option<(Step, Instant)>,
    reading_since: Option<Instant>,
}

impl Reporter {
    pub(crate) fn new(listener: Arc<dyn Progress>) -> Self {
        Self { listener, state: Mutex::default() }
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end_step(&self, next: Option<Step>) {
        let next = next.map(|step| (step, Instant::now()));
        if let Some((step, began)) = self.update(|state| std::mem::replace(&mut state.step, next)) {
            self.listener.event(&Event::StepEnded { step, took: began.elapsed() });
        }
    }

    fn left(&self, bytes: u64, total: Option<u64>) -> Option<Duration> {
        let since = self.update(|state| *state.reading_since.get_or_insert_with(Instant::now));
        estimate(since.elapsed(), bytes, total?)
    }
}

impl Progress for Reporter {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::StepBegan { step } => {
                self.end_step(Some(step));
                self.listener.event(event);
            }
            Event::ArchiveRead { bytes, total, .. } => {
                let left = self.left(bytes, total);
                self.listener.event(&Event::ArchiveRead { bytes, total, left });
            }
            _ => self.listener.event(event),
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.end_step(None);
    }
}

/// The time that the rest takes at the speed so far; `None` while that speed is not known.
fn estimate(elapsed: Duration, bytes: u64, total: u64) -> Option<Duration> {
    if elapsed < MEASURED || bytes == 0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "an estimate needs no more than 53 bits")]
    let ratio = total.saturating_sub(bytes) as f64 / bytes as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * ratio).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Names(Mutex<Vec<String>>);

    impl Progress for Names {
        fn event(&self, event: &Event<'_>) {
            let name = match event {
                Event::StepBegan { step } => format!("began {step}"),
                Event::StepEnded { step, .. } => format!("ended {step}"),
                _ => "other".to_owned(),
            };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        }
    }

    #[test]
    fn every_step_that_begins_ends() {
        let names = Arc::new(Names(Mutex::default()));
        let reporter = Reporter::new(names.clone());
        for step in [Step::Lock, Step::PreData] {
            reporter.event(&Event::StepBegan { step });
        }
        drop(reporter);
        let names = names.0.lock().unwrap_or_else(PoisonError::into_inner).join(", ");
        assert_eq!(names, "began lock, ended lock, began pre-data, ended pre-data");
    }

    #[test]
    fn the_time_left_is_in_proportion_to_the_bytes_left() {
        let seconds = Duration::from_secs;
        assert_eq!(estimate(seconds(1), 500, 1000), None);
        assert_eq!(estimate(seconds(10), 250, 1000), Some(seconds(30)));
        assert_eq!(estimate(seconds(10), 1000, 1000), Some(seconds(0)));
        assert_eq!(estimate(seconds(10), 0, 1000), None);
    }
}
