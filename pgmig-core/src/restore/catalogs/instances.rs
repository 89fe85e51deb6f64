//! The contents of a live database: of the target before a restore, or of the staging database after it.

use crate::backup::store::instance_columns;
use crate::error::Result;
use crate::instance::{Instance, InstanceCollector};
use crate::migrations;
use crate::profile::Profile;
use crate::restore::refusal::Refusal;
use crate::restore::report::contents::TargetContents;
use crate::server::catalog::DatabaseFacts;
use crate::server::contents;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_literal};
use std::collections::HashSet;

/// The target's rows, large objects and instances, without tables that keep their rows.
pub(crate) async fn target_contents(
    inside: &mut Session,
    target: &DatabaseFacts,
    profile: Option<&Profile>,
    kept: &HashSet<QualifiedName>,
) -> Result<TargetContents> {
    let holdings = contents::holdings(inside, kept).await?;
    let instances = match profile {
        // A table that cannot be read shows no instances. That the target holds data is known already.
        Some(profile) => match instances_of(inside, profile).await {
            Err(crate::Error::Target(error)) if !error.is_lasting() => return Err(error.into()),
            instances => instances.unwrap_or_default(),
        },
        None => Vec::new(),
    };
    Ok(TargetContents {
        instances,
        tables: holdings.tables,
        rows: holdings.rows,
        large_objects: holdings.large_objects,
        bytes: target.bytes,
    })
}

/// Reads the table of instances of a live database.
pub(crate) async fn instances_of(session: &mut Session, profile: &Profile) -> Result<Vec<Instance>> {
    let Some(tenant) = profile.tenant() else { return Ok(Vec::new()) };
    let schema = match &tenant.schema {
        Some(schema) => format!("AND n.nspname = {}", quote_literal(schema)),
        None => String::new(),
    };
    let sql = format!(
        "SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         WHERE c.relkind IN ('r', 'p') AND c.relname = {} {schema} ORDER BY n.nspname, a.attnum",
        quote_literal(&tenant.table)
    );
    let rows = session.rows(&sql, "look for the table of instances").await?;
    let mut tables: Vec<(QualifiedName, Vec<String>)> = Vec::new();
    for row in &rows {
        let table = QualifiedName::new(row.text(0), row.text(1));
        match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(row.text(2).to_owned()),
            _ => tables.push((table, vec![row.text(2).to_owned()])),
        }
    }
    let found = tables.iter().find(|(_, columns)| tenant.columns().all(|column| columns.contains(column)));
    let Some((table, columns)) = found else { return Ok(Vec::new()) };
    let list: Vec<String> = columns.iter().map(|column| crate::sql::quote_ident(column)).collect();
    let sql = format!("SELECT {} FROM {table}", list.join(", "));
    let rows = session.rows(&sql, "read the instances").await?;
    let mut collector = InstanceCollector::new(columns, &instance_columns(tenant))?;
    for row in &rows {
        let mut copied = Vec::new();
        crate::copy::encode_row(
            (0..columns.len()).map(|column| row.get(column).map(str::as_bytes)),
            &mut copied,
        );
        collector.push_row(&copied)?;
    }
    Ok(collector.finish())
}

/// Refuses to replace a store by an archive that holds no store.
pub(crate) async fn refuse_over_store(
    inside: &mut Session,
    profile: &Profile,
    contents: &TargetContents,
) -> Result<()> {
    let instances = contents.instances.len();
    if contents.is_empty()
        || instances == 0 && migrations::newest_finished(inside.conn(), profile).await?.is_none()
    {
        return Ok(());
    }
    Err(Refusal::NotAStore { instances }.into())
}
