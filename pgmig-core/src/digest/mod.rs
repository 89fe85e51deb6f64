//! Sums of hashes of rows that do not depend on the order of the rows. The server computes the same by a query, so that rows
//! that were sent can be compared with rows that a table has.
//!
//! For each column there is a sum of the hashes of its values, and one sum of the hashes of whole rows: values that are
//! exchanged between two rows change only that one.

mod lookup3;
mod timestamp;

use crate::copy::{decode_field, fields};
use crate::sql::{QualifiedName, quote_ident, quote_literal};
use lookup3::{hash_bytes, hash_int8};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

/// The hash of NULL.
const NULL: u64 = 1;

/// How many columns are hashed by one nested expression: the server's stack has a limit.
const NESTED: usize = 50;

/// How a value is hashed: by its text, or by its binary form where a value has several texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The type is text or varchar.
    Text,
    /// The text of the type's output function.
    Output,
    /// The type is smallint or integer. Their binary form is hashed because it is cheaper.
    Integer,
    /// The binary form is cheaper here, too.
    Uuid,
    /// PostgreSQL earlier than 12 wrote other digits.
    Float4,
    /// PostgreSQL earlier than 12 wrote other digits.
    Float8,
    /// pg_dump writes the time of its session's time zone.
    Timestamptz,
    /// The source's `bytea_output` decides about the text; only its hexadecimal form can be compared.
    Bytea,
}

/// A column of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) form: Form,
}

/// The columns of a table's rows, in the order of their fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    /// The places of the columns in the order of their names: partitions can have their columns in different orders.
    sorted: Vec<usize>,
    /// The encoding of the rows, if the database has another one.
    encoding: Option<String>,
}

/// The sums of some rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) rows: u64,
    /// By column, in the order of the columns' names.
    pub(crate) columns: Vec<i128>,
    pub(crate) whole: i128,
    /// Columns with a value whose binary form is not known, by the same order.
    pub(crate) unread: Vec<bool>,
}

/// Computes a digest of rows as COPY text.
pub(crate) struct Digester {
    columns: Arc<Columns>,
    digest: Digest,
    /// The hashes of a row, in the order of its fields.
    hashes: Vec<u64>,
    /// The same, in the order of the columns' names.
    by_name: Vec<u64>,
}

impl Columns {
    pub(crate) fn new(columns: Vec<Column>, encoding: Option<String>) -> Self {
        let mut sorted: Vec<usize> = (0..columns.len()).collect();
        sorted.sort_by(|one, other| name(&columns, *one).cmp(name(&columns, *other)));
        Self { columns, sorted, encoding }
    }

    /// The names of the columns, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sorted.iter().map(|place| name(&self.columns, *place))
    }

    /// The query that computes the digest of a table: the number of rows, the sums of the columns, and the sum of whole rows.
    pub(crate) fn query(&self, table: &QualifiedName, with_partitions: bool) -> String {
        let only = if with_partitions { "" } else { "ONLY " };
        let in_order = || self.sorted.iter().filter_map(|place| self.columns.get(*place)).enumerate();
        let mut sql = "SELECT pg_catalog.count(*)".to_owned();
        for (number, _) in in_order() {
            let _ = write!(sql, ", COALESCE(pg_catalog.sum(h{number}), 0)");
        }
        let _ = write!(sql, ", COALESCE(pg_catalog.sum({}), 0) FROM (SELECT true AS is_row", self.folded());
        for (number, column) in in_order() {
            let _ = write!(sql, ", {} AS h{number}", self.hash_of(column));
        }
        // OFFSET keeps the server from computing each hash twice.
        let _ = write!(sql, " FROM {only}{table} OFFSET 0) hashes");
        sql
    }

    /// The hash of a value, as SQL.
    fn hash_of(&self, column: &Column) -> String {
        let name = quote_ident(&column.name);
        // IS NULL is true of a composite value whose fields are all NULL.
        let of_value =
            |hash: String| format!("CASE WHEN {name} IS NOT DISTINCT FROM NULL THEN {NULL} ELSE {hash} END");
        let text = match column.form {
            Form::Integer => {
                return of_value(format!("pg_catalog.hashint4extended({name}::pg_catalog.int4, 0)"));
            }
            Form::Uuid => return of_value(format!("pg_catalog.uuid_hash_extended({name}, 0)")),
            Form::Text => format!("{name}::pg_catalog.text"),
            // By the output function, whatever casts to text there are.
            Form::Output | Form::Bytea => format!("pg_catalog.concat({name})"),
            Form::Float4 => format!("pg_catalog.encode(pg_catalog.float4send({name}), 'hex')"),
            Form::Float8 => format!("pg_catalog.encode(pg_catalog.float8send({name}), 'hex')"),
            Form::Timestamptz => format!("pg_catalog.encode(pg_catalog.timestamptz_send({name}), 'hex')"),
        };
        let text = match (&self.encoding, column.form) {
            (Some(encoding), Form::Text | Form::Output) => {
                let encoding = quote_literal(encoding);
                format!("pg_catalog.encode(pg_catalog.convert_to({text}, {encoding}), 'hex')")
            }
            _ => text,
        };
        of_value(format!("pg_catalog.hashtextextended(({text}) COLLATE pg_catalog.\"C\", 0)"))
    }

    /// The hash of the hashes of a row, as SQL.
    fn folded(&self) -> String {
        let nested = |hashes: Vec<String>| {
            hashes
                .iter()
                .fold("0".to_owned(), |folded, hash| format!("pg_catalog.hashint8extended({hash}, {folded})"))
        };
        let names: Vec<String> = (0..self.columns.len()).map(|number| format!("h{number}")).collect();
        nested(names.chunks(NESTED).map(|names| nested(names.to_vec())).collect())
    }
}

