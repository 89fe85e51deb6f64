//! Pieces of the archive's data on their way from the thread that reads to the connection that loads.
//!
//! This is the one place where sync meets async. What is under way is bounded in number and in bytes, so that
//! the reader is never further ahead than that.

use super::error::RestoreError;
use crate::error::Result;
use bytes::Bytes;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Pieces under way.
const PIECES_AHEAD: usize = 16;

/// Bytes under way; one piece may be larger, alone.
const BYTES_AHEAD: usize = 2 * 1024 * 1024;

/// One piece of the archive's data, in the order in which they are to be loaded.
pub(super) enum Piece {
    /// The rows that follow belong to this table of the plan.
    Table(usize),
    /// Whole rows as COPY text.
    Rows(Bytes),
    /// INSERT statements in the archive's encoding.
    Statements(Vec<u8>),
    /// The table's rows have all been given.
    TableEnd(TableEnd),
    /// Parts of large objects, in order.
    LargeObjects(Vec<LargeObjectPart>),
}

/// What was read and rewritten of one table.
#[derive(Debug, Default)]
pub(super) struct TableEnd {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// The columns, where IDs are replaced.
    pub(super) columns: Vec<String>,
    /// Replacements by column, in their order.
    pub(super) replaced: Vec<u64>,
    /// IDs found in bytea and left as they are, by column.
    pub(super) left: Vec<u64>,
    /// Mapping keys that are no values and are still there, outside excluded columns.
    pub(super) leftovers: u64,
    /// Some statements' rows could not be counted; `rows` is then too small.
    pub(super) is_uncounted: bool,
}

/// A part of a large object.
#[derive(Debug)]
pub(super) struct LargeObjectPart {
    pub(super) oid: u32,
    /// Where in the object it begins, in bytes.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    /// IDs found in the whole object, replaced or not; with its last part, zero before.
    pub(super) ids: u64,
}

impl Piece {
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(bytes) => bytes.len(),
            Self::Statements(sql) => sql.len(),
            Self::LargeObjects(parts) => parts.iter().map(|part| part.bytes.len()).sum(),
            Self::Table(_) | Self::TableEnd(_) => 0,
        }
    }
}

/// The reading thread's end.
pub(super) struct Sender {
    sender: mpsc::Sender<(Piece, Held)>,
    budget: Arc<Budget>,
}

impl Sender {
    /// Sends a piece, and waits while too much is under way.
    ///
    /// # Errors
    ///
    /// The load has ended. What it ended with is the error that counts.
    pub(super) fn send(&self, piece: Piece) -> Result<()> {
        let held = Budget::hold(&self.budget, piece.bytes());
        self.sender.blocking_send((piece, held)).map_err(|_| RestoreError::Interrupted.into())
    }
}

/// The loading connection's end.
pub(super) struct Pieces {
    pieces: mpsc::Receiver<(Piece, Held)>,
    outcome: oneshot::Receiver<Result<()>>,
}

impl Pieces {
    /// Starts `read` on a thread of its own rather than one of the runtime's: a read from a pipe can block for
    /// ever, and must not keep a program from ending.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub(super) fn of(read: impl FnOnce(Sender) -> Result<()> + Send + 'static) -> Result<Self> {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let sender = Sender { sender, budget: Arc::default() };
        let (tell, outcome) = oneshot::channel();
        let run = move || {
            // Nobody listens any more if the load failed.
            let _ = tell.send(read(sender));
        };
        let spawned = std::thread::Builder::new().name("pgmig-archive".to_owned()).spawn(run);
        spawned.map_err(|error| RestoreError::Internal(format!("no thread to read the archive: {error}")))?;
        Ok(Self { pieces, outcome })
    }

    /// The next piece; `None` at the end, and after an error, which [`Pieces::finish`] then returns.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await.map(|(piece, _held)| piece)
    }

    /// How the reading ended.
    pub(super) async fn finish(self) -> Result<()> {
        drop(self.pieces);
        let died = |_| RestoreError::Internal("the thread that reads the archive has died".to_owned());
        self.outcome.await.map_err(died)?
    }
}

/// How many bytes are under way.
#[derive(Debug, Default)]
struct Budget {
    held: Mutex<usize>,
    released: Condvar,
}

/// Bytes that count until this is dropped: with the piece, taken or not.
struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    fn hold(budget: &Arc<Self>, bytes: usize) -> Held {
        let mut held = budget.lock();
        while *held > 0 && held.saturating_add(bytes) > BYTES_AHEAD {
            held = budget.released.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held = held.saturating_add(bytes);
        Held { budget: Arc::clone(budget), bytes }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.budget.lock();
        *held = held.saturating_sub(self.bytes);
        self.budget.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn everything_arrives_in_order_and_large_pieces_pass_alone() {
        let sizes = [10, BYTES_AHEAD * 3, 0, BYTES_AHEAD / 2, BYTES_AHEAD / 2, 1];
        let mut pieces = Pieces::of(move |sender| {
            sizes.into_iter().try_for_each(|size| sender.send(Piece::Rows(Bytes::from(vec![0; size]))))
        })
        .unwrap();
        let mut arrived = Vec::new();
        while let Some(piece) = pieces.next().await {
            arrived.push(piece.bytes());
        }
        pieces.finish().await.unwrap();
        assert_eq!(arrived, sizes);
    }

    #[tokio::test]
    async fn a_reader_whose_pieces_nobody_takes_ends() {
        let (ended, has_ended) = oneshot::channel();
        let mut pieces = Pieces::of(move |sender| {
            let result =
                (0..1000).try_for_each(|_| sender.send(Piece::Rows(Bytes::from(vec![0; BYTES_AHEAD]))));
            ended.send(result.is_err()).unwrap();
            result
        })
        .unwrap();
        assert!(pieces.next().await.is_some());
        drop(pieces);
        assert!(has_ended.await.unwrap());
    }
}
