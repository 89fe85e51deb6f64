//! `profile.yaml`: the tables of a store that pgmig must know.

use super::error::ProfileError;
use super::releases::Releases;
use super::target_rules::{TableRef, TargetRules};
use crate::config_file::{self, MAX_SETTINGS_BYTES};
use crate::rewrite::BinaryRule;
use crate::server::yaml;
use crate::sql::QualifiedName;
use pgmig_schema_migrations::{BUILTIN, BuiltinProfile};
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::Path;

const PROFILE_FILE: &str = "profile.yaml";
const RELEASES_FILE: &str = "releases.yaml";

/// The profile of a store: its table of instances, its migration history and its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    file: ProfileFile,
    releases: Releases,
}

/// The table of instances and its columns. Names are unquoted, as in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantTable {
    /// The table's schema; `None` means any schema that has such a table.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name.
    pub table: String,
    /// The column with the instance ID, which a mapping replaces.
    pub id: String,
    /// Columns with other names of the same instance: its number, or a UUID.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The column with the instance's name, which may be NULL; `None` if instances have no names.
    #[serde(default)]
    pub name: Option<String>,
    /// The column with the instance's region; `None` if instances have no regions.
    #[serde(default)]
    pub region: Option<String>,
    /// The column that marks deleted instances; NULL means not deleted. `None` if no instance is ever deleted.
    #[serde(default)]
    pub deleted: Option<String>,
}

/// A column of a table. Without a schema, it means the table in any schema.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRef {
    /// The table's schema.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name.
    pub table: String,
    /// The column's name.
    pub column: String,
}

/// A bytea column, or a column with bytea inside its values, and the rule for IDs in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByteaColumn {
    /// The table's schema.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name.
    pub table: String,
    /// The column's name.
    pub column: String,
    /// The rule for IDs in it.
    pub ids: BinaryRule,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    name: String,
    schema: String,
    #[serde(default)]
    search_path: Vec<String>,
    #[serde(default)]
    tenant: Option<TenantTable>,
    #[serde(default)]
    system_regions: Vec<String>,
    #[serde(default = "default_history_table")]
    history_table: String,
    #[serde(default)]
    owner_columns: Vec<ColumnRef>,
    #[serde(default)]
    excluded_columns: Vec<ColumnRef>,
    #[serde(default)]
    alias_columns: Vec<ColumnRef>,
    #[serde(default)]
    bytea: BinaryRule,
    #[serde(default)]
    bytea_columns: Vec<ByteaColumn>,
    #[serde(default)]
    large_objects: BinaryRule,
    #[serde(default)]
    allow_extensions: Vec<String>,
    #[serde(default)]
    workspaces: Option<TableRef>,
    #[serde(default)]
    counted_tables: Vec<TableRef>,
    #[serde(default)]
    global_tables: Vec<TableRef>,
    #[serde(default)]
    target_schema: TargetRules,
}

impl ProfileFile {
    fn from_yaml(text: &str, path: &Path) -> Result<Self, ProfileError> {
        yaml::parse(text).map_err(|error| ProfileError::Invalid {
            path: path.to_owned(),
            line: error.line,
            message: error.message,
        })
    }
}

fn default_history_table() -> String {
    "_sqlx_migrations".to_owned()
}

impl Profile {
    /// A built-in profile.
    ///
    /// # Errors
    ///
    /// [`ProfileError::UnknownName`].
    ///
    /// ```
    /// # use pgmig_core::profile::Profile;
    /// let profile = Profile::builtin("assistant")?;
    /// assert_eq!(profile.tenant().map(|tenant| tenant.table.as_str()), Some("tenant"));
    /// # Ok::<(), pgmig_core::profile::ProfileError>(())
    /// ```
    pub fn builtin(name: &str) -> Result<Self, ProfileError> {
        let builtin = BuiltinProfile::find(name).ok_or_else(|| ProfileError::UnknownName {
            name: name.to_owned(),
            known: Self::builtin_names().collect::<Vec<_>>().join(", "),
        })?;
        let at = |file: &str| Path::new(builtin.name).join(file);
        let file = ProfileFile::from_yaml(builtin.profile, &at(PROFILE_FILE))?;
        let releases = match builtin.releases {
            "" => Releases::default(),
            releases => Releases::from_yaml(releases, &at(RELEASES_FILE))?,
        };
        Ok(Self { file, releases })
    }

