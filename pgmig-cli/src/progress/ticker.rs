//! Repeats something at an interval until it is dropped.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// A thread that repeats something. Dropping it ends the thread soon.
pub(super) struct Ticker {
    /// The thread ends when this is dropped.
    _alive: Sender<()>,
}

impl Ticker {
    /// Calls `tick` for the first time after the interval. Without another thread it never does.
    pub(super) fn every(interval: Duration, mut tick: impl FnMut() + Send + 'static) -> Self {
        let (alive, told) = channel::<()>();
        // Progress is a comfort: a run goes on without it.
        let _ = thread::Builder::new().name("pgmig-progress".to_owned()).spawn(move || {
            while told.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        });
        Self { _alive: alive }
    }
}
