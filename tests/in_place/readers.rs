//! Sessions that read the target during a restore in place. They see the old state until the end and the new state
//! afterwards, but no state between.

use crate::support::application::{self, APPLICATION};
use crate::support::session::{HeldSession, wait_until};
use crate::support::store::Backup;
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig};
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const INSTANCES: &str = "SELECT string_agg(tenant_id::text, ' ' ORDER BY tenant_id) FROM store.tenant";

/// The server's message about a statement that pgmig has cancelled.
const CANCELLED: &str = "canceling statement due to user request";

/// The restore has locked the target's tables.
pub(crate) fn has_locked(target: &Database) -> bool {
    let sql = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = '%' AND l.mode = 'AccessExclusiveLock' AND l.granted AND l.locktype = 'relation'";
    target.server.psql("postgres", &sql.replace('%', &target.name)) != "0\n"
}

/// A statement of the application's role, which pgmig may see and cancel.
struct Reader {
    program: Child,
}

impl Reader {
    /// Starts the statement. Returns when it waits for the restore or has ended.
    fn start(target: &Database, program: &str, args: &[&str]) -> Self {
        let name = format!("{} {program} {}", target.name, args.join(" ").len());
        let program = target
            .server
            .program(program)
            .env("PGUSER", APPLICATION)
            .env("PGAPPNAME", &name)
            .args(["-d", &target.name])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("PostgreSQL's programs start");
        let mut reader = Self { program };
        let waits = format!(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE NOT l.granted AND a.application_name = '{name}'"
        );
        while reader.program.try_wait().unwrap().is_none() && target.server.psql("postgres", &waits) == "0\n"
        {
        }
        reader
    }