    /// Whether the profile is built in, and not another one of the same name.
    pub fn is_builtin(&self) -> bool {
        Self::builtin(self.name()).is_ok_and(|builtin| builtin == *self)
    }

    /// The names of the built-in profiles.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|builtin| builtin.name)
    }

    /// Reads `profile.yaml` of a directory, and `releases.yaml` if it exists.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or contains something that pgmig does not understand, with its line.
    pub fn from_dir(directory: &Path) -> Result<Self, ProfileError> {
        let (profile, releases) = (directory.join(PROFILE_FILE), directory.join(RELEASES_FILE));
        let failed = |path: &Path| {
            let path = path.to_owned();
            |reason| ProfileError::Read { path, reason }
        };
        let text = config_file::read_text(&profile, MAX_SETTINGS_BYTES).map_err(failed(&profile))?;
        let file = ProfileFile::from_yaml(&text, &profile)?;
        let releases = match config_file::read_text(&releases, MAX_SETTINGS_BYTES) {
            // The releases of this store are not listed.
            Err(error) if error.kind() == ErrorKind::NotFound => Releases::default(),
            text => Releases::from_yaml(&text.map_err(failed(&releases))?, &releases)?,
        };
        Ok(Self { file, releases })
    }

    #[cfg(test)]
    pub(crate) fn from_yaml(profile: (&str, &Path), releases: (&str, &Path)) -> Result<Self, ProfileError> {
        let file = ProfileFile::from_yaml(profile.0, profile.1)?;
        Ok(Self { file, releases: Releases::from_yaml(releases.0, releases.1)? })
    }

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The schema of the migration history, in which migrations create objects without a schema.
    pub fn schema(&self) -> &str {
        &self.file.schema
    }

    /// The schemas of `search_path` while migrations run, unquoted: the given ones, else the profile's schema and
    /// `public`.
    pub fn search_path(&self) -> Vec<&str> {
        if self.file.search_path.is_empty() {
            return vec![self.schema(), "public"];
        }
        self.file.search_path.iter().map(String::as_str).collect()
    }

    /// The table of instances; `None` for a store of a single instance, which contains no instance IDs.
    pub fn tenant(&self) -> Option<&TenantTable> {
        self.file.tenant.as_ref()
    }

    /// Whether instances of this region belong to the system, and so need no mapping.
    pub fn is_system_region(&self, region: &str) -> bool {
        self.file.system_regions.iter().any(|system| system == region)
    }

    /// The name of the migration history's table, in [`Profile::schema`].
    pub fn history_table(&self) -> &str {
        &self.file.history_table
    }

    /// The regions whose instances belong to the system, and so need no mapping.
    pub fn system_regions(&self) -> &[String] {
        &self.file.system_regions
    }

    /// Extensions that a superuser may create for a backup that is not trusted.
    pub fn allow_extensions(&self) -> &[String] {
        &self.file.allow_extensions
    }

    /// The only columns in which instance IDs are replaced, each where it is the whole value; empty if they are replaced
    /// everywhere.
    pub fn owner_columns(&self) -> &[ColumnRef] {
        &self.file.owner_columns
    }

    /// The table with a row for each workspace, whose models must be trained after a restore.
    pub fn workspaces(&self) -> Option<&TableRef> {
        self.file.workspaces.as_ref()
    }

    /// The tables whose rows the store's manual counts after a restore.
    pub fn counted_tables(&self) -> &[TableRef] {
        &self.file.counted_tables
    }

    /// The columns whose instance IDs are kept.
    pub fn excluded_columns(&self) -> &[ColumnRef] {
        &self.file.excluded_columns
    }

    /// The columns with aliases of instances, including those of the tenant table.
    pub fn alias_columns(&self) -> impl Iterator<Item = ColumnRef> + '_ {
        let own = self.file.tenant.iter().flat_map(|tenant| {
            tenant.aliases.iter().map(|column| ColumnRef {
                schema: tenant.schema.clone(),
                table: tenant.table.clone(),
                column: column.clone(),
            })
        });
        own.chain(self.file.alias_columns.iter().cloned())
    }

    /// The rule for instance IDs in bytea columns that are not among [`Profile::bytea_columns`].
    pub fn bytea(&self) -> BinaryRule {
        self.file.bytea
    }

    /// The bytea columns with a rule of their own for instance IDs.
    pub fn bytea_columns(&self) -> &[ByteaColumn] {
        &self.file.bytea_columns
    }

    /// The rule for instance IDs in large objects.
    pub fn large_objects(&self) -> BinaryRule {
        self.file.large_objects
    }

    /// Whether a column must keep its instance IDs.
    pub fn is_excluded(&self, schema: &str, table: &str, column: &str) -> bool {
        self.file.excluded_columns.iter().any(|excluded| excluded.is(schema, table, column))
    }

    /// Whether a column holds aliases of instances, in the form of the tenant table's alias columns. These columns
    /// themselves count, too.
    pub fn is_alias(&self, schema: &str, table: &str, column: &str) -> bool {
        self.tenant().is_some_and(|tenant| tenant.has_alias(schema, table, column))
            || self.file.alias_columns.iter().any(|alias| alias.is(schema, table, column))
    }

    /// Whether a table belongs to the installation rather than to its data. With the target's own schema, such a
    /// table keeps the target's rows. These are the table of the migration history, and the profile's
    /// `global_tables`.
    pub fn is_global(&self, table: &QualifiedName) -> bool {
        let is_history = table.name == self.history_table() && table.schema.as_deref() == Some(self.schema());
        is_history || self.file.global_tables.iter().any(|global| global.is(table))
    }

    /// The tables that keep the target's rows, with the target's own schema.
    pub fn global_tables(&self) -> &[TableRef] {
        &self.file.global_tables
    }

    /// The profile of a store in the target's own schema, with the target's names for the table of instances.
    pub(crate) fn in_target(mut self) -> Self {
        let Some(tenant) = &mut self.file.tenant else { return self };
        let rules = &self.file.target_schema;
        let table = QualifiedName { schema: tenant.schema.clone(), name: tenant.table.clone() };
        let others = tenant.name.iter_mut().chain(&mut tenant.region).chain(&mut tenant.deleted);
        for column in std::iter::once(&mut tenant.id).chain(others) {
            if let Some(to) = rules.column(&table, column) {
                *column = to.to_owned();
            }
        }
        if let Some(to) = rules.table(&table) {
            (tenant.schema, tenant.table) = (to.schema, to.name);
        }
        self
    }

    /// Whether the table of instances is one of the global tables.
    pub(crate) fn keeps_instances(&self) -> bool {
        self.tenant().is_some_and(|tenant| {
            self.is_global(&QualifiedName { schema: tenant.schema.clone(), name: tenant.table.clone() })
        })
    }

    /// The rules for loading rows into tables of the target that differ from the archive's.
    pub fn target_rules(&self) -> &TargetRules {
        &self.file.target_schema
    }

    /// The releases, with their schema versions.
    pub fn releases(&self) -> &Releases {
        &self.releases
    }
}

