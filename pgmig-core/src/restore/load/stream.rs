//! The reading side of the load: reads the archive's blocks, decompresses them, splits them into rows, rewrites IDs.

mod inserts;
mod order;
pub(crate) mod reading;

use super::feed::{Content, FeedSender, Feeds, LargeObjectPart, Piece, PieceSender, Read, Rows, TableEnd};
use super::row_reader::{PIECE_BYTES, RowReader};
use crate::archive::{Archive, Block, Compression, DataReader, DumpId, LargeObjectsReader};
use crate::digest::Digester;
use crate::error::{Error, Result};
use crate::instance::InstanceCollector;
use crate::restore::error::RestoreError;
use crate::restore::plan::{RowForm, TableLoad};
use crate::rewrite::{Found, LargeObjectRewriter, LeftoverCounter, RowRewriter};
use bytes::Bytes;
use order::blocks;
use reading::{Reading, Resolve, TableColumns};
use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes of instances that are held back. In a stream all instances must be known before the first is
/// rewritten, since their aliases determine how. No table of instances is larger than this.
const INSTANCES_BYTES: usize = 64 * 1024 * 1024;

/// Rewrites the rows of a table, and independently counts the IDs that are left over.
struct TableRewriter {
    rows: RowRewriter,
    leftovers: LeftoverCounter,
}

impl TableRewriter {
    /// Adds the counts to the table's end.
    fn tell(self, end: &mut TableEnd) {
        end.replaced = self.rows.counts().to_vec();
        end.left = self.rows.left().to_vec();
    }
}

