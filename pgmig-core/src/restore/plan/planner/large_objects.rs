//! Plans the making of large objects. Their contents are data.

use super::Planner;
use crate::archive::Entry;
use crate::restore::plan::entry::sql;
use crate::restore::plan::{EntryStep, RunAs, Task};
use std::sync::Arc;

/// How many large objects one statement makes: as many as a group of pg_dump 17 has.
const LARGE_OBJECTS_AT_ONCE: usize = 1000;

impl Planner<'_> {
    /// A group of large objects, as pg_dump 17 and later write them.
    pub(crate) fn blob_metadata(&mut self, entry: &Entry) {
        let oids: Vec<u32> =
            sql(entry).unwrap_or_default().split_whitespace().filter_map(|oid| oid.parse().ok()).collect();
        let statements = create_large_objects(&oids);
        self.plan.large_objects_made += oids.len() as u64;
        self.groups.insert(entry.dump_id, oids);
        let task = self.task(entry, statements);
        self.plan.data_first.push(task);
    }

    /// Plans the large objects of the BLOB entries since the last call.
    pub(crate) fn flush_blobs(&mut self) {
        for blobs in std::mem::take(&mut self.blobs).chunks(LARGE_OBJECTS_AT_ONCE) {
            let Some((dump_id, first)) = blobs.first() else { continue };
            let oids: Vec<u32> = blobs.iter().map(|(_, oid)| *oid).collect();
            self.plan.large_objects_made += oids.len() as u64;
            self.plan.pre_data.push(Task {
                dump_id: *dump_id,
                label: format!("LARGE OBJECT {first}"),
                statements: create_large_objects(&oids),
                settings: Arc::default(),
                step: EntryStep::Whole,
            });
        }
    }
}

fn create_large_objects(oids: &[u32]) -> Vec<(RunAs, String)> {
    if oids.is_empty() {
        return Vec::new();
    }
    let list = oids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let sql = format!(
        "SELECT count(pg_catalog.lo_create(o)) FROM pg_catalog.unnest('{{{list}}}'::pg_catalog.oid[]) o"
    );
    vec![(RunAs::Owner, sql)]
}
