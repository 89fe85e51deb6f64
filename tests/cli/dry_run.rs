//! `--dry-run` finds the facts that a restore would find, reports what the restore would do, and changes nothing.

use crate::support::corpus::archives;
use crate::support::document::document;
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::resource_controller::{Controller, TOKEN};
use crate::support::server::Server;
use crate::support::session::{HeldSession, wait_until};
use crate::support::store::{Backup, SPARE, apply_migrations};
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Outcome, Pgmig};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::TempDir;

/// `--dry-run` of a restore of the backup into this target, under its mapping.
fn dry_run(backup: &Backup, target: &Database) -> Pgmig {
    backup.restore(Pgmig::new().target(&TargetFile::of(target)).arg("--dry-run"))
}

/// The plan, as JSON.
#[track_caller]
fn plan(pgmig: Pgmig) -> Value {
    document(&pgmig.args(["--output", "json"]).run().expect_status(0), "plan")
}

/// The values of one field of each element.
fn each<'a>(array: &'a Value, field: &'a str) -> Vec<&'a Value> {
    array.as_array().expect("an array").iter().map(|element| &element[field]).collect()
}

/// The version of the backup's format in pg_restore's list. It is 1.14 for PostgreSQL 12 to 15; later versions may
/// differ.
fn format_version(backup: &Backup) -> String {
    let listing = backup.source.server.run_program("pg_restore", [Path::new("-l"), &backup.archive]);
    let listing = String::from_utf8(listing).unwrap();
    let version = listing.lines().find_map(|line| line.split_once("Dump Version: ")).unwrap().1;
    version.split('-').next().unwrap().to_owned()
}

#[test]
fn the_plan_of_an_upgrade_over_data() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("plan");
    let before = Before::of(&target);
    let mut outcome = dry_run(&backup, &target).run().expect_status(0);
    for (source, provisioned) in &backup.mapping {
        outcome = outcome.stdout_has(&format!("{source}  {provisioned}  mapped"));
    }
    let outcome = outcome
        .stdout_has("Nothing was changed.")
        .stdout_has(&format!("custom format {}, compression gzip", format_version(&backup)))
        .stdout_has(&format!("{:?}, owner", target.name))
        .stdout_has("because   su_username postgres is a superuser")
        .stdout_has("c4d5e6f7-1111-4222-8333-444455556604  the same                              deleted")
        .stdout_has(
            "from version 2 (releases 4.0.0 to 4.0.8) to version 12 (releases 5.1.0 to 5.4.0), by 10 migr",
        )
        .stdout_has("       10  5.0.0    webhooks are called callbacks")
        .stdout_has("store.workspace")
        .stdout_has("FK CONSTRAINT")
        .stdout_has(SPARE)
        .stdout_has("A restore needs --force for that");
    assert!(!outcome.stdout.contains("Not known beforehand"), "{outcome}");
    before.is_now(outcome);
    // If erasing is allowed, the plan asks for no confirmation.
    let allowed = dry_run(&backup, &target).arg("--force").run().expect_status(0).stdout_has(SPARE);
    assert!(!allowed.stdout.contains("--force"), "{allowed}");
    before.is_now(allowed);
}

#[test]
fn nothing_at_all_is_changed_on_the_server() {
    // No other test uses this server, so every lock and every transaction that wrote would be pgmig's.
    let server = Server::start_private("autovacuum = off");
    let backup = Backup::of_oldest_release();
    let target = Database::create_on(&server, "proof");
    apply_migrations(&target, "newest");
    target.psql(&format!(
        "INSERT INTO store.tenant (tenant_id, instance_id, name) VALUES ('{SPARE}', '{SPARE}', 'spare')"
    ));
    let state = || {
        let global = String::from_utf8(server.run_program("pg_dumpall", ["--globals-only"])).unwrap();
        let sql = "SELECT string_agg(datname || oid || datconnlimit, ',' ORDER BY oid) FROM pg_database;
                   SELECT pg_snapshot_xmax(pg_current_snapshot());
                   SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
                   SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let lines: Vec<&str> = global.lines().filter(|line| !line.contains("restrict ")).collect();
        (lines.join("\n"), target.dump(&["--create"]), target.psql(sql))
    };
    let before = state();
    let outcome = dry_run(&backup, &target).run().expect_status(0).stdout_has(SPARE);
    // The sessions end with the process, but the server may notice it a moment later.
    let ours = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'pgmig%'";
    wait_until(|| server.psql("postgres", ours).is_empty());
    assert!(state() == before, "the server has changed: {}\n{outcome}", state().2);
    // The measurement can show a transaction that wrote.
    backup.restore_into(&target).run().expect_status(0);
    assert_ne!(state().2, before.2);
}

