//! The source database of a case, and its profile.

use super::case::{self, Case, Instance, Partitions, Role};
use super::types::Type;
use super::values::{Values, copy_row};
use crate::support::Database;
use crate::support::random::Random;
use pgmig_core::profile::Profile;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// Makes the tables and their rows.
pub(super) fn fill(case: &Case, source: &Database, rows: usize) {
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

/// The profile that says what the columns are.
pub(super) fn profile(case: &Case, directory: &Path) -> Profile {
    let column = |name: &str, more: &str| format!("- {{schema: gen, table: t, column: {name}{more}}}\n");
    let (mut excluded, mut aliases, mut bytea) = (String::new(), String::new(), String::new());
    for (name, spec) in case.named_columns() {
        match (spec.role, &spec.kind) {
            (_, Type::Alias) => aliases += &column(&name, ""),
            (Role::Excluded, _) => excluded += &column(&name, ""),
            (Role::Rewritten, _) => bytea += &column(&name, ", ids: rewrite"),
            (Role::Left, _) => bytea += &column(&name, ", ids: leave"),
            (Role::Plain, _) => {}
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
