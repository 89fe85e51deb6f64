//! Inspects a backup: one pass over the whole archive.

use crate::archive::{Archive, Block, DumpId, Entry, EntryKind, LargeObjectsReader};
use crate::backup::Backup;
use crate::backup::BackupError;
use crate::backup::holdings::{TableHolding, Tally};
use crate::backup::inspection::{
    ArchiveFacts, InspectedInstance, InspectedMigration, InspectedStore, InspectedTable, Inspection,
    KindCount,
};
use crate::backup::store::{ArchivedTable, Store, foreign_table, instance_columns};
use crate::error::Result;
use crate::instance::{Instance, InstanceCollector};
use crate::migrations::{AppliedMigration, ForeignReader};
use crate::profile::Profile;
use crate::progress::{Event, Progress};
use crate::thread::on_thread;
use crate::verify::LargeObjects;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How many bytes of a large object are decompressed at a time.
const PIECE_BYTES: usize = 64 * 1024;

impl Backup {
    /// Reads the whole archive once and reports its contents. For a stream, the report does not have the rows of each
    /// instance. When the future is dropped, the reading soon stops.
    ///
    /// # Errors
    ///
    /// The archive cannot be read, or is damaged.
    ///
    /// ```no_run
    /// # async fn look() -> pgmig_core::Result<()> {
    /// use pgmig_core::{backup::{Backup, Source}, progress::NoProgress};
    /// let backup = Backup::open(Source::File("store.dump".into()), None).await?;
    /// let inspection = backup.inspect(std::sync::Arc::new(NoProgress)).await?;
    /// for table in &inspection.tables {
    ///     println!("{}: {} rows", table.table, table.rows);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn inspect(self, progress: Arc<dyn Progress>) -> Result<Inspection> {
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        on_thread("pgmig-inspect", move || {
            let (instances, profile) = (self.instances().to_vec(), self.profile().cloned());
            let (mut archive, _) = self.into_archive();
            InspectPass::new(&archive, &instances, profile.as_ref(), &*progress, &stop)?.run(&mut archive)
        })
        .await
    }
}

/// One pass over an archive's data.
struct InspectPass<'a> {
    progress: &'a dyn Progress,
    stop: &'a CancellationToken,
    /// The store's tables that are read in the same pass.
    store: Option<StoreTables<'a>>,
    other_history: Option<OtherHistory>,
    tally: Tally<'a>,
    tables: Vec<InspectedTable>,
    large_objects: LargeObjects,
    holdings: Vec<Vec<TableHolding>>,
}

/// The data of the store that are read.
struct StoreTables<'a> {
    profile: &'a Profile,
    tenants: Option<DumpId>,
    collector: Option<InstanceCollector>,
    history: Option<DumpId>,
    applied: Vec<AppliedMigration>,
    /// The instances, if they are known before the pass.
    instances: &'a [Instance],
}

/// The migration history of another tool.
struct OtherHistory {
    data: Option<DumpId>,
    reader: ForeignReader,
}

impl<'a> InspectPass<'a> {
    fn new(
        archive: &Archive,
        instances: &'a [Instance],
        profile: Option<&'a Profile>,
        progress: &'a dyn Progress,
        stop: &'a CancellationToken,
    ) -> Result<Self> {
        let store = match profile {
            Some(profile) => StoreTables::of(archive, profile, instances)?,
            None => None,
        };
        let holdings = vec![Vec::new(); instances.len()];
        let (tables, large_objects) = (Vec::new(), LargeObjects::default());
        let tally = Tally::new(instances, profile);
        let has_own = store.as_ref().is_some_and(|store| store.history.is_some());
        let other_history = if has_own { None } else { OtherHistory::of(archive) };
        Ok(Self { progress, stop, store, other_history, tally, tables, large_objects, holdings })
    }

    fn run(mut self, archive: &mut Archive) -> Result<Inspection> {
        let is_stream = archive.is_stream();
        let total = archive.size();
        let read = archive.bytes_read();
        // A block of a stream borrows the archive, so its entry must be stored separately.
        let entries: HashMap<DumpId, Entry> = archive
            .entries()
            .iter()
            .filter(|entry| entry.has_data())
            .map(|entry| (entry.dump_id, entry.clone()))
            .collect();
        let tables: HashMap<DumpId, ArchivedTable<'_>> = entries
            .iter()
            .filter(|(_, entry)| entry.kind == EntryKind::TableData)
            .map(|(id, entry)| (*id, ArchivedTable::new(archive, entry)))
            .collect();
        let stored: HashMap<DumpId, u64> =
            entries.keys().filter_map(|id| Some((*id, archive.stored_bytes(*id)?))).collect();
        let (progress, stop) = (self.progress, self.stop);
        let look = || {
            progress.event(&Event::ArchiveRead { bytes: read.get(), total, left: None });
            // No caller sees this error: the future that would return it was dropped.
            if stop.is_cancelled() { Err(BackupError::Interrupted.into()) } else { Ok(()) }
        };
        loop {
            // Entries of a script in a stream arrive together with their data.
            let next = if archive.has_all_entries() { None } else { archive.read_entries()? };
            let late =
                next.and_then(|id| archive.entry(id)).filter(|entry| entry.kind == EntryKind::TableData);
            let late = late.cloned();
            let late = late.as_ref().map(|entry| ArchivedTable::new(archive, entry));
            if let (Some(store), Some(table)) = (&mut self.store, &late) {
                store.note(table)?;
            }
            let Some((id, block)) = archive.next_block()? else { break };
            match (block, late.as_ref().or_else(|| tables.get(&id))) {
                (Block::LargeObjects(objects), _) => self.large_objects(objects, &look)?,
                (Block::Data(mut data), Some(table)) => {
                    self.progress.event(&Event::TableBegan { table: &table.name() });
                    self.table(table, &mut data, stored.get(&id).copied(), &look)?;
                }
                (Block::Data(_), None) => {}
            }
            look()?;
        }
        Ok(self.finish(archive, is_stream))
    }

