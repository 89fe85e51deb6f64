//! Reads one statement token by token, for code that parses the few statements it needs to understand.

use super::lexer::{Lexer, StandardStrings, Token, TokenKind, to_offset};
use super::{QualifiedName, SqlError, literal};

/// Reads the tokens of one statement. It skips white space and comments.
///
/// Where the lexer fails, the statement seems to end. [`Parser::unexpected`] then returns the lexer's error.
///
/// ```
/// use pgdump_archive::sql::{Parser, StandardStrings};
/// let mut parser = Parser::new("ALTER TABLE public.t /* ... */ ADD", "ALTER TABLE", StandardStrings::On);
/// parser.expect_word("alter")?;
/// parser.expect_word("table")?;
/// assert_eq!(parser.qualified_name()?.to_string(), "public.t");
/// # Ok::<(), pgdump_archive::sql::SqlError>(())
/// ```
#[derive(Debug)]
pub struct Parser<'a> {
    sql: &'a str,
    statement: &'static str,
    lexer: Lexer<'a>,
    peeked: Option<Token>,
    error: Option<SqlError>,
}

impl<'a> Parser<'a> {
    /// Starts at the first token of `sql`. Errors name the kind of statement by `statement`, such as "ALTER TABLE".
    pub fn new(sql: &'a str, statement: &'static str, strings: StandardStrings) -> Self {
        Self { sql, statement, lexer: Lexer::new(sql.as_bytes(), strings), peeked: None, error: None }
    }

    /// The next token, without consuming it.
    pub fn peek(&mut self) -> Option<&Token> {
        while self.peeked.is_none() && self.error.is_none() {
            match self.lexer.next()? {
                Ok(token) if token.kind.is_blank() => {}
                Ok(token) => self.peeked = Some(token),
                Err(error) => self.error = Some(error),
            }
        }
        self.peeked.as_ref()
    }

    /// Consumes and returns the next token if `accept` returns true for it.
    pub fn next_if(&mut self, accept: impl FnOnce(&Token) -> bool) -> Option<Token> {
        self.peek().is_some_and(accept).then(|| self.peeked.take()).flatten()
    }

    /// The text of a token of this statement.
    pub fn text(&self, token: &Token) -> &'a str {
        self.sql.get(token.span.clone()).unwrap_or_default()
    }

    /// The value of a string constant; `None` if the token is another one, or its value is not UTF-8.
    pub fn string(&self, token: &Token) -> Option<String> {
        literal::decode(self.sql, token).map(std::borrow::Cow::into_owned)
    }

    /// Consumes the next token if it is the key word `word`, in lower case here and in any case in the statement.
    /// Returns whether it did.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let sql = self.sql;
        self.next_if(|token| token.is_word(sql.as_bytes(), word)).is_some()
    }

    /// Consumes the next token if it is this symbol. Returns whether it did.
    pub fn eat_symbol(&mut self, symbol: u8) -> bool {
        self.next_if(|token| token.kind == TokenKind::Symbol(symbol)).is_some()
    }

    /// Consumes the key word `word`, in lower case here.
    ///
    /// # Errors
    /// The next token is another one, or the statement ends here.
    pub fn expect_word(&mut self, word: &'static str) -> Result<(), SqlError> {
        if self.eat_word(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    /// Consumes this symbol, which the error names by `expected`.
    ///
    /// # Errors
    /// The next token is another one, or the statement ends here.
    pub fn expect_symbol(&mut self, symbol: u8, expected: &'static str) -> Result<(), SqlError> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Checks that no token is left.
    ///
    /// # Errors
    /// A token is left, or the lexer failed.
    pub fn expect_end(&mut self) -> Result<(), SqlError> {
        if self.peek().is_none() && self.error.is_none() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    /// Consumes semicolons, and checks that no other token is left.
    ///
    /// # Errors
    /// Another token is left, or the lexer failed.
    pub fn expect_end_of_statement(&mut self) -> Result<(), SqlError> {
        while self.eat_symbol(b';') {}
        self.expect_end()
    }

    /// Consumes an identifier and returns the name: folded to lower case unless it is quoted.
    ///
    /// # Errors
    /// The next token is no identifier, or a quoted one with Unicode escapes (`U&"..."`), which pg_dump never writes.
    pub fn ident(&mut self) -> Result<String, SqlError> {
        let is_ident =
            |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent { unicode: false });
        let name = self.next_if(is_ident).and_then(|token| token.name(self.sql));
        name.ok_or_else(|| self.unexpected("a name"))
    }

    /// Consumes `name` or `schema.name`.
    ///
    /// # Errors
    /// The next tokens are no such name.
    pub fn qualified_name(&mut self) -> Result<QualifiedName, SqlError> {
        let first = self.ident()?;
        if !self.eat_symbol(b'.') {
            return Ok(QualifiedName::unqualified(first));
        }
        Ok(QualifiedName::new(first, self.ident()?))
    }

    /// Consumes a list of identifiers in parentheses, of at least one.
    ///
    /// # Errors
    /// The next tokens are no such list.
    pub fn ident_list(&mut self) -> Result<Vec<String>, SqlError> {
        self.expect_symbol(b'(', "an opening parenthesis")?;
        let mut names = vec![self.ident()?];
        while self.eat_symbol(b',') {
            names.push(self.ident()?);
        }
        self.expect_symbol(b')', "a comma or a closing parenthesis")?;
        Ok(names)
    }

    /// The error that the statement should go on with `expected` here. If the lexer failed, its error instead.
    pub fn unexpected(&mut self, expected: &'static str) -> SqlError {
        let end = self.sql.len();
        let offset = self.peek().map_or(end, |token| token.span.start);
        self.error.clone().unwrap_or(SqlError::Unexpected {
            statement: self.statement,
            expected,
            offset: to_offset(offset),
        })
    }
}

impl Iterator for Parser<'_> {
    type Item = Token;

    /// Consumes and returns the next token.
    fn next(&mut self) -> Option<Token> {
        self.peek();
        self.peeked.take()
    }
}
