//! Finds tokens in a buffer that may still grow.
//!
//! [`Scanner`] can stop at the end of a chunk and resume there, even inside a token. It examines each byte only once:
//! a string of many MiB costs no more in many chunks than in one.

use super::SqlError;
use super::lexer::{StandardStrings, StringKind, Token, TokenKind, to_offset};
use memchr::memmem;

/// Finds tokens in a buffer that may still grow.
#[derive(Debug)]
pub(super) struct Scanner {
    strings: StandardStrings,
    /// Where the next token begins.
    position: usize,
    /// Bytes that were removed from the buffer's front.
    removed: u64,
    partial: Option<Partial>,
    continued: Continued,
}

/// Whether a quote would continue the string before it. Constants that are separated only by white space with a line
/// end are one, and the second part has the form of the first.
#[derive(Debug, Clone, Copy)]
enum Continued {
    No,
    SameLine(StringKind),
    NextLine(StringKind),
}

/// A token whose end has not been found yet.
#[derive(Debug, Clone, Copy)]
struct Partial {
    kind: TokenKind,
    /// The next byte to examine. All bytes before it are inside the token.
    at: usize,
    /// Where the body begins. `None` while the tag of a dollar-quoted string is being read.
    body: Option<usize>,
    /// The number of open block comments.
    depth: u64,
}

/// The result of the search for a token's end.
enum End {
    /// The body ends at `body`, the token at `token`.
    At { body: usize, token: usize },
    /// The end is not among the available bytes. Continue at this one.
    More(usize),
}

impl End {
    fn both(at: usize) -> Self {
        End::At { body: at, token: at }
    }
}

impl Scanner {
    pub(super) fn new(strings: StandardStrings) -> Self {
        Self { strings, position: 0, removed: 0, partial: None, continued: Continued::No }
    }

    /// Where the next token begins.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Whether no token has been begun.
    pub(super) fn is_between_tokens(&self) -> bool {
        self.partial.is_none()
    }

    /// Sets how plain strings are read from here on.
    pub(super) fn set_strings(&mut self, strings: StandardStrings) {
        self.strings = strings;
    }

