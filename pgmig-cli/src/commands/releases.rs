//! `pgmig releases`: lists the releases of a product that this build, or a directory of migrations, has.

use super::mapping;
use crate::args::{Args, OutputFormat, ReleasesArgs};
use crate::failure::Usage;
use crate::output::{self, Text};
use crate::table::{Align, Table};
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::migrations::MigrationSet;
use pgmig_core::profile::{Profile, Release};
use serde::Serialize;
use std::path::Path;

/// All releases and migrations, in the form in which they are printed.
#[derive(Debug, Serialize)]
struct Known {
    profile: String,
    releases: Vec<ReleaseVersion>,
    migrations: Vec<Migration>,
}

#[derive(Debug, Serialize)]
struct ReleaseVersion {
    release: Release,
    version: i64,
}

#[derive(Debug, Serialize)]
struct Migration {
    version: i64,
    description: String,
    transaction: bool,
}

/// Prints the releases of a profile, oldest first, and the migrations between them.
pub(crate) fn run(args: &Args, releases: &ReleasesArgs) -> Result<()> {
    let profile = match &releases.profile {
        Some(name) => mapping::profile_named(name)?,
        None => Profile::builtin(DEFAULT).map_err(Error::from)?,
    };
    let set = match &releases.migrations {
        Some(directory) => Some(own_set(directory, &profile, releases.profile.is_some())?),
        // A user's profile may have no releases.
        None => MigrationSet::builtin(profile.name()).ok(),
    };
    let known = known(&profile, set.as_ref());
    match args.output {
        OutputFormat::Json => output::print_document("releases", &known),
        OutputFormat::Text => output::print(&text(&known)),
    }
}

/// Reads the migrations of a directory. They must match the profile's releases.
fn own_set(directory: &Path, profile: &Profile, is_named: bool) -> Result<MigrationSet> {
    let set = MigrationSet::from_dir(directory).map_err(Error::from)?;
    let first = |set: &MigrationSet| set.files().next().map(|file| file.checksum().to_vec());
    if !is_named && MigrationSet::builtin(DEFAULT).is_ok_and(|builtin| first(&builtin) != first(&set)) {
        let text = format!(
            "the migrations in {} are not those of profile {DEFAULT}: name their own with --profile DIR, which says what \
             releases they make",
            set.origin()
        );
        return Err(Usage::new(text).into());
    }
    set.check_releases(profile).map_err(Error::from)?;
    Ok(set)
}

/// The profile that is shown if the arguments name none.
const DEFAULT: &str = "assistant";

/// The newest release of the built-in profile, for `--version`.
pub(crate) fn newest() -> Option<Release> {
    Profile::builtin(DEFAULT).ok()?.releases().newest().map(|(release, _)| release)
}

fn known(profile: &Profile, set: Option<&MigrationSet>) -> Known {
    let release = |(release, version)| ReleaseVersion { release, version };
    let migrations = set.into_iter().flat_map(MigrationSet::files).map(|file| Migration {
        version: file.version(),
        description: file.description().to_owned(),
        transaction: !file.is_no_transaction(),
    });
    Known {
        profile: profile.name().to_owned(),
        releases: profile.releases().iter().map(release).collect(),
        migrations: migrations.collect(),
    }
}

fn text(known: &Known) -> Text {
    let mut table =
        Table::new(&[("version", Align::Right), ("migration", Align::Left), ("releases", Align::Left)]);
    let mut versions: Vec<i64> = known.migrations.iter().map(|migration| migration.version).collect();
    versions.extend(known.releases.iter().map(|release| release.version));
    versions.sort_unstable();
    versions.dedup();
    for version in versions {
        let migration = known.migrations.iter().find(|migration| migration.version == version);
        let releases = known.releases.iter().filter(|release| release.version == version);
        let mut releases: Vec<String> = releases.map(|release| release.release.to_string()).collect();
        if releases.is_empty() {
            // If a release has several migrations, releases.yaml names the last one.
            let first = known.releases.iter().find(|release| release.version > version);
            releases.push(first.map_or("(no release)".to_owned(), |first| format!("(in {})", first.release)));
        }
        let description = migration.map(|migration| migration.description.clone()).unwrap_or_default();
        table.row([version.to_string(), description, releases.join(", ")]);
    }
    let (releases, migrations) = (known.releases.len(), known.migrations.len());
    let mut text = Text::of(format!(
        "Profile {}: {}, {}",
        known.profile,
        output::plural(releases as u64, "release"),
        output::plural(migrations as u64, "migration")
    ));
    text.line("");
    text.table(&table);
    text
}
