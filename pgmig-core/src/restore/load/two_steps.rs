//! Splits keys and foreign keys of big tables into two statements, of which the longer one locks less. Pure.
//!
//! So several indexes of one table can be built at the same time, and several foreign keys to one table checked.

use super::graph::is_table;
use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::restore::plan::constraint::{AddConstraint, list};
use crate::restore::plan::kinds::{self, TableWork};
use crate::restore::plan::{EntryStep, Task};
use crate::sql::{Parser, StandardStrings, quote_ident, split_statements};
use std::collections::HashMap;

/// A second statement is not worth it for tables with fewer bytes in the archive.
const BIG_BYTES: u64 = 1024 * 1024;

/// The two statements of a constraint. Together they have the same result as the single statement.
#[derive(Debug, PartialEq, Eq)]
struct TwoSteps {
    first: String,
    second: String,
}

/// Splits the tasks that are worth it: keys of big tables that also have other indexes, and foreign keys of big
/// tables. Only tables with rows of their own qualify: constraints of partitioned tables are made through their
/// partitions.
pub(crate) fn in_two_steps(archive: &Archive, tasks: Vec<Task>, strings: StandardStrings) -> Vec<Task> {
    let tables = Tables::of(archive, &tasks);
    let mut all = Vec::with_capacity(tasks.len());
    all.extend(tasks.into_iter().flat_map(|task| apart(task, archive, &tables, strings)));
    all
}

fn apart(task: Task, archive: &Archive, tables: &Tables, strings: StandardStrings) -> Vec<Task> {
    let entry = archive.entry(task.dump_id);
    let [(run_as, sql)] = task.statements.as_slice() else { return vec![task] };
    let steps = entry.and_then(|entry| match kinds::of(entry.kind).work {
        TableWork::Key if tables.have_other_indexes(entry) => key(sql, strings),
        TableWork::ForeignKey if tables.are_big(entry) => foreign_key(sql, strings),
        _ => None,
    });
    let Some(TwoSteps { first, second }) = steps else { return vec![task] };
    let part = |step, sql| Task { step, statements: vec![(run_as.clone(), sql)], ..task.clone() };
    vec![part(EntryStep::First, first), part(EntryStep::Second, second)]
}

/// TABLE entries whose rows have an entry.
struct Tables {
    /// The bytes of the rows in the archive.
    bytes: HashMap<DumpId, u64>,
    /// The number of indexes and keys.
    indexes: HashMap<DumpId, usize>,
}

impl Tables {
    fn of(archive: &Archive, tasks: &[Task]) -> Self {
        let mut tables = Self { bytes: HashMap::new(), indexes: HashMap::new() };
        for rows in archive.entries().iter().filter(|entry| entry.kind == EntryKind::TableData) {
            let bytes = archive.stored_bytes(rows.dump_id).unwrap_or_default();
            let of = rows.dependencies.iter().filter(|id| is_table(archive, **id));
            tables.bytes.extend(of.map(|table| (*table, bytes)));
        }
        for entry in tasks.iter().filter_map(|task| archive.entry(task.dump_id)) {
            if matches!(kinds::of(entry.kind).work, TableWork::Index | TableWork::Key) {
                for table in &entry.dependencies {
                    *tables.indexes.entry(*table).or_default() += 1;
                }
            }
        }
        tables
    }

    /// The tables that an entry depends on, with the bytes of each.
    fn among<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = (DumpId, u64)> {
        entry.dependencies.iter().filter_map(|id| Some((*id, *self.bytes.get(id)?)))
    }

    /// Whether this key's table is big and has other indexes.
    fn have_other_indexes(&self, entry: &Entry) -> bool {
        let mut on = self.among(entry);
        on.any(|(table, bytes)| {
            bytes >= BIG_BYTES && self.indexes.get(&table).is_some_and(|count| *count > 1)
        })
    }

    /// Whether both tables of this foreign key have rows, and at least one of them is big.
    fn are_big(&self, entry: &Entry) -> bool {
        self.among(entry).count() == 2 && self.among(entry).any(|(_, bytes)| bytes >= BIG_BYTES)
    }
}

/// Creates the index first, and then the key that uses it.
fn key(sql: &str, strings: StandardStrings) -> Option<TwoSteps> {
    let (constraint, after) = first_statement(sql, strings)?;
    let mut parser = Parser::new(constraint, "constraint", strings);
    let AddConstraint { table, name, .. } = AddConstraint::parse(&mut parser).ok()?;
    let kind = if parser.eat_word("primary") {
        parser.expect_word("key").ok()?;
        "PRIMARY KEY"
    } else {
        parser.expect_word("unique").ok()?;
        "UNIQUE"
    };
    let nulls = if parser.eat_word("nulls") {
        parser.expect_word("not").ok()?;
        parser.expect_word("distinct").ok()?;
        " NULLS NOT DISTINCT"
    } else {
        ""
    };
    let columns = list(&parser.ident_list().ok()?);
    let include = match parser.eat_word("include") {
        true => format!(" INCLUDE {}", list(&parser.ident_list().ok()?)),
        false => String::new(),
    };
    let deferrable = match parser.eat_word("deferrable") {
        true if parser.eat_word("initially") => {
            parser.expect_word("deferred").ok()?;
            " DEFERRABLE INITIALLY DEFERRED"
        }
        true => " DEFERRABLE",
        false => "",
    };
    // Constraints with storage parameters or other clauses stay one statement.
    parser.expect_end_of_statement().ok()?;
    let name = quote_ident(&name);
    Some(TwoSteps {
        first: format!("CREATE UNIQUE INDEX {name} ON {table} USING btree {columns}{include}{nulls}"),
        second: format!(
            "ALTER TABLE ONLY {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}{deferrable};{after}"
        ),
    })
}

