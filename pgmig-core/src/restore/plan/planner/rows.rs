//! Plans the loading of rows.

use super::Planner;
use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::copy::CopyStatement;
use crate::progress::{Notice, NoticeCode, Severity};
use crate::restore::plan::entry::sql;
use crate::restore::plan::extensions::{MemberRelation, ReplacedRows};
use crate::restore::plan::words::words;
use crate::restore::plan::{RowForm, RunAs, TableLoad};
use crate::sql::{QualifiedName, StandardStrings, quote_ident};
use std::collections::HashSet;
use std::sync::Arc;

impl Planner<'_> {
    /// The table or the sequence of an entry, if it belongs to an extension that stays.
    fn member(&self, entry: &Entry) -> Option<&MemberRelation> {
        self.facts.database.members.get(&entry.qualified_name())
    }

    /// Whether the entry's sequence belongs to an extension that stays.
    pub(crate) fn is_of_extension(&self, entry: &Entry) -> bool {
        self.member(entry).is_some()
    }

    /// Skips the data of an extension that stays, if `username` may not replace them.
    pub(crate) fn is_left_out(&mut self, entry: &Entry) -> bool {
        let Some(member) = self.member(entry) else { return false };
        let why = member.why_left_out(
            &entry.qualified_name(),
            &self.facts.roles.owner,
            self.facts.login_is_superuser,
        );
        if let Some(why) = &why {
            self.skip(entry, Severity::Warning, why);
        }
        why.is_some()
    }

    /// Leaves out the value of a sequence of an extension that stays. No rollback would undo it, so a restore that fails
    /// would have changed the target.
    pub(crate) fn extension_sequence(&mut self, entry: &Entry, sql: &str) {
        let extension = self.member(entry).map(|member| quote_ident(&member.extension)).unwrap_or_default();
        let why = format!(
            "it belongs to extension {extension}, which stays in the target as it is; to set it after the restore, run {}",
            sql.trim()
        );
        self.skip(entry, Severity::Warning, &why);
    }

    /// Notes the rows of an extension that give way to those of the entry.
    fn replace_rows(&mut self, entry: &Entry) {
        let table = entry.qualified_name();
        let Some(MemberRelation { extension, condition, .. }) = self.facts.database.members.get(&table)
        else {
            return;
        };
        let text = format!(
            "the archive's rows of table {table} replace those in the target, which extension {} leaves to its users",
            quote_ident(extension)
        );
        let condition = condition.clone().unwrap_or_default();
        self.plan.replaced_rows.push(ReplacedRows { table, condition });
        self.plan.notices.push(Notice::note(NoticeCode::ExtensionRowsReplaced, text));
    }

    /// Plans the rows of a TABLE DATA entry, if it has any.
    pub(crate) fn table_data(&mut self, entry: &Entry) {
        if !entry.has_data() || self.is_left_out(entry) {
            return;
        }
        self.replace_rows(entry);
        let table = entry.qualified_name();
        let statement = entry.copy_statement.as_ref().and_then(|text| text.to_str().ok());
        let form = match statement.filter(|text| !text.is_empty()).map(CopyStatement::parse) {
            Some(Ok(mut copy)) => {
                if copy.table.schema.is_none() {
                    copy.table.schema.clone_from(&table.schema);
                }
                RowForm::Copy(copy)
            }
            // Without a COPY statement, or with one that cannot be parsed, the block is read as INSERT statements.
            _ => RowForm::Inserts { schema: self.schema_setting(entry) },
        };
        // A superuser runs no INSERT statements of the archive: they are SQL. COPY data are only rows.
        let as_superuser = self.facts.is_superuser && matches!(form, RowForm::Copy(_));
        let is_created = self.tables.contains(&table);
        let is_superusers = self.facts.builds_as_superuser || as_superuser && !is_created;
        let run_as = if is_superusers { RunAs::Superuser } else { RunAs::Owner };
        let load = TableLoad {
            dump_id: entry.dump_id,
            table,
            form,
            run_as,
            alone: !is_created,
            in_order: false,
            last: false,
            into: None,
        };
        Arc::make_mut(&mut self.plan.tables).push(load);
    }

    /// Marks tables whose rows depend on rows of other tables. pg_dump writes such dependencies for tables of extensions
    /// that refer to each other.
    pub(crate) fn order_dependent_rows(&mut self) {
        let data: HashSet<DumpId> = self.plan.tables.iter().map(|load| load.dump_id).collect();
        let entries = self.archive.entries().iter().filter(|entry| data.contains(&entry.dump_id));
        let mut ordered = HashSet::new();
        for entry in entries {
            for before in entry.dependencies.iter().filter(|id| data.contains(id)) {
                ordered.extend([*before, entry.dump_id]);
            }
        }
        for load in Arc::make_mut(&mut self.plan.tables) {
            load.alone |= ordered.contains(&load.dump_id);
        }
    }

    /// Warns of tables without an entry for their rows. pg_dump writes one for every table, even for an empty one, unless
    /// the rows were excluded.
    pub(crate) fn warn_of_missing_rows(&mut self) {
        let is_data = |entry: &&Entry| entry.kind == EntryKind::TableData;
        let with_rows: HashSet<String> = self
            .archive
            .all_entries()
            .iter()
            .filter(is_data)
            .map(|entry| entry.qualified_name().to_string())
            .collect();
        let without: Vec<String> = self
            .archive
            .entries()
            .iter()
            .filter(|entry| entry.kind == EntryKind::Table && !self.is_partitioned(entry))
            .map(|entry| entry.qualified_name().to_string())
            .filter(|table| !with_rows.contains(table))
            .collect();
        if without.is_empty() {
            return;
        }
        let some = without.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if without.len() > 10 { ", ..." } else { "" };
        let text = format!(
            "the archive defines tables whose rows it does not hold (did pg_dump leave them out, for \
             example by --schema-only?), so they will be empty: {some}{more}"
        );
        self.plan.notices.push(Notice::warning(NoticeCode::EmptyTables, text));
    }

    /// Whether a table is partitioned, and so has no rows of its own. Archives older than 1.16 say so in its definition only.
    pub(crate) fn is_partitioned(&self, entry: &Entry) -> bool {
        is_partitioned(entry, self.strings)
    }
}

fn is_partitioned(entry: &Entry, strings: StandardStrings) -> bool {
    let by = ["partition", "by"];
    entry.relation_kind == Some('p') || sql(entry).is_some_and(|sql| words(sql, strings, &by))
}

/// The partitioned tables that an archive creates.
pub(crate) fn partitioned_tables(archive: &Archive) -> HashSet<QualifiedName> {
    let strings = archive.strings();
    let tables = archive.entries().iter().filter(|entry| entry.kind == EntryKind::Table);
    tables.filter(|entry| is_partitioned(entry, strings)).map(Entry::qualified_name).collect()
}

/// The tables that an archive creates.
pub(crate) fn created_tables(archive: &Archive) -> HashSet<QualifiedName> {
    let tables = archive.entries().iter().filter(|entry| entry.kind == EntryKind::Table);
    tables.map(Entry::qualified_name).collect()
}
