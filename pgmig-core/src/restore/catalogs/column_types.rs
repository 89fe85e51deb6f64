//! The types of all columns of user tables: how their values are hashed, and why two equal values can have different texts.

use super::tables::{COLUMNS, PARTS, ancestors};
use crate::digest::Form;
use crate::error::Result;
use crate::server::session::Session;
use crate::sql::QualifiedName;
use std::collections::{BTreeSet, HashMap, HashSet};

/// All user tables.
#[derive(Debug, Default)]
pub(crate) struct TableTypes {
    /// The columns of each table, in their order. Generated columns are not among them.
    pub(crate) tables: HashMap<QualifiedName, Vec<ColumnType>>,
    /// Partitioned tables.
    pub(crate) partitioned: HashSet<QualifiedName>,
    /// The tables that each partition belongs to, the nearest first.
    pub(crate) ancestors: HashMap<QualifiedName, Vec<QualifiedName>>,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnType {
    pub(crate) column: String,
    /// The type's name, for messages.
    pub(crate) name: String,
    pub(crate) form: Form,
    /// The type without its domains.
    base: u32,
    /// The OIDs of all types that it consists of, except domains.
    parts: BTreeSet<u32>,
    has_multirange: bool,
    /// Whether one of them is a base type that is not PostgreSQL's own.
    is_foreign: bool,
}

/// What is known of the rows of a table that were sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The major version of the server that wrote the archive.
    pub(crate) server: Option<u32>,
    /// Whether IDs were replaced in the column.
    pub(crate) is_rewritten: bool,
    /// Whether the table's column is the target's own, and its type can be another than the archive's.
    pub(crate) is_targets: bool,
    /// Whether the server converted the encoding.
    pub(crate) is_converted: bool,
}

// OIDs of built-in types, the same in every server (`pg_type.dat`).
const BYTEA: u32 = 17;
const INT2: u32 = 21;
const INT4: u32 = 23;
const UUID: u32 = 2950;
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const XML: u32 = 142;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const MONEY: u32 = 790;
const TIMESTAMPTZ: u32 = 1184;
const INTERVAL: u32 = 1186;
const JSONB: u32 = 3802;
/// point, lseg, path, box, polygon, line, circle.
const GEOMETRIC: [u32; 7] = [600, 601, 602, 603, 604, 628, 718];
/// regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary, regnamespace, regrole,
/// regcollation.
const NAMES_OF_OBJECTS: [u32; 11] = [24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191];
/// tsvector, tsquery.
const TEXT_SEARCH: [u32; 2] = [3614, 3615];
/// bool, int8, int2, int4, text, varchar, date, timestamptz, uuid, float8: whatever type the backup's column has, the server
/// takes a text of it unchanged or refuses it.
const SAME_IN_ANY_TABLE: [u32; 10] = [16, 20, INT2, INT4, TEXT, VARCHAR, 1082, TIMESTAMPTZ, UUID, FLOAT8];

impl TableTypes {
    /// Reads them from the catalogs.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub(crate) async fn read(session: &mut Session) -> Result<Self> {
        let parts = Parts::read(session).await?;
        let sql = format!(
            "SELECT n.nspname, c.relname, c.relkind, a.attname, a.atttypid, \
             pg_catalog.format_type(a.atttypid, NULL) {COLUMNS} AND a.attgenerated = '' ORDER BY c.oid, a.attnum"
        );
        let mut types = Self { ancestors: ancestors(session).await?, ..Self::default() };
        for row in session.rows(&sql, "list the types of the columns").await? {
            let table = QualifiedName::new(row.text(0), row.text(1));
            if row.text(2) == "p" {
                types.partitioned.insert(table.clone());
            }
            let column = parts.column(row.text(3), row.number(4), row.text(5));
            types.tables.entry(table).or_default().push(column);
        }
        Ok(types)
    }
}

/// The components of types.
#[derive(Debug, Default)]
struct Parts {
    /// The base type of each domain.
    domains: HashMap<u32, u32>,
    /// The components of each type of a column, itself included.
    of: HashMap<u32, BTreeSet<u32>>,
    /// Base types that are not PostgreSQL's own.
    foreign: HashSet<u32>,
    multiranges: HashSet<u32>,
}

impl Parts {
    async fn read(session: &mut Session) -> Result<Self> {
        let sql = format!(
            "WITH RECURSIVE part AS ({PARTS}), used AS ( \
                SELECT DISTINCT a.atttypid AS whole, a.atttypid AS oid {COLUMNS} \
                UNION SELECT u.whole, p.part FROM used u JOIN part p ON p.whole = u.oid) \
             SELECT u.whole, u.oid, t.typtype = 'd', t.typbasetype, \
                 t.typtype = 'b' AND t.typelem = 0 AND n.nspname <> 'pg_catalog', t.typtype = 'm' \
             FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid \
             JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
        );
        let mut parts = Self::default();
        for row in session.rows(&sql, "list the components of types").await? {
            let (whole, part) = (row.number(0), row.number(1));
            parts.of.entry(whole).or_default().insert(part);
            if row.is_true(2) {
                parts.domains.insert(part, row.number(3));
            }
            if row.is_true(4) {
                parts.foreign.insert(part);
            }
            if row.is_true(5) {
                parts.multiranges.insert(part);
            }
        }
        Ok(parts)
    }

