//! Unpacks a table's data on a thread of its own while what came before is checked: where one table is most of what is
//! left of an archive, that is all there is to share.

use super::threads::Threads;
use crate::archive::{ArchiveError, DataReader};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

/// How much is unpacked at a time: little enough to be in the processor's cache when it is checked.
const PIECE_BYTES: usize = 64 * 1024;

/// How much is handed from thread to thread at a time, so that handing over costs nothing beside the rest.
const AHEAD_BYTES: usize = 256 * 1024;

/// How many of these wait to be checked.
const AHEAD_PIECES: usize = 2;

/// A table is checked on one thread up to here: most tables are smaller, and a thread costs more than they.
const ALONE_BYTES: usize = 1024 * 1024;

/// Gives all of `data` to `each`, in pieces. `each` says how much of a piece it has done with; the rest, a few bytes,
/// it gets again before the next piece. Returns these bytes at the end.
pub(super) fn each_piece<E: From<ArchiveError>>(
    mut data: DataReader<'_>,
    threads: &Threads,
    each: &mut dyn FnMut(&[u8]) -> Result<usize, E>,
) -> Result<Vec<u8>, E> {
    let mut left = Vec::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut read = 0;
    // Two tables at once are read faster than one by two threads, which have to hand everything over.
    let _helper = loop {
        if read >= ALONE_BYTES
            && let Some(helper) = threads.begin_another()
        {
            break helper;
        }
        let kept = left.len();
        if let Some(start) = buffer.get_mut(..kept) {
            start.copy_from_slice(&left);
        }
        let filled = data.fill(buffer.get_mut(kept..).unwrap_or_default())?;
        if filled == 0 {
            return Ok(left);
        }
        read += filled;
        let piece = buffer.get(..kept + filled).unwrap_or_default();
        let done = each(piece)?;
        left = piece.get(done..).unwrap_or_default().to_vec();
    };
    thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD_PIECES);
        let (give_back, take_back) = channel();
        let unpack = move || unpack(data, &send, &take_back);
        match thread::Builder::new().name("pgmig-unpack".to_owned()).spawn_scoped(scope, unpack) {
            Ok(_) => check(left, &receive, &mut |buffer| drop(give_back.send(buffer)), each),
            Err(source) => {
                let (input, offset) = ("the archive on a thread of its own".to_owned(), 0);
                Err(ArchiveError::Read { input, offset, source }.into())
            }
        }
    })
}

/// A piece that was unpacked; its first bytes, which were filled. Empty at the end.
type Unpacked = Result<(Vec<u8>, usize), ArchiveError>;

/// Sends pieces until the end, an error, or until nobody takes them any more.
fn unpack(mut data: DataReader<'_>, send: &SyncSender<Unpacked>, take_back: &Receiver<Vec<u8>>) {
    loop {
        let mut buffer = take_back.try_recv().unwrap_or_else(|_| vec![0; AHEAD_BYTES]);
        let filled = data.fill(&mut buffer);
        let is_last = !matches!(filled, Ok(1..));
        if send.send(filled.map(|filled| (buffer, filled))).is_err() || is_last {
            return;
        }
    }
}

fn check<E: From<ArchiveError>>(
    mut left: Vec<u8>,
    receive: &Receiver<Unpacked>,
    give_back: &mut dyn FnMut(Vec<u8>),
    each: &mut dyn FnMut(&[u8]) -> Result<usize, E>,
) -> Result<Vec<u8>, E> {
    // The other side only ends after it has sent an empty piece, or an error.
    while let Ok(unpacked) = receive.recv() {
        let (mut buffer, filled) = unpacked?;
        if filled == 0 {
            return Ok(left);
        }
        if left.is_empty() {
            let piece = buffer.get(..filled).unwrap_or_default();
            left = piece.get(each(piece)?..).unwrap_or_default().to_vec();
        } else {
            left.extend_from_slice(buffer.get(..filled).unwrap_or_default());
            let done = each(&left)?;
            std::mem::swap(&mut left, &mut buffer);
            left = buffer.get(done..).unwrap_or_default().to_vec();
            buffer.clear();
        }
        buffer.resize(AHEAD_BYTES, 0);
        give_back(buffer);
    }
    Err(ArchiveError::AfterError.into())
}
