//! Whether the archive has the columns in which a profile moves owners.

use crate::archive::{Archive, EntryKind};
use crate::backup::store;
use crate::profile::{ColumnRef, Profile};
use crate::progress::{Notice, NoticeCode};
use crate::restore::refusal::Refusal;
use crate::sql::quote_ident;

/// A warning of columns that the archive does not have.
///
/// # Errors
///
/// [`Refusal::NoOwnerColumns`] if it has none of them.
pub(super) fn missing(archive: &Archive, profile: &Profile) -> Result<Option<Notice>, Refusal> {
    let (missing, found): (Vec<&ColumnRef>, Vec<&ColumnRef>) =
        profile.owner_columns().iter().partition(|column| !has(archive, column));
    if missing.is_empty() {
        return Ok(None);
    }
    let name =
        |column: &&ColumnRef| format!("{}.{}", quote_ident(&column.table), quote_ident(&column.column));
    let columns = missing.iter().map(name).collect::<Vec<_>>().join(", ");
    if found.is_empty() {
        return Err(Refusal::NoOwnerColumns(profile.name().to_owned(), columns));
    }
    let text = format!(
        "the archive does not have all columns in which profile {} moves owners: {columns}",
        profile.name()
    );
    Ok(Some(Notice::warning(NoticeCode::OwnerColumnsMissing, text)))
}

fn has(archive: &Archive, column: &ColumnRef) -> bool {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let tables = archive
        .entries()
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Table | EntryKind::TableData));
    tables.into_iter().any(|entry| {
        let schema = text(entry.namespace.as_ref().and_then(|schema| schema.to_str().ok()));
        let table = text(entry.tag.to_str().ok());
        let columns = store::columns(archive, entry);
        columns.iter().any(|name| column.is(&schema, &table, name))
    })
}
