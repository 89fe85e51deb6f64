//! Compares a restore with a mapping with a restore under the backup's own IDs. `support::replacement` replaces the IDs
//! of the second one independently. Tables, definitions and reported counts must agree.

use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::relation::{Kind, Relation, Row};
use crate::support::replacement::{Replacement, Tenant};
use crate::support::store::{Backup, OLDEST, apply_migrations};
use crate::support::{Database, Outcome, Pgmig, Server};
use pgmig_core::backup::Source;
use pgmig_core::instance::Mapping;
use pgmig_core::restore::{Erase, Instances, Restore, RestoreOptions, RestoreReport, StrategyChoice};
use pgmig_core::server::{TargetConfig, TargetEnvironment};
use std::collections::BTreeMap;
use std::path::Path;

/// Live tenants of the corpus.
const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
const B: &str = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";
const C: &str = "00000000-0000-0000-0000-001570190213";
const NEW: &str = "00000000-0000-0000-0000-001570194490";
/// The alias of A.
const ALIAS_OF_A: &str = "00000000-0000-0000-0000-001570184978";
const B_UPPER: &str = "9D3A7E54-5C2B-4F7C-8E21-0B6A5D4C3B02";

/// Exchanges two instances.
const SWAP: [(&str, &str); 3] = [(A, B), (B_UPPER, A), (C, NEW)];
/// Gives each instance the ID of the next one.
const CHAIN: [(&str, &str); 3] = [(A, B), (B, C), (C, NEW)];

#[test]
fn archive_of_15() {
    check_corpus("15_pipe_gz", &CHAIN);
}

#[test]
fn archive_of_10() {
    check_corpus("10_pipe_gz", &SWAP);
}

#[test]
fn archive_of_9_5() {
    check_corpus("9.5_file_gz", &CHAIN);
}

#[test]
fn rows_loaded_through_the_partition_root() {
    check_corpus("13_part_root", &SWAP);
}

#[test]
fn insert_statements() {
    check_corpus("15_inserts", &CHAIN);
}

#[test]
fn insert_statements_with_columns() {
    check_corpus("15_column_inserts", &SWAP);
}

#[test]
fn in_place() {
    check_corpus_by(StrategyChoice::InPlace, "15_pipe_gz", &CHAIN);
    check_corpus_by(StrategyChoice::InPlace, "15_inserts", &CHAIN);
    check_corpus_by(StrategyChoice::InPlace, "13_part_root", &SWAP);
}

#[test]
fn instances_mapped_by_their_aliases() {
    check_corpus("15_file_z0", &[(ALIAS_OF_A, NEW), (B, A), (C, B)]);
}

/// In an archive without instances, only the mapping decides.
#[test]
fn long_rows_without_instances() {
    let found = check(&fixture("archives/longline_gz_15.dump"), &[(ALIAS_OF_A, NEW), (C, A)], || {
        Database::create("rewriting")
    });
    assert!(found.replaced > 0);
}

/// The reference store at its oldest release, whose aliases are numbers. The target has the same release.
#[test]
fn reference_store() {
    let backup = Backup::of_oldest_release();
    let (one, other) = ("00000000-0000-0000-0000-001570184978", "00000000-0000-0000-1764-035503433645");
    let mapping = [(one, other), (other, one), ("e10001eb-6272-453a-bb43-3dcf0e765892", NEW)];
    let found = check(&backup.archive, &mapping, || {
        let target = Database::create("rewriting");
        apply_migrations(&target, OLDEST);
        target
    });
    let aliases = "SELECT tenant_id, instance_id FROM store.tenant \
                   WHERE deleted IS NOT TRUE AND region NOT IN ('monitoring', 'System') ORDER BY tenant_id";
    let expected = [(one, "1570184978"), (NEW, NEW), (other, "1764035503433645")];
    let expected: String = expected.iter().map(|(id, alias)| format!("{id}|{alias}\n")).collect();
    assert_eq!(found.mapped.psql(aliases), expected);
}

