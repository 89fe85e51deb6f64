//! The contents of a database, which a restore would erase.

use crate::server::TargetError;
use crate::server::extensions::{self, InstalledExtension};
use crate::server::session::{Session, TextRow};
use crate::sql::{QualifiedName, quote_ident};
use std::collections::HashSet;

/// Tables up to this size in bytes are counted; of larger ones the planner's estimate is taken, and only
/// whether they hold a row at all is asked.
const COUNTED_BYTES: u64 = 256 * 1024 * 1024;

/// Rows and large objects of a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// Tables that hold a row, or that cannot be read, which counts as holding one.
    pub(crate) tables: u64,
    /// Their rows; an estimate for large tables, and for those that cannot be read.
    pub(crate) rows: u64,
    /// Large objects.
    pub(crate) large_objects: u64,
}

/// Finds what the database of this session holds beside these tables. Tables of extensions do not count: an extension
/// fills them.
pub(crate) async fn holdings(
    session: &mut Session,
    kept: &HashSet<QualifiedName>,
) -> Result<Holdings, TargetError> {
    let sql = "\
        SELECT n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid), c.reltuples::bigint \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
        AND n.nspname !~ '^pg_toast' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') \
        ORDER BY 1, 2";
    let tables = session.rows(sql, "list the target's tables").await?;
    let mut holdings = Holdings::default();
    let is_kept = |table: &TextRow| kept.contains(&QualifiedName::new(table.text(0), table.text(1)));
    for table in tables.iter().filter(|table| table.number::<u64>(2) > 0 && !is_kept(table)) {
        let expected = session.expect_answers(false);
        let rows = rows_of(session, table).await?;
        session.expect_answers(expected);
        holdings.tables += u64::from(rows != Some(0));
        // Of one that cannot be read, the planner's estimate is known.
        holdings.rows += rows.unwrap_or_else(|| table.number::<i64>(3).try_into().unwrap_or_default());
    }
    let sql = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    holdings.large_objects =
        session.value(sql, "count the target's large objects").await?.parse().unwrap_or(0);
    Ok(holdings)
}

/// The rows of a table; `None` if it cannot be read (no right to, or row level security would hide rows).
async fn rows_of(session: &mut Session, table: &TextRow) -> Result<Option<u64>, TargetError> {
    let name = QualifiedName::new(table.text(0), table.text(1));
    let doing = "count the target's rows";
    if table.number::<u64>(2) <= COUNTED_BYTES {
        let rows = session.value(&format!("SELECT count(*) FROM ONLY {name}"), doing).await;
        return Ok(unless_refused(rows)?.and_then(|rows| rows.parse().ok()));
    }
    let any = session.holds(&format!("SELECT EXISTS (SELECT 1 FROM ONLY {name})"), doing).await;
    let rows = |any| if any { table.number::<u64>(3).max(1) } else { 0 };
    Ok(unless_refused(any)?.map(rows))
}

/// `None` where the server refuses the question. A question that was cancelled, or lost, is no refusal.
fn unless_refused<T>(answer: Result<T, TargetError>) -> Result<Option<T>, TargetError> {
    match answer {
        Err(error) if error.is_lasting() => Ok(None),
        answer => answer.map(Some),
    }
}

/// What the target has beside tables, by name, for what the archive lacks: extensions, publications, and
/// objects of other owners than `username`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// Extensions except plpgsql.
    pub(crate) extensions: Vec<InstalledExtension>,
    /// Publications.
    pub(crate) publications: Vec<String>,
    /// Relations and functions whose owner is neither `username` nor a part of the system: `owner: object`.
    pub(crate) of_others: Vec<String>,
}

/// Finds what the database of this session has beside tables.
pub(crate) async fn extras(session: &mut Session, owner: &str) -> Result<Extras, TargetError> {
    let extensions = extensions::installed(session).await?;
    let sql = "SELECT pubname FROM pg_catalog.pg_publication ORDER BY 1";
    let publications = session.rows(sql, "list the target's publications").await?;
    let sql = format!(
        "SELECT pg_catalog.pg_get_userbyid(c.relowner) || ': ' || c.oid::pg_catalog.regclass::text \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND n.nspname !~ '^pg_(toast|temp)' AND pg_catalog.pg_get_userbyid(c.relowner) <> {owner} \
         AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') \
         ORDER BY 1",
        owner = crate::sql::quote_literal(owner),
    );
    let of_others = session.rows(&sql, "list the target's objects of other owners").await?;
    Ok(Extras {
        extensions,
        publications: publications.iter().map(|row| row.text(0).to_owned()).collect(),
        of_others: of_others.iter().map(|row| row.text(0).to_owned()).collect(),
    })
}

/// The statement that makes an extension again in a schema; the schema is made if it is not there.
pub(crate) fn create_extension(name: &str, schema: &str) -> String {
    let (name, schema) = (quote_ident(name), quote_ident(schema));
    format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA {schema}"
    )
}
