//! Sessions that are in the way of a swap: one that stays connected, or one that connects repeatedly.

use super::database::Database;
use std::io::Write;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// A psql that is connected until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldSession {
    psql: Child,
}

impl HeldSession {
    /// Connects. Returns when the session exists.
    #[track_caller]
    pub(crate) fn open(database: &Database, application: &str) -> Self {
        Self::running(database, application, "")
    }

    /// Connects and runs this SQL, which need not end.
    #[track_caller]
    pub(crate) fn running(database: &Database, application: &str, sql: &str) -> Self {
        let mut psql = database
            .server
            .program("psql")
            .env("PGAPPNAME", application)
            .args(["-X", "-q", "-d", &database.name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql starts");
        let stdin = psql.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(sql.as_bytes()).expect("psql reads");
        let session = Self { psql };
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}'");
        wait_until(|| database.server.psql("postgres", &sql) == "1\n");
        session
    }

    /// Gives the database a setting, and locks the table of all settings: whoever sets it once more has to wait.
    #[track_caller]
    pub(crate) fn on_settings_of(database: &Database) -> Self {
        database.psql(&format!("ALTER DATABASE \"{}\" SET work_mem = '5MB'", database.name));
        let sql = "BEGIN; LOCK TABLE pg_catalog.pg_db_role_setting IN EXCLUSIVE MODE;\n";
        let session = Self::running(database, &format!("{} holder", database.name), sql);
        let holds = "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND locktype = 'relation' AND granted";
        wait_until(|| database.server.psql("postgres", holds) != "0\n");
        session
    }
}

impl Drop for HeldSession {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

/// Connects repeatedly for a moment, as a metrics exporter does.
#[derive(Debug)]
pub(crate) struct Exporter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Exporter {
    /// Begins to connect, with this pause between connections.
    pub(crate) fn start(database: &Database, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (server, name) = (database.server.clone(), database.name.clone());
        let visit = move || {
            let mut visits = 0;
            while !stopped.load(Ordering::Relaxed) {
                visits += u32::from(server.try_psql(&name, "SELECT 1").status.success());
                sleep(pause);
            }
            visits
        };
        Self { stop, thread: Some(std::thread::spawn(visit)) }
    }

    /// Stops. Returns how many connections the server admitted.
    pub(crate) fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is stopped once");
        thread.join().expect("the exporter does not panic")
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Waits for a condition that must come true.
#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for 60 s");
        sleep(Duration::from_millis(20));
    }
}
