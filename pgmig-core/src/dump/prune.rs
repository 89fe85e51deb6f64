//! Removes old backups from a directory. Never removes a file that is not a backup, nor the last good backup of a database.

use super::error::DumpError;
use super::file_name::FileName;
use super::retention::Retention;
use crate::archive::{Archive, Format};
use crate::backup::Source;
use crate::error::Result;
use crate::progress::{NoProgress, Notice, NoticeCode, Progress};
use crate::serialized::path;
use crate::thread::on_thread;
use crate::verify::verify;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How old backups are removed.
#[derive(Clone)]
#[non_exhaustive]
pub struct PruneOptions {
    /// How many backups are kept.
    pub retention: Retention,
    /// Whether only to say what would be removed.
    pub dry_run: bool,
    /// Only backups of this database are looked at; `None` for those of every database.
    pub database: Option<String>,
    /// A backup that was verified just now.
    pub verified: Option<PathBuf>,
    /// Receives the events of verifying a backup.
    pub progress: Arc<dyn Progress>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        let (retention, progress) = (Retention::default(), Arc::new(NoProgress));
        Self { retention, dry_run: false, database: None, verified: None, progress }
    }
}

impl fmt::Debug for PruneOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PruneOptions")
            .field("retention", &self.retention)
            .field("dry_run", &self.dry_run)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// A backup in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupFile {
    /// The file.
    #[serde(serialize_with = "path")]
    pub file: PathBuf,
    /// The database that it is of.
    pub database: String,
    /// When it was begun, by its name: `2026-11-30 23:00:05 UTC`.
    pub taken_at: String,
    /// The file's size in bytes.
    #[serde(rename = "archive_bytes")]
    pub bytes: u64,
    #[serde(skip)]
    name: FileName,
}

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PruneReport {
    /// The directory.
    #[serde(serialize_with = "path")]
    pub directory: PathBuf,
    /// Whether nothing was removed because that was asked for.
    pub dry_run: bool,
    /// The rule.
    pub retention: Retention,
    /// The backups that are kept, the newest first.
    pub kept: Vec<BackupFile>,
    /// The backups that were removed, or would be, the newest first.
    pub removed: Vec<BackupFile>,
    /// What the operator should know.
    pub notices: Vec<Notice>,
}

/// Removes the backups from a directory that the rule does not keep. Every database's backups are counted by themselves.
///
/// A file is a backup if it has the name of one and begins with the header and the table of contents of an archive in pg_dump's
/// custom format. Before anything is removed, one backup of its database that stays is verified. If none of them is sound, the
/// newest sound one stays, too.
///
/// # Errors
///
/// The directory cannot be read, or a file cannot be removed.
pub async fn prune(directory: &Path, options: PruneOptions) -> Result<PruneReport> {
    let owned = directory.to_owned();
    let found = on_thread("pgmig-prune", move || Ok(scan(&owned)?)).await?;
    let mut pruning = Pruning { options, notices: found.notices, kept: Vec::new(), expendable: Vec::new() };
    for (database, files) in found.files {
        if pruning.options.database.as_ref().is_none_or(|wanted| *wanted == database) {
            pruning.decide(files).await?;
        }
    }
    let Pruning { options, notices, mut kept, expendable: mut removed } = pruning;
    for files in [&mut kept, &mut removed] {
        files.sort_by(|a, b| b.name.cmp(&a.name).then_with(|| a.database.cmp(&b.database)));
    }
    let PruneOptions { retention, dry_run, .. } = options;
    if !dry_run {
        let files: Vec<PathBuf> = removed.iter().map(|backup| backup.file.clone()).collect();
        on_thread("pgmig-prune", move || Ok(remove(&files)?)).await?;
    }
    Ok(PruneReport { directory: directory.to_owned(), dry_run, retention, kept, removed, notices })
}

