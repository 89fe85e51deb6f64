//! The main job: restore a backup into the target.

use crate::args::Args;
use crate::confirm;
use crate::environment::Environment;
use crate::failure::Usage;
use crate::output::{self, say};
use crate::progress::Display;
use anyhow::Result;
use pgmig_core::instance::Mapping;
use pgmig_core::profile::Profile;
use pgmig_core::resource_controller::ResourceControllerConfig;
use pgmig_core::restore::{Erase, Instances, Restore, RestoreOptions, Source};
use pgmig_core::schema::MigrationSet;
use pgmig_core::target::TargetConfig;
use pgmig_core::{Error, restore};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Restores what the arguments say, and prints the summary.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: CancellationToken) -> Result<()> {
    let source = source(args.source()?);
    let target = TargetConfig::from_file(args.target()?, &environment.target).map_err(Error::from)?;
    let options = options(args, environment)?;
    check_resource_controller(args)?;

    let display = Arc::new(Display::new(args));
    let result = restore(args, source, target, options, &display, cancel).await;
    display.finish();
    let report = result?;
    if args.quiet { Ok(()) } else { output::print(&output::summary(&report)) }
}

async fn restore(
    args: &Args,
    source: Source,
    target: TargetConfig,
    options: RestoreOptions,
    display: &Arc<Display>,
    cancel: CancellationToken,
) -> Result<restore::RestoreReport> {
    let from_stdin = source == Source::Stdin;
    let mut restore =
        Restore::prepare(source, target, options, Arc::clone(display) as _, cancel.clone()).await?;
    if restore.needs_confirmation() && !args.force {
        let question =
            confirm::Erasure { database: restore.database(), contents: restore.contents(), from_stdin };
        display.suspend();
        confirm::erase(&question, &cancel).await?;
        display.resume();
        restore.allow_erase();
    }
    Ok(restore.run().await?)
}

fn source(path: &Path) -> Source {
    if path == Path::new("-") { Source::Stdin } else { Source::File(path.to_owned()) }
}

fn options(args: &Args, environment: &Environment) -> Result<RestoreOptions> {
    let mut options = RestoreOptions::new(instances(args)?);
    options.erase = if args.force { Erase::Allow } else { Erase::Refuse };
    options.profile = args.profile.as_deref().map(profile).transpose()?;
    options.migrations =
        args.migrations.as_deref().map(MigrationSet::from_dir).transpose().map_err(Error::from)?;
    options.strict = args.strict;
    options.keep_previous = args.keep_previous;
    options.swap_wait = args.swap_wait;
    options.terminate_sessions = args.terminate_sessions;
    options.failpoint = environment.failpoint;
    Ok(options)
}

/// With neither a mapping nor `--keep-ids` nothing is mapped: the library then refuses, and lists the instances
/// that need it.
fn instances(args: &Args) -> Result<Instances> {
    if args.keep_ids {
        return Ok(Instances::Keep);
    }
    match &args.mapping {
        None => Ok(Instances::Map(Mapping::default())),
        Some(path) => Ok(Instances::Map(Mapping::read(path).map_err(Error::from)?)),
    }
}

/// A directory with a profile, or the name of a built-in one.
fn profile(name: &Path) -> Result<Profile> {
    let profile = match name.to_str() {
        Some(built_in) if !name.is_dir() => Profile::builtin(built_in),
        _ => Profile::from_dir(name),
    };
    Ok(profile.map_err(Error::from)?)
}

fn check_resource_controller(args: &Args) -> Result<()> {
    let Some(path) = &args.resource_controller else { return Ok(()) };
    ResourceControllerConfig::from_file(path).map_err(Usage::from_error)?;
    if !args.quiet {
        say(
            "notice: this build does not list instances from the Resource Controller yet: the mapping must be complete",
        );
    }
    Ok(())
}
