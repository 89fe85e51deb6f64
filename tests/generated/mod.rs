//! Millions of generated rows: what PostgreSQL returns from a restored database is what it returns from the source,
//! rewritten by `support::replacement`, which follows the definition slowly and on decoded values.
//!
//! `PGMIG_GENERATED_ROWS` says how many rows in all. A case that fails is printed with its seed, which determines
//! its rows, and kept in `proptest-regressions/`, from where it is tried first the next time.

mod case;
mod random;
mod rows;
mod types;
mod values;

use crate::support::pgmig::TargetFile;
use crate::support::replacement::{Replacement, Tenant};
use crate::support::{Database, Server};
use case::{Case, Instance, Partitions, Role, any_case};
use pgmig_core::instance::Mapping;
use pgmig_core::profile::Profile;
use pgmig_core::progress::NoProgress;
use pgmig_core::restore::{
    Backup, Erase, Instances, Replacements, Restore, RestoreOptions, RestoreReport, Source,
};
use pgmig_core::target::{TargetConfig, TargetEnvironment};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use random::Random;
use rows::Rows;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use types::{Features, Part, Reading, Type};
use values::{Values, copy_row};

/// Rows in all, unless told otherwise.
const ROWS: usize = 2_000_000;
/// Cases that they are distributed over.
const CASES: u32 = 20;
/// Rows of each case with INSERT statements, of which a server takes less.
const INSERTED_ROWS: usize = 4_000;
const INSERT_CASES: u32 = 6;

/// Seeds of cases that failed once.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/generated.txt");

#[test]
fn copy_data() {
    let rows =
        std::env::var("PGMIG_GENERATED_ROWS").map_or(ROWS, |rows| rows.parse().expect("a number of rows"));
    let per_case = rows.div_ceil(usize::try_from(CASES).unwrap());
    let compared = check_cases(CASES, per_case, |case| case.clone());
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

/// Checks so many cases and returns how many rows were compared.
fn check_cases(cases: u32, rows: usize, adapt: impl Fn(&Case) -> Case) -> usize {
    let server = Server::of_this_run();
    let config = Config {
        cases,
        // A case takes seconds, and the message has the value that is wrong.
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

/// Restores a generated database, and compares; returns how many rows it has.
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

/// Makes the tables and their rows.
fn fill(case: &Case, source: &Database, rows: usize) {
    let instances = case.instances();
    let ids: Vec<_> = instances.iter().map(|instance| instance.id.to_owned()).collect();
    if case.escape_format {
        source.psql(&format!("ALTER DATABASE \"{}\" SET bytea_output = 'escape'", source.name));
    }
    let mut types = String::new();
    if case.columns.iter().any(|column| column.kind == Type::Hstore) {
        types += "CREATE EXTENSION hstore SCHEMA public;\n";
    }
    let columns: Vec<_> = case
        .named_columns()
        .map(|(name, column)| format!("{name} {}", column.kind.make(&format!("t_{name}"), &ids, &mut types)))
        .collect();
    let by = match case.partitions {
        Partitions::None => "",
        Partitions::List | Partitions::Nested => "PARTITION BY LIST (c0)",
        Partitions::Range => "PARTITION BY RANGE (c0)",
        Partitions::Hash => "PARTITION BY HASH (c0)",
    };
    source.psql(&format!(
        "CREATE SCHEMA gen; SET xmloption = content;
         CREATE TABLE gen.tenant (tenant_id uuid, instance_id text, name text, region text, deleted boolean);
         {types}
         CREATE TABLE gen.t (k int, {}, doubled text GENERATED ALWAYS AS (c1 || '-' || c1) STORED) {by};
         {}",
        columns.join(", "),
        partitions(case.partitions)
    ));
    let mut tenants = String::new();
    for (at, instance) in instances.iter().enumerate() {
        let deleted = if instance.target.is_some() { "f" } else { "t" };
        let Instance { id, alias, .. } = instance;
        tenants += &format!("{id}\t{alias}\tinstance {id}\t{at}\t{deleted}\n");
    }
    copy_in(
        source,
        "gen.tenant",
        &["tenant_id", "instance_id", "name", "region", "deleted"].map(String::from),
        |to| to.write_all(tenants.as_bytes()),
    );
    let mut known = ids.clone();
    known.extend(instances.iter().map(|instance| instance.alias.clone()).filter(|alias| alias.contains('-')));
    known.extend([
        "0a0a0a0a-0a0a-4a0a-8a0a-0a0a0a0a0a0a".to_owned(),
        "c0ffee00-abcd-4abc-8abc-000000000001".to_owned(),
    ]);
    let mut numbers: Vec<_> = (990..1_020).map(|number: u32| number.to_string()).collect();
    numbers.extend(known.iter().cloned());
    let mut values = Values { random: Random::new(case.seed), ids: &known, labels: &ids, numbers: &numbers };
    let names: Vec<_> =
        std::iter::once("k".to_owned()).chain(case.named_columns().map(|(name, _)| name)).collect();
    copy_in(source, "gen.t", &names, |to| {
        for key in 0..rows {
            let key = std::iter::once(Some(key.to_string()));
            let row: Vec<_> = key.chain(case.columns.iter().map(|column| values.of(&column.kind))).collect();
            to.write_all(copy_row(&row).as_bytes())?;
        }
        Ok(())
    });
}

fn partitions(partitions: Partitions) -> String {
    let of = |name: &str, rest: &str| format!("CREATE TABLE gen.{name} PARTITION OF gen.t {rest};\n");
    let some = case::SOURCES[..4].iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    match partitions {
        Partitions::None => String::new(),
        Partitions::List => of("t_some", &format!("FOR VALUES IN ({some})")) + &of("t_others", "DEFAULT"),
        Partitions::Range => {
            let middle = case::SOURCES[1];
            of("t_low", &format!("FOR VALUES FROM (MINVALUE) TO ('{middle}')"))
                + &of("t_high", &format!("FOR VALUES FROM ('{middle}') TO (MAXVALUE)"))
                + &of("t_null", "DEFAULT")
        }
        Partitions::Hash => (0..3)
            .map(|at| of(&format!("t_{at}"), &format!("FOR VALUES WITH (MODULUS 3, REMAINDER {at})")))
            .collect(),
        Partitions::Nested => {
            let mut sql = of("t_some", &format!("FOR VALUES IN ({some}) PARTITION BY HASH (c1)"))
                + &of("t_others", "DEFAULT PARTITION BY HASH (c1)");
            for (parent, at) in
                ["t_some", "t_others"].into_iter().flat_map(|parent| [(parent, 0), (parent, 1)])
            {
                let bound = format!("FOR VALUES WITH (MODULUS 2, REMAINDER {at})");
                sql += &format!("CREATE TABLE gen.{parent}_{at} PARTITION OF gen.{parent} {bound};\n");
            }
            sql
        }
    }
}

/// Loads rows, which `write` writes, by psql.
fn copy_in(
    database: &Database,
    table: &str,
    columns: &[String],
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) {
    let copy = format!("COPY {table} ({}) FROM STDIN", columns.join(", "));
    let mut psql = database
        .server
        .program("psql")
        .args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &database.name,
            "-c",
            "SET xmloption = content",
            "-c",
            &copy,
        ])
        .stdin(Stdio::piped())
        .spawn()
        .expect("psql runs");
    let mut stdin = std::io::BufWriter::with_capacity(1 << 18, psql.stdin.take().expect("stdin is piped"));
    let written = write(&mut stdin).and_then(|()| stdin.flush());
    drop(stdin);
    assert!(psql.wait().expect("psql ends").success(), "{copy}");
    written.unwrap();
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
    options.profile = Some(profile.clone());
    let source = Source::File(archive.to_owned());
    let restored = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let backup = Backup::open(source, Some(profile)).await?;
        let restore =
            Restore::prepare(backup, config, options, Arc::new(NoProgress), Default::default()).await?;
        restore.run().await
    });
    restored.unwrap_or_else(|error| panic!("{error}\n{case:?}"))
}

