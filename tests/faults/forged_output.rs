//! Texts from outside (a server, a Resource Controller, a file, an argument, an archive) never begin a line among
//! pgmig's messages. They contain no character that controls a terminal.

use crate::support::pgmig::TargetFile;
use crate::support::resource_controller::{Controller, TOKEN, zen_instances};
use crate::support::store::Backup;
use crate::support::{Database, Outcome, Pgmig};
use pgmig_core::resource_controller::ServiceType;
use serde_json::json;

/// A text that ends a line, forges a message, and clears the screen.
const HOSTILE: &str = "x\nerror: forged\r\nwarning: forged\u{1b}[2J\u{9b}2J\u{202e}";

/// Checks that no line of the output is one of [`HOSTILE`] and that no control character is in it, but that the text
/// is.
#[track_caller]
fn is_harmless(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        let forged = |line: &str| line.starts_with("error: forged") || line.starts_with("warning: forged");
        assert!(!text.lines().any(forged), "{outcome}");
        assert!(!text.chars().any(|c| c != '\n' && pgmig_core::text::is_unprintable(c)), "{outcome}");
    }
    assert!(outcome.stderr.contains("forged") || outcome.stdout.contains("forged"), "{outcome}");
}

#[test]
fn a_status_of_the_resource_controller() {
    let mut instances = zen_instances(1, 2);
    instances[0]["provision_status"] = json!(HOSTILE);
    instances[0]["display_name"] = json!(HOSTILE);
    instances[1]["display_name"] = json!(HOSTILE);
    let server = Controller::zen(instances);
    let pgmig = || Pgmig::new().file("rc.yaml", &server.yaml(TOKEN, Some(ServiceType::Assistant)));
    is_harmless(&pgmig().args(["--testRCConnection", "-r", "rc.yaml"]).run().expect_status(0));
    let backup = Backup::of_oldest_release();
    for level in ["warn", "trace"] {
        let arguments = ["mapping", "-r", "rc.yaml", "--map-by-name", "--log-level", level, "-s"];
        let outcome = pgmig().args(arguments).arg(&backup.archive).run();
        is_harmless(&outcome);
        outcome.stderr_has("is not offered: its provisioning status is x\\nerror: forged");
    }
}

#[test]
fn messages_of_the_server_and_names() {
    let source = Database::create("forged_source");
    let name = HOSTILE.replace('"', "");
    source.psql(&format!(
        "CREATE TABLE \"{name}\" (a integer); INSERT INTO \"{name}\" VALUES (1);
         CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN
           IF current_database() NOT LIKE '%forged_source' THEN RAISE EXCEPTION '%', $m${HOSTILE}$m$; END IF; RETURN 1;
         END $f$;
         CREATE TABLE t (a integer); INSERT INTO t VALUES (1); CREATE INDEX \"{name} of f\" ON t ((a + f()))"
    ));
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("forged.dump");
    source.dump_through_pipe(&[], &archive);
    let target = Database::create("forged");
    let restore = || {
        let file = TargetFile::of(&target);
        Pgmig::new().target(&file).source(&archive).args(["--force", "--keep-ids", "--schema", "archive"])
    };
    for more in [&[][..], &["--strategy", "in-place"], &["--log-level", "trace"], &["--dry-run"]] {
        is_harmless(&restore().args(more.iter().copied()).run());
    }
    for command in [&["inspect"][..], &["verify"], &["inspect", "--output", "json"]] {
        is_harmless(&Pgmig::new().args(command.iter().copied()).arg(&archive).run());
    }
}

#[test]
fn names_of_a_configuration_file() {
    let target = Database::create("forged_names");
    let right = TargetFile::of(&target);
    let backup = Backup::of_oldest_release();
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    for key in ["database", "username", "su_username", "host"] {
        let lines: Vec<String> = right
            .to_yaml()
            .lines()
            .map(|line| match line.split_once(": ") {
                Some((name, _)) if name == key => format!("{key}: {}", quoted(HOSTILE)),
                _ => line.to_owned(),
            })
            .collect();
        let pgmig =
            Pgmig::new().file("p.yaml", &(lines.join("\n") + "\n")).args(["--target", "p.yaml", "--force"]);
        let outcome = backup.restore(pgmig).run();
        assert_ne!(outcome.status.code(), Some(0));
        let forged = |line: &str| line.starts_with("error: forged") || line.starts_with("warning: forged");
        assert!(!outcome.stderr.lines().any(forged), "{outcome}");
    }
}
