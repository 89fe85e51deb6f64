//! `--testPGConnection`: tries the connection to PostgreSQL and prints the result. Changes nothing.

use crate::args::Args;
use crate::environment::Environment;
use crate::failure::Interrupted;
use crate::output::{self, Text};
use anyhow::Result;
use pgmig_core::restore::probe;
use tokio_util::sync::CancellationToken;

/// Tries the connection.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: &CancellationToken) -> Result<()> {
    args.output.text_only("--testPGConnection")?;
    let config = environment.target_config(args.target.file()?)?;
    let found = tokio::select! {
        found = probe(&config) => found?,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    let mut text = Text::new();
    text.lines(&found.to_string());
    output::print(&text)
}
