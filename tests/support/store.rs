//! The reference store: a backup of its oldest release, and targets of its newest.

use super::database::Database;
use super::fixture::{fixture, repository};
use super::pgmig::Pgmig;
use super::server::Server;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A backup of a store of release 4.0.0, written through a pipe.
#[derive(Debug)]
pub(crate) struct Backup {
    /// The store that it was taken of.
    pub(crate) source: Database,
    pub(crate) archive: PathBuf,
    /// Each live instance, and the one of [`target`] that it is to become.
    pub(crate) mapping: Vec<(String, String)>,
    _directory: TempDir,
}

/// The oldest release with a schema of its own.
pub(crate) const OLDEST: &str = "4.0.0";

/// Live instances, in the order of their IDs.
const LIVE: &str = "SELECT tenant_id FROM store.tenant \
                    WHERE deleted IS NOT TRUE AND region NOT IN ('monitoring', 'System') ORDER BY tenant_id";

/// What a target holds that no backup has.
const SPARE: &str = "00000000-0000-0000-0000-001570194999";

impl Backup {
    /// Makes a store, fills it, and takes the backup. It has a large object, too.
    #[track_caller]
    pub(crate) fn of_oldest_release() -> Self {
        let source = Database::create("source");
        apply_migrations(&source, OLDEST);
        let fill = std::fs::read_to_string(fixture("store/fill_4.0.0.sql")).expect("the fixture is UTF-8");
        source.psql(&format!("SET search_path = store, public;\n{fill}"));
        source.psql("SELECT lo_from_bytea(0, decode(repeat('00ff5c', 100000), 'hex'))");
        let directory = TempDir::new().expect("a temporary directory can be made");
        let archive = directory.path().join("store.dump");
        source.dump_through_pipe(&[], &archive);
        let mapping =
            live_instances(&source).into_iter().enumerate().map(|(index, id)| (id, provisioned(index)));
        Self { archive, mapping: mapping.collect(), source, _directory: directory }
    }

    /// A target of the newest release: an instance for each of the backup's, a spare one, and data of theirs.
    #[track_caller]
    pub(crate) fn target(&self, purpose: &str) -> Database {
        let target = Database::create(purpose);
        apply_migrations(&target, "newest");
        let targets = self.mapping.iter().map(|(_, target)| target.as_str());
        for id in targets.chain([SPARE]) {
            target.psql(&format!(
                "SET search_path = store, public;
                 INSERT INTO tenant (tenant_id, instance_id, name) VALUES ('{id}', '{id}', 'provisioned');
                 INSERT INTO workspace (workspace_id, tenant_id, name) VALUES (md5('{id}')::uuid, '{id}', 'own');"
            ));
        }
        target
    }

    /// `--source store.dump --mapping enteredMapping.yaml` for this command line.
    pub(crate) fn restore(&self, pgmig: Pgmig) -> Pgmig {
        let pairs: Vec<_> = self.mapping.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        pgmig.source(&self.archive).mapping(&pairs)
    }

    /// Checks that a target holds the backup, under the IDs of the mapping, and nothing of its own.
    #[track_caller]
    pub(crate) fn assert_restored(&self, target: &Database) {
        let expected: Vec<_> = self.mapping.iter().map(|(_, target)| target.clone()).collect();
        assert_eq!(live_instances(target), expected, "live instances");
        for table in ["tenant", "workspace", "assistant", "skill"] {
            let count = format!("SELECT count(*) FROM store.{table}");
            assert_eq!(target.psql(&count), self.source.psql(&count), "rows of {table}");
        }
        let objects = "SELECT count(*), sum(length(lo_get(oid))) FROM pg_largeobject_metadata";
        assert_eq!(target.psql(objects), self.source.psql(objects), "large objects");
        let dump = target.dump(&[]);
        for id in self.mapping.iter().map(|(source, _)| source.as_str()).chain([SPARE]) {
            let left = dump.lines().filter(|line| holds_token(line, id)).count();
            assert_eq!(left, 0, "lines of pg_dump with {id}");
        }
    }
}

/// The databases beside a target whose names begin with its name: what pgmig made.
pub(crate) fn databases_beside(target: &Database) -> String {
    let sql = format!("SELECT datname FROM pg_database WHERE starts_with(datname, '{}_')", target.name);
    target.server.psql("postgres", &sql)
}

/// Brings a database to a release with psql alone.
#[track_caller]
pub(crate) fn apply_migrations(database: &Database, release: &str) {
    let Server { socket, port, superuser, bindir, .. } = &database.server;
    let status = Command::new(repository().join("tests/apply-migrations"))
        .args([&database.name, release])
        .env("PGMIG_TEST_SOCKET", socket)
        .env("PGMIG_TEST_PORT", port.to_string())
        .env("PGMIG_TEST_SUPERUSER", superuser)
        .env("PGMIG_TEST_BINDIR", bindir)
        .status();
    assert!(status.expect("bash runs").success(), "tests/apply-migrations {release}");
}

/// The ID of a target's provisioned instance.
fn provisioned(index: usize) -> String {
    format!("00000000-0000-0000-0000-{:012}", 1_570_194_490 + index)
}

fn live_instances(database: &Database) -> Vec<String> {
    database.psql(LIVE).lines().map(str::to_owned).collect()
}

/// Whether the ID stands in the line with neither a letter nor a digit beside it.
fn holds_token(line: &str, id: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let border = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    line.match_indices(id).any(|(start, _)| {
        border(line[..start].chars().next_back()) && border(line[start + id.len()..].chars().next())
    })
}
