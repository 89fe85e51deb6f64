//! Several connections at a time: each row is loaded once, and one failed connection stops all.

use crate::support::damage::patch;
use crate::support::database::quoted;
use crate::support::pgmig::TargetFile;
use crate::support::session::wait_until;
use crate::support::store::{Backup, ROW_VALUE};
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A table with most of the archive's data, and small tables, with keys and indexes.
const DOMINATED: &str = "
    CREATE TABLE big (id int PRIMARY KEY, note text NOT NULL);
    INSERT INTO big SELECT n, md5(n::text) || repeat('x', n % 300) FROM generate_series(1, 240000) n;
    CREATE INDEX big_note ON big (note);
    CREATE TABLE one (id int PRIMARY KEY, big int REFERENCES big);
    INSERT INTO one SELECT n, n FROM generate_series(1, 1000) n;
    CREATE TABLE two (id int REFERENCES one);
    INSERT INTO two SELECT n FROM generate_series(1, 1000) n;
    CREATE TABLE empty (id int)";

/// An archive and an empty target.
struct Case {
    source: Database,
    target: Database,
    archive: PathBuf,
    _directory: TempDir,
}

impl Case {
    #[track_caller]
    fn of(sql: &str) -> Self {
        Self::on(&Server::of_this_run(), sql)
    }

    #[track_caller]
    fn on(server: &Server, sql: &str) -> Self {
        let source = Database::create_on(server, "jobs_source");
        source.psql(sql);
        let directory = TempDir::new().unwrap();
        let archive = directory.path().join("jobs.dump");
        source.dump_through_pipe(&["--compress=0"], &archive);
        let target = Database::create_on(server, "jobs");
        Self { source, target, archive, _directory: directory }
    }

    /// The target before a run that fails: it holds a row of its own.
    #[track_caller]
    fn before(&self) -> Before {
        let sql = "CREATE TABLE IF NOT EXISTS own (note text); INSERT INTO own VALUES ('%')";
        self.target.psql(&sql.replace('%', ROW_VALUE));
        Before::of(&self.target)
    }

    fn pgmig(&self, jobs: &str) -> Pgmig {
        Pgmig::new()
            .target(&TargetFile::of(&self.target))
            .args(["--force", "--keep-ids", "--schema", "archive", "--jobs", jobs])
            .timeout(Duration::from_secs(60))
    }

    /// Checks that the target has each row of `big` once, and that several connections loaded them.
    #[track_caller]
    fn big_was_split(&self) {
        let sum = "SELECT count(*), count(DISTINCT id), sum(hashtext(b::text)::bigint) FROM big b";
        assert_eq!(self.target.psql(sum), self.source.psql(sum));
        assert_eq!(self.target.dump(&["--schema-only"]), self.source.dump(&["--schema-only"]));
        assert!(transactions(&self.target, "big") > 1, "the table was not split");
    }

    fn copying(&self) -> String {
        let sql = "SELECT count(*) FROM pg_stat_progress_copy c WHERE starts_with(c.datname, '%')";
        self.target.server.psql("postgres", &sql.replace('%', &self.target.name)).trim().to_owned()
    }
}

/// The number of transactions that loaded a table's rows.
fn transactions(database: &Database, table: &str) -> u32 {
    database.psql(&format!("SELECT count(DISTINCT xmin::text) FROM {table}")).trim().parse().unwrap()
}

#[test]
fn a_big_table_is_split_and_every_row_is_there_once() {
    let case = Case::of(DOMINATED);
    case.pgmig("4").source(&case.archive).run().expect_status(0);
    case.big_was_split();
}

#[test]
fn standard_input_is_split_too() {
    let case = Case::of(DOMINATED);
    case.pgmig("3").args(["--source", "-"]).stdin(&case.archive).run().expect_status(0);
    case.big_was_split();
}

#[test]
fn one_job_is_one_connection() {
    let case = Case::of(DOMINATED);
    case.pgmig("1").source(&case.archive).run().expect_status(0);
    assert_eq!(case.target.dump(&[]), case.source.dump(&[]));
    assert_eq!(transactions(&case.target, "big"), 1);
}

