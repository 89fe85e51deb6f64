//! Counts the rows of each instance in a backup, in one pass over the archive.

use crate::archive::{Archive, Block, BytesRead, DataReader, DumpId, Entry, EntryKind};
use crate::backup::Backup;
use crate::backup::BackupError;
use crate::backup::store::ArchivedTable;
use crate::copy::{decode_field, fields};
use crate::error::Result;
use crate::instance::{Alias, Instance, InstanceId};
use crate::profile::Profile;
use crate::progress::{Event, Progress};
use crate::rewrite::ids_in_row;
use crate::thread::on_thread;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How many rows are read before pgmig checks again whether the caller still waits.
const ROWS_BETWEEN_LOOKS: u64 = 1024;

/// The number of rows in one table that mention an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableHolding {
    /// The table: `schema.table`, not quoted.
    pub table: String,
    /// Rows in which the instance's ID or one of its aliases occurs; each row counts once.
    pub rows: u64,
}

/// The rows of each instance in a backup.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    by_instance: HashMap<InstanceId, Vec<TableHolding>>,
}

impl Holdings {
    /// The tables with rows of an instance, in the archive's order of tables.
    pub fn of(&self, id: InstanceId) -> &[TableHolding] {
        self.by_instance.get(&id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The number of rows in all tables in which an instance occurs.
    pub fn rows(&self, id: InstanceId) -> u64 {
        self.of(id).iter().map(|holding| holding.rows).sum()
    }
}

impl Backup {
    /// Counts, for every instance, the rows in which its ID or an alias occurs as a whole token.
    ///
    /// Reads the whole archive once, independently of the restore; memory does not grow with the archive. Large
    /// objects belong to no instance. For a stream the result is empty. When the future is dropped, the reading soon
    /// stops.
    ///
    /// # Errors
    ///
    /// The archive cannot be read, or is damaged.
    pub async fn holdings(&self, progress: Arc<dyn Progress>) -> Result<Holdings> {
        let Some(path) = self.file().map(ToOwned::to_owned) else { return Ok(Holdings::default()) };
        let instances = self.instances().to_vec();
        let profile = self.profile().cloned();
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        on_thread("pgmig-survey", move || {
            // The file is opened again, so that the restore's own progress begins at zero.
            let archive = Archive::open(&path)?;
            let tally = Tally::new(&instances, profile.as_ref());
            Survey { progress, stop }.run(archive, &instances, tally)
        })
        .await
    }
}

struct Survey {
    progress: Arc<dyn Progress>,
    stop: CancellationToken,
}

impl Survey {
    /// Reads in the archive's own order: a compressed file would have to be decompressed from the start for any
    /// other.
    fn run(&self, mut archive: Archive, instances: &[Instance], mut tally: Tally<'_>) -> Result<Holdings> {
        let mut holdings = Holdings::default();
        let is_rows = |entry: &&Entry| entry.kind == EntryKind::TableData;
        let entries: Vec<Entry> = archive.entries().iter().filter(is_rows).cloned().collect();
        let tables = entries.iter().map(|entry| (entry.dump_id, ArchivedTable::new(&archive, entry)));
        let tables: HashMap<DumpId, ArchivedTable<'_>> = tables.collect();
        let (read, size) = (archive.bytes_read(), archive.size());
        let look = || self.look(&read, size);
        while let Some((id, block)) = archive.next_block()? {
            let (Some(table), Block::Data(mut data)) = (tables.get(&id), block) else { continue };
            let name = table.name();
            self.progress.event(&Event::TableBegan { table: &name });
            let counts = count(table, &mut data, &mut tally, &look)?;
            for (instance, rows) in instances.iter().zip(counts).filter(|(_, rows)| *rows > 0) {
                let holding = TableHolding { table: name.clone(), rows };
                holdings.by_instance.entry(instance.id).or_default().push(holding);
            }
        }
        Ok(holdings)
    }

    fn look(&self, read: &BytesRead, size: Option<u64>) -> Result<()> {
        self.progress.event(&Event::ArchiveRead { bytes: read.get(), total: size, left: None });
        // No caller sees this error: the future that would return it was dropped.
        if self.stop.is_cancelled() { Err(BackupError::Interrupted.into()) } else { Ok(()) }
    }
}

/// Counts the rows of one table, for each instance, in the order of instances.
fn count(
    table: &ArchivedTable<'_>,
    data: &mut DataReader<'_>,
    tally: &mut Tally<'_>,
    look: &dyn Fn() -> Result<()>,
) -> Result<Vec<u64>> {
    let mut counts = tally.counts(table);
    let mut rows = 0_u64;
    table.rows_of(data, |row| {
        rows = rows.saturating_add(1);
        if rows.is_multiple_of(ROWS_BETWEEN_LOOKS) {
            look()?;
        }
        tally.row(row, &mut counts);
        Ok(())
    })?;
    look()?;
    Ok(counts.rows)
}

/// Finds the instances to which a row belongs.
pub(crate) struct Tally<'a> {
    keys: Keys,
    profile: Option<&'a Profile>,
    /// The instances of the present row, by their place in the list; kept to reuse its memory.
    found: Vec<usize>,
}

/// The rows of one table, counted by instance.
pub(crate) struct Counts {
    /// In the order of the instances.
    pub(crate) rows: Vec<u64>,
    /// The positions of the table's alias columns in its rows.
    aliases: Vec<usize>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(instances: &[Instance], profile: Option<&'a Profile>) -> Self {
        Self { keys: Keys::new(instances), profile, found: Vec::new() }
    }

