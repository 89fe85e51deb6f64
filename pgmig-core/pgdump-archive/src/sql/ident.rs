//! Names and literals. Only this module quotes them.

use super::SqlError;
use super::keyword::must_quote;
use super::lexer::StandardStrings;
use super::parser::Parser;
use std::fmt;
use std::str::FromStr;

/// `name` as PostgreSQL would print it: quoted unless it is a lower-case name and not a key word.
///
/// ```
/// use pgdump_archive::sql::quote_ident;
/// assert_eq!(quote_ident("tenant"), "tenant");
/// assert_eq!(quote_ident("select"), "\"select\"");
/// assert_eq!(quote_ident("a\"b"), "\"a\"\"b\"");
/// ```
pub fn quote_ident(name: &str) -> String {
    if is_plain(name) && !must_quote(name) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a string constant that means the same whatever `standard_conforming_strings` is. It has the `E''` form
/// if it holds a backslash.
///
/// ```
/// use pgdump_archive::sql::quote_literal;
/// assert_eq!(quote_literal("it's"), "'it''s'");
/// assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
/// ```
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The name of a relation (or another object that lives in a schema), with or without its schema.
///
/// Displays as SQL, quoted where needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The schema, if it was given.
    pub schema: Option<String>,
    /// The name in the schema.
    pub name: String,
}

impl QualifiedName {
    /// A name in a schema.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: Some(schema.into()), name: name.into() }
    }

    /// A name whose schema the `search_path` finds.
    pub fn unqualified(name: impl Into<String>) -> Self {
        Self { schema: None, name: name.into() }
    }

    /// Parses the name in `sql`: `name` or `schema.name`. Quoted parts keep their case, others are folded to lower
    /// case.
    ///
    /// # Errors
    ///
    /// [`SqlError::Unexpected`] if `sql` is anything else.
    pub fn parse(sql: &str) -> Result<Self, SqlError> {
        let mut parser = Parser::new(sql, "name", StandardStrings::On);
        let name = parser.qualified_name()?;
        parser.expect_end()?;
        Ok(name)
    }
}

impl FromStr for QualifiedName {
    type Err = SqlError;

    fn from_str(sql: &str) -> Result<Self, SqlError> {
        Self::parse(sql)
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quote_ident(schema))?;
        }
        f.write_str(&quote_ident(&self.name))
    }
}

/// Whether `name` without quotes is read back unchanged.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'$'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::lexer::{Lexer, Token};
    use super::super::literal;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_what_postgres_quotes() {
        for (name, quoted) in [
            ("tenant", "tenant"),
            ("_a$1", "_a$1"),
            ("$a", "\"$a\""),
            ("1a", "\"1a\""),
            ("", "\"\""),
            ("Tenant", "\"Tenant\""),
            ("user", "\"user\""),
            ("name", "name"),
            ("naïve", "\"naïve\""),
            ("a\"b", "\"a\"\"b\""),
            ("T; --\nx", "\"T; --\nx\""),
        ] {
            assert_eq!(quote_ident(name), quoted);
        }
    }

    #[test]
    fn parses_names() {
        let parsed = |sql| QualifiedName::parse(sql).unwrap();
        assert_eq!(parsed("Store.Tenant"), QualifiedName::new("store", "tenant"));
        assert_eq!(parsed("\"Odd \"\"q\"\"\" . \"T; --\nx\""), QualifiedName::new("Odd \"q\"", "T; --\nx"));
        assert_eq!(parsed("tenant"), QualifiedName::unqualified("tenant"));
        for bad in ["", "a.", ".a", "a b", "a.b.c", "'a'", "\"a", "1"] {
            assert!(QualifiedName::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_read_back(schema in "[^\0]{1,8}", name in "[^\0]{1,8}") {
            let name = QualifiedName::new(schema, name);
            prop_assert_eq!(QualifiedName::parse(&name.to_string()).unwrap(), name);
        }

        #[test]
        fn literals_read_back(text in "[^\0]{0,20}") {
            for strings in [StandardStrings::On, StandardStrings::Off] {
                let sql = quote_literal(&text);
                let tokens: Vec<Token> = Lexer::new(sql.as_bytes(), strings).collect::<Result<_, _>>().unwrap();
                prop_assert_eq!(tokens.len(), 1);
                prop_assert_eq!(literal::decode(&sql, &tokens[0]).unwrap(), text.as_str());
            }
        }
    }
}
