//! Reads a whole archive and proves, without a database, that it can be restored.
//!
//! - Every block can be read and decompressed to its end, and the offsets lead to the right blocks.
//! - Every row of a table has a field for each column of its COPY statement, and is valid in the archive's encoding.
//! - INSERT statements are complete and for their table.
//! - Every large object in the table of contents has data.
//!
//! Only the server can decide whether it accepts a value: a malformed number, say, or a row that violates a
//! constraint.

mod ahead;
mod block;
mod encoding;
mod expectation;
mod fast_scan;
mod fault;
mod inserts;
mod report;
mod rows;
mod schedule;
mod threads;

pub use fault::{Fault, FaultPlace, InsertFault, RowFault};
pub use report::{LargeObjects, Verified, VerifiedTable};

use crate::archive::Archive;
use crate::backup::Source;
use crate::error::Result;
use crate::progress::Progress;
use crate::thread::on_thread;
use expectation::Expectations;
use schedule::Schedule;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use threads::Threads;
use tokio_util::sync::CancellationToken;

/// Opens an archive and verifies it, on separate threads. When the future is dropped, the reading soon stops.
///
/// # Errors
///
/// [`Fault`] with the first fault, in the order of the file.
///
/// ```no_run
/// # async fn check() -> pgmig_core::Result<()> {
/// use pgmig_core::{backup::Source, progress::NoProgress, verify};
/// let jobs = std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN);
/// let sound = verify::verify(Source::File("store.dump".into()), jobs, std::sync::Arc::new(NoProgress)).await?;
/// println!("{} rows in {} tables", sound.rows(), sound.tables.len());
/// # Ok(())
/// # }
/// ```
pub async fn verify(source: Source, jobs: NonZeroUsize, progress: Arc<dyn Progress>) -> Result<Verified> {
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    on_thread("pgmig-verify", move || {
        let mut archive = source.open().map_err(Fault::from)?;
        Ok(verify_archive(&mut archive, jobs, &*progress, &stop)?)
    })
    .await
}

/// Verifies an opened archive of which no data has been read. Blocks of a file are read on up to `jobs` threads,
/// blocks of a stream on the caller's thread.
///
/// # Errors
///
/// Like [`verify`]; [`Fault::Stopped`] soon after `stop` is cancelled.
pub fn verify_archive(
    archive: &mut Archive,
    jobs: NonZeroUsize,
    progress: &dyn Progress,
    stop: &CancellationToken,
) -> Result<Verified, Fault> {
    let mut expectations = Expectations::of(archive)?;
    let (threads, wide) = (Threads::new(jobs), Mutex::new(()));
    let schedule = Schedule { jobs, threads: &threads, progress, stop, wide: &wide };
    // If a file was compressed as a whole, its blocks, too, must be read one after the other.
    let is_in_order = archive.is_stream() || archive.is_sequential();
    let blocks = match is_in_order {
        true => schedule.in_order(archive, &mut expectations)?,
        false => schedule.at_once(archive, &expectations)?,
    };
    report::Verified::of(archive, &expectations, blocks)
}
