//! Restores millions of generated rows. PostgreSQL must return the source's rows from the restored database, rewritten
//! by `support::replacement`. That module follows the definition slowly and on decoded values.
//!
//! `PGMIG_GENERATED_ROWS` is the total number of rows. A failed case is printed with its seed, which determines its
//! rows. The seed is kept in `proptest-regressions/` and is tried first in the next run.

#![allow(clippy::print_stdout, reason = "says how many rows were compared, and which types the server has")]

mod case;
mod rows;
mod source;
mod types;
mod values;

use crate::support::pgmig::TargetFile;
use crate::support::random::Random;
use crate::support::replacement::{Replacement, Tenant};
use crate::support::{Database, Server};
use case::{Case, Instance, Partitions, Role, any_case};
use pgmig_core::backup::{Backup, Source};
use pgmig_core::instance::Mapping;
use pgmig_core::restore::{
    Erase, Instances, Replacements, Restore, RestoreOptions, RestoreReport, StrategyChoice,
};
use pgmig_core::server::{TargetConfig, TargetEnvironment};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use rows::Rows;
use source::{fill, profile};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use types::{Features, Part, Reading};

/// The default number of rows of all `copy_data` tests together.
const ROWS: usize = 2_000_000;
/// The `copy_data` tests: each strategy, into a table with and without partitions.
const COPY_TESTS: usize = 4;
/// The number of cases among which the rows of a test are distributed.
const CASES: u32 = 5;
/// The number of rows of each case with INSERT statements, which the server processes more slowly.
const INSERTED_ROWS: usize = 4_000;
const INSERT_CASES: u32 = 6;

/// Seeds of cases that have failed.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/generated.txt");

#[test]
fn copy_data_by_swap() {
    copy_data(StrategyChoice::Swap, false);
}

#[test]
fn copy_data_by_swap_into_partitions() {
    copy_data(StrategyChoice::Swap, true);
}

#[test]
fn copy_data_in_place() {
    copy_data(StrategyChoice::InPlace, false);
}

#[test]
fn copy_data_in_place_into_partitions() {
    copy_data(StrategyChoice::InPlace, true);
}

#[track_caller]
fn copy_data(strategy: StrategyChoice, partitioned: bool) {
    let rows =
        std::env::var("PGMIG_GENERATED_ROWS").map_or(ROWS, |rows| rows.parse().expect("a number of rows"));
    let rows = rows.div_ceil(COPY_TESTS);
    let per_case = rows.div_ceil(usize::try_from(CASES).unwrap());
    let compared = check_cases(CASES, per_case, |case| {
        let case = case.clone().for_strategy(strategy);
        if partitioned { case.with_partitions() } else { Case { partitions: Partitions::None, ..case } }
    });
    println!("{compared} rows compared");
    assert!(compared >= rows);
}

#[test]
fn insert_statements() {
    let forms = [
        &["--inserts"][..],
        &["--column-inserts", "--rows-per-insert=50"],
        &["--inserts", "--rows-per-insert=7"],
    ];
    let compared = check_cases(INSERT_CASES, INSERTED_ROWS, |case| {
        let form = forms[Random::new(case.seed).below(forms.len())];
        Case { dump: form.to_vec(), ..case.clone() }
    });
    println!("{compared} rows compared");
}

