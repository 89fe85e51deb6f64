//! The staging database's tables into which rows are loaded, read from its catalogs.

use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::rewrite::Shape;
use crate::server::session::Session;
use crate::sql::QualifiedName;
use std::collections::HashMap;

/// All tables as the catalogs describe them. This does not change while rows are loaded.
#[derive(Debug, Default)]
pub(crate) struct TableFacts {
    pub(crate) columns: Columns,
    /// The partitioned tables that each partition belongs to, at all levels.
    pub(crate) ancestors: HashMap<QualifiedName, Vec<QualifiedName>>,
    /// Partitions whose rows may belong to another partition, each with the root of its tree.
    pub(crate) roots: HashMap<QualifiedName, QualifiedName>,
}

impl TableFacts {
    pub(crate) async fn read(staging: &mut Session) -> Result<Self> {
        Ok(Self {
            columns: columns(staging).await?,
            ancestors: ancestors(staging).await?,
            roots: partition_roots(staging).await?,
        })
    }
}

/// The columns of each table, in their order, by schema and name of the table.
pub(crate) type Columns = HashMap<(String, String), Vec<(String, Shape)>>;

/// Finds the columns of all tables. The catalogs are complete, while an archive's definition of a child table or
/// partition may not list all columns.
async fn columns(staging: &mut Session) -> Result<Columns> {
    let shapes = shapes(staging).await?;
    let sql =
        format!("SELECT n.nspname, c.relname, a.attname, a.atttypid {COLUMNS} ORDER BY c.oid, a.attnum");
    let rows = staging.rows(&sql, "list the columns").await?;
    let mut columns = Columns::new();
    for row in &rows {
        let table = (row.text(0).to_owned(), row.text(1).to_owned());
        columns.entry(table).or_default().push((row.text(2).to_owned(), shapes.of(row.number(3))));
    }
    Ok(columns)
}

// `rngmultitypid` exists from PostgreSQL 14 on.
/// The components of types: the type, how it consists of them, the component, and its place.
pub(super) const PARTS: &str = "\
    SELECT oid AS whole, 'domain' AS kind, typbasetype AS part, 0 AS place FROM pg_catalog.pg_type \
    WHERE typtype = 'd' \
    UNION ALL SELECT oid, 'array', typelem, 0 FROM pg_catalog.pg_type \
    WHERE typtype = 'b' AND typelem <> 0 AND typlen = -1 \
    UNION ALL SELECT rngtypid, 'range', rngsubtype, 0 FROM pg_catalog.pg_range \
    UNION ALL SELECT m.oid, 'multirange', m.rngtypid, 0 FROM ( \
    SELECT (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid AS oid, rngtypid \
    FROM pg_catalog.pg_range r) m WHERE m.oid IS NOT NULL \
    UNION ALL SELECT c.reltype, 'record', a.atttypid, a.attnum FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
    WHERE c.reltype <> 0 AND a.attnum > 0 AND NOT a.attisdropped";

/// The columns of user tables.
pub(super) const COLUMNS: &str = "FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND a.attnum > 0 AND NOT a.attisdropped";

/// Finds the components of all column types.
async fn shapes(staging: &mut Session) -> Result<Shapes> {
    let sql = format!(
        "WITH RECURSIVE part AS ({PARTS}), \
        used AS ( \
            SELECT DISTINCT a.atttypid AS oid {COLUMNS} \
            UNION SELECT p.part FROM used JOIN part p ON p.whole = used.oid) \
        SELECT p.whole, p.kind, p.part FROM used JOIN part p ON p.whole = used.oid ORDER BY p.whole, p.place"
    );
    let rows = staging.rows(&sql, "list the types of the columns").await?;
    let mut shapes = Shapes::default();
    for row in &rows {
        let parts = shapes.parts.entry(row.number(0)).or_insert_with(|| (row.text(1).to_owned(), Vec::new()));
        parts.1.push(row.number(2));
    }
    Ok(shapes)
}

/// Column types that consist of other types: by OID, the kind and the OIDs of the components.
#[derive(Debug, Default)]
struct Shapes {
    parts: HashMap<u32, (String, Vec<u32>)>,
}

/// OIDs of built-in types, the same in every server (`pg_type.dat`).
const BYTEA: u32 = 17;
const JSON: [u32; 2] = [114, 3802];

/// How deep pgmig looks into a type. No type contains itself, and no real type is nested so deep.
const MAX_DEPTH: usize = 50;

impl Shapes {
    fn of(&self, oid: u32) -> Shape {
        self.at_depth(oid, 0).simplified()
    }

