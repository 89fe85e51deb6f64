//! `pgmig releases`: the releases that this build, or a profile, knows.

use super::mapping;
use crate::args::{Args, OutputFormat, ReleasesArgs};
use crate::output;
use crate::table::{Align, Table};
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::profile::{Profile, Release};
use serde::Serialize;
use std::fmt::Write as _;

/// The releases of every profile that was asked for.
#[derive(Debug, Serialize)]
struct Listing {
    profiles: Vec<ProfileReleases>,
}

#[derive(Debug, Serialize)]
struct ProfileReleases {
    profile: String,
    /// Oldest first.
    releases: Vec<KnownRelease>,
}

#[derive(Debug, Serialize)]
struct KnownRelease {
    release: Release,
    /// The last migration that it has.
    version: i64,
}

/// Prints them.
pub(crate) fn run(args: &Args, releases: &ReleasesArgs) -> Result<()> {
    let profiles = match &releases.profile {
        Some(profile) => vec![mapping::named_profile(profile)?],
        None => {
            let builtin = Profile::builtin_names().map(Profile::builtin);
            builtin.collect::<Result<_, _>>().map_err(Error::from)?
        }
    };
    let listing = Listing { profiles: profiles.iter().map(releases_of).collect() };
    match args.output {
        OutputFormat::Json => output::print(&output::document("releases", &listing)?),
        OutputFormat::Text => output::print(&text(&listing)),
    }
}

fn releases_of(profile: &Profile) -> ProfileReleases {
    let known = |(release, version)| KnownRelease { release, version };
    ProfileReleases {
        profile: profile.name().to_owned(),
        releases: profile.releases().iter().map(known).collect(),
    }
}

/// A line for each schema version, with the releases that have it.
fn text(listing: &Listing) -> String {
    let mut text = String::new();
    for ProfileReleases { profile, releases } in &listing.profiles {
        let mut table = Table::new(&[("version", Align::Right), ("releases", Align::Left)]);
        for same in releases.chunk_by(|one, next| one.version == next.version) {
            let Some(first) = same.first() else { continue };
            let names: Vec<String> = same.iter().map(|known| known.release.to_string()).collect();
            table.row([first.version.to_string(), names.join(", ")]);
        }
        let _ = write!(text, "{profile}\n{}", table.render());
    }
    text
}