/// The profile that says what the columns are.
fn profile(case: &Case, directory: &Path) -> Profile {
    let column = |name: &str, more: &str| format!("- {{schema: gen, table: t, column: {name}{more}}}\n");
    let (mut excluded, mut aliases, mut bytea) = (String::new(), String::new(), String::new());
    let tables = ["t", "t_some", "t_others", "t_low", "t_high", "t_null", "t_0", "t_1", "t_2"];
    let nested = ["t_some_0", "t_some_1", "t_others_0", "t_others_1"];
    for table in tables.iter().chain(&nested) {
        for (name, spec) in case.named_columns() {
            let column = |more: &str| column(&name, more).replace("table: t,", &format!("table: {table},"));
            match (spec.role, &spec.kind) {
                (_, Type::Alias) => aliases += &column(""),
                (Role::Excluded, _) => excluded += &column(""),
                (Role::Rewritten, _) => bytea += &column(", ids: rewrite"),
                (Role::Left, _) => bytea += &column(", ids: leave"),
                (Role::Plain, _) => {}
            }
        }
    }
    let list =
        |name: &str, items: &str| if items.is_empty() { String::new() } else { format!("{name}:\n{items}") };
    let text = format!(
        "name: generated\nschema: gen\ntenant:\n  table: tenant\n  id: tenant_id\n  aliases: [instance_id]\n  name: name\n  \
         region: region\n  deleted: deleted\n{}{}{}",
        list("excluded_columns", &excluded),
        list("alias_columns", &aliases),
        list("bytea_columns", &bytea)
    );
    std::fs::write(directory.join("profile.yaml"), text).unwrap();
    std::fs::write(directory.join("releases.yaml"), "1.0.0: 1\n").unwrap();
    Profile::from_dir(directory).unwrap()
}

/// Occurrences by column.
type Counts = BTreeMap<String, u64>;

/// What must be reported.
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

/// The counts of a report, those of partitions taken together.
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

/// A part of a column's values: the column, the part, what the profile says.
type ColumnPart = (String, Part, Role);

/// Compares a table row by row, and counts; returns how many rows there are.
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

/// A value after the replacement; how many occurrences were replaced, and how many left in bytea.
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

/// The server orders the keys of jsonb and hstore, new ones otherwise than old ones.
fn is_same(reading: Reading, expected: &[u8], found: &[u8]) -> bool {
    let parsed =
        |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("PostgreSQL makes JSON");
    expected == found || (reading == Reading::OrderedJson && parsed(expected) == parsed(found))
}
