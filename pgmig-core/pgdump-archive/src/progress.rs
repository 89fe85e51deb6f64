//! How much of an archive has been read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts the bytes of an archive that were read for good; clones share the count.
///
/// It only grows: finding the blocks does not count, nor does reading a block for the second time. When every
/// block has been read to its end, it is the size of the archive.
#[derive(Debug, Clone, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// Bytes so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn raise_to(&self, bytes: u64) {
        self.0.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// How far one block of a file has been read by any of its readers.
#[derive(Debug, Default)]
pub(super) struct BlockProgress {
    furthest: AtomicU64,
}

/// Where a reader counts what it has read.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// Nowhere.
    Uncounted,
    /// As the position in a stream.
    Stream(BytesRead),
    /// As a part of one block of a file.
    Block {
        start: u64,
        /// Bytes of the block that come before `start`, where it is made of several pieces.
        base: u64,
        block: Arc<BlockProgress>,
        total: BytesRead,
    },
}

impl Progress {
    /// The same block's progress, for a piece of it that starts at `start` and comes after `base` bytes of others.
    pub(super) fn from(&self, start: u64, base: u64) -> Self {
        match self {
            Self::Block { block, total, .. } => {
                Self::Block { start, base, block: Arc::clone(block), total: total.clone() }
            }
            other => other.clone(),
        }
    }

    /// All bytes before `offset` have been read.
    pub(super) fn reached(&self, offset: u64) {
        match self {
            Self::Uncounted => {}
            Self::Stream(total) => total.raise_to(offset),
            Self::Block { start, base, block, total } => {
                let length = base + offset.saturating_sub(*start);
                let before = block.furthest.fetch_max(length, Ordering::Relaxed);
                total.add(length.saturating_sub(before));
            }
        }
    }
}
