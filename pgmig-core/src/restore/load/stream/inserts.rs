//! Rows that are INSERT statements (`pg_dump --inserts`): splits, rewrites and batches them.

use super::reading::{Redirect, Rewriting};
use super::{INSTANCES_BYTES, Reader, too_many_instances};
use crate::archive::DataReader;
use crate::error::Result;
use crate::instance::InstanceCollector;
use crate::restore::error::RestoreError;
use crate::restore::load::feed::{Piece, TableEnd};
use crate::restore::load::row_reader::PIECE_BYTES;
use crate::restore::plan::TableLoad;
use crate::rewrite::{ColumnRule, LeftoverCounter, rewrite_insert};
use crate::sql::QualifiedName;
use crate::sql::{
    InsertStatement, Lexer, SqlError, StandardStrings, StatementSplitter, TokenKind, quote_ident,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;

/// The most bytes of INSERT statements that are sent together; each message is a transaction.
const STATEMENTS_BYTES: usize = 64 * 1024;

impl Reader {
    /// The rows of a table, as INSERT statements.
    pub(crate) fn statements(&mut self, table: &TableLoad, data: &mut DataReader<'_>) -> Result<TableEnd> {
        let (mut batch, mut end) = (Vec::new(), TableEnd::default());
        each_statement(table, data, self.reading.strings, &mut |text| {
            self.statement(table, text, &mut batch, &mut end)
        })?;
        self.send_statements(batch)?;
        Ok(end)
    }

    /// The rows of a stream's table of instances, as INSERT statements: all are read before the first is sent.
    pub(crate) fn instance_statements(
        &mut self,
        table: &TableLoad,
        data: &mut DataReader<'_>,
    ) -> Result<TableEnd> {
        let Some(discovery) = self.reading.discovery.take() else { return self.statements(table, data) };
        let strings = self.reading.strings;
        let columns = self.columns(table).cloned().unwrap_or_default();
        let mut collector = InstanceCollector::new(&columns.names, &discovery.columns)?;
        let (mut buffered, mut size) = (Vec::new(), 0);
        each_statement(table, data, strings, &mut |text| {
            size += text.len();
            if size > INSTANCES_BYTES {
                return Err(too_many_instances(table));
            }
            let sql = std::str::from_utf8(text).map_err(|error| broken(table, &error))?;
            let insert = InsertStatement::parse(sql, strings).map_err(|error| broken(table, &error))?;
            let places = columns.places(insert.columns.as_deref());
            for row in &insert.rows {
                let mut values = vec![None; columns.names.len()];
                for (place, value) in places.iter().zip(row) {
                    if let Some(slot) = place.and_then(|place| values.get_mut(place)) {
                        slot.clone_from(value);
                    }
                }
                collector.push_values(&values)?;
            }
            buffered.push(text.to_vec());
            Ok(())
        })?;
        self.resolve(discovery.resolve, collector)?;
        let (mut batch, mut end) = (Vec::new(), TableEnd::default());
        for text in buffered {
            self.statement(table, &text, &mut batch, &mut end)?;
        }
        self.send_statements(batch)?;
        Ok(end)
    }

    fn send_statements(&self, batch: Vec<u8>) -> Result<()> {
        if batch.is_empty() { Ok(()) } else { self.send(Piece::Statements(batch)) }
    }

    /// Appends one rewritten statement to `batch`, counts its rows, and sends the batch if it is full.
    fn statement(
        &self,
        table: &TableLoad,
        text: &[u8],
        batch: &mut Vec<u8>,
        end: &mut TableEnd,
    ) -> Result<()> {
        let before = batch.len();
        // Text that is not UTF-8 is neither counted nor rewritten; the server converts it. pgmig keeps the IDs of
        // archives in such encodings if they have INSERT statements.
        let sql = std::str::from_utf8(text).ok();
        let insert = sql.and_then(|sql| InsertStatement::parse(sql, self.reading.strings).ok());
        self.refuse_other_statements(table, text, insert.as_ref())?;
        match &insert {
            Some(insert) => end.rows += insert.rows.len() as u64,
            None => end.is_uncounted = true,
        }
        let named = insert.and_then(|insert| insert.columns);
        match (&self.reading.rewriting, sql) {
            (Some(rewriting), Some(sql)) => {
                let sql = self.insert(table, sql, named.as_deref(), rewriting, end)?;
                // A huge statement is not copied.
                if batch.is_empty() {
                    *batch = sql.into_bytes();
                } else {
                    batch.extend_from_slice(sql.as_bytes());
                }
            }
            (None, Some(sql)) => batch.extend_from_slice(self.redirect(table, sql.into())?.as_bytes()),
            _ => batch.extend_from_slice(text),
        }
        batch.push(b'\n');
        end.bytes += (batch.len() - before) as u64;
        if batch.len() >= STATEMENTS_BYTES { self.send_statements(std::mem::take(batch)) } else { Ok(()) }
    }

    /// Nothing but INSERT statements, into the table of the block or one that its rows may be in, gets to the server.
    fn refuse_other_statements(
        &self,
        table: &TableLoad,
        text: &[u8],
        insert: Option<&InsertStatement>,
    ) -> Result<()> {
        let in_other_encoding = match insert {
            Some(_) => None,
            // Where quotes and semicolons are, is the same in the encodings of a server.
            None => InsertStatement::parse(&String::from_utf8_lossy(text), self.reading.strings).ok(),
        };
        let is_allowed = insert.or(in_other_encoding.as_ref()).is_some_and(|insert| {
            let schema = insert.table.schema.as_ref().or(table.table.schema.as_ref());
            let into = QualifiedName { schema: schema.cloned(), name: insert.table.name.clone() };
            is_same(&into, &table.table) || self.reading.partitioned.iter().any(|root| is_same(&into, root))
        });
        if is_allowed {
            return Ok(());
        }
        Err(broken(table, &"it holds a statement that is no INSERT of constants into this table").into())
    }

    /// The statement, changed to the table that gets its rows.
    fn redirect<'a>(&self, table: &TableLoad, sql: Cow<'a, str>) -> Result<Cow<'a, str>> {
        let Some(redirect) = self.reading.redirected.get(&table.dump_id) else { return Ok(sql) };
        let redirected = insert_into(&sql, redirect, self.reading.strings);
        Ok(redirected.map_err(|error| broken(table, &error))?.into())
    }

    /// An INSERT statement with its IDs replaced, into the table that gets its rows.
    fn insert(
        &self,
        table: &TableLoad,
        sql: &str,
        named: Option<&[String]>,
        rewriting: &Rewriting,
        end: &mut TableEnd,
    ) -> Result<String> {
        let columns = rewriting.columns.get(&table.dump_id).cloned().unwrap_or_default();
        let places = columns.places(named);
        let rule = |place: &Option<usize>| place.and_then(|place| columns.rules.get(place)).cloned();
        let rules: Vec<ColumnRule> = places.iter().map(|place| rule(place).unwrap_or_default()).collect();
        let rewritten = rewrite_insert(sql, &rewriting.rules, &rules, self.reading.strings)
            .map_err(|error| broken(table, &error))?;
        for (totals, counts) in [(&mut end.replaced, &rewritten.counts), (&mut end.left, &rewritten.left)] {
            totals.resize(columns.names.len(), 0);
            for (place, count) in places.iter().zip(counts) {
                if let Some(total) = place.and_then(|place| totals.get_mut(place)) {
                    *total += count;
                }
            }
        }
        let mut leftovers = LeftoverCounter::new(&rewriting.rules, Vec::new());
        end.leftovers += leftovers.count_insert(&rewritten.sql, &rules, self.reading.strings);
        Ok(self.redirect(table, rewritten.sql)?.into_owned())
    }
}

