//! Attacks on a restore by the author of the archive or by the owner of the target. A table names each attack. Tests
//! show that it works without protection, and try it by every login and strategy that it concerns.

pub(crate) mod forge;
mod kills;
mod payload;
mod statements;
pub(crate) mod vector;
mod vectors_commit;
mod vectors_forged;
mod vectors_privileged;
mod vectors_rows;
mod vectors_state;
mod vectors_target;
pub(crate) mod world;