/// Checks this many cases. Returns the number of compared rows.
fn check_cases(cases: u32, rows: usize, adapt: impl Fn(&Case) -> Case) -> usize {
    let server = Server::of_this_run();
    let config = Config {
        cases,
        // Shrinking is limited: a case takes seconds, and the message contains the wrong value anyway.
        max_shrink_iters: 15,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    };
    let compared = Cell::new(0);
    let outcome = TestRunner::new(config).run(&any_case(features(&server)), |case| {
        let case = adapt(&case);
        compared.set(compared.get() + check(&case, rows)?);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    compared.get()
}

fn features(server: &Server) -> Features {
    let has = |query: &str| server.psql("postgres", &format!("SELECT EXISTS ({query})")).trim() == "t";
    let features = Features {
        hstore: has("SELECT FROM pg_available_extensions WHERE name = 'hstore'"),
        xml: server.try_psql("postgres", "SELECT '<a/>'::xml").status.success(),
        multiranges: server.major_version() >= 14,
    };
    println!("{features:?}");
    features
}

/// Restores a generated database and compares it. Returns the number of its rows.
fn check(case: &Case, rows: usize) -> Result<usize, TestCaseError> {
    let source = Database::create("generated");
    fill(case, &source, rows);
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("generated.dump");
    source.dump_through_pipe(&case.dump, &archive);
    let target = Database::create("generated");
    let report = restore(case, &archive, &target, directory.path());
    let expected = compare(case, &source, &target, rows)?;
    let found = |of: fn(&pgmig_core::restore::TableReport) -> &[Replacements]| reported(&report, of);
    prop_assert_eq!(found(|table| &table.replacements), expected.replaced, "replacements by column");
    prop_assert_eq!(found(|table| &table.left_in_bytea), expected.left, "occurrences left, by column");
    Ok(rows)
}

fn restore(case: &Case, archive: &Path, target: &Database, directory: &Path) -> RestoreReport {
    let profile = profile(case, directory);
    let lines: String = case
        .instances()
        .iter()
        .filter_map(|instance| Some(format!("  {}: {}\n", instance.id, instance.target.as_ref()?)))
        .collect();
    let mapping = Mapping::from_yaml(&format!("instance-mappings:\n{lines}"), "enteredMapping.yaml").unwrap();
    let yaml = TargetFile::of(target).to_yaml();
    let config =
        TargetConfig::from_yaml(&yaml, "postgres.yaml".as_ref(), &TargetEnvironment::default()).unwrap();
    let mut options = RestoreOptions::new(Instances::Map(mapping));
    options.erase = Erase::Allow;
    options.strategy = case.strategy();
    let source = Source::File(archive.to_owned());
    let restored = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let backup = Backup::open(source, Some(profile)).await?;
        let restore = Restore::of(backup, config, options).prepare().await?;
        restore.run().await
    });
    restored.unwrap_or_else(|error| panic!("{error}\n{case:?}"))
}

/// Occurrences by column.
type Counts = BTreeMap<String, u64>;

/// The counts that the report must contain.
#[derive(Debug, Default)]
struct Expected {
    replaced: Counts,
    left: Counts,
}

impl Expected {
    fn add(counts: &mut Counts, column: &str, count: u64) {
        if count > 0 {
            *counts.entry(column.to_owned()).or_default() += count;
        }
    }
}

/// The counts of a report. The counts of partitions are added up.
fn reported(
    report: &RestoreReport,
    of: impl Fn(&pgmig_core::restore::TableReport) -> &[Replacements],
) -> Counts {
    let mut counts = Counts::new();
    for table in &report.tables {
        let name = if table.table == "gen.tenant" { "tenant" } else { "t" };
        for column in of(table) {
            Expected::add(&mut counts, &format!("{name}.{}", column.column), column.count);
        }
    }
    counts
}

/// Compares all rows of both databases.
fn compare(
    case: &Case,
    source: &Database,
    target: &Database,
    rows: usize,
) -> Result<Expected, TestCaseError> {
    let instances = case.instances();
    let mapping: Vec<_> =
        instances.iter().filter_map(|instance| Some((instance.id, instance.target.as_deref()?))).collect();
    let tenant = |instance: &Instance| Tenant { id: instance.id.to_owned(), alias: instance.alias.clone() };
    let replacement = Replacement::new(&mapping, &instances.iter().map(tenant).collect::<Vec<_>>());
    let mut expected = Expected::default();
    let text = |sql: &str, reading| Part { sql: sql.to_owned(), reading };
    let tenant_parts = [
        ("tenant.tenant_id", text("tenant_id::text", Reading::Text)),
        ("tenant.instance_id", text("instance_id", Reading::Alias)),
        ("tenant.name", text("name", Reading::Text)),
    ];
    let tenant_parts = tenant_parts.map(|(column, part)| (column.to_owned(), part, Role::Plain));
    let compared =
        compare_table(source, target, "gen.tenant", "region", &tenant_parts, &replacement, &mut expected)?;
    prop_assert_eq!(compared, instances.len());
    let mut parts = vec![("t.k".to_owned(), text("k::text", Reading::Text), Role::Plain)];
    for (name, column) in case.named_columns() {
        parts.extend(
            column.kind.parts(&name).into_iter().map(|part| (format!("t.{name}"), part, column.role)),
        );
    }
    let compared = compare_table(source, target, "gen.t", "k", &parts, &replacement, &mut expected)?;
    prop_assert_eq!(compared, rows);
    let wrong = "SELECT count(*) FROM gen.t WHERE doubled IS DISTINCT FROM c1 || '-' || c1";
    prop_assert_eq!(target.psql(wrong), "0\n", "generated columns");
    Ok(expected)
}