#[test]
fn a_bad_row_of_a_split_table_has_its_number_in_the_archive() {
    let case = Case::of(&format!(
        "CREATE TABLE big (id int, note text);
         INSERT INTO big SELECT n, '{ROW_VALUE} ' || repeat('x', 200) FROM generate_series(100001, 199999) n;
         CREATE TABLE other (id int); INSERT INTO other SELECT generate_series(1, 1000)"
    ));
    for id in [100_007, 155_555, 199_998] {
        patch(&case.archive, &format!("{id}\t{ROW_VALUE}"), &format!("x00007\t{ROW_VALUE}"));
        let before = case.before();
        let outcome = case.pgmig("4").source(&case.archive).run().expect_status(1);
        let place = format!("row {} of table public.big", id - 100_000);
        before.is_now(outcome.stderr_has(&place).stderr_has("22P02"));
        patch(&case.archive, &format!("x00007\t{ROW_VALUE}"), &format!("{id}\t{ROW_VALUE}"));
    }
}

/// Four tables whose rows take minutes, because a check constraint waits a little for each row. The constraint calls no
/// function of the source's own: pgmig would load such tables one after the other.
fn slow(directory: &Path) -> PathBuf {
    let source = Database::create("slow_jobs_source");
    source.psql(
        "SELECT format('CREATE TABLE t%1$s (id int CHECK (pg_sleep(CASE
                            WHEN current_database() LIKE ''%%slow_jobs_source%%'' THEN 0 ELSE 0.02 END) IS NOT NULL));
                        INSERT INTO t%1$s SELECT generate_series(1, 9000)', n) FROM generate_series(1, 4) n \\gexec",
    );
    let archive = directory.join("slow.dump");
    source.dump_through_pipe(&[], &archive);
    archive
}

#[test]
fn an_interrupt_ends_all_of_them() {
    let directory = TempDir::new().unwrap();
    let archive = slow(directory.path());
    let case = Case::of("CREATE TABLE t (id int)");
    let before = case.before();
    let running = case.pgmig("4").source(&archive).spawn();
    wait_until(|| case.copying() == "4");
    running.signal("TERM");
    before.is_now(running.wait().expect_status(130).stderr_has("the target is untouched"));
    assert_eq!(case.copying(), "0");
}

#[test]
fn a_lost_connection_ends_all_of_them() {
    let directory = TempDir::new().unwrap();
    let archive = slow(directory.path());
    let case = Case::of("CREATE TABLE t (id int)");
    let before = case.before();
    let running = case.pgmig("4").source(&archive).spawn();
    wait_until(|| case.copying() == "4");
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy WHERE starts_with(datname, '{}')
         ORDER BY pid LIMIT 1",
        case.target.name
    );
    assert_eq!(case.target.server.psql("postgres", &end), "t\n");
    before.is_now(running.wait().expect_status(1).stderr_has("could not load table public.t"));
    assert_eq!(case.copying(), "0");
}

#[test]
fn a_server_with_few_connections_is_enough() {
    // Even with one job, pgmig has two sessions. The first one holds the lock.
    let server =
        Server::start_private("max_connections = 6\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0");
    let case = Case::on(&server, DOMINATED);
    let outcome = case.pgmig("8").source(&case.archive).run().expect_status(0);
    outcome.assert_stderr_has("of the 8 connections that --jobs asks for");
    assert_eq!(case.target.dump(&["--schema-only"]), case.source.dump(&["--schema-only"]));
    let sum = "SELECT count(*), sum(hashtext(b::text)::bigint) FROM big b";
    assert_eq!(case.target.psql(sum), case.source.psql(sum));
}

#[test]
fn a_roles_connection_limit_is_respected() {
    let backup = Backup::of_oldest_release();
    let server = Server::of_this_run();
    let name = format!("limited {}", std::process::id());
    let role = quoted(&name);
    server
        .psql("postgres", &format!("CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'l1mit' CONNECTION LIMIT 3"));
    let target = Database::create_with(&server, "limited", &format!("TEMPLATE template0 OWNER {role}"));
    let file = TargetFile {
        username: name.clone(),
        su_username: name.clone(),
        su_password: "l1mit".to_owned(),
        ..TargetFile::of(&target)
    };
    let pgmig = backup.restore(Pgmig::new().target(&file).args(["--force", "--jobs", "4"]));
    pgmig.run().expect_status(0).stderr_has("of the 4 connections that --jobs asks for");
    backup.assert_restored(&target);
    assert_eq!(databases_beside(&target), "");
    drop(target);
    server.psql("postgres", &format!("DROP ROLE {role}"));
}

#[test]
fn a_number_of_jobs_that_makes_no_sense_is_refused() {
    let case = Case::of("CREATE TABLE t (id int)");
    for jobs in ["0", "65", "many"] {
        case.pgmig(jobs).source(&case.archive).run().expect_status(2).stderr_has("1 to 64");
    }
}

