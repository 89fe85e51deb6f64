//! `--report DIR`: what restores did, or what a backup holds, as `report.json` and as a page for people, `report.html`, for the
//! change ticket.

mod html;
mod inspected;
mod page;
mod timeline;

use crate::args::Args;
use crate::commands::restore::Restored;
use crate::failure::Document;
use crate::output;
use anyhow::{Context as _, Result};
pub(crate) use inspected::InspectionReport;
use pgmig_core::restore::{PlannedArchive, PlannedTarget, RestorePlan};
use serde::Serialize;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
pub(crate) use timeline::{Recorder, Timeline};

/// The names of the files.
const JSON: &str = "report.json";
const HTML: &str = "report.html";

/// The report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) pgmig: Version,
    /// Seconds since 1970, by this machine's clock.
    pub(crate) began_unix_seconds: u64,
    pub(crate) took_seconds: f64,
    /// Why it failed; `None` if it did not, or if it has not begun.
    pub(crate) error: Option<Document>,
    /// `None` if it failed before the backup and the target had been looked at.
    pub(crate) archive: Option<PlannedArchive>,
    /// `None` for a directory, for standard input, or if the file cannot be read again.
    pub(crate) archive_sha256: Option<String>,
    pub(crate) target: Option<PlannedTarget>,
    pub(crate) mapping_file: Option<String>,
    /// The commands that go back.
    pub(crate) go_back: Vec<String>,
    pub(crate) restore: Option<Restored>,
    pub(crate) timeline: Timeline,
}

/// The program.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    pub(crate) version: &'static str,
    /// The commit that it was built from.
    pub(crate) commit: Option<&'static str>,
}

impl Version {
    /// Of this build: `0.1.0 (1234abc 2026-11-30)`.
    fn of_this_build() -> Self {
        let version = env!("PGMIG_VERSION");
        let commit = version.split_once('(').and_then(|(_, commit)| commit.strip_suffix(')'));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: commit.filter(|commit| *commit != "commit unknown"),
        }
    }
}

/// The report of several restores in one run.
#[derive(Debug, Serialize)]
pub(crate) struct SetOfReports {
    pgmig: Version,
    /// Seconds since 1970, by this machine's clock.
    began_unix_seconds: u64,
    took_seconds: f64,
    /// Why the run failed; `None` if it did not.
    error: Option<Document>,
    /// In the order of the set. Restores that were not looked at are missing.
    restores: Vec<Report>,
}

impl SetOfReports {
    /// The report of a run that began then and ends now.
    pub(crate) fn of(began: SystemTime, error: Option<&anyhow::Error>, restores: Vec<Report>) -> Self {
        Self {
            pgmig: Version::of_this_build(),
            began_unix_seconds: unix_seconds(began),
            took_seconds: began.elapsed().unwrap_or_default().as_secs_f64(),
            error: error.map(Document::of),
            restores,
        }
    }

    /// Writes both files.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        folder.write("report_set", self, &page::page_of_set(self))
    }
}

/// The directory of a report.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the directory, so that a place that cannot be written to is an error before the work.
    ///
    /// # Errors
    ///
    /// The directory cannot be made or written to.
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let failed = || format!("cannot write the report to {}", directory.display());
        std::fs::create_dir_all(directory).with_context(failed)?;
        for name in [JSON, HTML] {
            File::options().append(true).create(true).open(directory.join(name)).with_context(failed)?;
        }
        Ok(Self(directory.to_owned()))
    }

    /// The page.
    pub(crate) fn page(&self) -> PathBuf {
        self.0.join(HTML)
    }

    fn write(&self, kind: &str, report: &impl Serialize, page: &str) -> Result<()> {
        let json = output::document_text(kind, report)?;
        for (name, text) in [(JSON, json.as_str()), (HTML, page)] {
            let path = self.0.join(name);
            let written = File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// A report in the making.
pub(crate) struct Ticket {
    began: SystemTime,
    mapping_file: Option<String>,
    planned: Option<(PlannedArchive, PlannedTarget)>,
}

impl Ticket {
    /// Begins now.
    pub(crate) fn begin(args: &Args) -> Self {
        let mapping_file = args.backup.mapping.as_ref().map(|file| file.display().to_string());
        Self { began: SystemTime::now(), mapping_file, planned: None }
    }

    /// Notes what the plan says of the backup and the target.
    pub(crate) fn planned(&mut self, plan: RestorePlan, mapping_file: Option<&PathBuf>) {
        if let Some(file) = mapping_file {
            self.mapping_file = Some(file.display().to_string());
        }
        self.planned = Some((plan.archive, plan.target));
    }

    /// The report. Without a result the restore has not begun.
    pub(crate) fn report(
        self,
        result: Option<Result<Restored, &anyhow::Error>>,
        timeline: Timeline,
    ) -> Report {
        let took = self.began.elapsed().unwrap_or_default();
        let (restore, error) = match result {
            Some(Ok(restored)) => (Some(restored), None),
            Some(Err(error)) => (None, Some(Document::of(error))),
            None => (None, None),
        };
        let (archive, target) = self.planned.unzip();
        let file =
            archive.as_ref().and_then(|archive| archive.file.as_deref().filter(|_| !archive.is_stream));
        let go_back = restore.iter().flat_map(|done| [&done.rollback_command, &done.restore_command]);
        Report {
            pgmig: Version::of_this_build(),
            began_unix_seconds: unix_seconds(self.began),
            took_seconds: took.as_secs_f64(),
            error,
            archive_sha256: file.and_then(sha256),
            archive,
            target,
            mapping_file: self.mapping_file,
            go_back: go_back.flatten().cloned().collect(),
            restore,
            timeline,
        }
    }
}

impl Report {
    /// Writes both files.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        folder.write("report", self, &page::page(self))
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The SHA-256 of a regular file, in hexadecimal digits.
fn sha256(path: &Path) -> Option<String> {
    use sha2::{Digest as _, Sha256};
    let mut file =
        File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).ok()?;
    Some(format!("{:x}", hash.finalize()))
}
