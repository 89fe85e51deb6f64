//! The columns of a table, from its `CREATE TABLE`.

use super::SqlError;
use super::lexer::{StandardStrings, TokenKind};
use super::parser::Parser;

/// What begins an element of a table that is no column. All of them are key words that `pg_dump` quotes where
/// they are names of columns.
const CONSTRAINTS: [&str; 7] = ["constraint", "check", "unique", "primary", "foreign", "like", "not"];

/// The names of the columns that `create_table`, a `CREATE TABLE` as `pg_dump` writes it, defines, in order.
///
/// Inherited columns that it does not repeat are not among them; nor has a table `OF` a type or a partition
/// written as `PARTITION OF` any here.
///
/// # Errors
///
/// [`SqlError`] if it is no `CREATE TABLE`.
///
/// ```
/// use pgmig_core::sql::table_columns;
/// let sql = "CREATE TABLE store.t (\n    id uuid NOT NULL,\n    \"a b\" numeric(4,2) DEFAULT f(1, 2)\n);";
/// assert_eq!(table_columns(sql)?, ["id", "a b"]);
/// # Ok::<(), pgmig_core::sql::SqlError>(())
/// ```
pub fn table_columns(create_table: &str) -> Result<Vec<String>, SqlError> {
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
    if !parser.eat_symbol(b'(') {
        return Ok(Vec::new());
    }
    elements(&mut parser)
}

/// The columns among a table's elements, up to the parenthesis that closes them.
fn elements(parser: &mut Parser<'_>) -> Result<Vec<String>, SqlError> {
    let mut columns = Vec::new();
    let mut depth = 1_u64;
    let mut at_element = true;
    while let Some(token) = parser.peek() {
        let kind = token.kind;
        if at_element && matches!(kind, TokenKind::Word | TokenKind::QuotedIdent { .. }) {
            at_element = false;
            let is_word = kind == TokenKind::Word;
            let name = parser.ident()?;
            if !(is_word && CONSTRAINTS.contains(&name.as_str())) {
                columns.push(name);
            }
            continue;
        }
        parser.next();
        match kind {
            TokenKind::Symbol(b'(' | b'[') => depth = depth.saturating_add(1),
            TokenKind::Symbol(b')' | b']') => depth = depth.saturating_sub(1),
            TokenKind::Symbol(b',') if depth == 1 => at_element = true,
            _ => {}
        }
        if depth == 0 {
            return Ok(columns);
        }
    }
    Err(parser.unexpected("a closing parenthesis"))
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
    fn refuses_the_rest() {
        for sql in ["CREATE VIEW v AS SELECT 1", "CREATE TABLE t (a int", "CREATE TABLE t (a text DEFAULT 'x"]
        {
            assert!(table_columns(sql).is_err(), "{sql}");
        }
    }
}