impl TenantTable {
    /// Whether this is the table of instances.
    pub fn is(&self, schema: &str, table: &str) -> bool {
        self.table == table && self.schema.as_deref().is_none_or(|own| own == schema)
    }

    /// The columns that the table must have.
    pub fn columns(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.id).chain(&self.name).chain(&self.region).chain(&self.deleted)
    }

    fn has_alias(&self, schema: &str, table: &str, column: &str) -> bool {
        self.is(schema, table) && self.aliases.iter().any(|alias| alias == column)
    }
}

impl ByteaColumn {
    /// The column, without its rule.
    pub fn column_ref(&self) -> ColumnRef {
        let Self { schema, table, column, ids: _ } = self.clone();
        ColumnRef { schema, table, column }
    }
}

impl ColumnRef {
    /// Whether this names the column.
    pub fn is(&self, schema: &str, table: &str, column: &str) -> bool {
        self.table == table && self.column == column && self.schema.as_deref().is_none_or(|own| own == schema)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const MINIMAL: &str = "name: x\nschema: s\ntenant:\n  table: tenant\n  id: tenant_id\n  name: name\n  \
                           region: region\n  deleted: deleted\n";

    fn parse(text: &str) -> Result<Profile, ProfileError> {
        Profile::from_yaml((text, Path::new("profile.yaml")), ("1.0.0: 1", Path::new("releases.yaml")))
    }

    #[test]
    fn the_built_in_profile_is_that_of_the_store() {
        let profile = Profile::builtin("assistant").unwrap();
        assert_eq!((profile.name(), profile.schema()), ("assistant", "store"));
        assert!(profile.tenant().unwrap().is("anywhere", "tenant"));
        assert!(profile.is_system_region("monitoring") && profile.is_system_region("System"));
        assert!(!profile.is_system_region("us-south"));
        assert!(profile.is_alias("store", "tenant", "instance_id"));
        assert_eq!(profile.history_table(), "_sqlx_migrations");
        let error = Profile::builtin("speech").unwrap_err();
        assert!(error.to_string().contains("built in: assistant"), "{error}");
    }

    #[test]
    fn every_built_in_profile_is_valid() {
        for name in Profile::builtin_names() {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!((profile.name(), profile.is_builtin()), (name, true));
        }
    }

    #[test]
    fn a_directory_gives_the_same_profile() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema-migrations/assistant");
        assert_eq!(Profile::from_dir(&directory).unwrap(), Profile::builtin("assistant").unwrap());
    }

