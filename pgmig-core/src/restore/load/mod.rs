//! The rows and what is made behind them: one side reads the archive, the other is a crew of connections that write, and
//! the schedule says who does what next.

mod active_feed;
mod bulk;
pub(crate) mod crew;
mod feed;
pub(crate) mod graph;
pub(crate) mod loaded;
mod refused_row;
mod row_reader;
mod schedule;
pub(crate) mod sessions;
pub(crate) mod stream;
pub(crate) mod two_steps;
pub(crate) mod watch;
mod worker;
mod writing;
