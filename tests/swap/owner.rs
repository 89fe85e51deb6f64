//! Restores without a superuser: the application's role owns the database, and may have CREATEDB.

use crate::support::database::quoted;
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::session::HeldSession;
use crate::support::store::{Backup, ROW_VALUE};
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};

/// A target whose owner is not a superuser, and a role that pgmig connects as.
struct Site {
    /// The first field: the database must be dropped before the roles that own it.
    target: Database,
    owner: Role,
    login: Role,
    backup: Backup,
}

/// A role for one test.
struct Role {
    server: Server,
    name: String,
}

const PASSWORD: &str = "l0gin-s3cret";

impl Role {
    fn create(purpose: &str, options: &str) -> Self {
        let server = Server::of_this_run();
        let name = format!("{purpose} \"{}\"", std::process::id());
        server.psql("postgres", &format!("CREATE ROLE {} {options}", quoted(&name)));
        Self { server, name }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let name = quoted(&self.name);
        let _ = self.server.try_psql("postgres", &format!("DROP OWNED BY {name}; DROP ROLE {name}"));
    }
}

impl Site {
    /// `options` are those of the role that connects. If it is a `member`, it belongs to the owner's role.
    fn new(purpose: &str, options: &str, member: bool) -> Self {
        let owner = Role::create(&format!("owner {purpose}"), "");
        let login =
            Role::create(&format!("login {purpose}"), &format!("LOGIN PASSWORD '{PASSWORD}' {options}"));
        if member {
            owner
                .server
                .psql("postgres", &format!("GRANT {} TO {}", quoted(&owner.name), quoted(&login.name)));
        }
        let clauses = format!("TEMPLATE template0 OWNER {}", quoted(&owner.name));
        let target = Database::create_with(&owner.server, purpose, &clauses);
        target.psql(&format!(
            "SET ROLE {}; CREATE TABLE own (note text); INSERT INTO own VALUES ('{ROW_VALUE}')",
            quoted(&owner.name)
        ));
        Self { target, owner, login, backup: Backup::of_oldest_release() }
    }

    fn file(&self) -> TargetFile {
        TargetFile {
            username: self.owner.name.clone(),
            su_username: self.login.name.clone(),
            su_password: PASSWORD.to_owned(),
            ..TargetFile::of(&self.target)
        }
    }

    fn pgmig(&self) -> Pgmig {
        Pgmig::new().target(&self.file()).arg("--force")
    }

    #[track_caller]
    fn is_refused(&self, pgmig: Pgmig, texts: &[&str]) {
        let before = Before::of(&self.target);
        let mut outcome = pgmig.args(["--strategy", "swap"]).run().expect_status(3).keeps_secret(PASSWORD);
        for text in texts {
            outcome = outcome.stderr_has(text);
        }
        before.is_now(outcome);
    }

    /// Checks that the owner owns everything, including the database.
    #[track_caller]
    fn belongs_to_owner(&self) {
        let owners = self.target.psql(
            "SELECT DISTINCT pg_get_userbyid(o) FROM (
               SELECT relowner FROM pg_class WHERE relnamespace = 'store'::regnamespace
               UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'store'::regnamespace
               UNION ALL SELECT lomowner FROM pg_largeobject_metadata
               UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 'store'
               UNION ALL SELECT datdba FROM pg_database WHERE datname = current_database()) AS x (o)",
        );
        assert_eq!(owners.trim_end_matches('\n'), self.owner.name);
    }
}

#[test]
fn a_role_that_may_create_databases_is_enough() {
    let site = Site::new("enough", "CREATEDB", true);
    // A leftover of a killed run can be removed without a superuser, too.
    site.backup.restore(site.pgmig()).failpoint("data:kill").run().expect_killed();
    let outcome = site.backup.restore(site.pgmig()).run().expect_status(0).keeps_secret(PASSWORD);
    outcome.stderr_has("removed database");
    site.backup.assert_restored(&site.target);
    site.belongs_to_owner();
    assert_eq!(databases_beside(&site.target), "");
}

