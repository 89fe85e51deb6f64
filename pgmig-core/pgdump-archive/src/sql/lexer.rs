//! PostgreSQL's lexical structure: strings, names, comments and other tokens.
//!
//! After `src/backend/parser/scan.l`. Each byte of an operator is a token of its own; no caller needs whole
//! operators.

use super::SqlError;
use super::scanner::Scanner;
use std::ops::Range;

/// Whether a backslash in `'...'` is an ordinary character: the setting `standard_conforming_strings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StandardStrings {
    /// A backslash is an ordinary character. Only `E'...'` has escapes.
    #[default]
    On,
    /// `'...'` has escapes, as `E'...'` has.
    Off,
}

/// The form of a string constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringKind {
    /// `'...'` in which a backslash is an ordinary character.
    Plain,
    /// `E'...'`, and `'...'` where `standard_conforming_strings` is off.
    Escape,
    /// `B'...'` or `X'...'`.
    Bits,
    /// `U&'...'`.
    Unicode,
    /// `$tag$...$tag$`.
    Dollar,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and line ends.
    Whitespace,
    /// `-- ...`, without its line end.
    LineComment,
    /// `/* ... */`, nested ones included.
    BlockComment,
    /// A name or key word without quotes.
    Word,
    /// `"..."`, or `U&"..."` if `unicode`.
    QuotedIdent {
        /// Whether it has the `U&` form.
        unicode: bool,
    },
    /// A string constant. If it continues on another line, the second part is a token of its own.
    String(StringKind),
    /// A number, without its sign.
    Number,
    /// `$1`.
    Parameter,
    /// Any other byte: punctuation, or one byte of an operator.
    Symbol(u8),
}

impl TokenKind {
    /// Whether this is white space or a comment.
    pub fn is_blank(self) -> bool {
        matches!(self, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment)
    }
}

/// A token and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token's kind.
    pub kind: TokenKind,
    /// The place of all its bytes.
    pub span: Range<usize>,
    /// The place of the text between the quotes, still escaped. For other tokens the same as `span`.
    pub body: Range<usize>,
}

impl Token {
    /// Whether this is the key word `word`, given in lower case.
    pub fn is_word(&self, input: &[u8], word: &str) -> bool {
        self.kind == TokenKind::Word
            && input.get(self.span.clone()).is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The name that this token spells, folded as the server folds it. `None` if it is not a name, or has the `U&`
    /// form.
    pub fn name(&self, input: &str) -> Option<String> {
        let body = input.get(self.body.clone())?;
        match self.kind {
            TokenKind::Word => Some(body.to_ascii_lowercase()),
            TokenKind::QuotedIdent { unicode: false } => Some(body.replace("\"\"", "\"")),
            _ => None,
        }
    }
}

/// The tokens of a complete text, without gaps. The iterator ends after the first error.
#[derive(Debug)]
pub struct Lexer<'a> {
    input: &'a [u8],
    scanner: Scanner,
    failed: bool,
}

impl<'a> Lexer<'a> {
    /// The tokens of `input`.
    pub fn new(input: &'a [u8], strings: StandardStrings) -> Self {
        Self { input, scanner: Scanner::new(strings), failed: false }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, SqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let token = self.scanner.scan(self.input, true);
        self.failed = token.is_err();
        token.transpose()
    }
}

