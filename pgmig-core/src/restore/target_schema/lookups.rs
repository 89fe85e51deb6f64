//! Tables whose rows come with a release: the target has rows that the backup of an older release does not have.

use crate::archive::{Archive, Block};
use crate::copy::{EndMarker, RowSplitter, fields, rows};
use crate::error::Result;
use crate::profile::TargetRules;
use crate::restore::plan::{Destination, Plan, RowForm, TableLoad};
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident, quote_literal};
use std::collections::{BTreeMap, HashSet};

/// Tables with more rows in the target are not examined.
const MOST_ROWS: usize = 1000;

/// Nor tables with more bytes in the archive, as they are stored there, and unpacked.
const MOST_STORED_BYTES: u64 = 64 * 1024;
const MOST_BYTES: usize = 1024 * 1024;

/// A table whose rows stay if the archive has no row with their key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergedTable {
    pub(crate) table: QualifiedName,
    /// Its columns except those that the server computes.
    pub(crate) columns: Vec<String>,
}

impl MergedTable {
    fn columns(&self) -> String {
        self.columns.iter().map(|column| quote_ident(column)).collect::<Vec<_>>().join(", ")
    }

    /// Keeps the target's rows in a temporary table with this number.
    pub(crate) fn set_aside(&self, number: usize) -> String {
        format!("CREATE TEMPORARY TABLE pgmig_rows_{number} AS SELECT {} FROM {}", self.columns(), self.table)
    }

    /// Inserts the rows whose keys are free.
    pub(crate) fn put_back(&self, number: usize) -> String {
        let columns = self.columns();
        format!(
            "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM pg_temp.pgmig_rows_{number} ON CONFLICT \
             DO NOTHING",
            self.table
        )
    }
}

/// The tables that the rule `keep_new_rows` names, or the faults of the rule.
pub(super) async fn merged(
    target: &mut Session,
    rules: &TargetRules,
    loaded: &HashSet<QualifiedName>,
) -> Result<std::result::Result<Vec<MergedTable>, Vec<String>>> {
    let (mut merged, mut faults) = (Vec::new(), Vec::new());
    if rules.keep_new_rows.is_empty() {
        return Ok(Ok(merged));
    }
    let keys = keys(target).await?;
    for rule in &rules.keep_new_rows {
        let mut tables: Vec<&QualifiedName> = loaded.iter().filter(|table| rule.is(table)).collect();
        tables.sort_unstable();
        let name = QualifiedName { schema: rule.schema.clone(), name: rule.table.clone() };
        if tables.is_empty() {
            faults.push(format!(
                "keep_new_rows: {name}: no rows of the archive go into such a table of the target"
            ));
        }
        for table in tables {
            match keys.get(table) {
                Some(Key { columns, key }) if !key.is_empty() => {
                    merged.push(MergedTable { table: table.clone(), columns: columns.clone() });
                }
                _ => faults.push(format!("keep_new_rows: {table} has no primary key to compare its rows by")),
            }
        }
    }
    Ok(if faults.is_empty() { Ok(merged) } else { Err(faults) })
}

/// Tables whose rows in the target include all keys of the archive, and more; each with a warning.
pub(super) async fn find(
    target: &mut Session,
    archive: &Archive,
    plan: &Plan,
    merged: &[MergedTable],
) -> Result<Vec<(QualifiedName, String)>> {
    let mut warnings = Vec::new();
    if archive.is_stream() {
        return Ok(warnings);
    }
    let keys = keys(target).await?;
    for load in plan.tables.iter() {
        let Some(into) = &load.into else { continue };
        let Some(Key { key, .. }) = keys.get(&into.table).filter(|key| !key.key.is_empty()) else { continue };
        if merged.iter().any(|merged| merged.table == into.table) {
            continue;
        }
        let Some(places) = places(load, into, key) else { continue };
        let Some(of_target) = keys_of_target(target, &into.table, key).await? else { continue };
        if of_target.is_empty()
            || archive.stored_bytes(load.dump_id).is_none_or(|bytes| bytes > MOST_STORED_BYTES)
        {
            continue;
        }
        let Some(of_archive) = keys_of_archive(archive, load, &places)? else { continue };
        if of_archive.len() < of_target.len() && of_archive.is_subset(&of_target) {
            let (less, more) = (of_archive.len(), of_target.len());
            let (table, name) = (&into.table, &into.table.name);
            let warning = format!(
                "table {table} has {more} rows in the target and {less} in the backup, all with keys that the target has, too: the \
                 other rows of the target are erased; if they came with the release, target_schema: keep_new_rows: {{table: \
                 {name}}} in the profile keeps them"
            );
            warnings.push((into.table.clone(), warning));
        }
    }
    Ok(warnings)
}

