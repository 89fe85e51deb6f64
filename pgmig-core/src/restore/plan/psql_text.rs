//! SQL of an archive, written so that psql finds no backslash command in it.
//!
//! A backslash command can start a program, and psql looks for one wherever it believes to be outside of a string. Two
//! settings that the archive's statements can change, psql's version, and line ends decide where psql sees a string end.
//! This module writes only forms that every psql reads as the server does, and refuses all others. `\restrict` does not
//! replace this: psql 15.18 and 16.14 still run a command in backquotes after `\unrestrict`.

use crate::sql::{Lexer, StandardStrings, StringKind, Token, TokenKind, split_statements};

/// The statements of `sql` for psql, each with its semicolon and without comments. The error is the reason why `sql` has
/// no safe form.
pub(super) fn statements(sql: &str, strings: StandardStrings) -> Result<Vec<Vec<u8>>, String> {
    // The sentinel is a separate statement only if `sql` ends outside of parentheses and of a routine's body.
    const SENTINEL: &str = "RESET ALL";
    let text = format!("{sql}\n;\n{SENTINEL}");
    let mut statements = split_statements(&text, strings).map_err(|error| error.to_string())?;
    if statements.pop() != Some(SENTINEL) {
        return Err("its SQL ends within a statement".to_owned());
    }
    statements.into_iter().map(|statement| self::statement(statement.as_bytes(), strings)).collect()
}

/// The same of one complete statement.
pub(super) fn statement(sql: &[u8], strings: StandardStrings) -> Result<Vec<u8>, String> {
    let mut writer = Writer { sql, out: Vec::with_capacity(sql.len()), ..Writer::default() };
    for token in Lexer::new(sql, strings) {
        writer.token(&token.map_err(|error| error.to_string())?)?;
    }
    writer.finish()
}

/// Writes the tokens of one statement.
#[derive(Default)]
struct Writer<'a> {
    sql: &'a [u8],
    out: Vec<u8>,
    /// The last token except white space and comments.
    previous: Option<Token>,
    /// Whether white space or a comment came after it.
    after_blank: bool,
    /// Whether the previous token is a colon that is not the second one of `::`.
    open_colon: bool,
    parentheses: u64,
    /// Whether a semicolon was met outside of parentheses.
    semicolon: bool,
    /// Whether the statement has a `BEGIN ATOMIC` body.
    begin_atomic: bool,
}

