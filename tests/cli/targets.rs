//! Where the target is: a URL, the environment, a service and a password file, beside what psql makes of the same; a
//! target that does not exist yet; several targets in one run.
//!
//! Relatives of "a target is named": by a file, the JSON of a secret, a URL, a connection string, a service, the environment; the
//! database by each of these or by `--database`; the password by the environment, the password file, the service, never by
//! an argument.

use crate::support::document::document;
use crate::support::pgmig::TargetFile;
use crate::support::server::Server;
use crate::support::session::HeldSession;
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig};
use serde_json::{Value, json};

/// The path of a file in the run's directory.
fn path(pgmig: &Pgmig, name: &str) -> String {
    pgmig.directory().join(name).to_str().unwrap().to_owned()
}

fn exists(server: &Server, database: &str) -> bool {
    let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
    server.psql("postgres", &sql).trim() == "1"
}

#[test]
fn a_url_with_a_password_file_restores_and_undoes() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("by_url");
    let Server { host, port, superuser, password, .. } = target.server.clone();
    let url = format!("postgresql://{superuser}@{host}:{port}/{}", target.name);
    let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
    let pgpass = format!("nowhere:*:*:*:no\n{host}:{port}:*:{superuser}:{escaped}\n");
    let pgmig = backup.restore(Pgmig::new()).file("pgpass", &pgpass);
    let file = path(&pgmig, "pgpass");
    let pgmig = pgmig.env("PGPASSFILE", file).args(["--target-url", &url, "--force", "--keep-previous"]);
    let outcome = pgmig.run().expect_status(0).keeps_secret(&password);
    backup.assert_restored(&target);
    // The command that goes back names the target in the same way.
    let previous = databases_beside(&target).trim().to_owned();
    let command = format!("pgmig previous rollback {previous} --target-url {url}");
    let outcome = outcome.stdout_has(&command);
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let file = outcome.directory.path().join("pgpass");
    Pgmig::new().args(words).args(["--force"]).env("PGPASSFILE", file).run().expect_status(0);
    for previous in databases_beside(&target).lines() {
        target.server.psql("postgres", &format!("DROP DATABASE {previous}"));
    }
}

#[test]
fn the_environment_and_services_name_a_target_as_for_psql() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("by_environment");
    let Server { host, port, superuser, password, socket, .. } = target.server.clone();
    let socket = socket.to_str().unwrap().to_owned();
    let dry_run = || backup.restore(Pgmig::new()).args(["--dry-run", "--output", "json"]);
    let named = |pgmig: Pgmig| {
        let plan = document(&pgmig.run().expect_status(0).keeps_secret(&password), "plan");
        assert_eq!(plan["target"]["database"], target.name);
    };
    let port = port.to_string();
    let by_tcp = dry_run().env("PGHOST", &host).env("PGPORT", &port).env("PGDATABASE", &target.name);
    named(by_tcp.env("PGUSER", &superuser).env("PGPASSWORD", &password));
    let by_socket = dry_run().env("PGHOST", &socket).env("PGPORT", &port).env("PGUSER", &superuser);
    named(by_socket.args(["--database", &target.name]));
    let service = format!(
        "[other]\nhost=nowhere\n[store]\nhost={host}\nport={port}\nuser={superuser}\npassword={password}\n"
    );
    let by_service = dry_run().file("services.conf", &service);
    let file = path(&by_service, "services.conf");
    named(by_service.env("PGSERVICEFILE", file).env("PGSERVICE", "store").env("PGDATABASE", &target.name));
    let home = dry_run().file(".pg_service.conf", &service);
    let directory = path(&home, "");
    named(
        home.env("HOME", directory).args(["--target-url", &format!("service=store dbname={}", target.name)]),
    );
    // A file goes before the environment.
    let file = backup.restore(Pgmig::new().target(&TargetFile::of(&target)));
    named(file.env("PGHOST", "nowhere").env("PGDATABASE", "no").args(["--dry-run", "--output", "json"]));
}

