//! The archive's store, read before the restore: its profile, its instances and its applied migrations.

use crate::archive::{Archive, Block, DataReader, DumpId, Entry, EntryKind};
use crate::backup::BackupError;
use crate::copy::{CopyStatement, EndMarker, RowSplitter, decode_field, encode_row, fields, rows};
use crate::error::Result;
use crate::instance::{Instance, InstanceCollector, InstanceColumns};
use crate::migrations::{AppliedMigration, ForeignHistory, ForeignReader, History, UnknownHistory};
use crate::profile::{Profile, TenantTable};
use crate::sql::{InsertStatement, StandardStrings, StatementSplitter, table_columns};

/// How many bytes of a block are decompressed at a time.
const CHUNK: usize = 64 * 1024;

/// The size limit of tables that are read before the restore. They hold a row per instance or per migration; a larger
/// table must be something else.
const TABLE_BYTES: u64 = 256 * 1024 * 1024;

/// A table of the archive whose rows are read before the restore.
pub(crate) struct ArchivedTable<'a> {
    entry: &'a Entry,
    columns: Vec<String>,
    strings: StandardStrings,
    /// The most bytes of data that it may have.
    limit: u64,
}

/// The store that an archive holds.
pub(crate) struct Store<'a> {
    pub(crate) profile: Profile,
    tenants: Option<ArchivedTable<'a>>,
    history: Option<ArchivedTable<'a>>,
}

impl<'a> Store<'a> {
    /// Recognises the store by its tables, or by `profile`; `None` if no known profile matches.
    pub(crate) fn recognise(archive: &'a Archive, profile: Option<&Profile>) -> Result<Option<Self>> {
        let profile = match profile {
            Some(profile) => profile.clone(),
            None => Profile::builtin("assistant")?,
        };
        let history = find(archive, EntryKind::TableData, |entry| {
            schema(entry) == profile.schema() && name(entry) == profile.history_table()
        });
        let Some(tenant) = profile.tenant() else {
            // Such a store cannot be recognised, so the caller's word counts.
            return Ok(Some(Self { profile, tenants: None, history }));
        };
        let is_tenants = |entry: &Entry| {
            let columns = columns(archive, entry);
            tenant.is(schema(entry), name(entry)) && tenant.columns().all(|column| columns.contains(column))
        };
        // A dump of definitions, without rows, is a store, too.
        let tenants = find(archive, EntryKind::TableData, is_tenants).or_else(|| {
            find(archive, EntryKind::Table, |entry| entry.relation_kind != Some('p') && is_tenants(entry))
        });
        // A profile that the caller did not name applies only to a store with such a table.
        Ok(tenants.map(|tenants| Self { profile: profile.clone(), tenants: Some(tenants), history }))
    }

    /// The entry with the rows of the instances; `None` for a dump without them.
    pub(crate) fn tenant_entry(&self) -> Option<DumpId> {
        let entry = self.tenants.as_ref()?.entry;
        (entry.kind == EntryKind::TableData).then_some(entry.dump_id)
    }

    /// The entry by which the table of instances was recognised: that of its rows, or of its definition.
    pub(crate) fn tenants(&self) -> Option<DumpId> {
        self.tenants.as_ref().map(ArchivedTable::dump_id)
    }

    /// The columns of the table of instances, by role.
    pub(crate) fn instance_columns(&self) -> Option<InstanceColumns> {
        self.profile.tenant().map(instance_columns)
    }

    /// A collector for the rows of the table of instances; `None` if there is no such table.
    pub(crate) fn collector(&self) -> Result<Option<InstanceCollector>> {
        let (Some(table), Some(columns)) = (&self.tenants, self.instance_columns()) else { return Ok(None) };
        Ok(Some(InstanceCollector::new(&table.columns, &columns)?))
    }

    /// The instances. For a file only, since a stream can be read only once.
    pub(crate) fn instances(&self, archive: &Archive) -> Result<Vec<Instance>> {
        let (Some(table), Some(mut collector)) = (&self.tenants, self.collector()?) else {
            return Ok(Vec::new());
        };
        table.each_row(archive, |row| Ok(collector.push_row(row)?))?;
        Ok(collector.finish())
    }

    /// The entry with the rows of the migration history.
    pub(crate) fn history_entry(&self) -> Option<DumpId> {
        self.history.as_ref().map(ArchivedTable::dump_id)
    }

    /// The migrations that were applied to the store; for a file only.
    pub(crate) fn history(&self, archive: &Archive) -> Result<History> {
        let Some(table) = &self.history else {
            return Ok(History::Unknown(foreign_history(archive)?));
        };
        let mut applied = Vec::new();
        table.each_row(archive, |row| {
            applied.push(table.applied_migration(row)?);
            Ok(())
        })?;
        Ok(History::from_applied(applied)?)
    }
}

