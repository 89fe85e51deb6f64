//! Statements that add constraints, as pg_dump writes them.

use crate::sql::{Parser, QualifiedName, SqlError, quote_ident};

/// The beginning of such a statement.
pub(crate) struct AddConstraint {
    /// The table.
    pub(crate) table: QualifiedName,
    /// Whether it is that table ONLY: it has no partitions.
    pub(crate) is_only: bool,
    /// The name of the constraint.
    pub(crate) name: String,
}

impl AddConstraint {
    /// Reads `ALTER TABLE [ONLY] table ADD CONSTRAINT name`.
    ///
    /// # Errors
    ///
    /// The statement begins otherwise.
    pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Self, SqlError> {
        parser.expect_word("alter")?;
        parser.expect_word("table")?;
        let is_only = parser.eat_word("only");
        let table = parser.qualified_name()?;
        parser.expect_word("add")?;
        parser.expect_word("constraint")?;
        Ok(Self { table, is_only, name: parser.ident()? })
    }
}

/// Columns in parentheses.
pub(crate) fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quote_ident(name)).collect();
    format!("({})", names.join(", "))
}
