//! The built-in profiles, with their migrations. A test compares this list with the directory.

/// A directory below `schema-migrations/`.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) profile: &'static str,
    pub(crate) releases: &'static str,
    /// The file name and text of each migration, in the order of versions.
    pub(crate) migrations: &'static [(&'static str, &'static str)],
}

macro_rules! builtin {
    ($name:literal: $($file:literal),+ $(,)?) => {
        Builtin {
            name: $name,
            profile: include_str!(concat!("../../../schema-migrations/", $name, "/profile.yaml")),
            releases: include_str!(concat!("../../../schema-migrations/", $name, "/releases.yaml")),
            migrations: &[
                $(($file, include_str!(concat!("../../../schema-migrations/", $name, "/", $file)))),+
            ],
        }
    };
}

pub(crate) const BUILTIN: &[Builtin] = &[builtin!(
    "assistant":
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
)];

impl Builtin {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        BUILTIN.iter().find(|builtin| builtin.name == name)
    }
}
