//! pg_dump: where it is, and whether its version fits the server.

use super::error::DumpError;
use crate::serialized::path;
use crate::server::{LibpqSettings, remove_variables};
use serde::Serialize;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const NAME: &str = "pg_dump";

/// Where packages of PostgreSQL put its programs. An asterisk stands for a version.
const PLACES: [(&str, &str); 4] =
    [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/usr/edb", "bin"), ("/usr/local/pgsql", "bin")];

/// How long a program may take to print its version.
const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
/// More than this is no version.
const MAX_VERSION_BYTES: u64 = 4096;

/// The demands on a connection that older programs do not know, and so would pass over.
const KNOWN_SINCE: [(&str, Version); 6] = [
    ("PGCHANNELBINDING", Version { major: 13, minor: 0 }),
    ("PGSSLMINPROTOCOLVERSION", Version { major: 13, minor: 0 }),
    ("PGSSLMAXPROTOCOLVERSION", Version { major: 13, minor: 0 }),
    ("PGSSLCRLDIR", Version { major: 14, minor: 0 }),
    ("PGREQUIREAUTH", Version { major: 16, minor: 0 }),
    ("PGSSLNEGOTIATION", Version { major: 17, minor: 0 }),
];

/// The first releases in which nobody can put a view in the place of a table while it is dumped, whose code would have the
/// rights of pg_dump's login: CVE-2024-7348. Both the program and the server must have the change.
const GUARDED_SINCE: [(u32, u32); 5] = [(12, 20), (13, 16), (14, 13), (15, 8), (16, 4)];

/// Which pg_dump is run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Programs {
    /// This one.
    Path(PathBuf),
    /// The one whose version is nearest to the server's, and not older. It is looked for in these directories (those of `PATH`,
    /// say), and then where packages of PostgreSQL put it.
    Search(Vec<PathBuf>),
}

impl Default for Programs {
    fn default() -> Self {
        Self::Search(Vec::new())
    }
}

/// A pg_dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PgDump {
    /// The program.
    #[serde(serialize_with = "path")]
    pub path: PathBuf,
    /// Its version, such as `15.18`.
    pub version: String,
}

/// A major version of PostgreSQL: 15, or 9.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub(super) major: u32,
    /// The second number of versions before 10; 0 of later ones.
    minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { major, .. } if *major >= 10 => write!(f, "{major}"),
            Self { major, minor } => write!(f, "{major}.{minor}"),
        }
    }
}

impl Version {
    /// The version of a server's `server_version_num`.
    pub(super) fn of_server(number: i32) -> Self {
        let number = u32::try_from(number).unwrap_or(0);
        let (major, minor) = (number / 10_000, number / 100 % 100);
        Self { major, minor: if major >= 10 { 0 } else { minor } }
    }

    /// The version in a text such as `15.18`, `9.6.24`, `18beta1` or `19devel`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let major = numbers.next()?.ok()?;
        let minor = if major >= 10 { 0 } else { numbers.next()?.ok()? };
        Some(Self { major, minor })
    }
}

/// The release of this major version from which on pg_dump runs no code of others, if this version (such as `15.7`) is an
/// earlier one.
pub(super) fn guarded_release(version: &str) -> Option<String> {
    let mut numbers =
        version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next()?, numbers.next().unwrap_or(0));
    let oldest = GUARDED_SINCE.into_iter().find(|(guarded, _)| *guarded >= major)?;
    ((major, minor) < oldest).then(|| format!("{}.{}", oldest.0, oldest.1))
}

impl Programs {
    /// Finds a pg_dump for a server of this version. Blocks while programs print their versions.
    pub(super) fn find(&self, server: Version, stop: &CancellationToken) -> Result<PgDump, DumpError> {
        let found = match self {
            Self::Path(path) => vec![PgDump::at(path, stop)?],
            Self::Search(directories) => {
                let candidates = candidates(directories);
                candidates.iter().filter_map(|path| PgDump::at(path, stop).ok()).collect()
            }
        };
        // Of equal ones the first.
        let fitting = found.iter().filter(|program| program.version() >= server);
        if let Some(nearest) = fitting.min_by_key(|program| program.version()) {
            return Ok(nearest.clone());
        }
        match found.into_iter().max_by_key(PgDump::version) {
            Some(PgDump { path, version }) => Err(DumpError::TooOld { path, version, server }),
            None => Err(DumpError::NoPgDump { server, looked: self.described() }),
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Search(directories) if !directories.is_empty() => {
                let directories: Vec<String> =
                    directories.iter().map(|each| each.display().to_string()).collect();
                format!("{} and the directories of PostgreSQL's packages", directories.join(", "))
            }
            _ => "the directories of PostgreSQL's packages".to_owned(),
        }
    }
}

/// Every file that may be a pg_dump.
fn candidates(directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = directories.iter().filter(|each| each.is_absolute()).cloned().collect();
    for (parent, below) in PLACES {
        let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
        let mut versions: Vec<PathBuf> = entries
            .filter(|entry| parent != "/usr" || entry.file_name().to_string_lossy().starts_with("pgsql-"))
            .map(|entry| entry.path().join(below))
            .collect();
        versions.sort();
        all.extend(versions);
        all.push(Path::new(parent).join(below));
    }
    let mut programs: Vec<PathBuf> = Vec::new();
    for program in all.into_iter().map(|directory| directory.join(NAME)) {
        if program.is_file() && !programs.contains(&program) {
            programs.push(program);
        }
    }
    programs
}