#[test]
fn an_empty_target_loses_nothing() {
    let backup = Backup::of_oldest_release();
    let target = Database::create("empty");
    let before = Before::of(&target);
    let outcome = dry_run(&backup, &target).run().expect_status(0);
    let outcome = outcome.stdout_has("nothing: it holds no rows").stdout_has("to version 12");
    assert!(!outcome.stdout.contains("--force"), "{outcome}");
    before.is_now(outcome);
    let plan = plan(dry_run(&backup, &target));
    assert_eq!((&plan["needs_confirmation"], &plan["erased"]["rows"]), (&json!(false), &json!(0)));
}

#[test]
fn a_restore_does_what_the_plan_says() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("agreed");
    target
        .psql("CREATE EXTENSION citext; CREATE PUBLICATION lost; SELECT lo_from_bytea(0, 'kept by nobody')");
    let outcome = dry_run(&backup, &target).args(["--output", "json", "--keep-previous"]).run();
    let plan = document(&outcome.expect_status(0), "plan");
    let restore = backup.restore_into(&target).args(["--output", "json"]).run().expect_status(0);
    let report = document(&restore, "restore");
    let tables = |document: &Value| -> BTreeSet<String> {
        each(&document["tables"], "table").into_iter().map(Value::to_string).collect()
    };
    assert_eq!(tables(&plan), tables(&report));
    // The server may clean the database up meanwhile, which changes its size.
    for field in ["instances", "tables", "rows", "large_objects"] {
        assert_eq!(plan["erased"][field], report["erased"][field], "{field}");
    }
    assert_eq!(plan["erased"]["large_objects"], 1);
    for field in ["source", "target"] {
        assert_eq!(each(&plan["instances"], field), each(&report["instances"], field));
    }
    let schema = &plan["schema"];
    assert_eq!((&schema["from"], &schema["to"]), (&report["source_version"], &report["target_version"]));
    for field in ["version", "description"] {
        assert_eq!(each(&schema["migrations"], field), each(&report["migrations"], field));
    }
    assert_eq!(plan["large_objects"]["count"], report["large_objects"]["count"]);
    let warnings = |document: &Value| -> Vec<Value> {
        let notices = document["notices"].as_array().unwrap().iter();
        notices.filter(|notice| notice["severity"] == "warning").cloned().collect()
    };
    assert_eq!(warnings(&plan), warnings(&report));
    assert_eq!(warnings(&plan).len(), 1, "{plan}");
    assert_eq!(plan["only_in_target"]["extensions"], json!(["citext"]));
    assert_eq!((&plan["keep_previous"], &plan["needs_confirmation"]), (&json!(true), &json!(true)));
    // Tables and large objects are only a part of the archive's size.
    let stored = |size: &Value| size.as_u64().unwrap();
    let data: u64 = each(&plan["tables"], "archive_bytes").into_iter().map(stored).sum();
    let data = data + stored(&plan["large_objects"]["archive_bytes"]);
    let size = std::fs::metadata(&backup.archive).unwrap().len();
    assert_eq!(stored(&plan["archive"]["archive_bytes"]), size);
    assert!(data > size / 2 && data < size, "{data} of {size}");
}

#[test]
fn under_the_backups_own_ids() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("keep");
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&backup.archive);
    let plan = plan(pgmig.args(["--dry-run", "--keep-ids", "--no-progress"]));
    assert_eq!(each(&plan["instances"], "because"), [&json!("keep_ids"); 6]);
    for instance in plan["instances"].as_array().unwrap() {
        assert_eq!(instance["source"]["id"], instance["target"]);
    }
}

