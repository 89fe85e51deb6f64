//! Rows and large objects: those that are there are not loaded again, and none is left out.

use super::{Case, left_staging, report};
use crate::support::session::wait_until;
use serde_json::Value;

/// More than 32 MiB of rows, which are committed in parts and shared by connections, and small tables.
const BIG: &str = "
    CREATE TABLE big (id int PRIMARY KEY, note text NOT NULL);
    INSERT INTO big SELECT n, repeat(md5(n::text), 10 + n % 30) FROM generate_series(1, 130000) n;
    CREATE INDEX big_id ON big (id, length(note));
    CREATE TABLE one (id int PRIMARY KEY, big int REFERENCES big);
    INSERT INTO one SELECT n, n FROM generate_series(1, 1000) n;
    CREATE TABLE empty (id int)";

/// Rows that the record of a staging database says are there.
const ACKNOWLEDGED: &str = "SELECT coalesce(sum((body::json ->> 'acknowledged')::bigint), 0) \
                            FROM pgmig_resume.done WHERE unit LIKE 'rows %'";

/// Kills a restore with so many connections once a part of `big` is committed, and goes on with others.
#[track_caller]
fn killed_in_the_middle(jobs: &str, jobs_then: &str) {
    let case = Case::of(BIG);
    let running = case.pgmig().args(["--jobs", jobs, "--verify=full"]).spawn();
    wait_until(|| {
        let name = super::staging(&case.target);
        let sql = "SELECT 1 FROM pgmig_resume.done WHERE unit LIKE 'rows %' \
                   AND (body::json ->> 'acknowledged')::int > 1000 LIMIT 1";
        let staging = crate::support::Database::shared(&case.target.server, &name);
        !name.is_empty() && staging.try_psql(sql).stdout.starts_with(b"1")
    });
    running.signal("KILL");
    running.wait().expect_killed();
    let left = left_staging(&case.target);
    let there: u64 = left.psql(ACKNOWLEDGED).trim().parse().unwrap();
    let counted = left.psql("SELECT count(*) FROM big") + &left.psql("SELECT count(*) FROM one");
    let counted: u64 = counted.lines().map(|count| count.parse::<u64>().unwrap()).sum();
    assert_eq!(there, counted, "the record does not agree with the rows");
    let arguments = ["--resume", "--jobs", jobs_then, "--verify=full", "--output", "json"];
    let outcome = case.pgmig().args(arguments).run().expect_status(0);
    let document = report(&outcome);
    assert_eq!(document["row_comparison"]["rows"], 131_000, "{outcome}");
    assert_eq!(document["resumed"]["rows"], there, "{outcome}");
    let tables = document["tables"].as_array().unwrap();
    let sum = |of: &str| tables.iter().map(|table| table[of].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("rows"), sum("resumed_rows")), (131_000, there), "{outcome}");
    case.is_restored();
    let distinct = "SELECT count(*), count(DISTINCT id), sum(hashtext(b::text)::bigint) FROM big b";
    assert_eq!(case.target.psql(distinct), case.source.psql(distinct));
}

#[test]
fn of_a_big_table_by_one_connection() {
    killed_in_the_middle("1", "1");
    killed_in_the_middle("1", "4");
}

#[test]
fn of_a_big_table_by_several_connections() {
    killed_in_the_middle("2", "2");
    killed_in_the_middle("4", "1");
}

/// What the connections of the second run copy is only what was missing.
#[test]
fn are_not_sent_twice() {
    let case = Case::of(BIG);
    case.pgmig().args(["--jobs", "2", "--verify=full"]).failpoint("privileges:kill").run().expect_killed();
    let resumed = ["--resume", "--jobs", "2", "--verify=full", "--output", "json"];
    let outcome = case.pgmig().args(resumed).run().expect_status(0);
    // The digests of complete tables are in the record.
    assert_eq!(report(&outcome)["row_comparison"]["rows"], 131_000, "{outcome}");
    let tables = report(&outcome)["tables"].as_array().cloned().unwrap_or_default();
    assert_eq!(tables.len(), 3, "{outcome}");
    for table in tables {
        assert_eq!(table["rows"], table["resumed_rows"], "{outcome}");
    }
    case.is_restored();
}

