//! Reads the files that configure a run, with a limit on size and time, and recognises a file of another kind.

use crate::server::yaml::{self, YamlError};
use memchr::memmem;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use thiserror::Error;

/// The largest YAML file of settings that is read, in bytes.
pub(crate) const MAX_SETTINGS_BYTES: u64 = 1 << 20;
/// The largest file with a password.
pub(crate) const MAX_PASSWORD_BYTES: u64 = 64 << 10;
/// The largest file of CA certificates: the bundle of an operating system has a quarter of a MiB.
pub const MAX_CA_BYTES: u64 = 16 << 20;
/// The largest file of SQL, or of a profile.
pub(crate) const MAX_MIGRATION_BYTES: u64 = 256 << 20;

/// How long pgmig waits for the end of a file. The file may be a pipe, such as `<(...)` of a shell.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many bytes at the start of a file are searched for its kind.
const HEAD_BYTES: usize = 64 << 10;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A file of pg_dump.
    Backup,
    /// `postgres.yaml`.
    Target,
    /// `resourceController.yaml`.
    ResourceController,
    /// `enteredMapping.yaml`.
    Mapping,
    /// The JSON of a store's secret (`VCAP_SERVICES`).
    Vcap,
    /// A list of several restores.
    Set,
}

/// Errors of a configuration file as a whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigFileError {
    /// There is no such file.
    #[error("{kind} {} does not exist", path.display())]
    Missing {
        /// The expected kind.
        kind: FileKind,
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read, or not within the limits.
    #[error("cannot read {kind} {}: {reason}", path.display())]
    Read {
        /// The expected kind.
        kind: FileKind,
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// It is another file.
    #[error("{} is {}, not {}; {}", path.display(), is.with_article(), kind.with_article(), is.advice(*kind))]
    MixedUp {
        /// The file.
        path: PathBuf,
        /// Its kind.
        is: FileKind,
        /// The expected kind.
        kind: FileKind,
    },
    /// It is not text.
    #[error("{} is not {}: it is not UTF-8 text", path.display(), kind.with_article())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The expected kind.
        kind: FileKind,
    },
    /// The name of the file is a connection URL or string.
    #[error(
        "the name of {kind} is expected, and a connection URL or string was given (not shown, as it may hold a \
         password); write host, port, database and roles into a YAML file and give its name"
    )]
    ConnectionString {
        /// The expected kind.
        kind: FileKind,
    },
    /// The file is not YAML of the expected form.
    #[error("{}{}: {message}", path.display(), line.map_or_else(String::new, |line| format!(", line {line}")))]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The line, if it is known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backup => "backup file",
            Self::Target => "target configuration",
            Self::ResourceController => "Resource Controller configuration",
            Self::Mapping => "instance mapping",
            Self::Vcap => "VCAP JSON",
            Self::Set => "list of restores",
        })
    }
}

impl FileKind {
    fn with_article(self) -> &'static str {
        match self {
            Self::Backup => "a backup",
            Self::Target => "a target configuration",
            Self::ResourceController => "a Resource Controller configuration",
            Self::Mapping => "an instance mapping",
            Self::Vcap => "the JSON of a VCAP secret",
            Self::Set => "a list of restores",
        }
    }

    /// The option that takes such a file.
    fn option(self) -> &'static str {
        match self {
            Self::Backup => "FileKind::Backup",
            Self::Target => "FileKind::Target",
            Self::ResourceController => "FileKind::ResourceController",
            Self::Mapping => "FileKind::Mapping",
            Self::Vcap => "FileKind::Vcap",
            Self::Set => "FileKind::Set",
        }
    }

    /// Advice for a file of this kind in the place of another.
    fn advice(self, expected: Self) -> String {
        match self {
            Self::Backup => format!("are {} and {} swapped?", self.option(), expected.option()),
            _ => format!("pass it with {}", self.option()),
        }
    }

    /// The kind of a file that begins like this, if it is certain.
    fn of(head: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| head.starts_with(magic);
        let is_tar = head.get(257..262) == Some(b"ustar");
        let is_packed = begins(b"\x1f\x8b") || begins(b"\x28\xb5\x2f\xfd") || begins(b"\x04\x22\x4d\x18");
        let is_script = || memmem::find(head, b"-- PostgreSQL database dump").is_some();
        if begins(b"PGDMP") || is_tar || is_packed || is_script() {
            return Some(Self::Backup);
        }
        let has_key = |key: &[u8]| {
            let mut lines = head.split(|byte| *byte == b'\n');
            lines.any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(b":")))
        };
        let is_object = head.trim_ascii_start().starts_with(b"{");
        let has_member = |member: &[u8]| memmem::find(head, member).is_some();
        match () {
            () if is_object && (has_member(b"vcap_services\"") || has_member(b"\"user-provided\"")) => {
                Some(Self::Vcap)
            }
            () if has_key(b"instance-mappings") => Some(Self::Mapping),
            () if has_key(b"accessTokens") => Some(Self::ResourceController),
            () if has_key(b"su_username") => Some(Self::Target),
            () if has_key(b"restores") => Some(Self::Set),
            () => None,
        }
    }
}