    /// Advances by `bytes` without examining them.
    pub(super) fn pass_over(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes);
        (self.partial, self.continued) = (None, Continued::No);
    }

    /// Converts a place in the buffer to a place in the whole text.
    pub(super) fn offset(&self, position: usize) -> u64 {
        self.removed.saturating_add(to_offset(position))
    }

    /// Adjusts to a buffer that lost its first `count` bytes, none of them part of the next token.
    pub(super) fn rebase(&mut self, count: usize) {
        self.removed = self.removed.saturating_add(to_offset(count));
        self.position = self.position.saturating_sub(count);
        if let Some(partial) = &mut self.partial {
            partial.at = partial.at.saturating_sub(count);
            partial.body = partial.body.map(|body| body.saturating_sub(count));
        }
    }

    /// The next token of `input`, or `None` if more bytes are needed to find its end. With `at_end` no more bytes
    /// will come, and `None` means that there are no more tokens.
    pub(super) fn scan(&mut self, input: &[u8], at_end: bool) -> Result<Option<Token>, SqlError> {
        let Some(mut partial) = self.partial.take().or_else(|| self.begin(input, at_end)) else {
            return Ok(None);
        };
        match self.find_end(&mut partial, input, at_end) {
            End::At { body, token } => {
                let start = self.position;
                self.position = token;
                let body = partial.body.unwrap_or(start)..body;
                self.note_continuation(partial.kind, input.get(start..token).unwrap_or_default());
                Ok(Some(Token { kind: partial.kind, span: start..token, body }))
            }
            End::More(at) if !at_end => {
                partial.at = at;
                self.partial = Some(partial);
                Ok(None)
            }
            End::More(_) => {
                let what = match partial.kind {
                    TokenKind::BlockComment => "comment",
                    TokenKind::QuotedIdent { .. } => "quoted name",
                    _ => "string",
                };
                Err(SqlError::Unterminated { what, offset: self.offset(self.position) })
            }
        }
    }

    /// The kind of the token that begins at the position. `None` at the end, or if bytes are needed that have not
    /// come yet.
    fn begin(&self, input: &[u8], at_end: bool) -> Option<Partial> {
        let start = self.position;
        let first = *input.get(start)?;
        let second = input.get(start.saturating_add(1)).copied();
        let third = input.get(start.saturating_add(2)).copied();
        let undecided = !at_end
            && match first {
                b'-' | b'/' | b'.' | b'$' | b'e' | b'E' | b'n' | b'N' | b'b' | b'B' | b'x' | b'X' => {
                    second.is_none()
                }
                b'u' | b'U' => second.is_none() || (second == Some(b'&') && third.is_none()),
                _ => false,
            };
        if undecided {
            return None;
        }
        let quote = TokenKind::String(self.string_kind());
        let (kind, prefix, body) = match (first, second, third) {
            _ if is_space(first) => (TokenKind::Whitespace, 1, 0),
            (b'-', Some(b'-'), _) => (TokenKind::LineComment, 2, 0),
            (b'/', Some(b'*'), _) => (TokenKind::BlockComment, 2, 0),
            (b'\'', _, _) => (quote, 1, 1),
            (b'"', _, _) => (TokenKind::QuotedIdent { unicode: false }, 1, 1),
            (b'e' | b'E', Some(b'\''), _) => (TokenKind::String(StringKind::Escape), 2, 2),
            (b'n' | b'N', Some(b'\''), _) => (TokenKind::String(self.plain_kind()), 2, 2),
            (b'b' | b'B' | b'x' | b'X', Some(b'\''), _) => (TokenKind::String(StringKind::Bits), 2, 2),
            (b'u' | b'U', Some(b'&'), Some(b'\'')) => (TokenKind::String(StringKind::Unicode), 3, 3),
            (b'u' | b'U', Some(b'&'), Some(b'"')) => (TokenKind::QuotedIdent { unicode: true }, 3, 3),
            (b'$', Some(b'0'..=b'9'), _) => (TokenKind::Parameter, 2, 0),
            (b'$', Some(next), _) if next == b'$' || is_ident_start(next) => {
                let kind = TokenKind::String(StringKind::Dollar);
                return Some(Partial { kind, at: start.saturating_add(1), body: None, depth: 0 });
            }
            (b'0'..=b'9', _, _) | (b'.', Some(b'0'..=b'9'), _) => (TokenKind::Number, 1, 0),
            _ if is_ident_start(first) => (TokenKind::Word, 1, 0),
            _ => (TokenKind::Symbol(first), 1, 0),
        };
        let (at, body) = (start.saturating_add(prefix), Some(start.saturating_add(body)));
        Some(Partial { kind, at, body, depth: 1 })
    }

    /// The form of `'...'` at this place.
    fn string_kind(&self) -> StringKind {
        match self.continued {
            Continued::NextLine(kind) => kind,
            Continued::No | Continued::SameLine(_) => self.plain_kind(),
        }
    }

    fn plain_kind(&self) -> StringKind {
        match self.strings {
            StandardStrings::On => StringKind::Plain,
            StandardStrings::Off => StringKind::Escape,
        }
    }

    fn note_continuation(&mut self, kind: TokenKind, text: &[u8]) {
        self.continued = match (kind, self.continued) {
            (TokenKind::String(kind), _) if kind != StringKind::Dollar => Continued::SameLine(kind),
            (TokenKind::Whitespace, Continued::SameLine(kind))
                if text.iter().any(|&byte| is_line_end(byte)) =>
            {
                Continued::NextLine(kind)
            }
            (TokenKind::Whitespace | TokenKind::LineComment, unchanged) => unchanged,
            _ => Continued::No,
        };
    }

    fn find_end(&self, partial: &mut Partial, input: &[u8], at_end: bool) -> End {
        let at = partial.at;
        match partial.kind {
            TokenKind::Whitespace => End::both(skip(input, at, is_space)),
            TokenKind::LineComment => until_known(input, skip(input, at, |byte| !is_line_end(byte)), at_end),
            TokenKind::BlockComment => end_of_comment(partial, input),
            TokenKind::Word => until_known(input, skip(input, at, is_ident_part), at_end),
            TokenKind::Parameter => until_known(input, skip(input, at, |byte| byte.is_ascii_digit()), at_end),
            TokenKind::Number => end_of_number(self.position, at, input, at_end),
            TokenKind::Symbol(_) => End::both(at),
            TokenKind::QuotedIdent { .. } => end_of_quotes(input, at, b'"', at_end),
            TokenKind::String(StringKind::Escape) => end_of_escapes(input, at, at_end),
            TokenKind::String(StringKind::Dollar) => end_of_dollars(self.position, partial, input, at_end),
            TokenKind::String(_) => end_of_quotes(input, at, b'\'', at_end),
        }
    }
}

/// The text without trailing white space.
pub(super) fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| !is_space(byte)).map_or(0, |last| last.saturating_add(1));
    text.get(..end).unwrap_or_default()
}

