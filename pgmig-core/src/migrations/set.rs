//! Reads and checks a directory of migrations: `NNNN_description.sql`, without misnamed or missing files.
//!
//! sqlx's own reader silently ignores misnamed files, and silently allows gaps and duplicates.

use super::error::SchemaError;
use crate::config_file;
use crate::profile::Profile;
use pgmig_schema_migrations::BuiltinProfile;
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Versions from here on are dates (`20240131...`), which naturally have gaps.
const FIRST_DATE_VERSION: i64 = 10_000_000;
/// sqlx's rule: a file that begins with these bytes must not run in a transaction.
const NO_TRANSACTION: &str = "-- no-transaction";
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Endings of files that editors and patches leave beside the real ones.
const LEFT_BEHIND: [&str; 7] = ["~", ".bak", ".orig", ".rej", ".swp", ".swo", ".tmp"];

/// A set of migrations, in the order of their versions. Never empty.
#[derive(Debug, Clone)]
pub struct MigrationSet {
    origin: String,
    is_builtin: bool,
    files: Vec<MigrationFile>,
}

/// A migration and the name of its file.
#[derive(Debug, Clone)]
pub struct MigrationFile {
    name: String,
    migration: Migration,
}

impl MigrationSet {
    /// The migrations of a built-in profile.
    ///
    /// # Errors
    ///
    /// [`SchemaError::UnknownSet`].
    ///
    /// ```
    /// # use pgmig_core::migrations::MigrationSet;
    /// let set = MigrationSet::builtin("assistant")?;
    /// assert_eq!(set.files().next().map(|file| file.version()), Some(1));
    /// # Ok::<(), pgmig_core::migrations::SchemaError>(())
    /// ```
    pub fn builtin(profile: &str) -> Result<Self, SchemaError> {
        let builtin = BuiltinProfile::find(profile)
            .ok_or_else(|| SchemaError::UnknownSet { name: profile.to_owned() })?;
        let files = builtin
            .migrations
            .iter()
            .map(|&(name, sql)| MigrationFile::parse(Path::new(name), Cow::Borrowed(sql)));
        let origin = format!("the built-in migrations of {profile}");
        Ok(Self { is_builtin: true, ..Self::new(origin, files.collect::<Result<_, _>>()?)? })
    }

    /// Reads a directory of migrations. Other kinds of files (`.yaml`, `.md` ...), backup files of editors (`x.sql~`,
    /// `x.bak` ...) and subdirectories are allowed.
    ///
    /// # Errors
    ///
    /// A file cannot be read, is misnamed or reversible, or a version occurs twice or is missing.
    pub fn from_dir(directory: &Path) -> Result<Self, SchemaError> {
        let failed = |path: &Path, reason| SchemaError::Read { path: path.to_owned(), reason };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(|error| failed(directory, error))? {
            let path = entry.map_err(|error| failed(directory, error))?.path();
            if !is_meant_as_migration(&path) || path.is_dir() {
                continue;
            }
            let sql = config_file::read_bytes(&path, config_file::MAX_MIGRATION_BYTES);
            let sql = as_text(&path, sql.map_err(|error| failed(&path, error))?)?;
            files.push(MigrationFile::parse(&path, Cow::Owned(sql))?);
        }
        Self::new(directory.display().to_string(), files)
    }

    fn new(origin: String, mut files: Vec<MigrationFile>) -> Result<Self, SchemaError> {
        files.sort_by_key(|file| file.migration.version);
        let mut previous: Option<&MigrationFile> = None;
        for file in &files {
            let (version, expected) = (file.version(), previous.map_or(1, |file| file.version() + 1));
            if let Some(first) = previous.filter(|previous| previous.version() == version) {
                let (first, second) = (first.name.clone(), file.name.clone());
                return Err(SchemaError::DuplicateVersion { version, first, second });
            }
            if version != expected && version < FIRST_DATE_VERSION {
                return Err(SchemaError::MissingVersion { version: expected, origin });
            }
            previous = Some(file);
        }
        if files.is_empty() {
            return Err(SchemaError::NoMigrations { origin });
        }
        Ok(Self { origin, is_builtin: false, files })
    }

    /// The origin of the set, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether the set is built in.
    pub fn is_builtin(&self) -> bool {
        self.is_builtin
    }