impl PgDump {
    fn at(path: &Path, stop: &CancellationToken) -> Result<Self, DumpError> {
        let refused = |reason: String| DumpError::NotPgDump { path: path.to_owned(), reason };
        let said = version_text(path, stop).map_err(|error| refused(error.to_string()))?;
        let not_it = || refused("it does not print the version of a pg_dump".to_owned());
        // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
        let (_, version) =
            said.strip_prefix(NAME).and_then(|rest| rest.split_once(") ")).ok_or_else(not_it)?;
        let version = version.split_whitespace().next().unwrap_or_default();
        Version::parse(version).ok_or_else(not_it)?;
        Ok(Self { path: path.to_owned(), version: version.to_owned() })
    }

    /// Its major version.
    pub(super) fn version(&self) -> Version {
        Version::parse(&self.version).unwrap_or(Version { major: 0, minor: 0 })
    }

    /// Checks that it knows all that the operator demands of connections.
    pub(super) fn require(&self, settings: &LibpqSettings) -> Result<(), DumpError> {
        let unknown = KNOWN_SINCE
            .into_iter()
            .find(|(variable, since)| self.version() < *since && settings.sets(variable));
        match unknown {
            Some((variable, since)) => {
                let (path, version) = (self.path.clone(), self.version.clone());
                Err(DumpError::NotHonoured { variable, path, version, since })
            }
            None => Ok(()),
        }
    }
}

/// What the program prints when it is asked for its version.
fn version_text(path: &Path, stop: &CancellationToken) -> io::Result<String> {
    let mut command = Command::new(path);
    remove_variables(&mut command);
    let mut child =
        command.arg("-V").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let deadline = Instant::now() + DEADLINE;
    let ended = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if stop.is_cancelled() || Instant::now() >= deadline => break None,
            None => thread::sleep(POLL),
        }
    };
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not print its version in time"));
    };
    if !status.success() {
        return Err(io::Error::other(format!("{status}")));
    }
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_VERSION_BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    /// A directory with a program that prints this.
    fn program(directory: &Path, name: &str, says: &str) -> PathBuf {
        let at = directory.join(name);
        fs::create_dir_all(&at).unwrap();
        let path = at.join(NAME);
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        at
    }

    fn found(directories: &[PathBuf], server: &str) -> Result<String, DumpError> {
        let found: Vec<PgDump> = directories
            .iter()
            .filter_map(|each| PgDump::at(&each.join(NAME), &CancellationToken::new()).ok())
            .collect();
        let programs = found.iter().map(|program| program.version()).collect::<Vec<_>>();
        assert_eq!(programs.len(), directories.len());
        Programs::Search(directories.to_vec())
            .find(version(server), &CancellationToken::new())
            .map(|it| it.version)
    }

    #[test]
    fn versions_are_compared_by_their_major_part() {
        assert_eq!(version("15.18"), Version::of_server(150_004));
        assert_eq!(version("9.6.24"), Version::of_server(90_603));
        assert_eq!(version("18beta1"), version("18.2"));
        assert!(version("9.6.24") < version("10.1") && version("9.5.1") < version("9.6.0"));
        assert_eq!(Version::parse("x"), None);
        assert_eq!(
            (version("9.6.24").to_string(), version("16.3").to_string()),
            ("9.6".to_owned(), "16".to_owned())
        );
    }

    #[test]
    fn releases_that_run_code_of_others_are_known() {
        for (version, since) in [
            ("15.7", Some("15.8")),
            ("15.8", None),
            ("16.3 (Debian 16.3-1)", Some("16.4")),
            ("9.6.24", Some("12.20")),
            ("12.19", Some("12.20")),
            ("16beta1", Some("16.4")),
            ("17beta1", None),
            ("18.1", None),
        ] {
            assert_eq!(guarded_release(version).as_deref(), since, "{version}");
        }
    }

    #[test]
    fn the_nearest_version_that_is_not_older_is_run() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str, says: &str| program(directory.path(), name, says);
        // Newer than every pg_dump of this machine, which is looked for, too.
        let all = [
            at("a", "pg_dump (PostgreSQL) 91.4"),
            at("b", "pg_dump (EnterpriseDB) 93.2"),
            at("c", "pg_dump (PostgreSQL) 92devel (x)"),
            at("d", "pg_dump (PostgreSQL) 92.1"),
        ];
        assert_eq!(found(&all, "91.1").unwrap(), "91.4");
        assert_eq!(found(&all, "92.1").unwrap(), "92devel");
        let error = found(&all, "94.1").unwrap_err().to_string();
        assert!(error.starts_with("pg_dump 93.2 (") && error.contains("a server of version 94;"), "{error}");
    }

    #[test]
    fn what_is_no_pg_dump_is_refused_by_its_path() {
        let directory = TempDir::new().unwrap();
        let refused = |path: PathBuf| {
            let error = Programs::Path(path).find(version("15.1"), &CancellationToken::new()).unwrap_err();
            assert!(matches!(error, DumpError::NotPgDump { .. }), "{error}");
            error.to_string()
        };
        for says in ["pg_restore (PostgreSQL) 15.1", "pg_dump", "pg_dump (PostgreSQL) new", ""] {
            let path = program(directory.path(), "x", says).join(NAME);
            assert!(refused(path).contains("does not print the version"), "{says}");
        }
        assert!(refused(directory.path().join("missing")).contains("No such file"));
        assert!(refused("/bin/false".into()).contains("exit status"));
    }
}