#[test]
fn a_dry_run_tells_why_a_role_is_enough() {
    let site = Site::new("dry run", "CREATEDB", true);
    let before = Before::of(&site.target);
    let outcome = site.backup.restore(site.pgmig()).arg("--dry-run").run().expect_status(0);
    let roles = format!("connects as {}, objects belong to {}", site.login.name, site.owner.name);
    let outcome = outcome.stdout_has("may create databases and become their owners").stdout_has(&roles);
    before.is_now(outcome.keeps_secret(PASSWORD));
}

#[test]
fn one_role_for_everything_is_enough() {
    let mut site = Site::new("single", "CREATEDB", true);
    let (database, login) = (quoted(&site.target.name), quoted(&site.login.name));
    site.target.psql(&format!("ALTER DATABASE {database} OWNER TO {login}"));
    std::mem::swap(&mut site.owner, &mut site.login);
    let file = TargetFile { su_username: site.owner.name.clone(), ..site.file() };
    let pgmig = Pgmig::new().target(&file).args(["--force", "--keep-previous"]);
    let outcome = site.backup.restore(pgmig).run().expect_status(0);
    outcome.stdout_has(databases_beside(&site.target).trim());
    site.backup.assert_restored(&site.target);
    site.belongs_to_owner();
    site.target
        .server
        .psql("postgres", &format!("DROP DATABASE {}", quoted(databases_beside(&site.target).trim())));
}

#[test]
fn a_role_that_may_not_create_databases() {
    let site = Site::new("nocreatedb", "", true);
    let texts = [&site.login.name, "may not create databases", "CREATEDB"];
    site.is_refused(site.backup.restore(site.pgmig()), &texts);
}

#[test]
fn a_role_that_is_no_member_of_the_owners() {
    let site = Site::new("stranger", "CREATEDB", false);
    site.is_refused(
        site.backup.restore(site.pgmig()),
        &[
            "cannot become",
            &site.owner.name,
            "who owns the database",
            &format!("GRANT {} TO {}", quoted(&site.owner.name), quoted(&site.login.name)),
        ],
    );
}

#[test]
fn what_only_a_superuser_can_create_is_listed() {
    let site = Site::new("needs", "CREATEDB", true);
    let archive = fixture("archives/15_redirect_gz.dump");
    site.is_refused(
        site.pgmig().arg("--keep-ids").source(&archive),
        &[
            "only a superuser can create",
            "EVENT TRIGGER evt_log",
            "FOREIGN DATA WRAPPER dummy_fdw",
            "PUBLICATION pub_all",
            "PUBLICATION TABLES IN SCHEMA billing.pub_schema",
            "use a superuser as su_username",
        ],
    );
}

#[test]
fn a_tablespace_that_belongs_to_others() {
    let site = Site::new("space", "CREATEDB", true);
    let space = format!("Space {}", quoted(&site.owner.name)).replace('"', "");
    let (space_sql, database) = (quoted(&space), quoted(&site.target.name));
    let move_to = |space: &str| {
        site.owner.server.psql("postgres", &format!("ALTER DATABASE {database} SET TABLESPACE {space}"))
    };
    site.owner.server.psql(
        "postgres",
        &format!("SET allow_in_place_tablespaces = on; CREATE TABLESPACE {space_sql} LOCATION ''"),
    );
    move_to(&space_sql);
    site.is_refused(
        site.backup.restore(site.pgmig()),
        &["may not create in its tablespace", &format!("GRANT CREATE ON TABLESPACE {space_sql}")],
    );
    let grant = format!("GRANT CREATE ON TABLESPACE {space_sql} TO {}", quoted(&site.login.name));
    site.owner.server.psql("postgres", &grant);
    let before = site.backup.restore(site.pgmig()).run();
    let revoke = format!("REVOKE CREATE ON TABLESPACE {space_sql} FROM {}", quoted(&site.login.name));
    site.owner.server.psql("postgres", &revoke);
    move_to("pg_default");
    site.owner.server.psql("postgres", &format!("DROP TABLESPACE {space_sql}"));
    before.expect_status(0);
    site.backup.assert_restored(&site.target);
}