/// The characters that `scan.l` calls `space` since PostgreSQL 16. In earlier releases a vertical tab was not white
/// space, but a syntax error.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn is_ident_part(byte: u8) -> bool {
    is_ident_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// The first place from `at` on with a byte that is not `inside`.
fn skip(input: &[u8], at: usize, inside: impl Fn(u8) -> bool) -> usize {
    let rest = input.get(at..).unwrap_or_default();
    rest.iter().position(|&byte| !inside(byte)).map_or(input.len(), |found| at.saturating_add(found))
}

/// A token that ends before the byte at `end`. That byte must be available unless the text ends.
fn until_known(input: &[u8], end: usize, at_end: bool) -> End {
    if end < input.len() || at_end { End::both(end) } else { End::More(end) }
}

fn end_of_number(start: usize, mut at: usize, input: &[u8], at_end: bool) -> End {
    let is_prefixed =
        matches!(input.get(start.saturating_add(1)), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B'));
    loop {
        at = skip(input, at, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let previous = at.checked_sub(1).and_then(|last| input.get(last));
        let next = input.get(at.saturating_add(1));
        match input.get(at) {
            Some(b'+' | b'-') if !is_prefixed && matches!(previous, Some(b'e' | b'E')) => {}
            Some(b'.') if next.is_none() && !at_end => return End::More(at),
            // `1..10` is two numbers and two dots.
            Some(b'.') if next != Some(&b'.') => {}
            _ => return until_known(input, at, at_end),
        }
        at = at.saturating_add(1);
    }
}

fn end_of_comment(partial: &mut Partial, input: &[u8]) -> End {
    let mut at = partial.at;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'*', b'/', rest) else {
            return End::More(input.len());
        };
        at = at.saturating_add(found);
        let second = at.saturating_add(1);
        match (input.get(at), input.get(second)) {
            (_, None) => return End::More(at),
            (Some(b'/'), Some(b'*')) => partial.depth = partial.depth.saturating_add(1),
            (Some(b'*'), Some(b'/')) => partial.depth = partial.depth.saturating_sub(1),
            _ => {
                at = second;
                continue;
            }
        }
        at = second.saturating_add(1);
        if partial.depth == 0 {
            return End::both(at);
        }
    }
}

/// The end of a text in quotes. A doubled `quote` does not end it.
fn end_of_quotes(input: &[u8], mut at: usize, quote: u8, at_end: bool) -> End {
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr(quote, rest) else {
            return End::More(input.len());
        };
        at = at.saturating_add(found);
        match input.get(at.saturating_add(1)) {
            Some(&next) if next == quote => at = at.saturating_add(2),
            None if !at_end => return End::More(at),
            _ => return End::At { body: at, token: at.saturating_add(1) },
        }
    }
}

/// The end of a string with escapes.
fn end_of_escapes(input: &[u8], mut at: usize, at_end: bool) -> End {
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'\'', b'\\', rest) else {
            return End::More(input.len());
        };
        at = at.saturating_add(found);
        match (input.get(at), input.get(at.saturating_add(1))) {
            (Some(b'\''), None) if at_end => return End::At { body: at, token: at.saturating_add(1) },
            (_, None) => return End::More(at),
            (Some(b'\''), Some(next)) if *next != b'\'' => {
                return End::At { body: at, token: at.saturating_add(1) };
            }
            _ => at = at.saturating_add(2),
        }
    }
}

/// The end of a dollar-quoted string: its tag again. A `$` that does not begin a tag is a symbol.
fn end_of_dollars(start: usize, partial: &mut Partial, input: &[u8], at_end: bool) -> End {
    let body = match partial.body {
        Some(body) => body,
        None => {
            let end = skip(input, partial.at, |byte| is_ident_part(byte) && byte != b'$');
            match input.get(end) {
                Some(b'$') => end.saturating_add(1),
                None if !at_end => return End::More(end),
                _ => {
                    partial.kind = TokenKind::Symbol(b'$');
                    return End::both(start.saturating_add(1));
                }
            }
        }
    };
    let from = if partial.body.is_some() { partial.at } else { body };
    partial.body = Some(body);
    let tag = input.get(start..body).unwrap_or_default();
    let rest = input.get(from..).unwrap_or_default();
    match memmem::find(rest, tag) {
        Some(found) => {
            let body_end = from.saturating_add(found);
            End::At { body: body_end, token: body_end.saturating_add(tag.len()) }
        }
        // The closing tag may have begun at the end of this chunk.
        None => End::More(input.len().saturating_sub(tag.len().saturating_sub(1)).max(from)),
    }
}