    #[test]
    fn a_store_may_have_no_instances_or_nameless_ones() {
        assert_eq!(parse("name: x\nschema: s\n").unwrap().tenant(), None);
        let profile = parse("name: x\nschema: s\ntenant: {table: t, id: i}\n").unwrap();
        assert_eq!(profile.tenant().unwrap().columns().collect::<Vec<_>>(), ["i"]);
    }

    #[test]
    fn defaults_are_sqlx_s() {
        let profile = parse(MINIMAL).unwrap();
        assert!(!profile.is_builtin());
        assert_eq!(profile.search_path(), ["s", "public"]);
        assert_eq!(profile.history_table(), "_sqlx_migrations");
        assert!(!profile.is_excluded("s", "log", "tenant"));
    }

    #[test]
    fn columns_are_found_with_and_without_a_schema() {
        let lists = "excluded_columns:\n- {table: log, column: tenant}\nalias_columns:\n- {schema: s, table: job, column: no}\n";
        let profile = parse(&format!("{MINIMAL}{lists}")).unwrap();
        assert!(profile.is_excluded("any", "log", "tenant") && !profile.is_excluded("any", "log", "other"));
        assert!(profile.is_alias("s", "job", "no") && !profile.is_alias("t", "job", "no"));
    }

    #[test]
    fn ids_in_binary_data_are_reported_unless_said_otherwise() {
        let profile = parse(MINIMAL).unwrap();
        assert_eq!((profile.bytea(), profile.large_objects()), (BinaryRule::Report, BinaryRule::Report));
        let said = "bytea: leave\nbytea_columns:\n- {table: log, column: raw, ids: rewrite}\nlarge_objects: rewrite\n";
        let profile = parse(&format!("{MINIMAL}{said}")).unwrap();
        assert_eq!((profile.bytea(), profile.large_objects()), (BinaryRule::Leave, BinaryRule::Rewrite));
        assert_eq!(profile.bytea_columns()[0].ids, BinaryRule::Rewrite);
        let error = parse(&format!("{MINIMAL}large_objects: replace\n")).unwrap_err().to_string();
        assert!(error.starts_with("profile.yaml, line 9: "), "{error}");
    }

    #[test]
    fn rules_for_the_targets_schema() {
        let rules = "global_tables:\n- {table: property}\ntarget_schema:\n  rename:\n  - {table: a, to: b}\n  \
                     - {schema: s, table: a, column: x, to: y}\n  drop:\n  - {table: old}\n  default:\n  \
                     - {table: b, column: n, value: \"0\"}\n  cast:\n  - {table: a, column: z, using: z::int}\n";
        let profile = parse(&format!("{MINIMAL}{rules}")).unwrap();
        let table = |name: &str| QualifiedName::new("s", name);
        assert!(profile.is_global(&table("property")) && profile.is_global(&table("_sqlx_migrations")));
        assert!(!profile.is_global(&QualifiedName::new("t", "_sqlx_migrations")));
        let rules = profile.target_rules();
        assert_eq!(rules.table(&table("a")), Some(table("b")));
        assert_eq!(rules.column(&table("a"), "x"), Some("y"));
        assert_eq!(rules.column(&QualifiedName::new("t", "a"), "x"), None);
        assert!(rules.drops(&table("old"), None) && !rules.drops(&table("old"), Some("x")));
        assert_eq!(rules.default_value(&table("b"), "n"), Some("0"));
        assert_eq!(rules.cast(&table("a"), "z"), Some("z::int"));
    }

    #[test]
    fn a_mistyped_key_is_named_with_its_line() {
        let error = parse(&format!("{MINIMAL}system_region: []\n")).unwrap_err().to_string();
        assert!(error.starts_with("profile.yaml, line 9: unknown key `system_region`"), "{error}");
        let error = parse("name: x\n").unwrap_err().to_string();
        assert!(error.contains("`schema` is missing"), "{error}");
    }
}
