//! How often each ID of a mapping was found.

use crate::instance::InstanceId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the occurrences of each source of a mapping. Clones share their counts, and so do all rules that are made
/// with one of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found(Arc<Mutex<HashMap<u128, Counter>>>);

/// The count of one source.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Found {
    /// How often this source was found: replaced, or left unchanged because a rule says so.
    pub(crate) fn count(&self, source: InstanceId) -> u64 {
        self.counter(source.uuid().as_u128()).0.load(Ordering::Relaxed)
    }

    pub(super) fn counter(&self, source: u128) -> Counter {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(source).or_default().clone()
    }
}

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
