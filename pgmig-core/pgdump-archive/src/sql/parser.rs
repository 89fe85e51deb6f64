//! One statement's significant tokens, one after the other, for the few statements that are parsed.

use super::lexer::{Lexer, StandardStrings, Token, TokenKind, to_offset};
use super::{QualifiedName, SqlError, literal};

/// Reads a statement's tokens: no white space, no comments.
///
/// Text that cannot be lexed reads as if it ended there; [`Parser::unexpected`] then gives the lexer's error.
#[derive(Debug)]
pub(crate) struct Parser<'a> {
    sql: &'a str,
    statement: &'static str,
    lexer: Lexer<'a>,
    peeked: Option<Token>,
    error: Option<SqlError>,
}

impl<'a> Parser<'a> {
    /// `statement` says in errors what is being read.
    pub(crate) fn new(sql: &'a str, statement: &'static str, strings: StandardStrings) -> Self {
        Self { sql, statement, lexer: Lexer::new(sql.as_bytes(), strings), peeked: None, error: None }
    }

    /// The next token, left in place.
    pub(crate) fn peek(&mut self) -> Option<&Token> {
        while self.peeked.is_none() && self.error.is_none() {
            match self.lexer.next()? {
                Ok(token) if token.kind.is_blank() => {}
                Ok(token) => self.peeked = Some(token),
                Err(error) => self.error = Some(error),
            }
        }
        self.peeked.as_ref()
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Option<Token> {
        self.peek();
        self.peeked.take()
    }

    /// The next token if `accept` takes it.
    pub(crate) fn next_if(&mut self, accept: impl FnOnce(&Token) -> bool) -> Option<Token> {
        self.peek().is_some_and(accept).then(|| self.peeked.take()).flatten()
    }

    /// The text of a token.
    pub(crate) fn text(&self, token: &Token) -> &'a str {
        self.sql.get(token.span.clone()).unwrap_or_default()
    }

    /// The value of a string constant.
    pub(crate) fn string(&self, token: &Token) -> Option<String> {
        literal::decode(self.sql, token).map(std::borrow::Cow::into_owned)
    }

    /// Takes the next token if it is the key word `word` (given in lower case).
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let sql = self.sql;
        self.next_if(|token| token.is_word(sql.as_bytes(), word)).is_some()
    }

    /// Takes the next token if it is this symbol.
    pub(crate) fn eat_symbol(&mut self, symbol: u8) -> bool {
        self.next_if(|token| token.kind == TokenKind::Symbol(symbol)).is_some()
    }

    /// Takes the key word `word`, which must come next.
    pub(crate) fn expect_word(&mut self, word: &'static str) -> Result<(), SqlError> {
        if self.eat_word(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    /// Takes this symbol, which must come next; `expected` names it in the error.
    pub(crate) fn expect_symbol(&mut self, symbol: u8, expected: &'static str) -> Result<(), SqlError> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Nothing may follow.
    pub(crate) fn expect_end(&mut self) -> Result<(), SqlError> {
        if self.peek().is_none() && self.error.is_none() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    /// Nothing but semicolons may follow.
    pub(crate) fn expect_end_of_statement(&mut self) -> Result<(), SqlError> {
        while self.eat_symbol(b';') {}
        self.expect_end()
    }

    /// An identifier.
    pub(crate) fn ident(&mut self) -> Result<String, SqlError> {
        let is_ident =
            |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent { unicode: false });
        let name = self.next_if(is_ident).and_then(|token| token.name(self.sql));
        name.ok_or_else(|| self.unexpected("a name"))
    }

    /// `name` or `schema.name`.
    pub(crate) fn qualified_name(&mut self) -> Result<QualifiedName, SqlError> {
        let first = self.ident()?;
        if !self.eat_symbol(b'.') {
            return Ok(QualifiedName::unqualified(first));
        }
        Ok(QualifiedName::new(first, self.ident()?))
    }

    /// A list of identifiers in parentheses, at least one.
    pub(crate) fn ident_list(&mut self) -> Result<Vec<String>, SqlError> {
        self.expect_symbol(b'(', "an opening parenthesis")?;
        let mut names = vec![self.ident()?];
        while self.eat_symbol(b',') {
            names.push(self.ident()?);
        }
        self.expect_symbol(b')', "a comma or a closing parenthesis")?;
        Ok(names)
    }

    /// The error that `expected` should have come next.
    pub(crate) fn unexpected(&mut self, expected: &'static str) -> SqlError {
        let end = self.sql.len();
        let offset = self.peek().map_or(end, |token| token.span.start);
        self.error.clone().unwrap_or(SqlError::Unexpected {
            statement: self.statement,
            expected,
            offset: to_offset(offset),
        })
    }
}