impl<'a> ArchivedTable<'a> {
    /// The table of a TABLE DATA entry, without a size limit.
    pub(crate) fn new(archive: &Archive, entry: &'a Entry) -> Self {
        let strings = archive.strings();
        Self { entry, columns: columns(archive, entry), strings, limit: u64::MAX }
    }

    /// The schema; empty if the archive gives none.
    pub(crate) fn schema(&self) -> &str {
        schema(self.entry)
    }

    /// The name without the schema.
    pub(crate) fn tag(&self) -> &str {
        name(self.entry)
    }

    /// The schema and name, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", schema(self.entry), name(self.entry))
    }

    /// The columns, in the order of the rows' fields.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(crate) fn dump_id(&self) -> DumpId {
        self.entry.dump_id
    }

    /// Parses a row of the history table.
    pub(crate) fn applied_migration(&self, row: &[u8]) -> Result<AppliedMigration> {
        let values: Vec<_> = fields(row).map(decode_field).collect();
        let value = |column: &str| {
            let index = self.columns.iter().position(|name| name == column)?;
            values.get(index)?.as_deref()
        };
        Ok(AppliedMigration::from_fields(value)?)
    }

    /// Passes a row of another tool's history to its reader.
    pub(crate) fn foreign_row(&self, row: &[u8], reader: &mut ForeignReader) {
        let values: Vec<_> = fields(row).map(decode_field).collect();
        reader.push(&|column| {
            let index = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
            String::from_utf8(values.get(index)?.as_deref()?.to_vec()).ok()
        });
    }

    /// Calls `each` with every row, as COPY text.
    pub(crate) fn each_row(&self, archive: &Archive, each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if !archive.has_data(self.entry.dump_id) {
            return Ok(());
        }
        let Block::Data(mut data) = archive.block(self.entry.dump_id)? else { return Ok(()) };
        self.rows_of(&mut data, each).map(drop)
    }

    /// Like [`each_row`](Self::each_row), for a data block of the table, from its start. Returns the bytes of its
    /// data.
    pub(crate) fn rows_of(
        &self,
        data: &mut DataReader<'_>,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let mut chunks = || -> Result<Vec<u8>> {
            let mut chunk = Vec::new();
            data.read_into(&mut chunk, CHUNK)?;
            Ok(chunk)
        };
        if self.entry.copy_statement.as_ref().is_some_and(|copy| !copy.is_empty()) {
            self.copy_rows(&mut chunks, &mut each)
        } else {
            self.insert_rows(&mut chunks, &mut each)
        }
    }

    fn copy_rows(
        &self,
        chunks: &mut dyn FnMut() -> Result<Vec<u8>>,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let mut splitter = RowSplitter::new(EndMarker::Required);
        let mut out = Vec::new();
        let mut total = 0;
        loop {
            let chunk = chunks()?;
            out.clear();
            if chunk.is_empty() {
                splitter.finish(&mut out).map_err(|error| self.broken(&error))?;
                return Ok(total);
            }
            total += chunk.len() as u64;
            self.check_size(total)?;
            splitter.push(&chunk, &mut out).map_err(|error| self.broken(&error))?;
            rows(&out).try_for_each(&mut *each)?;
        }
    }

    fn insert_rows(
        &self,
        chunks: &mut dyn FnMut() -> Result<Vec<u8>>,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let strings = self.strings;
        let mut splitter = StatementSplitter::new(strings);
        let mut total = 0;
        loop {
            let chunk = chunks()?;
            total += chunk.len() as u64;
            self.check_size(total)?;
            if chunk.is_empty() {
                splitter.end();
            } else {
                splitter.feed(&chunk).map_err(|error| self.broken(&error))?;
            }
            while let Some(statement) = splitter.next_statement().map_err(|error| self.broken(&error))? {
                let Ok(sql) = std::str::from_utf8(statement.text) else { continue };
                let insert = InsertStatement::parse(sql, strings).map_err(|error| self.broken(&error))?;
                for row in &insert.rows {
                    each(&self.as_copy_row(insert.columns.as_deref(), row))?;
                }
            }
            if chunk.is_empty() {
                return Ok(total);
            }
        }
    }

    /// Converts the values of an INSERT to a COPY row with this table's columns.
    fn as_copy_row(&self, named: Option<&[String]>, values: &[Option<String>]) -> Vec<u8> {
        let named = named.unwrap_or(&self.columns);
        let value = |column: &String| {
            let index = named.iter().position(|name| name == column)?;
            values.get(index)?.as_deref().map(str::as_bytes)
        };
        let mut row = Vec::new();
        encode_row(self.columns.iter().map(value), &mut row);
        row
    }

    fn check_size(&self, bytes: u64) -> Result<()> {
        if bytes <= self.limit {
            return Ok(());
        }
        Err(self
            .broken(&format!("more than {} bytes, where a row per instance is expected", self.limit))
            .into())
    }

    fn broken(&self, reason: &dyn std::fmt::Display) -> BackupError {
        BackupError::Data { table: self.name(), reason: reason.to_string() }
    }
}

