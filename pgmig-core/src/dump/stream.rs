//! Runs pg_dump, verifies its output while it is written, and names the file when all is well.

use super::destination::{Destination, Output};
use super::error::DumpError;
use super::program::PgDump;
use super::{password, secret};
use crate::archive::Archive;
use crate::backup::BackupError;
use crate::error::Result;
use crate::profile::SchemaVersion;
use crate::progress::{Notice, NoticeCode, Progress};
use crate::server::LibpqSettings;
use crate::verify::{Fault, Verified, verify_archive};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// How often pgmig looks whether pg_dump has ended, or must be ended.
const POLL: Duration = Duration::from_millis(20);
/// How many of pg_dump's last messages an error shows.
const MESSAGES: usize = 8;
/// The longest message that is shown, in bytes.
const MESSAGE_BYTES: usize = 2000;
/// The beginning of a warning.
const WARNING: &str = "pg_dump: warning: ";

/// A backup to make.
pub(super) struct Job {
    pub(super) program: PgDump,
    pub(super) settings: LibpqSettings,
    pub(super) lock_wait: Duration,
    pub(super) database: String,
    /// When the backup begins.
    pub(super) at: SystemTime,
    pub(super) progress: Arc<dyn Progress>,
    /// Ends pg_dump, and with it the backup.
    pub(super) stop: CancellationToken,
}

/// A backup that was made.
pub(super) struct Made {
    pub(super) file: Option<PathBuf>,
    pub(super) bytes: u64,
    pub(super) verified: Verified,
    pub(super) schema_version: Option<SchemaVersion>,
    pub(super) notices: Vec<Notice>,
}

impl Job {
    /// Makes the backup. Blocks.
    pub(super) fn run(self, destination: Destination) -> Result<Made> {
        let near = destination.directory().map(Path::to_owned);
        let output = destination.open(self.at)?;
        let (child, stdout, stderr) = self.start(near.as_deref())?;
        let child = Arc::new(Mutex::new(child));
        let _killer = Killer::watch(Arc::clone(&child), self.stop.clone());
        let messages = thread::spawn(move || messages(stderr));
        let written = Arc::new(Mutex::new(Written { output: Some(output), bytes: 0, refused: None }));
        let verified = self.verify(stdout, &written);
        let status = wait(&child).map_err(DumpError::file("run", &self.program.path))?;
        let said = messages.join().unwrap_or_default();
        let Written { output, bytes, refused } = std::mem::take(&mut *lock(&written));
        let output = output.ok_or(BackupError::ThreadDied)?;
        if self.stop.is_cancelled() {
            return Err(DumpError::Interrupted.into());
        }
        if let Some(refused) = refused {
            return Err(output.error(refused).into());
        }
        // If pg_dump fails, its output is too short. The reason is on its standard error.
        if !status.success() {
            return Err(DumpError::Failed { status: status.to_string(), said }.into());
        }
        let verified = verified?;
        let looked = output.temporary().map(|file| secret::look(file, &self.database));
        let (schema_version, reminder) = looked.unwrap_or_default();
        let warnings = said.iter().filter(|line| line.starts_with(WARNING));
        let notices =
            warnings.map(|line| Notice::note(NoticeCode::PgDump, line.clone())).chain(reminder).collect();
        Ok(Made { file: output.keep()?, bytes, verified, schema_version, notices })
    }

    /// Starts pg_dump. `near` is a directory in which files can be made.
    fn start(&self, near: Option<&Path>) -> Result<(Child, ChildStdout, ChildStderr), DumpError> {
        let directories: Vec<&Path> = near.into_iter().chain([Path::new("/tmp")]).collect();
        let password = self.settings.password().map(|password| password::file(password, &directories));
        let password = password.transpose().map_err(DumpError::Password)?;
        let mut command = Command::new(&self.program.path);
        self.settings.apply_to(&mut command);
        if password.is_some() {
            command.env("PGPASSFILE", password::PATH);
        }
        command
            .args(["--format=custom", "--no-password"])
            .arg(format!("--lock-wait-timeout={}", self.lock_wait.as_millis().max(1)))
            .arg(format!("--dbname={}", self.settings.connection_string()))
            .stdin(password.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |error| DumpError::file("run", &self.program.path)(error);
        let mut child = command.spawn().map_err(failed)?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        Ok((child, stdout, stderr))
    }

    /// Verifies the archive while it is written.
    fn verify(&self, stdout: ChildStdout, written: &Arc<Mutex<Written>>) -> Result<Verified, DumpError> {
        let stdout = Arc::new(Mutex::new(stdout));
        let tee = || Tee { input: Arc::clone(&stdout), written: Arc::clone(written) };
        let verify = || {
            let mut archive = Archive::from_stream(tee()).map_err(Fault::from)?;
            verify_archive(&mut archive, NonZeroUsize::MIN, &*self.progress, &self.stop)
        };
        let verified = verify().map_err(DumpError::Unsound);
        // An archive with a fault is read to its end, too, for pg_dump's exit status.
        let rest = io::copy(&mut tee(), &mut io::sink());
        let rest = rest.map_err(DumpError::file("read the output of", &self.program.path));
        match (verified?, rest?) {
            (verified, 0) if !verified.has_unknown_tail => Ok(verified),
            _ => Err(DumpError::Trailing),
        }
    }
}

/// What has been written so far.
#[derive(Default)]
struct Written {
    output: Option<Output>,
    bytes: u64,
    /// Why no more can be written.
    refused: Option<io::Error>,
}

/// A reader of pg_dump's output that writes all that it reads.
struct Tee {
    input: Arc<Mutex<ChildStdout>>,
    written: Arc<Mutex<Written>>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = lock(&self.input).read(buffer)?;
        let mut written = lock(&self.written);
        if written.refused.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        if let Some(Err(error)) = written.output.as_mut().map(|output| output.write_all(bytes)) {
            written.refused = Some(error);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        written.bytes += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

/// Ends pg_dump when the backup is cancelled.
struct Killer {
    done: CancellationToken,
}

impl Killer {
    fn watch(child: Arc<Mutex<Child>>, stop: CancellationToken) -> Self {
        let done = CancellationToken::new();
        let is_done = done.clone();
        thread::spawn(move || {
            while !is_done.is_cancelled() {
                if stop.is_cancelled() {
                    let _ = lock(&child).kill();
                    return;
                }
                thread::sleep(POLL);
            }
        });
        Self { done }
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.done.cancel();
    }
}

/// Waits for the end of the process, without keeping others from ending it.
fn wait(child: &Mutex<Child>) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = lock(child).try_wait()? {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
}

/// The last messages of pg_dump.
fn messages(stderr: ChildStderr) -> Vec<String> {
    let mut last = VecDeque::new();
    let mut lines = BufReader::new(stderr);
    while let Some(line) = message(&mut lines) {
        last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        if last.len() > MESSAGES {
            last.pop_front();
        }
    }
    last.into()
}

/// The beginning of the next line, which can be as long as the server wants; `None` at the end.
fn message(lines: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let some = lines.fill_buf().ok()?;
        if some.is_empty() {
            return (!line.is_empty()).then_some(line);
        }
        let end = some.iter().position(|byte| *byte == b'\n');
        let part = some.get(..end.unwrap_or(some.len())).unwrap_or_default();
        let room = MESSAGE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
        let read = end.map_or(some.len(), |end| end + 1);
        lines.consume(read);
        if end.is_some() {
            return Some(line);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
