//! A database that pgmig reported as restored survives a crash of the server at that moment.

use crate::support::pgmig::TargetFile;
use crate::support::{Database, Pgmig, Server};
use tempfile::TempDir;

/// Tables of every size, with indexes, and a large object.
const STORE: &str = "
    CREATE TABLE big (id bigint PRIMARY KEY, note text);
    INSERT INTO big SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 40000) n;
    CREATE INDEX ON big (note);
    CREATE TABLE small (id bigint REFERENCES big, note text);
    INSERT INTO small SELECT n, 'note' FROM generate_series(1, 10) n;
    SELECT lo_from_bytea(4711, decode(repeat('00ff', 50000), 'hex'));";

#[test]
fn with_every_bit_of_wal() {
    crashes_right_after("");
}

/// With this setting, rows of tables that the same transaction made are not in the WAL.
#[test]
fn with_as_little_wal_as_there_can_be() {
    crashes_right_after("wal_level = minimal\nmax_wal_senders = 0\nwal_skip_threshold = 0");
}

fn crashes_right_after(conf: &str) {
    // No commit waits for the disk unless pgmig asks for it, and no checkpoint comes.
    let server = Server::start_private(&format!(
        "fsync = on\nsynchronous_commit = off\nwal_writer_delay = 10s\n{conf}"
    ));
    let source = Database::create_on(&server, "durable_source");
    source.psql(STORE);
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("store.dump");
    source.dump_through_pipe(&[], &archive);
    // The previous database of a swap stays, because dropping it would cause a checkpoint.
    for strategy in [&["--strategy", "swap", "--keep-previous"][..], &["--strategy", "in-place"]] {
        let target = Database::create_on(&server, "durable");
        let pgmig =
            Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--keep-ids", "--jobs", "4"]);
        pgmig.args(strategy.iter().copied()).source(&archive).run().expect_status(0);
        server.crash();
        server.start_again();
        assert_eq!(lines_of(&target), lines_of(&source), "{strategy:?}");
        target.psql("SET enable_seqscan = off; SELECT count(*) FROM big WHERE note > 'a'");
    }
}

/// The lines of its dump, sorted: several connections load a table, so its rows have no fixed order.
fn lines_of(database: &Database) -> Vec<String> {
    let mut lines: Vec<String> = database.dump(&[]).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}
