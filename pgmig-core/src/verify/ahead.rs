//! Unpacks a table's data on a thread of its own while what came before is checked: where one table is most of what is
//! left of an archive, that is all there is to share.

use super::threads::Threads;
use crate::archive::{ArchiveError, DataReader};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// How much is unpacked at a time: little enough to be in the processor's cache when it is checked.
const PIECE_BYTES: usize = 128 * 1024;

/// How much is handed from thread to thread at a time. The thread that checks is the faster one and waits for each, and
/// waking it costs as much as to unpack 50 kB.
const AHEAD_BYTES: usize = 1024 * 1024;

/// How many of these wait to be checked.
const AHEAD_PIECES: usize = 2;

/// A table is checked on one thread up to here: most tables are smaller, and a thread costs more than they.
const ALONE_BYTES: usize = 1024 * 1024;

/// Room for what is left of one piece before the next one: more than the longest character or escape.
const LEFT_BYTES: usize = 16;

/// Gives all of `data` to `each`, in pieces. `each` says how much of a piece it has done with; the rest, a few bytes,
/// it gets again before the next piece. Returns these bytes at the end.
pub(super) fn each_piece<E: From<ArchiveError>>(
    mut data: DataReader<'_>,
    threads: &Threads,
    each: &mut dyn FnMut(&[u8]) -> Result<usize, E>,
) -> Result<Vec<u8>, E> {
    let mut left = Vec::new();
    let mut piece = Piece::new(PIECE_BYTES);
    let mut read = 0;
    // Two tables at once are read faster than one by two threads, which have to hand everything over.
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

/// A buffer for a piece of the data, with room before it for what is left of the piece before.
struct Piece {
    buffer: Vec<u8>,
    /// Bytes of the piece.
    length: usize,
}

impl Piece {
    fn new(bytes: usize) -> Self {
        Self { buffer: vec![0; LEFT_BYTES + bytes], length: 0 }
    }

    /// Reads the piece, and says how many bytes it has; none at the end.
    fn fill(&mut self, data: &mut DataReader<'_>) -> Result<usize, ArchiveError> {
        self.length = data.fill(self.buffer.get_mut(LEFT_BYTES..).unwrap_or_default())?;
        Ok(self.length)
    }

    /// Gives the piece to `each`, after what was `left` of the one before, and keeps what `each` leaves.
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

/// Sends pieces until the end, which is an empty one, until an error, or until nobody takes them any more.
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
    // The other side only ends after it has sent an empty piece, or an error.
    while let Ok(unpacked) = receive.recv() {
        let mut piece = unpacked?;
        if piece.length == 0 {
            return Ok(left);
        }
        piece.give(&mut left, each)?;
        // Nobody takes it after the end.
        let _ = give_back.send(piece);
    }
    Err(ArchiveError::AfterError.into())
}