#[test]
fn of_a_stream_it_says_what_it_cannot_know() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stream");
    let before = Before::of(&target);
    let run = |output: &str| {
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).args(["--dry-run", "--source", "-"]);
        backup.map(pgmig.stdin(&backup.archive)).args(["--output", output]).run().expect_status(0)
    };
    let text = run("text").stdout_has("file      standard input").stdout_has("Not known beforehand");
    let text = text.stdout_has("the mapping's 3 pairs").stdout_has("upgraded to version 12");
    before.is_now(text);
    let plan = document(&run("json"), "plan");
    assert_eq!((&plan["archive"]["is_stream"], &plan["archive"]["file"]), (&json!(true), &Value::Null));
    assert_eq!((&plan["instances"], &plan["archive"]["archive_bytes"]), (&Value::Null, &Value::Null));
    assert_eq!((&plan["schema"]["how"], &plan["schema"]["to"]["version"]), (&json!("later"), &json!(12)));
    assert_eq!(plan["unknown"].as_array().unwrap().len(), 2);
}

#[test]
fn it_is_refused_as_a_restore_is() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("refused");
    let before = Before::of(&target);
    let of_all = |pgmig: Pgmig| pgmig.target(&TargetFile::of(&target)).source(&backup.archive);
    let prepared = format!("dry_run_{}", std::process::id());
    let both = |mapped: bool, status: i32, says: &str| {
        for mode in [&["--force"][..], &["--dry-run"], &["--dry-run", "--output", "json"]] {
            let pgmig = of_all(Pgmig::new().args(mode.iter().copied()));
            let pgmig = if mapped { backup.map(pgmig) } else { pgmig };
            let outcome = pgmig.run().expect_status(status).stderr_has(says);
            match mode.contains(&"json") {
                true => assert_eq!(document(&outcome, "error")["exit_status"], status),
                false => assert_eq!(outcome.stdout, "", "{outcome}"),
            }
            before.is_now(outcome);
        }
    };
    both(false, 3, "the mapping does not cover 3 instances");
    target.psql(&format!(
        "BEGIN; INSERT INTO store.tenant (tenant_id, instance_id) SELECT gen_random_uuid(), 'x';
         PREPARE TRANSACTION '{prepared}'"
    ));
    both(true, 3, &prepared);
    target.psql(&format!("ROLLBACK PREPARED '{prepared}'"));
    let staging = plan(backup.map(of_all(Pgmig::new().arg("--dry-run"))));
    let staging = staging["target"]["staging_database"].as_str().unwrap().to_owned();
    let taken = Database::create_named(&target.server, &staging, "");
    target.server.psql("postgres", &format!("COMMENT ON DATABASE {staging} IS 'ours'"));
    both(true, 3, "was not made by pgmig");
    drop(taken);
    dry_run(&backup, &target).run().expect_status(0);
}

#[test]
fn while_another_restore_is_under_way() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("locked");
    let session = HeldSession::open(&target, &format!("{} client", target.name));
    let first = backup.restore_into(&target).args(["--swap-wait", "60"]).env("PGAPPNAME", "the first run");
    let first = first.spawn();
    wait_until(|| !databases_beside(&target).is_empty());
    let second = dry_run(&backup, &target).run().expect_status(3);
    let second = second.stderr_has("another restore of database").stderr_has("the first run");
    assert_eq!(second.stdout, "");
    drop(session);
    first.wait().expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn what_a_killed_run_left_is_named_and_left() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("leftover");
    backup.restore_into(&target).failpoint("data:kill").run().expect_killed();
    let left = databases_beside(&target);
    let plan = plan(dry_run(&backup, &target));
    assert_eq!(plan["leftovers"], json!([left.trim()]));
    assert_eq!(databases_beside(&target), left);
    backup.restore_into(&target).run().expect_status(0);
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn warnings_stop_a_strict_one_after_the_plan() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("strict");
    let before = Before::of(&target);
    let application = format!("{} client", target.name);
    let session = HeldSession::open(&target, &application);
    let run = |args: &[&str]| dry_run(&backup, &target).args(args.iter().copied()).run();
    let listed = run(&[]).expect_status(0).stdout_has("Other sessions on the target").stdout_has("Warnings");
    assert!(!listed.stderr.contains(&application), "{listed}");
    let strict = run(&["--strict"]).expect_status(4).stdout_has("Warnings").stdout_has(&application);
    strict.assert_stderr_has("--strict would stop before the swap: 1 warning");
    let strict = run(&["--strict", "--output", "json"]).expect_status(4);
    assert_eq!(document(&strict, "plan")["sessions"][0]["application"], application);
    // The plan is what was asked for.
    run(&["--strict", "--quiet"]).expect_status(4).stdout_has(&application).stdout_has("Warnings");
    // Sessions that pgmig is allowed to terminate are not a warning.
    run(&["--strict", "--terminate-sessions"]).expect_status(0).stdout_has("terminates them at the swap");
    drop(session);
    before.is_now(strict);
}

