//! Which block is read when, and on which thread.

use super::block::{BlockChecker, Checked};
use super::expectation::Expectations;
use super::fault::Fault;
use super::threads::Threads;
use crate::archive::{Archive, DumpId};
use crate::progress::Progress;
use std::cmp::Reverse;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Reads all blocks of an archive.
pub(super) struct Schedule<'a> {
    pub(super) expectations: &'a Expectations,
    pub(super) jobs: NonZeroUsize,
    pub(super) threads: &'a Threads,
    pub(super) progress: &'a dyn Progress,
    pub(super) stop: &'a CancellationToken,
    pub(super) wide: &'a Mutex<()>,
}

/// What several threads find out together. Blocks go by their index in the file's order.
struct Findings {
    /// The blocks, in the order in which they are read.
    queue: Mutex<std::vec::IntoIter<(usize, DumpId)>>,
    /// The first block with a fault, as far as is known: those behind it need not be read.
    faulty: AtomicUsize,
    /// What was found in each block.
    blocks: Mutex<Vec<Option<Result<Checked, Fault>>>>,
}

impl Schedule<'_> {
    /// One after the other, as they come.
    pub(super) fn in_order(&self, archive: &mut Archive) -> Result<Vec<(DumpId, Checked)>, Fault> {
        let (read, total) = (archive.bytes_read(), archive.size());
        let each_piece = || self.look(read.get(), total);
        let checker = self.checker(&each_piece);
        let labels: std::collections::HashMap<_, _> = archive
            .entries()
            .iter()
            .filter(|entry| entry.has_data())
            .map(|entry| (entry.dump_id, (entry.label(), entry.relation())))
            .collect();
        let mut blocks = Vec::new();
        while let Some((id, block)) = archive.next_block()? {
            let Some((label, relation)) = labels.get(&id) else { continue };
            self.progress.table(relation);
            blocks.push((id, checker.check(label, block, None)?));
        }
        Ok(blocks)
    }

    /// On several threads, each of which takes the next block that nobody has taken, the largest first.
    pub(super) fn at_once(&self, archive: &Archive) -> Result<Vec<(DumpId, Checked)>, Fault> {
        let order = archive.block_order();
        let mut queue: Vec<_> = order.iter().copied().enumerate().collect();
        // A sort that keeps the file's order among equals.
        queue.sort_by_key(|(_, id)| Reverse(archive.stored_bytes(*id)));
        let findings = Findings {
            queue: Mutex::new(queue.into_iter()),
            faulty: AtomicUsize::new(usize::MAX),
            blocks: Mutex::new(order.iter().map(|_| None).collect()),
        };
        std::thread::scope(|scope| {
            for _ in 1..self.jobs.get().min(order.len()) {
                // Where no thread can be had, the others do its work.
                let _ = std::thread::Builder::new()
                    .name("pgmig-verify".to_owned())
                    .spawn_scoped(scope, || self.work(archive, &findings));
            }
            self.work(archive, &findings);
        });
        let blocks = findings.blocks.into_inner().unwrap_or_else(PoisonError::into_inner);
        // In the file's order, so that the first fault is the one that is told.
        order
            .into_iter()
            .zip(blocks)
            .map(|(id, found)| Ok((id, found.unwrap_or(Err(Fault::Stopped))?)))
            .collect()
    }

    fn work(&self, archive: &Archive, findings: &Findings) {
        loop {
            let next = findings.queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, id)) = next else { return };
            let in_vain = || findings.faulty.load(Ordering::Relaxed) < index;
            if in_vain() {
                continue;
            }
            let found = self.check(archive, id, &in_vain);
            if found.is_err() {
                findings.faulty.fetch_min(index, Ordering::Relaxed);
            }
            let mut blocks = findings.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = blocks.get_mut(index) {
                *slot = Some(found);
            }
        }
    }

    fn check(
        &self,
        archive: &Archive,
        id: DumpId,
        in_vain: &(dyn Fn() -> bool + Sync),
    ) -> Result<Checked, Fault> {
        let Some(entry) = archive.entry(id) else { return Ok(Checked::default()) };
        self.progress.table(&entry.relation());
        let (read, total) = (archive.bytes_read(), archive.size());
        let each_piece = || {
            if in_vain() {
                return Err(Fault::Stopped);
            }
            self.look(read.get(), total)
        };
        let checker = self.checker(&each_piece);
        checker.check(&entry.label(), archive.block(id)?, Some(archive))
    }

    fn checker<'c>(&'c self, each_piece: &'c (dyn Fn() -> Result<(), Fault> + Sync)) -> BlockChecker<'c> {
        let (expectations, threads, wide) = (self.expectations, self.threads, self.wide);
        BlockChecker { expectations, each_piece, threads, wide }
    }

    fn look(&self, read: u64, total: Option<u64>) -> Result<(), Fault> {
        self.progress.archive_bytes(read, total);
        if self.stop.is_cancelled() { Err(Fault::Stopped) } else { Ok(()) }
    }
}
