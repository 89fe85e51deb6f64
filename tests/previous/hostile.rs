//! Databases that are none of the target's previous ones, although something about them says so. A comment proves nothing:
//! every owner of a database can write one.

use crate::support::database::quoted;
use crate::support::previous::{Site, role};
use crate::support::{Database, Pgmig};

/// The comment of a previous database of this target, with these facts.
fn marker(target: &str, oid: &str, run: &str, state: &str, more: &str) -> String {
    let target = serde_json::to_string(target).unwrap();
    let run = serde_json::to_string(run).unwrap();
    format!(
        "pgmig-marker-1 {{\"run\":{run},\"target\":{target},\"target_oid\":{},\"state\":\"{state}\"{more}}}",
        oid.trim()
    )
}

/// Writes a comment on a database.
#[track_caller]
fn write(database: &Database, comment: &str) {
    let comment = comment.replace('\'', "''");
    database.psql(&format!("COMMENT ON DATABASE {} IS '{comment}'", quoted(&database.name)));
}

fn oid(database: &Database) -> String {
    database.psql("SELECT oid FROM pg_database WHERE datname = current_database()")
}

/// The name that pgmig gives to the database that run `run` replaced.
fn given_name(target: &Database, run: &str) -> String {
    let (name, run) = (target.name.replace('\'', "''"), run.replace('\'', "''"));
    let sql = format!(
        "SELECT left('{name}', 45) || '_' || left(encode(sha256(convert_to('{name}', 'UTF8') || '\\x00'
             || convert_to(E'{run}', 'UTF8') || '\\x00'), 'hex'), 8) || '_previous'"
    );
    target.psql(&sql).trim_end_matches('\n').to_owned()
}

/// Checks that neither command touches a database, and that both say this.
#[track_caller]
fn is_not_touched(site: &Site, database: &Database, text: &str) {
    let facts = |database: &Database| (oid(database), database.dump(&["--create"]));
    let (before, target) = (facts(database), facts(&site.target));
    for command in ["rollback", "drop"] {
        let pgmig = Pgmig::new().args(["previous", command, "--force"]).target(&site.file);
        pgmig.arg("--").arg(&database.name).run().expect_status(3).stderr_has(text);
    }
    let outcome = site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(0);
    outcome.stdout_has("No previous database");
    let outcome = site.previous(["list"]).run().expect_status(0).stdout_has("has no previous database");
    outcome.keeps_secret(&site.target.server.password);
    site.rollback().run().expect_status(3).stderr_has("has no previous database");
    assert_eq!(before, facts(database));
    assert_eq!(target, facts(&site.target));
}

#[test]
fn comments_that_are_no_markers() {
    let site = Site::new("no_marker");
    let other = Database::create("no_marker_other");
    for comment in ["", "kept", "pgmig-marker-1 ", "pgmig-marker-1 {}", "pgmig-marker-2 {\"run\":\"x\"}"] {
        write(&other, comment);
        is_not_touched(&site, &other, "it does not have pgmig's marker");
    }
    let oid = oid(&other);
    for more in [",\"replaced_ms\":-1", ",\"replaced_ms\":\"x\"", ",\"comment\":7"] {
        write(&other, &marker(&site.target.name, &oid, "r", "kept", more));
        is_not_touched(&site, &other, "it does not have pgmig's marker");
    }
    write(&other, &marker(&site.target.name, &oid, "r", "gone", ""));
    is_not_touched(&site, &other, "it does not have pgmig's marker");
}

#[test]
fn markers_of_other_databases() {
    let site = Site::new("marked");
    let run = "0123";
    let name = given_name(&site.target, run);
    let other = Database::create_named(&site.target.server, &name, "TEMPLATE template0");
    let oid = oid(&other);
    let target = &site.target.name;
    for (comment, text) in [
        (marker("another store", &oid, run, "kept", ""), "is a previous one of database another store"),
        (marker(target, "1", run, "kept", ""), "a marker that pgmig made for another database"),
        (marker(target, "4294967295", run, "kept", ""), "a marker that pgmig made for another database"),
        (marker(target, &oid, run, "staging", ""), "is a staging database"),
        (marker(target, &oid, "another run", "kept", ""), "not the name that pgmig gave it"),
    ] {
        write(&other, &comment);
        is_not_touched(&site, &other, text);
    }
    // A true one, for comparison.
    write(&other, &marker(target, &oid, run, "kept", ""));
    site.previous(["list"]).run().expect_status(0).stdout_has(&name);
    site.previous(["drop", "--force"]).arg(&name).run().expect_status(0);
    assert!(!Database::exists(&site.target.server, &name));
}