/// A dry run with this Resource Controller and these answers.
fn asking(backup: &Backup, target: &Database, controller: &Controller, answers: &str) -> Pgmig {
    let pgmig = Pgmig::new()
        .target(&TargetFile::of(target))
        .source(&backup.archive)
        .file("resourceController.yaml", &controller.yaml(TOKEN, None))
        .args(["-r", "resourceController.yaml", "--dry-run", "--no-progress"])
        .file("answers", answers);
    let file = pgmig.directory().join("answers");
    pgmig.stdin(&file)
}

#[test]
fn it_asks_as_a_restore_does_and_keeps_the_answers() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("asked");
    let before = Before::of(&target);
    let numbers = 1_570_194_490_u64..1_570_194_494;
    let instances = numbers.map(|number| json!({ "id": number.to_string(), "name": format!("i{number}") }));
    let controller = Controller::gateway(instances.collect());
    let outcome = asking(&backup, &target, &controller, "1\n2\n3\n").run().expect_status(0);
    let outcome = outcome
        .stderr_has("Instance 1 of 3 of the backup")
        .stderr_has("1 instance of the target gets no data from the backup")
        .stdout_has("The mapping that was entered is in enteredMapping.yaml.")
        .stdout_has("of which 1 get no data from the backup")
        .keeps_secret(TOKEN);
    let entered = std::fs::read_to_string(outcome.directory.path().join("enteredMapping.yaml")).unwrap();
    before.is_now(outcome);
    let again = asking(&backup, &target, &controller, "").file("m.yaml", &entered).args(["-m", "m.yaml"]);
    let again = plan(again);
    assert_eq!(again["mapping_file"], Value::Null);
    for (instance, (source, provisioned)) in again["instances"].as_array().unwrap().iter().zip([
        ("00000000-0000-0000-0000-001570184978", "00000000-0000-0000-0000-001570194490"),
        ("e10001eb-6272-453a-bb43-3dcf0e765892", "00000000-0000-0000-0000-001570194491"),
        ("00000000-0000-0000-1764-035503433645", "00000000-0000-0000-0000-001570194492"),
    ]) {
        assert_eq!((&instance["source"]["id"], &instance["target"]), (&json!(source), &json!(provisioned)));
        assert_eq!(instance["because"], "mapped");
    }
    let asked = plan(asking(&backup, &target, &controller, "1\n2\n3\n"));
    assert_eq!(asked["mapping_file"], "enteredMapping.yaml");
    let unused = json!([{ "id": "00000000-0000-0000-0000-001570194493", "name": "i1570194493" }]);
    let provisioned = &asked["provisioned"];
    assert_eq!((&provisioned["instances"], &provisioned["unused"]), (&json!(4), &unused));
}

