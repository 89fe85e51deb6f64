//! The columns of a table, from its `CREATE TABLE`.

use super::lexer::{StandardStrings, Token, TokenKind};
use super::parser::Parser;
use super::{QualifiedName, SqlError};

/// The first words of elements of a table that are not columns. All of them are key words, and `pg_dump` quotes them
/// in names of columns.
const CONSTRAINTS: [&str; 7] = ["constraint", "check", "unique", "primary", "foreign", "like", "not"];

/// The words that end a column's type. `with` is not among them: `timestamp with time zone`.
const AFTER_TYPE: [&str; 12] = [
    "default",
    "not",
    "null",
    "collate",
    "generated",
    "constraint",
    "check",
    "primary",
    "unique",
    "references",
    "storage",
    "compression",
];

/// The columns of a table and their origins, from its `CREATE TABLE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDefinition {
    /// The columns that the statement names, in order.
    pub columns: Vec<ColumnDefinition>,
    /// The tables that it inherits from. Their columns come first.
    pub inherits: Vec<QualifiedName>,
    /// Whether the statement names columns. A table `OF` a type does not, and an empty table has none.
    pub has_columns: bool,
    /// The parent of a partition, if the definition names it (PostgreSQL 10). Later releases attach the partition in
    /// another statement.
    pub partition_of: Option<QualifiedName>,
}

/// A column of a `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type, as `format_type` writes it. Empty for a column of a table `OF` a type.
    pub type_name: String,
    /// Whether it is computed from other columns. A backup does not hold its values.
    pub is_generated: bool,
    /// Whether it is NOT NULL.
    pub is_not_null: bool,
}

/// The names of the columns in `create_table`, in order. `create_table` is a `CREATE TABLE` as `pg_dump` writes it.
///
/// Inherited columns are included only if the statement repeats them. The result is empty for a table `OF` a type and
/// for a partition written as `PARTITION OF`.
///
/// # Errors
///
/// [`SqlError`] if it is not a `CREATE TABLE`.
///
/// ```
/// use pgdump_archive::sql::table_columns;
/// let sql = "CREATE TABLE store.t (\n    id uuid NOT NULL,\n    \"a b\" numeric(4,2) DEFAULT f(1, 2)\n);";
/// assert_eq!(table_columns(sql)?, ["id", "a b"]);
/// # Ok::<(), pgdump_archive::sql::SqlError>(())
/// ```
pub fn table_columns(create_table: &str) -> Result<Vec<String>, SqlError> {
    Ok(table_definition(create_table)?.columns.into_iter().map(|column| column.name).collect())
}

/// The columns in `create_table` with their types, and the tables that it gets other columns from. `create_table` is
/// a `CREATE TABLE` as `pg_dump` writes it.
///
/// # Errors
///
/// [`SqlError`] if it is not a `CREATE TABLE`.
///
/// ```
/// use pgdump_archive::sql::table_definition;
/// let sql = "CREATE TABLE t (\n    at timestamp(3) with time zone NOT NULL\n)\nINHERITS (store.base);";
/// let table = table_definition(sql)?;
/// assert_eq!(table.columns[0].type_name, "timestamp(3) with time zone");
/// assert_eq!(table.inherits[0].to_string(), "store.base");
/// # Ok::<(), pgdump_archive::sql::SqlError>(())
/// ```
pub fn table_definition(create_table: &str) -> Result<TableDefinition, SqlError> {
    let mut parser = Parser::new(create_table, "CREATE TABLE", StandardStrings::On);
    parser.expect_word("create")?;
    for option in ["global", "local", "temporary", "temp", "unlogged", "foreign"] {
        parser.eat_word(option);
    }
    parser.expect_word("table")?;
    if parser.eat_word("if") {
        parser.expect_word("not")?;
        parser.expect_word("exists")?;
    }
    parser.qualified_name()?;
    let mut table = TableDefinition::default();
    if parser.eat_word("partition") {
        parser.expect_word("of")?;
        table.partition_of = Some(parser.qualified_name()?);
        return Ok(table);
    }
    if parser.eat_symbol(b'(') {
        table.has_columns = true;
        table.columns = elements(&mut parser, create_table)?;
        table.inherits = inherits(&mut parser)?;
    }
    Ok(table)
}

fn inherits(parser: &mut Parser<'_>) -> Result<Vec<QualifiedName>, SqlError> {
    let mut parents = Vec::new();
    if parser.eat_word("inherits") {
        parser.expect_symbol(b'(', "an opening parenthesis")?;
        loop {
            parents.push(parser.qualified_name()?);
            if !parser.eat_symbol(b',') {
                break;
            }
        }
    }
    Ok(parents)
}

