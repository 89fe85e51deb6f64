//! `pgmig verify`: proves that archives can be restored, without a database.

use crate::args::{Args, OutputFormat, VerifyArgs};
use crate::failure::{Faulty, Interrupted};
use crate::output::{self, Text, bytes, count, len, plural};
use crate::progress::Display;
use anyhow::Result;
use pgmig_core::archive::ClusterDump;
use pgmig_core::backup::Source;
use pgmig_core::verify::{self, FaultPlace, Verified};
use pgmig_core::{Error, ErrorKind};
use serde::Serialize;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The most threads without `--jobs`. More threads wait for each other's memory.
const MOST_JOBS: usize = 4;

/// The document of `--output json`.
#[derive(Debug, Serialize)]
struct Report {
    archives: Vec<Archive>,
}

/// One archive.
#[derive(Debug, Serialize)]
struct Archive {
    file: String,
    sound: bool,
    #[serde(flatten)]
    contents: Option<Contents>,
    fault: Option<Fault>,
}

#[derive(Debug, Serialize)]
struct Contents {
    rows: u64,
    data_bytes: u64,
    #[serde(flatten)]
    verified: Verified,
}

#[derive(Debug, Serialize)]
struct Fault {
    code: &'static str,
    message: String,
    #[serde(flatten)]
    place: FaultPlace,
}

/// Verifies each file. Prints a line for each, or one document for all of them.
pub(crate) async fn run(args: &Args, verify: &VerifyArgs, cancel: &CancellationToken) -> Result<()> {
    let jobs = verify.jobs.unwrap_or_else(default_jobs);
    let mut archives = Vec::new();
    let mut faulty = 0;
    let files = files(verify)?;
    for file in &files {
        let result = one(args, file, jobs, cancel).await?;
        faulty += usize::from(result.is_err());
        match args.output {
            OutputFormat::Text if args.quiet && result.is_ok() => {}
            OutputFormat::Text => output::print(&line(file, &result))?,
            OutputFormat::Json => archives.push(Archive::of(file, result)),
        }
    }
    if args.output == OutputFormat::Json {
        output::print_document("verify", &Report { archives })?;
    }
    if faulty == 0 { Ok(()) } else { Err(Faulty { faulty, of: files.len() }.into()) }
}

/// The archives to read: of a directory of pg_dumpall each of its own.
fn files(verify: &VerifyArgs) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in &verify.files {
        if ClusterDump::is_at(file) {
            let cluster = ClusterDump::open(file).map_err(Error::from)?;
            files.extend(cluster.globals_path());
            files.extend(cluster.databases().iter().map(|database| database.path.clone()));
        } else {
            files.push(file.clone());
        }
    }
    Ok(files)
}

async fn one(
    args: &Args,
    file: &Path,
    jobs: NonZeroUsize,
    cancel: &CancellationToken,
) -> Result<Result<Verified, Error>> {
    let source = if file == Path::new("-") { Source::Stdin } else { Source::File(file.to_owned()) };
    let display = Arc::new(Display::new(args)?);
    display.doing("verifying");
    let result = tokio::select! {
        result = verify::verify(source, jobs, Arc::clone(&display) as _) => result,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    display.finish();
    match result {
        // An error of this program or this machine, not of the archive.
        Err(error) if !matches!(error, Error::Verify(_)) && error.kind() != ErrorKind::Failed => {
            Err(error.into())
        }
        result => Ok(result),
    }
}

fn default_jobs() -> NonZeroUsize {
    let available = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    available.min(NonZeroUsize::new(MOST_JOBS).unwrap_or(NonZeroUsize::MIN))
}

/// The name of a file.
fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn line(file: &Path, result: &Result<Verified, Error>) -> Text {
    let mut line = format!("{}: ", name(file));
    match result {
        Ok(sound) => {
            let (rows, size) = (plural(sound.rows(), "row"), bytes(sound.data_bytes()));
            let _ = write!(line, "sound: {}, {rows}, {size}", plural(len(&sound.tables), "table"));
            if sound.large_objects.count > 0 {
                let (objects, size) = (sound.large_objects.count, bytes(sound.large_objects.data_bytes));
                let _ = write!(line, "; {}, {size}", plural(objects, "large object"));
            }
            if sound.has_unknown_tail {
                line += "; what follows its end is no part of it";
            }
        }
        Err(error) => {
            let _ = write!(line, "cannot be restored: {}", message(error));
        }
    }
    Text::of(line)
}

/// The error and its causes, on one line.
fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        // A transparent variant has the same text as its source.
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}

impl Archive {
    fn of(file: &Path, result: Result<Verified, Error>) -> Self {
        let file = name(file);
        match result {
            Ok(verified) => {
                let (rows, data_bytes) = (verified.rows(), verified.data_bytes());
                let contents = Some(Contents { rows, data_bytes, verified });
                Self { file, sound: true, contents, fault: None }
            }
            Err(error) => {
                let place = match &error {
                    Error::Verify(fault) => fault.place(),
                    _ => FaultPlace::default(),
                };
                let fault = Some(Fault { code: error.code().name, message: message(&error), place });
                Self { file, sound: false, contents: None, fault }
            }
        }
    }
}

impl Faulty {
    /// The line about the archive on standard error.
    pub(crate) fn text(&self) -> String {
        let (faulty, of) = (u64::try_from(self.faulty).unwrap_or(u64::MAX), u64::try_from(self.of));
        match of {
            Ok(1) => "the archive cannot be restored".to_owned(),
            Ok(of) => format!("{} of {} cannot be restored", count(faulty), plural(of, "archive")),
            Err(_) => "archives cannot be restored".to_owned(),
        }
    }
}