    fn column(&self, column: &str, oid: u32, name: &str) -> ColumnType {
        let mut base = oid;
        // No real domain is nested so deep.
        for _ in 0..50 {
            base = self.domains.get(&base).copied().unwrap_or(base);
        }
        let mut parts = self.of.get(&oid).cloned().unwrap_or_default();
        parts.retain(|part| !self.domains.contains_key(part));
        let is_foreign = parts.iter().any(|part| self.foreign.contains(part));
        let has_multirange = parts.iter().any(|part| self.multiranges.contains(part));
        let form = match base {
            TEXT | VARCHAR => Form::Text,
            INT2 | INT4 => Form::Integer,
            UUID => Form::Uuid,
            FLOAT4 => Form::Float4,
            FLOAT8 => Form::Float8,
            TIMESTAMPTZ => Form::Timestamptz,
            BYTEA => Form::Bytea,
            _ => Form::Output,
        };
        let (column, name) = (column.to_owned(), name.to_owned());
        ColumnType { column, name, form, base, parts, has_multirange, is_foreign }
    }
}

impl ColumnType {
    /// Why values that are equal can have another text than the one that was sent. `None`: they cannot.
    pub(crate) fn doubt(&self, origin: Origin) -> Option<&'static str> {
        let is_older = |version| origin.server.is_some_and(|server| server < version);
        let has = |oid: u32| self.parts.contains(&oid);
        let has_any = |oids: &[u32]| oids.iter().any(|oid| has(*oid));
        let is_read = !matches!(self.form, Form::Text | Form::Output);
        if self.is_foreign {
            return Some("its type is an extension's or a user's");
        }
        if has(MONEY) {
            return Some("its text depends on lc_monetary");
        }
        if has(XML) {
            return Some("the server writes XML in its own way");
        }
        if has(BYTEA) && !is_read {
            return Some("the text of its bytea depends on bytea_output");
        }
        if has(TIMESTAMPTZ) && !is_read {
            return Some("its text depends on the time zone");
        }
        if is_older(12) && !is_read && (has(FLOAT4) || has(FLOAT8) || has_any(&GEOMETRIC)) {
            return Some("PostgreSQL earlier than 12 wrote its numbers with other digits");
        }
        if is_older(9) && has_any(&[BYTEA, INTERVAL]) {
            return Some("PostgreSQL earlier than 9.0 wrote it in another form");
        }
        if has_any(&NAMES_OF_OBJECTS) {
            return Some("it names objects of the database");
        }
        let is_ordered = has(JSONB) || has_any(&TEXT_SEARCH) || self.has_multirange;
        if origin.is_rewritten && is_ordered {
            return Some("IDs in it were replaced, and the server orders its parts anew");
        }
        if origin.is_converted && !is_read {
            return Some("the server converted its encoding");
        }
        if origin.is_targets && !SAME_IN_ANY_TABLE.contains(&self.base) {
            return Some("the target's column may have another type than the backup's");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin =
        Origin { server: Some(15), is_rewritten: false, is_targets: false, is_converted: false };

    fn column(oid: u32, parts: &[u32]) -> ColumnType {
        let of = HashMap::from([(oid, parts.iter().chain([&oid]).copied().collect())]);
        Parts { of, ..Parts::default() }.column("a", oid, "of a test")
    }

    #[test]
    fn only_what_can_differ_is_in_doubt() {
        const UUID_ARRAY: u32 = 2951;
        const FLOAT8_ARRAY: u32 = 1022;
        const TSTZRANGE: u32 = 3910;
        let rewritten = Origin { is_rewritten: true, ..ORIGIN };
        let old = Origin { server: Some(11), ..ORIGIN };
        let targets = Origin { is_targets: true, ..ORIGIN };
        for oid in [INT4, TEXT, UUID, FLOAT8, TIMESTAMPTZ, JSONB, BYTEA] {
            assert_eq!(column(oid, &[]).doubt(ORIGIN), None, "{oid}");
        }
        for oid in [INT4, TEXT, UUID, FLOAT8, TIMESTAMPTZ] {
            for origin in [rewritten, old, targets] {
                assert_eq!(column(oid, &[]).doubt(origin), None, "{oid}");
            }
        }
        assert!(column(MONEY, &[]).doubt(ORIGIN).is_some());
        assert!(column(TSTZRANGE, &[TIMESTAMPTZ]).doubt(ORIGIN).is_some());
        assert!(column(JSONB, &[]).doubt(rewritten).is_some());
        assert_eq!(column(UUID_ARRAY, &[UUID]).doubt(rewritten), None);
        assert_eq!(column(FLOAT8_ARRAY, &[FLOAT8]).doubt(ORIGIN), None);
        assert!(column(FLOAT8_ARRAY, &[FLOAT8]).doubt(old).is_some());
        assert!(column(1700, &[]).doubt(targets).is_some());
    }
}
