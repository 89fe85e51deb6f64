//! Counts the workspaces of a backup, whose models must be trained after a restore.

use crate::archive::EntryKind;
use crate::backup::Backup;
use crate::backup::store::ArchivedTable;
use crate::error::Result;
use crate::profile::TableRef;
use crate::progress::Progress;
use crate::sql::QualifiedName;
use crate::thread::on_thread;
use std::sync::Arc;

impl Backup {
    /// The number of rows of the table that the profile names (`workspaces`); `None` if the profile names none, and if the
    /// backup does not have it. Of a file only this table is read, where its place is known; a stream is read to its end.
    ///
    /// # Errors
    ///
    /// The archive cannot be read, or is damaged.
    pub async fn workspaces(self, progress: Arc<dyn Progress>) -> Result<Option<u64>> {
        let Some(table) = self.profile().and_then(|profile| profile.workspaces()).cloned() else {
            return Ok(None);
        };
        if !self.is_stream() {
            return on_thread("pgmig-count", move || self.count_rows(&table)).await;
        }
        let inspection = self.inspect(progress).await?;
        let of_it = inspection.tables.iter().filter(|inspected| {
            let (schema, name) = inspected.table.split_once('.').unwrap_or(("", &inspected.table));
            table.is(&QualifiedName::new(schema, name))
        });
        let rows: Vec<u64> = of_it.map(|table| table.rows).collect();
        Ok((!rows.is_empty()).then(|| rows.iter().sum()))
    }

    fn count_rows(&self, table: &TableRef) -> Result<Option<u64>> {
        let archive = self.archive();
        let mut found = None;
        for entry in archive.entries().iter().filter(|entry| entry.kind == EntryKind::TableData) {
            let archived = ArchivedTable::new(archive, entry);
            if !table.is(&QualifiedName::new(archived.schema(), archived.tag())) {
                continue;
            }
            let rows = found.get_or_insert(0_u64);
            archived.each_row(archive, |_| {
                *rows = rows.saturating_add(1);
                Ok(())
            })?;
        }
        Ok(found)
    }
}
