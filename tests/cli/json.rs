//! `--output json`: its documents, the cases without a document, and the truth of the schemas and examples.

use crate::support::document::{check, document};
use crate::support::fixture::repository;
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Outcome, Pgmig};
use serde_json::{Value, json};

/// A restore into this target that reports in JSON.
fn restore(backup: &Backup, target: &Database) -> Pgmig {
    backup.restore_into(target).args(["--output", "json"])
}

#[track_caller]
fn report(outcome: Outcome) -> Value {
    document(&outcome.expect_status(0), "restore")
}

fn number(text: &str) -> u64 {
    text.trim().parse().expect("a number")
}

#[test]
fn a_report_agrees_with_the_database() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("report");
    let erased = number(&target.psql("SELECT count(*) FROM store.tenant"));
    let outcome = restore(&backup, &target).args(["--keep-previous", "--no-progress"]).run();
    let report = report(outcome.keeps_secret(&target.server.password));
    assert_eq!(report["database"], target.name);
    assert_eq!(report["previous_database"], databases_beside(&target).trim());
    // The numbers of rows are those of the backup, before the upgrade.
    let tables = report["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 10);
    for table in tables {
        let name = table["table"].as_str().unwrap();
        let rows = number(&backup.source.psql(&format!("SELECT count(*) FROM {name}")));
        assert_eq!(table["rows"], rows, "{name}");
    }
    let objects = "SELECT count(*) || ' ' || sum(length(lo_get(oid))) FROM pg_largeobject_metadata";
    let (count, bytes) = (&report["large_objects"]["count"], &report["large_objects"]["data_bytes"]);
    assert_eq!(format!("{count} {bytes}"), target.psql(objects).trim());
    // Every mapped row of this table has its ID replaced in this column.
    let ids: Vec<String> = backup.mapping.iter().map(|(source, _)| format!("'{source}'")).collect();
    let mapped = format!("SELECT count(*) FROM store.workspace WHERE tenant_id IN ({})", ids.join(", "));
    let workspace = tables.iter().find(|table| table["table"] == "store.workspace").unwrap();
    let replaced = workspace["replacements"].as_array().unwrap();
    let of_tenant = replaced.iter().find(|column| column["column"] == "tenant_id").unwrap();
    assert_eq!(of_tenant["count"], number(&backup.source.psql(&mapped)));
    let applied = "SELECT count(*) FROM store._sqlx_migrations";
    let migrations = number(&target.psql(applied)) - number(&backup.source.psql(applied));
    assert_eq!(report["migrations"].as_array().unwrap().len() as u64, migrations);
    assert_eq!(report["erased"]["instances"].as_array().unwrap().len() as u64, erased);
    for instance in report["instances"].as_array().unwrap() {
        let id = instance["target"].as_str().unwrap();
        let there = format!("SELECT count(*) FROM store.tenant WHERE tenant_id = '{id}'");
        assert_eq!(target.psql(&there), "1\n", "{id}");
    }
    let previous = databases_beside(&target);
    target.server.psql("postgres", &format!("DROP DATABASE {}", previous.trim()));
}

#[test]
fn quiet_leaves_the_document() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("quiet_json");
    let outcome = restore(&backup, &target).arg("--quiet").run();
    assert_eq!(outcome.stderr, "", "{outcome}");
    report(outcome);
    // The name of a kept database is part of the result.
    let outcome = backup.restore_into(&target).args(["--quiet", "--keep-previous"]).run().expect_status(0);
    let previous = databases_beside(&target);
    let command = format!("pgmig previous rollback {} -t postgres.yaml", previous.trim());
    let kept = format!("The previous database is kept as {}\nTo go back: {command}\n", previous.trim());
    assert_eq!(outcome.stdout, kept);
    assert_eq!(outcome.stderr, "");
    target.server.psql("postgres", &format!("DROP DATABASE {}", previous.trim()));
}

#[test]
fn of_a_stream() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stream_json");
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--source", "-"]);
    let pgmig = backup.map(pgmig.stdin(&backup.archive)).args(["--output", "json"]);
    let report = report(pgmig.run());
    assert_eq!(report["instances"].as_array().unwrap().len(), 6);
}