/// Converts a number of bytes to an offset of the text.
pub(crate) fn to_offset(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The tokens that are no white space, each as its kind's letter and its text.
    fn lex(sql: &str, strings: StandardStrings) -> Vec<(char, &str)> {
        let tokens = Lexer::new(sql.as_bytes(), strings).map(Result::unwrap);
        tokens
            .filter(|token| token.kind != TokenKind::Whitespace)
            .map(|token| {
                let letter = match token.kind {
                    TokenKind::Whitespace => ' ',
                    TokenKind::LineComment | TokenKind::BlockComment => 'c',
                    TokenKind::Word => 'w',
                    TokenKind::QuotedIdent { unicode } => {
                        if unicode {
                            'U'
                        } else {
                            'q'
                        }
                    }
                    TokenKind::String(StringKind::Plain) => 's',
                    TokenKind::String(StringKind::Escape) => 'e',
                    TokenKind::String(StringKind::Bits) => 'b',
                    TokenKind::String(StringKind::Unicode) => 'u',
                    TokenKind::String(StringKind::Dollar) => 'd',
                    TokenKind::Number => 'n',
                    TokenKind::Parameter => 'p',
                    TokenKind::Symbol(_) => '.',
                };
                (letter, &sql[token.span])
            })
            .collect()
    }

    #[test]
    fn tells_tokens_apart() {
        let on = StandardStrings::On;
        for (sql, expected) in [
            (
                r"'a\' E'a\'b' n'x' X'0f'",
                vec![('s', r"'a\'"), ('e', r"E'a\'b'"), ('s', "n'x'"), ('b', "X'0f'")],
            ),
            (
                r#"U&'a' U&"b" u & "c""""#,
                vec![('u', "U&'a'"), ('U', r#"U&"b""#), ('w', "u"), ('.', "&"), ('q', r#""c""""#)],
            ),
            ("$a$ $b$ $a$ $$x$$", vec![('d', "$a$ $b$ $a$"), ('d', "$$x$$")]),
            ("a$b$c $1 $ $2a", vec![('w', "a$b$c"), ('p', "$1"), ('.', "$"), ('p', "$2"), ('w', "a")]),
            ("$a-b $é$;$é$", vec![('.', "$"), ('w', "a"), ('.', "-"), ('w', "b"), ('d', "$é$;$é$")]),
            (
                "1 1.5e-10 .5 1..2 0x1e-5",
                vec![
                    ('n', "1"),
                    ('n', "1.5e-10"),
                    ('n', ".5"),
                    ('n', "1"),
                    ('.', "."),
                    ('n', ".2"),
                    ('n', "0x1e"),
                    ('.', "-"),
                    ('n', "5"),
                ],
            ),
            (
                "a--b\n-/*c/*d*/*/-",
                vec![('w', "a"), ('c', "--b"), ('.', "-"), ('c', "/*c/*d*/*/"), ('.', "-")],
            ),
            ("x::text", vec![('w', "x"), ('.', ":"), ('.', ":"), ('w', "text")]),
        ] {
            assert_eq!(lex(sql, on), expected, "{sql}");
        }
    }

    #[test]
    fn a_string_that_goes_on_keeps_its_form() {
        let expected = vec![('e', "E'a'"), ('c', "-- c"), ('e', r"'\''")];
        assert_eq!(lex("E'a' -- c\n '\\''", StandardStrings::On), expected);
        assert_eq!(lex("E'a' '\\'", StandardStrings::On)[1], ('s', r"'\'"));
        assert_eq!(lex("'a\\''", StandardStrings::Off), [('e', r"'a\''")]);
    }

    #[test]
    fn reports_where_the_unterminated_begins() {
        for (sql, what) in [
            ("  'a''", "string"),
            ("  E'\\'", "string"),
            ("  $a$ $", "string"),
            ("  \"a", "quoted name"),
            ("  /* /* */", "comment"),
        ] {
            let error = Lexer::new(sql.as_bytes(), StandardStrings::On).last().unwrap();
            assert_eq!(error, Err(SqlError::Unterminated { what, offset: 2 }), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn leaves_no_gaps(sql in "[ '\"$a\\\\*/\n.e1&uU-]{0,30}") {
            let mut end = 0;
            for token in Lexer::new(sql.as_bytes(), StandardStrings::On) {
                let Ok(token) = token else { return Ok(()) };
                prop_assert_eq!(token.span.start, end);
                prop_assert!(token.span.end > end);
                prop_assert!(token.body.start >= token.span.start && token.body.end <= token.span.end);
                end = token.span.end;
            }
            prop_assert_eq!(end, sql.len());
        }
    }
}
