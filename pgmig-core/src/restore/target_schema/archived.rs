//! The tables of an archive, read from its definitions: columns, types, partitions. Pure.

use super::user_types::{UserType, UserTypes};
use crate::archive::{Archive, Entry, EntryKind};
use crate::restore::plan::expected::is_not_valid;
use crate::sql::{
    ColumnDefinition, Parser, QualifiedName, StandardStrings, TableDefinition, split_statements,
    table_definition,
};
use std::collections::{HashMap, HashSet};

/// The most generations of parents, partitioned tables or domains that are followed; no store has so many.
const MOST_ANCESTORS: usize = 32;

/// The objects that an archive defines.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    /// Tables whose definitions could not be parsed.
    unread: HashSet<QualifiedName>,
    tables: HashMap<QualifiedName, TableDefinition>,
    /// Partitions, each with its parent.
    attached: HashMap<QualifiedName, QualifiedName>,
    /// Triggers, by table and name.
    triggers: HashSet<(QualifiedName, String)>,
    /// Foreign keys that are NOT VALID, by table and name.
    pub(crate) not_valid: HashSet<(QualifiedName, String)>,
    /// Sequences, each with the table and column that it fills.
    sequences: HashMap<QualifiedName, (QualifiedName, String)>,
    /// Types that users have defined.
    types: UserTypes,
    /// Whether types of a table's own schema are written without it (archives of PostgreSQL 10 and older).
    pub(crate) is_unqualified: bool,
}

impl Definitions {
    /// Reads all definitions. A definition that cannot be parsed is no error, since the server judges the rows.
    pub(crate) fn of(archive: &Archive) -> Self {
        let has_search_path = archive.entries().iter().any(|entry| entry.kind == EntryKind::SearchPath);
        let mut definitions = Self { is_unqualified: !has_search_path, ..Self::default() };
        for entry in archive.entries() {
            definitions.take(entry);
        }
        definitions
    }

    fn take(&mut self, entry: &Entry) {
        let Some(sql) = entry.sql().and_then(|sql| sql.to_str().ok()) else { return };
        let name = entry.qualified_name();
        match entry.kind {
            EntryKind::Table => {
                let Ok(mut table) = table_definition(sql) else {
                    self.unread.insert(name);
                    return;
                };
                let inherits = table.inherits.iter_mut().chain(&mut table.partition_of);
                inherits.for_each(|parent| qualify(parent, &name));
                if let Some(parent) = table.partition_of.clone().or_else(|| attached_in(sql, &name)) {
                    self.attached.insert(name.clone(), parent);
                }
                self.tables.insert(name, table);
            }
            EntryKind::TableAttach => {
                if let Some(parent) = attached_in(sql, &name) {
                    self.attached.insert(name, parent);
                }
            }
            EntryKind::Trigger => {
                if let Some((table, trigger)) = trigger(sql, &name) {
                    self.triggers.insert((table, trigger));
                }
            }
            EntryKind::Type | EntryKind::Domain => {
                if let Some(of) = UserType::of_definition(sql) {
                    self.types.insert(name.to_string(), of);
                }
            }
            EntryKind::FkConstraint if is_not_valid(sql, StandardStrings::On) => {
                self.not_valid.extend(constraint(sql, &name));
            }
            EntryKind::SequenceOwnedBy | EntryKind::Sequence => {
                if let Some(column) = filled_by_sequence(sql) {
                    self.sequences.insert(name, column);
                }
            }
            _ => {}
        }
    }

    /// The table and column that a sequence fills, if the archive says so.
    pub(crate) fn filled_by(&self, sequence: &QualifiedName) -> Option<&(QualifiedName, String)> {
        self.sequences.get(sequence)
    }