/// A part of a column's values: the column, the part, and the profile's setting.
type ColumnPart = (String, Part, Role);

/// Compares a table row by row and counts the replacements. Returns the number of rows.
fn compare_table(
    source: &Database,
    target: &Database,
    table: &str,
    order: &str,
    parts: &[ColumnPart],
    replacement: &Replacement,
    expected: &mut Expected,
) -> Result<usize, TestCaseError> {
    let columns: Vec<_> = parts.iter().map(|(_, part, _)| part.sql.clone()).collect();
    let select = format!("SELECT {} FROM {table} ORDER BY {order}", columns.join(", "));
    let (kept, mut mapped) = (Rows::of(source, &select), Rows::of(target, &select));
    let mut count = 0;
    for kept in kept {
        let Some(mapped) = mapped.next() else { break };
        for (((column, part, role), kept), mapped) in parts.iter().zip(&kept).zip(&mapped) {
            let Some(kept) = kept else {
                prop_assert!(mapped.is_none(), "{column} of row {count} is no longer null");
                continue;
            };
            let (value, replaced, left) = rewritten(kept, part.reading, *role, replacement);
            Expected::add(&mut expected.replaced, column, replaced);
            Expected::add(&mut expected.left, column, left);
            let is_same = mapped.as_ref().is_some_and(|mapped| is_same(part.reading, &value, mapped));
            prop_assert!(
                is_same,
                "{} of row {}\nsource   {}\nexpected {}\nfound    {}",
                part.sql,
                count,
                shown(kept),
                shown(&value),
                mapped.as_deref().map_or("NULL".to_owned(), shown)
            );
        }
        count += 1;
    }
    prop_assert!(mapped.next().is_none(), "there are more rows than in the source");
    Ok(count)
}

fn shown(value: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(value).chars().take(1_000).collect::<String>())
}

/// A value after the replacement, the number of replaced occurrences, and the number of those that stay in bytea.
fn rewritten(value: &[u8], reading: Reading, role: Role, replacement: &Replacement) -> (Vec<u8>, u64, u64) {
    if role == Role::Excluded {
        return (value.to_vec(), 0, 0);
    }
    let text = std::str::from_utf8(value).expect("PostgreSQL returns UTF-8");
    let (new, count) = match reading {
        Reading::Text => replacement.in_text(text),
        Reading::Alias => replacement.in_alias(text),
        Reading::Json | Reading::OrderedJson => replacement.in_json(text),
        Reading::Bytes => {
            let (mut values, mut count) = (Vec::new(), 0);
            for value in text.split(',') {
                let (bytes, found) = replacement.in_bytes(&unhex(value));
                values.push(values::hex(&bytes));
                count += found;
            }
            match role {
                Role::Rewritten => (values.join(","), count),
                Role::Left => return (value.to_vec(), 0, 0),
                Role::Plain | Role::Excluded => return (value.to_vec(), 0, count),
            }
        }
    };
    (new.into_bytes(), count, 0)
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// The server orders the keys of jsonb and hstore. New keys get another order than old ones.
fn is_same(reading: Reading, expected: &[u8], found: &[u8]) -> bool {
    let parsed =
        |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("PostgreSQL makes JSON");
    expected == found || (reading == Reading::OrderedJson && parsed(expected) == parsed(found))
}
