//! The temporary role that runs code of the archive and of the target: where it logs in, and that it is removed
//! completely. The superuser's own sessions touch no object of a user.

use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::pgmig::TargetFile;
use crate::support::server::PrivateServer;
use crate::support::session::wait_until;
use crate::support::store::Backup;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::Path;
use tempfile::TempDir;

/// The target of an application, restored by a superuser.
fn file(target: &Database) -> TargetFile {
    TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(target) }
}

fn restore(backup: &Backup, target: &Database) -> Pgmig {
    backup.restore(Pgmig::new().target(&file(target)).arg("--force"))
}

/// The temporary roles of a target.
fn roles(target: &Database) -> String {
    let literal = target.name.replace('\'', "''");
    target.server.psql(
        "postgres",
        &format!(
            "SELECT rolname FROM pg_roles r, shobj_description(r.oid, 'pg_authid') c
             WHERE c LIKE 'pgmig-role-1 %' AND substr(c, 14)::json ->> 'target' = '{literal}'"
        ),
    )
}

#[track_caller]
fn all_is_the_applications(target: &Database) {
    let owners = target.psql(
        "SELECT DISTINCT pg_get_userbyid(o) FROM (
             SELECT relowner FROM pg_class WHERE relnamespace = 'store'::regnamespace
             UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'store'::regnamespace
             UNION ALL SELECT lomowner FROM pg_largeobject_metadata
             UNION ALL SELECT datdba FROM pg_database WHERE datname = current_database()) AS x (o)",
    );
    assert_eq!(owners, format!("{APPLICATION}\n"));
}

#[test]
fn no_role_is_left_after_a_swap() {
    let backup = Backup::of_oldest_release();
    let target = application::target("login_swap");
    restore(&backup, &target).args(["--strategy", "swap"]).run().expect_status(0);
    backup.assert_restored(&target);
    all_is_the_applications(&target);
    assert_eq!(roles(&target), "");
}

#[test]
fn no_role_is_left_after_a_restore_in_place() {
    let backup = Backup::of_oldest_release();
    let target = application::target("login_in_place");
    restore(&backup, &target).args(["--strategy", "in-place"]).run().expect_status(0);
    backup.assert_restored(&target);
    all_is_the_applications(&target);
    assert_eq!(roles(&target), "");
}

#[test]
fn no_role_is_left_after_a_look() {
    let backup = Backup::of_oldest_release();
    let target = application::target("login_look");
    let before = Before::of(&target);
    before.is_now(restore(&backup, &target).arg("--dry-run").run().expect_status(0));
    before.is_now(backup.restore(Pgmig::new().target(&file(&target))).run().expect_status(3));
    before.is_now(Pgmig::new().target(&file(&target)).arg("--testPGConnection").run().expect_status(0));
    assert_eq!(roles(&target), "");
}

#[test]
fn no_role_is_left_after_a_failure_and_an_interruption() {
    let backup = Backup::of_oldest_release();
    let target = application::target("login_failure");
    let before = Before::of(&target);
    for strategy in ["swap", "in-place"] {
        for step in ["lock", "pre-data", "data", "analyze"] {
            let pgmig = restore(&backup, &target).args(["--strategy", strategy]).failpoint(step);
            before.is_now(pgmig.run().expect_status(1));
            assert_eq!(roles(&target), "", "{strategy} {step}");
        }
    }
    // Rows that do not arrive.
    let start = std::fs::read(&backup.archive).unwrap();
    let pgmig = backup.map(Pgmig::new().target(&file(&target)).arg("--force")).args(["--source", "-"]);
    let running = pgmig.stalled_stdin(start[..start.len() * 9 / 10].to_vec()).spawn();
    wait_until(|| !roles(&target).is_empty());
    running.signal("INT");
    before.is_now(running.wait().expect_status(130));
    assert_eq!(roles(&target), "");
}

#[test]
fn the_next_run_removes_the_role_of_a_run_that_was_killed() {
    let backup = Backup::of_oldest_release();
    let target = application::target("login_killed");
    for strategy in ["swap", "in-place"] {
        let restore = || restore(&backup, &target).args(["--strategy", strategy]);
        restore().failpoint("data:kill").run().expect_killed();
        let left = roles(&target).trim().to_owned();
        assert!(left.starts_with("pgmig_"), "left behind: {left:?}");
        restore().run().expect_status(0).stderr_has(&format!("removed role {left}, left by an earlier run"));
        assert_eq!(roles(&target), "");
    }
}

/// A server whose pg_hba.conf consists of these lines.
fn server_with_hba(lines: &str) -> PrivateServer {
    let server = Server::start_private("log_statement = 'all'\nlog_line_prefix = '%u|%d|'");
    std::fs::write(server.data.join("pg_hba.conf"), lines).expect("the file can be written");
    server.psql("postgres", "SELECT pg_reload_conf()");
    server
}

