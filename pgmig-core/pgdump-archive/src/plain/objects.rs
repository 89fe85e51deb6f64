//! Large objects in a script: `lo_open`, `lowrite`, `lo_close` in one transaction.

use super::stream::ScriptStream;
use crate::entry::Oid;
use crate::error::{ArchiveError, ScriptProblem};
use crate::item::Item;
use crate::sql::{Parser, SqlError, StandardStrings, StatementSplitter, TokenKind};

/// How many bytes of the script are read at a time.
const PIECE: usize = 64 * 1024;

/// The source of the statements of a transaction.
pub(crate) enum Statements<'a> {
    /// A part of a script in a file.
    Item { item: Box<Item<'a>>, splitter: Box<StatementSplitter>, ended: bool },
    /// A script in a stream.
    Stream(&'a mut ScriptStream),
}

impl<'a> Statements<'a> {
    pub(crate) fn of_item(item: Item<'a>, strings: StandardStrings) -> Self {
        Self::Item { item: Box::new(item), splitter: Box::new(StatementSplitter::new(strings)), ended: false }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let (item, splitter, ended) = match self {
            Self::Stream(stream) => return stream.next_statement(),
            Self::Item { item, splitter, ended } => (item, splitter, ended),
        };
        loop {
            match splitter.next_statement() {
                Ok(Some(statement)) => return Ok(Some(statement.text.to_vec())),
                Ok(None) if *ended => return Ok(None),
                Ok(None) => {}
                Err(_) => return Err(self.problem()),
            }
            let mut bytes = vec![0; PIECE];
            let read = item.fill(&mut bytes)?;
            if read == 0 {
                *ended = true;
                splitter.end();
            } else if splitter.feed(bytes.get(..read).unwrap_or_default()).is_err() {
                return Err(self.problem());
            }
        }
    }

    fn problem(&mut self) -> ArchiveError {
        let reader = match self {
            Self::Stream(stream) => Some(&*stream.reader()),
            Self::Item { item, .. } => item.reader(),
        };
        match reader {
            Some(reader) => {
                ArchiveError::Script { place: reader.place(), problem: ScriptProblem::LargeObject }
            }
            None => ArchiveError::AfterError,
        }
    }
}

/// Reads the large objects of one transaction.
pub(crate) struct ScriptObjects<'a> {
    statements: Statements<'a>,
    strings: StandardStrings,
    within_object: bool,
    /// An object that has been opened but not returned yet.
    opened: Option<Oid>,
    /// Bytes of the current object that have been read but not returned yet.
    pending: Vec<u8>,
    given: usize,
}

/// A statement of the transaction.
enum Call {
    Open(Oid),
    Write(Vec<u8>),
    Close,
    /// A statement around the calls: BEGIN, COMMIT.
    Around,
}

impl<'a> ScriptObjects<'a> {
    pub(crate) fn new(statements: Statements<'a>, strings: StandardStrings) -> Self {
        Self { statements, strings, within_object: false, opened: None, pending: Vec::new(), given: 0 }
    }

    pub(crate) fn next_object(&mut self) -> Result<Option<Oid>, ArchiveError> {
        while self.within_object {
            self.read_more()?;
            self.pending.clear();
        }
        (self.given, self.pending) = (0, Vec::new());
        while self.opened.is_none() {
            match self.call()? {
                Some(Call::Open(oid)) => self.opened = Some(oid),
                Some(Call::Around) => {}
                Some(Call::Write(_) | Call::Close) => return Err(self.problem()),
                None => return Ok(None),
            }
        }
        self.within_object = true;
        Ok(self.opened.take())
    }

    pub(crate) fn read_into(&mut self, buffer: &mut Vec<u8>, at_most: usize) -> Result<usize, ArchiveError> {
        let mut read = 0;
        while read < at_most {
            let rest = self.pending.get(self.given..).unwrap_or_default();
            if rest.is_empty() {
                if !self.within_object {
                    break;
                }
                self.pending.clear();
                self.given = 0;
                self.read_more()?;
                continue;
            }
            let length = rest.len().min(at_most - read);
            buffer.extend_from_slice(rest.get(..length).unwrap_or_default());
            self.given += length;
            read += length;
        }
        Ok(read)
    }

    /// Reads one more call for the current object.
    fn read_more(&mut self) -> Result<(), ArchiveError> {
        match self.call()? {
            Some(Call::Write(bytes)) => self.pending.extend(bytes),
            Some(Call::Close) => self.within_object = false,
            Some(Call::Open(_) | Call::Around) | None => return Err(self.problem()),
        }
        Ok(())
    }

    fn call(&mut self) -> Result<Option<Call>, ArchiveError> {
        let Some(statement) = self.statements.next()? else { return Ok(None) };
        let sql = std::str::from_utf8(&statement).ok();
        match sql.and_then(|sql| Call::parse(sql, self.strings).ok()) {
            Some(call) => Ok(Some(call)),
            None => Err(self.problem()),
        }
    }

