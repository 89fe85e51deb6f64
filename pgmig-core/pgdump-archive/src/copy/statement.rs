//! The `COPY ... FROM stdin` statement of an archive's data block.

use crate::sql::{Parser, QualifiedName, SqlError, StandardStrings, quote_ident, quote_literal};
use std::fmt::Write;

/// A parsed `COPY ... FROM stdin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyStatement {
    /// The table. Archives of PostgreSQL 10 and older do not name its schema.
    pub table: QualifiedName,
    /// The columns, where the statement names them.
    pub columns: Option<Vec<String>>,
    /// Whether each row begins with its OID (`pg_dump --oids`, up to 11). The OID is not among `columns`.
    pub has_oids: bool,
}

/// Options for writing a [`CopyStatement`] as SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// The encoding of the data, where it differs from the session's.
    pub encoding: Option<String>,
    /// Whether the server freezes the rows at once. The table must be created in the same transaction, and must not
    /// be partitioned.
    pub freeze: bool,
}

impl CopyStatement {
    /// Parses the statement that `pg_dump` writes: `COPY store.tenant (tenant_id, name) FROM stdin;`. Old archives
    /// name no schema, and may have `WITH OIDS`. A table without columns has no list of them.
    ///
    /// # Errors
    ///
    /// [`SqlError`] if `sql` is anything else.
    ///
    /// ```
    /// use pgdump_archive::copy::{CopyOptions, CopyStatement};
    /// let copy = CopyStatement::parse("COPY store.t (id, \"a\"\"b\") FROM stdin;\n")?;
    /// assert_eq!(copy.columns.as_deref(), Some(["id".to_owned(), "a\"b".to_owned()].as_slice()));
    /// let options = CopyOptions { encoding: Some("LATIN1".to_owned()), freeze: true };
    /// assert_eq!(
    ///     copy.to_sql(&copy.table, &options),
    ///     "COPY store.t (id, \"a\"\"b\") FROM STDIN WITH (FREEZE, ENCODING 'LATIN1')"
    /// );
    /// # Ok::<(), pgdump_archive::sql::SqlError>(())
    /// ```
    pub fn parse(sql: &str) -> Result<Self, SqlError> {
        let mut parser = Parser::new(sql, "COPY statement", StandardStrings::On);
        parser.expect_word("copy")?;
        let table = parser.qualified_name()?;
        let has_no_columns = parser.peek().is_some_and(|token| token.is_word(sql.as_bytes(), "from"));
        let mut has_oids = parser.eat_word("with");
        let columns = if has_no_columns || has_oids { None } else { Some(parser.ident_list()?) };
        has_oids = has_oids || parser.eat_word("with");
        if has_oids {
            parser.expect_word("oids")?;
        }
        parser.expect_word("from")?;
        parser.expect_word("stdin")?;
        parser.expect_end_of_statement()?;
        Ok(Self { table, columns, has_oids })
    }

    /// The statement that loads these rows into `table`, without a semicolon.
    /// Never asks for OIDs, which servers from 12 on do not have. If [`has_oids`](Self::has_oids), remove the first
    /// field of the rows with [`remove_oids`](super::remove_oids).
    pub fn to_sql(&self, table: &QualifiedName, options: &CopyOptions) -> String {
        let mut sql = format!("COPY {table}");
        if let Some(columns) = &self.columns {
            let columns: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
            // Writing to a String cannot fail.
            let _ = write!(sql, " ({})", columns.join(", "));
        }
        sql.push_str(" FROM STDIN");
        let mut with = Vec::new();
        if options.freeze {
            with.push("FREEZE".to_owned());
        }
        if let Some(encoding) = &options.encoding {
            with.push(format!("ENCODING {}", quote_literal(encoding)));
        }
        if !with.is_empty() {
            let _ = write!(sql, " WITH ({})", with.join(", "));
        }
        sql
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn parses_every_form() {
        let odd = CopyStatement::parse(
            "COPY \"Odd Schema; \"\"q\"\"\".\"T; --\nnewline name\" (id, \"\ttab\") FROM stdin;\n",
        )
        .unwrap();
        assert_eq!(odd.table, QualifiedName::new("Odd Schema; \"q\"", "T; --\nnewline name"));
        assert_eq!(odd.columns.unwrap(), ["id", "\ttab"]);

        let none = CopyStatement::parse("COPY store.no_columns  FROM stdin;\n").unwrap();
        assert_eq!((none.columns.as_ref(), none.has_oids), (None, false));
        assert_eq!(none.to_sql(&none.table, &CopyOptions::default()), "COPY store.no_columns FROM STDIN");

        let oids = CopyStatement::parse("COPY o (a, tenant_id) WITH OIDS FROM stdin;").unwrap();
        assert_eq!((oids.table, oids.has_oids), (QualifiedName::unqualified("o"), true));
        assert_eq!(oids.columns.unwrap(), ["a", "tenant_id"]);
        assert!(CopyStatement::parse("COPY o WITH OIDS FROM stdin;").unwrap().has_oids);
    }

    #[test]
    fn refuses_the_rest() {
        for sql in [
            "",
            "COPY t (a) TO stdout;",
            "COPY t (a) FROM '/etc/passwd';",
            "COPY t () FROM stdin;",
            "COPY t (a) FROM stdin; DROP TABLE t;",
            "COPY t (a) FROM stdin WITH (FORMAT csv);",
            "COPY t (a\" FROM stdin",
        ] {
            assert!(CopyStatement::parse(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn loads_into_another_table() {
        let copy = CopyStatement::parse("COPY a.part (\"select\") FROM stdin;").unwrap();
        let options = CopyOptions { encoding: Some("SQL'X".to_owned()), freeze: false };
        assert_eq!(
            copy.to_sql(&QualifiedName::new("a", "Root"), &options),
            "COPY a.\"Root\" (\"select\") FROM STDIN WITH (ENCODING 'SQL''X')"
        );
    }
}