    /// The migrations, oldest first.
    pub fn files(&self) -> impl DoubleEndedIterator<Item = &MigrationFile> {
        self.files.iter()
    }

    /// The migration of this version, if the set has it.
    pub fn file(&self, version: i64) -> Option<&MigrationFile> {
        self.files.iter().find(|file| file.version() == version)
    }

    /// Checks that the set has the last migration of each of the profile's releases.
    ///
    /// # Errors
    ///
    /// [`SchemaError::ReleaseWithoutMigration`].
    pub fn check_releases(&self, profile: &Profile) -> Result<(), SchemaError> {
        let mut releases = profile.releases().iter();
        let missing = releases.find(|(_, version)| self.file(*version).is_none());
        missing.map_or(Ok(()), |(release, version)| {
            Err(SchemaError::ReleaseWithoutMigration { release, version, origin: self.origin.clone() })
        })
    }

    /// The newest version of the set.
    pub fn newest(&self) -> i64 {
        self.files.last().map_or(0, MigrationFile::version)
    }
}

impl MigrationFile {
    /// Parses the name and keeps the text. Description and checksum are the same as sqlx's.
    fn parse(path: &Path, sql: Cow<'static, str>) -> Result<Self, SchemaError> {
        let misnamed = || SchemaError::MisnamedFile { path: path.to_owned() };
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(misnamed)?;
        if name.ends_with(".up.sql") || name.ends_with(".down.sql") {
            return Err(SchemaError::Reversible { path: path.to_owned() });
        }
        let stem = name.strip_suffix(".sql").ok_or_else(misnamed)?;
        let (digits, description) = stem.split_once('_').ok_or_else(misnamed)?;
        let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        let version = digits.parse::<i64>().ok().filter(|version| only_digits && *version > 0);
        let version = version.filter(|_| !description.is_empty()).ok_or_else(misnamed)?;
        let no_transaction = sql.starts_with(NO_TRANSACTION);
        let description = Cow::Owned(description.replace('_', " "));
        // Migrations are the operator's own programs: no part of them comes from data.
        let sql = AssertSqlSafe(sql).into_sql_str();
        let migration = Migration::new(version, description, MigrationType::Simple, sql, no_transaction);
        Ok(Self { name: name.to_owned(), migration })
    }

    /// The file's name, without its directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number at the start of the file's name.
    pub fn version(&self) -> i64 {
        self.migration.version
    }

    /// The rest of the file's name, as words.
    pub fn description(&self) -> &str {
        &self.migration.description
    }

    /// The file's text.
    pub fn sql(&self) -> &str {
        self.migration.sql.as_str()
    }

    /// sqlx's checksum of the text (SHA-384).
    pub fn checksum(&self) -> &[u8] {
        &self.migration.checksum
    }

    /// Whether the file begins with `-- no-transaction`, and so runs one statement at a time without a transaction.
    pub fn is_no_transaction(&self) -> bool {
        self.migration.no_tx
    }

    pub(super) fn migration(&self) -> &Migration {
        &self.migration
    }
}

fn as_text(path: &Path, bytes: Vec<u8>) -> Result<String, SchemaError> {
    let path = path.to_owned();
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        SchemaError::NotUtf8 { path: path.clone(), line: 1 + valid.filter(|byte| **byte == b'\n').count() }
    })?;
    if text.starts_with(BYTE_ORDER_MARK) { Err(SchemaError::ByteOrderMark { path }) } else { Ok(text) }
}

