//! A server with an operator, an application and attackers; the traces of an escape, and the state that must not
//! change.

use super::payload;
use crate::support::pgmig::TargetFile;
use crate::support::server::PrivateServer;
use crate::support::store::ROW_VALUE;
use crate::support::{Database, Pgmig, Server};
use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The role that owns the target: `username`.
pub(crate) const APP: &str = "app";

/// A role with CREATEDB and the right to write files, and a member of [`APP`]. Code that can use this role has escaped.
pub(crate) const CREATOR: &str = "creator";

/// The owner of the source, who has no other right.
pub(crate) const ATTACKER: &str = "attacker";

/// A role that may create objects in the target.
pub(crate) const OTHER: &str = "other";

const PASSWORD: &str = "l0gin-s3cret";

/// How pgmig logs in and replaces the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    SwapAsSuperuser,
    SwapAsCreator,
    InPlaceAsSuperuser,
    InPlaceAsOwner,
}

impl Setting {
    pub(crate) const ALL: &[Self] =
        &[Self::SwapAsSuperuser, Self::SwapAsCreator, Self::InPlaceAsSuperuser, Self::InPlaceAsOwner];
    pub(crate) const IN_PLACE: &[Self] = &[Self::InPlaceAsSuperuser, Self::InPlaceAsOwner];
    pub(crate) const AS_SUPERUSER: &[Self] = &[Self::SwapAsSuperuser, Self::InPlaceAsSuperuser];
    /// Settings in which pgmig's own login is not `username`.
    pub(crate) const OVER_ANOTHER_ROLE: &[Self] =
        &[Self::SwapAsSuperuser, Self::SwapAsCreator, Self::InPlaceAsSuperuser];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SwapAsSuperuser => "swap as superuser",
            Self::SwapAsCreator => "swap as CREATEDB role",
            Self::InPlaceAsSuperuser => "in place as superuser",
            Self::InPlaceAsOwner => "in place as owner",
        }
    }

    pub(crate) fn is_superuser(self) -> bool {
        matches!(self, Self::SwapAsSuperuser | Self::InPlaceAsSuperuser)
    }

    pub(crate) fn is_swap(self) -> bool {
        matches!(self, Self::SwapAsSuperuser | Self::SwapAsCreator)
    }
}

/// The server.
pub(crate) struct World {
    pub(crate) server: PrivateServer,
    /// The directory that the server writes to.
    markers: PathBuf,
    pub(crate) directory: TempDir,
    /// The verifier that the server stores for the password of [`APP`].
    pub(crate) verifier: String,
    targets: AtomicU32,
    dump: OnceCell<String>,
}

impl World {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Starts it with more settings.
    pub(crate) fn start_with(conf: &str) -> Self {
        let server = Server::start_private(&format!("max_prepared_transactions = 8\n{conf}"));
        let markers = server.shared.join("markers");
        fs::create_dir(&markers).expect("a directory can be made");
        fs::set_permissions(&markers, fs::Permissions::from_mode(0o777)).expect("it is ours");
        server.psql(
            "postgres",
            &format!(
                "CREATE ROLE {APP} LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE {ATTACKER} LOGIN; CREATE ROLE {OTHER} LOGIN;
                 CREATE ROLE {CREATOR} LOGIN CREATEDB PASSWORD '{PASSWORD}' IN ROLE {APP}, pg_write_server_files;"
            ),
        );
        let directory = TempDir::new().expect("a temporary directory can be made");
        let verifier = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{APP}'");
        let verifier = server.psql("postgres", &verifier).trim_end().to_owned();
        Self { verifier, server, markers, directory, targets: AtomicU32::default(), dump: OnceCell::new() }
    }

    /// Runs SQL in a session that logs in as this role itself.
    pub(crate) fn try_psql_as(&self, role: &str, database: &Database, sql: &str) -> Output {
        let file = self.directory.path().join("as.sql");
        fs::write(&file, sql).expect("a file can be written");
        let mut psql = self.psql_command(role, database);
        psql.arg("-f").arg(file).output().expect("psql runs")
    }