/// Reads a YAML file without secrets.
///
/// # Errors
///
/// Every [`ConfigFileError`].
pub fn read_yaml<T: DeserializeOwned>(path: &Path, kind: FileKind) -> Result<T, ConfigFileError> {
    let text = read(path, kind, MAX_SETTINGS_BYTES)?;
    yaml::parse(&text).map_err(|YamlError { line, message }| {
        let invalid = || ConfigFileError::Yaml { path: path.to_owned(), line, message };
        mixed_up(path, &text, kind).unwrap_or_else(invalid)
    })
}

/// Reads the text of a file of this kind.
///
/// # Errors
///
/// Every [`ConfigFileError`]; [`ConfigFileError::MixedUp`] for a backup only.
pub(crate) fn read(path: &Path, kind: FileKind, limit: u64) -> Result<String, ConfigFileError> {
    let owned = || path.to_owned();
    if is_connection_string(path) {
        return Err(ConfigFileError::ConnectionString { kind });
    }
    if path.join("toc.dat").is_file() {
        return Err(ConfigFileError::MixedUp { path: owned(), is: FileKind::Backup, kind });
    }
    let (bytes, is_whole) = read_start(path, limit, DEADLINE).map_err(|reason| match reason.kind() {
        ErrorKind::NotFound => ConfigFileError::Missing { kind, path: owned() },
        _ => ConfigFileError::Read { kind, path: owned(), reason },
    })?;
    if FileKind::of(head(&bytes)) == Some(FileKind::Backup) {
        return Err(ConfigFileError::MixedUp { path: owned(), is: FileKind::Backup, kind });
    }
    if !is_whole {
        return Err(ConfigFileError::Read { kind, path: owned(), reason: too_large(limit) });
    }
    String::from_utf8(bytes).map_err(|_| ConfigFileError::NotText { path: owned(), kind })
}

/// The error for a text that is no file of this kind because it is one of another kind.
pub(crate) fn mixed_up(path: &Path, text: &str, kind: FileKind) -> Option<ConfigFileError> {
    let is = FileKind::of(head(text.as_bytes())).filter(|is| *is != kind)?;
    Some(ConfigFileError::MixedUp { path: path.to_owned(), is, kind })
}

/// Reads a file; the caller names it in its own error.
///
/// # Errors
///
/// Errors of the operating system; a file of more bytes than `limit`; a file that does not end in time.
pub fn read_bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    match read_start(path, limit, DEADLINE)? {
        (bytes, true) => Ok(bytes),
        (_, false) => Err(too_large(limit)),
    }
}

/// As [`read_bytes`], of a file that must be UTF-8.
///
/// # Errors
///
/// Those of [`read_bytes`], and [`ErrorKind::InvalidData`].
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_bytes(path, limit)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// A warning about a file with this secret that other users can read.
///
/// A file of a Kubernetes volume (a Secret) gives no warning: its mode is the volume's. It lies below a directory `..TIME`.
pub(crate) fn exposure(path: &Path, shown: &str, secret: &str) -> Option<String> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    if metadata.mode() & 0o044 == 0 {
        return None;
    }
    let is_volume = |part: Component<'_>| part.as_os_str().to_string_lossy().starts_with("..");
    if path.canonicalize().ok()?.components().any(is_volume) {
        return None;
    }
    Some(format!("{shown} holds {secret} and can be read by other users; make it private with chmod 600"))
}

/// Whether a file name is a connection URL or string, which may hold a password.
pub fn is_connection_string(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("://") || name.contains("password=")
}

fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..HEAD_BYTES).unwrap_or(bytes)
}

/// At most `limit` bytes, and whether these are all.
fn read_start(path: &Path, limit: u64, deadline: Duration) -> io::Result<(Vec<u8>, bool)> {
    let (sender, receiver) = mpsc::channel();
    let owned = path.to_owned();
    // Opening a pipe without a writer never returns. The thread then stays until the program ends.
    thread::Builder::new().name("pgmig-config".to_owned()).spawn(move || {
        let _ = sender.send(read_at_once(&owned, limit));
    })?;
    receiver.recv_timeout(deadline).unwrap_or_else(|_| {
        let seconds = deadline.as_secs_f64();
        let text =
            format!("it does not end within {seconds} s; is it a pipe or a device that nobody writes to?");
        Err(io::Error::new(ErrorKind::TimedOut, text))
    })
}

