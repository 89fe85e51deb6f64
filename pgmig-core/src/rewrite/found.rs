//! How often each ID of a mapping was found.

use crate::instance::InstanceId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

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

    /// Takes the counts that are not 0, by source, and begins again.
    pub(crate) fn take(&self) -> Vec<(String, u64)> {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counters.iter().map(|(source, counter)| (*source, counter.0.swap(0, Ordering::Relaxed)));
        let found = counts.filter(|(_, count)| *count > 0);
        found.map(|(source, count)| (Uuid::from_u128(source).to_string(), count)).collect()
    }

    /// Adds counts.
    pub(crate) fn add(&self, found: &[(String, u64)]) {
        for (source, count) in found {
            let Ok(source) = source.parse::<Uuid>() else { continue };
            self.counter(source.as_u128()).0.fetch_add(*count, Ordering::Relaxed);
        }
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
