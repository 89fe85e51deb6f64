//! Counts the threads at work, up to a limit.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the threads that are at work. A waiting thread makes room for another one that helps.
#[derive(Debug)]
pub(super) struct Threads {
    most: usize,
    busy: AtomicUsize,
}

/// A thread that is at work until this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Busy<'a>(&'a Threads);

impl Threads {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self { most: most.get(), busy: AtomicUsize::new(0) }
    }

    /// Counts one more thread, even if there is no room.
    pub(super) fn begin(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Counts one more thread, if there is room.
    pub(super) fn begin_another(&self) -> Option<Busy<'_>> {
        let more = |busy: usize| (busy < self.most).then_some(busy + 1);
        self.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok().then(|| Busy(self))
    }
}

impl Busy<'_> {
    /// Waits for another thread's result; meanwhile there is room for one more thread.
    pub(super) fn wait<T>(&self, for_it: impl FnOnce() -> T) -> T {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        let it = for_it();
        self.0.busy.fetch_add(1, Ordering::Relaxed);
        it
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_another_when_one_ends_or_waits() {
        let threads = Threads::new(NonZeroUsize::MIN.saturating_add(1));
        let first = threads.begin();
        let second = threads.begin();
        assert!(threads.begin_another().is_none());
        first.wait(|| assert!(threads.begin_another().is_some()));
        assert!(threads.begin_another().is_none());
        drop(second);
        let another = threads.begin_another();
        assert!(another.is_some() && threads.begin_another().is_none());
    }
}
