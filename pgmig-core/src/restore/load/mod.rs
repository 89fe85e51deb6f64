//! The rows and what is made behind them: one side reads the archive, the other is a crew of connections that write, and
//! the schedule says who does what next.

mod bulk;
pub(super) mod crew;
mod feed;
pub(super) mod graph;
mod refused_row;
mod row_reader;
mod schedule;
pub(super) mod stream;
pub(super) mod two_steps;
pub(super) mod watch;
pub(super) mod workers;
mod writing;
