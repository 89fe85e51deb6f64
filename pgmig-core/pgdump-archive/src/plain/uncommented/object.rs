//! Reads the objects that statements name: the words of their kind, and their names.

use super::statement::Statement;
use crate::sql::{QualifiedName, SqlError, TokenKind, quote_ident};

/// Objects of `CREATE`, `COMMENT ON` and `GRANT ... ON`: their words, and their kind in a table of contents.
const OBJECTS: [(&[&str], &str, Named); 35] = [
    (&["access", "method"], "ACCESS METHOD", Named::InDatabase),
    (&["aggregate"], "AGGREGATE", Named::Routine),
    (&["collation"], "COLLATION", Named::InSchema),
    (&["conversion"], "CONVERSION", Named::InSchema),
    (&["domain"], "DOMAIN", Named::InSchema),
    (&["event", "trigger"], "EVENT TRIGGER", Named::InDatabase),
    (&["extension"], "EXTENSION", Named::InDatabase),
    (&["foreign", "data", "wrapper"], "FOREIGN DATA WRAPPER", Named::InDatabase),
    (&["foreign", "server"], "SERVER", Named::InDatabase),
    (&["foreign", "table"], "FOREIGN TABLE", Named::InSchema),
    (&["function"], "FUNCTION", Named::Routine),
    (&["index"], "INDEX", Named::InSchema),
    (&["language"], "PROCEDURAL LANGUAGE", Named::InDatabase),
    (&["materialized", "view"], "MATERIALIZED VIEW", Named::InSchema),
    (&["operator", "class"], "OPERATOR CLASS", Named::InSchema),
    (&["operator", "family"], "OPERATOR FAMILY", Named::InSchema),
    (&["operator"], "OPERATOR", Named::Operator),
    (&["procedural", "language"], "PROCEDURAL LANGUAGE", Named::InDatabase),
    (&["procedure"], "PROCEDURE", Named::Routine),
    (&["property", "graph"], "PROPERTY GRAPH", Named::InSchema),
    (&["publication"], "PUBLICATION", Named::InDatabase),
    (&["schema"], "SCHEMA", Named::InDatabase),
    (&["sequence"], "SEQUENCE", Named::InSchema),
    (&["server"], "SERVER", Named::InDatabase),
    (&["statistics"], "STATISTICS", Named::InSchema),
    (&["subscription"], "SUBSCRIPTION", Named::InDatabase),
    (&["table"], "TABLE", Named::InSchema),
    (&["text", "search", "configuration"], "TEXT SEARCH CONFIGURATION", Named::InSchema),
    (&["text", "search", "dictionary"], "TEXT SEARCH DICTIONARY", Named::InSchema),
    (&["text", "search", "parser"], "TEXT SEARCH PARSER", Named::InSchema),
    (&["text", "search", "template"], "TEXT SEARCH TEMPLATE", Named::InSchema),
    (&["trusted", "language"], "PROCEDURAL LANGUAGE", Named::InDatabase),
    (&["trusted", "procedural", "language"], "PROCEDURAL LANGUAGE", Named::InDatabase),
    (&["type"], "TYPE", Named::InSchema),
    (&["view"], "VIEW", Named::InSchema),
];

/// Objects of a table that `COMMENT ON` names as `name ON table`.
pub(super) const PARTS: [&str; 4] = ["constraint", "policy", "rule", "trigger"];

/// How statements name an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    InDatabase,
    InSchema,
    /// With argument types.
    Routine,
    /// By a symbol.
    Operator,
}

/// A schema and a tag.
pub(super) type Place = (Option<String>, String);

impl Statement<'_, '_> {
    /// The words of an object's kind.
    pub(super) fn object(&mut self) -> Option<(&'static str, Named)> {
        let first = self.word()?;
        let mut words = vec![first];
        loop {
            let fits =
                |known: &[&str]| known.len() >= words.len() && known.iter().zip(&words).all(|(a, b)| a == b);
            let longer = OBJECTS.iter().any(|(known, ..)| fits(known) && known.len() > words.len());
            let next = words.len();
            let goes_on = longer
                && self.parser.peek().is_some_and(|token| {
                    let is = |word: &&str| token.is_word(self.sql.as_bytes(), word);
                    OBJECTS.iter().any(|(known, ..)| fits(known) && known.get(next).is_some_and(is))
                });
            if !goes_on {
                let exact = |(known, ..): &&(&[&str], &str, Named)| fits(known) && known.len() == words.len();
                return OBJECTS.iter().find(exact).map(|(_, desc, named)| (*desc, *named));
            }
            words.push(self.word()?);
        }
    }

