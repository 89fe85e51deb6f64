//! How long sessions wait, and who hears of it: shared by all clones of a configuration.

use crate::progress::{Event, Notice, NoticeCode, Progress};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How long a server counts as unreachable after a session has found that it is.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The limits of waiting for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitLimits {
    /// How long the server may leave a short question without an answer, or accept no connection while a session waits.
    pub(crate) answer: Duration,
    /// For locks that other sessions hold.
    pub(crate) locks: Duration,
    /// For the commit of the restore.
    pub(crate) commit: Duration,
}

impl Default for WaitLimits {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self { answer: minutes(1), locks: minutes(1), commit: minutes(5) }
    }
}

/// The limits, and the listener.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// One look at a time: each takes a connection of the server.
    looking: Looking,
    has_connected: AtomicBool,
}

struct Looking(Semaphore);

impl Default for Looking {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

#[derive(Default)]
struct State {
    limits: WaitLimits,
    listener: Option<Arc<dyn Progress>>,
    unreachable_since: Option<Instant>,
}

impl std::fmt::Debug for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waits")
    }
}

impl Waits {
    /// Sets the limits, and the listener to the waits.
    pub(crate) fn set(&self, limits: WaitLimits, listener: Arc<dyn Progress>) {
        let mut state = self.state();
        state.limits = limits;
        state.listener = Some(listener);
    }

    /// The same limits and listener, for another address: nothing is known of a server there.
    pub(super) fn elsewhere(&self) -> Self {
        let new = Self::default();
        let (limits, listener) = {
            let state = self.state();
            (state.limits, state.listener.clone())
        };
        let mut state = new.state();
        (state.limits, state.listener) = (limits, listener);
        drop(state);
        new
    }

    pub(crate) fn limits(&self) -> WaitLimits {
        self.state().limits
    }

    /// Tells the listener of a wait that begins. `advice` is what ends it sooner.
    pub(super) fn tell(&self, what: &str, sessions: usize, limit: Duration, advice: &str) {
        let Some(listener) = self.state().listener.clone() else { return };
        listener.event(&Event::Waiting { what, sessions, limit });
        let text = format!("waiting up to {} s for {what}{advice}", limit.as_secs());
        listener.event(&Event::Notice(&Notice::note(NoticeCode::Waiting, text)));
    }

    /// Notes that the server has let a session in.
    pub(super) fn note_connected(&self) {
        self.0.has_connected.store(true, Ordering::Relaxed);
        self.state().unreachable_since = None;
    }

    /// Whether the server has let a session in before: its address is right.
    pub(super) fn has_connected(&self) -> bool {
        self.0.has_connected.load(Ordering::Relaxed)
    }

    /// Notes that a session has given up on the server.
    pub(super) fn note_unreachable(&self) {
        self.state().unreachable_since = Some(Instant::now());
    }

    /// Whether another session has just given up on the server: there is no need to find out again.
    pub(super) fn is_unreachable(&self) -> bool {
        self.state().unreachable_since.is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    /// Waits until no other session looks.
    pub(super) async fn one_look(&self) -> Option<SemaphorePermit<'_>> {
        self.0.looking.0.acquire().await.ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