#[test]
fn large_values_are_compressed_as_asked() {
    let case =
        Case::of("CREATE TABLE t (id int, note text); INSERT INTO t SELECT 1, repeat('lorem ipsum ', 1000)");
    if case.target.server.major_version() < 14 {
        return;
    }
    let has_lz4 = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'";
    let where_possible = if case.target.psql(has_lz4) == "t\n" { "lz4\n" } else { "pglz\n" };
    let compression = "SELECT pg_column_compression(note) FROM t";
    for (option, expected) in [("lz4", where_possible), ("keep", "pglz\n")] {
        case.pgmig("2").args(["--toast-compression", option]).source(&case.archive).run().expect_status(0);
        assert_eq!(case.target.psql(compression), expected);
        assert_eq!(case.target.dump(&[]), case.source.dump(&[]));
    }
}

/// Two big tables with several indexes each. All keys and foreign keys are made in two statements each.
const KEYED: &str = "
    CREATE TABLE tenant (id int PRIMARY KEY, name text);
    INSERT INTO tenant SELECT n, 'tenant ' || n FROM generate_series(1, 50) n;
    CREATE TABLE \"Odd one\" (id int, \"a b\" int NOT NULL, note text, tenant int,
        CONSTRAINT \"Odd key\" PRIMARY KEY (id, \"a b\"), CONSTRAINT deferred UNIQUE (note) DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT covering UNIQUE (id) INCLUDE (note), CONSTRAINT nulls UNIQUE NULLS NOT DISTINCT (note, id),
        CONSTRAINT filled UNIQUE (\"a b\", id) WITH (fillfactor = 70),
        CONSTRAINT to_tenant FOREIGN KEY (tenant) REFERENCES tenant ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT to_itself FOREIGN KEY (id) REFERENCES \"Odd one\" (id));
    INSERT INTO \"Odd one\" SELECT n, n, md5(n::text), 1 + n % 50 FROM generate_series(1, 60000) n;
    CREATE INDEX ON \"Odd one\" (tenant);
    CLUSTER \"Odd one\" USING \"Odd key\";
    ALTER TABLE \"Odd one\" REPLICA IDENTITY USING INDEX \"Odd key\";
    COMMENT ON CONSTRAINT \"Odd key\" ON \"Odd one\" IS 'a key';
    CREATE TABLE other (id int PRIMARY KEY, odd int REFERENCES \"Odd one\" (id), tenant int REFERENCES tenant, note text UNIQUE);
    INSERT INTO other SELECT n, n, 1 + n % 50, md5(n::text) FROM generate_series(1, 60000) n;
    ALTER TABLE other ADD CONSTRAINT late FOREIGN KEY (id) REFERENCES \"Odd one\" (id) NOT VALID";

#[test]
fn keys_in_two_steps_are_the_same_keys() {
    let case = Case::of(KEYED);
    case.pgmig("4").source(&case.archive).run().expect_status(0);
    assert_eq!(case.target.dump(&["--schema-only"]), case.source.dump(&["--schema-only"]));
    for table in ["\"Odd one\"", "other", "tenant"] {
        let sum = format!("SELECT count(*), sum(hashtext(t::text)::bigint) FROM {table} t");
        assert_eq!(case.target.psql(&sum), case.source.psql(&sum));
    }
    let flags = "SELECT conname, contype, condeferrable, condeferred, convalidated, indisprimary, indisunique, indimmediate,
                        indisclustered, indisreplident, indisvalid
                 FROM pg_constraint LEFT JOIN pg_index ON indexrelid = conindid AND contype <> 'f' ORDER BY conname";
    assert_eq!(case.target.psql(flags), case.source.psql(flags));
    // The two statements ran in two transactions.
    let in_two = "SELECT string_agg(conname, ', ' ORDER BY conname) FROM pg_constraint c
                  WHERE connamespace = 'public'::regnamespace AND xmin <> CASE contype WHEN 'f' THEN (SELECT min(xmin::text)::xid FROM pg_trigger WHERE tgconstraint = c.oid)
                                ELSE (SELECT xmin FROM pg_class WHERE oid = conindid) END";
    let expected = "Odd key, covering, deferred, nulls, other_note_key, other_odd_fkey, other_pkey, other_tenant_fkey, to_itself, to_tenant";
    assert_eq!(case.target.psql(in_two).trim(), expected);
}
