//! What a profile says of tables that are not the same in the archive and in the target (`--schema target`).

use crate::sql::QualifiedName;
use serde::Deserialize;

/// A table; without a schema, in whichever schema it is. Names are as in the catalog, unquoted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRef {
    /// The table's schema.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name.
    pub table: String,
}

/// How rows of the archive get into tables of the target that are not made for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetRules {
    /// Tables and columns that have another name in the target.
    pub rename: Vec<RenameRule>,
    /// Tables and columns of the archive whose values are left out.
    pub drop: Vec<DropRule>,
    /// What columns of the target get that the archive has no value for.
    pub default: Vec<DefaultRule>,
    /// How a column's values become those of the target's type.
    pub cast: Vec<CastRule>,
}

/// A table or column that has another name in the target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameRule {
    /// The table's schema in the archive.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table's name in the archive.
    pub table: String,
    /// The column's name in the archive; absent where the table itself is renamed.
    #[serde(default)]
    pub column: Option<String>,
    /// The name in the target.
    pub to: String,
    /// The schema in the target, where a table moves to another one.
    #[serde(default)]
    pub to_schema: Option<String>,
}

/// A table or column of the archive whose values are left out.
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

/// What a column of the target gets where the archive has no column of that name, or a NULL in it.
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
    /// An SQL expression; columns in it are those of the row in the archive.
    pub value: String,
}

/// How a column's values become those of the target's type.
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
    /// An SQL expression; columns in it are those of the row in the archive.
    pub using: String,
}

impl TableRef {
    /// Whether this is the table.
    pub fn is(&self, table: &QualifiedName) -> bool {
        is(&self.schema, &self.table, table)
    }
}

impl TargetRules {
    /// What the archive's table is called in the target.
    pub fn table(&self, table: &QualifiedName) -> Option<QualifiedName> {
        let is_of = |rule: &&RenameRule| rule.column.is_none() && is(&rule.schema, &rule.table, table);
        let rule = self.rename.iter().find(is_of)?;
        let schema = rule.to_schema.clone().or_else(|| table.schema.clone());
        Some(QualifiedName { schema, name: rule.to.clone() })
    }

    /// What a column of the archive's table is called in the target.
    pub fn column(&self, table: &QualifiedName, column: &str) -> Option<&str> {
        let is_of = |rule: &&RenameRule| {
            rule.column.as_deref() == Some(column) && is(&rule.schema, &rule.table, table)
        };
        self.rename.iter().find(is_of).map(|rule| rule.to.as_str())
    }

    /// Whether the archive's table, or this column of it, is left out.
    pub fn drops(&self, table: &QualifiedName, column: Option<&str>) -> bool {
        let is_of =
            |rule: &DropRule| rule.column.as_deref() == column && is(&rule.schema, &rule.table, table);
        self.drop.iter().any(is_of)
    }

    /// The value of a column of the target's table that the archive has none for.
    pub fn default_value(&self, table: &QualifiedName, column: &str) -> Option<&str> {
        let is_of = |rule: &&DefaultRule| rule.column == column && is(&rule.schema, &rule.table, table);
        self.default.iter().find(is_of).map(|rule| rule.value.as_str())
    }

    /// How a column of the archive's table is converted.
    pub fn cast(&self, table: &QualifiedName, column: &str) -> Option<&str> {
        let is_of = |rule: &&CastRule| rule.column == column && is(&rule.schema, &rule.table, table);
        self.cast.iter().find(is_of).map(|rule| rule.using.as_str())
    }
}

fn is(schema: &Option<String>, name: &str, table: &QualifiedName) -> bool {
    table.name == name && schema.as_ref().is_none_or(|schema| table.schema.as_ref() == Some(schema))
}
