//! The reading side of the load: the archive's blocks, inflated, cut at row ends, rewritten.

use super::error::RestoreError;
use super::feed::{Content, FeedSender, Feeds, LargeObjectPart, Piece, PieceSender, Read, Rows, TableEnd};
use super::plan::{Plan, RowForm, TableLoad};
use super::row_reader::{PIECE_BYTES, RowReader};
use crate::archive::{Archive, Block, Compression, DataReader, DumpId, LargeObjectsReader};
use crate::error::Result;
use crate::instance::{Instance, InstanceCollector, InstanceColumns};
use crate::rewrite::{ColumnRule, LargeObjectRewriter, LeftoverCounter, RowRewriter, Rules, rewrite_insert};
use crate::sql::{
    InsertStatement, Lexer, QualifiedName, SqlError, StandardStrings, StatementSplitter, TokenKind,
    quote_ident,
};
use bytes::Bytes;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// INSERT statements are sent together up to this many bytes; each message is a transaction.
const STATEMENTS_BYTES: usize = 64 * 1024;

/// The instances of a stream are held back until all are known, since their aliases decide how they are
/// rewritten. More than this is no table of instances.
const INSTANCES_BYTES: usize = 64 * 1024 * 1024;

/// How rows are rewritten; absent where the backup's IDs are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Rewriting {
    pub(super) rules: Arc<Rules>,
    /// The columns of each table's rows.
    pub(super) columns: Arc<HashMap<DumpId, TableColumns>>,
}

/// The columns of a table's rows, in their order, and the rule of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TableColumns {
    pub(super) names: Vec<String>,
    pub(super) rules: Vec<ColumnRule>,
}

impl TableColumns {
    /// The places among them of the columns that an INSERT statement names; its values are in their order.
    fn places(&self, named: Option<&[String]>) -> Vec<Option<usize>> {
        match named {
            Some(named) => named.iter().map(|name| self.names.iter().position(|own| own == name)).collect(),
            None => (0..self.names.len()).map(Some).collect(),
        }
    }
}

/// Where the rows of INSERT statements go, and the columns of the table that they name, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) table: QualifiedName,
    pub(super) columns: Vec<String>,
}

/// Resolves the instances of a stream when they have come by: returns the rules that hold from then on.
pub(super) type Resolve = Box<dyn FnOnce(Vec<Instance>) -> Result<Arc<Rules>> + Send>;

/// The table of instances in a stream, whose rows are held back until they are resolved.
pub(super) struct Discovery {
    pub(super) dump_id: DumpId,
    pub(super) columns: InstanceColumns,
    pub(super) resolve: Resolve,
}

/// What the reading side needs to know.
pub(super) struct Reading {
    pub(super) tables: Arc<[TableLoad]>,
    pub(super) large_objects: Vec<DumpId>,
    pub(super) strings: StandardStrings,
    pub(super) rewriting: Option<Rewriting>,
    /// Tables with INSERT statements whose rows go to another table: a partition's to the root of its tree.
    pub(super) redirected: Arc<HashMap<DumpId, Redirect>>,
    pub(super) discovery: Option<Discovery>,
}

/// Rewrites a table's rows, and looks at what leaves with other eyes.
struct TableRewriter {
    rows: RowRewriter,
    leftovers: LeftoverCounter,
}

impl TableRewriter {
    /// Tells what it did, at the table's end.
    fn tell(self, end: &mut TableEnd) {
        end.replaced = self.rows.counts().to_vec();
        end.left = self.rows.left().to_vec();
    }
}

/// Starts to read: a file on up to `readers` threads, biggest blocks first; a stream on one, as it comes.
///
/// zstd is unpacked on one thread only: each of its streams can take a window of 128 MiB.
pub(super) fn start(mut archive: Archive, reading: Reading, readers: NonZeroUsize) -> Result<Feeds> {
    // Out of order, a file that is compressed as a whole would be unpacked anew for each block.
    if archive.is_sequential() {
        let read: Read = Box::new(move |feeds| Reader::new(feeds, reading).read_stream(&mut archive));
        return Feeds::of(vec![read]);
    }
    let readers = if archive.header().compression == Compression::Zstd { 1 } else { readers.get() };
    let blocks = Arc::new(Mutex::new(blocks(&archive, &reading)));
    let archive = Arc::new(archive);
    let read = |reading: Reading| -> Read {
        let (archive, blocks) = (Arc::clone(&archive), Arc::clone(&blocks));
        Box::new(move |feeds| Reader::new(feeds, reading).read_file(&archive, &blocks))
    };
    Feeds::of((0..readers).map(|_| read(reading.for_another())).collect())
}

