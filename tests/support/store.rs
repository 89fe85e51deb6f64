//! The reference store: a backup of its oldest release, and targets of its newest.

use super::database::Database;
use super::fixture::{fixture, repository};
use super::pgmig::{Pgmig, TargetFile};
use super::server::Server;
use super::shared;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A backup of a store of release 4.0.0, written through a pipe. It takes seconds to make, so the run makes only one.
#[derive(Debug)]
pub(crate) struct Backup {
    /// The store from which the backup was made.
    pub(crate) source: Database,
    pub(crate) archive: PathBuf,
    /// Each live instance, and the instance of [`Backup::target`] that it becomes.
    pub(crate) mapping: Vec<(String, String)>,
}

/// The oldest release with a schema of its own.
pub(crate) const OLDEST: &str = "4.0.0";

/// A value that both the backup and its targets have in a row. No message may contain it.
pub(crate) const ROW_VALUE: &str = "r0w-v4lue";

/// Live instances, in the order of their IDs.
const LIVE: &str = "SELECT tenant_id FROM store.tenant \
                    WHERE deleted IS NOT TRUE AND region NOT IN ('monitoring', 'System') ORDER BY tenant_id";

/// Rows of a target that no backup has.
pub(crate) const SPARE: &str = "00000000-0000-0000-0000-001570194999";

const SOURCE_DATABASE: &str = "shared_source";
/// A database that tests only copy. PostgreSQL copies only a database that has no sessions.
const TARGET_DATABASE: &str = "shared_target";
const ARCHIVE: &str = "store.dump";

impl Backup {
    /// The backup of a store with some rows and a large object, and a database from which targets are copied.
    #[track_caller]
    pub(crate) fn of_oldest_release() -> Self {
        let server = Server::of_this_run();
        let directory = shared::once(&server, "store", |directory| make(&server, directory));
        let source = Database::shared(&server, SOURCE_DATABASE);
        let instances = live_instances(&source);
        let mapping = instances.into_iter().enumerate().map(|(index, id)| (id, provisioned(index)));
        Self { archive: directory.join(ARCHIVE), mapping: mapping.collect(), source }
    }

    /// A target of the newest release: an instance for each one of the backup, a spare instance, and their data.
    #[track_caller]
    pub(crate) fn target(&self, purpose: &str) -> Database {
        Database::create_with(&self.source.server, purpose, &self.as_template())
    }

    /// The clause of CREATE DATABASE that copies such a target.
    pub(crate) fn as_template(&self) -> String {
        format!("TEMPLATE {TARGET_DATABASE}")
    }

    /// The whole command line for a restore into this target, with `--force`.
    pub(crate) fn restore_into(&self, target: &Database) -> Pgmig {
        self.restore(Pgmig::new().target(&TargetFile::of(target)).arg("--force"))
    }

    /// `--source store.dump --mapping enteredMapping.yaml` for this command line.
    pub(crate) fn restore(&self, pgmig: Pgmig) -> Pgmig {
        self.map(pgmig.source(&self.archive))
    }

    /// `--mapping enteredMapping.yaml` alone.
    pub(crate) fn map(&self, pgmig: Pgmig) -> Pgmig {
        let pairs: Vec<_> = self.mapping.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        pgmig.mapping(&pairs)
    }

    /// Checks that a target holds the backup's data under the mapping's IDs, and no data of its own.
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

/// Makes the store, the backup, and the database from which targets are copied.
fn make(server: &Server, directory: &Path) {
    let source = Database::create_shared(server, SOURCE_DATABASE);
    apply_migrations(&source, OLDEST);
    for rows in ["fill_1.4.2", "fill_4.0.0", "definitions_4.0.0"] {
        fill(&source, rows, 3);
    }
    source.psql(&format!(
        "UPDATE store.workspace SET owner_note = '{ROW_VALUE}' WHERE owner_note IS NULL;
         SELECT lo_put(700002, length('export of tenant '), 'nobody');
         SELECT lo_from_bytea(0, decode(repeat('00ff5c', 100000), 'hex'))"
    ));
    source.dump_through_pipe(&[], &directory.join(ARCHIVE));
    let target = Database::create_shared(server, TARGET_DATABASE);
    apply_migrations(&target, "newest");
    provision(&target, live_instances(&source).len());
}

/// Fills a store with this many provisioned instances and a spare one.
#[track_caller]
pub(crate) fn provision(target: &Database, instances: usize) {
    let provisioned = (0..instances).map(provisioned);
    for id in provisioned.chain([SPARE.to_owned()]) {
        target.psql(&format!(
            "SET search_path = store, public;
             INSERT INTO tenant (tenant_id, instance_id, name) VALUES ('{id}', '{id}', 'provisioned');
             INSERT INTO workspace (workspace_id, tenant_id, name) VALUES (md5('{id}')::uuid, '{id}', '{ROW_VALUE}');"
        ));
    }
}

/// Runs a file of `fixtures/store`.
#[track_caller]
pub(crate) fn fill(store: &Database, file: &str, scale: u32) {
    let file = fixture(&format!("store/{file}.sql"));
    let sql = std::fs::read_to_string(file).expect("the fixture is UTF-8");
    store.psql(&sql.replace(":'scale'", &format!("'{scale}'")));
}

/// Upgrades a database to a release by psql alone, as superuser.
#[track_caller]
pub(crate) fn apply_migrations(database: &Database, release: &str) {
    apply_migrations_as(database, release, &database.server.superuser);
}

/// Does the same as this role.
#[track_caller]
pub(crate) fn apply_migrations_as(database: &Database, release: &str, owner: &str) {
    let Server { socket, port, superuser, bindir, .. } = &database.server;
    let status = Command::new(repository().join("tests/apply-migrations"))
        .args([&database.name, release, owner])
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

/// Whether the line contains the ID with neither a letter nor a digit beside it.
fn holds_token(line: &str, id: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let border = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    line.match_indices(id).any(|(start, _)| {
        border(line[..start].chars().next_back()) && border(line[start + id.len()..].chars().next())
    })
}