#[test]
fn without_a_name_there_is_no_target() {
    let run = |pgmig: Pgmig| pgmig.args(["-s", "x", "--keep-ids"]).run().expect_status(2);
    run(Pgmig::new()).stderr_has("--target is missing").stderr_has("--target-url");
    // psql would take the role's name for the database's.
    run(Pgmig::new().env("PGHOST", "h").env("PGUSER", "u")).stderr_has("it names no database");
    let secret = "S3cret-of-the-url";
    for url in [format!("postgres://u:{secret}@h/db"), format!("host=h dbname=d user=u password={secret}")] {
        let outcome = run(Pgmig::new().args(["--target-url", &url])).stderr_has("~/.pgpass");
        outcome.keeps_secret(secret);
        let twice = Pgmig::new().args(["--target-url", "postgres://h/db", &url]);
        run(twice).keeps_secret(secret);
    }
}

#[test]
fn the_database_and_the_owner_can_be_others_than_those_of_the_file() {
    let backup = Backup::of_oldest_release();
    let (file, target) = (backup.target("of_the_file"), Database::create("of_the_option"));
    let before = Before::of(&file);
    let owner = format!("{}_owner", target.name);
    target.psql(&format!("CREATE ROLE {owner}; ALTER DATABASE {} OWNER TO {owner}", target.name));
    let pgmig = backup.restore_into(&file).args(["--database", &target.name, "--owner", &owner]);
    before.is_now(pgmig.run().expect_status(0));
    backup.assert_restored(&target);
    let owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'store'";
    assert_eq!(target.psql(owners).trim(), owner);
    let server = target.server.clone();
    drop(target);
    server.psql("postgres", &format!("DROP ROLE {owner}"));
}

#[test]
fn a_target_that_does_not_exist_is_created_or_not_there() {
    let backup = Backup::of_oldest_release();
    let existing = backup.target("creates");
    let server = existing.server.clone();
    let name = format!("{}_new", existing.name);
    let restore = || backup.restore_into(&existing).args(["--database", &name]);
    let missing = restore().run().expect_status(1);
    missing.stderr_has(&name);
    let created = || restore().arg("--create-database");
    for failpoint in ["preflight", "create-staging", "data", "swap"] {
        created().failpoint(failpoint).run().expect_status(1);
        assert!(!exists(&server, &name), "{failpoint}");
    }
    // Refused, and a dry run.
    let unmapped = Pgmig::new().target(&TargetFile::of(&existing)).source(&backup.archive);
    unmapped.args(["--database", &name, "--create-database"]).run().expect_status(3);
    assert!(!exists(&server, &name));
    // A dry run changes nothing.
    created().arg("--dry-run").run().expect_status(2);
    assert!(!exists(&server, &name));
    for strategy in ["swap", "in-place"] {
        created().args(["--strategy", strategy]).run().expect_status(0);
        let new = Database::adopted(&server, &name);
        backup.assert_restored(&new);
        assert_eq!(databases_beside(&new), "");
    }
    // One that exists stays, whatever becomes of the restore.
    let before = Before::of(&existing);
    let failed = backup.restore_into(&existing).arg("--create-database").failpoint("data").run();
    before.is_now(failed.expect_status(1));
}

/// A list of restores of the same backup into these targets.
pub(super) fn set(backup: &Backup, targets: &[&Database]) -> Pgmig {
    let mut pgmig = backup.map(Pgmig::new());
    let mut list = "restores:\n".to_owned();
    for (number, target) in targets.iter().enumerate() {
        let name = format!("target{number}.yaml");
        pgmig = pgmig.file(&name, &TargetFile::of(target).to_yaml());
        list += &format!(
            "  - source: {}\n    target: {name}\n    mapping: enteredMapping.yaml\n",
            backup.archive.display()
        );
    }
    // The mapping is a matter of each restore.
    pgmig.without_arguments().file("set.yaml", &list).args(["--set", "set.yaml", "--force"])
}

#[test]
fn a_set_has_one_report() {
    let backup = Backup::of_oldest_release();
    let targets = [backup.target("set_a"), backup.target("set_b")];
    let outcome =
        set(&backup, &targets.each_ref()).run().expect_status(0).stdout_has("2 of 2 restores complete");
    let json = set(&backup, &targets.each_ref()).args(["--output", "json", "--no-progress"]).run();
    let report = document(&json.expect_status(0), "restore_set");
    for (target, done) in targets.iter().zip(report["restores"].as_array().unwrap()) {
        assert_eq!((&done["database"], &done["error"]), (&json!(target.name), &Value::Null));
        assert_eq!(done["report"]["database"], target.name);
        assert!(outcome.stdout.contains(&format!("Restored {:?}", target.name)), "{outcome}");
        backup.assert_restored(target);
    }
}