/// The backups in a directory, by database, and what else has a name like theirs.
struct Found {
    files: BTreeMap<String, Vec<BackupFile>>,
    notices: Vec<Notice>,
}

fn scan(directory: &Path) -> Result<Found, DumpError> {
    let failed = |error| DumpError::file("read the directory", directory)(error);
    let mut found = Found { files: BTreeMap::new(), notices: Vec::new() };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().and_then(FileName::parse) else { continue };
        match look(&entry.path(), name) {
            Ok(file) => found.files.entry(file.database.clone()).or_default().push(file),
            Err(why) => {
                let text = format!("{} is left alone: {why}", entry.path().display());
                found.notices.push(Notice::note(NoticeCode::FileKept, text));
            }
        }
    }
    Ok(found)
}

/// Reads the header and the table of contents of a file that has the name of a backup.
fn look(path: &Path, name: FileName) -> Result<BackupFile, String> {
    // Not the metadata of the file that a link leads to.
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    // A truncated file is a backup, too, and its header is whole.
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let archive = Archive::from_stream(file).map_err(|error| error.to_string())?;
    let header = archive.header();
    if header.format != Format::Custom {
        return Err("it is not an archive in pg_dump's custom format".to_owned());
    }
    let database = header.database.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(BackupFile { file: path.to_owned(), database, taken_at: name.shown(), bytes: metadata.len(), name })
}

fn remove(files: &[PathBuf]) -> Result<(), DumpError> {
    for file in files {
        match fs::remove_file(file) {
            // Another run has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(DumpError::file("remove", file))?,
        }
    }
    Ok(())
}

struct Pruning {
    options: PruneOptions,
    notices: Vec<Notice>,
    kept: Vec<BackupFile>,
    expendable: Vec<BackupFile>,
}

impl Pruning {
    /// Decides about the backups of one database.
    async fn decide(&mut self, mut files: Vec<BackupFile>) -> Result<()> {
        files.sort_by_key(|file| Reverse(file.name));
        let names: Vec<FileName> = files.iter().map(|file| file.name).collect();
        let keeps = self.options.retention.keeps(&names);
        let (mut kept, mut expendable) = (Vec::new(), Vec::new());
        for (file, is_kept) in files.into_iter().zip(keeps) {
            // The backup that was just taken stays, whatever the rule and the clock say.
            let is_new = self.options.verified.as_ref() == Some(&file.file);
            if is_kept || is_new { kept.push(file) } else { expendable.push(file) }
        }
        if !expendable.is_empty() && self.newest_sound(&kept).await?.is_none() {
            match self.newest_sound(&expendable).await? {
                Some(index) => {
                    let last = expendable.remove(index);
                    self.warn(format!(
                        "{} is kept: it is the last backup of {:?} that can be restored",
                        last.file.display(),
                        last.database
                    ));
                    kept.push(last);
                }
                None => {
                    self.warn("no backup in the directory can be restored, so none is removed".to_owned());
                    kept.append(&mut expendable);
                }
            }
        }
        self.kept.append(&mut kept);
        self.expendable.append(&mut expendable);
        Ok(())
    }

    /// The index of the newest backup that is sound. Each one before it gives a warning.
    async fn newest_sound(&mut self, newest_first: &[BackupFile]) -> Result<Option<usize>> {
        for (index, backup) in newest_first.iter().enumerate() {
            if self.options.verified.as_ref() == Some(&backup.file) {
                return Ok(Some(index));
            }
            let source = Source::File(backup.file.clone());
            let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            match verify(source, jobs, Arc::clone(&self.options.progress)).await {
                Ok(_) => return Ok(Some(index)),
                Err(error @ (crate::Error::Verify(_) | crate::Error::Archive(_))) => {
                    self.warn(format!("{} cannot be restored: {error}", backup.file.display()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn warn(&mut self, text: String) {
        self.notices.push(Notice::warning(NoticeCode::FileKept, text));
    }
}
