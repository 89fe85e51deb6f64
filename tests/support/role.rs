//! Roles of the tests' own.

use super::database::quoted;
use super::server::Server;

/// Makes a role that may do nothing but own a database, once for all tests. Its name needs quotes everywhere.
pub(crate) fn ordinary_role(server: &Server) -> &'static str {
    const NAME: &str = "ordinary \"owner\"";
    create_role(server, NAME);
    NAME
}

/// Makes a role without any right, if the server has none of this name.
#[track_caller]
pub(crate) fn create_role(server: &Server, name: &str) {
    let (identifier, literal) = (quoted(name), name.replace('\'', "''"));
    // Two tests may come here at once.
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