    /// Counts of zero for this table.
    pub(crate) fn counts(&self, table: &ArchivedTable<'_>) -> Counts {
        Counts { rows: vec![0; self.keys.instances], aliases: self.alias_positions(table) }
    }

    /// Counts a row once for each instance that occurs in it.
    pub(crate) fn row(&mut self, row: &[u8], counts: &mut Counts) {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        found.extend(ids_in_row(row).filter_map(|id| self.keys.by_id.get(&id).copied()));
        if !counts.aliases.is_empty() {
            found.extend(self.numbers(row, &counts.aliases));
        }
        found.sort_unstable();
        found.dedup();
        for instance in &found {
            if let Some(count) = counts.rows.get_mut(*instance) {
                *count = count.saturating_add(1);
            }
        }
        self.found = found;
    }

    fn alias_positions(&self, table: &ArchivedTable<'_>) -> Vec<usize> {
        let Some(profile) = self.profile.filter(|_| !self.keys.by_number.is_empty()) else {
            return Vec::new();
        };
        let is_alias = |column: &String| profile.is_alias(table.schema(), table.tag(), column);
        let columns = table.columns().iter().enumerate();
        columns.filter(|(_, column)| is_alias(column)).map(|(position, _)| position).collect()
    }

    /// The instances whose numeric aliases are in these fields of a row.
    fn numbers(&self, row: &[u8], positions: &[usize]) -> impl Iterator<Item = usize> {
        positions.iter().filter_map(|&position| {
            let value = decode_field(fields(row).nth(position)?)?;
            self.keys.by_number.get(std::str::from_utf8(&value).ok()?).copied()
        })
    }
}

/// Finds an instance's place in the list by any name that rows use for it.
struct Keys {
    instances: usize,
    by_id: HashMap<InstanceId, usize>,
    by_number: HashMap<String, usize>,
}

impl Keys {
    fn new(instances: &[Instance]) -> Self {
        let mut by_id = HashMap::new();
        let mut by_number = HashMap::new();
        for (place, instance) in instances.iter().enumerate() {
            for alias in &instance.aliases {
                match alias {
                    Alias::Uuid(id) => drop(by_id.entry(*id).or_insert(place)),
                    Alias::Number(number) => drop(by_number.entry(number.clone()).or_insert(place)),
                    Alias::Other(_) => {}
                }
            }
        }
        // If an ID is also an alias of another instance, it means the instance with that ID.
        by_id.extend(instances.iter().enumerate().map(|(place, instance)| (instance.id, place)));
        Self { instances: instances.len(), by_id, by_number }
    }
}