#[test]
fn a_failure_prints_its_document() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("failed_json");
    let before = Before::of(&target);
    for (failpoint, force, status, code) in
        [("data", true, 1, "failpoint"), ("", false, 3, "target-not-empty")]
    {
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).args(force.then_some("--force"));
        let pgmig = backup.restore(pgmig).args(["--output", "json"]);
        let pgmig = if failpoint.is_empty() { pgmig } else { pgmig.failpoint(failpoint) };
        let outcome = pgmig.run().expect_status(status).stderr_has("error: ");
        let error = document(&outcome, "error");
        assert_eq!((&error["code"], &error["exit_status"]), (&json!(code), &json!(status)), "{outcome}");
        assert_eq!(error["target"], "untouched");
        let message = error["message"].as_str().unwrap().lines().next().unwrap().to_owned();
        assert!(outcome.stderr.contains(&message), "{outcome}");
        before.is_now(outcome);
    }
}

#[test]
fn where_there_is_none_that_is_said() {
    for args in
        [&["--testPGConnection", "--target", "x"][..], &["--testRCConnection", "--resourceController", "x"]]
    {
        let outcome = Pgmig::new().args(args.iter().copied()).args(["--output", "json"]).run();
        let outcome = outcome.expect_status(2).stderr_has("--output json cannot be used with");
        assert_eq!(document(&outcome, "error")["code"], "usage");
    }
    Pgmig::new().args(["--output", "yaml"]).run().expect_status(2).stderr_has("expected text or json");
}

#[test]
fn mistakes_on_the_command_line_have_a_document_too() {
    for (args, status, code) in [
        (&["--sorce", "x", "--output", "json"][..], 2, "usage"),
        (&["--output=json", "-source", "x"], 2, "usage"),
        (&["inspect", "--output", "json"], 2, "usage"),
        (&["--output", "json", "previous", "rolback"], 2, "usage"),
        (&["--output", "json"], 2, "usage"),
        (&["inspect", "nothing.dump", "--output", "json"], 2, "backup-not-found"),
        (&["-s", "nothing.dump", "-t", "postgres.yaml", "--output", "json"], 2, "config-not-found"),
        (&["-s", "x", "-t", "empty.yaml", "--output", "json"], 2, "config-invalid"),
        (&["-s", "x", "-t", "mapping.yaml", "--output", "json"], 2, "config-mixed-up"),
        (&["inspect", "empty.yaml", "--output", "json"], 1, "not-a-backup"),
        (&["releases", "--profile", "nobody", "--output", "json"], 2, "profile-unknown"),
    ] {
        let pgmig = Pgmig::new().file("empty.yaml", "").file("mapping.yaml", "instance-mappings: {}\n");
        let outcome = pgmig.args(args.iter().copied()).run().expect_status(status);
        let error = document(&outcome, "error");
        assert_eq!((&error["code"], &error["exit_status"]), (&json!(code), &json!(status)), "{outcome}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.starts_with("error") && !message.is_empty(), "{outcome}");
    }
    // Without the option, standard output stays empty.
    assert_eq!(Pgmig::new().args(["--sorce", "x"]).run().expect_status(2).stdout, "");
}

#[test]
fn a_command_with_a_result_and_a_failure_prints_the_result_alone() {
    let pgmig = Pgmig::new().file("no.dump", "nothing").args(["verify", "no.dump", "--output", "json"]);
    let result = document(&pgmig.run().expect_status(1), "verify");
    assert_eq!(result["archives"][0]["fault"]["code"], "not-a-backup");
    let doctor = Pgmig::new().args(["doctor", "-t", "nothing.yaml", "--output", "json"]);
    document(&doctor.run().expect_status(3), "diagnosis");
    let backup = Backup::of_oldest_release();
    let target = backup.target("strict_json");
    target.psql(&format!("CREATE ROLE {0}_reader; GRANT SELECT ON store.tenant TO {0}_reader", target.name));
    let dry_run = restore(&backup, &target).args(["--dry-run", "--strict", "--trust-archive"]);
    let outcome = dry_run.run();
    let plan = document(&outcome, "plan");
    let warnings =
        plan["notices"].as_array().unwrap().iter().filter(|notice| notice["severity"] == "warning");
    let expected = if warnings.count() > 0 { json!("strict") } else { Value::Null };
    assert_eq!(plan["error"]["code"], expected, "{outcome}");
    target.psql(&format!("DROP OWNED BY {0}_reader; DROP ROLE {0}_reader", target.name));
}

/// The kinds of documents in the sources of the program, in the schemas, and in the table of both.
#[test]
fn every_kind_of_document_has_a_schema_and_a_line_in_the_table() {
    let root = repository().join("pgmig-cli");
    let mut sources = String::new();
    let mut directories = vec![root.join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => directories.push(entry),
                false => sources += &std::fs::read_to_string(entry).unwrap(),
            }
        }
    }
    let names = std::fs::read_dir(root.join("schemas")).unwrap().map(|file| file.unwrap().file_name());
    let kinds = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".schema.json")?.to_owned()));
    let kinds: Vec<String> = kinds.collect();
    for call in sources.split("print_document(").skip(1) {
        let kind = call.trim_start().strip_prefix('"').and_then(|call| call.split('"').next());
        assert!(kind.is_none_or(|kind| kinds.iter().any(|known| known == kind)), "{kind:?}");
    }
    let table = std::fs::read_to_string(root.join("schemas/README.md")).unwrap();
    // The lines of a file of events are no documents.
    for kind in kinds.iter().filter(|kind| *kind != "event") {
        assert!(sources.contains(&format!("\"{kind}\"")), "no command prints {kind}");
        let schema = std::fs::read_to_string(root.join(format!("schemas/{kind}.schema.json"))).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        assert_eq!(schema["properties"]["kind"]["const"], kind.as_str());
        assert_eq!(schema["properties"]["schema_version"]["const"], 1, "{kind}");
        assert!(
            table.contains(&format!("| `{kind}` | [{kind}.schema.json]({kind}.schema.json) |")),
            "{kind}"
        );
    }
}