    fn psql(target: &Database, args: &[&str]) -> Self {
        Self::start(target, "psql", &[&["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], args].concat())
    }

    fn end(self) -> Output {
        self.program.wait_with_output().expect("it ends")
    }
}

/// Prevents a restore from committing.
fn holder(target: &Database) -> HeldSession {
    let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;\n";
    HeldSession::running(target, &format!("{} holder", target.name), sql)
}

#[test]
fn whatever_waits_sees_the_new_state_or_fails() {
    let backup = Backup::of_oldest_release();
    let target = application::target("waits");
    target.psql(
        "CREATE FUNCTION public.instances() RETURNS text STABLE LANGUAGE sql
         AS 'SELECT string_agg(tenant_id::text, '' '' ORDER BY tenant_id) FROM store.tenant';
         CREATE FUNCTION public.tenant_list() RETURNS text STABLE LANGUAGE sql AS 'SELECT public.instances()'",
    );
    let old = target.psql(INSTANCES);
    let running = application::restore_into(&backup, &target).spawn();
    wait_until(|| has_locked(&target));
    let holder = holder(&target);
    let psql = |args: &[&str]| Reader::psql(&target, args);
    let see = [
        psql(&["-c", INSTANCES]),
        psql(&["-c", &format!("SET statement_timeout = 0; {INSTANCES}")]),
        psql(&["-c", &format!("PREPARE p AS {INSTANCES}"), "-c", "EXECUTE p"]),
    ];
    let fail = [
        psql(&["-c", "BEGIN ISOLATION LEVEL REPEATABLE READ", "-c", INSTANCES]),
        psql(&["-c", &format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {INSTANCES}")]),
        psql(&["-c", "SET default_transaction_isolation = 'serializable'", "-c", "BEGIN", "-c", INSTANCES]),
        psql(&["-c", "COPY store.tenant TO STDOUT"]),
        psql(&["-c", "SELECT public.instances()"]),
        psql(&["-c", "SELECT public.tenant_list() -- tenant"]),
        psql(&["-c", "SELECT public.instances() AS tenant"]),
        Reader::start(&target, "pg_dump", &[]),
    ];
    drop(holder);
    let outcome =
        running.wait().expect_status(0).stderr_has("cancelled a statement that waited for the restore");
    backup.assert_restored(&target);
    let new = target.psql(INSTANCES);
    assert_ne!(old, new);
    for reader in see {
        let output = reader.end();
        assert_eq!(String::from_utf8_lossy(&output.stdout), new, "{output:?}\n{outcome}");
    }
    for (number, reader) in fail.into_iter().enumerate() {
        let output = reader.end();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(CANCELLED), "{number}: {stderr}\n{outcome}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(!stdout.contains('-') || number == 7, "{number}: {stdout}");
    }
}

/// pgmig does not wait for a session after cancelling its statement, even if the limit is short.
#[test]
fn what_was_cancelled_is_not_waited_for() {
    let backup = Backup::of_oldest_release();
    let target = application::target("no_wait");
    let running = application::restore_into(&backup, &target).args(["--swap-wait", "0"]).spawn();
    wait_until(|| has_locked(&target));
    let reader = Reader::psql(&target, &["-c", "COPY store.tenant TO STDOUT"]);
    running.wait().expect_status(0).stderr_has("cancelled a statement");
    backup.assert_restored(&target);
    assert!(String::from_utf8(reader.end().stderr).unwrap().contains(CANCELLED));
}

/// Transactions whose isolation level comes from a setting of the database.
#[test]
fn the_default_isolation_level_counts() {
    let backup = Backup::of_oldest_release();
    let target = application::target("default_level");
    let name = crate::support::database::quoted(&target.name);
    target.psql(&format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"));
    let running = application::restore_into(&backup, &target).spawn();
    wait_until(|| has_locked(&target));
    let holder = holder(&target);
    let reader = Reader::psql(&target, &["-c", INSTANCES]);
    drop(holder);
    running.wait().expect_status(0);
    backup.assert_restored(&target);
    let output = reader.end();
    assert!(String::from_utf8(output.stderr).unwrap().contains(CANCELLED));
}

/// The role cannot see statements of superusers.
#[test]
fn a_superusers_statement_goes_on_with_the_new_state() {
    let backup = Backup::of_oldest_release();
    let target = application::target("superusers");
    let running = application::restore_into(&backup, &target).spawn();
    wait_until(|| has_locked(&target));
    let holder = holder(&target);
    let (server, name) = (target.server.clone(), target.name.clone());
    let reader = std::thread::spawn(move || Database::shared(&server, &name).psql(INSTANCES));
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = '%' AND NOT l.granted";
    wait_until(|| target.server.psql("postgres", &waits.replace('%', &target.name)) == "1\n");
    drop(holder);
    running.wait().expect_status(0).stderr_has("the server shows su_username no more than this");
    assert_eq!(reader.join().unwrap(), target.psql(INSTANCES));
    backup.assert_restored(&target);
}

/// Two readers that connect repeatedly, in either isolation level.
#[test]
fn steady_readers_see_nothing_between() {
    let backup = Backup::of_oldest_release();
    let target = application::target("steady");
    let state = format!("SELECT ({INSTANCES}), (SELECT count(*) FROM store.workspace)");
    let in_one = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {state}; COMMIT");
    let seen = |target: &Database| target.psql(&state);
    let old = seen(&target);
    let is_over = AtomicBool::new(false);
    let (outcome, all) = std::thread::scope(|scope| {
        let read = |sql: &str| {
            let mut all = Vec::new();
            loop {
                let last = is_over.load(Ordering::Relaxed);
                let output = Reader::psql(&target, &["-c", sql]).end();
                let stderr = String::from_utf8(output.stderr).unwrap();
                assert!(output.status.success() || stderr.contains(CANCELLED), "{stderr}");
                all.extend(output.status.success().then(|| String::from_utf8(output.stdout).unwrap()));
                if last {
                    return all;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        let readers = [&state, &in_one].map(|sql| scope.spawn(move || read(sql)));
        let outcome = application::restore_into(&backup, &target).run();
        is_over.store(true, Ordering::Relaxed);
        (outcome, readers.map(|reader| reader.join().unwrap()))
    });
    outcome.expect_status(0);
    backup.assert_restored(&target);
    let new = seen(&target);
    for states in all {
        let first_new = states.iter().position(|state| *state == new).expect("the last one sees it");
        assert!(states[..first_new].iter().all(|state| *state == old), "{states:?}");
        assert!(states[first_new..].iter().all(|state| *state == new), "{states:?}");
    }
}

#[test]
fn a_reader_with_an_old_snapshot_is_waited_for() {
    let backup = Backup::of_oldest_release();
    let target = application::target("snapshot");
    let before = Before::of(&target);
    let restore = |args: &[&str]| {
        let pgmig = application::restore_into(&backup, &target).args(args.iter().copied());
        let running = pgmig.spawn();
        wait_until(|| has_locked(&target));
        let reader = holder(&target);
        (running.wait(), reader)
    };
    // The session belongs to a superuser, so the role cannot terminate it.
    for args in [&["--swap-wait", "1"][..], &["--swap-wait", "1", "--terminate-sessions"]] {
        let (outcome, reader) = restore(args);
        let outcome = outcome.expect_status(3).stderr_has("stayed connected for 1 s");
        let outcome =
            outcome.stderr_has(&format!("{} holder", target.name)).stderr_has("let a superuser end");
        drop(reader);
        before.is_now(outcome);
    }
}

#[test]
fn an_old_snapshot_may_be_ended() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("ended");
    let pgmig = backup.restore_into(&target).args(["--strategy", "in-place", "--terminate-sessions"]);
    let running = pgmig.spawn();
    wait_until(|| has_locked(&target));
    let _reader = holder(&target);
    running.wait().expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn an_interrupt_while_an_old_snapshot_is_waited_for() {
    let backup = Backup::of_oldest_release();
    let target = application::target("interrupted");
    let before = Before::of(&target);
    let running = application::restore_into(&backup, &target).env("PGAPPNAME", &target.name).spawn();
    wait_until(|| has_locked(&target));
    let reader = holder(&target);
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '{} %' AND query LIKE '%pg_blocking_pids(a.pid)%'",
        target.name
    );
    wait_until(|| target.server.psql("postgres", &waits) == "1\n");
    running.signal("INT");
    let outcome = running.wait().expect_status(130).stderr_has("the target is untouched");
    drop(reader);
    before.is_now(outcome);
}

/// A process that serves a replication slot has no snapshot, so it stays. Of another role's process, the server shows
/// only that it serves a slot.
#[test]
fn a_slot_in_use_stays_in_use() {
    let backup = Backup::of_oldest_release();
    let target = application::target("slot_in_use");
    let slot = format!("in_use_{}", std::process::id());
    target.psql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')"));
    let mut receiver = target
        .server
        .program("pg_recvlogical")
        .args(["-d", &target.name, "--slot", &slot, "--start", "-f", "/dev/null"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pg_recvlogical starts");
    let active = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'");
    wait_until(|| target.psql(&active) == "t\n");
    let outcome = application::restore_into(&backup, &target).args(["--swap-wait", "1"]).run();
    let is_active = target.psql(&active);
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    wait_until(|| target.psql(&active) == "f\n");
    target.psql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    outcome.expect_status(0);
    assert_eq!(is_active, "t\n");
    backup.assert_restored(&target);
}

#[test]
fn a_prepared_transaction_is_refused() {
    let backup = Backup::of_oldest_release();
    let target = application::target("prepared");
    let name = format!("in place {}", std::process::id());
    let before = Before::of(&target);
    target.psql(&format!("BEGIN; LOCK TABLE store.tenant IN SHARE MODE; PREPARE TRANSACTION '{name}'"));
    let restore = || -> Pgmig { application::restore_into(&backup, &target) };
    let outcomes = [&[][..], &["--terminate-sessions"], &["--dry-run"]]
        .map(|args: &[&str]| restore().args(["--strategy", "in-place"]).args(args.iter().copied()).run());
    target.psql(&format!("ROLLBACK PREPARED '{name}'"));
    for outcome in outcomes {
        before.is_now(outcome.expect_status(3).stderr_has(&name).stderr_has("ROLLBACK PREPARED"));
    }
    restore().run().expect_status(0);
    backup.assert_restored(&target);
}
