//! Bad input, failures at every step, signals, crashes: the target stays unchanged.

mod bad_input;
mod bad_rows;
mod durability;
mod failpoints;
mod forged_output;
mod leftovers;
mod psql_script;
mod resume;
mod secrets;
mod sessions;
mod signals;
mod terminated;
mod waits;