/// Starts to read the next block of a stream, and no more.
pub(super) fn start_next(archive: Arc<Mutex<Archive>>, reading: Reading) -> Result<Feeds> {
    let read: Read = Box::new(move |feeds| {
        let mut archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = Reader::new(feeds, reading);
        match archive.next_block()? {
            Some((dump_id, block)) => reader.block(dump_id, block),
            None => Ok(()),
        }
    });
    Feeds::of(vec![read])
}

/// The blocks of a file in the order in which they are read: what must be loaded alone in the archive's order,
/// then the biggest first, so that the last ones to end are small; then what has to come last.
fn blocks(archive: &Archive, reading: &Reading) -> VecDeque<Content> {
    let size = |dump_id| Reverse(archive.stored_bytes(dump_id).unwrap_or_default());
    let mut blocks: Vec<_> = reading
        .tables
        .iter()
        .enumerate()
        .map(|(index, table)| {
            (
                (turn(table), if table.alone || table.last { Reverse(0) } else { size(table.dump_id) }),
                Content::Table(index),
            )
        })
        .collect();
    let large_objects = reading.large_objects.iter();
    blocks
        .extend(large_objects.map(|dump_id| ((Turn::Any, size(*dump_id)), Content::LargeObjects(*dump_id))));
    blocks.sort_by_key(|(order, _)| *order);
    blocks.into_iter().map(|(_, content)| content).collect()
}

/// When a table's rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    First,
    Any,
    Last,
}

fn turn(table: &TableLoad) -> Turn {
    match (table.alone, table.last) {
        (_, true) => Turn::Last,
        (true, false) => Turn::First,
        (false, false) => Turn::Any,
    }
}

struct Reader {
    feeds: FeedSender,
    /// Where the pieces of the block that is being read go.
    pieces: Option<PieceSender>,
    reading: Reading,
}

impl Reader {
    fn new(feeds: FeedSender, reading: Reading) -> Self {
        Self { feeds, pieces: None, reading }
    }

    /// Takes blocks from those that are left to be read, until there are none.
    fn read_file(&mut self, archive: &Archive, blocks: &Mutex<VecDeque<Content>>) -> Result<()> {
        loop {
            let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match next {
                None => return Ok(()),
                Some(Content::Table(index)) => {
                    let Some(table) = self.reading.tables.get(index).cloned() else { continue };
                    if let Block::Data(mut data) = archive.block(table.dump_id)? {
                        self.table(index, &table, &mut data)?;
                    }
                }
                Some(Content::LargeObjects(dump_id)) => {
                    if let Block::LargeObjects(mut objects) = archive.block(dump_id)? {
                        self.objects(dump_id, &mut objects)?;
                    }
                }
            }
        }
    }

    /// Blocks as they come.
    fn read_stream(&mut self, archive: &mut Archive) -> Result<()> {
        let mut wanted: HashSet<DumpId> = self.reading.tables.iter().map(|table| table.dump_id).collect();
        wanted.extend(&self.reading.large_objects);
        while let Some((dump_id, block)) = archive.next_block()? {
            // A second block of an entry would double its rows.
            if !wanted.remove(&dump_id) {
                continue;
            }
            self.block(dump_id, block)?;
        }
        Ok(())
    }

    /// One block of a stream.
    fn block(&mut self, dump_id: DumpId, block: Block<'_>) -> Result<()> {
        match block {
            Block::Data(mut data) => {
                let tables = Arc::clone(&self.reading.tables);
                let mut places = tables.iter().enumerate();
                match places.find(|(_, table)| table.dump_id == dump_id) {
                    Some((index, table)) => self.table(index, table, &mut data),
                    None => Ok(()),
                }
            }
            Block::LargeObjects(mut objects) => self.objects(dump_id, &mut objects),
        }
    }

    fn send(&self, piece: Piece) -> Result<()> {
        self.pieces.as_ref().map_or(Ok(()), |pieces| pieces.send(piece))
    }

    fn table(&mut self, index: usize, table: &TableLoad, data: &mut DataReader<'_>) -> Result<()> {
        self.pieces = Some(self.feeds.begin(Content::Table(index))?);
        let discovers = self.reading.discovery.as_ref().is_some_and(|found| found.dump_id == table.dump_id);
        let mut end = match &table.form {
            RowForm::Copy(_) if discovers => self.instance_rows(table, data)?,
            RowForm::Copy(_) => self.rows(table, data)?,
            RowForm::Inserts { .. } => self.statements(table, data)?,
        };
        end.columns = self.columns(table).map(|columns| columns.names.clone()).unwrap_or_default();
        self.end(end)
    }

    fn end(&mut self, end: TableEnd) -> Result<()> {
        self.pieces.take().map_or(Ok(()), |pieces| pieces.send(Piece::End(end)))
    }

    fn columns(&self, table: &TableLoad) -> Option<&TableColumns> {
        self.reading.rewriting.as_ref()?.columns.get(&table.dump_id)
    }

