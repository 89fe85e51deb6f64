//! `pgmig config`: writes the `postgres.yaml` that the JSON of a store's secret makes.

use crate::args::{Args, ConfigArgs};
use crate::failure::Usage;
use anyhow::{Context as _, Result};
use pgmig_core::Error;
use pgmig_core::server::Vcap;
use secrecy::ExposeSecret as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

/// Prints the file. It holds the password, so a terminal is refused.
pub(crate) fn run(args: &Args, config: &ConfigArgs) -> Result<()> {
    args.output.text_only("pgmig config")?;
    if io::stdout().is_terminal() {
        let text = "pgmig config prints a password: redirect it to a private file (umask 077; pgmig config --vcap FILE > \
                    postgres.yaml)";
        return Err(Usage::new(text).into());
    }
    let path = if config.vcap == Path::new("-") { Path::new("/dev/stdin") } else { &config.vcap };
    let yaml = Vcap::read(path).map_err(Error::from)?.to_yaml();
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(yaml.expose_secret().as_bytes()).and_then(|()| stdout.flush());
    written.context("cannot write to standard output")
}