fn name(columns: &[Column], place: usize) -> &str {
    columns.get(place).map_or("", |column| &column.name)
}

/// The hash of the hashes of a row, in the order of the columns' names.
fn fold(hashes: &[u64]) -> u64 {
    let nested =
        |hashes: &mut dyn Iterator<Item = u64>| hashes.fold(0, |folded, hash| hash_int8(hash, folded));
    nested(&mut hashes.chunks(NESTED).map(|hashes| nested(&mut hashes.iter().copied())))
}

impl Digest {
    pub(crate) fn of_no_rows(columns: &Columns) -> Self {
        let columns = columns.columns.len();
        Self { rows: 0, columns: vec![0; columns], whole: 0, unread: vec![false; columns] }
    }

    /// The digest of both sets of rows.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.whole += other.whole;
        for (sum, more) in self.columns.iter_mut().zip(&other.columns) {
            *sum += more;
        }
        for (unread, more) in self.unread.iter_mut().zip(&other.unread) {
            *unread |= more;
        }
    }
}

impl Digester {
    pub(crate) fn new(columns: &Arc<Columns>) -> Self {
        let count = columns.columns.len();
        Self {
            columns: Arc::clone(columns),
            digest: Digest::of_no_rows(columns),
            hashes: Vec::with_capacity(count),
            by_name: Vec::with_capacity(count),
        }
    }

    /// Adds whole rows.
    pub(crate) fn push(&mut self, run: &[u8]) {
        crate::copy::rows(run).for_each(|row| self.row(row));
    }

    fn row(&mut self, row: &[u8]) {
        self.hashes.clear();
        for (place, (column, field)) in self.columns.columns.iter().zip(fields(row)).enumerate() {
            let value = decode_field(field);
            let hash = value.map_or(Some(NULL), |value| self.columns.hash(column, value));
            if hash.is_none()
                && let Some(at) = self.columns.sorted.iter().position(|sorted| *sorted == place)
                && let Some(unread) = self.digest.unread.get_mut(at)
            {
                *unread = true;
            }
            self.hashes.push(hash.unwrap_or_default());
        }
        let hashes = &self.hashes;
        let sorted = self.columns.sorted.iter();
        self.by_name.clear();
        self.by_name.extend(sorted.map(|place| hashes.get(*place).copied().unwrap_or_default()));
        for (sum, hash) in self.digest.columns.iter_mut().zip(&self.by_name) {
            *sum += i128::from(hash.cast_signed());
        }
        self.digest.whole += i128::from(fold(&self.by_name).cast_signed());
        self.digest.rows += 1;
    }

    pub(crate) fn finish(self) -> Digest {
        self.digest
    }
}

impl Columns {
    /// The hash of a value; `None` if its text cannot be read.
    fn hash(&self, column: &Column, value: Cow<'_, [u8]>) -> Option<u64> {
        let text = || std::str::from_utf8(&value).ok();
        Some(match column.form {
            Form::Text | Form::Output if self.encoding.is_some() => hash_bytes(&hex(&value)),
            Form::Text | Form::Output => hash_bytes(&value),
            Form::Bytea if !value.starts_with(b"\\x") => return None,
            Form::Bytea => hash_bytes(&value),
            Form::Integer => hash_int8(text()?.parse::<i64>().ok()?.cast_unsigned(), 0),
            Form::Uuid => hash_bytes(text()?.parse::<uuid::Uuid>().ok()?.as_bytes()),
            Form::Float4 => hash_bytes(&hex(&text()?.parse::<f32>().ok()?.to_be_bytes())),
            Form::Float8 => hash_bytes(&hex(&text()?.parse::<f64>().ok()?.to_be_bytes())),
            Form::Timestamptz => hash_bytes(&hex(&timestamp::read(text()?)?.to_be_bytes())),
        })
    }
}