impl Writer<'_> {
    fn token(&mut self, token: &Token) -> Result<(), String> {
        if token.kind.is_blank() {
            self.blank(token);
            return Ok(());
        }
        self.check(token)?;
        self.separate_colon(token);
        self.write(token);
        self.note(token);
        Ok(())
    }

    /// A comment becomes a space: it may hold anything, and has no meaning.
    fn blank(&mut self, token: &Token) {
        if token.kind == TokenKind::Whitespace {
            let plain = |byte: &u8| if matches!(byte, b'\n' | b'\t') { *byte } else { b' ' };
            self.out.extend(text(self.sql, token).iter().map(plain));
        } else {
            self.out.push(b' ');
        }
        self.after_blank = true;
    }

    /// Refuses a token that some psql reads differently from the server, or after which psql reads rows.
    fn check(&self, token: &Token) -> Result<(), String> {
        let bytes = text(self.sql, token);
        let previous = self.previous.as_ref().map(|previous| previous.kind);
        let reason = match token.kind {
            TokenKind::Symbol(b'\\') => "its SQL holds a command of psql",
            _ if bytes.contains(&0) => "its SQL holds a zero byte, at which psql cuts a line off",
            TokenKind::Number if !is_plain_number(bytes) => {
                "its SQL holds a number that psql may read otherwise"
            }
            _ if !self.after_blank && runs_together(previous, token.kind) => {
                "its SQL holds a number that runs into a word"
            }
            // psql reads line by line, and so takes the second part for a constant of its own.
            TokenKind::String(_) if bytes.first() == Some(&b'\'') && is_continued(previous) => {
                "its SQL holds a string constant in two parts"
            }
            // psql 13 sends the part before the semicolon. Every server refuses that if it ends after BEGIN ATOMIC.
            _ if self.semicolon && !self.begin_atomic => "its SQL holds a semicolon within a statement",
            // psql would read the next lines as rows.
            TokenKind::Word if previous.is_none() && token.is_word(self.sql, "copy") => {
                "its SQL holds a COPY"
            }
            _ => return Ok(()),
        };
        Err(reason.to_owned())
    }

    /// psql replaces `:name` by the value of its variable, which may be the text of a server's message.
    fn separate_colon(&mut self, token: &Token) {
        let adjacent = self.open_colon && !self.after_blank;
        if adjacent && !matches!(token.kind, TokenKind::Symbol(b':' | b'=')) {
            self.out.push(b' ');
        }
        self.open_colon = token.kind == TokenKind::Symbol(b':') && !adjacent;
    }

    /// A constant with a backslash is written as `E'...'`, which does not depend on `standard_conforming_strings`.
    fn write(&mut self, token: &Token) {
        let bytes = text(self.sql, token);
        let doubles = match token.kind {
            TokenKind::String(StringKind::Plain) => true,
            TokenKind::String(StringKind::Escape) => false,
            kind => {
                if kind == TokenKind::Symbol(b';') {
                    self.trim();
                }
                return self.out.extend_from_slice(bytes);
            }
        };
        let national = matches!(bytes.first(), Some(b'n' | b'N'));
        if !bytes.contains(&b'\\') || matches!(bytes.first(), Some(b'e' | b'E')) {
            return self.out.extend_from_slice(bytes);
        }
        self.out.extend_from_slice(if national { b" NCHAR E'" } else { b" E'" });
        for byte in self.sql.get(token.body.clone()).unwrap_or_default() {
            self.out.push(*byte);
            if doubles && *byte == b'\\' {
                self.out.push(b'\\');
            }
        }
        self.out.push(b'\'');
    }

    fn note(&mut self, token: &Token) {
        match token.kind {
            TokenKind::Symbol(b'(') => self.parentheses = self.parentheses.saturating_add(1),
            TokenKind::Symbol(b')') => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Symbol(b';') if self.parentheses == 0 => self.semicolon = true,
            TokenKind::Word if token.is_word(self.sql, "atomic") => {
                let is_begin = |previous: &Token| previous.is_word(self.sql, "begin");
                self.begin_atomic |= self.previous.as_ref().is_some_and(is_begin);
            }
            _ => {}
        }
        self.previous = Some(token.clone());
        self.after_blank = false;
    }

    fn finish(mut self) -> Result<Vec<u8>, String> {
        if self.parentheses > 0 {
            return Err("its SQL holds parentheses that are not closed".to_owned());
        }
        self.trim();
        if self.out.last() != Some(&b';') {
            self.out.push(b';');
        }
        Ok(self.out)
    }

    /// Takes white space off the end.
    fn trim(&mut self) {
        while self.out.last().is_some_and(u8::is_ascii_whitespace) {
            self.out.pop();
        }
    }
}

fn text<'a>(sql: &'a [u8], token: &Token) -> &'a [u8] {
    sql.get(token.span.clone()).unwrap_or_default()
}

/// Whether every psql sees the same end of the number: `12`, `.5`, `1.5e-10`, but not `0x1f`, `1_000`, `1e`.
fn is_plain_number(bytes: &[u8]) -> bool {
    let is_mantissa = |part: &[u8]| part.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let Some(exponent) = bytes.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return is_mantissa(bytes);
    };
    let (mantissa, rest) = bytes.split_at_checked(exponent).unwrap_or_default();
    let digits = match rest {
        [_, b'+' | b'-', digits @ ..] | [_, digits @ ..] => digits,
        [] => &[],
    };
    is_mantissa(mantissa) && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Whether psql may take the beginning of the second token for a part of the first one.
fn runs_together(previous: Option<TokenKind>, kind: TokenKind) -> bool {
    matches!(previous, Some(TokenKind::Number | TokenKind::Parameter))
        && matches!(
            kind,
            TokenKind::Word
                | TokenKind::QuotedIdent { .. }
                | TokenKind::String(_)
                | TokenKind::Number
                | TokenKind::Parameter
                | TokenKind::Symbol(b'$')
        )
}

