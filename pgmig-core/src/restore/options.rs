//! The options of a restore.

use crate::dump::DumpOptions;
use crate::instance::Mapping;
use crate::migrations::MigrationSet;
use crate::profile::Release;
use crate::progress::Failpoint;
use crate::selection::Selection;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How long a commit may take, unless the caller says otherwise.
pub(crate) const COMMIT_WAIT: Duration = Duration::from_secs(5 * 60);

/// Whether data in the target may be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Erase {
    /// Refuses a target that holds any row or large object.
    Refuse,
    /// Allows pgmig to replace the target's data.
    Allow,
}

/// The IDs that the instances of the backup get in the target.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Instances {
    /// The backup's own IDs.
    Keep,
    /// The IDs of this mapping.
    Map(Mapping),
}

/// The schema of the restored database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaSource {
    /// The archive's schema, upgraded if its migration history is known. Otherwise unchanged, if the target is empty
    /// or has the same schema.
    #[default]
    Auto,
    /// The archive's schema, upgraded; refused if it cannot be upgraded.
    Migrate,
    /// The archive's schema, unchanged, whatever the target's release.
    Archive,
    /// The target's own schema. The archive's rows are loaded into it by the names of tables and columns.
    Target,
}

/// How the target is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrategyChoice {
    /// By a swap if possible, else in place.
    #[default]
    Auto,
    /// Builds a new database beside the target, and renames both in one transaction.
    Swap,
    /// Restores into the target itself, in one transaction on one connection.
    InPlace,
}

/// How the server compresses large values of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToastCompression {
    /// With lz4, if the server has it (from PostgreSQL 14 on) and the column sets no other method. It is twice as
    /// fast as the server's default, and the result is no larger.
    #[default]
    Lz4,
    /// By the server's own setting.
    Keep,
}

/// Gives the choices of an option their words: what `Display` writes, `FromStr` reads, and `WORDS` lists.
macro_rules! words {
    ($choice:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $choice {
            /// The words of all choices, which `FromStr` reads.
            pub const WORDS: &[&str] = &[$($word),+];
        }

        impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        impl FromStr for $choice {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { word: word.to_owned(), known: Self::WORDS }),
                }
            }
        }
    };
}

words!(SchemaSource { Auto => "auto", Migrate => "migrate", Archive => "archive", Target => "target" });
words!(StrategyChoice { Auto => "auto", Swap => "swap", InPlace => "in-place" });
words!(ToastCompression { Lz4 => "lz4", Keep => "keep" });

/// A word that is none of an option's choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    word: String,
    known: &'static [&'static str],
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of {}", self.word, self.known.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

/// Options of a restore.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// The IDs of the instances.
    pub instances: Instances,
    /// Whether data in the target may be erased.
    pub erase: Erase,
    /// Migrations to use instead of the built-in ones of the profile.
    pub migrations: Option<MigrationSet>,
    /// The schema of the restored database.
    pub schema: SchemaSource,
    /// The release for the restored store; `None` means the target's own, or the newest for an empty target.
    pub to_release: Option<Release>,
    /// How the target is replaced.
    pub strategy: StrategyChoice,
    /// Restore even if sources of the mapping are no instances of the backup and occur nowhere in it.
    pub allow_unused_sources: bool,
    /// Stop before the target is replaced if there were warnings.
    pub strict: bool,
    /// Keep the target's previous database after the swap; a restore in place has none.
    pub keep_previous: bool,
    /// How long to wait for other sessions on the target to end, at the swap or before a restore in place.
    pub swap_wait: Duration,
    /// How long the server may leave a short question without an answer, and how long it may let no new connection in
    /// while a session waits for it.
    pub server_timeout: Duration,
    /// How long to wait for locks that other sessions hold.
    pub lock_wait: Duration,
    /// How long to wait for the commit of the restore, and for the synchronous standbys that must confirm it. After that,
    /// pgmig cancels it.
    pub commit_wait: Duration,
    /// How long a stream may bring nothing while the restore waits for it.
    pub source_wait: Duration,
    /// Terminate other sessions on the target instead of waiting.
    pub terminate_sessions: bool,
    /// How many connections load rows and build indexes at the same time, as far as the server admits them. In place
    /// it is always one.
    pub jobs: NonZeroUsize,
    /// How large values are compressed.
    pub toast_compression: ToastCompression,
    /// Run code of the archive in sessions of `su_username`, as PostgreSQL's own tools do, and let it make what only a
    /// superuser can make.
    pub trust_archive: bool,
    /// Extensions that pgmig creates as a superuser, besides those that are harmless in an untrusted archive.
    pub allow_extensions: BTreeSet<String>,
    /// The backup of the target that is taken before it is replaced; `None` for none.
    pub backup_first: Option<BackupFirst>,
    /// The entries of the archive that are restored.
    pub selection: Selection,
    /// Test builds only: where to stop or die. Ignored without the feature `failpoints`.
    pub failpoint: Option<Failpoint>,
}

impl RestoreOptions {
    /// The defaults of the command line: refuse to erase, drop the previous database, and wait 60 s at the swap.
    /// There are as many connections as processors, but at most 8.
    pub fn new(instances: Instances) -> Self {
        Self {
            instances,
            erase: Erase::Refuse,
            migrations: None,
            schema: SchemaSource::Auto,
            to_release: None,
            strategy: StrategyChoice::Auto,
            allow_unused_sources: false,
            strict: false,
            keep_previous: false,
            swap_wait: Duration::from_secs(60),
            server_timeout: Duration::from_secs(60),
            lock_wait: Duration::from_secs(60),
            commit_wait: COMMIT_WAIT,
            source_wait: Duration::from_secs(60 * 60),
            terminate_sessions: false,
            jobs: default_jobs(),
            toast_compression: ToastCompression::default(),
            trust_archive: false,
            allow_extensions: BTreeSet::new(),
            backup_first: None,
            selection: Selection::default(),
            failpoint: None,
        }
    }
}

/// A backup of the target that is taken while the restore holds its lock and has changed nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupFirst {
    /// The directory for the file, which is named as [`Destination::Directory`](crate::dump::Destination) says.
    pub directory: PathBuf,
    /// How it is made.
    pub options: DumpOptions,
}

impl BackupFirst {
    /// A backup in this directory.
    pub fn to(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), options: DumpOptions::default() }
    }
}

fn default_jobs() -> NonZeroUsize {
    const MAX: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");
    std::thread::available_parallelism().map_or(NonZeroUsize::MIN, |processors| processors.min(MAX))
}

/// How the target is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Strategy {
    /// Builds a new database beside the target, and renames both in one transaction.
    #[default]
    Swap,
    /// Empties the target itself and fills it again, in one transaction on one connection.
    InPlace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for word in StrategyChoice::WORDS {
            assert_eq!(
                word.parse::<StrategyChoice>().map(|choice| choice.to_string()),
                Ok((*word).to_owned())
            );
        }
        let unknown = "inplace".parse::<StrategyChoice>().expect_err("not a word");
        assert_eq!(unknown.to_string(), "\"inplace\" is none of auto, swap, in-place");
    }
}