    /// A key word, in lower case.
    pub(super) fn word(&mut self) -> Option<String> {
        let token = self.parser.next_if(|token| token.kind == TokenKind::Word)?;
        Some(self.parser.text(&token).to_ascii_lowercase())
    }

    pub(super) fn number(&mut self) -> Option<String> {
        let token = self.parser.next_if(|token| token.kind == TokenKind::Number)?;
        Some(self.parser.text(&token).to_owned())
    }

    pub(super) fn named(&mut self, named: Named) -> Result<Place, SqlError> {
        match named {
            Named::InDatabase => Ok((None, self.parser.ident()?)),
            Named::InSchema => Ok(place(self.parser.qualified_name()?)),
            Named::Routine => {
                let name = self.parser.qualified_name()?;
                let arguments = self.parenthesised().unwrap_or("()");
                Ok((name.schema, format!("{}{arguments}", name.name)))
            }
            Named::Operator => self.operator(),
        }
    }

    /// `schema.symbol (types)`.
    pub(super) fn operator(&mut self) -> Result<Place, SqlError> {
        let schema = match self.parser.peek().is_some_and(|token| !matches!(token.kind, TokenKind::Symbol(_)))
        {
            true => {
                let schema = self.parser.ident()?;
                self.parser.expect_symbol(b'.', "a dot")?;
                Some(schema)
            }
            false => None,
        };
        let mut symbol = String::new();
        while let Some(token) =
            self.parser.next_if(|token| matches!(token.kind, TokenKind::Symbol(byte) if byte != b'('))
        {
            symbol.push_str(self.parser.text(&token));
        }
        if symbol.is_empty() { Err(self.parser.unexpected("an operator")) } else { Ok((schema, symbol)) }
    }

    /// The text of the parentheses that begin here, with them.
    pub(super) fn parenthesised(&mut self) -> Option<&str> {
        let start = self.parser.next_if(|token| token.kind == TokenKind::Symbol(b'('))?.span.start;
        let mut depth = 1_usize;
        while depth > 0 {
            let token = self.parser.next()?;
            depth = match token.kind {
                TokenKind::Symbol(b'(') => depth.saturating_add(1),
                TokenKind::Symbol(b')') => depth.saturating_sub(1),
                _ => depth,
            };
            if depth == 0 {
                return self.sql.get(start..token.span.end);
            }
        }
        None
    }

    pub(super) fn if_not_exists(&mut self) -> Result<(), SqlError> {
        if self.eat("if") {
            self.parser.expect_word("not")?;
            self.parser.expect_word("exists")?;
        }
        Ok(())
    }

    /// Passes over tokens up to a word outside parentheses, and over it.
    pub(super) fn skip_to(&mut self, word: &'static str) -> Result<(), SqlError> {
        loop {
            if self.eat(word) {
                return Ok(());
            }
            if self.parser.peek().is_some_and(|token| token.kind == TokenKind::Symbol(b'(')) {
                self.parenthesised();
            } else if self.parser.next().is_none() {
                return Err(self.parser.unexpected(word));
            }
        }
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        self.parser.eat_word(word)
    }
}

/// The tag of a comment or a grant, as pg_dump writes it.
pub(super) fn tag_of(desc: &str, named: Named, name: &str) -> String {
    let desc = if desc == "PROCEDURAL LANGUAGE" { "LANGUAGE" } else { desc };
    match named {
        Named::Routine | Named::Operator => format!("{desc} {name}"),
        Named::InDatabase | Named::InSchema => format!("{desc} {}", quote_ident(name)),
    }
}

pub(super) fn place(name: QualifiedName) -> Place {
    (name.schema, name.name)
}
