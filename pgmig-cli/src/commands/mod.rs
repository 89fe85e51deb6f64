//! What the program can be asked to do.

pub(crate) mod dry_run;
pub(crate) mod mapping;
pub(crate) mod releases;
pub(crate) mod restore;
pub(crate) mod test_connection;
pub(crate) mod test_resource_controller;
