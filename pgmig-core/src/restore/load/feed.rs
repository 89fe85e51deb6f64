//! Carries data from the threads that read the archive to the connections that load it.
//!
//! This is the one place where synchronous and asynchronous code meet. The rows of a table are a *feed*, and so is an
//! entry of large objects. Several connections can take pieces from one feed. The pieces under way are limited in
//! number and in bytes, so a reader is never further ahead than that.

use crate::archive::DumpId;
use crate::backup::BackupError;
use crate::error::{Error, Result};
use crate::restore::error::RestoreError;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// The most pieces of one feed under way.
const PIECES_AHEAD: usize = 16;

/// The most bytes under way from one reader, until the server has them. A larger piece passes alone.
const BYTES_AHEAD: usize = 2 * 1024 * 1024;

/// The most feeds under way that no connection has begun to load.
const FEEDS_AHEAD: usize = 32;

/// The content of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// The rows of this table of the plan.
    Table(usize),
    /// The large objects of this entry.
    LargeObjects(DumpId),
}

/// One piece of a feed.
pub(crate) enum Piece {
    /// Complete rows as COPY text.
    Rows(Rows),
    /// INSERT statements in the archive's encoding.
    Statements(Vec<u8>),
    /// Parts of large objects, in order.
    LargeObjects(Vec<LargeObjectPart>),
    /// The end of the feed, after all pieces.
    End(TableEnd),
}

/// Consecutive complete rows.
pub(crate) struct Rows {
    pub(crate) bytes: Bytes,
    /// The number of the first row in the archive, from 1.
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// Totals of a table after all its rows have been read and rewritten.
#[derive(Debug, Default)]
pub(crate) struct TableEnd {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// The columns, if IDs are replaced.
    pub(crate) columns: Vec<String>,
    /// Replacements by column, in the order of the columns.
    pub(crate) replaced: Vec<u64>,
    /// IDs found in bytea and left unchanged, by column.
    pub(crate) left: Vec<u64>,
    /// Mapping keys that are not mapping values and are still in the rows, outside excluded columns.
    pub(crate) leftovers: u64,
    /// Whether the rows of some statements could not be counted; `rows` is then too small.
    pub(crate) is_uncounted: bool,
}

/// A part of a large object.
#[derive(Debug)]
pub(crate) struct LargeObjectPart {
    pub(crate) oid: u32,
    /// Where the part begins in the object, in bytes.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    /// IDs found in the whole object, replaced or not; zero except in its last part.
    pub(crate) ids: u64,
}

impl Piece {
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.bytes.len(),
            Self::Statements(sql) => sql.len(),
            Self::LargeObjects(parts) => parts.iter().map(|part| part.bytes.len()).sum(),
            Self::End(_) => 0,
        }
    }
}

/// The reading thread's end of the channel: it begins feeds.
pub(crate) struct FeedSender {
    feeds: mpsc::Sender<Feed>,
    budget: Arc<Budget>,
    /// The number of feeds begun so far by all readers.
    begun: Arc<AtomicUsize>,
}

impl FeedSender {
    /// Begins a feed; the previous one must have ended.
    ///
    /// # Errors
    ///
    /// The load has ended. The error that ended it is the one to report.
    pub(crate) fn begin(&self, content: Content) -> Result<PieceSender> {
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let feed = Feed { content, number, pieces: tokio::sync::Mutex::new(receiver) };
        self.feeds.blocking_send(feed).map_err(|_| RestoreError::Interrupted)?;
        Ok(PieceSender { pieces, budget: Arc::clone(&self.budget) })
    }
}

/// The sending end of one feed.
pub(crate) struct PieceSender {
    pieces: mpsc::Sender<(Piece, BudgetGuard)>,
    budget: Arc<Budget>,
}

impl PieceSender {
    /// Sends a piece. Waits while too many bytes are under way.
    ///
    /// # Errors
    ///
    /// The load has ended. The error that ended it is the one to report.
    pub(crate) fn send(&self, piece: Piece) -> Result<()> {
        let held = Budget::hold(&self.budget, piece.bytes());
        self.pieces.blocking_send((piece, held)).map_err(|_| RestoreError::Interrupted.into())
    }
}

/// The pieces of one table, or of one entry of large objects.
pub(crate) struct Feed {
    pub(crate) content: Content,
    /// Its place in the order in which feeds were begun, from 0.
    pub(crate) number: usize,
    pieces: tokio::sync::Mutex<mpsc::Receiver<(Piece, BudgetGuard)>>,
}

impl Feed {
    /// The next piece, for the connection that asks first. `None` after [`Piece::End`], or if the reading failed. No
    /// piece is lost if the caller drops this future while it waits. The piece counts as under way until the caller
    /// drops the guard.
    pub(crate) async fn next(&self) -> Option<(Piece, BudgetGuard)> {
        self.pieces.lock().await.recv().await
    }
}

/// The loading connections' end of the channel.
pub(crate) struct Feeds {
    feeds: mpsc::Receiver<Feed>,
    outcomes: Vec<oneshot::Receiver<Result<()>>>,
}

