//! Decides when each block is read, and on which thread.

use super::block::{BlockChecker, Checked};
use super::expectation::Expectations;
use super::fault::Fault;
use super::threads::Threads;
use crate::archive::{Archive, ArchiveError, DumpId};
use crate::progress::{Event, Progress};
use std::cmp::Reverse;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Reads all blocks of an archive.
pub(super) struct Schedule<'a> {
    pub(super) jobs: NonZeroUsize,
    pub(super) threads: &'a Threads,
    pub(super) progress: &'a dyn Progress,
    pub(super) stop: &'a CancellationToken,
    pub(super) wide: &'a Mutex<()>,
}

/// The common results of several threads. Blocks have their index in the file's order.
struct Findings {
    /// The blocks, in reading order.
    queue: Mutex<std::vec::IntoIter<(usize, DumpId)>>,
    /// The first block known to have a fault: later blocks need not be read.
    faulty: AtomicUsize,
    /// The result of each block.
    blocks: Mutex<Vec<Option<Result<Checked, Fault>>>>,
}

impl Schedule<'_> {
    /// Reads blocks one after the other, as they arrive. Entries of a script in a stream arrive with their data.
    pub(super) fn in_order(
        &self,
        archive: &mut Archive,
        expectations: &mut Expectations,
    ) -> Result<Vec<(DumpId, Checked)>, Fault> {
        let (read, total) = (archive.bytes_read(), archive.size());
        let each_piece = || self.look(read.get(), total);
        let mut blocks = Vec::new();
        loop {
            if !archive.has_all_entries() {
                archive.read_entries()?;
                expectations.read_on(archive)?;
            }
            let Some((id, block)) = archive.next_block()? else { return Ok(blocks) };
            let expected = expectations.block(id).ok_or(ArchiveError::NoSuchEntry(id))?;
            self.progress.event(&Event::TableBegan { table: &expected.relation });
            let checker = self.checker(expectations, &each_piece);
            blocks.push((id, checker.check(&expected.label, block, None)?));
        }
    }

    /// Reads blocks on several threads. Each thread takes the next block, the largest first.
    pub(super) fn at_once(
        &self,
        archive: &Archive,
        expectations: &Expectations,
    ) -> Result<Vec<(DumpId, Checked)>, Fault> {
        let order = archive.block_order();
        let mut queue: Vec<_> = order.iter().copied().enumerate().collect();
        // This sort keeps the file's order among equals.
        queue.sort_by_key(|(_, id)| Reverse(archive.stored_bytes(*id)));
        let findings = Findings {
            queue: Mutex::new(queue.into_iter()),
            faulty: AtomicUsize::new(usize::MAX),
            blocks: Mutex::new(order.iter().map(|_| None).collect()),
        };
        std::thread::scope(|scope| {
            for _ in 1..self.jobs.get().min(order.len()) {
                // If the system cannot create a thread, the others do its work.
                let _ = std::thread::Builder::new()
                    .name("pgmig-verify".to_owned())
                    .spawn_scoped(scope, || self.work(archive, expectations, &findings));
            }
            self.work(archive, expectations, &findings);
        });
        let blocks = findings.blocks.into_inner().unwrap_or_else(PoisonError::into_inner);
        // In the file's order, so that the first fault is the one that is reported.
        order
            .into_iter()
            .zip(blocks)
            .map(|(id, found)| Ok((id, found.unwrap_or(Err(Fault::Stopped))?)))
            .collect()
    }

    fn work(&self, archive: &Archive, expectations: &Expectations, findings: &Findings) {
        loop {
            let next = findings.queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, id)) = next else { return };
            let in_vain = || findings.faulty.load(Ordering::Relaxed) < index;
            if in_vain() {
                continue;
            }
            let found = self.check(archive, expectations, id, &in_vain);
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
        expectations: &Expectations,
        id: DumpId,
        in_vain: &(dyn Fn() -> bool + Sync),
    ) -> Result<Checked, Fault> {
        let Some(entry) = archive.entry(id) else { return Ok(Checked::default()) };
        self.progress.event(&Event::TableBegan { table: &entry.relation() });
        let (read, total) = (archive.bytes_read(), archive.size());
        let each_piece = || {
            if in_vain() {
                return Err(Fault::Stopped);
            }
            self.look(read.get(), total)
        };
        let checker = self.checker(expectations, &each_piece);
        checker.check(&entry.label(), archive.block(id)?, Some(archive))
    }

    fn checker<'c>(
        &'c self,
        expectations: &'c Expectations,
        each_piece: &'c (dyn Fn() -> Result<(), Fault> + Sync),
    ) -> BlockChecker<'c> {
        BlockChecker { expectations, each_piece, threads: self.threads, wide: self.wide }
    }

    fn look(&self, read: u64, total: Option<u64>) -> Result<(), Fault> {
        self.progress.event(&Event::ArchiveRead { bytes: read, total, left: None });
        if self.stop.is_cancelled() { Err(Fault::Stopped) } else { Ok(()) }
    }
}