/// The columns among a table's elements, up to the closing parenthesis.
fn elements(parser: &mut Parser<'_>, sql: &str) -> Result<Vec<ColumnDefinition>, SqlError> {
    let mut columns = Vec::new();
    let mut depth = 1_u64;
    let mut at_element = true;
    let mut column: Option<Column> = None;
    while let Some(token) = parser.peek().cloned() {
        if at_element && matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent { .. }) {
            at_element = false;
            let is_word = token.kind == TokenKind::Word;
            let name = parser.ident()?;
            column = (!(is_word && CONSTRAINTS.contains(&name.as_str()))).then(|| Column::new(name));
            continue;
        }
        parser.next();
        match token.kind {
            TokenKind::Symbol(b'(' | b'[') => depth = depth.saturating_add(1),
            TokenKind::Symbol(b')' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends_element = depth == 0 || depth == 1 && token.kind == TokenKind::Symbol(b',');
        if ends_element {
            at_element = true;
            columns.extend(column.take().map(|column| column.finish(sql)));
        } else if let Some(column) = &mut column {
            column.take(&token, sql, depth);
        }
        if depth == 0 {
            return Ok(columns);
        }
    }
    Err(parser.unexpected("a closing parenthesis"))
}

/// A column that is being read.
struct Column {
    name: String,
    /// The place of its type in the text.
    span: Option<(usize, usize)>,
    type_ended: bool,
    /// How much of `GENERATED ALWAYS AS (` has been read. A column `AS IDENTITY` is not generated.
    generated: Generated,
    after_not: bool,
    is_not_null: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Generated {
    No,
    /// `GENERATED ALWAYS`, with or without `AS`.
    Begun,
    Yes,
}

impl Column {
    fn new(name: String) -> Self {
        Self {
            name,
            span: None,
            type_ended: false,
            generated: Generated::No,
            after_not: false,
            is_not_null: false,
        }
    }

    fn take(&mut self, token: &Token, sql: &str, depth: u64) {
        let is = |word: &str| token.is_word(sql.as_bytes(), word);
        if depth == 1 && AFTER_TYPE.iter().any(|word| is(word)) {
            self.type_ended = true;
        }
        if !self.type_ended {
            let start = self.span.map_or(token.span.start, |(start, _)| start);
            self.span = Some((start, token.span.end));
            return;
        }
        self.is_not_null |= depth == 1 && self.after_not && is("null");
        self.after_not = is("not");
        self.generated = match self.generated {
            Generated::No if depth == 1 && is("generated") => Generated::Begun,
            Generated::Begun if is("always") || is("as") => Generated::Begun,
            Generated::Begun if token.kind == TokenKind::Symbol(b'(') => Generated::Yes,
            Generated::Begun => Generated::No,
            other => other,
        };
    }

    fn finish(self, sql: &str) -> ColumnDefinition {
        let type_name = self.span.and_then(|(start, end)| sql.get(start..end)).unwrap_or_default().to_owned();
        ColumnDefinition {
            name: self.name,
            type_name,
            is_generated: self.generated == Generated::Yes,
            is_not_null: self.is_not_null,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn finds_columns_only() {
        let sql = "CREATE UNLOGGED TABLE store.\"Odd; t\" (\n\
            tenant_id uuid NOT NULL,\n  tags text[] DEFAULT ARRAY['a,b', 'c'],\n  \"check\" int,\n\
            price numeric(12,4) DEFAULT (1),\n  naïve text -- c, d\n,\n\
            CONSTRAINT x CHECK (((a < 1) AND (b > 2))),\n  PRIMARY KEY (tenant_id, tags)\n)\nINHERITS (p);\n";
        assert_eq!(table_columns(sql).unwrap(), ["tenant_id", "tags", "check", "price", "naïve"]);
        assert!(table_columns("CREATE TABLE store.no_columns (\n);").unwrap().is_empty());
        assert!(table_columns("CREATE TABLE p PARTITION OF q FOR VALUES IN (1)").unwrap().is_empty());
    }

    #[test]
    fn takes_words_that_are_key_words_elsewhere() {
        let sql =
            "CREATE TABLE t (\n    period daterange NOT NULL,\n    exclude text,\n    NOT NULL period\n);";
        assert_eq!(table_columns(sql).unwrap(), ["period", "exclude"]);
    }

    #[test]
    fn reads_types_and_what_is_generated() {
        let sql = "CREATE TABLE s.t (\n    id bigint NOT NULL,\n    n integer GENERATED BY DEFAULT AS IDENTITY,\n\
            twice integer GENERATED ALWAYS AS ((id * 2)) STORED,\n    \"at\" timestamp(3) with time zone DEFAULT now(),\n\
            kinds s.\"Kind\"[] DEFAULT '{}'::s.\"Kind\"[] NOT NULL,\n    name character varying(20) COLLATE \"C\",\n\
            price numeric(12,2),\n    CONSTRAINT generated CHECK ((id > 0))\n);";
        let columns = table_definition(sql).unwrap().columns;
        let types: Vec<_> = columns.iter().map(|column| column.type_name.as_str()).collect();
        assert_eq!(
            types,
            [
                "bigint",
                "integer",
                "integer",
                "timestamp(3) with time zone",
                "s.\"Kind\"[]",
                "character varying(20)",
                "numeric(12,2)"
            ]
        );
        let generated: Vec<_> =
            columns.iter().filter(|column| column.is_generated).map(|c| &c.name).collect();
        assert_eq!(generated, ["twice"]);
        let not_null: Vec<_> = columns.iter().filter(|column| column.is_not_null).map(|c| &c.name).collect();
        assert_eq!(not_null, ["id", "kinds"]);
    }

    #[test]
    fn finds_where_other_columns_come_from() {
        let table = table_definition("CREATE TABLE t (\n    a int\n)\nINHERITS (s.b, \"C\");\n").unwrap();
        assert_eq!(table.inherits.iter().map(ToString::to_string).collect::<Vec<_>>(), ["s.b", "\"C\""]);
        let table = table_definition("CREATE TABLE p PARTITION OF s.q FOR VALUES IN (1)").unwrap();
        assert_eq!(table.partition_of.unwrap().to_string(), "s.q");
    }

    #[test]
    fn refuses_the_rest() {
        for sql in ["CREATE VIEW v AS SELECT 1", "CREATE TABLE t (a int", "CREATE TABLE t (a text DEFAULT 'x"]
        {
            assert!(table_columns(sql).is_err(), "{sql}");
        }
    }
}