    fn rewriter(&self, table: &TableLoad) -> Option<TableRewriter> {
        let rewriting = self.reading.rewriting.as_ref()?;
        let columns = self.columns(table).map(|columns| columns.rules.clone()).unwrap_or_default();
        Some(TableRewriter {
            leftovers: LeftoverCounter::new(&rewriting.rules, columns.clone()),
            rows: RowRewriter::new(Arc::clone(&rewriting.rules), columns),
        })
    }

    /// Rewrites rows and sends them.
    fn send_rows(
        &self,
        mut bytes: Vec<u8>,
        rows: u64,
        rewriter: Option<&mut TableRewriter>,
        end: &mut TableEnd,
    ) -> Result<()> {
        if let Some(rewriter) = rewriter {
            rewriter.rows.rewrite(&mut bytes);
            end.leftovers += rewriter.leftovers.count(&bytes);
        }
        end.bytes += bytes.len() as u64;
        // The rows of a small table must not hold on to a buffer for many.
        if bytes.len() < bytes.capacity() / 2 {
            bytes.shrink_to_fit();
        }
        let first = end.rows + 1;
        end.rows += rows;
        self.send(Piece::Rows(Rows { bytes: Bytes::from(bytes), first, count: rows }))
    }

    fn rows(&mut self, table: &TableLoad, data: &mut DataReader<'_>) -> Result<TableEnd> {
        let mut rows = RowReader::new(table, data);
        let mut rewriter = self.rewriter(table);
        let mut end = TableEnd::default();
        while let Some((bytes, count)) = rows.next()? {
            self.send_rows(bytes, count, rewriter.as_mut(), &mut end)?;
        }
        if let Some(rewriter) = rewriter {
            rewriter.tell(&mut end);
        }
        Ok(end)
    }

    /// The rows of the table of instances in a stream: all are read before the first is sent.
    fn instance_rows(&mut self, table: &TableLoad, data: &mut DataReader<'_>) -> Result<TableEnd> {
        let Some(discovery) = self.reading.discovery.take() else { return self.rows(table, data) };
        let mut rows = RowReader::new(table, data);
        let mut held = Vec::new();
        let mut size = 0;
        let mut collector = InstanceCollector::new(copy_columns(table), &discovery.columns)?;
        while let Some((bytes, count)) = rows.next()? {
            size += bytes.len();
            if size > INSTANCES_BYTES {
                let reason = format!("more than {INSTANCES_BYTES} bytes of instances");
                return Err(RestoreError::Data { table: table.table.to_string(), reason }.into());
            }
            for row in crate::copy::rows(&bytes) {
                collector.push_row(row)?;
            }
            held.push((bytes, count));
        }
        let rules = (discovery.resolve)(collector.finish())?;
        if let Some(rewriting) = &mut self.reading.rewriting {
            rewriting.rules = rules;
        }
        let mut rewriter = self.rewriter(table);
        let mut end = TableEnd::default();
        for (bytes, count) in held {
            self.send_rows(bytes, count, rewriter.as_mut(), &mut end)?;
        }
        if let Some(rewriter) = rewriter {
            rewriter.tell(&mut end);
        }
        Ok(end)
    }

    fn statements(&mut self, table: &TableLoad, data: &mut DataReader<'_>) -> Result<TableEnd> {
        let mut splitter = StatementSplitter::new(self.reading.strings);
        let mut batch = Vec::new();
        let mut end = TableEnd::default();
        let mut chunk = Vec::new();
        let broken = |error: crate::sql::SqlError| RestoreError::Data {
            table: table.table.to_string(),
            reason: error.to_string(),
        };
        loop {
            chunk.clear();
            if data.read_into(&mut chunk, PIECE_BYTES)? == 0 {
                splitter.end();
            } else {
                splitter.feed(&chunk).map_err(broken)?;
            }
            while let Some(statement) = splitter.next_statement().map_err(broken)? {
                self.statement(table, statement.text, &mut batch, &mut end)?;
                if batch.len() >= STATEMENTS_BYTES {
                    self.send(Piece::Statements(std::mem::take(&mut batch)))?;
                }
            }
            if chunk.is_empty() {
                break;
            }
        }
        if !batch.is_empty() {
            self.send(Piece::Statements(batch))?;
        }
        Ok(end)
    }