/// IDs with every possible neighbour, in text and in JSON, in partitions of every kind. The data are COPY rows or
/// INSERT statements, also through the root tables.
#[test]
fn neighbours_and_partitions() {
    let source = Database::create("borders");
    source.psql(&std::fs::read_to_string(fixture("rewriting/borders.sql")).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("borders.dump");
    for options in [&[][..], &["--inserts"], &["--column-inserts"], &["--load-via-partition-root"]] {
        source.dump_through_pipe(options, &archive);
        let found = check(&archive, &[(A, B), (B_UPPER, A)], || Database::create("rewriting"));
        assert!(found.replaced > 1000, "{} replacements", found.replaced);
        let bounds = "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname ~ '^by_.*_(one|middle|0)$' ORDER BY 1";
        let expected = format!(
            "by_hash_0|FOR VALUES WITH (modulus 2, remainder 0)\n\
             by_list_one|FOR VALUES IN ('{B}', 'x{A}')\n\
             by_range_middle|FOR VALUES FROM ('{A}') TO ('{B}')\n"
        );
        assert_eq!(found.mapped.psql(bounds), expected);
    }
}

/// Data that precede the table of instances must not name an instance by an alias: only that table explains aliases.
#[test]
fn alias_that_comes_too_early_in_a_stream() {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let refuse = |archive: &str, mapping: &[(&str, &str)], place: &str, alias: &str| {
        let target = Database::create("stream");
        let archive = fixture(&format!("archives/{archive}.dump"));
        let outcome =
            from_stdin(&archive, &target, mapping).expect_status(3).stderr_has("restore from a file");
        outcome.stderr_has(&format!("{place} refers to an instance by {alias}"));
        assert_eq!(Relation::all(&target).len(), 0);
    };
    // In definitions.
    refuse("15_pipe_gz", &CHAIN, "FUNCTION store.is_default(uuid)", ALIAS_OF_A);
    let alias_of_b = "e10001eb-6272-453a-bb43-3dcf0e765892";
    let by_alias = [(ALIAS_OF_A, NEW), (B, A), (C, B)];
    refuse("15_pipe_gz", &by_alias, "FUNCTION store.tenant_of(uuid)", A);
    // In rows of a table that comes first.
    let early_rows = Database::create("early");
    early_rows.psql(&format!(
        "CREATE SCHEMA store;
         CREATE TABLE store.tenant (tenant_id uuid, instance_id text, name text, region text, deleted boolean);
         CREATE TABLE store.early (note text);
         CREATE TABLE store.zlate (note text);
         INSERT INTO store.tenant VALUES ('{B}', '{alias_of_b}', 'b', 'eu-de', NULL);
         INSERT INTO store.zlate VALUES ('{alias_of_b}'), ('{B}');"
    ));
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("early.dump");
    early_rows.dump_through_pipe(&[], &archive);
    let notes = "SELECT note FROM store.early UNION ALL SELECT note FROM store.zlate";
    let target = Database::create("stream");
    from_stdin(&archive, &target, &[(B, NEW)]).expect_status(0);
    assert_eq!(target.psql(notes), format!("{NEW}\n{NEW}\n"), "an alias that comes later is known");

    early_rows.psql(&format!("INSERT INTO store.early VALUES ('{alias_of_b}')"));
    early_rows.dump_through_pipe(&[], &archive);
    let target = Database::create("stream");
    let outcome = from_stdin(&archive, &target, &[(B, NEW)]).expect_status(3);
    outcome.stderr_has(&format!("table store.early refers to an instance by {alias_of_b}"));
    // The remedies that the message names: use the alias as the key, or restore from a file.
    early_rows.psql(&format!("DELETE FROM store.zlate WHERE note = '{B}'"));
    early_rows.dump_through_pipe(&[], &archive);
    from_stdin(&archive, &target, &[(alias_of_b, NEW)]).expect_status(0);
    assert_eq!(target.psql(notes), format!("{NEW}\n{NEW}\n"));
    check(&archive, &[(B, NEW)], || Database::create("rewriting"));
}

/// Standard input gives the same result as a file.
#[test]
fn stream_and_file_give_the_same() {
    let backup = Backup::of_oldest_release();
    let pairs: Vec<_> =
        backup.mapping.iter().map(|(source, target)| (source.as_str(), target.as_str())).collect();
    let target = || {
        let target = Database::create("stream");
        apply_migrations(&target, OLDEST);
        target
    };
    let (by_file, by_stream) = (target(), target());
    restore(&backup.archive, &by_file, Instances::Map(read_mapping(&pairs)));
    from_stdin(&backup.archive, &by_stream, &pairs).expect_status(0);
    assert!(by_file.dump(&[]) == by_stream.dump(&[]), "the dumps differ");
}

/// This runs the program `pgmig`, because the library would read the standard input of the test process.
fn from_stdin(archive: &Path, target: &Database, mapping: &[(&str, &str)]) -> Outcome {
    let pgmig = Pgmig::new().target(&TargetFile::of(target)).mapping(mapping);
    pgmig.args(["--force", "--source", "-"]).stdin(archive).run()
}

/// The results of one check, for further checks.
struct Found {
    mapped: Database,
    /// Replacements in rows and in definitions.
    replaced: u64,
}

fn check_corpus(archive: &str, mapping: &[(&str, &str)]) {
    check_corpus_by(StrategyChoice::Auto, archive, mapping);
}

fn check_corpus_by(strategy: StrategyChoice, archive: &str, mapping: &[(&str, &str)]) {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let archive = fixture(&format!("archives/{archive}.dump"));
    let found = check_by(strategy, &archive, mapping, || Database::create("rewriting"));
    assert!(found.replaced > 200, "{} replacements", found.replaced);
}

/// Restores an archive with a mapping and under its own IDs, each into its own target, and compares the results.
fn check(archive: &Path, mapping: &[(&str, &str)], target: impl Fn() -> Database) -> Found {
    check_by(StrategyChoice::Auto, archive, mapping, target)
}

/// Does the same. The restore with the mapping uses this strategy.
fn check_by(
    strategy: StrategyChoice,
    archive: &Path,
    mapping: &[(&str, &str)],
    target: impl Fn() -> Database,
) -> Found {
    let (kept, mapped) = (target(), target());
    restore(archive, &kept, Instances::Keep);
    let report = restore_by(strategy, archive, &mapped, Instances::Map(read_mapping(mapping)));
    let replacement = Replacement::new(mapping, &tenants(&kept));
    let counts = compare_rows(&kept, &mapped, &replacement);
    assert_eq!(reported(&report), counts, "replacements by table and column");
    let in_definitions = compare_definitions(&kept, &mapped, &replacement);
    assert_eq!(report.ddl_replacements, in_definitions, "replacements in definitions");
    let objects = "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid";
    assert_eq!(kept.psql(objects), mapped.psql(objects), "large objects");
    Found { mapped, replaced: counts.values().sum::<u64>() + in_definitions }
}

fn restore(archive: &Path, target: &Database, instances: Instances) -> RestoreReport {
    restore_by(StrategyChoice::Auto, archive, target, instances)
}

fn restore_by(
    strategy: StrategyChoice,
    archive: &Path,
    target: &Database,
    instances: Instances,
) -> RestoreReport {
    let yaml = TargetFile::of(target).to_yaml();
    let config =
        TargetConfig::from_yaml(&yaml, "postgres.yaml".as_ref(), &TargetEnvironment::default()).unwrap();
    let mut options = RestoreOptions::new(instances);
    options.erase = Erase::Allow;
    // An archive without a table of instances need not hold all of them.
    options.allow_unused_sources = true;
    options.strategy = strategy;
    let source = Source::File(archive.to_owned());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let restored = runtime.block_on(async {
        let backup = pgmig_core::backup::Backup::open(source, None).await?;
        let restore = Restore::of(backup, config, options).prepare().await?;
        restore.run().await
    });
    restored.unwrap_or_else(|error| panic!("{}: {error}", archive.display()))
}

fn read_mapping(pairs: &[(&str, &str)]) -> Mapping {
    let lines: String = pairs.iter().map(|(source, target)| format!("  {source}: {target}\n")).collect();
    Mapping::from_yaml(&format!("instance-mappings:\n{lines}"), "enteredMapping.yaml").unwrap()
}

/// The tenants of a store; empty if the database holds no store.
fn tenants(database: &Database) -> Vec<Tenant> {
    if database.psql("SELECT to_regclass('store.tenant')").trim().is_empty() {
        return Vec::new();
    }
    let rows = database.psql("SELECT tenant_id, instance_id FROM store.tenant");
    let tenant = |line: &str| {
        let (id, alias) = line.split_once('|').unwrap();
        Tenant { id: id.to_owned(), alias: alias.to_owned() }
    };
    rows.lines().map(tenant).collect()
}

/// Replacements by table and column.
type Counts = BTreeMap<(String, String), u64>;

fn reported(report: &RestoreReport) -> Counts {
    let mut counts = Counts::new();
    for table in &report.tables {
        for column in &table.replacements {
            *counts.entry((table.table.clone(), column.column.clone())).or_default() += column.count;
        }
    }
    counts
}

/// Compares all rows. Returns the number of replacements in each table's part of the dump.
#[track_caller]
fn compare_rows(kept: &Database, mapped: &Database, replacement: &Replacement) -> Counts {
    let (relations, same) = (Relation::all(kept), Relation::all(mapped));
    let names = |relations: &[Relation]| relations.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&relations), names(&same));
    let mut counts = Counts::new();
    for relation in &relations {
        let (mut expected, of_columns) = replaced(relation, relation.rows(kept), replacement);
        if matches!(relation.kind, Kind::Table | Kind::Partition) {
            counts.extend(of_columns);
        }
        // Rows move from partition to partition. A query of the root returns all of them.
        if relation.kind != Kind::Partition {
            let mut found = relation.rows(mapped);
            expected.sort();
            found.sort();
            assert_rows(&relation.name, &expected, &found);
        }
    }
    counts
}

