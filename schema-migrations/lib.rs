//! The profiles that are built into pgmig: the text of each file in the directories beside this file.
//!
//! This crate holds data only. `pgmig-core` parses the files, and its tests check them; `README.md` describes their
//! form.

/// A built-in profile: a directory beside this file.
#[derive(Debug)]
pub struct BuiltinProfile {
    /// The name of the profile and of its directory.
    pub name: &'static str,
    /// The text of `profile.yaml`.
    pub profile: &'static str,
    /// The text of `releases.yaml`; empty if there is none.
    pub releases: &'static str,
    /// File name and text of each migration, in the order of versions.
    pub migrations: &'static [(&'static str, &'static str)],
}

macro_rules! builtin {
    ($name:literal: $releases:literal, $($file:literal),+ $(,)?) => {
        BuiltinProfile {
            releases: include_str!(concat!($name, "/", $releases)),
            migrations: &[$(($file, include_str!(concat!($name, "/", $file)))),+],
            ..builtin!($name)
        }
    };
    ($name:literal) => {
        BuiltinProfile {
            name: $name,
            profile: include_str!(concat!($name, "/profile.yaml")),
            releases: "",
            migrations: &[],
        }
    };
}

/// All built-in profiles.
pub const BUILTIN: &[BuiltinProfile] = &[
    builtin!(
        "assistant":
        "releases.yaml",
        "0001_tenants_and_workspaces.sql",
        "0002_assistants_skills_and_logs.sql",
        "0003_environments_get_a_table.sql",
        "0004_skill_documents_become_columns.sql",
        "0005_activity_log_by_year.sql",
        "0006_webhooks_are_unique.sql",
        "0007_workspace_parts_get_tables.sql",
        "0008_snapshots_have_uuids.sql",
        "0009_indexes_for_lookups_by_tenant.sql",
        "0010_webhooks_are_called_callbacks.sql",
        "0011_usage_per_month.sql",
        "0012_drop_what_was_replaced.sql",
    ),
    builtin!("stt-customization"),
    builtin!("tts-customization"),
    builtin!("stt-async"),
];

/// Other names of built-in profiles: the manual of the speech services calls one database by two names.
const ALIASES: [(&str, &str); 1] = [("tts-async", "stt-async")];

impl BuiltinProfile {
    /// The built-in profile of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name, |(_, name)| name);
        BUILTIN.iter().find(|builtin| builtin.name == name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    /// The names in a directory that `keep` keeps.
    fn names(directory: &Path, keep: impl Fn(&Path) -> bool) -> BTreeSet<String> {
        let paths = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let kept = paths.filter(|path| keep(path));
        kept.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn one_profile_has_two_names() {
        let found = |name| BuiltinProfile::find(name).map(|builtin| builtin.name);
        assert_eq!(
            [found("stt-async"), found("tts-async"), found("tts")],
            [Some("stt-async"), Some("stt-async"), None]
        );
    }

    #[test]
    fn every_directory_and_every_migration_is_built_in() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built_in = BUILTIN.iter().map(|profile| profile.name.to_owned());
        assert_eq!(names(here, |path| path.join("profile.yaml").exists()), built_in.collect());
        for profile in BUILTIN {
            let is_sql = |path: &Path| path.extension().is_some_and(|extension| extension == "sql");
            let migrations = profile.migrations.iter().map(|(name, _)| (*name).to_owned());
            assert_eq!(names(&here.join(profile.name), is_sql), migrations.collect());
            let in_order = profile.migrations.is_sorted_by_key(|(name, _)| *name);
            assert!(in_order, "the migrations of {} are not in order", profile.name);
        }
    }
}
