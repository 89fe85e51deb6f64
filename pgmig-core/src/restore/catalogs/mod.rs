//! Queries of a live database: its catalogs and some of its tables.

pub(crate) mod column_types;
pub(crate) mod instances;
pub(crate) mod row_order;
pub(crate) mod schema;
pub(crate) mod tables;
pub(crate) mod tool_locks;
