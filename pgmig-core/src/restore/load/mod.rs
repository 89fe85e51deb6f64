//! Loads the rows and creates the objects that come after them.
//!
//! Reading threads read the archive, and a crew of connections writes to the server. The schedule decides what each
//! connection does next.

mod active_feed;
mod bulk;
pub(crate) mod crew;
mod encoding;
mod feed;
pub(crate) mod graph;
pub(crate) mod loaded;
mod memory;
mod refused_row;
mod row_reader;
mod schedule;
pub(crate) mod sessions;
pub(crate) mod stream;
mod tasks;
pub(crate) mod two_steps;
pub(crate) mod watch;
mod worker;
mod writing;