fn replaced(relation: &Relation, rows: Vec<Row>, replacement: &Replacement) -> (Vec<Row>, Counts) {
    let mut counts = Counts::new();
    let mut replace = |index: usize, value: String| {
        let column = &relation.columns[index];
        let is_alias = relation.name == "store.tenant" && column.name == "instance_id";
        let (value, count) = match (column.is_json, is_alias) {
            (true, _) => replacement.in_json(&value),
            (false, true) => replacement.in_alias(&value),
            (false, false) => replacement.in_text(&value),
        };
        if count > 0 && !column.is_generated {
            *counts.entry((relation.name.clone(), column.name.clone())).or_default() += count;
        }
        value
    };
    let row = |row: Row| {
        let values = row.into_iter().enumerate();
        values.map(|(index, value)| value.map(|value| replace(index, value))).collect()
    };
    (rows.into_iter().map(row).collect(), counts)
}

#[track_caller]
fn assert_rows(table: &str, expected: &[Row], found: &[Row]) {
    assert_eq!(expected.len(), found.len(), "rows of {table}");
    if let Some((expected, found)) = expected.iter().zip(found).find(|(expected, found)| expected != found) {
        let short = |row: &Row| format!("{row:?}").chars().take(2000).collect::<String>();
        panic!("{table}: expected {}\nfound {}", short(expected), short(found));
    }
}

/// Compares the definitions, by pg_dump. Returns the number of replacements in them, including bounds of LIST
/// partitions.
#[track_caller]
fn compare_definitions(kept: &Database, mapped: &Database, replacement: &Replacement) -> u64 {
    let (kept, mapped) = (kept.dump(&["--schema-only"]), mapped.dump(&["--schema-only"]));
    let (mut expected, mut count) = (String::new(), 0);
    for line in kept.split_inclusive('\n') {
        // Bounds of RANGE partitions are unchanged, because their order matters.
        let (line, replaced) = match line.contains(" FOR VALUES FROM (") {
            true => (line.to_owned(), 0),
            false => replacement.in_text(line),
        };
        expected += &line;
        count += replaced;
    }
    let different = expected.lines().zip(mapped.lines()).find(|(expected, found)| expected != found);
    assert_eq!(different, None, "definitions");
    assert_eq!(expected.len(), mapped.len(), "definitions");
    count
}