/// The columns that the first INSERT statement of an entry names. `None` if it names none, if there is no such
/// statement, and for a stream.
pub(crate) fn insert_columns(archive: &Archive, dump_id: DumpId) -> Result<Option<Vec<String>>> {
    if archive.is_stream() {
        return Ok(None);
    }
    let Block::Data(mut data) = archive.block(dump_id)? else { return Ok(None) };
    let strings = archive.strings();
    let mut splitter = StatementSplitter::new(strings);
    loop {
        let mut chunk = Vec::new();
        if data.read_into(&mut chunk, CHUNK)? == 0 {
            splitter.end();
        } else if splitter.feed(&chunk).is_err() {
            return Ok(None);
        }
        // A statement that cannot be read is reported when it is loaded.
        match splitter.next_statement() {
            Ok(Some(statement)) => {
                let sql = std::str::from_utf8(statement.text).ok();
                let insert = sql.and_then(|sql| InsertStatement::parse(sql, strings).ok());
                return Ok(insert.and_then(|insert| insert.columns));
            }
            Ok(None) if !chunk.is_empty() => {}
            Ok(None) | Err(_) => return Ok(None),
        }
    }
}

/// The migration history of another tool; for a file only.
pub(crate) fn foreign_history(archive: &Archive) -> Result<ForeignHistory> {
    let (mut reader, table) = foreign_table(archive);
    if let Some(table) = table {
        table.each_row(archive, |row| {
            table.foreign_row(row, &mut reader);
            Ok(())
        })?;
    }
    Ok(reader.finish())
}

/// A reader for the history of another tool, and the table with its rows.
pub(crate) fn foreign_table(archive: &Archive) -> (ForeignReader, Option<ArchivedTable<'_>>) {
    let tables = archive.entries().iter().filter(|entry| entry.kind == EntryKind::Table).map(name);
    let (tool, table) = UnknownHistory::recognise(tables);
    let table = table.and_then(|table| find(archive, EntryKind::TableData, |entry| name(entry) == table));
    let columns = table.iter().flat_map(|table| table.columns.iter().map(String::as_str));
    (ForeignReader::new(tool, columns), table)
}

fn find<'a>(
    archive: &'a Archive,
    kind: EntryKind,
    wanted: impl Fn(&Entry) -> bool,
) -> Option<ArchivedTable<'a>> {
    let entry = archive.entries().iter().find(|entry| entry.kind == kind && wanted(entry))?;
    Some(ArchivedTable { limit: TABLE_BYTES, ..ArchivedTable::new(archive, entry) })
}

/// The columns of a TABLE or TABLE DATA entry: those of its COPY statement, else those of the table's definition.
pub(crate) fn columns(archive: &Archive, entry: &Entry) -> Vec<String> {
    let copy = entry.copy_statement.as_ref().and_then(|text| text.to_str().ok());
    let copied = copy.and_then(|sql| CopyStatement::parse(sql).ok()).and_then(|copy| copy.columns);
    copied.unwrap_or_else(|| {
        let is_table = |other: &&Entry| {
            other.kind == EntryKind::Table && other.tag == entry.tag && other.namespace == entry.namespace
        };
        let table = archive.entries().iter().find(is_table);
        let sql = table.and_then(Entry::sql).and_then(|sql| sql.to_str().ok());
        sql.and_then(|sql| table_columns(sql).ok()).unwrap_or_default()
    })
}

/// The columns of a table of instances, by role.
pub(crate) fn instance_columns(tenant: &TenantTable) -> InstanceColumns {
    InstanceColumns {
        id: tenant.id.clone(),
        aliases: tenant.aliases.clone(),
        name: tenant.name.clone(),
        region: tenant.region.clone(),
        deleted: tenant.deleted.clone(),
    }
}

fn schema(entry: &Entry) -> &str {
    entry.namespace.as_ref().and_then(|schema| schema.to_str().ok()).unwrap_or_default()
}

fn name(entry: &Entry) -> &str {
    entry.tag.to_str().unwrap_or_default()
}