/// Starts to read: a file on up to `readers` threads, the biggest blocks first; a stream on one thread, in order.
///
/// zstd is decompressed on one thread only, since each zstd stream can need a window of 128 MiB.
pub(crate) fn start(mut archive: Archive, reading: Reading, readers: NonZeroUsize) -> Result<Feeds> {
    // Out of order, a file that is compressed as a whole would be decompressed again for each block.
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

/// Starts to read only the next block of a stream.
pub(crate) fn start_next(archive: Arc<Mutex<Archive>>, reading: Reading) -> Result<Feeds> {
    let read: Read = Box::new(move |feeds| {
        let mut archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
        let large_objects = reading.large_objects.clone();
        let mut reader = Reader::new(feeds, reading);
        match archive.next_block()? {
            // The restore leaves them out.
            Some((dump_id, Block::LargeObjects(_))) if !large_objects.contains(&dump_id) => Ok(()),
            Some((dump_id, block)) => reader.block(dump_id, block),
            None => Ok(()),
        }
    });
    Feeds::of(vec![read])
}

struct Reader {
    feeds: FeedSender,
    /// Takes the pieces of the block that is being read.
    pieces: Option<PieceSender>,
    reading: Reading,
    /// The sources of the mapping that were found in the block that is being read.
    found: Found,
}

impl Reader {
    fn new(feeds: FeedSender, mut reading: Reading) -> Self {
        let found = reading.count_apart();
        Self { feeds, pieces: None, reading, found }
    }

    /// Reads blocks from the list until it is empty.
    fn read_file(&mut self, archive: &Archive, blocks: &Mutex<VecDeque<Content>>) -> Result<()> {
        loop {
            let Some(content) = self.begin_next(blocks)? else { return Ok(()) };
            let dump_id = match content {
                Content::Table(index) => self.reading.tables.get(index).map(|table| table.dump_id),
                Content::LargeObjects(dump_id) => Some(dump_id),
            };
            if let Some(dump_id) = dump_id {
                self.block(dump_id, archive.block(dump_id)?)?;
            }
        }
    }

    /// Takes the next block and begins its feed in one step: feeds are loaded in the order of the list.
    fn begin_next(&mut self, blocks: &Mutex<VecDeque<Content>>) -> Result<Option<Content>> {
        let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(content) = blocks.pop_front() else { return Ok(None) };
        self.pieces = Some(self.feeds.begin(content)?);
        Ok(Some(content))
    }

    /// Begins the feed of a block, unless it has begun.
    fn begin(&mut self, content: Content) -> Result<()> {
        if self.pieces.is_none() {
            self.pieces = Some(self.feeds.begin(content)?);
        }
        Ok(())
    }

    /// Reads the blocks in the order in which they arrive.
    fn read_stream(&mut self, archive: &mut Archive) -> Result<()> {
        let mut wanted: HashSet<DumpId> = self.reading.tables.iter().map(|table| table.dump_id).collect();
        wanted.extend(&self.reading.large_objects);
        wanted.retain(|dump_id| !self.reading.resumed.is_complete(*dump_id));
        while let Some((dump_id, block)) = archive.next_block()? {
            // A second block of the same entry would double its rows.
            if !wanted.remove(&dump_id) {
                continue;
            }
            self.block(dump_id, block)?;
        }
        Ok(())
    }

    fn block(&mut self, dump_id: DumpId, block: Block<'_>) -> Result<()> {
        match block {
            Block::Data(mut data) => {
                let tables = Arc::clone(&self.reading.tables);
                let place = self.reading.places.get(&dump_id).copied();
                match place.and_then(|place| Some((place, tables.get(place)?))) {
                    Some((place, table)) => self.table(place, table, &mut data),
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
        self.begin(Content::Table(index))?;
        let discovers = self.reading.discovery.as_ref().is_some_and(|found| found.dump_id == table.dump_id);
        let mut end = match &table.form {
            RowForm::Copy(_) if discovers => self.instance_rows(table, data)?,
            RowForm::Copy(_) => self.rows(table, data)?,
            RowForm::Inserts { .. } if discovers => self.instance_statements(table, data)?,
            RowForm::Inserts { .. } => self.statements(table, data)?,
        };
        end.columns = self.columns(table).map(|columns| columns.names.clone()).unwrap_or_default();
        self.end(end)
    }

    fn end(&mut self, mut end: TableEnd) -> Result<()> {
        if let Some(all) = &self.reading.found {
            end.found = self.found.take();
            all.add(&end.found);
        }
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

    fn digester(&self, table: &TableLoad) -> Option<Digester> {
        self.reading.compared.get(&table.dump_id).map(Digester::new)
    }

    fn send_rows(
        &self,
        table: &TableLoad,
        mut bytes: Vec<u8>,
        rows: u64,
        (rewriter, digester): (Option<&mut TableRewriter>, Option<&mut Digester>),
        end: &mut TableEnd,
    ) -> Result<()> {
        if let Some(rewriter) = rewriter {
            rewriter.rows.rewrite(&mut bytes);
            end.leftovers += rewriter.leftovers.count(&bytes);
        }
        if let Some(digester) = digester {
            digester.push(&bytes);
        }
        end.bytes += bytes.len() as u64;
        // The rows of a small table must not occupy a buffer for many rows.
        if bytes.len() < bytes.capacity() / 2 {
            bytes.shrink_to_fit();
        }
        let first = end.rows + 1;
        end.rows += rows;
        let rows = Rows { bytes: Bytes::from(bytes), first, count: rows };
        // An earlier run may have loaded some of them.
        self.reading.resumed.missing(table.dump_id, rows).try_for_each(|rows| self.send(Piece::Rows(rows)))
    }

    fn rows(&mut self, table: &TableLoad, data: &mut DataReader<'_>) -> Result<TableEnd> {
        let mut rows = RowReader::new(table, data, self.reading.longest_row);
        let (mut rewriter, mut digester) = (self.rewriter(table), self.digester(table));
        let mut end = TableEnd::default();
        while let Some((bytes, count)) = rows.next()? {
            self.send_rows(table, bytes, count, (rewriter.as_mut(), digester.as_mut()), &mut end)?;
        }
        if let Some(rewriter) = rewriter {
            rewriter.tell(&mut end);
        }
        end.digest = digester.map(Digester::finish);
        Ok(end)
    }

    /// The rows of a stream's table of instances: all are read before the first is sent.
    fn instance_rows(&mut self, table: &TableLoad, data: &mut DataReader<'_>) -> Result<TableEnd> {
        let Some(discovery) = self.reading.discovery.take() else { return self.rows(table, data) };
        let mut rows = RowReader::new(table, data, self.reading.longest_row);
        let mut buffered = Vec::new();
        let mut size = 0;
        let mut collector = InstanceCollector::new(copy_columns(table), &discovery.columns)?;
        while let Some((bytes, count)) = rows.next()? {
            size += bytes.len();
            if size > INSTANCES_BYTES {
                return Err(too_many_instances(table));
            }
            for row in crate::copy::rows(&bytes) {
                collector.push_row(row)?;
            }
            buffered.push((bytes, count));
        }
        self.resolve(discovery.resolve, collector)?;
        let (mut rewriter, mut digester) = (self.rewriter(table), self.digester(table));
        let mut end = TableEnd::default();
        for (bytes, count) in buffered {
            self.send_rows(table, bytes, count, (rewriter.as_mut(), digester.as_mut()), &mut end)?;
        }
        if let Some(rewriter) = rewriter {
            rewriter.tell(&mut end);
        }
        end.digest = digester.map(Digester::finish);
        Ok(end)
    }

    /// Resolves the instances, when all are known. The new rules apply from here on.
    fn resolve(&mut self, resolve: Resolve, collector: InstanceCollector) -> Result<()> {
        let rules = resolve(collector.finish())?;
        if let Some(rewriting) = &mut self.reading.rewriting {
            rewriting.rules = rules;
        }
        Ok(())
    }

    fn objects(&mut self, dump_id: DumpId, objects: &mut LargeObjectsReader<'_>) -> Result<()> {
        self.begin(Content::LargeObjects(dump_id))?;
        let rules = self.reading.rewriting.as_ref().map(|rewriting| Arc::clone(&rewriting.rules));
        let mut rewriter = LargeObjectRewriter::new(rules.unwrap_or_default());
        let skipped = self.reading.resumed.large_objects(dump_id).parts;
        let mut parts = Parts { reader: self, parts: Vec::new(), bytes: 0, skipped };
        while let Some(oid) = objects.next_object()? {
            let mut offset = 0;
            loop {
                let mut bytes = Vec::new();
                let is_end = objects.read_into(&mut bytes, PIECE_BYTES)? < PIECE_BYTES;
                let mut bytes = rewriter.push(bytes);
                let mut ids = 0;
                if is_end {
                    let (rest, found) = rewriter.finish();
                    bytes.extend_from_slice(&rest);
                    ids = found;
                }
                let length = bytes.len() as u64;
                // An empty object is sent, too: it must exist and be counted.
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

/// Parts of large objects that are sent together.
struct Parts<'a> {
    reader: &'a Reader,
    parts: Vec<LargeObjectPart>,
    bytes: usize,
    /// How many of the next parts an earlier run has loaded.
    skipped: u64,
}

impl Parts<'_> {
    fn push(&mut self, part: LargeObjectPart) -> Result<()> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
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

fn too_many_instances(table: &TableLoad) -> Error {
    let reason = format!("more than {INSTANCES_BYTES} bytes of instances");
    RestoreError::Data { table: table.table.to_string(), reason }.into()
}

fn copy_columns(table: &TableLoad) -> &[String] {
    match &table.form {
        RowForm::Copy(copy) => copy.columns.as_deref().unwrap_or_default(),
        RowForm::Inserts { .. } => &[],
    }
}
