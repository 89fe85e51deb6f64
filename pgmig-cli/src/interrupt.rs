//! SIGINT and SIGTERM: the first one asks the library to stop and clean up, a second one ends the program.

use crate::failure::exit_status;
use crate::output::say;
use anyhow::{Context, Result};
use pgmig_core::ErrorKind;
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

async fn listen(mut interrupts: Signal, mut terminations: Signal, cancel: CancellationToken) {
    next(&mut interrupts, &mut terminations).await;
    say("interrupted: cleaning up (once more to stop at once; the next run then removes what is left)");
    cancel.cancel();
    next(&mut interrupts, &mut terminations).await;
    #[allow(clippy::exit, reason = "whoever signals twice does not want to wait for anything")]
    std::process::exit(exit_status(ErrorKind::Interrupted).into());
}

async fn next(interrupts: &mut Signal, terminations: &mut Signal) {
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
}
