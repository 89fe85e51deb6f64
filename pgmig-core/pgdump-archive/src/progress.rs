//! Counts the bytes of an archive that have been read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts bytes of an archive that were read as data. Clones share the count.
///
/// The count only grows. Finding the blocks does not count, nor does reading a block for the second time. Once every
/// block has been read to its end, the count equals the size of the archive.
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

/// The farthest place in one block of a file that any of its readers has reached.
#[derive(Debug, Default)]
pub(super) struct BlockProgress {
    furthest: AtomicU64,
}

/// Where a reader reports the bytes that it has read.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// Not counted.
    Uncounted,
    /// In the count of a stream, as the place in it.
    Stream(BytesRead),
    /// In the count of one block of a file.
    Block {
        start: u64,
        /// Bytes of the block before `start`, if the block consists of several pieces.
        base: u64,
        block: Arc<BlockProgress>,
        total: BytesRead,
    },
}

impl Progress {
    /// The progress of the same block, for a piece of it that starts at `start` and comes after `base` bytes of
    /// others.
    pub(super) fn from(&self, start: u64, base: u64) -> Self {
        match self {
            Self::Block { block, total, .. } => {
                Self::Block { start, base, block: Arc::clone(block), total: total.clone() }
            }
            other => other.clone(),
        }
    }

    /// Reports that all bytes before `offset` have been read.
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