/// Whether a quote may continue the constant before it.
fn is_continued(previous: Option<TokenKind>) -> bool {
    matches!(previous, Some(TokenKind::String(kind)) if kind != StringKind::Dollar)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sql::decode_literal;
    use proptest::prelude::*;

    fn on(sql: &str) -> Result<Vec<String>, String> {
        let texts = statements(sql, StandardStrings::On)?;
        Ok(texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
    }

    #[test]
    fn constants_with_a_backslash_read_alike_under_both_settings() {
        for (sql, expected) in [
            (r"SELECT 'a\b', 'it''s'", r"SELECT  E'a\\b', 'it''s';"),
            (
                r"SELECT N'\', E'\\', U&'\0041', B'1', $$\$$;",
                r"SELECT  NCHAR E'\\', E'\\', U&'\0041', B'1', $$\$$;",
            ),
            (r"SELECT date'\'", r"SELECT date E'\\';"),
        ] {
            assert_eq!(on(sql).unwrap(), [expected], "{sql}");
        }
        let off = statements(r"SELECT 'a\'b', N'\'', 'c'", StandardStrings::Off).unwrap();
        assert_eq!(off, [br"SELECT  E'a\'b',  NCHAR E'\'', 'c';".to_vec()]);
    }

    #[test]
    fn variables_of_psql_are_not_named() {
        let sql = "SELECT a[1:n], b::text, c := 1, d[:\"DBNAME\"], e: f, g:::h, i[:'x'], j[:{?k}]";
        let expected = "SELECT a[1: n], b::text, c := 1, d[: \"DBNAME\"], e: f, g::: h, i[: 'x'], j[: {?k}];";
        assert_eq!(on(sql).unwrap(), [expected]);
    }

    #[test]
    fn comments_are_left_out_and_statements_parted() {
        let sql = "SELECT 1 -- \\! a\n, 2/* ; \\! b */;; CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)\n-- c";
        let expected = ["SELECT 1  \n, 2;", "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);"];
        assert_eq!(on(sql).unwrap(), expected);
        let body = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;";
        assert_eq!(on(body).unwrap(), [body]);
        assert_eq!(on("").unwrap(), [""; 0]);
    }

    #[test]
    fn what_psql_may_read_otherwise_is_refused() {
        for (sql, reason) in [
            ("SELECT 1 \\! a", "command of psql"),
            ("SELECT '\0'", "zero byte"),
            ("SELECT E'a'\n'b\\' \\! a\n'", "in two parts"),
            ("SELECT 'a' /* */ 'b'", "in two parts"),
            ("SELECT 1e'\\'' \\! a'", "may read otherwise"),
            ("SELECT 1e--'\n'", "may read otherwise"),
            ("SELECT 1ab$x$ \\! a\n$x$", "may read otherwise"),
            ("SELECT 0x1f", "may read otherwise"),
            ("SELECT 1$x$ $x$", "runs into a word"),
            ("SELECT $1a$x$", "runs into a word"),
            ("SELECT 1\"a\"", "runs into a word"),
            ("SELECT f((1)", "ends within a statement"),
            ("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;", "ends within a statement"),
            ("CREATE FUNCTION f() RETURNS begin LANGUAGE sql; SELECT 1; END", "a semicolon within"),
            ("SELECT 1; cOpY t FROM stdin", "a COPY"),
            ("/* */ COPY t FROM stdin;\n1\n\\.\n", "a COPY"),
            ("SELECT 'a", "string"),
        ] {
            let found = on(sql).expect_err(sql);
            assert!(found.contains(reason), "{sql}: {found}");
        }
    }

    #[test]
    fn numbers_of_pg_dump_are_plain() {
        for sql in ["SELECT 1, -2.5, .5, 1.5e-10, 2E+5, 3e7, 1::int, $1::text, 1-1, 1.", "SELECT 1 a"] {
            assert_eq!(on(sql).unwrap(), [format!("{sql};")]);
        }
    }

    proptest! {
        /// The written text has the same values, whatever the setting.
        #[test]
        fn the_meaning_stays(sql in "[ 'eN\\\\a1\n$:;,-]{0,24}") {
            let Ok(texts) = statements(&sql, StandardStrings::On) else { return Ok(()) };
            let written = texts.concat();
            let written = std::str::from_utf8(&written).unwrap();
            let values = |sql: &str, strings| -> Vec<String> {
                let tokens = Lexer::new(sql.as_bytes(), strings).map(Result::unwrap);
                let constants = tokens.filter(|token| matches!(token.kind, TokenKind::String(_)));
                constants.map(|token| decode_literal(sql, &token).unwrap_or_default().into_owned()).collect()
            };
            let expected = values(&sql, StandardStrings::On);
            prop_assert_eq!(&values(written, StandardStrings::On), &expected);
            prop_assert_eq!(&values(written, StandardStrings::Off), &expected);
        }
    }
}
