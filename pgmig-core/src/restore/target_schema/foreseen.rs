//! Differences between the archive's schema and the target's that are certain before the restore.

use super::archived::Definitions;
use super::own::{self, OwnTables};
use crate::archive::Archive;
use crate::error::Result;
use crate::restore::refusal::Refusal;
use crate::restore::report::difference::SchemaDifference;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident};

/// The tables and columns that certainly differ. An empty result does not mean that constraints, indexes and
/// functions agree: they are not compared.
pub(crate) async fn certain_differences(
    target: &mut Session,
    archive: &Archive,
    username: &str,
) -> Result<Vec<SchemaDifference>> {
    let definitions = Definitions::of(archive);
    let own = own::tables(target, username).await?;
    let has_own = own.iter().any(|(_, table)| !table.of_extension);
    let mut archived = definitions.tables().peekable();
    if has_own && archived.peek().is_some() && !archived.any(|name| own.contains_key(name)) {
        return Err(Refusal::NoTableInCommon.into());
    }
    Ok(differences(&definitions, &own))
}

fn differences(definitions: &Definitions, own: &OwnTables) -> Vec<SchemaDifference> {
    let mut differences = Vec::new();
    let mut differ = |object: String, archive: Option<&str>, target: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        differences.push(SchemaDifference { object, archive: owned(archive), target: owned(target) });
    };
    for name in definitions.tables() {
        let Some(table) = own.get(name) else {
            differ(format!("table {name}"), Some(""), None);
            continue;
        };
        let Some(columns) = definitions.columns(name) else { continue };
        let object = |column: &str| format!("column {name}.{}", quote_ident(column));
        for column in &columns {
            let archived = column.type_name.as_str();
            match table.column(&column.name).map(|own| own.type_name.as_str()) {
                Some(own) if own == archived || definitions.is_unqualified => {}
                own => differ(object(&column.name), Some(archived), own),
            }
        }
        for own in table.columns.iter().filter(|own| !columns.iter().any(|column| column.name == own.name)) {
            differ(object(&own.name), None, Some(&own.type_name));
        }
    }
    let is_known = |name: &QualifiedName| definitions.knows(name);
    for (name, _) in own.iter().filter(|(name, table)| !table.of_extension && !is_known(name)) {
        differ(format!("table {name}"), None, Some(""));
    }
    differences.sort();
    differences
}