/// Bytes as `encode(..., 'hex')` writes them.
fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A text, and the hash of it that the server has to compute. A big-endian machine computes another one.
pub(crate) fn probe() -> (&'static str, i64) {
    const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    (TEXT, hash_bytes(TEXT.as_bytes()).cast_signed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn columns(names: &[&str]) -> Columns {
        let column = |name: &&str| Column { name: (*name).to_owned(), form: Form::Output };
        Columns::new(names.iter().map(column).collect(), None)
    }

    fn digest(columns: &Columns, rows: &str) -> Digest {
        let mut digester = Digester::new(&Arc::new(columns.clone()));
        digester.push(rows.as_bytes());
        digester.finish()
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_everything_else_does() {
        let columns = columns(&["a", "b"]);
        let of = |rows: &str| digest(&columns, rows);
        let rows = of("1\tx\n2\ty\n");
        assert_eq!(rows.rows, 2);
        assert_eq!(rows, of("2\ty\n1\tx\n"));
        let mut parts = of("2\ty\n");
        parts.add(&of("1\tx\n"));
        assert_eq!(rows, parts);
        // Values that are exchanged between rows leave the sums of the columns alone.
        let exchanged = of("1\ty\n2\tx\n");
        assert_eq!(exchanged.columns, rows.columns);
        assert_ne!(exchanged.whole, rows.whole);
        for other in ["1\tx\n2\tz\n", "1\tx\n2\t\\N\n", "1\tx\n2\t\n", "1\tx\n", "1\tx\n2\ty\n2\ty\n"] {
            let other = of(other);
            assert!(other.columns != rows.columns && other.whole != rows.whole);
        }
    }

    #[test]
    fn the_order_of_columns_does_not_matter() {
        let one = digest(&columns(&["a", "b", "c"]), "1\t\\N\tx\\ty\n");
        assert_eq!(one, digest(&columns(&["c", "a", "b"]), "x\\ty\t1\t\\N\n"));
        assert_ne!(one, digest(&columns(&["c", "b", "a"]), "x\\ty\t1\t\\N\n"));
    }

    #[test]
    fn texts_of_one_number_are_one_value() {
        let of = |form, value: &str| {
            let columns = Columns::new(vec![Column { name: "a".to_owned(), form }], None);
            digest(&columns, &format!("{value}\n"))
        };
        for (form, one, other) in [
            (Form::Float8, "0.10000000000000001", "0.1"),
            (Form::Float4, "0.100000001", "0.1"),
            (Form::Float8, "Infinity", "inf"),
            (Form::Uuid, "6F9619FF-8B86-4011-B42D-00C04FC964FF", "6f9619ff-8b86-4011-b42d-00c04fc964ff"),
            (Form::Integer, "-0", "0"),
            (Form::Timestamptz, "2020-06-01 12:00:00+02", "2020-06-01 10:00:00+00"),
        ] {
            assert_eq!(of(form, one), of(form, other), "{one}");
            assert_ne!(of(Form::Output, one), of(Form::Output, other), "{one}");
        }
        assert_ne!(of(Form::Float8, "0"), of(Form::Float8, "-0"));
        assert_eq!(of(Form::Bytea, "\\\\x616263").unread, [false]);
        assert_eq!(of(Form::Bytea, "abc").unread, [true]);
        assert_eq!(of(Form::Float8, "one").unread, [true]);
        assert_eq!(of(Form::Timestamptz, "2020-06-01 12:00:00").unread, [true]);
    }

    #[test]
    fn the_query_names_nothing_that_is_not_the_systems() {
        let mut columns = columns(&["b", "a\"b"]);
        columns.encoding = Some("LATIN1".to_owned());
        let sql = columns.query(&QualifiedName::new("s", "T"), false);
        assert!(sql.contains("FROM ONLY s.\"T\" OFFSET 0"), "{sql}");
        assert!(sql.contains("concat(\"a\"\"b\"), 'LATIN1')"), "{sql}");
        let mut rest = sql.as_str();
        while let Some(at) = rest.find('(') {
            let before: String =
                rest[..at].chars().rev().take_while(|c| c.is_alphanumeric() || "_.".contains(*c)).collect();
            let function: String = before.chars().rev().collect();
            assert!(
                function.is_empty() || function.starts_with("pg_catalog.") || function == "COALESCE",
                "{function}"
            );
            rest = &rest[at + 1..];
        }
    }

    #[test]
    fn many_columns_are_not_nested_deeply() {
        let names: Vec<String> = (0..1600).map(|number| format!("c{number:04}")).collect();
        let columns = columns(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let deepest = columns.folded().chars().fold((0_usize, 0), |(depth, deepest), c| {
            let depth = match c {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            };
            (depth, deepest.max(depth))
        });
        assert!(deepest.1 < 100, "{}", deepest.1);
    }
}