    /// Appends one statement, rewritten, to `batch`, and counts its rows.
    fn statement(
        &self,
        table: &TableLoad,
        text: &[u8],
        batch: &mut Vec<u8>,
        end: &mut TableEnd,
    ) -> Result<()> {
        let before = batch.len();
        // Text that is not UTF-8 is neither counted nor rewritten: the server converts it, and archives in such
        // encodings are restored with their own IDs if they have INSERT statements.
        let sql = std::str::from_utf8(text).ok();
        let insert = sql.and_then(|sql| InsertStatement::parse(sql, self.reading.strings).ok());
        match &insert {
            Some(insert) => end.rows += insert.rows.len() as u64,
            None => end.is_uncounted = true,
        }
        let named = insert.and_then(|insert| insert.columns);
        match (&self.reading.rewriting, sql) {
            (Some(rewriting), Some(sql)) => {
                let sql = self.insert(table, sql, named.as_deref(), rewriting, end)?;
                batch.extend_from_slice(sql.as_bytes());
            }
            (None, Some(sql)) => batch.extend_from_slice(self.redirect(table, sql.into())?.as_bytes()),
            _ => batch.extend_from_slice(text),
        }
        batch.push(b'\n');
        end.bytes += (batch.len() - before) as u64;
        Ok(())
    }

    /// The statement for the table that its rows go to.
    fn redirect<'a>(&self, table: &TableLoad, sql: Cow<'a, str>) -> Result<Cow<'a, str>> {
        let Some(redirect) = self.reading.redirected.get(&table.dump_id) else { return Ok(sql) };
        let redirected = insert_into(&sql, redirect, self.reading.strings);
        Ok(redirected.map_err(|error| broken(table, &error))?.into())
    }

    /// An INSERT statement with its IDs replaced, into the table that its rows go to.
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

    fn objects(&mut self, dump_id: DumpId, objects: &mut LargeObjectsReader<'_>) -> Result<()> {
        self.pieces = Some(self.feeds.begin(Content::LargeObjects(dump_id))?);
        let rules = self.reading.rewriting.as_ref().map(|rewriting| Arc::clone(&rewriting.rules));
        let mut rewriter = LargeObjectRewriter::new(rules.unwrap_or_default());
        let mut parts = Parts { reader: self, parts: Vec::new(), bytes: 0 };
        while let Some(oid) = objects.next_object()? {
            let mut offset = 0;
            loop {
                let mut bytes = Vec::new();
                let is_end = objects.read_into(&mut bytes, PIECE_BYTES)? < PIECE_BYTES;
                let mut bytes = rewriter.push(bytes);
                let mut ids = 0;
                if is_end {
                    let (held, found) = rewriter.finish();
                    bytes.extend_from_slice(&held);
                    ids = found;
                }
                let length = bytes.len() as u64;
                // An empty object is sent too: it has to exist and be counted.
                parts.push(LargeObjectPart { oid: oid.0, offset, bytes, ids })?;
                offset += length;
                if is_end {
                    break;
                }
            }
        }
        parts.send()?;
        self.end(TableEnd::default())
    }
}

/// Parts of large objects that are to be sent together.
struct Parts<'a> {
    reader: &'a Reader,
    parts: Vec<LargeObjectPart>,
    bytes: usize,
}

impl Parts<'_> {
    fn push(&mut self, part: LargeObjectPart) -> Result<()> {
        self.bytes += part.bytes.len();
        self.parts.push(part);
        if self.bytes >= PIECE_BYTES || self.parts.len() >= 1000 { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        self.bytes = 0;
        let parts = std::mem::take(&mut self.parts);
        if parts.is_empty() { Ok(()) } else { self.reader.send(Piece::LargeObjects(parts)) }
    }
}

fn broken(table: &TableLoad, error: &SqlError) -> RestoreError {
    RestoreError::Data { table: table.table.to_string(), reason: error.to_string() }
}

fn copy_columns(table: &TableLoad) -> &[String] {
    match &table.form {
        RowForm::Copy(copy) => copy.columns.as_deref().unwrap_or_default(),
        RowForm::Inserts { .. } => &[],
    }
}

/// An INSERT statement with another table: the columns are named if they are not yet, since those of a root can
/// be in another order.
fn insert_into(sql: &str, to: &Redirect, strings: StandardStrings) -> Result<String, SqlError> {
    let mut tokens = Vec::new();
    for token in Lexer::new(sql.as_bytes(), strings) {
        let token = token?;
        if !token.kind.is_blank() {
            tokens.push(token);
        }
        // INSERT INTO schema . table and what follows.
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

impl Reading {
    /// What is to be read for a plan.
    pub(super) fn of(plan: &Plan, strings: StandardStrings) -> Self {
        Self {
            tables: plan.tables.clone().into(),
            large_objects: plan.large_objects.clone(),
            strings,
            rewriting: None,
            redirected: Arc::default(),
            discovery: None,
        }
    }

    /// The same for another thread, but for what can only be done once, in a stream.
    fn for_another(&self) -> Self {
        Self {
            tables: Arc::clone(&self.tables),
            large_objects: Vec::new(),
            strings: self.strings,
            rewriting: self.rewriting.clone(),
            redirected: Arc::clone(&self.redirected),
            discovery: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

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
