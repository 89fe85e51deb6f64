//! The texts of an entry in the form in which the planner uses them.

use crate::archive::Entry;

/// The statements of the entry; `None` if it has none.
pub(crate) fn sql(entry: &Entry) -> Option<&str> {
    entry.sql()?.to_str().ok()
}

/// The owner of the object in the source; "" if the archive does not name one.
pub(crate) fn owner(entry: &Entry) -> &str {
    entry.owner.as_ref().and_then(|owner| owner.to_str().ok()).unwrap_or_default()
}

/// The name of an entry in messages: `INDEX store.tenant_name`.
pub(crate) fn label(entry: &Entry) -> String {
    let label = entry.label();
    match label.namespace.filter(|schema| !schema.is_empty()) {
        Some(schema) => format!("{} {schema}.{}", label.desc, label.tag),
        None => format!("{} {}", label.desc, label.tag),
    }
}