#[test]
fn a_set_is_planned_as_a_whole() {
    let backup = Backup::of_oldest_release();
    let (first, second) = (backup.target("set_plan_1"), backup.target("set_plan_2"));
    let before = [Before::of(&first), Before::of(&second)];
    let outcome =
        set(&backup, &[&first, &second]).args(["--dry-run", "--output", "json"]).run().expect_status(0);
    let plan = document(&outcome, "plan_set");
    let databases: Vec<&Value> = plan["restores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|planned| &planned["plan"]["target"]["database"])
        .collect();
    assert_eq!(databases, [&json!(first.name), &json!(second.name)]);
    // One that cannot be run does not hide the plan of the next one.
    let outcome = set(&backup, &[&first, &first, &second]).arg("--dry-run").run().expect_status(2);
    let outcome =
        outcome.stdout_has("two restores of the set have database").stdout_has("2 of 3 restores can be run");
    assert_eq!(outcome.stdout.matches("Dry run, in").count(), 3, "{outcome}");
    before.iter().for_each(Before::is_unchanged);
}

#[test]
fn a_set_begins_only_if_each_restore_can() {
    let backup = Backup::of_oldest_release();
    let targets = [backup.target("set_first"), backup.target("set_second")];
    let before = targets.each_ref().map(Before::of);
    let untouched = |pgmig: Pgmig, status: i32, says: &str| {
        let outcome = pgmig.run().expect_status(status).stderr_has(says);
        before.iter().for_each(Before::is_unchanged);
        outcome
    };
    let both = || set(&backup, &targets.each_ref());
    // The second cannot: another target, no permission to erase, the same target twice.
    let other = TargetFile { database: "nobody_s".to_owned(), ..TargetFile::of(&targets[1]) };
    untouched(both().file("target1.yaml", &other.to_yaml()), 1, "nothing was restored");
    let again = TargetFile::of(&targets[0]).to_yaml();
    untouched(both().file("target1.yaml", &again), 2, "two restores of the set have database");
    untouched(both().file("enteredMapping.yaml", "instance-mappings: {}\n"), 3, "mapping");
    for (list, says) in [
        ("restores: []\n", "lists no restore"),
        ("restores:\n  - source: x\n    tarjet: y\n", "line 3"),
        ("restores:\n  - source: x\n    schema: mine\n", "restore 1 of set.yaml"),
        ("restores:\n  - source: \"-\"\n", "x"),
    ] {
        let bad = both().file("set.yaml", list);
        let outcome = untouched(bad, 2, if says == "x" { "" } else { says });
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    }
    untouched(both().args(["--source", "x"]), 2, "restore 1 of set.yaml");
    assert_eq!(databases_beside(&targets[0]) + &databases_beside(&targets[1]), "");
}

#[test]
fn a_set_that_fails_on_the_way_says_what_is_complete() {
    let backup = Backup::of_oldest_release();
    let targets = [backup.target("set_done"), backup.target("set_busy"), backup.target("set_rest")];
    let before = [&targets[1], &targets[2]].map(Before::of);
    let session = HeldSession::open(&targets[1], "client");
    let outcome = set(&backup, &targets.each_ref()).args(["--swap-wait", "1", "--output", "json"]).run();
    drop(session);
    let outcome = outcome.expect_status(3).stderr_has("1 of 3 restores are complete");
    let report = document(&outcome, "restore_set");
    let codes: Vec<&Value> =
        report["restores"].as_array().unwrap().iter().map(|done| &done["error"]["code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("target-in-use"), &Value::Null]);
    assert!(report["restores"][2]["report"].is_null());
    backup.assert_restored(&targets[0]);
    before.iter().for_each(Before::is_unchanged);
    assert_eq!(databases_beside(&targets[1]) + &databases_beside(&targets[2]), "");
}