/// The columns of a table that can be given values, and those of its primary key.
#[derive(Debug, Default)]
struct Key {
    columns: Vec<String>,
    key: Vec<String>,
}

async fn keys(target: &mut Session) -> Result<BTreeMap<QualifiedName, Key>> {
    let sql = "SELECT n.nspname, c.relname, a.attname, a.attnum = ANY (k.conkey) \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                   AND a.attgenerated = '' \
               LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' \
               WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
               ORDER BY 1, 2, a.attnum";
    let mut keys: BTreeMap<QualifiedName, Key> = BTreeMap::new();
    for row in target.rows(sql, "list the primary keys of the target").await? {
        let table = keys.entry(QualifiedName::new(row.text(0), row.text(1))).or_default();
        table.columns.push(row.text(2).to_owned());
        if row.is_true(3) {
            table.key.push(row.text(2).to_owned());
        }
    }
    Ok(keys)
}

/// The places of the key's columns in the archive's rows.
fn places(load: &TableLoad, into: &Destination, key: &[String]) -> Option<Vec<usize>> {
    if !matches!(load.form, RowForm::Copy(_)) || into.columns.len() != into.from.len() {
        return None;
    }
    key.iter().map(|column| into.columns.iter().position(|own| own == column)).collect()
}

/// The keys as COPY writes them; `None` if there are too many, or if they cannot be read.
async fn keys_of_target(
    target: &mut Session,
    table: &QualifiedName,
    key: &[String],
) -> Result<Option<HashSet<Vec<u8>>>> {
    let columns = key.iter().map(|column| quote_ident(column)).collect::<Vec<_>>().join(", ");
    let readable = format!(
        "SELECT pg_catalog.has_table_privilege({}, 'SELECT') AND (SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {}) c) <= \
         {MOST_ROWS}",
        quote_literal(&table.to_string()),
        MOST_ROWS + 1
    );
    // A table that cannot be read is not compared.
    match target.holds(&readable, "count the rows of a small table").await {
        Ok(true) => {}
        Err(error) if !error.is_lasting() => return Err(error.into()),
        Ok(false) | Err(_) => return Ok(None),
    }
    let mut text = Vec::new();
    let mut copy = target.copy_out(&format!("COPY (SELECT {columns} FROM {table}) TO STDOUT")).await?;
    while let Some(chunk) = copy.next_chunk().await? {
        text.extend_from_slice(&chunk);
    }
    Ok(Some(rows(&text).map(<[u8]>::to_vec).collect()))
}

/// The keys as the archive has them; `None` if there are too many bytes.
fn keys_of_archive(
    archive: &Archive,
    load: &TableLoad,
    places: &[usize],
) -> Result<Option<HashSet<Vec<u8>>>> {
    let Block::Data(mut data) = archive.block(load.dump_id)? else { return Ok(None) };
    let mut splitter = RowSplitter::new(EndMarker::Required);
    let (mut text, mut read) = (Vec::new(), 0);
    loop {
        let mut chunk = Vec::new();
        let length = data.read_into(&mut chunk, MOST_BYTES)?;
        read += length;
        if read > MOST_BYTES {
            return Ok(None);
        }
        // Rows that are damaged are reported when they are loaded.
        if length == 0 || splitter.push(&chunk, &mut text).is_err() {
            break;
        }
    }
    let key = |row: &[u8]| {
        let values: Vec<&[u8]> = fields(row).collect();
        let key: Option<Vec<&[u8]>> = places.iter().map(|place| values.get(*place).copied()).collect();
        Some(key?.join(&b'\t'))
    };
    Ok(rows(&text).map(key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_aside_and_come_back_where_their_keys_are_free() {
        let table = QualifiedName::new("s", "Kind");
        let merged = MergedTable { table, columns: vec!["id".to_owned(), "Name".to_owned()] };
        assert_eq!(
            merged.set_aside(2),
            "CREATE TEMPORARY TABLE pgmig_rows_2 AS SELECT id, \"Name\" FROM s.\"Kind\""
        );
        assert!(merged.put_back(2).ends_with("FROM pg_temp.pgmig_rows_2 ON CONFLICT DO NOTHING"));
    }
}
