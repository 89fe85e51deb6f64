//! A feed while connections load its rows.

use super::feed::{Feed, Piece, TableEnd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// After so many bytes a table's rows are shared among connections. Smaller ones keep the order of their rows, as
/// pg_restore keeps it: a second connection would gain them little.
const SHARED_BYTES: u64 = 16 * 1024 * 1024;

/// Which share of a feed a connection loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// It began the feed, and goes on until its end.
    Own,
    /// The same, and nobody else takes from it.
    Whole,
    /// It helps until there is better to do.
    Help,
}

/// A feed that is offered or being loaded.
pub(crate) struct ActiveFeed {
    pub(crate) feed: Feed,
    /// Bytes of rows that have been taken from it.
    pub(super) taken: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) end: OnceLock<TableEnd>,
}

impl ActiveFeed {
    /// Nothing is taken from it yet.
    pub(super) fn new(feed: Feed) -> Self {
        Self { feed, taken: AtomicU64::new(0), acknowledged: AtomicU64::new(0), end: OnceLock::new() }
    }

    /// Notes that a piece has been taken. True if with it the table has become one that is worth sharing.
    pub(super) fn take(&self, piece: &Piece) -> bool {
        let Piece::Rows(rows) = piece else { return false };
        let bytes = rows.bytes.len() as u64;
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        before < SHARED_BYTES && before.saturating_add(bytes) >= SHARED_BYTES
    }

    /// The server has acknowledged so many rows more. Returns how many in all.
    pub(crate) fn acknowledge(&self, rows: u64) -> u64 {
        self.acknowledged.fetch_add(rows, Ordering::Relaxed).saturating_add(rows)
    }

    /// The rows that the server has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The bytes of rows that connections have taken from it.
    pub(super) fn bytes_taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Its size in bytes, once it has been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.end.get().map_or(0, |end| end.bytes)
    }
}