/// The work of a reading thread.
pub(crate) type Read = Box<dyn FnOnce(FeedSender) -> Result<()> + Send>;

impl Feeds {
    /// Starts each reader on its own thread, not on one of the runtime's. A read from a pipe can block for ever, and
    /// must not prevent the program from ending.
    ///
    /// # Errors
    ///
    /// The system cannot create a thread.
    pub(crate) fn of(readers: Vec<Read>) -> Result<Self> {
        let (sender, feeds) = mpsc::channel(FEEDS_AHEAD);
        let begun = Arc::default();
        let mut outcomes = Vec::new();
        for read in readers {
            let feeds =
                FeedSender { feeds: sender.clone(), budget: Arc::default(), begun: Arc::clone(&begun) };
            let (tell, outcome) = oneshot::channel();
            let run = move || {
                // The receiver is gone if the load failed.
                let _ = tell.send(read(feeds));
            };
            let spawned = std::thread::Builder::new().name("pgmig-archive".to_owned()).spawn(run);
            spawned.map_err(BackupError::NoThread)?;
            outcomes.push(outcome);
        }
        Ok(Self { feeds, outcomes })
    }

    /// The next feed, in the order in which they were begun; `None` after the last feed, and after an error.
    pub(crate) async fn next(&mut self) -> Option<Feed> {
        self.feeds.recv().await
    }

    /// How the reading ended. All feeds must have been dropped first: otherwise a reader waits for ever to send its
    /// pieces.
    pub(crate) async fn finish(self) -> Result<()> {
        drop(self.feeds);
        let mut failed = None;
        for outcome in self.outcomes {
            let died = |_| RestoreError::Internal("the thread that reads the archive has died".to_owned());
            if let Err(error) = outcome.await.map_err(died)? {
                // A reader whose feed was dropped reports `Interrupted`, which only follows from another error.
                let follows = |error: &Error| matches!(error, Error::Restore(RestoreError::Interrupted));
                if failed.as_ref().is_none_or(follows) {
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// The number of bytes under way.
#[derive(Debug, Default)]
struct Budget {
    held: Mutex<usize>,
    released: Condvar,
}

/// Bytes of a piece. They count until this is dropped, by the connection that has sent the piece.
pub(crate) struct BudgetGuard {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    fn hold(budget: &Arc<Self>, bytes: usize) -> BudgetGuard {
        let mut held = budget.lock();
        while *held > 0 && held.saturating_add(bytes) > BYTES_AHEAD {
            held = budget.released.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held = held.saturating_add(bytes);
        BudgetGuard { budget: Arc::clone(budget), bytes }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BudgetGuard {
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

    fn rows(size: usize) -> Piece {
        Piece::Rows(Rows { bytes: Bytes::from(vec![0; size]), first: 1, count: 1 })
    }

    #[tokio::test]
    async fn everything_arrives_in_order_and_large_pieces_pass_alone() {
        let sizes = [10, BYTES_AHEAD * 3, 0, BYTES_AHEAD / 2, BYTES_AHEAD / 2, 1];
        let read: Read = Box::new(move |feeds| {
            let pieces = feeds.begin(Content::Table(7))?;
            sizes.into_iter().try_for_each(|size| pieces.send(rows(size)))
        });
        let mut feeds = Feeds::of(vec![read]).unwrap();
        let feed = feeds.next().await.unwrap();
        assert_eq!((feed.content, feed.number), (Content::Table(7), 0));
        let mut arrived = Vec::new();
        while let Some((piece, _held)) = feed.next().await {
            arrived.push(piece.bytes());
        }
        assert!(feeds.next().await.is_none());
        drop(feed);
        feeds.finish().await.unwrap();
        assert_eq!(arrived, sizes);
    }

    #[tokio::test]
    async fn a_reader_whose_pieces_nobody_takes_ends() {
        let (ended, has_ended) = oneshot::channel();
        let read: Read = Box::new(move |feeds| {
            let pieces = feeds.begin(Content::Table(0))?;
            let result = (0..1000).try_for_each(|_| pieces.send(rows(BYTES_AHEAD)));
            ended.send(result.is_err()).unwrap();
            result
        });
        let mut feeds = Feeds::of(vec![read]).unwrap();
        let feed = feeds.next().await.unwrap();
        assert!(feed.next().await.is_some());
        drop(feed);
        assert!(has_ended.await.unwrap());
    }

    #[tokio::test]
    async fn the_error_that_came_first_is_told() {
        let broken: Read = Box::new(|_| Err(RestoreError::Stalled.into()));
        let follower: Read = Box::new(|feeds| {
            let pieces = feeds.begin(Content::Table(0))?;
            (0..1000).try_for_each(|_| pieces.send(rows(1)))
        });
        let mut feeds = Feeds::of(vec![follower, broken]).unwrap();
        drop(feeds.next().await);
        let error = feeds.finish().await.unwrap_err();
        assert!(matches!(error, Error::Restore(RestoreError::Stalled)), "{error}");
    }
}
