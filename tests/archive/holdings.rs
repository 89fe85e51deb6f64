//! Counts the data of each instance of a backup, with PostgreSQL as the oracle.

use crate::support::Database;
use crate::support::store::Backup;
use pgmig_core::backup::{Holdings, Source};
use pgmig_core::instance::{Alias, Instance, Mapping};
use pgmig_core::progress::NoProgress;
use std::path::Path;
use std::sync::Arc;

/// Opens the archive and counts its data.
fn survey(archive: &Path) -> (Vec<Instance>, Holdings) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let backup = pgmig_core::backup::Backup::open(Source::File(archive.to_owned()), None).await.unwrap();
        let holdings = backup.holdings(Arc::new(NoProgress)).await.unwrap();
        (backup.instances().to_vec(), holdings)
    })
}

/// The rows of each table that contain the instance's ID or alias as a whole token in PostgreSQL's text of the row.
fn rows_in(database: &Database, instance: &Instance) -> Vec<(String, u64)> {
    let aliases = instance.aliases.iter().filter(|alias| !matches!(alias, Alias::Other(_)));
    let names: Vec<String> = aliases.map(ToString::to_string).chain([instance.id.to_string()]).collect();
    let pattern = format!("(^|[^0-9A-Za-z])({})($|[^0-9A-Za-z])", names.join("|"));
    let tables = database.psql(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1",
    );
    let count = |table: &str| {
        let sql =
            format!("SELECT count(*) FROM (SELECT t::text AS r FROM {table} t) AS s WHERE r ~* '{pattern}'");
        database.psql(&sql).trim().parse::<u64>().unwrap()
    };
    let counted = tables.lines().map(|table| (table.to_owned(), count(table)));
    counted.filter(|(_, rows)| *rows > 0).collect()
}

#[track_caller]
fn assert_counts(archive: &Path, database: &Database) {
    let (instances, holdings) = survey(archive);
    assert_eq!(instances.len(), 6);
    for instance in &instances {
        let mut found: Vec<_> =
            holdings.of(instance.id).iter().map(|held| (held.table.clone(), held.rows)).collect();
        found.sort();
        let expected = rows_in(database, instance);
        assert!(expected.len() > 3, "{expected:?}");
        assert_eq!(found, expected, "{}", instance.label());
        assert_eq!(holdings.rows(instance.id), expected.iter().map(|(_, rows)| rows).sum::<u64>());
    }
}

#[test]
fn rows_are_counted_by_instance_and_table() {
    let backup = Backup::of_oldest_release();
    assert_counts(&backup.archive, &backup.source);
}

#[test]
fn insert_statements_count_as_rows_do() {
    let backup = Backup::of_oldest_release();
    let directory = tempfile::tempdir().unwrap();
    for args in [&["--inserts"][..], &["--column-inserts"], &["--rows-per-insert=7"]] {
        let archive = directory.path().join("inserts.dump");
        backup.source.dump_through_pipe(args, &archive);
        assert_counts(&archive, &backup.source);
    }
}

#[test]
fn of_a_pipe_nothing_is_known_beforehand() {
    let backup = Backup::of_oldest_release();
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let bytes = std::fs::read(&backup.archive).unwrap();
    let writer = {
        let pipe = pipe.clone();
        // The reader closes the pipe before it has read everything.
        std::thread::spawn(move || drop(std::fs::write(pipe, bytes)))
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let opened = pgmig_core::backup::Backup::open(Source::File(pipe), None).await.unwrap();
        assert!(opened.is_stream() && opened.profile().is_some() && opened.instances().is_empty());
        assert!(opened.uncovered(&Mapping::default()).is_empty());
        let holdings = opened.holdings(Arc::new(NoProgress)).await.unwrap();
        assert_eq!(holdings.rows("00000000-0000-0000-0000-001570184978".parse().unwrap()), 0);
    });
    writer.join().unwrap();
}
