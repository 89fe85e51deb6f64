//! The role of an application: it logs in, owns its database, and has no other right.

use super::database::Database;
use super::pgmig::{Pgmig, TargetFile};
use super::server::Server;
use super::shared;
use super::store::{self, Backup};

/// Its name, which needs quotes.
pub(crate) const APPLICATION: &str = "store app";

/// Its password.
pub(crate) const PASSWORD: &str = "l0gin-s3cret";

/// A database that tests only copy.
const TARGET_DATABASE: &str = "shared_owned_target";

/// Creates the role, once for all tests.
pub(crate) fn create(server: &Server) {
    super::role::create_role(server, APPLICATION);
    let role = super::database::quoted(APPLICATION);
    server.psql(
        "postgres",
        &format!(
            // Only once: a running restore would notice a change of the role.
            "BEGIN; SELECT pg_advisory_xact_lock(7067);
             DO $do$ BEGIN
                 IF (SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = '{APPLICATION}') THEN
                     ALTER ROLE {role} LOGIN PASSWORD '{PASSWORD}';
                 END IF;
             END $do$;
             COMMIT"
        ),
    );
}

/// An empty database that the role owns.
pub(crate) fn empty_database(purpose: &str) -> Database {
    empty_database_on(&Server::of_this_run(), purpose)
}

/// The same, on this server.
pub(crate) fn empty_database_on(server: &Server, purpose: &str) -> Database {
    create(server);
    let clauses = format!("TEMPLATE template0 OWNER {}", super::database::quoted(APPLICATION));
    Database::create_with(server, purpose, &clauses)
}

/// Like [`Backup::target`], but the role owns all of it.
#[track_caller]
pub(crate) fn target(purpose: &str) -> Database {
    let server = Server::of_this_run();
    let instances = Backup::of_oldest_release().mapping.len();
    let owner = super::database::quoted(APPLICATION);
    shared::once(&server, "owned", |_| {
        create(&server);
        let target = Database::create_shared(&server, TARGET_DATABASE);
        target.psql(&format!("ALTER DATABASE {TARGET_DATABASE} OWNER TO {owner}"));
        store::apply_migrations_as(&target, "newest", APPLICATION);
        store::provision(&target, instances);
    });
    Database::create_with(&server, purpose, &format!("TEMPLATE {TARGET_DATABASE} OWNER {owner}"))
}

/// The target's file: the role connects, and owns the restored objects.
pub(crate) fn target_file(target: &Database) -> TargetFile {
    TargetFile {
        username: APPLICATION.to_owned(),
        su_username: APPLICATION.to_owned(),
        su_password: PASSWORD.to_owned(),
        ..TargetFile::of(target)
    }
}

/// The file for a strategy: a superuser swaps for the role, and in place the role does all itself.
pub(crate) fn file_for(target: &Database, strategy: &str) -> TargetFile {
    match strategy {
        "swap" => TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(target) },
        _ => target_file(target),
    }
}

/// The whole command line for a restore of this backup, with `--force`.
pub(crate) fn restore_into(backup: &Backup, target: &Database) -> Pgmig {
    backup.restore(Pgmig::new().target(&target_file(target)).arg("--force"))
}
