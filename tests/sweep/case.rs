//! One case of the sweep: its file, its source, and its restores.

use crate::support::application::{self, APPLICATION, PASSWORD};
use crate::support::database::quoted;
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::{Database, Pgmig, Server, role, shared};
use pgdump_archive::Archive;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// Roles that receive privileges, and whose names begin with that of the sweep.
const ROLES: [&str; 3] = ["sweep_reader", "sweep_writer", "sweep_third"];

/// Large objects, which pg_dump's script shows incompletely.
const LARGE_OBJECTS: &str =
    "SELECT oid, lomowner::regrole, lomacl, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1";

/// A subscription would prevent its database from being dropped.
const WITHOUT_SUBSCRIPTIONS: &str = "SELECT format('DROP SUBSCRIPTION %I', subname) FROM pg_subscription \
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \\gexec";

/// The name of a difference between the restored database and pg_restore's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is none.
    Same,
    /// There is none, but pgmig warned.
    SameWarned,
    /// pgmig warned, and the databases differ.
    DiffersWarned,
    /// pgmig did not warn, and the databases differ.
    Differs,
    /// pgmig refused the restore before it changed anything (status 3).
    Refused,
    /// The restore failed (another status).
    Failed,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Same, Self::SameWarned, Self::DiffersWarned, Self::Differs, Self::Refused, Self::Failed];

    /// The outcome of this name in `differences.tsv`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.to_string() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::SameWarned => "same, warned",
            Self::DiffersWarned => "differs, warned",
            Self::Differs => "differs",
            Self::Refused => "refused",
            Self::Failed => "failed",
        })
    }
}

/// How a case is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By a superuser, with `--trust-archive` if the case needs it.
    Swap,
    /// By a superuser without `--trust-archive`, for a case that needs it.
    Untrusted,
    /// By the application's role.
    InPlace,
}

impl Way {
    const ALL: [Self; 3] = [Self::Swap, Self::Untrusted, Self::InPlace];

    /// The ways in which a case is restored.
    pub(super) fn of(case: &Case) -> Vec<Self> {
        Self::ALL.into_iter().filter(|way| *way != Self::Untrusted || case.needs_trust).collect()
    }

    /// The way of this name in `differences.tsv`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.to_string() == name)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Swap => "swap",
            Self::Untrusted => "untrusted",
            Self::InPlace => "in place",
        })
    }
}

/// The result of one restore.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) outcome: Outcome,
    /// pgmig's messages, and the parts of the dumps that differ.
    pub(super) details: String,
}

/// A case. Comments at the beginning of its file state what it needs.
#[derive(Debug)]
pub(super) struct Case {
    /// The name of the file.
    pub(super) name: String,
    sql: String,
    /// `-- since: VERSION`: the first version of PostgreSQL that has the attribute.
    since: u32,
    /// `-- trust`: the restore needs `--trust-archive`. Without it, pgmig must refuse the case.
    needs_trust: bool,
    /// `-- superuser: REASON`: only a superuser can make it. The application's role must be refused.
    needs_superuser: bool,
}

impl Case {
    /// Every case, sorted by name.
    pub(super) fn all() -> Vec<Self> {
        let files = std::fs::read_dir(fixture("sweep")).unwrap().map(|file| file.unwrap().path());
        let mut cases: Vec<Self> = files
            .filter(|file| file.extension().is_some_and(|e| e == "sql"))
            .map(|file| Self::read(&file))
            .collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }

