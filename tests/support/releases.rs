//! The release lines of the reference store: an archive of each, and the facts that upgrades must preserve.

use super::database::Database;
use super::fixture::fixture;
use super::server::Server;
use super::shared;
use super::store::apply_migrations;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The first release of each line, oldest first.
pub(crate) const LINES: [&str; 7] = ["1.4.2", "4.0.0", "4.5.0", "4.6.5", "4.8.0", "5.0.0", "5.1.0"];

/// Each live instance of the archives and its new ID.
pub(crate) const MAPPING: [(&str, &str); 3] = [
    ("00000000-0000-0000-0000-001570184978", "00000000-0000-0000-0000-001570194490"),
    ("e10001eb-6272-453a-bb43-3dcf0e765892", "00000000-0000-0000-0000-001570194492"),
    ("00000000-0000-0000-1764-035503433645", "00000000-0000-0000-0000-001570194491"),
];

/// The archive of a filled store of this release.
pub(crate) fn archive(release: &str) -> PathBuf {
    fixture(&format!("releases/{release}.dump"))
}

/// 4.6.5 as numbers, which sort.
fn numbers(release: &str) -> Vec<u32> {
    release.split('.').map(|part| part.parse().expect("a release has numbers")).collect()
}

/// The facts that upgrades must preserve, by name: counts, sums and samples, as psql prints them.
pub(crate) type Kept = BTreeMap<String, String>;

/// Reads these facts from a store of this release.
#[track_caller]
pub(crate) fn kept(store: &Database, release: &str) -> Kept {
    let yaml = std::fs::read_to_string(fixture("store/kept.yaml")).expect("the fixture is UTF-8");
    let functions = std::fs::read_to_string(fixture("store/kept.sql")).expect("the fixture is UTF-8");
    let quantities: BTreeMap<String, BTreeMap<String, String>> =
        serde_yaml::from_str(&yaml).expect("the fixture is a map of maps");
    let ask = |(name, queries): (String, BTreeMap<String, String>)| {
        let known = queries.iter().filter(|(since, _)| numbers(since) <= numbers(release));
        let (_, sql) = known.max_by_key(|(since, _)| numbers(since))?;
        Some((name, store.psql(&format!("{functions}{sql}"))))
    };
    quantities.into_iter().filter_map(ask).collect()
}

/// The schema as `pg_dump -s` shows it after a dump and a restore, which remove the traces of dropped columns. Names of
/// NOT NULL constraints are removed. Before PostgreSQL 18 they have no names. On 18, an archive and the migrations give
/// them different names, because migrations rename tables and columns.
#[track_caller]
pub(crate) fn schema_of(database: &Database) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let archive = directory.path().join("schema.dump");
    database.dump_through_pipe(&["-s"], &archive);
    let copy = Database::create_on(&database.server, "schema");
    copy.restore_with_pg_restore(&archive, &[]);
    without_names_of_not_null(&copy.dump(&["-s"]))
}

/// `id bigint CONSTRAINT old_id_not_null NOT NULL` -> `id bigint NOT NULL`
pub(crate) fn without_names_of_not_null(dump: &str) -> String {
    let without = |line: &str| {
        let (column, constraint) = line.split_once(" CONSTRAINT ")?;
        let (name, rest) = constraint.split_once(" NOT NULL")?;
        // Names in the store need no quotes.
        (!name.contains(' ')).then(|| format!("{column} NOT NULL{rest}"))
    };
    dump.lines().map(|line| without(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// The schema that all migrations up to this release make in an empty database. Made once for all tests.
#[track_caller]
pub(crate) fn schema_at(server: &Server, release: &str) -> String {
    let directory = shared::once(server, &format!("schema-{release}"), |directory| {
        let empty = Database::create_on(server, "migrated");
        apply_migrations(&empty, release);
        std::fs::write(directory.join("schema.sql"), schema_of(&empty)).expect("a file can be written");
    });
    std::fs::read_to_string(directory.join("schema.sql")).expect("it was written as UTF-8")
}