/// Adds the foreign key first, which then applies to new rows; then validates the existing rows.
fn foreign_key(sql: &str, strings: StandardStrings) -> Option<TwoSteps> {
    let (constraint, after) = first_statement(sql, strings)?;
    let mut parser = Parser::new(constraint, "constraint", strings);
    let AddConstraint { table, name, .. } = AddConstraint::parse(&mut parser).ok()?;
    parser.expect_word("foreign").ok()?;
    while let Some(token) = parser.next() {
        if parser.text(&token).eq_ignore_ascii_case("valid") {
            return None;
        }
    }
    parser.expect_end().ok()?;
    let constraint = constraint.trim_end().trim_end_matches(';');
    Some(TwoSteps {
        first: format!("{constraint} NOT VALID"),
        second: format!("ALTER TABLE ONLY {table} VALIDATE CONSTRAINT {};{after}", quote_ident(&name)),
    })
}

/// The first of an entry's statements, and the text after it (`CLUSTER ON` can follow a key).
fn first_statement(sql: &str, strings: StandardStrings) -> Option<(&str, &str)> {
    let first = *split_statements(sql, strings).ok()?.first()?;
    let (_, after) = sql.split_once(first)?;
    Some((first, after.trim_end()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn steps(of: fn(&str, StandardStrings) -> Option<TwoSteps>, sql: &str) -> Option<(String, String)> {
        of(sql, StandardStrings::On).map(|steps| (steps.first, steps.second))
    }

    #[test]
    fn a_key_uses_an_index_that_was_made_before() {
        let sql = "ALTER TABLE ONLY s.\"T\"\n    ADD CONSTRAINT \"T_pkey\" PRIMARY KEY (id, \"a b\");\n\n\
                   ALTER TABLE s.\"T\" CLUSTER ON \"T_pkey\";\n";
        let (first, second) = steps(key, sql).unwrap();
        assert_eq!(first, "CREATE UNIQUE INDEX \"T_pkey\" ON s.\"T\" USING btree (id, \"a b\")");
        assert_eq!(
            second,
            "ALTER TABLE ONLY s.\"T\" ADD CONSTRAINT \"T_pkey\" PRIMARY KEY USING INDEX \"T_pkey\";\n\n\
             ALTER TABLE s.\"T\" CLUSTER ON \"T_pkey\";"
        );
        let sql = "ALTER TABLE ONLY t ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (a) INCLUDE (b, c) \
                   DEFERRABLE INITIALLY DEFERRED;";
        let (first, second) = steps(key, sql).unwrap();
        assert_eq!(first, "CREATE UNIQUE INDEX u ON t USING btree (a) INCLUDE (b, c) NULLS NOT DISTINCT");
        assert_eq!(
            second,
            "ALTER TABLE ONLY t ADD CONSTRAINT u UNIQUE USING INDEX u DEFERRABLE INITIALLY DEFERRED;"
        );
    }

    #[test]
    fn a_foreign_key_is_checked_afterwards() {
        let sql = "ALTER TABLE ONLY s.a\n    ADD CONSTRAINT fk FOREIGN KEY (b) REFERENCES s.b(id) ON DELETE CASCADE;\n";
        let (first, second) = steps(foreign_key, sql).unwrap();
        assert_eq!(
            first,
            "ALTER TABLE ONLY s.a\n    ADD CONSTRAINT fk FOREIGN KEY (b) REFERENCES s.b(id) ON DELETE CASCADE NOT VALID"
        );
        assert_eq!(second, "ALTER TABLE ONLY s.a VALIDATE CONSTRAINT fk;");
    }

    #[test]
    fn what_is_written_otherwise_stays_one_statement() {
        for sql in [
            "ALTER TABLE ONLY t ADD CONSTRAINT e EXCLUDE USING gist (a WITH &&);",
            "ALTER TABLE ONLY t ADD CONSTRAINT p PRIMARY KEY (id, at WITHOUT OVERLAPS);",
            "ALTER TABLE ONLY t ADD CONSTRAINT p PRIMARY KEY (id) WITH (fillfactor='70');",
            "ALTER TABLE ONLY t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;",
            "ALTER TABLE t REPLICA IDENTITY FULL;",
            "",
        ] {
            assert_eq!(steps(key, sql), None, "{sql}");
            assert_eq!(steps(foreign_key, sql), None, "{sql}");
        }
        let not_valid = "ALTER TABLE ONLY a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES b(id) NOT VALID;";
        assert_eq!(steps(foreign_key, not_valid), None);
        let (and, key_of) = ("ALTER TABLE ONLY a ADD CONSTRAINT f ", "PRIMARY KEY (b); SELECT 'x");
        assert_eq!(steps(key, &format!("{and}{key_of}")), None, "what cannot be read");
    }
}