#[test]
fn a_database_of_another_role() {
    let site = Site::new("stranger_marked");
    let run = "4567";
    let owner = role(&site.target.server, "forger", "CREATEDB");
    let clauses = format!("TEMPLATE template0 OWNER {}", quoted(&owner));
    let other = Database::create_named(&site.target.server, &given_name(&site.target, run), &clauses);
    let later = ",\"replaced_ms\":99999999999999";
    write(&other, &marker(&site.target.name, &oid(&other), run, "kept", later));
    is_not_touched(&site, &other, "could have written the marker");
    // It is not the newest one, either.
    let previous = site.keep();
    let outcome = site.rollback().run().expect_status(0).stdout_has(&previous);
    outcome.stderr_has("could have written the marker");
    let outcome = site.previous(["list"]).run().expect_status(0);
    assert!(!outcome.stdout.contains(&other.name), "{outcome}");
    outcome.stderr_has("warning: ").stderr_has(&other.name);
    drop(other);
    site.admin(&format!("DROP ROLE {}", quoted(&owner)));
}

#[test]
fn the_target_itself_and_databases_that_do_not_exist() {
    let site = Site::new("itself");
    for (name, text) in [
        (site.target.name.as_str(), "is the target itself"),
        ("postgres", "it does not have pgmig's marker"),
        ("template1", "it does not have pgmig's marker"),
        ("no such; DROP DATABASE x", "does not exist"),
        ("", "does not exist"),
    ] {
        for command in ["rollback", "drop"] {
            let outcome = site.previous([command, "--force"]).arg(name).run().expect_status(3);
            outcome.stderr_has(text);
        }
    }
    // The target with a marker of its own, as after a way back by hand.
    write(&site.target, &marker(&site.target.name, &oid(&site.target), "r", "kept", ""));
    let outcome = site.previous(["drop", "--force"]).arg(&site.target.name).run().expect_status(3);
    outcome.stderr_has("is the target itself");
    site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(0);
    assert!(Database::exists(&site.target.server, &site.target.name));
}

#[test]
fn a_renamed_one_is_its_user_s() {
    let site = Site::new("renamed");
    let previous = site.keep();
    let mine = Database::adopted(&site.target.server, &format!("{} mine", site.target.name));
    site.admin(&format!("ALTER DATABASE {} RENAME TO {}", quoted(&previous), quoted(&mine.name)));
    let way_on = format!("ALTER DATABASE {} RENAME TO {previous}", quoted(&mine.name));
    is_not_touched(&site, &mine, &way_on);
    site.admin(&way_on);
    site.rollback().arg(&previous).run().expect_status(0);
}

/// A marker whose run and time would control the terminal, or break the server's functions.
#[test]
fn values_of_a_marker_are_shown_escaped() {
    let site = Site::new("escaped");
    let run = "\u{1b}[2J\nerror: forged";
    let name = given_name(&site.target, "\\x1b[2J\\nerror: forged");
    let other = Database::create_named(&site.target.server, &name, "TEMPLATE template0");
    for (time, shown) in [("99999999999999999", "unknown"), ("0", "1970-01-01T00:00:00Z")] {
        let more = format!(",\"replaced_ms\":{time}");
        write(&other, &marker(&site.target.name, &oid(&other), run, "kept", &more));
        let outcome = site.previous(["list"]).run().expect_status(0).stdout_has(&name).stdout_has(shown);
        assert!(!outcome.stdout.contains('\u{1b}') && !outcome.stdout.contains("\nerror"), "{outcome}");
        let outcome = site.previous(["list", "--output", "json"]).run().expect_status(0);
        assert!(!outcome.stdout.contains('\u{1b}'), "{outcome}");
    }
    site.previous(["drop", "--force", "--older-than", "100w"]).run().expect_status(0);
    assert!(!Database::exists(&site.target.server, &name));
}

/// A DROP DATABASE that was stopped in the middle leaves a database whose files may be gone.
#[test]
fn an_invalid_database_can_only_be_dropped() {
    let site = Site::new("invalid_back");
    let previous = site.keep();
    site.admin(&format!("UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{previous}'"));
    let before = oid(&site.target);
    site.rollback().run().expect_status(3).stderr_has("is invalid").stderr_has("only drop it");
    site.previous(["list"]).run().expect_status(0).stdout_has("it is invalid").stdout_has("unknown");
    assert_eq!(before, oid(&site.target));
    site.previous(["drop", "--force"]).arg(&previous).run().expect_status(0);
    assert_eq!(site.beside(), [""; 0]);
}
