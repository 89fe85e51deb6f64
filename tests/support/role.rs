//! Roles for tests.

use super::database::quoted;
use super::server::Server;

/// Creates a role without any right, once for all tests, that can own a database. Its name needs quotes everywhere.
pub(crate) fn ordinary_role(server: &Server) -> &'static str {
    const NAME: &str = "ordinary \"owner\"";
    create_role(server, NAME);
    NAME
}

/// Creates a role without any right, if the server has no role of this name.
#[track_caller]
pub(crate) fn create_role(server: &Server, name: &str) {
    let (identifier, literal) = (quoted(name), name.replace('\'', "''"));
    // Two tests may create it at the same time.
    server.psql(
        "postgres",
        &format!(
            "BEGIN; SELECT pg_advisory_xact_lock(7067);
             DO $do$ BEGIN
                 IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{literal}') THEN CREATE ROLE {identifier}; END IF;
             END $do$;
             COMMIT;"
        ),
    );
}