    fn at_depth(&self, oid: u32, depth: usize) -> Shape {
        let Some((kind, parts)) = self.parts.get(&oid).filter(|_| depth < MAX_DEPTH) else {
            return match oid {
                BYTEA => Shape::Bytea,
                _ if JSON.contains(&oid) => Shape::Json,
                _ => Shape::Text,
            };
        };
        let mut shapes = parts.iter().map(|part| self.at_depth(*part, depth + 1));
        match kind.as_str() {
            "record" => Shape::Record(shapes.collect()),
            kind => match (kind, shapes.next().unwrap_or_default()) {
                ("array", element) => Shape::Array(Box::new(element)),
                ("range", bound) => Shape::Range(Box::new(bound)),
                ("multirange", range) => Shape::Multirange(Box::new(range)),
                (_, base) => base,
            },
        }
    }
}

/// Finds the tables of which each table is a partition, at all levels. A profile may name columns by these tables,
/// too.
pub(super) async fn ancestors(staging: &mut Session) -> Result<HashMap<QualifiedName, Vec<QualifiedName>>> {
    let sql = "\
        WITH RECURSIVE up AS ( \
            SELECT c.oid AS leaf, i.inhparent AS node FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid WHERE c.relispartition AND c.relkind = 'r' \
            UNION ALL SELECT up.leaf, i.inhparent FROM up JOIN pg_catalog.pg_class c ON c.oid = up.node \
            JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.node WHERE c.relispartition) \
        SELECT ln.nspname, l.relname, n.nspname, c.relname FROM up \
        JOIN pg_catalog.pg_class l ON l.oid = up.leaf JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace \
        JOIN pg_catalog.pg_class c ON c.oid = up.node JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";
    let rows = staging.rows(sql, "find what partitions belong to").await?;
    let mut ancestors: HashMap<QualifiedName, Vec<QualifiedName>> = HashMap::new();
    for row in &rows {
        let leaf = QualifiedName::new(row.text(0), row.text(1));
        ancestors.entry(leaf).or_default().push(QualifiedName::new(row.text(2), row.text(3)));
    }
    Ok(ancestors)
}

/// Finds the partitions whose rows may belong to another partition after IDs are replaced, each with the root of its
/// tree. A row surely stays only if all partition keys have types that cannot hold an ID. In all other cases,
/// expressions included, the server routes the row again.
pub(crate) async fn partition_roots(staging: &mut Session) -> Result<HashMap<QualifiedName, QualifiedName>> {
    let sql = "\
        WITH RECURSIVE up AS ( \
            SELECT c.oid AS leaf, c.oid AS node FROM pg_catalog.pg_class c WHERE c.relispartition AND c.relkind = 'r' \
            UNION ALL SELECT up.leaf, i.inhparent FROM up JOIN pg_catalog.pg_class c ON c.oid = up.node \
            JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.node WHERE c.relispartition), \
        moving AS ( \
            SELECT DISTINCT up.leaf FROM up JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = up.node \
            CROSS JOIN pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) k \
            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k \
            WHERE k = 0 OR a.atttypid <> ALL ( \
                '{bool,int2,int4,int8,numeric,float4,float8,oid,date,time,timetz,timestamp,timestamptz,interval}' \
                ::pg_catalog.regtype[]::pg_catalog.oid[])) \
        SELECT ln.nspname, l.relname, rn.nspname, r.relname FROM moving \
        JOIN up ON up.leaf = moving.leaf JOIN pg_catalog.pg_class r ON r.oid = up.node AND NOT r.relispartition \
        JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace \
        JOIN pg_catalog.pg_class l ON l.oid = up.leaf JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace";
    let rows = staging.rows(sql, "find the partitioned tables").await?;
    let pair = |row: &crate::server::session::TextRow| {
        let leaf = QualifiedName::new(row.text(0), row.text(1));
        (leaf, QualifiedName::new(row.text(2), row.text(3)))
    };
    Ok(rows.iter().map(pair).collect())
}

/// Counts the occurrences of these IDs in a loaded table, in its rows as COPY text.
pub(crate) async fn count_in_table(
    staging: &mut Session,
    table: &QualifiedName,
    counter: &mut dyn FnMut(&[u8]) -> u64,
) -> Result<u64> {
    use crate::copy::{EndMarker, RowSplitter};
    let mut splitter = RowSplitter::new(EndMarker::Optional);
    let mut out = Vec::new();
    let mut count = 0;
    let broken = |error: crate::copy::CopyError| RestoreError::Data {
        table: table.to_string(),
        reason: error.to_string(),
    };
    let mut stream = staging.copy_out(&format!("COPY (SELECT * FROM {table}) TO STDOUT")).await?;
    while let Some(chunk) = stream.next_chunk().await? {
        splitter.push(&chunk, &mut out).map_err(broken)?;
        count += counter(&out);
        out.clear();
    }
    splitter.finish(&mut out).map_err(broken)?;
    Ok(count + counter(&out))
}
