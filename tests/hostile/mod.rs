//! Attacks on a restore: by whoever made the archive, and by whoever owns the target. Each is named in a table, shown to
//! work where nothing protects from it, and tried by every login and strategy that it concerns.

mod forge;
mod kills;
mod payload;
mod statements;
mod vector;
mod vectors_commit;
mod vectors_forged;
mod vectors_privileged;
mod vectors_rows;
mod vectors_state;
mod vectors_target;
mod world;
