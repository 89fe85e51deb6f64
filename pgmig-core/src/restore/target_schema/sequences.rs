//! Finds the target's sequences that get the archive's sequence values.

use super::matching::Matcher;
use crate::archive::{Archive, DumpId, EntryKind};
use crate::error::Result;
use crate::restore::plan::touched::sequence_value;
use crate::restore::plan::{Facts, RunAs, Task};
use crate::server::session::Session;
use crate::sql::{QualifiedName, StandardStrings, quote_ident, quote_literal};
use std::collections::HashMap;

/// A sequence value of the archive, and the target's sequence that gets it.
pub(crate) struct SequenceValue {
    pub(crate) dump_id: DumpId,
    /// The archive's sequence.
    pub(crate) name: QualifiedName,
    /// The target's sequence; `None` if it has no matching one.
    pub(crate) sequence: Option<QualifiedName>,
    /// The table that owns the target's sequence.
    pub(crate) owner: Option<QualifiedName>,
    /// Whether `username` may set it.
    pub(crate) is_settable: bool,
    /// Whether it belongs to an extension.
    pub(crate) of_extension: bool,
}

impl SequenceValue {
    /// Changes the statements to set the target's sequence instead of the archive's.
    pub(crate) fn redirect(&self, statements: &mut [(RunAs, String)]) {
        let Some(sequence) = self.sequence.as_ref().filter(|sequence| **sequence != self.name) else {
            return;
        };
        let to = quote_literal(&sequence.to_string());
        // Archives of PostgreSQL 10 and older name the sequence without its schema.
        for from in [self.name.to_string(), quote_ident(&self.name.name)] {
            for (_, sql) in &mut *statements {
                *sql = sql.replacen(&quote_literal(&from), &to, 1);
            }
        }
    }
}

impl SequenceValue {
    /// Lets a superuser set the value, by a statement that pgmig writes. Returns false if there is no superuser, or the
    /// archive's statement cannot be parsed.
    pub(crate) fn as_superuser(&self, task: &mut Task, strings: StandardStrings, facts: &Facts) -> bool {
        if facts.owner_is_superuser {
            return true;
        }
        let [(run_as, sql)] = task.statements.as_mut_slice() else { return false };
        match sequence_value(sql, strings).filter(|_| facts.login_is_superuser) {
            Some((_, written)) => {
                (*run_as, *sql) = (RunAs::Written, written);
                true
            }
            None => false,
        }
    }

    /// Why the sequence cannot be set, with a remedy.
    pub(crate) fn obstacle(&self, username: &str) -> String {
        let (sequence, owner) = (self.sequence.as_ref().unwrap_or(&self.name), quote_ident(username));
        format!(
            "sequence {sequence} may not be set by username {owner}: GRANT UPDATE ON SEQUENCE {sequence} TO {owner}, or give a \
             superuser as su_username"
        )
    }
}

/// Finds the target's sequence for each value that the archive sets. It is the sequence of the same name, else the
/// one that fills the same column, whatever its name.
pub(crate) async fn set_by_archive(
    target: &mut Session,
    archive: &Archive,
    matcher: &Matcher<'_>,
    username: &str,
) -> Result<Vec<SequenceValue>> {
    let sql = format!(
        "SELECT n.nspname, s.relname, cn.nspname, c.relname, a.attname, \
            pg_catalog.has_schema_privilege({role}, n.oid, 'USAGE') \
                AND pg_catalog.has_sequence_privilege({role}, s.oid, 'UPDATE'), \
            EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                AND e.objid = s.oid AND e.deptype = 'e') \
        FROM pg_catalog.pg_class s \
        JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace \
        LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.objid = s.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.deptype IN ('a', 'i') \
        LEFT JOIN pg_catalog.pg_class c ON c.oid = d.refobjid \
        LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
        WHERE s.relkind = 'S'",
        role = quote_literal(username)
    );
    let mut owners: HashMap<QualifiedName, (Option<QualifiedName>, bool, bool)> = HashMap::new();
    let mut by_column = HashMap::new();
    for row in target.rows(&sql, "list the target's sequences").await? {
        let sequence = QualifiedName::new(row.text(0), row.text(1));
        let owner = row.get(3).map(|table| QualifiedName::new(row.text(2), table));
        if let Some(owner) = &owner {
            by_column.insert((owner.clone(), row.text(4).to_owned()), sequence.clone());
        }
        owners.insert(sequence, (owner, row.is_true(5), row.is_true(6)));
    }
    let values = archive.entries().iter().filter(|entry| entry.kind == EntryKind::SequenceSet);
    let value = |entry: &crate::archive::Entry| {
        let name = entry.qualified_name();
        let of_column = || {
            let (table, column) = matcher.definitions.filled_by(&name)?;
            let (own, _) = matcher.destination(table)?;
            by_column.get(&(own.clone(), matcher.name_in_target(table, column).to_owned())).cloned()
        };
        let sequence = owners.contains_key(&name).then(|| name.clone()).or_else(of_column);
        let found = sequence.as_ref().and_then(|sequence| owners.get(sequence).cloned());
        let (owner, is_settable, of_extension) = found.unwrap_or_default();
        SequenceValue { dump_id: entry.dump_id, name, sequence, owner, is_settable, of_extension }
    };
    Ok(values.map(value).collect())
}
