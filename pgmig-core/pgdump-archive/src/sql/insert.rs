//! `INSERT` statements, as `pg_dump --inserts`, `--column-inserts` and `--rows-per-insert` write them.

use super::lexer::{StandardStrings, TokenKind};
use super::parser::Parser;
use super::{QualifiedName, SqlError};

/// A parsed `INSERT ... VALUES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertStatement {
    /// The table.
    pub table: QualifiedName,
    /// The columns, if the statement names them.
    pub columns: Option<Vec<String>>,
    /// The rows' values as text, `None` for NULL. A row of `DEFAULT VALUES` has no values.
    pub rows: Vec<Vec<Option<String>>>,
}

impl InsertStatement {
    /// Parses one statement.
    ///
    /// Values are string constants, bit strings, numbers, `true`, `false`, `NULL` and `DEFAULT`, with or without a
    /// cast. `DEFAULT` is read as NULL.
    ///
    /// # Errors
    ///
    /// [`SqlError`] if `sql` is anything else.
    pub fn parse(sql: &str, strings: StandardStrings) -> Result<Self, SqlError> {
        let mut parser = Parser::new(sql, "INSERT statement", strings);
        parser.expect_word("insert")?;
        parser.expect_word("into")?;
        let table = parser.qualified_name()?;
        let has_columns = parser.peek().is_some_and(|token| token.kind == TokenKind::Symbol(b'('));
        let columns = if has_columns { Some(parser.ident_list()?) } else { None };
        if parser.eat_word("overriding") {
            if !parser.eat_word("system") {
                parser.expect_word("user")?;
            }
            parser.expect_word("value")?;
        }
        let mut rows = Vec::new();
        if parser.eat_word("default") {
            parser.expect_word("values")?;
            rows.push(Vec::new());
        } else {
            parser.expect_word("values")?;
            rows.push(row(&mut parser)?);
            while parser.eat_symbol(b',') {
                rows.push(row(&mut parser)?);
            }
        }
        if parser.eat_word("on") {
            for word in ["conflict", "do", "nothing"] {
                parser.expect_word(word)?;
            }
        }
        parser.expect_end_of_statement()?;
        Ok(Self { table, columns, rows })
    }
}

fn row(parser: &mut Parser<'_>) -> Result<Vec<Option<String>>, SqlError> {
    parser.expect_symbol(b'(', "an opening parenthesis")?;
    let mut values = vec![value(parser)?];
    while parser.eat_symbol(b',') {
        values.push(value(parser)?);
    }
    parser.expect_symbol(b')', "a comma or a closing parenthesis")?;
    Ok(values)
}

fn value(parser: &mut Parser<'_>) -> Result<Option<String>, SqlError> {
    const EXPECTED: &str = "a constant";
    let negative = parser.eat_symbol(b'-');
    let is_constant = |kind| matches!(kind, TokenKind::String(_) | TokenKind::Number | TokenKind::Word);
    let Some(token) = parser.next_if(|token| is_constant(token.kind)) else {
        return Err(parser.unexpected(EXPECTED));
    };
    let text = parser.text(&token);
    let value = match token.kind {
        TokenKind::String(_) if !negative => {
            Some(parser.string(&token).ok_or_else(|| parser.unexpected(EXPECTED))?)
        }
        TokenKind::Number if negative => Some(format!("-{text}")),
        TokenKind::Number => Some(text.to_owned()),
        _ => match text.to_ascii_lowercase().as_str() {
            "null" | "default" if !negative => None,
            word @ ("true" | "false") if !negative => Some(word.to_owned()),
            _ => return Err(parser.unexpected(EXPECTED)),
        },
    };
    while parser.eat_symbol(b':') {
        parser.expect_symbol(b':', "a cast")?;
        cast_type(parser)?;
    }
    Ok(value)
}

/// A type's name: words, optionally with a schema, a modifier or array brackets.
fn cast_type(parser: &mut Parser<'_>) -> Result<(), SqlError> {
    parser.qualified_name()?;
    while parser.next_if(|token| token.kind == TokenKind::Word).is_some() {}
    for (open, close) in [(b'(', b')'), (b'[', b']')] {
        while parser.eat_symbol(open) {
            while parser
                .next_if(|token| matches!(token.kind, TokenKind::Number | TokenKind::Symbol(b',')))
                .is_some()
            {}
            parser.expect_symbol(close, "a closing bracket")?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parse(sql: &str) -> Result<InsertStatement, SqlError> {
        InsertStatement::parse(sql, StandardStrings::On)
    }

    #[test]
    fn parses_what_pg_dump_writes() {
        let insert = parse(
            "INSERT INTO store.skill (id, \"a\"\"b\", c) OVERRIDING SYSTEM VALUE VALUES\n\
             \t(1, 'it''s; odd', NULL),\n\t(-2.5e3, E'a\\\\b'::text, true)\nON CONFLICT DO NOTHING;",
        )
        .unwrap();
        assert_eq!(insert.table, QualifiedName::new("store", "skill"));
        assert_eq!(insert.columns.unwrap(), ["id", "a\"b", "c"]);
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(
            insert.rows,
            [vec![text("1"), text("it's; odd"), None], vec![text("-2.5e3"), text("a\\b"), text("true")]]
        );
    }

    #[test]
    fn parses_default_values_and_casts() {
        let insert = parse("INSERT INTO no_columns DEFAULT VALUES;\n").unwrap();
        assert_eq!((insert.columns, insert.rows), (None, vec![vec![]]));
        let insert =
            parse("insert into t values (B'01'::bit varying(20), 'x'::pg_catalog.\"char\"[])").unwrap();
        assert_eq!(insert.rows, [[Some("01".to_owned()), Some("x".to_owned())]]);
    }

    #[test]
    fn refuses_the_rest() {
        for sql in [
            "SELECT 1",
            "INSERT INTO t SELECT 1",
            "INSERT INTO t VALUES (f(1))",
            "INSERT INTO t VALUES (1",
            "INSERT INTO t VALUES (1) RETURNING *",
            "INSERT INTO t VALUES ('1)",
            "INSERT INTO t VALUES (1); DROP TABLE t",
        ] {
            assert!(parse(sql).is_err(), "{sql}");
        }
    }
}
