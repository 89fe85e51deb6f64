//! A feed while connections load its rows.

use super::feed::{Feed, Piece, TableEnd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Once this many bytes of a table are taken, other connections may help with the rest. Smaller tables keep the order
/// of their rows, as pg_restore keeps it: a second connection would gain them little.
const SHARED_BYTES: u64 = 16 * 1024 * 1024;

/// The share of a feed that a connection loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// It began the feed, and loads until the end.
    Own,
    /// It began the feed, and loads all of it: no other connection helps.
    Whole,
    /// It helps, until there is more important work.
    Help,
}

/// A feed that is offered or being loaded.
pub(crate) struct ActiveFeed {
    pub(crate) feed: Feed,
    /// Bytes of rows that connections have taken from it.
    pub(super) taken: AtomicU64,
    /// Rows that the server has acknowledged to earlier runs, and to all runs.
    pub(super) before: u64,
    pub(super) acknowledged: AtomicU64,
    pub(super) end: OnceLock<TableEnd>,
}

impl ActiveFeed {
    /// A feed of which earlier runs have loaded so many rows.
    pub(super) fn new(feed: Feed, before: u64) -> Self {
        let acknowledged = AtomicU64::new(before);
        Self { feed, taken: AtomicU64::new(0), before, acknowledged, end: OnceLock::new() }
    }

    /// Counts a piece that a connection has taken. Returns true if the table has just become big enough to share.
    pub(super) fn take(&self, piece: &Piece) -> bool {
        let Piece::Rows(rows) = piece else { return false };
        let bytes = rows.bytes.len() as u64;
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        before < SHARED_BYTES && before.saturating_add(bytes) >= SHARED_BYTES
    }

    /// Adds rows that the server has acknowledged, and returns the total.
    pub(crate) fn acknowledge(&self, rows: u64) -> u64 {
        self.acknowledged.fetch_add(rows, Ordering::Relaxed).saturating_add(rows)
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The bytes of rows that connections have taken from it.
    pub(super) fn bytes_taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Its size in bytes, or 0 before its end has been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.end.get().map_or(0, |end| end.bytes)
    }
}
