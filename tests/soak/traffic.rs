//! Readers and writers of a target that is being replaced.

use super::room::{Room, Target};
use crate::support::random::Random;
use crate::support::server::Server;
use crate::support::session::HeldSession;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// The rows of both archives: no reader may see another number.
const COUNTS: [&str; 2] = ["1500", "1800"];

/// The sessions.
pub(super) struct Traffic {
    /// Whether pgmig may end them.
    pub(super) ends_sessions: bool,
    has_stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    answers: Arc<Mutex<Vec<String>>>,
    held: Option<HeldSession>,
}

impl Traffic {
    /// Two readers and a writer that come and go. Sometimes also a session that stays.
    pub(super) fn start(room: &Room, target: &Target, random: &mut Random) -> Self {
        let has_stopped = Arc::new(AtomicBool::new(false));
        let answers = Arc::<Mutex<Vec<String>>>::default();
        let read = "SELECT count(*) FROM public.event";
        let read_later = "SELECT pg_sleep(0.1); SELECT count(*) FROM public.event";
        // Nothing changes: a write is lost if the target is replaced after it.
        let write = "BEGIN; UPDATE public.event SET note = note WHERE id < 50; SELECT count(*) FROM public.event; COMMIT";
        let threads = [read, read_later, write].map(|sql| {
            let (server, database) = (Server::clone(room.server()), target.database.name.clone());
            let (has_stopped, answers) = (Arc::clone(&has_stopped), Arc::clone(&answers));
            spawn(move || {
                while !has_stopped.load(Ordering::SeqCst) {
                    let output = server.try_psql(&database, sql);
                    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                    // The server may end the session, or refuse it.
                    if !text.is_empty() {
                        answers.lock().expect("no thread panics").push(text);
                    }
                    sleep(Duration::from_millis(20));
                }
            })
        });
        let held = random.once_in(2).then(|| {
            let sql = "BEGIN; SELECT count(*) FROM public.event;\n";
            HeldSession::running(&target.database, &format!("held on {}", target.database.name), sql)
        });
        let ends_sessions = random.once_in(2);
        Self { ends_sessions, has_stopped, threads: threads.into(), answers, held }
    }

    /// Stops them. Returns what they did, and the answers that are neither the old nor the new rows.
    pub(super) fn stop(self) -> (String, Vec<String>) {
        self.has_stopped.store(true, Ordering::SeqCst);
        let held = if self.held.is_some() { ", one stayed" } else { "" };
        drop(self.held);
        for thread in self.threads {
            thread.join().expect("a reader does not panic");
        }
        let answers = self.answers.lock().expect("no thread panics").clone();
        let wrong = answers.iter().filter(|answer| !COUNTS.contains(&answer.as_str())).cloned().collect();
        (format!("{} answers{held}, terminated: {}", answers.len(), self.ends_sessions), wrong)
    }
}