/// The fields in which two runs differ: names, sizes, versions and times.
fn without_volatile(mut document: Value) -> Value {
    const VOLATILE: [&str; 17] = [
        "/jobs",
        "/archive/file",
        "/archive/container_version",
        "/archive/created",
        "/archive/database",
        "/archive/server_version",
        "/archive/pg_dump_version",
        "/archive/entries",
        "/archive/archive_bytes",
        "/large_objects/archive_bytes",
        "/target/server",
        "/target/server_version",
        "/target/database",
        "/target/staging_database",
        "/erased/database_bytes",
        "/database",
        "/took_seconds",
    ];
    for pointer in VOLATILE {
        if let Some(value) = document.pointer_mut(pointer) {
            *value = json!("volatile");
        }
    }
    for (array, field) in
        [("tables", "archive_bytes"), ("tables", "data_bytes"), ("migrations", "took_seconds")]
    {
        for element in document[array].as_array_mut().into_iter().flatten() {
            if let Some(value) = element.get_mut(field) {
                *value = json!("volatile");
            }
        }
    }
    // Tables are loaded in the order in which connections become free.
    if let Some(tables) = document["tables"].as_array_mut() {
        tables.sort_by_key(|table| table["table"].to_string());
    }
    document
}

#[test]
fn the_examples_are_what_is_printed() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("examples");
    for (kind, args) in [("plan", &["--dry-run"][..]), ("restore", &[])] {
        let outcome = restore(&backup, &target).args(args.iter().copied()).run().expect_status(0);
        let path = repository().join(format!("pgmig-cli/schemas/examples/{kind}.json"));
        let example = std::fs::read_to_string(&path).unwrap_or_default();
        let example: Value = serde_json::from_str(&example).unwrap_or_default();
        assert!(
            without_volatile(example) == without_volatile(document(&outcome, kind)),
            "{} is another document than this:\n{}",
            path.display(),
            outcome.stdout
        );
    }
}

#[test]
fn the_schemas_refuse_what_they_do_not_describe() {
    for kind in ["plan", "restore"] {
        let path = repository().join(format!("pgmig-cli/schemas/examples/{kind}.json"));
        let example: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        check(&example, kind).expect("the example is of its schema");
        let mut changed = example.clone();
        changed["more"] = json!(1);
        check(&changed, kind).expect_err("a field that is not described");
        for (pointer, wrong) in [
            ("/took_seconds", json!("1 s")),
            ("/schema_version", json!(2)),
            ("/erased/instances/0/id", json!("1570194490")),
            ("/erased/rows", json!(-1)),
        ] {
            let mut changed = example.clone();
            *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = wrong;
            check(&changed, kind).expect_err(pointer);
        }
        let mut changed = example.clone();
        changed.as_object_mut().unwrap().remove("erased");
        check(&changed, kind).expect_err("a field that is missing");
    }
}
