//! Handles SIGINT and SIGTERM, on a thread of its own: nothing that blocks the program blocks this thread.
//!
//! The first signal asks the library to stop and clean up, and ends the program after [`GRACE`] if that does not. The
//! second signal ends the program at once. While a restore is being committed, a signal cannot stop it any more.

use crate::failure::exit_status;
use crate::output::{Text, say};
use anyhow::{Context, Result};
use pgmig_core::ErrorKind;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long the program may clean up after the first signal. The manual promises 5 s.
const GRACE: Duration = Duration::from_millis(4500);

/// How long the program waits for its last message to be written: nobody may be reading standard error.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How far the restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// The target is untouched.
    Before,
    /// The server has been asked to commit, and has not answered.
    Committing,
    /// The restore is committed.
    Committed,
}

static STAGE: AtomicU8 = AtomicU8::new(Stage::Before as u8);

/// Notes how far the restore has come.
pub(crate) fn has_come_to(stage: Stage) {
    STAGE.store(stage as u8, Ordering::SeqCst);
}

fn stage() -> Stage {
    match STAGE.load(Ordering::SeqCst) {
        stage if stage == Stage::Committing as u8 => Stage::Committing,
        stage if stage == Stage::Committed as u8 => Stage::Committed,
        _ => Stage::Before,
    }
}

/// A token that the first signal cancels. SIGHUP is left alone, so that `nohup pgmig` works.
pub(crate) fn cancelled_by_signals() -> Result<CancellationToken> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot listen to signals")?;
    let (interrupts, terminations) = {
        let _entered = runtime.enter();
        let interrupts = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
        (interrupts, signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?)
    };
    let cancel = CancellationToken::new();
    let cancelled = cancel.clone();
    let listening = move || runtime.block_on(listen(interrupts, terminations, cancelled));
    let thread = thread::Builder::new().name("pgmig-signals".to_owned()).spawn(listening);
    thread.context("cannot start the thread that listens to signals")?;
    Ok(cancel)
}

async fn listen(mut interrupts: Signal, mut terminations: Signal, cancel: CancellationToken) {
    next(&mut interrupts, &mut terminations).await;
    cancel.cancel();
    say_aside(match stage() {
        Stage::Before => {
            "interrupted: cleaning up (once more to stop at once; the next run then removes what is left)"
        }
        Stage::Committing => {
            "interrupted: too late, the restore is being committed (once more to stop at once, without knowing)"
        }
        Stage::Committed => "interrupted: too late, the restore is committed; pgmig ends within 5 s",
    });
    let is_second = tokio::select! {
        () = next(&mut interrupts, &mut terminations) => true,
        () = sleep(GRACE) => false,
    };
    let (kind, text) = ending(stage(), is_second);
    if let Some(text) = text {
        // The thread may be waiting for whoever reads standard error.
        let _ = say_aside(text).recv_timeout(LAST_WORDS);
    }
    #[allow(clippy::exit, reason = "nothing may keep the program from ending now")]
    std::process::exit(kind.map_or(0, exit_status).into());
}

/// How the program ends while something still blocks it: the kind of the error, `None` for success, and the message.
fn ending(stage: Stage, is_second: bool) -> (Option<ErrorKind>, Option<&'static str>) {
    match stage {
        Stage::Before if is_second => (Some(ErrorKind::Interrupted), None),
        Stage::Before => (
            Some(ErrorKind::Interrupted),
            Some(
                "interrupted: stopped before everything was cleaned up; if a restore had begun, its target is untouched, \
                 and the next run removes the staging database and the temporary role that may be left",
            ),
        ),
        Stage::Committing => (
            Some(ErrorKind::OutcomeUnknown),
            Some(
                "stopped while the restore was being committed: look into the target whether it has been, before you start \
                 the store",
            ),
        ),
        Stage::Committed => (
            None,
            Some(
                "stopped after the restore was committed: it is complete, and the next run removes what is left",
            ),
        ),
    }
}

/// Writes a message from a thread of its own. The channel closes when it has been written.
fn say_aside(text: &'static str) -> mpsc::Receiver<()> {
    let (written, is_written) = mpsc::channel();
    // Without a thread there is no message.
    let _ = thread::Builder::new().spawn(move || {
        say(&Text::of(text));
        drop(written);
    });
    is_written
}

async fn next(interrupts: &mut Signal, terminations: &mut Signal) {
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_before_the_commit_is_a_target_called_untouched() {
        for (stage, is_second) in [(Stage::Committing, false), (Stage::Committing, true)] {
            let (kind, text) = ending(stage, is_second);
            assert_eq!(kind, Some(ErrorKind::OutcomeUnknown));
            assert!(text.is_some_and(|text| !text.contains("untouched")), "{text:?}");
        }
        assert_eq!(ending(Stage::Before, true), (Some(ErrorKind::Interrupted), None));
        assert!(ending(Stage::Before, false).1.is_some_and(|text| text.contains("untouched")));
        assert_eq!(ending(Stage::Committed, true).0, None);
    }
}
