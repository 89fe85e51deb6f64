//! The rules of a profile for tables that differ between the archive and the target (`--schema target`).

use crate::sql::QualifiedName;
use serde::Deserialize;

/// A table. Without a schema, it means the table in any schema. Names are unquoted, as in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRef {
    /// The table's schema.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name.
    pub table: String,
}

/// Rules for loading rows of the archive into tables of the target that differ from the archive's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetRules {
    /// Tables and columns with another name in the target.
    pub rename: Vec<RenameRule>,
    /// Tables and columns of the archive whose values are not loaded.
    pub drop: Vec<DropRule>,
    /// Values for columns of the target that have no value in the archive.
    pub default: Vec<DefaultRule>,
    /// Conversions of a column's values to the target's type.
    pub cast: Vec<CastRule>,
    /// Tables of the target whose rows stay if the archive has no row with their key.
    pub keep_new_rows: Vec<TableRef>,
    /// Triggers that only the target has and that do not fire for the loaded rows.
    pub trigger_off: Vec<TriggerRule>,
}

/// A trigger of the target that does not fire for the loaded rows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerRule {
    /// The table's schema in the target.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name in the target.
    pub table: String,
    /// The trigger; absent for all triggers of the table.
    #[serde(default)]
    pub trigger: Option<String>,
}

/// A table or column with another name in the target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameRule {
    /// The table's schema in the archive.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name in the archive.
    pub table: String,
    /// The column's name in the archive; absent if the table itself is renamed.
    #[serde(default)]
    pub column: Option<String>,
    /// The name in the target.
    pub to: String,
    /// The schema in the target, if the table is in another one there.
    #[serde(default)]
    pub to_schema: Option<String>,
}

/// A table or column of the archive whose values are not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropRule {
    /// The table's schema in the archive.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name in the archive.
    pub table: String,
    /// The column; absent for the whole table.
    #[serde(default)]
    pub column: Option<String>,
}

/// The value of a column of the target if the archive has no such column, or a NULL in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultRule {
    /// The table's schema in the target.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name in the target.
    pub table: String,
    /// The column's name in the target.
    pub column: String,
    /// An SQL expression; its columns are those of the archive's row.
    pub value: String,
}

/// The conversion of a column's values to the target's type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CastRule {
    /// The table's schema in the archive.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name in the archive.
    pub table: String,
    /// The column's name in the archive.
    pub column: String,
    /// An SQL expression; its columns are those of the archive's row.
    pub using: String,
}

impl TriggerRule {
    /// Whether this names the trigger.
    pub fn is(&self, table: &QualifiedName, trigger: &str) -> bool {
        is(&self.schema, &self.table, table) && self.trigger.as_deref().is_none_or(|name| name == trigger)
    }
}

impl TableRef {
    /// Whether this names the table.
    pub fn is(&self, table: &QualifiedName) -> bool {
        is(&self.schema, &self.table, table)
    }
}

impl TargetRules {
    /// The name in the target of a table of the archive, if a rule renames it.
    pub fn table(&self, table: &QualifiedName) -> Option<QualifiedName> {
        let is_of = |rule: &&RenameRule| rule.column.is_none() && is(&rule.schema, &rule.table, table);
        let rule = self.rename.iter().find(is_of)?;
        let schema = rule.to_schema.clone().or_else(|| table.schema.clone());
        Some(QualifiedName { schema, name: rule.to.clone() })
    }

    /// The name in the target of a column of the archive's table, if a rule renames it.
    pub fn column(&self, table: &QualifiedName, column: &str) -> Option<&str> {
        let is_of = |rule: &&RenameRule| {
            rule.column.as_deref() == Some(column) && is(&rule.schema, &rule.table, table)
        };
        self.rename.iter().find(is_of).map(|rule| rule.to.as_str())
    }

    /// Whether the archive's table, or this column of it, is not loaded.
    pub fn drops(&self, table: &QualifiedName, column: Option<&str>) -> bool {
        let is_of =
            |rule: &DropRule| rule.column.as_deref() == column && is(&rule.schema, &rule.table, table);
        self.drop.iter().any(is_of)
    }

    /// The expression for a column of the target's table that has no value in the archive.
    pub fn default_value(&self, table: &QualifiedName, column: &str) -> Option<&str> {
        let is_of = |rule: &&DefaultRule| rule.column == column && is(&rule.schema, &rule.table, table);
        self.default.iter().find(is_of).map(|rule| rule.value.as_str())
    }

    /// Whether rows of the target's table stay if the archive has no row with their key.
    pub fn keeps_new_rows(&self, table: &QualifiedName) -> bool {
        self.keep_new_rows.iter().any(|rule| rule.is(table))
    }

    /// Whether a rule keeps the trigger of the target's table off while rows are loaded.
    pub fn keeps_off(&self, table: &QualifiedName, trigger: &str) -> bool {
        self.trigger_off.iter().any(|rule| rule.is(table, trigger))
    }

    /// The expression that converts a column of the archive's table.
    pub fn cast(&self, table: &QualifiedName, column: &str) -> Option<&str> {
        let is_of = |rule: &&CastRule| rule.column == column && is(&rule.schema, &rule.table, table);
        self.cast.iter().find(is_of).map(|rule| rule.using.as_str())
    }
}

fn is(schema: &Option<String>, name: &str, table: &QualifiedName) -> bool {
    table.name == name && schema.as_ref().is_none_or(|schema| table.schema.as_ref() == Some(schema))
}