    /// A psql that logs in as this role.
    pub(crate) fn psql_command(&self, role: &str, database: &Database) -> Command {
        let mut psql = self.server.program("psql");
        psql.env("PGUSER", role).args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &database.name,
        ]);
        psql
    }

    /// Does the same for SQL that must succeed.
    #[track_caller]
    pub(crate) fn psql_as(&self, role: &str, database: &Database, sql: &str) {
        let output = self.try_psql_as(role, database, sql);
        assert!(output.status.success(), "{role}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether the server knows all that these statements ask for. Statistics of expressions, and functions whose body is
    /// no string, came with PostgreSQL 14.
    pub(super) fn has_syntax_of(&self, sql: &str) -> bool {
        let of_14 = ["CREATE STATISTICS public.s ON (", "BEGIN ATOMIC"];
        self.server.major_version() >= 14 || !of_14.iter().any(|syntax| sql.contains(syntax))
    }

    /// SQL of a vector, with the name of the file that its escape writes.
    pub(crate) fn armed(&self, vector: &str, sql: &str) -> String {
        sql.replace("{functions}", payload::FUNCTIONS).replace("{marker}", &self.marker(vector))
    }

    fn marker(&self, vector: &str) -> String {
        self.markers.join(vector).to_str().expect("the harness's paths are UTF-8").to_owned()
    }

    /// How code of this vector escaped since the last call.
    pub(crate) fn escape(&self, vector: &str) -> Option<String> {
        let marker = PathBuf::from(self.marker(vector));
        let text = fs::read(&marker).ok()?;
        fs::remove_file(&marker).expect("the directory is ours");
        Some(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// A source that the attacker owns.
    pub(crate) fn source(&self) -> Database {
        Database::create_with(&self.server, "source", &format!("TEMPLATE template0 OWNER {ATTACKER}"))
    }

    /// A target of [`APP`] with a row.
    pub(crate) fn target(&self) -> Database {
        let name = format!("target_{}", self.targets.fetch_add(1, Ordering::Relaxed));
        self.server.psql(
            "postgres",
            &format!(
                "CREATE DATABASE {name} TEMPLATE template0 OWNER {APP};
                 ALTER DATABASE {name} SET work_mem = '5MB';
                 ALTER DATABASE {name} CONNECTION LIMIT 50; COMMENT ON DATABASE {name} IS 'of the application';
                 GRANT CREATE ON DATABASE {name} TO {OTHER};
                 \\connect {name}
                 GRANT CREATE ON SCHEMA public TO {OTHER}; SET ROLE {APP};
                 CREATE TABLE public.kept (id integer PRIMARY KEY, note text);
                 INSERT INTO public.kept VALUES (1, '{ROW_VALUE}');"
            ),
        );
        Database::adopted(&self.server, &name)
    }

    /// pg_dump of a target that nobody has changed. The name is left out, as in [`World::dump`].
    pub(crate) fn dump_of_a_target(&self, target: &Database) -> String {
        self.dump.get_or_init(|| self.dump(target)).clone()
    }

    /// pg_dump of a database with the database's own properties. Its name is left out.
    pub(crate) fn dump(&self, database: &Database) -> String {
        // A trap can give every session in the database another role.
        database.dump(&["--create", "--role", &self.server.superuser]).replace(&database.name, "NAME")
    }

    /// The target's file for a setting.
    pub(crate) fn file(&self, setting: Setting, target: &Database) -> TargetFile {
        let login = match setting {
            Setting::SwapAsSuperuser | Setting::InPlaceAsSuperuser => &self.server.superuser,
            Setting::SwapAsCreator => CREATOR,
            Setting::InPlaceAsOwner => APP,
        };
        let password = if setting.is_superuser() { &self.server.password } else { PASSWORD };
        // pgmig logs in as `username`, and the session has no other role.
        let more = match setting {
            Setting::SwapAsCreator if !before_the_protection() => format!("password: '{PASSWORD}'\n"),
            _ => String::new(),
        };
        TargetFile {
            username: APP.to_owned(),
            su_username: login.to_owned(),
            su_password: password.to_owned(),
            more,
            ..TargetFile::of(target)
        }
    }

    /// Makes every database of [`APP`] accept connections and DROP again, whatever an attack has changed.
    #[track_caller]
    pub(crate) fn reopen_databases(&self) {
        self.server.psql(
            "postgres",
            &format!(
                "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true IS_TEMPLATE false', datname)
                 FROM pg_database WHERE datdba = '{APP}'::regrole AND (datistemplate OR NOT datallowconn) \\gexec"
            ),
        );
    }

    /// A command line for a setting, without the archive.
    pub(crate) fn pgmig(&self, setting: Setting, target: &Database) -> Pgmig {
        let strategy = if setting.is_swap() { "swap" } else { "in-place" };
        Pgmig::new().target(&self.file(setting, target)).args(["--keep-ids", "--strategy", strategy])
    }

    /// A restore of an archive without further options.
    pub(crate) fn restore(&self, setting: Setting, target: &Database, archive: &Path) -> Pgmig {
        self.pgmig(setting, target).args(["--schema", "archive", "--force"]).source(archive)
    }

    /// Every fact of the cluster that no restore may change: roles, memberships, settings of the server, prepared
    /// transactions. Also databases with their owners, privileges, settings, limits and comments.
    #[track_caller]
    pub(crate) fn cluster(&self) -> String {
        let login = if self.app_logs_in() { "by its password" } else { "not by its password" };
        format!("{}{APP} logs in {login}\n", self.server.psql("postgres", CLUSTER))
    }

    /// Whether [`APP`] has its password still. What the server stores of it may have another salt: without a superuser,
    /// pgmig cannot read the old one.
    fn app_logs_in(&self) -> bool {
        let mut psql = self.server.program("psql");
        psql.env("PGUSER", APP).env("PGPASSWORD", PASSWORD).env("PGHOST", &self.server.host);
        let output = psql.args(["-X", "-c", "SELECT 1", "-d", "postgres"]).output().expect("psql runs");
        output.status.success()
    }
}

/// Sessions of a run that has ended may still be ending.
const CLUSTER: &str = "
    DO $$ BEGIN
        FOR n IN 1..600 LOOP
            EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name ~ '^pgmig');
            PERFORM pg_stat_clear_snapshot(), pg_sleep(0.1);
        END LOOP;
    END $$;
    SELECT 'session ' || application_name FROM pg_stat_activity WHERE application_name ~ '^pgmig';
    SELECT 'role ' || (to_jsonb(a) - 'oid' - CASE rolname WHEN 'app' THEN 'rolpassword' ELSE 'oid' END)::text
        FROM pg_authid a ORDER BY rolname;
    SELECT 'comment on role ' || objoid::regrole || ' ' || description FROM pg_shdescription
        WHERE classoid = 'pg_authid'::regclass ORDER BY objoid;
    SELECT 'member ' || member::regrole || ' of ' || roleid::regrole || ' ' || admin_option FROM pg_auth_members ORDER BY 1;
    SELECT 'database ' || datname || ' owner ' || datdba::regrole || ' connection limit ' || datconnlimit || ' open '
        || datallowconn || ' template ' || datistemplate || ' comment ' || coalesce(shobj_description(oid, 'pg_database'), '')
        || ' privileges ' || (SELECT string_agg(x::text, ' ' ORDER BY x::text)
            FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) x) FROM pg_database ORDER BY datname;
    SELECT 'setting of ' || coalesce(datname, '-') || ' ' || coalesce(rolname, '-') || ' ' || unnest(setconfig)
        FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole
        ORDER BY 1;
    SELECT 'server ' || name || ' ' || coalesce(setting, '') FROM pg_file_settings ORDER BY seqno;
    SELECT 'prepared ' || gid FROM pg_prepared_xacts ORDER BY gid;
    SELECT 'slot ' || slot_name FROM pg_replication_slots ORDER BY slot_name;
    SELECT 'tablespace ' || spcname || coalesce(spcacl::text, '') FROM pg_tablespace ORDER BY spcname;
    SELECT 'subscription ' || subname FROM pg_subscription ORDER BY subname;";

/// Objects of a restored database that do not belong to `username`, or that only a superuser can make.
pub(crate) const NOT_OF_USERNAME: &str = "
    WITH objects (class, id, owner, name) AS (
        SELECT 'pg_class'::regclass, c.oid, relowner, c.oid::regclass::text, relnamespace FROM pg_class c
        UNION ALL SELECT 'pg_proc'::regclass, oid, proowner, oid::regprocedure::text, pronamespace FROM pg_proc
        UNION ALL SELECT 'pg_type'::regclass, oid, typowner, oid::regtype::text, typnamespace FROM pg_type
        UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner, oid::regoperator::text, oprnamespace FROM pg_operator)
    SELECT class || ' ' || o.name || ' of ' || owner::regrole FROM objects o (class, id, owner, name, space)
        JOIN pg_namespace n ON n.oid = space
        WHERE nspname !~ '^pg_|^information_schema$' AND owner <> 'app'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = id AND deptype IN ('e', 'i'))
    UNION ALL SELECT 'schema ' || nspname || ' of ' || nspowner::regrole FROM pg_namespace
        WHERE nspname !~ '^pg_|^information_schema$' AND nspowner <> 'app'::regrole AND nspname <> 'public'
    UNION ALL SELECT 'default privileges of ' || defaclrole::regrole FROM pg_default_acl WHERE defaclrole <> 'app'::regrole
    UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
    UNION ALL SELECT 'large object of ' || lomowner::regrole FROM pg_largeobject_metadata WHERE lomowner <> 'app'::regrole
    ORDER BY 1";

/// Whether the suite runs to show the escapes from a pgmig that has no protection yet.
pub(crate) fn before_the_protection() -> bool {
    std::env::var_os("PGMIG_HOSTILE_BEFORE").is_some()
}
