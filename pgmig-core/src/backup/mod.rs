//! An opened backup: its store and the instances in it.

mod error;
mod holdings;
mod inspect;
mod inspection;
mod source;
pub(crate) mod store;
mod workspaces;

pub use error::BackupError;
pub use holdings::{Holdings, TableHolding};
pub use inspection::{
    ArchiveFacts, InspectedInstance, InspectedMigration, InspectedStore, InspectedTable, Inspection,
    KindCount,
};
pub(crate) use source::Input;
pub use source::Source;

use crate::archive::{Archive, ArchiveError};
use crate::backup::store::Store;
use crate::error::Result;
use crate::instance::{Instance, Mapping, Resolution};
use crate::profile::Profile;
use crate::thread::on_thread;
use std::path::{Path, PathBuf};

/// An archive, and the facts that its data shows before anything is restored.
///
/// ```no_run
/// use pgmig_core::instance::Mapping;
/// use pgmig_core::backup::{Backup, Source};
/// # async fn look() -> Result<(), pgmig_core::Error> {
/// let backup = Backup::open(Source::File("store.dump".into()), None).await?;
/// for instance in backup.uncovered(&Mapping::default()) {
///     println!("{} needs an instance on the target", instance.label());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Backup {
    archive: Archive,
    /// Of a stream: whether it is being waited for.
    input: Option<Input>,
    /// The path that was given; a stream has none.
    path: Option<PathBuf>,
    /// The profile that the caller asked for.
    asked: Option<Profile>,
    profile: Option<Profile>,
    instances: Vec<Instance>,
    /// Whether the texts of the archive have been converted to UTF-8.
    pub(crate) is_transcoded: bool,
}

impl Backup {
    /// Opens the archive, recognises its store by its tables (or by `profile`), and reads the instances of a file.
    /// The instances of a stream are not known before the restore reads their rows.
    ///
    /// The reading runs on its own thread. If the call is cancelled, that thread continues until the read returns.
    ///
    /// # Errors
    ///
    /// The archive cannot be read, or its table of instances does not fit the profile.
    pub async fn open(source: Source, profile: Option<Profile>) -> Result<Self> {
        on_thread("pgmig-open", move || {
            let path = source.path().map(Path::to_owned);
            let (archive, input) = source.open_watched()?;
            Self::of(archive, input, path, profile, true)
        })
        .await
    }

    /// Opens an archive to look at it, even if it is a directory that lacks files with data. Returns the errors about these
    /// files, too. If the rows of the instances are missing, there are no instances.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), except for missing files.
    pub async fn open_incomplete(
        source: Source,
        profile: Option<Profile>,
    ) -> Result<(Self, Vec<ArchiveError>)> {
        on_thread("pgmig-open", move || {
            let path = source.path().map(Path::to_owned);
            let (archive, missing) = source.open_incomplete()?;
            let backup = Self::of(archive, None, path, profile, missing.is_empty())?;
            Ok((backup, missing))
        })
        .await
    }

    fn of(
        archive: Archive,
        input: Option<Input>,
        path: Option<PathBuf>,
        asked: Option<Profile>,
        is_complete: bool,
    ) -> Result<Self> {
        let store = Store::recognise(&archive, asked.as_ref())?;
        let instances = match &store {
            Some(store) if !archive.is_stream() => match store.instances(&archive) {
                Err(_) if !is_complete => Vec::new(),
                instances => instances?,
            },
            _ => Vec::new(),
        };
        let profile = store.map(|store| store.profile);
        Ok(Self { archive, input, path, asked, profile, instances, is_transcoded: false })
    }

    /// The archive.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Whether it can be read only once: standard input, or a file that is a pipe. Its instances are then not known.
    pub fn is_stream(&self) -> bool {
        self.archive.is_stream()
    }

    /// The profile of its store; `None` if no known profile matches, and so there are no instances.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// The instances in the order of their rows, including deleted and system instances; none for a stream.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The regions whose instances belong to the system, and so need no mapping.
    pub fn system_regions(&self) -> &[String] {
        self.profile.as_ref().map(Profile::system_regions).unwrap_or_default()
    }

    /// The live instances that a mapping does not cover; none for a stream.
    pub fn uncovered(&self, mapping: &Mapping) -> Vec<&Instance> {
        mapping.uncovered(&self.instances, self.system_regions())
    }

    /// Applies a mapping to the instances.
    ///
    /// # Errors
    ///
    /// [`BackupError::Unmapped`] for live instances that the mapping does not cover, and the errors of
    /// [`Mapping::resolve`].
    pub fn resolve(&self, mapping: &Mapping) -> Result<Resolution> {
        let resolution = mapping.resolve(&self.instances, self.system_regions())?;
        if resolution.uncovered.is_empty() {
            return Ok(resolution);
        }
        Err(BackupError::Unmapped(resolution.uncovered).into())
    }

    /// The path that the backup was opened with; `None` for a stream that has none.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The profile that the caller asked for when the backup was opened.
    pub(crate) fn asked(&self) -> Option<&Profile> {
        self.asked.as_ref()
    }

    /// The file, which can be read again; `None` for a stream.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.path().filter(|_| !self.is_stream())
    }

    pub(crate) fn archive_mut(&mut self) -> &mut Archive {
        &mut self.archive
    }

    pub(crate) fn into_archive(self) -> (Archive, Option<Input>) {
        (self.archive, self.input)
    }
}