#[test]
fn what_the_resource_controller_says_is_checked() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("checked");
    let before = Before::of(&target);
    let controller = |numbers: &[u64]| {
        let instance = |number: &u64| json!({ "id": number.to_string(), "name": "x" });
        Controller::gateway(numbers.iter().map(instance).collect())
    };
    let few = controller(&[1_570_194_490, 1_570_194_491]);
    let outcome = asking(&backup, &target, &few, "1\n2\n3\n").run().expect_status(3);
    before.is_now(outcome.stderr_has("only 2 are provisioned").keeps_secret(TOKEN));
    // The mapping's third target is not among them.
    let other = controller(&[1_570_194_490, 1_570_194_491, 1_570_194_599]);
    let outcome: Outcome = backup.map(asking(&backup, &target, &other, "")).run();
    let not_there = outcome.expect_status(2).stderr_has(&backup.mapping[2].1);
    assert_eq!(not_there.stdout, "");
    before.is_now(not_there.keeps_secret(TOKEN));
}

/// Kinds of entries that are restored one for one, whoever owns the objects.
const COUNTED: [&str; 8] =
    ["TABLE DATA", "TABLE", "INDEX", "CONSTRAINT", "FK CONSTRAINT", "VIEW", "SEQUENCE", "TRIGGER"];

/// How many entries of a kind `pg_restore --list` shows.
fn listed(list: &str, kind: &str) -> usize {
    let without_ids = |line: &str| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned();
    let entries: Vec<String> = list.lines().filter(|line| !line.starts_with(';')).map(without_ids).collect();
    let longer = COUNTED.iter().chain(&["INDEX ATTACH", "TABLE ATTACH", "SEQUENCE SET", "SEQUENCE OWNED BY"]);
    let longer: Vec<_> = longer.filter(|other| other.starts_with(kind) && **other != kind).collect();
    let is_kind = |entry: &String, kind: &str| entry.starts_with(&format!("{kind} "));
    let of_kind = |entry: &&String| is_kind(entry, kind) && !longer.iter().any(|other| is_kind(entry, other));
    entries.iter().filter(of_kind).count()
}

#[test]
fn the_plan_of_every_archive_counts_as_pg_restore_does() {
    let target = Database::create("every");
    // If another test created a role meanwhile, the plan would change: the role's user mapping would no longer be left
    // out.
    target.server.create_corpus_roles();
    let before = Before::of(&target);
    let archives = archives(&fixture("archives"));
    let mut planned = 0;
    for archive in archives {
        let Ok(list) = std::fs::read_to_string(archive.with_extension("list")) else { continue };
        let pgmig = || Pgmig::new().target(&TargetFile::of(&target)).args(["--dry-run", "--keep-ids"]);
        let of_file = plan(pgmig().source(&archive));
        let of_stream = plan(pgmig().args(["--source", "-"]).stdin(&archive));
        for plan in [&of_file, &of_stream] {
            for kind in COUNTED {
                let objects = plan["objects"].as_array().unwrap().iter();
                let counts = objects.filter(|objects| objects["kind"] == kind);
                let counted: u64 = counts.map(|objects| objects["count"].as_u64().unwrap()).sum();
                let tables = plan["tables"].as_array().unwrap().len() as u64;
                let counted = if kind == "TABLE DATA" { tables } else { counted };
                assert_eq!(counted, listed(&list, kind) as u64, "{kind} of {}", archive.display());
            }
        }
        assert_eq!(of_file["objects"], of_stream["objects"], "{}", archive.display());
        planned += 1;
    }
    assert!(planned > 30, "{planned} archives");
    before.is_unchanged();
}

#[test]
fn an_unknown_history_over_data_is_compared_as_far_as_can_be() {
    let target = Database::create("unknown");
    target.psql("CREATE TABLE note (a int); INSERT INTO note VALUES (1)");
    let before = Before::of(&target);
    let archive = fixture("archives/15_pipe_gz.dump");
    let pgmig = |target: &Database| {
        Pgmig::new().target(&TargetFile::of(target)).source(&archive).args(["--keep-ids", "--dry-run"])
    };
    let outcome = pgmig(&target).run().expect_status(3);
    before.is_now(outcome.stderr_has("no table in common; is this the right backup?"));
    target.psql("CREATE SCHEMA store; CREATE TABLE store.tenant (tenant_id uuid)");
    let before = Before::of(&target);
    let outcome = pgmig(&target).run().expect_status(3).stderr_has("only in the target: table public.note");
    before.is_now(outcome.stderr_has("the target's schema differs"));
    // If tables and columns agree, the rest is known only after the restore.
    let same = Database::create("known");
    let restored = Pgmig::new().target(&TargetFile::of(&same)).source(&archive).arg("--keep-ids");
    restored.run().expect_status(0);
    let plan = plan(pgmig(&same));
    assert_eq!(plan["schema"]["how"], "as_it_is");
    assert!(plan["unknown"][0].as_str().unwrap().contains("another one is refused"), "{plan}");
}