    /// Whether the archive defines any table. An archive of rows alone does not show which triggers there were.
    pub(crate) fn any(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Whether the archive's table has a trigger of this name.
    pub(crate) fn has_trigger(&self, table: &QualifiedName, trigger: &str) -> bool {
        self.triggers.contains(&(table.clone(), trigger.to_owned()))
    }

    /// Every column of a table in the server's order, inherited columns first; `None` if the archive does not define
    /// the table.
    pub(crate) fn columns(&self, table: &QualifiedName) -> Option<Vec<ColumnDefinition>> {
        self.columns_within(table, MOST_ANCESTORS)
    }

    fn columns_within(&self, table: &QualifiedName, ancestors: usize) -> Option<Vec<ColumnDefinition>> {
        let definition = self.tables.get(table)?;
        let left = ancestors.checked_sub(1)?;
        let mut columns: Vec<ColumnDefinition> = Vec::new();
        for parent in definition.inherits.iter().chain(&definition.partition_of) {
            merge(&mut columns, self.columns_within(parent, left)?);
        }
        merge(&mut columns, definition.columns.clone());
        (definition.has_columns || !columns.is_empty()).then_some(columns)
    }

    /// Whether the archive defines a table of this name.
    pub(crate) fn knows(&self, table: &QualifiedName) -> bool {
        self.tables.contains_key(table) || self.unread.contains(table)
    }

    /// The names of all tables whose definitions are understood.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &QualifiedName> {
        self.tables.keys()
    }

    /// A column's type with its name, without the brackets of an array; `None` if no user has defined it. Archives of
    /// PostgreSQL 10 and older write the name without its schema, which is the table's.
    pub(crate) fn user_type(&self, table: &QualifiedName, of: &str) -> Option<(String, &UserType)> {
        let element = of.trim_end_matches("[]");
        let in_schema = || {
            let schema = table.schema.as_deref().filter(|_| self.is_unqualified)?;
            Some(format!("{}.{element}", crate::sql::quote_ident(schema)))
        };
        let known = |name: String| self.types.get(&name).map(|of| (name, of));
        known(element.to_owned()).or_else(|| known(in_schema()?))
    }

    /// The type beneath a column's type, with all domains resolved.
    pub(crate) fn base_type(&self, table: &QualifiedName, of: &str) -> String {
        let mut base = of.to_owned();
        for _ in 0..MOST_ANCESTORS {
            let Some((_, UserType::Domain { base: beneath, .. })) = self.user_type(table, &base) else {
                break;
            };
            let brackets = base.get(base.trim_end_matches("[]").len()..).unwrap_or_default();
            base = format!("{beneath}{brackets}");
        }
        base
    }

    /// The parents of a partition at all levels, the nearest first.
    pub(crate) fn parents(&self, table: &QualifiedName) -> Vec<&QualifiedName> {
        let mut parents = Vec::new();
        let mut at = table;
        while let Some(parent) = self.attached.get(at).filter(|_| parents.len() < MOST_ANCESTORS) {
            parents.push(parent);
            at = parent;
        }
        parents
    }
}

/// Appends the columns that are not yet in the list; a column that is in it keeps its place.
fn merge(columns: &mut Vec<ColumnDefinition>, more: Vec<ColumnDefinition>) {
    for column in more {
        if !columns.iter().any(|known| known.name == column.name) {
            columns.push(column);
        }
    }
}

/// A name without a schema belongs to the entry's own schema (archives of PostgreSQL 10 and older).
fn qualify(name: &mut QualifiedName, entry: &QualifiedName) {
    if name.schema.is_none() {
        name.schema.clone_from(&entry.schema);
    }
}

/// The parent in `ALTER TABLE ONLY parent ATTACH PARTITION child ...`. The statement may follow the CREATE TABLE of
/// the child.
fn attached_in(sql: &str, child: &QualifiedName) -> Option<QualifiedName> {
    let statements = split_statements(sql, StandardStrings::On).ok()?;
    let mut parents = statements.into_iter().filter_map(|statement| {
        let mut parser = Parser::new(statement, "ALTER TABLE", StandardStrings::On);
        parser.expect_word("alter").ok()?;
        parser.expect_word("table").ok()?;
        parser.eat_word("only");
        let mut parent = parser.qualified_name().ok()?;
        parser.expect_word("attach").ok()?;
        qualify(&mut parent, child);
        Some(parent)
    });
    parents.next()
}

/// The table and name in `CREATE TRIGGER name ... ON table ...`.
fn trigger(sql: &str, entry: &QualifiedName) -> Option<(QualifiedName, String)> {
    let mut parser = Parser::new(sql, "CREATE TRIGGER", StandardStrings::On);
    parser.expect_word("create").ok()?;
    parser.eat_word("constraint");
    parser.expect_word("trigger").ok()?;
    let name = parser.ident().ok()?;
    // UPDATE OF and column names come before ON. ON is a reserved word, so no column has that name.
    while !parser.eat_word("on") {
        parser.next()?;
    }
    let mut table = parser.qualified_name().ok()?;
    qualify(&mut table, entry);
    Some((table, name))
}

