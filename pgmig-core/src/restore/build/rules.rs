//! The rules by which a mapping's IDs are replaced in a store.

use crate::instance::Resolution;
use crate::profile::{ColumnRef, Profile};
use crate::rewrite::{ColumnSelector, Found, Rules};

/// The rules that a mapping amounts to in a store of this profile. They add to the counts of `found`.
pub(super) fn rules_of(resolution: &Resolution, profile: Option<&Profile>, found: &Found) -> Rules {
    let rules = Rules::from_resolution(resolution).counting(found);
    match profile {
        Some(profile) if !profile.owner_columns().is_empty() => {
            rules.only_in(profile.owner_columns().iter().cloned().map(selector))
        }
        Some(profile) => {
            let excluded = profile.excluded_columns().iter().cloned().map(selector);
            let bytea = profile.bytea_columns().iter();
            let bytea = bytea.map(|column| (selector(column.column_ref()), column.ids));
            rules
                .with_excluded(excluded)
                .with_alias_columns(profile.alias_columns().map(selector))
                .with_bytea(profile.bytea(), bytea)
                .with_large_objects(profile.large_objects())
        }
        None => rules,
    }
}

fn selector(column: ColumnRef) -> ColumnSelector {
    ColumnSelector { schema: column.schema, table: column.table, column: column.column }
}