#[test]
fn a_prepared_restore_can_be_planned_and_then_run() {
    use pgmig_core::ErrorKind;
    use pgmig_core::backup::Source;
    use pgmig_core::instance::Mapping;
    use pgmig_core::restore::{Instances, PlannedSchema, Restore, RestoreOptions};
    use pgmig_core::server::{TargetConfig, TargetEnvironment};
    use tokio_util::sync::CancellationToken;

    let backup = Backup::of_oldest_release();
    let target = backup.target("library");
    let yaml = TargetFile::of(&target).to_yaml();
    let pairs = backup.mapping.iter().map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
    let mapping = Mapping::new(pairs).unwrap();
    let prepare = async |cancel: CancellationToken| {
        let config =
            TargetConfig::from_yaml(&yaml, "postgres.yaml".as_ref(), &TargetEnvironment::default()).unwrap();
        let opened =
            pgmig_core::backup::Backup::open(Source::File(backup.archive.clone()), None).await.unwrap();
        let options = RestoreOptions::new(Instances::Map(mapping.clone()));
        Restore::of(opened, config, options).cancel(cancel).prepare().await.unwrap()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut restore = prepare(CancellationToken::new()).await;
        let first = restore.plan().await.unwrap();
        assert!(first.needs_confirmation && first.warnings() == 0, "{first:?}");
        let PlannedSchema::Migrate { migrations, .. } = &first.schema else { panic!("{first:?}") };
        assert_eq!(migrations.len(), 10);
        restore.allow_erase();
        let second = restore.plan().await.unwrap();
        assert!(!second.needs_confirmation, "{second:?}");
        let report = restore.run().await.unwrap();
        assert_eq!(report.erased, first.erased);

        let cancel = CancellationToken::new();
        let mut interrupted = prepare(cancel.clone()).await;
        cancel.cancel();
        assert_eq!(interrupted.plan().await.unwrap_err().kind(), ErrorKind::Interrupted);
        interrupted.close().await;
    });
    backup.assert_restored(&target);
}

#[test]
fn in_whatever_format_the_backup_is() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("formats");
    let directory = TempDir::new().unwrap();
    let of = |archive: &Path| {
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(archive);
        plan(backup.map(pgmig.arg("--dry-run")))
    };
    let custom = of(&backup.archive);
    for (args, format, compression, file_compression) in [
        (&["-Fd"][..], "directory", "gzip", "none"),
        (&["-Ft"], "tar", "none", "none"),
        (&["-Fp"], "plain", "none", "none"),
        (&["-Fp", "-Z6"], "plain", "none", "gzip"),
    ] {
        let path = directory.path().join(format!("backup{}", args.concat()));
        let file = path.to_str().unwrap();
        backup.source.server.run_program("pg_dump", args.iter().chain(&["-f", file, &backup.source.name]));
        let plan = of(&path);
        let archive = &plan["archive"];
        assert_eq!(archive["format"], format);
        let compressed = (&archive["compression"], &archive["file_compression"]);
        assert_eq!(compressed, (&json!(compression), &json!(file_compression)), "{format}");
        for field in ["instances", "schema"] {
            assert_eq!(plan[field], custom[field], "{field} of {format}");
        }
        assert_eq!(each(&plan["tables"], "table"), each(&custom["tables"], "table"), "{format}");
        assert_eq!(plan["large_objects"]["count"], custom["large_objects"]["count"], "{format}");
    }
}