    fn problem(&mut self) -> ArchiveError {
        self.statements.problem()
    }
}

impl Call {
    fn parse(sql: &str, strings: StandardStrings) -> Result<Self, SqlError> {
        let mut parser = Parser::new(sql, "large object statement", strings);
        if parser.eat_word("begin") || parser.eat_word("commit") {
            parser.expect_end_of_statement()?;
            return Ok(Self::Around);
        }
        parser.expect_word("select")?;
        let call = match function(&mut parser)?.as_str() {
            "lo_open" => Self::open(&mut parser)?,
            "lowrite" => Self::write(&mut parser)?,
            "lo_close" => {
                number(&mut parser)?;
                Self::Close
            }
            _ => return Err(parser.unexpected("lo_open, lowrite or lo_close")),
        };
        parser.expect_symbol(b')', "a closing parenthesis")?;
        parser.expect_end_of_statement()?;
        Ok(call)
    }

    /// Parses `'700001', 131072`, or before pg_dump 9.0 `pg_catalog.lo_create('700001'), 131072`.
    fn open(parser: &mut Parser<'_>) -> Result<Self, SqlError> {
        let creates = parser.peek().is_some_and(|token| token.kind == TokenKind::Word);
        if creates && function(parser)? != "lo_create" {
            return Err(parser.unexpected("lo_create"));
        }
        let text = string(parser)?;
        let oid = text.parse().ok().filter(|oid| *oid > 0);
        let Some(oid) = oid else { return Err(parser.unexpected("an OID")) };
        if creates {
            parser.expect_symbol(b')', "a closing parenthesis")?;
        }
        parser.expect_symbol(b',', "a comma")?;
        number(parser)?;
        Ok(Self::Open(Oid(oid)))
    }

    fn write(parser: &mut Parser<'_>) -> Result<Self, SqlError> {
        number(parser)?;
        parser.expect_symbol(b',', "a comma")?;
        let text = string(parser)?;
        match bytea(&text) {
            Some(bytes) => Ok(Self::Write(bytes)),
            None => Err(parser.unexpected("bytes")),
        }
    }
}

/// Parses `pg_catalog.name(`, with or without the schema.
fn function(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    let name = parser.qualified_name()?;
    parser.expect_symbol(b'(', "an opening parenthesis")?;
    Ok(name.name)
}

fn number(parser: &mut Parser<'_>) -> Result<(), SqlError> {
    match parser.next_if(|token| token.kind == TokenKind::Number) {
        Some(_) => Ok(()),
        None => Err(parser.unexpected("a number")),
    }
}

fn string(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    let token = parser.next_if(|token| matches!(token.kind, TokenKind::String(_)));
    let value = token.and_then(|token| parser.string(&token));
    value.ok_or_else(|| parser.unexpected("a string"))
}

/// The bytes of bytea's text form: hexadecimal digits after `\x`, or escapes before PostgreSQL 9.0.
fn bytea(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else { return escaped(text.as_bytes()) };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect()
}

fn escaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => out.push(b'\\'),
            first @ b'0'..=b'3' => {
                let mut value = first - b'0';
                for _ in 0..2 {
                    let digit = bytes.next().filter(|digit| matches!(digit, b'0'..=b'7'))?;
                    value = value * 8 + (digit - b'0');
                }
                out.push(value);
            }
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_hexadecimal_or_escaped() {
        assert_eq!(bytea("\\x00fF5c"), Some(vec![0, 255, b'\\']));
        assert_eq!(bytea("\\x"), Some(vec![]));
        assert_eq!(bytea("\\x0"), None);
        assert_eq!(bytea("\\x0g"), None);
        assert_eq!(bytea("a\\000\\\\\\377"), Some(vec![b'a', 0, b'\\', 255]));
        assert_eq!(bytea("\\9"), None);
    }

    #[test]
    fn calls_of_every_pg_dump_are_read() {
        let parse = |sql| Call::parse(sql, StandardStrings::On).ok();
        assert!(matches!(parse("SELECT pg_catalog.lo_open('7', 131072);"), Some(Call::Open(Oid(7)))));
        assert!(matches!(
            parse("SELECT pg_catalog.lo_open(pg_catalog.lo_create('4294967290'), 131072);"),
            Some(Call::Open(Oid(4_294_967_290)))
        ));
        assert!(matches!(parse("SELECT lo_close(0);"), Some(Call::Close)));
        assert!(matches!(parse("COMMIT;"), Some(Call::Around)));
        for sql in ["SELECT pg_catalog.lo_open('0', 1);", "SELECT pg_catalog.lo_unlink('7');", "BEGIN; x"] {
            assert!(parse(sql).is_none(), "{sql}");
        }
        let write = Call::parse("SELECT pg_catalog.lowrite(0, '\\\\x6c6f');", StandardStrings::Off);
        assert!(matches!(write, Ok(Call::Write(bytes)) if bytes == b"lo"));
    }
}