/// Whether a file is meant as a migration: its name ends with `.sql` or begins with a version. Such a file must not
/// be misnamed.
fn is_meant_as_migration(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if LEFT_BEHIND.iter().any(|ending| name.ends_with(ending)) {
        return false;
    }
    let is_sql = PathBuf::from(&name).extension().is_some_and(|extension| extension == "sql");
    is_sql || name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn refused(names: &[&str]) -> String {
        let files: Vec<_> = names.iter().map(|name| (*name, "SELECT 1;")).collect();
        MigrationSet::from_dir(directory(&files).path()).unwrap_err().to_string()
    }

    fn built_in_directory() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema-migrations/assistant")
    }

    #[test]
    fn the_built_in_set_and_the_directory_are_the_same() {
        let key = |set: &MigrationSet| -> Vec<_> {
            set.files().map(|file| (file.name().to_owned(), file.sql().to_owned())).collect()
        };
        let built_in = MigrationSet::builtin("assistant").unwrap();
        assert_eq!(key(&built_in), key(&MigrationSet::from_dir(&built_in_directory()).unwrap()));
    }

    #[test]
    fn every_release_of_the_built_in_profile_has_its_migration() {
        let (profile, set) =
            (Profile::builtin("assistant").unwrap(), MigrationSet::builtin("assistant").unwrap());
        for (release, version) in profile.releases().iter() {
            assert!(set.file(version).is_some(), "{release}: {version}");
        }
        assert_eq!(profile.releases().newest().unwrap().1, set.newest());
    }

    #[tokio::test]
    async fn sqlx_reads_the_same_from_the_directory() {
        let theirs = sqlx::migrate::Migrator::new(built_in_directory()).await.unwrap();
        let ours = MigrationSet::builtin("assistant").unwrap();
        let theirs: Vec<_> = theirs
            .iter()
            .map(|m| (m.version, m.description.to_string(), m.checksum.to_vec(), m.no_tx))
            .collect();
        let ours: Vec<_> = ours
            .files()
            .map(|f| (f.version(), f.description().to_owned(), f.checksum().to_vec(), f.is_no_transaction()))
            .collect();
        assert_eq!(ours, theirs);
        assert!(ours.iter().any(|file| file.3), "no file of the set runs without a transaction");
    }

    #[test]
    fn misnamed_files_are_refused() {
        for name in
            ["1.sql", "a_b.sql", "0_zero.sql", "-1_x.sql", "+1_x.sql", "1_.sql", "0002_x.SQL", "2_x.txt"]
        {
            assert!(refused(&["0001_a.sql", name]).contains("misnamed"), "{name}");
        }
        assert!(refused(&["0001_a.sql", "0002_b.up.sql"]).contains("reversible"));
    }

    #[test]
    fn other_files_may_lie_beside() {
        let files =
            [("0001_a.sql", "-- no-transaction\nSELECT 1;"), ("README.md", ""), ("releases.yaml", "")];
        let set = MigrationSet::from_dir(directory(&files).path()).unwrap();
        assert_eq!(set.newest(), 1);
        assert!(set.file(1).unwrap().is_no_transaction());
    }

    #[test]
    fn what_editors_leave_behind_is_no_migration() {
        let left = ["0001_a.sql~", "0002_b.sql.orig", "0003_c.bak", ".0001_a.sql.swp"];
        let files = left.iter().map(|name| (*name, "no SQL")).chain([("0001_a.sql", "SELECT 1;")]);
        let set = MigrationSet::from_dir(directory(&files.collect::<Vec<_>>()).path()).unwrap();
        assert_eq!((set.files().count(), set.newest()), (1, 1));
    }

    #[test]
    fn what_is_not_plain_utf8_is_refused_by_name() {
        let refused = |bytes: &[u8]| {
            let directory = directory(&[]);
            std::fs::write(directory.path().join("0001_a.sql"), bytes).unwrap();
            MigrationSet::from_dir(directory.path()).unwrap_err().to_string()
        };
        let marked = refused("\u{feff}-- no-transaction\nSELECT 1;".as_bytes());
        assert!(marked.contains("0001_a.sql: begins with a byte order mark"), "{marked}");
        let latin1 = refused(b"SELECT 1;\nSELECT '\xe4';");
        assert!(latin1.contains("0001_a.sql, line 2: not UTF-8"), "{latin1}");
    }

    #[test]
    fn gaps_and_duplicates_are_refused() {
        assert!(refused(&["0001_a.sql", "0003_b.sql"]).contains("no migration 2"));
        assert!(refused(&["0002_a.sql"]).contains("no migration 1"));
        assert!(refused(&["0001_a.sql", "01_b.sql"]).contains("exists twice"));
        assert!(refused(&["README.md"]).contains("no migrations"));
    }

    #[test]
    fn dates_are_versions_too() {
        let files = [("20240131120000_a.sql", "SELECT 1;"), ("20240201080000_b.sql", "SELECT 1;")];
        assert_eq!(MigrationSet::from_dir(directory(&files).path()).unwrap().newest(), 20_240_201_080_000);
    }
}