/// Migrations change rows. They were compared before.
#[test]
fn are_compared_before_migrations_only() {
    for step in ["post-data", "upgrade", "verify", "analyze"] {
        let store = super::Store::new("compared_resumed");
        let killed = store.pgmig().arg("--verify=full").failpoint(&format!("{step}:kill")).run();
        killed.expect_killed();
        let outcome =
            store.pgmig().args(["--resume", "--verify=full", "--output", "json"]).run().expect_status(0);
        let document = report(&outcome);
        let is_built = document["resumed"]["is_built"] == true;
        assert_eq!(document["row_comparison"].is_null(), is_built, "{step}: {outcome}");
        store.is_restored();
    }
}

#[test]
fn as_insert_statements() {
    let mut case = Case::of(
        "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 3000);
         CREATE TABLE b (id int); INSERT INTO b SELECT generate_series(1, 3000); CREATE TABLE c (id int)",
    );
    let archive = case.archive.with_file_name("inserts.dump");
    case.source.dump_through_pipe(&["--inserts"], &archive);
    case.archive = archive;
    for step in ["data", "post-data"] {
        case.pgmig().arg("--resume").failpoint(&format!("{step}:kill")).run().expect_killed();
    }
    case.pgmig().arg("--resume").run().expect_status(0);
    case.is_restored();
}

#[test]
fn of_scripts_and_directories() {
    for (format, name) in
        [("--format=plain", "t.sql"), ("--format=tar", "t.tar"), ("--format=directory", "t.dir")]
    {
        let case = Case::of(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 3000);
             CREATE TABLE b (id int REFERENCES a); INSERT INTO b SELECT generate_series(1, 3000)",
        );
        let archive = case.archive.with_file_name(name);
        let file = format!("--file={}", archive.display());
        case.target.server.run_program("pg_dump", [format, &file, &case.source.name]);
        for step in ["data", "post-data", "verify"] {
            case.of_archive(&archive)
                .arg("--resume")
                .failpoint(&format!("{step}:kill"))
                .run()
                .expect_killed();
        }
        case.of_archive(&archive).arg("--resume").run().expect_status(0).stderr_has("going on with");
        case.is_restored();
    }
}

/// Several pieces of large objects, some of which fill several.
#[test]
fn of_large_objects() {
    let case = Case::of(
        "SELECT lo_from_bytea(0, decode(repeat(md5(n::text), n * 700), 'hex')) FROM generate_series(1, 60) n;
         SELECT lo_from_bytea(0, '') FROM generate_series(1, 10); CREATE TABLE t AS SELECT 1 AS a",
    );
    let running = case.pgmig().spawn();
    wait_until(|| {
        let name = super::staging(&case.target);
        let sql = "SELECT 1 FROM pgmig_resume.done WHERE unit LIKE 'objects %' LIMIT 1";
        let staging = crate::support::Database::shared(&case.target.server, &name);
        !name.is_empty() && staging.try_psql(sql).stdout.starts_with(b"1")
    });
    running.signal("KILL");
    running.wait();
    let outcome = case.pgmig().args(["--resume", "--output", "json"]).run().expect_status(0);
    assert_eq!(report(&outcome)["large_objects"]["count"], 70, "{outcome}");
    let sum =
        "SELECT count(*), sum(hashtext(encode(lo_get(oid), 'hex'))::bigint) FROM pg_largeobject_metadata";
    assert_eq!(case.target.psql(sum), case.source.psql(sum));
    super::nothing_left(&case.target);
}

/// IDs that the first run replaced are in the report of the second.
#[test]
fn are_counted_with_their_replacements() {
    let (whole, resumed) = (super::Store::new("replaced"), super::Store::new("replaced_resumed"));
    let whole = report(&whole.pgmig().args(["--output", "json"]).run().expect_status(0));
    resumed.pgmig().failpoint("verify:kill").run().expect_killed();
    let again = resumed.pgmig().args(["--resume", "--output", "json"]).run().expect_status(0);
    let again = report(&again);
    let sorted = |document: &Value| {
        let tables = document["tables"].as_array().cloned().unwrap_or_default();
        let mut tables: Vec<String> = tables
            .into_iter()
            .map(|mut table| {
                table["resumed_rows"] = Value::Null;
                table.to_string()
            })
            .collect();
        tables.sort();
        tables
    };
    assert_eq!(sorted(&whole), sorted(&again));
    for member in [
        "ddl_replacements",
        "large_objects",
        "large_object_ids",
        "instances",
        "source_version",
        "target_version",
    ] {
        assert_eq!(whole[member], again[member], "{member}");
    }
    let count = |document: &Value| document["migrations"].as_array().map(Vec::len);
    assert_eq!(count(&whole), count(&again));
    resumed.is_restored();
}
