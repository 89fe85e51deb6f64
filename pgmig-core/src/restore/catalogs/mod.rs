//! What the catalogs of a live database say, and what is asked of its tables.

pub(crate) mod instances;
pub(crate) mod schema;
pub(crate) mod tables;
pub(crate) mod tool_locks;