/// Calls `each` with each statement of a table's data.
fn each_statement(
    table: &TableLoad,
    data: &mut DataReader<'_>,
    strings: StandardStrings,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut splitter = StatementSplitter::new(strings);
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        let is_end = data.read_into(&mut chunk, PIECE_BYTES)? == 0;
        if is_end {
            splitter.end();
        } else {
            splitter.feed(&chunk).map_err(|error| broken(table, &error))?;
        }
        while let Some(statement) = splitter.next_statement().map_err(|error| broken(table, &error))? {
            each(statement.text)?;
        }
        if is_end {
            return Ok(());
        }
    }
}

/// Whether a statement, whose bytes may be in another encoding than UTF-8, can mean the table of this name.
fn is_same(written: &QualifiedName, table: &QualifiedName) -> bool {
    let schemas = match (&written.schema, &table.schema) {
        (Some(written), Some(table)) => can_be(written, table),
        (written, table) => written == table,
    };
    schemas && can_be(&written.name, &table.name)
}

/// Whether bytes that were read as UTF-8 can be this name in another encoding. ASCII characters are the same in both. A
/// character that is not ASCII has up to four bytes, and all but the first one can look like ASCII.
fn can_be(written: &str, name: &str) -> bool {
    let written: Vec<char> = written.chars().collect();
    let mut name = name.chars().peekable();
    let mut ends = BTreeSet::from([0_usize]);
    while let Some(char) = name.next() {
        if char.is_ascii() {
            let is_next = |at: &&usize| written.get(**at) == Some(&char);
            ends = ends.iter().filter(is_next).map(|at| at + 1).collect();
            continue;
        }
        // Bytes of neighbours can make one character together.
        let mut bytes = 4;
        while name.next_if(|next| !next.is_ascii()).is_some() {
            bytes += 4;
        }
        let begins = |at: &&usize| written.get(**at).is_some_and(|char| !char.is_ascii());
        let rest = |at: &usize| at + 1..=(at + bytes).min(written.len());
        ends = ends.iter().filter(begins).flat_map(rest).collect();
    }
    ends.contains(&written.len())
}

