//! Blocking work on a thread of its own.

use crate::backup::BackupError;
use crate::error::Result;

/// Runs what may block on a thread of its own rather than one of the runtime's: a read from a pipe can block for
/// ever, and must not keep a program from ending.
pub(crate) async fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody listens any more if the call was cancelled.
            let _ = tell.send(work());
        })
        .map_err(BackupError::NoThread)?;
    told.await.map_err(|_| BackupError::ThreadDied)?
}
