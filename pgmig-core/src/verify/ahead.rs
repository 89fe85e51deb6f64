//! Decompresses a table's data on a separate thread while earlier data is checked.
//!
//! If one table is most of the remaining archive, this is the only work that a second thread can share.

use super::threads::Threads;
use crate::archive::{ArchiveError, DataReader};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// How many bytes are decompressed at a time: few enough to be in the processor's cache when they are checked.
const PIECE_BYTES: usize = 128 * 1024;

/// How many bytes one thread hands to the other at a time. The checking thread is faster and waits for each piece,
/// and waking it costs as much as decompressing 50 kB.
const AHEAD_BYTES: usize = 1024 * 1024;

/// How many of these pieces may wait to be checked.
const AHEAD_PIECES: usize = 2;

/// Up to this size one thread checks a table. Most tables are smaller, and for them a second thread costs more than
/// it saves.
const ALONE_BYTES: usize = 1024 * 1024;

/// Room for the rest of the previous piece: more than the longest character or escape.
const LEFT_BYTES: usize = 16;

/// Passes all of `data` to `each`, in pieces. `each` returns how many bytes it has processed. It gets the rest, a few
/// bytes, again before the next piece. Returns the rest at the end.
pub(super) fn each_piece<E: From<ArchiveError>>(
    mut data: DataReader<'_>,
    threads: &Threads,
    each: &mut dyn FnMut(&[u8]) -> Result<usize, E>,
) -> Result<Vec<u8>, E> {
    let mut left = Vec::new();
    let mut piece = Piece::new(PIECE_BYTES);
    let mut read = 0;
    // Two tables on two threads are read faster than one table by two threads, which must hand over every piece.
    let _helper = loop {
        if read >= ALONE_BYTES
            && let Some(helper) = threads.begin_another()
        {
            break helper;
        }
        let filled = piece.fill(&mut data)?;
        if filled == 0 {
            return Ok(left);
        }
        read += filled;
        piece.give(&mut left, each)?;
    };
    thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD_PIECES);
        let (give_back, take_back) = channel();
        let unpack = move || unpack(data, &send, &take_back);
        match thread::Builder::new().name("pgmig-unpack".to_owned()).spawn_scoped(scope, unpack) {
            Ok(_) => check(left, &receive, &give_back, each),
            Err(source) => {
                let (input, offset) = ("the archive on a thread of its own".to_owned(), 0);
                Err(ArchiveError::Read { input, offset, source }.into())
            }
        }
    })
}

/// A buffer for a piece of the data, with room before it for the rest of the previous piece.
struct Piece {
    buffer: Vec<u8>,
    /// The number of bytes in the piece.
    length: usize,
}

impl Piece {
    fn new(bytes: usize) -> Self {
        Self { buffer: vec![0; LEFT_BYTES + bytes], length: 0 }
    }

    /// Reads the piece, and returns its number of bytes; 0 at the end.
    fn fill(&mut self, data: &mut DataReader<'_>) -> Result<usize, ArchiveError> {
        self.length = data.fill(self.buffer.get_mut(LEFT_BYTES..).unwrap_or_default())?;
        Ok(self.length)
    }

    /// Passes the piece to `each`, after the rest that was `left` of the previous one. Puts the new rest into `left`.
    fn give<E>(
        &mut self,
        left: &mut Vec<u8>,
        each: &mut dyn FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let start =
            LEFT_BYTES.checked_sub(left.len()).expect("no more than an escape or a character is left");
        if let Some(room) = self.buffer.get_mut(start..LEFT_BYTES) {
            room.copy_from_slice(left);
        }
        let piece = self.buffer.get(start..LEFT_BYTES + self.length).unwrap_or_default();
        let done = each(piece)?;
        left.clear();
        left.extend_from_slice(piece.get(done..).unwrap_or_default());
        Ok(())
    }
}

/// Sends pieces until an empty one marks the end, until an error, or until the receiver is gone.
fn unpack(
    mut data: DataReader<'_>,
    send: &SyncSender<Result<Piece, ArchiveError>>,
    take_back: &Receiver<Piece>,
) {
    loop {
        let mut piece = take_back.try_recv().unwrap_or_else(|_| Piece::new(AHEAD_BYTES));
        let filled = piece.fill(&mut data);
        let is_last = !matches!(filled, Ok(1..));
        if send.send(filled.map(|_| piece)).is_err() || is_last {
            return;
        }
    }
}

fn check<E: From<ArchiveError>>(
    mut left: Vec<u8>,
    receive: &Receiver<Result<Piece, ArchiveError>>,
    give_back: &Sender<Piece>,
    each: &mut dyn FnMut(&[u8]) -> Result<usize, E>,
) -> Result<Vec<u8>, E> {
    // The sender ends only after it has sent an empty piece, or an error.
    while let Ok(unpacked) = receive.recv() {
        let mut piece = unpacked?;
        if piece.length == 0 {
            return Ok(left);
        }
        piece.give(&mut left, each)?;
        // After the end, the other thread no longer receives it.
        let _ = give_back.send(piece);
    }
    Err(ArchiveError::AfterError.into())
}