/// An archive of a small database, and a target that the application owns.
fn small(server: &Server, directory: &Path) -> (std::path::PathBuf, Database) {
    server.psql("postgres", &format!("CREATE ROLE {} LOGIN", quoted(APPLICATION)));
    let source = Database::create_on(server, "source");
    source.psql(
        "CREATE SCHEMA app; CREATE TABLE app.notes (id int PRIMARY KEY, note text CHECK (note <> ''));
         INSERT INTO app.notes SELECT g, 'note ' || g FROM generate_series(1, 100) g;
         CREATE VIEW app.short AS SELECT id FROM app.notes; SELECT lo_from_bytea(0, 'x');
         CREATE EXTENSION pg_stat_statements; CREATE EXTENSION citext",
    );
    let archive = directory.join("small.dump");
    source.dump_through_pipe(&[], &archive);
    let clauses = format!("TEMPLATE template0 OWNER {}", quoted(APPLICATION));
    let target = Database::create_with(server, "target", &clauses);
    target.psql(&format!("SET ROLE {}; CREATE TABLE public.old AS SELECT 1 AS a", quoted(APPLICATION)));
    (archive, target)
}

fn over_the_socket(target: &Database, archive: &Path) -> Pgmig {
    let host = target.server.socket.to_str().unwrap().to_owned();
    let file = TargetFile { host, ..file(target) };
    Pgmig::new().target(&file).source(archive).args(["--keep-ids", "--schema", "archive", "--force"])
}

#[test]
fn where_the_socket_is_the_superusers_the_role_comes_by_tcp() {
    let directory = TempDir::new().unwrap();
    let server = server_with_hba("local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    let (archive, target) = small(&server, directory.path());
    over_the_socket(&target, &archive).run().expect_status(0);
    assert_eq!(target.psql("SELECT count(*) FROM app.notes"), "100\n");
}

#[test]
fn a_role_that_is_not_let_in_is_a_refusal_with_the_line_to_add() {
    let directory = TempDir::new().unwrap();
    let server = server_with_hba("local all postgres trust\n");
    let (archive, target) = small(&server, directory.path());
    let before = Before::of(&target);
    let line = format!("host all +\"{APPLICATION}\" samehost scram-sha-256");
    let outcome = over_the_socket(&target, &archive).run().expect_status(3);
    before.is_now(outcome.stderr_has(&line).stderr_has("--trust-archive"));
    assert_eq!(roles(&target), "");
    std::fs::write(server.data.join("pg_hba.conf"), format!("local all postgres trust\n{line}\n")).unwrap();
    server.psql("postgres", "SELECT pg_reload_conf()");
    over_the_socket(&target, &archive).run().expect_status(0);
    // Also without one.
    std::fs::write(server.data.join("pg_hba.conf"), "local all postgres trust\n").unwrap();
    server.psql("postgres", "SELECT pg_reload_conf()");
    let outcome = over_the_socket(&target, &archive).arg("--trust-archive").run().expect_status(0);
    outcome.stderr_has("code in the backup can act as postgres, a superuser");
}

#[test]
fn a_login_that_the_operator_forbids_is_a_refusal_that_names_the_variable() {
    let directory = TempDir::new().unwrap();
    let server = server_with_hba("local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    let (archive, target) = small(&server, directory.path());
    let before = Before::of(&target);
    // The superuser logs in over the socket without a password. The temporary role must prove its password.
    let outcome = over_the_socket(&target, &archive).env("PGREQUIREAUTH", "none").run().expect_status(3);
    before.is_now(outcome.stderr_has("PGREQUIREAUTH").stderr_has("127.0.0.1"));
    assert_eq!(roles(&target), "");
}

/// The statements that a run's superuser sessions sent, from the server's log.
fn superusers_statements(server: &Server, run: impl FnOnce() -> Outcome) -> (Outcome, Vec<String>) {
    let log = server.data.with_file_name("server.log");
    let before = std::fs::read_to_string(&log).unwrap().len();
    let outcome = run();
    let text = std::fs::read_to_string(&log).unwrap();
    let mut statements: Vec<String> = Vec::new();
    let mut is_ours = false;
    for line in text[before..].lines() {
        if let Some(statement) = line.strip_prefix("postgres|") {
            is_ours = statement.contains("LOG:  statement: ") || statement.contains("LOG:  execute ");
            if is_ours {
                statements.push(statement.to_owned());
            }
        } else if line.starts_with(['\t', ' ']) && is_ours {
            statements.last_mut().unwrap().push_str(line);
        } else {
            is_ours = false;
        }
    }
    (outcome, statements)
}

/// Names of users' objects, in the archive or in the target.
const OF_USERS: [&str; 4] = ["notes", "old", "short", "app."];

#[test]
fn the_superusers_sessions_touch_nothing_of_a_users() {
    let directory = TempDir::new().unwrap();
    let server = server_with_hba("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    let (archive, target) = small(&server, directory.path());
    for strategy in ["swap", "in-place"] {
        let run = || over_the_socket(&target, &archive).args(["--strategy", strategy]).run();
        let (outcome, statements) = superusers_statements(&server, run);
        if strategy == "in-place" {
            // Only a superuser can make this object. The target has it from the earlier swap.
            outcome.expect_status(0).stderr_has("pg_stat_statements");
        } else {
            outcome.expect_status(0);
        }
        assert!(statements.iter().any(|sql| sql.contains("CREATE ROLE pgmig_")), "{statements:#?}");
        for statement in &statements {
            for name in OF_USERS {
                assert!(!statement.contains(name), "{strategy}: {name} in {statement}");
            }
            assert!(
                !statement.contains("SCRAM-SHA-256$4096:") || statement.contains("CREATE ROLE"),
                "{statement}"
            );
            assert!(!statement.contains("SET ROLE"), "{statement}");
        }
    }
}