#[test]
fn what_cannot_be_carried_over_is_said_beforehand() {
    let site = Site::new("carried", "CREATEDB", true);
    let other = Role::create("somebody carried", "");
    let database = quoted(&site.target.name);
    let role = quoted(&other.name);
    for (change, what, undo) in [
        (
            format!("ALTER ROLE {role} IN DATABASE {database} SET work_mem = '7MB'"),
            format!("the setting work_mem of role {role}"),
            format!("ALTER ROLE {role} IN DATABASE {database} RESET ALL"),
        ),
        (
            format!("ALTER DATABASE {database} SET log_statement = 'all'"),
            "the setting log_statement".to_owned(),
            format!("ALTER DATABASE {database} RESET ALL"),
        ),
        (
            format!(
                "GRANT CONNECT ON DATABASE {database} TO {role} WITH GRANT OPTION;
                 SET ROLE {role}; GRANT CONNECT ON DATABASE {database} TO pg_monitor"
            ),
            format!("the privilege CONNECT of pg_monitor, which {role} granted"),
            format!("REVOKE CONNECT ON DATABASE {database} FROM {role} CASCADE"),
        ),
    ] {
        site.target.psql(&change);
        let texts = [&what, "cannot be replaced by a swap", "use a superuser as su_username"];
        // pgmig knows this before it loads anything.
        let swap = site.pgmig().failpoint("pre-data");
        site.is_refused(site.backup.restore(swap), &texts);
        // In place there is nothing to carry over.
        let in_place = site.backup.restore(site.pgmig()).failpoint("clear").run().expect_status(1);
        in_place.stderr_has("strategy in-place: a swap is not possible: ").stderr_has(&what);
        site.target.psql(&undo);
    }
    site.backup.restore(site.pgmig()).run().expect_status(0);
}

#[test]
fn what_cannot_be_carried_over_leads_to_a_restore_in_place() {
    let site = Site::new("falls back", "CREATEDB", true);
    site.target.psql(&format!("ALTER DATABASE {} SET log_statement = 'all'", quoted(&site.target.name)));
    let outcome = site.backup.restore(site.pgmig()).run().expect_status(0);
    outcome.stderr_has(
        "strategy in-place: a swap is not possible: could not carry over the setting log_statement",
    );
    site.backup.assert_restored(&site.target);
    let settings = "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
                    WHERE d.datname = current_database()";
    assert_eq!(site.target.psql(settings), "{log_statement=all}\n");
}

#[test]
fn a_table_that_cannot_be_read_holds_data() {
    let site = Site::new("forced", "CREATEDB", true);
    site.target.psql(&format!(
        "DROP TABLE own; SET ROLE {}; CREATE TABLE tenant (tenant_id uuid, name text, region text, deleted boolean);
         ALTER TABLE tenant ENABLE ROW LEVEL SECURITY; ALTER TABLE tenant FORCE ROW LEVEL SECURITY;
         RESET ROLE; INSERT INTO tenant VALUES (gen_random_uuid(), '{ROW_VALUE}')",
        quoted(&site.owner.name)
    ));
    let seen = format!("SET ROLE {}; SELECT count(*) FROM tenant", quoted(&site.owner.name));
    assert_eq!(site.target.psql(&seen), "0\n", "it looks empty to its owner");
    let restore = || site.backup.restore(Pgmig::new().target(&site.file()));
    site.is_refused(restore(), &["--force erases it", "0 rows in 1 table"]);
    site.target.psql("TRUNCATE tenant");
    restore().run().expect_status(0);
    site.backup.assert_restored(&site.target);
}

#[test]
fn a_superusers_session_cannot_be_ended() {
    let site = Site::new("busy", "CREATEDB", true);
    let application = format!("{} client", site.target.name);
    let _session = HeldSession::open(&site.target, &application);
    let pgmig = site.backup.restore(site.pgmig()).args(["--terminate-sessions", "--swap-wait", "1"]);
    site.is_refused(pgmig, &["1 session stayed connected", &application]);
}