fn read_at_once(path: &Path, limit: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    // One byte more shows that a file is too large.
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_whole = bytes.len() <= limit;
    bytes.truncate(limit);
    Ok((bytes, is_whole))
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    fn fifo(directory: &Path) -> PathBuf {
        let path = directory.join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn a_pipe_is_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = fifo(directory.path());
        let writer = path.clone();
        let writing = thread::spawn(move || std::fs::write(writer, "host: h\n").unwrap());
        assert_eq!(read(&path, FileKind::Target, 100).unwrap(), "host: h\n");
        writing.join().unwrap();
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_ends_the_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let error = read_start(&fifo(directory.path()), 100, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_device_without_end_meets_the_limit() {
        let path = Path::new("/dev/zero");
        let error = read(path, FileKind::Mapping, 1000).unwrap_err();
        assert_eq!(error.to_string(), "cannot read instance mapping /dev/zero: it has more than 1000 bytes");
        assert_eq!(read_bytes(path, 1000).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_file_may_have_as_many_bytes_as_the_limit_says() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(read_text(&path, 4).is_err());
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 5).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(read_bytes(directory.path(), 5).is_err());
    }

    #[test]
    fn a_connection_string_is_no_name_and_is_not_shown() {
        for given in ["postgres://u:S3cret@h/db", "postgresql://h?password=S3cret", "host=h password=S3cret"]
        {
            let error = read(Path::new(given), FileKind::Target, 100).unwrap_err();
            assert!(matches!(error, ConfigFileError::ConnectionString { .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("S3cret"), "{error:?}");
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let said = |content: &[u8], kind: FileKind| {
            std::fs::write(&path, content).unwrap();
            let error = match read(&path, kind, 40) {
                Ok(text) => mixed_up(&path, &text, kind)?,
                Err(error) => error,
            };
            let said = error.to_string();
            Some(said.replace(&path.display().to_string(), "f"))
        };
        let backup =
            "f is a backup, not a target configuration; are FileKind::Backup and FileKind::Target swapped?";
        for content in [
            b"PGDMP\x01\x0e\xff".as_slice(),
            b"\x1f\x8b\x08",
            b"--\n-- PostgreSQL database dump\n--\n and more",
        ] {
            assert_eq!(said(content, FileKind::Target).as_deref(), Some(backup));
        }
        assert_eq!(
            said(b"instance-mappings:\n  a: b\n", FileKind::Target).as_deref(),
            Some("f is an instance mapping, not a target configuration; pass it with FileKind::Mapping")
        );
        assert_eq!(
            said(b"host: h\nsu_username: p\n", FileKind::Mapping).as_deref(),
            Some("f is a target configuration, not an instance mapping; pass it with FileKind::Target")
        );
        assert_eq!(said(b"host: h\nsu_username: p\n", FileKind::Target), None);
        assert_eq!(said(b"a: b\n", FileKind::Target), None);
        for json in [b"{ \"user-provided\": [] }".as_slice(), b"{\"store_vcap_services\": \"e30=\"}"] {
            let said = said(json, FileKind::Target).unwrap();
            assert!(said.ends_with("not a target configuration; pass it with FileKind::Vcap"), "{said}");
        }
        let missing = read(Path::new("/nowhere.yaml"), FileKind::Mapping, 1).unwrap_err();
        assert_eq!(missing.to_string(), "instance mapping /nowhere.yaml does not exist");
    }

    #[test]
    fn a_secret_that_others_can_read_is_warned_of_outside_of_volumes() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().join("..2026_11_30");
        std::fs::create_dir(&volume).unwrap();
        let (plain, mounted, link) =
            (directory.path().join("p.yaml"), volume.join("p.yaml"), directory.path().join("q.yaml"));
        let warns = |path: &Path| exposure(path, "p.yaml", "a password").is_some();
        for (mode, expected) in [(0o600, false), (0o400, false), (0o640, true), (0o644, true), (0o604, true)]
        {
            for path in [&plain, &mounted] {
                std::fs::write(path, "").unwrap();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            assert_eq!((warns(&plain), warns(&mounted)), (expected, false), "{mode:o}");
            std::fs::remove_file(&plain).unwrap();
            std::fs::remove_file(&mounted).unwrap();
        }
        std::fs::write(&mounted, "").unwrap();
        symlink(&mounted, &link).unwrap();
        assert!(!warns(&link));
        assert!(!warns(Path::new("/nowhere")) && !warns(Path::new("/dev/null")));
    }
}
