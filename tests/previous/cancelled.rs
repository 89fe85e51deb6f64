//! DROP DATABASE of a previous database that another session cancels: pgmig tries again, in the same run.

use crate::support::Server;
use crate::support::previous::Site;
use crate::support::session::{HeldSession, wait_until};
use std::io::Write;
use std::process::{Child, Stdio};

/// A session that takes a lock on pg_database, on which every DROP DATABASE waits.
struct Blocker(Child);

impl Blocker {
    /// Asks for the lock. It is granted as soon as the present holders' transactions end.
    fn ask(server: &Server) -> Self {
        let mut psql = server.program("psql");
        psql.args(["-X", "-q", "-d", "postgres"]).env("PGAPPNAME", "blocker");
        let mut psql =
            psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        psql.stdin.as_mut().unwrap().write_all(b"BEGIN; LOCK TABLE pg_database IN SHARE MODE;\n").unwrap();
        wait_until(|| !locks(server, "TRUE").is_empty());
        Self(psql)
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The blocker's lock on pg_database, if it is in this state.
fn locks(server: &Server, state: &str) -> String {
    server.psql(
        "postgres",
        &format!(
            "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'blocker'
             AND l.relation = 'pg_database'::regclass AND l.mode = 'ShareLock' AND {state}"
        ),
    )
}

/// The server process of pgmig that runs such a statement.
fn process(server: &Server, statement: &str) -> String {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgmig %' AND state = 'active'
         AND query LIKE '{statement}'"
    );
    server.psql("postgres", &sql).trim().to_owned()
}

/// Starts a restore, and blocks its DROP DATABASE. The blocker waits behind the swap's transaction, so it has its lock as
/// soon as that is committed.
fn blocked(site: &Site) -> (crate::support::pgmig::Running, Blocker) {
    let server = &site.target.server;
    let session = HeldSession::open(&site.target, "in the way");
    let running = site.restore().args(["--swap-wait", "60"]).spawn();
    wait_until(|| !process(server, "ALTER DATABASE%RENAME%").is_empty());
    let blocker = Blocker::ask(server);
    drop(session);
    wait_until(|| !locks(server, "granted").is_empty());
    wait_until(|| !process(server, "DROP DATABASE%").is_empty());
    (running, blocker)
}

#[test]
fn a_drop_that_is_cancelled_is_tried_again_in_the_same_run() {
    // The lock stops every other test's CREATE DATABASE, too.
    let server = Server::start_private("");
    let site = Site::on(&server, "cancelled");
    let (running, blocker) = blocked(&site);
    for _ in 0..2 {
        let process = process(&server, "DROP DATABASE%");
        site.admin(&format!("SELECT pg_cancel_backend({process})"));
        wait_until(|| self::process(&server, "DROP DATABASE%").is_empty());
        wait_until(|| !self::process(&server, "DROP DATABASE%").is_empty());
    }
    drop(blocker);
    let outcome = running.wait().expect_status(0);
    let outcome = outcome.stderr_has("attempt 2 of 5").stderr_has("attempt 3 of 5").stderr_has("57014");
    assert!(!outcome.stderr.contains("is left behind as"), "{outcome}");
    assert_eq!(site.beside(), [""; 0], "{outcome}");
}

/// The connection is lost, and with it the lock: both are taken again.
#[test]
fn a_drop_whose_server_process_is_ended_is_tried_again() {
    let server = Server::start_private("");
    let site = Site::on(&server, "ended_drop");
    let (running, blocker) = blocked(&site);
    site.admin(&format!("SELECT pg_terminate_backend({})", process(&server, "DROP DATABASE%")));
    wait_until(|| process(&server, "DROP DATABASE%").is_empty());
    drop(blocker);
    let outcome = running.wait().expect_status(0).stderr_has("attempt 2 of 5");
    assert_eq!(site.beside(), [""; 0], "{outcome}");
}

#[test]
fn after_five_attempts_the_next_run_drops_it() {
    let server = Server::start_private("");
    let site = Site::on(&server, "given_up");
    let (running, blocker) = blocked(&site);
    for _ in 0..5 {
        wait_until(|| !process(&server, "DROP DATABASE%").is_empty());
        site.admin(&format!("SELECT pg_cancel_backend({})", process(&server, "DROP DATABASE%")));
        wait_until(|| process(&server, "DROP DATABASE%").is_empty());
    }
    let outcome =
        running.wait().expect_status(0).stderr_has("attempt 5 of 5").stderr_has("is left behind as");
    drop(blocker);
    assert_eq!(site.beside().len(), 1, "{outcome}");
    site.restore().run().expect_status(0).stderr_has("removed database");
    assert_eq!(site.beside(), [""; 0]);
}

/// The next run finds the databases that are left.
#[test]
fn pgmig_previous_drop_is_killed_in_the_middle() {
    let server = Server::start_private("");
    let site = Site::on(&server, "killed_drop");
    let (first, second) = (site.keep(), site.keep());
    let contents = site.target.dump(&[]);
    let blocker = Blocker::ask(&server);
    let running = site.previous(["drop", "--force"]).args([&first, &second]).spawn();
    wait_until(|| !process(&server, "DROP DATABASE%").is_empty());
    running.signal("KILL");
    running.wait().expect_killed();
    drop(blocker);
    wait_until(|| process(&server, "DROP DATABASE%").is_empty());
    // The first one is dropped or whole: that depends on when the server notices that the client is gone.
    let left = site.beside();
    assert!(left.contains(&second), "{left:?}");
    let list = site.previous(["list"]).run().expect_status(0);
    for previous in &left {
        assert!(list.stdout.contains(previous.as_str()), "{list}");
    }
    assert!(!list.stdout.contains("invalid"), "{list}");
    site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(0);
    assert_eq!(site.beside(), [""; 0]);
    assert!(site.target.dump(&[]) == contents);
}

#[test]
fn pgmig_previous_drop_tries_again_too() {
    let server = Server::start_private("");
    let site = Site::on(&server, "cancelled_drop");
    let previous = site.keep();
    let blocker = Blocker::ask(&server);
    let running = site.previous(["drop", "--force"]).arg(&previous).spawn();
    wait_until(|| !process(&server, "DROP DATABASE%").is_empty());
    site.admin(&format!("SELECT pg_cancel_backend({})", process(&server, "DROP DATABASE%")));
    wait_until(|| process(&server, "DROP DATABASE%").is_empty());
    drop(blocker);
    running.wait().expect_status(0).stderr_has("attempt 2 of 5").stdout_has("Dropped 1 previous database");
    assert_eq!(site.beside(), [""; 0]);
}