/// The table and name in `ALTER TABLE ... ADD CONSTRAINT name ...`.
fn constraint(sql: &str, entry: &QualifiedName) -> Option<(QualifiedName, String)> {
    let mut parser = Parser::new(sql, "ALTER TABLE", StandardStrings::On);
    parser.expect_word("alter").ok()?;
    parser.expect_word("table").ok()?;
    parser.eat_word("only");
    let mut table = parser.qualified_name().ok()?;
    qualify(&mut table, entry);
    parser.expect_word("add").ok()?;
    parser.expect_word("constraint").ok()?;
    Some((table, parser.ident().ok()?))
}

/// The column in `ALTER SEQUENCE ... OWNED BY schema.table.column`, or the identity column in `ALTER TABLE
/// schema.table ALTER COLUMN column ADD GENERATED ...`. Older archives omit the schema; these statements are ignored.
fn filled_by_sequence(sql: &str) -> Option<(QualifiedName, String)> {
    let mut parser = Parser::new(sql, "ALTER", StandardStrings::On);
    parser.expect_word("alter").ok()?;
    if parser.eat_word("table") {
        parser.eat_word("only");
        let table = parser.qualified_name().ok()?;
        parser.expect_word("alter").ok()?;
        parser.expect_word("column").ok()?;
        let column = parser.ident().ok()?;
        parser.expect_word("add").ok()?;
        parser.expect_word("generated").ok()?;
        return Some((table, column));
    }
    parser.expect_word("sequence").ok()?;
    parser.qualified_name().ok()?;
    parser.expect_word("owned").ok()?;
    parser.expect_word("by").ok()?;
    let table = parser.qualified_name().ok()?;
    parser.expect_symbol(b'.', "a column").ok()?;
    Some((table, parser.ident().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn table(name: &str) -> QualifiedName {
        QualifiedName::new("s", name)
    }

    #[test]
    fn inherited_columns_come_first() {
        let mut definitions = Definitions::default();
        let mut define = |name: &str, sql: &str| {
            let mut definition = table_definition(sql).unwrap();
            definition.inherits.iter_mut().for_each(|parent| qualify(parent, &table(name)));
            definitions.tables.insert(table(name), definition);
        };
        define("base", "CREATE TABLE s.base (\n id int,\n at date\n);");
        define("child", "CREATE TABLE s.child (\n at date,\n more text\n)\nINHERITS (base);");
        let names: Vec<_> = definitions.columns(&table("child")).unwrap();
        assert_eq!(names.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id", "at", "more"]);
        assert_eq!(definitions.columns(&table("absent")), None);
    }

    #[test]
    fn partitions_are_found_in_both_forms() {
        let attach = "ALTER TABLE ONLY s.log ATTACH PARTITION s.log_1 FOR VALUES FROM (1) TO (2);";
        assert_eq!(attached_in(attach, &table("log_1")), Some(table("log")));
        let both =
            "CREATE TABLE s.log_1 (\n id int\n);\nALTER TABLE ONLY log ATTACH PARTITION log_1 DEFAULT;";
        assert_eq!(attached_in(both, &table("log_1")), Some(table("log")));
        assert_eq!(attached_in("CREATE TABLE s.x (\n id int\n);", &table("x")), None);
    }

    #[test]
    fn triggers_are_named_with_their_table() {
        let sql = "CREATE TRIGGER \"t 1\" BEFORE INSERT OR UPDATE OF a, b ON s.x FOR EACH ROW EXECUTE FUNCTION s.f();";
        assert_eq!(trigger(sql, &table("x t 1")), Some((table("x"), "t 1".to_owned())));
        let sql =
            "CREATE CONSTRAINT TRIGGER c AFTER INSERT ON x DEFERRABLE FOR EACH ROW EXECUTE PROCEDURE f();";
        assert_eq!(trigger(sql, &table("c")), Some((table("x"), "c".to_owned())));
    }
}
