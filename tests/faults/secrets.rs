//! Passwords, tokens and row values are in no output, at any log level and however a run ends.

use crate::support::pgmig::{Outcome, Pgmig, TargetFile};
use crate::support::resource_controller::{Controller, TOKEN};
use crate::support::store::{Backup, ROW_VALUE};
use crate::support::{Database, Server};
use serde_json::json;

/// A role whose password no other role has, so that the test can search for it.
const ROLE: &str = "keeper";
const PASSWORD: &str = "pa55-of-the-keeper";

/// A target whose superuser has a password that the test can search for.
fn keeper(backup: &Backup) -> (Database, TargetFile) {
    let server = Server::of_this_run();
    let role = format!("{ROLE}_{}", uuid::Uuid::new_v4().simple());
    server.psql("postgres", &format!("CREATE ROLE \"{role}\" LOGIN SUPERUSER PASSWORD '{PASSWORD}'"));
    let target = backup.target("secrets");
    let file = TargetFile { su_username: role, su_password: PASSWORD.to_owned(), ..TargetFile::of(&target) };
    (target, file)
}

/// Runs pgmig at the highest log level, and searches the output for all secrets.
#[track_caller]
fn loud(pgmig: Pgmig, status: i32) -> Outcome {
    pgmig
        .args(["--log-level", "trace"])
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1")
        .run()
        .expect_status(status)
        .keeps_secret(PASSWORD)
        .keeps_secret(TOKEN)
        .keeps_secret(ROW_VALUE)
}

/// `-r resourceController.yaml`.
fn ask(pgmig: Pgmig, controller: &Controller) -> Pgmig {
    pgmig
        .file("resourceController.yaml", &controller.yaml(TOKEN, None))
        .args(["--resourceController", "resourceController.yaml"])
}

fn gateway() -> Controller {
    let instances =
        (1_570_194_490..1_570_194_494u64).map(|id| json!({ "zen_id": id.to_string(), "name": "i" }));
    Controller::gateway(instances.collect())
}

#[test]
fn a_restore_that_asks_for_everything() {
    let backup = Backup::of_oldest_release();
    let (target, file) = keeper(&backup);
    let controller = gateway();
    let answers = Pgmig::new().file("answers", "1\n2\n3\n");
    let answered = answers.directory().join("answers");
    let pgmig =
        ask(answers.target(&file).source(&backup.archive).arg("--force").stdin(&answered), &controller);
    let outcome = loud(pgmig, 0).stderr_has("asking the Resource Controller").stderr_has("Target of");
    assert!(controller.requests().iter().any(|request| request.has_token(TOKEN)), "{outcome}");
    backup.assert_restored(&target);
}

#[test]
fn a_dry_run_that_asks_for_everything() {
    let backup = Backup::of_oldest_release();
    let (_target, file) = keeper(&backup);
    let controller = gateway();
    for output in ["text", "json"] {
        let answers = Pgmig::new().file("answers", "1\n2\n3\n").args(["--dry-run", "--output", output]);
        let answered = answers.directory().join("answers");
        let pgmig = ask(answers.target(&file).source(&backup.archive).stdin(&answered), &controller);
        loud(pgmig, 0).stderr_has("Target of").stdout_has("enteredMapping.yaml");
    }
}

#[test]
fn the_password_by_each_of_its_ways() {
    let backup = Backup::of_oldest_release();
    let (_target, file) = keeper(&backup);
    let without = file.to_yaml().replace(&format!("su_password: '{PASSWORD}'\n"), "");
    assert!(!without.contains(PASSWORD));
    let restore = |yaml: &str| {
        backup.restore(Pgmig::new().file("postgres.yaml", yaml).args([
            "--target",
            "postgres.yaml",
            "--force",
        ]))
    };
    loud(restore(&file.to_yaml()), 0);
    loud(restore(&without).env("PGPASSWORD", PASSWORD), 0);
    let by_file = restore(&format!("{without}su_password_file: secret\n")).file("secret", PASSWORD);
    loud(by_file, 0);
    // The same ways of configuring a password, with one that the server refuses.
    let wrong = TargetFile { su_username: "postgres".to_owned(), ..file.clone() };
    loud(restore(&wrong.to_yaml()), 1);
    let wrong = wrong.to_yaml().replace(&format!("su_password: '{PASSWORD}'\n"), "");
    loud(restore(&wrong).env("PGPASSWORD", PASSWORD), 1).stderr_has("password");
}

#[test]
fn whatever_goes_wrong() {
    let backup = Backup::of_oldest_release();
    let (_target, file) = keeper(&backup);
    let controller = gateway();
    let restore = || backup.restore(Pgmig::new().target(&file));
    // A refused run, a run that fails half way, unreadable configuration, a Resource Controller that does not exist.
    loud(restore(), 3).stderr_has("--force");
    loud(restore().arg("--force").failpoint("post-data"), 1);
    let misspelt = file.to_yaml().replace("port:", "prot:");
    loud(restore().arg("--force").file("postgres.yaml", &misspelt), 2).stderr_has("prot");
    let folded = file.to_yaml().replace(&format!("'{PASSWORD}'"), &format!("[{PASSWORD}"));
    loud(restore().arg("--force").file("postgres.yaml", &folded), 2);
    let missing = controller.yaml(TOKEN, None).replace("accessTokens", "accessToken");
    loud(ask(restore(), &controller).file("resourceController.yaml", &missing), 2);
    drop(controller);
}