    fn table(
        &mut self,
        table: &ArchivedTable<'_>,
        data: &mut crate::archive::DataReader<'_>,
        archive_bytes: Option<u64>,
        look: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let mut counts = self.tally.counts(table);
        let (tally, store) = (&mut self.tally, &mut self.store);
        let id = Some(table.dump_id());
        let mut other = self.other_history.as_mut().filter(|other| other.data == id);
        let mut rows = 0_u64;
        let data_bytes = table.rows_of(data, |row| {
            rows += 1;
            if rows.is_multiple_of(1024) {
                look()?;
            }
            tally.row(row, &mut counts);
            if let Some(other) = &mut other {
                table.foreign_row(row, &mut other.reader);
            }
            match store {
                Some(store) => store.row(table, row),
                None => Ok(()),
            }
        })?;
        for (held, rows) in self.holdings.iter_mut().zip(counts.rows).filter(|(_, rows)| *rows > 0) {
            held.push(TableHolding { table: table.name(), rows });
        }
        self.tables.push(InspectedTable { table: table.name(), rows, data_bytes, archive_bytes });
        Ok(())
    }

    fn large_objects(
        &mut self,
        mut objects: LargeObjectsReader<'_>,
        look: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        while objects.next_object()?.is_some() {
            self.large_objects.count += 1;
            loop {
                piece.clear();
                let read = objects.read_into(&mut piece, PIECE_BYTES)?;
                if read == 0 {
                    break;
                }
                self.large_objects.data_bytes += u64::try_from(read).unwrap_or(u64::MAX);
                look()?;
            }
        }
        Ok(())
    }

    fn finish(mut self, archive: &Archive, is_stream: bool) -> Inspection {
        self.tables.sort_by(|a, b| b.data_bytes.cmp(&a.data_bytes).then_with(|| a.table.cmp(&b.table)));
        let holdings = (!is_stream).then_some(self.holdings);
        Inspection {
            archive: ArchiveFacts::of(archive),
            entries: KindCount::of(archive),
            tables: self.tables,
            large_objects: self.large_objects,
            other_history: self.other_history.map(|other| other.reader.finish().to_string()),
            store: self.store.map(|store| store.finish(holdings)),
        }
    }
}

impl OtherHistory {
    fn of(archive: &Archive) -> Option<Self> {
        let (reader, table) = foreign_table(archive);
        (!reader.is_missing()).then(|| Self { data: table.map(|table| table.dump_id()), reader })
    }
}

impl<'a> StoreTables<'a> {
    fn of(archive: &Archive, profile: &'a Profile, instances: &'a [Instance]) -> Result<Option<Self>> {
        let Some(store) = Store::recognise(archive, Some(profile))? else { return Ok(None) };
        // The instances of a file were read when it was opened.
        let collector = if archive.is_stream() { store.collector()? } else { None };
        Ok(Some(Self {
            profile,
            tenants: store.tenant_entry(),
            collector,
            history: store.history_entry(),
            applied: Vec::new(),
            instances,
        }))
    }

    /// Notes a table of a script in a stream, whose rows come next.
    fn note(&mut self, table: &ArchivedTable<'_>) -> Result<()> {
        if let Some(tenant) = self.profile.tenant().filter(|tenant| tenant.is(table.schema(), table.tag())) {
            self.tenants = Some(table.dump_id());
            self.collector = Some(InstanceCollector::new(table.columns(), &instance_columns(tenant))?);
        }
        if (table.schema(), table.tag()) == (self.profile.schema(), self.profile.history_table()) {
            self.history = Some(table.dump_id());
        }
        Ok(())
    }

    fn row(&mut self, table: &ArchivedTable<'_>, row: &[u8]) -> Result<()> {
        if Some(table.dump_id()) == self.tenants
            && let Some(collector) = &mut self.collector
        {
            collector.push_row(row)?;
        }
        if Some(table.dump_id()) == self.history {
            self.applied.push(table.applied_migration(row)?);
        }
        Ok(())
    }

    fn finish(mut self, holdings: Option<Vec<Vec<TableHolding>>>) -> InspectedStore {
        self.applied.sort_by_key(|migration| migration.version);
        let finished = self.applied.iter().rev().find(|migration| migration.success);
        let schema = finished.map(|newest| self.profile.releases().schema_version(newest.version));
        let instances = match self.collector {
            Some(collector) => collector.finish(),
            None => self.instances.to_vec(),
        };
        let mut tables = holdings.into_iter().flatten();
        let instances = instances
            .into_iter()
            .map(|instance| InspectedInstance { instance, tables: tables.next() })
            .collect();
        let migrations = self
            .applied
            .into_iter()
            .map(|applied| InspectedMigration {
                version: applied.version,
                description: applied.description,
                finished: applied.success,
            })
            .collect();
        let profile = self.profile.name().to_owned();
        InspectedStore { profile, schema, migrations, instances }
    }
}