    fn read(file: &Path) -> Self {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let sql = std::fs::read_to_string(file).unwrap();
        let mut case = Self { name, sql, since: 0, needs_trust: false, needs_superuser: false };
        for line in case.sql.lines().map_while(|line| line.strip_prefix("-- ")) {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("since", version) => case.since = version.parse().unwrap(),
                ("trust", "") => case.needs_trust = true,
                ("superuser", reason) if !reason.is_empty() => case.needs_superuser = true,
                ("about", _) => {}
                other => panic!("{}: unknown header {other:?}", case.name),
            }
        }
        case
    }

    /// The first word of the name.
    pub(super) fn group(&self) -> &str {
        self.name.split('-').next().unwrap()
    }

    pub(super) fn runs_on(&self, server: &Server) -> bool {
        self.since <= server.major_version()
    }

    /// The outcome of this way if `differences.tsv` states no other.
    pub(super) fn usual(&self, way: Way) -> Outcome {
        match way {
            Way::Untrusted => Outcome::Refused,
            Way::InPlace if self.needs_superuser => Outcome::Refused,
            Way::Swap | Way::InPlace => Outcome::Same,
        }
    }

    /// Makes the source and restores it in every way.
    pub(super) fn run(&self, server: &Server) -> Result<Vec<(Way, Found)>, String> {
        let files = TempDir::new().unwrap();
        let archive = self.archive(server, files.path(), &[])?;
        let oracle = Kept(application::empty_database("sweep_oracle"));
        let args = ["-d", &oracle.0.name, archive.to_str().unwrap()];
        succeeds("pg_restore", &server.program("pg_restore").args(args).output().unwrap())?;
        let expected = state(&oracle.0);
        Ok(Way::of(self).into_iter().map(|way| (way, self.restore(&archive, way, &expected))).collect())
    }

    /// The kinds of the entries in its archive.
    pub(super) fn kinds(&self, server: &Server) -> Result<BTreeSet<&'static str>, String> {
        let files = TempDir::new().unwrap();
        let archive =
            Archive::open(&self.archive(server, files.path(), &[])?).map_err(|error| error.to_string())?;
        Ok(archive.entries().iter().map(|entry| entry.kind.desc()).collect())
    }

    /// Makes the source, and dumps it.
    fn archive(&self, server: &Server, directory: &Path, options: &[&str]) -> Result<PathBuf, String> {
        let source = Kept(application::empty_database("sweep_source"));
        let sql = format!("SET ROLE {};\n{}", quoted(APPLICATION), self.sql);
        succeeds("the case's SQL", &source.0.try_psql(&sql))?;
        let path = directory.join("case.dump");
        let args = ["-Fc", "-f", path.to_str().unwrap(), "-d", &source.0.name];
        succeeds("pg_dump", &server.program("pg_dump").args(options).args(args).output().unwrap())?;
        Ok(path)
    }

    fn restore(&self, archive: &Path, way: Way, expected: &[String]) -> Found {
        let target = Kept(application::empty_database("sweep_target"));
        let file = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&target.0) };
        let (file, strategy) = match way {
            Way::Swap | Way::Untrusted => (file, "swap"),
            Way::InPlace => {
                let login = (APPLICATION.to_owned(), PASSWORD.to_owned());
                (TargetFile { su_username: login.0, su_password: login.1, ..file }, "in-place")
            }
        };
        let pgmig = Pgmig::new().target(&file).source(archive);
        let pgmig = pgmig.args(["--schema", "archive", "--keep-ids", "--force", "--strategy", strategy]);
        let trusts = way == Way::Swap && self.needs_trust;
        let run = if trusts { pgmig.arg("--trust-archive").run() } else { pgmig.run() };
        let found = state(&target.0);
        let (is_same, warned) = (found == expected, run.stderr.contains("warning: "));
        let outcome = match (run.status.code(), is_same, warned) {
            (Some(0), true, false) => Outcome::Same,
            (Some(0), true, true) => Outcome::SameWarned,
            (Some(0), false, true) => Outcome::DiffersWarned,
            (Some(0), false, false) => Outcome::Differs,
            (Some(3), ..) => Outcome::Refused,
            _ => Outcome::Failed,
        };
        Found { outcome, details: format!("{}{}", run.stderr, difference(expected, &found)) }
    }
}

/// Creates the roles and the tablespace of the cases, once for all tests.
pub(super) fn prepare(server: &Server) {
    shared::once(server, "sweep", |_| {
        application::create(server);
        for name in ROLES {
            role::create_role(server, name);
        }
        server.psql(
            "postgres",
            "SET allow_in_place_tablespaces = on; CREATE TABLESPACE sweep_space LOCATION ''",
        );
    });
}

/// A database without subscriptions at its end.
struct Kept(Database);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.try_psql(WITHOUT_SUBSCRIPTIONS);
    }
}

/// A database as pg_dump shows it, with owners and privileges: the entries of its script in no order, as the order may
/// depend on OIDs.
fn state(database: &Database) -> Vec<String> {
    let mut entries: Vec<String> =
        database.dump(&[]).split("\n--\n-- ").map(|entry| entry.trim().to_owned()).collect();
    entries.extend(database.psql(LARGE_OBJECTS).lines().map(|line| format!("large object {line}")));
    entries.sort();
    entries
}

/// The entries that only one of two databases has.
fn difference(expected: &[String], found: &[String]) -> String {
    let only = |these: &[String], those: &[String], whose: &str| -> String {
        let entries = these.iter().filter(|entry| !those.contains(entry));
        entries
            .map(|entry| format!("only {whose} has: {}\n", entry.chars().take(600).collect::<String>()))
            .collect()
    };
    only(expected, found, "pg_restore") + &only(found, expected, "pgmig")
}

fn succeeds(what: &str, output: &Output) -> Result<(), String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{what} failed: {stderr}")) }
}