fn broken(table: &TableLoad, error: &dyn Display) -> RestoreError {
    RestoreError::Data { table: table.table.to_string(), reason: error.to_string() }
}

/// Changes the table of an INSERT statement. Adds the column names if they are missing, since the root's columns can
/// be in another order.
fn insert_into(sql: &str, to: &Redirect, strings: StandardStrings) -> Result<String, SqlError> {
    let mut tokens = Vec::new();
    for token in Lexer::new(sql.as_bytes(), strings) {
        let token = token?;
        if !token.kind.is_blank() {
            tokens.push(token);
        }
        // Enough for `INSERT INTO schema . table` and the next token.
        if tokens.len() > 6 {
            break;
        }
    }
    let qualified = tokens.get(3).is_some_and(|token| token.kind == TokenKind::Symbol(b'.'));
    let after = if qualified { 5 } else { 3 };
    let Some(next) = tokens.get(after) else { return Ok(sql.to_owned()) };
    let rest = sql.get(next.span.start..).unwrap_or_default();
    if next.kind == TokenKind::Symbol(b'(') {
        return Ok(format!("INSERT INTO {} {rest}", to.table));
    }
    let columns: Vec<String> = to.columns.iter().map(|column| quote_ident(column)).collect();
    Ok(format!("INSERT INTO {} ({}) {rest}", to.table, columns.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sql::QualifiedName;

    #[test]
    fn names_in_another_encoding_are_compared_by_their_ascii_characters() {
        let is_same = |written: &[u8], table: &str| {
            is_same(
                &QualifiedName::new("s", String::from_utf8_lossy(written)),
                &QualifiedName::new("s", table),
            )
        };
        assert!(is_same(b"t\xe4\xf6ble", "t\u{e4}\u{f6}ble") && is_same(b"\xc9\xbd", "\u{8868}"));
        // SJIS, whose second byte is a backslash.
        assert!(is_same(b"a\x95\x5c_\x94\x5c", "a\u{8868}_\u{80fd}") && !is_same(b"\\", "\u{8868}"));
        assert!(is_same(b"t", "t") && !is_same(b"t\xe4ble", "table") && !is_same(b"t\xe4b", "t\u{e4}c"));
        assert!(!is_same(b"\xe4", "\u{e4}\u{e4}_") && !is_same(b"\xe4 12345", "\u{e4}"));
    }

    #[test]
    fn rows_of_a_partition_are_inserted_into_the_root() {
        let root = Redirect {
            table: QualifiedName::new("store", "message"),
            columns: vec!["id".into(), "Body".into()],
        };
        let into = |sql| insert_into(sql, &root, StandardStrings::On).unwrap();
        assert_eq!(
            into("INSERT INTO store.\"p 0\" VALUES ('INSERT INTO x', 1);"),
            "INSERT INTO store.message (id, \"Body\") VALUES ('INSERT INTO x', 1);"
        );
        assert_eq!(
            into("INSERT INTO p0 OVERRIDING SYSTEM VALUE VALUES (1);"),
            "INSERT INTO store.message (id, \"Body\") OVERRIDING SYSTEM VALUE VALUES (1);"
        );
        assert_eq!(
            into("INSERT INTO store.p0 (id) VALUES (1);"),
            "INSERT INTO store.message (id) VALUES (1);"
        );
    }
}
