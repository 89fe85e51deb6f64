//! The contents of a database, read through PostgreSQL as decoded values.

use super::database::Database;
use serde_json::Value;

/// A table, a partitioned table, or a materialized view.
#[derive(Debug)]
pub(crate) struct Relation {
    /// Schema and name as SQL.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    Partition,
    /// The root of a tree of partitions. It contains their rows.
    Root,
    MaterializedView,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) is_json: bool,
    /// The dump does not contain it, because it is computed from other columns.
    pub(crate) is_generated: bool,
}

/// Values as text, `None` for NULL.
pub(crate) type Row = Vec<Option<String>>;

const RELATIONS: &str = "
    SELECT json_build_array(
        format('%I.%I', n.nspname, c.relname), c.relkind, c.relispartition,
        COALESCE((SELECT json_agg(json_build_array(a.attname,
                      COALESCE(NULLIF(t.typbasetype, 0), t.oid)::regtype IN ('json', 'jsonb'), a.attgenerated <> '')
                  ORDER BY a.attnum)
                  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND c.relispopulated AND n.nspname !~ '^(pg_|information_schema$)'
      AND NOT (c.relkind = 'p' AND c.relispartition)";

impl Relation {
    /// All relations of a database that hold rows.
    #[track_caller]
    pub(crate) fn all(database: &Database) -> Vec<Self> {
        let mut relations: Vec<_> = database.psql(RELATIONS).lines().map(Self::parse).collect();
        relations.sort_by(|one, other| one.name.cmp(&other.name));
        relations
    }

    fn parse(line: &str) -> Self {
        let (name, kind, is_partition, columns): (String, char, bool, Vec<(String, bool, bool)>) =
            serde_json::from_str(line).expect("PostgreSQL makes JSON");
        let kind = match (kind, is_partition) {
            ('r', true) => Kind::Partition,
            ('p', _) => Kind::Root,
            ('m', _) => Kind::MaterializedView,
            _ => Kind::Table,
        };
        let column = |(name, is_json, is_generated)| Column { name, is_json, is_generated };
        Self { name, kind, columns: columns.into_iter().map(column).collect() }
    }

    /// The rows, in no order. Rows of a root include those of its partitions, but rows of a table do not include its
    /// children's.
    #[track_caller]
    pub(crate) fn rows(&self, database: &Database) -> Vec<Row> {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("{}::text", super::database::quoted(&column.name)))
            .collect();
        let only = if self.kind == Kind::Root { "" } else { "ONLY " };
        let sql = format!("SELECT json_build_array({}) FROM {only}{}", columns.join(", "), self.name);
        let rows = database.psql(&sql);
        rows.lines().map(|line| row(serde_json::from_str(line).expect("PostgreSQL makes JSON"))).collect()
    }
}

fn row(values: Vec<Value>) -> Row {
    let value = |value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => panic!("{other} is no text"),
    };
    values.into_iter().map(value).collect()
}
