//! What the program can be asked to do.

pub(crate) mod restore;
pub(crate) mod test_connection;
