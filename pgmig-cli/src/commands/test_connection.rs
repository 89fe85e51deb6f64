//! `--testPGConnection`: tries the connection to PostgreSQL, says what was found, changes nothing.

use crate::args::Args;
use crate::environment::Environment;
use crate::failure::Interrupted;
use crate::output;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::restore::probe;
use pgmig_core::server::TargetConfig;
use tokio_util::sync::CancellationToken;

/// Tries the connection.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: &CancellationToken) -> Result<()> {
    args.output.text_only("--testPGConnection")?;
    let config = TargetConfig::from_file(args.target()?, &environment.target).map_err(Error::from)?;
    let found = tokio::select! {
        found = probe(&config) => found?,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    output::print(&format!("{found}\n"))
}
