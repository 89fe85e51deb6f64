//! Handles SIGINT and SIGTERM. The first signal asks the library to stop and clean up; the second one ends the program.
//! While a restore is being committed, the first signal cannot stop it.

use crate::failure::exit_status;
use crate::output::{Text, say};
use anyhow::{Context, Result};
use pgmig_core::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels. SIGHUP is left alone, so that `nohup pgmig` works.
pub(crate) fn cancelled_by_signals() -> Result<CancellationToken> {
    let interrupts = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    let terminations = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let cancel = CancellationToken::new();
    tokio::spawn(listen(interrupts, terminations, cancel.clone()));
    Ok(cancel)
}

/// True while the restore is being committed.
static TOO_LATE: AtomicBool = AtomicBool::new(false);

/// Notes that an interruption can no longer leave the target untouched.
pub(crate) fn comes_too_late() {
    TOO_LATE.store(true, Ordering::SeqCst);
}

fn is_too_late() -> bool {
    TOO_LATE.load(Ordering::SeqCst)
}

async fn listen(mut interrupts: Signal, mut terminations: Signal, cancel: CancellationToken) {
    next(&mut interrupts, &mut terminations).await;
    say(&Text::of(if is_too_late() {
        "interrupted: too late, the restore is being committed or has been (once more to stop at once, without knowing)"
    } else {
        "interrupted: cleaning up (once more to stop at once; the next run then removes what is left)"
    }));
    cancel.cancel();
    next(&mut interrupts, &mut terminations).await;
    let kind = if is_too_late() { ErrorKind::OutcomeUnknown } else { ErrorKind::Interrupted };
    if kind == ErrorKind::OutcomeUnknown {
        let text = "stopped while the restore was being committed: look into the target whether it has been";
        say(&Text::of(text));
    }
    #[allow(clippy::exit, reason = "whoever signals twice does not want to wait for anything")]
    std::process::exit(exit_status(kind).into());
}

async fn next(interrupts: &mut Signal, terminations: &mut Signal) {
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
}
