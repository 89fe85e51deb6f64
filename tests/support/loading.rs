//! Archives for tests of what happens while they are restored.

use super::database::Database;
use super::server::Server;
use std::path::{Path, PathBuf};

/// An archive whose rows take a minute to load, because a check constraint waits a little for each row. `also` is SQL that
/// makes more in its source.
pub(crate) fn slow_archive(server: &Server, directory: &Path, also: &str) -> PathBuf {
    archive_of(
        server,
        directory,
        &format!(
            "{also}
             CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE TABLE t (id int CHECK (slow(id))); INSERT INTO t SELECT generate_series(1, 3000);
             CREATE OR REPLACE FUNCTION slow(int) RETURNS boolean LANGUAGE plpgsql
               AS 'BEGIN PERFORM pg_sleep(0.02); RETURN true; END'"
        ),
    )
}

/// An archive of table `t` with one row, 7.
pub(crate) fn small_archive(server: &Server, directory: &Path) -> PathBuf {
    archive_of(server, directory, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (7)")
}

fn archive_of(server: &Server, directory: &Path, sql: &str) -> PathBuf {
    let source = Database::create_on(server, "loading_source");
    source.psql(sql);
    let archive = directory.join("t.dump");
    source.dump_through_pipe(&[], &archive);
    archive
}

/// Whether rows are being loaded into the target or its staging database.
pub(crate) fn is_loading(target: &Database) -> bool {
    let copying = "SELECT count(*) FROM pg_stat_progress_copy WHERE starts_with(datname, '%')";
    target.server.psql("postgres", &copying.replace('%', &target.name)) != "0\n"
}
