//! `--testPGConnection` and `--testRCConnection`: try a connection, say what was found, change nothing.

use crate::args::Args;
use crate::environment::Environment;
use crate::failure::{Interrupted, Usage};
use crate::output;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::resource_controller::ResourceControllerConfig;
use pgmig_core::restore::probe;
use pgmig_core::target::TargetConfig;
use tokio_util::sync::CancellationToken;

/// Tries what the arguments ask for.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: &CancellationToken) -> Result<()> {
    if args.test_rc_connection {
        return test_resource_controller(args);
    }
    let config = TargetConfig::from_file(args.target()?, &environment.target).map_err(Error::from)?;
    let found = tokio::select! {
        found = probe(&config) => found?,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    output::print(&found.to_string())
}

/// The configuration is checked; the connection itself is not made by this build, which must not look like a
/// success.
fn test_resource_controller(args: &Args) -> Result<()> {
    let Some(path) = &args.resource_controller else {
        return Err(Usage::new(
            "--resourceController is missing: it names the Resource Controller configuration file",
        )
        .into());
    };
    let config = ResourceControllerConfig::from_file(path).map_err(Usage::from_error)?;
    Err(Usage::new(format!(
        "--testRCConnection is not supported by this build yet: {} is well-formed, but no connection to {}:{} was tried",
        path.display(),
        config.host,
        config.port
    ))
    .into())
}
