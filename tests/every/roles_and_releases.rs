//! Memberships, owners and properties of newer servers that pgmig did not know of.
//!
//! Relatives that were tried: a membership of `su_username` with INHERIT FALSE, with SET FALSE (16 and later), and of a role
//! with NOINHERIT (before); a staging database that such a role left; archives by --quote-all-identifiers; a comment on schema
//! public by who does not own it, in place and by swap, other than the standard one and the standard one; range types that a
//! superuser made and gave away, with their arrays, multiranges and arrays of multiranges; the access method of partitioned
//! tables, on 17 and on older servers; the target's default privileges for large objects (18); login event triggers of the
//! target (17); quote_all_identifiers and other settings of the target that change how the catalogs show types.

use super::{Source, Way, assert_restored_as, by_pg_restore, restore};
use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::pgmig::TargetFile;
use crate::support::restored::Restored;
use crate::support::two_schemas::TwoSchemas;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};
use std::path::Path;

/// Whether this server is new enough; says so if it is not.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn is_since(server: &Server, version: u32, what: &str) -> bool {
    let is_since = server.major_version() >= version;
    if !is_since {
        eprintln!("skipped: {what} came with PostgreSQL {version}");
    }
    is_since
}

/// A role that connects, with CREATEDB, and is a member of another one. Both are of one test: a restore for a role must not
/// see its members change.
struct Member {
    server: Server,
    name: String,
    /// The role that owns the target.
    owner: String,
}

impl Member {
    fn create(purpose: &str) -> Self {
        let server = Server::of_this_run();
        let name = format!("member {purpose} {}", std::process::id());
        let owner = format!("member's owner {purpose} {}", std::process::id());
        let sql = format!(
            "CREATE ROLE {}; CREATE ROLE {} LOGIN CREATEDB PASSWORD 'member'",
            quoted(&owner),
            quoted(&name)
        );
        server.psql("postgres", &sql);
        Self { server, name, owner }
    }

    /// An empty database of the owner's. It has to go before the roles.
    fn target(&self) -> Database {
        let clauses = format!("TEMPLATE template0 OWNER {}", quoted(&self.owner));
        Database::create_with(&self.server, "member", &clauses)
    }

    fn target_file(&self, target: &Database) -> TargetFile {
        TargetFile {
            username: self.owner.clone(),
            su_username: self.name.clone(),
            su_password: "member".to_owned(),
            ..TargetFile::of(target)
        }
    }

    /// The membership with these options of 16, or the role with those of older servers.
    fn grant(&self, option: &str, older: &str) {
        let (role, owner) = (quoted(&self.name), quoted(&self.owner));
        let sql = match self.server.major_version() {
            16.. => format!("GRANT {owner} TO {role} WITH {option}"),
            _ => format!("GRANT {owner} TO {role}; ALTER ROLE {role} {older}"),
        };
        self.server.psql("postgres", &sql);
    }

    fn restore(&self, archive: &Path, target: &Database, args: &[&str]) -> Pgmig {
        let file = self.target_file(target);
        let pgmig = Pgmig::new().target(&file).args(["--schema", "archive", "--keep-ids", "--force"]);
        pgmig.source(archive).args(args.iter().copied())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        for role in [quoted(&self.name), quoted(&self.owner)] {
            let _ = self.server.try_psql("postgres", &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
        }
    }
}

#[test]
fn a_membership_that_is_not_inherited_is_no_right_to_swap() {
    let source = Source::of("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let archive = source.dump("member.dump", &["-Fc"]);
    let member = Member::create("inherit");
    let target = member.target();
    member.grant("INHERIT FALSE, SET TRUE", "NOINHERIT");
    let before = Before::of(&target);
    let swap = ["--strategy", "swap"];
    let remedy = if member.server.major_version() >= 16 { "WITH INHERIT TRUE" } else { "INHERIT)" };
    for args in [&["--strategy", "swap", "--dry-run"][..], &swap] {
        let outcome = before.is_now(member.restore(&archive, &target, args).run().expect_status(3));
        outcome.assert_stderr_has("does not inherit the rights of member's owner inherit");
        outcome.assert_stderr_has(remedy);
    }
    // A run with the right is killed; a later one without it removes what is left.
    member.grant("INHERIT TRUE, SET TRUE", "INHERIT");
    member.restore(&archive, &target, &swap).failpoint("data:kill").run().expect_killed();
    assert_ne!(databases_beside(&target), "");
    member.grant("INHERIT FALSE, SET TRUE", "NOINHERIT");
    member.restore(&archive, &target, &[]).run().expect_status(0).assert_stderr_has("strategy in-place");
    assert_eq!(databases_beside(&target), "");
    assert_eq!(target.psql("SELECT * FROM t"), "1\n");
}

#[test]
fn a_membership_that_does_not_let_become_names_the_option() {
    let server = Server::of_this_run();
    if !is_since(&server, 16, "SET FALSE of a membership") {
        return;
    }
    let source = Source::of("CREATE TABLE t (a int)");
    let archive = source.dump("member.dump", &["-Fc"]);
    let member = Member::create("set");
    let target = member.target();
    member.grant("INHERIT TRUE, SET FALSE", "");
    let outcome = member.restore(&archive, &target, &[]).run().expect_status(3);
    let grant = format!("GRANT {} TO {} WITH SET TRUE", quoted(&member.owner), quoted(&member.name));
    outcome.assert_stderr_has(&grant);
}

/// A target that belongs to the superuser, in which the application may create.
fn lent_target() -> Database {
    let server = Server::of_this_run();
    application::create(&server);
    let target = Database::create("lent");
    let owner = quoted(APPLICATION);
    target.psql(&format!(
        "GRANT CREATE, TEMPORARY ON DATABASE {} TO {owner}; GRANT ALL ON SCHEMA public TO {owner}",
        quoted(&target.name)
    ));
    target
}

#[test]
fn a_comment_on_schema_public_of_another_role_is_made_or_named() {
    if !is_since(&Server::of_this_run(), 15, "comments on schema public in dumps") {
        return;
    }
    for comment in ["of the application", "standard public schema"] {
        let source = Source::of(&format!("CREATE TABLE t (a int); COMMENT ON SCHEMA public IS '{comment}'"));
        for options in [&["-Fc"][..], &["-Fc", "--quote-all-identifiers"], &["-Fp"]] {
            let archive = source.dump("comment", options);
            let target = lent_target();
            let outcome = restore(&archive, &target, Way::InPlace).run().expect_status(0);
            let statement = "to set it, run as its owner: COMMENT ON SCHEMA public IS 'of the application'";
            assert_eq!(
                outcome.stderr.contains(statement),
                comment.starts_with("of"),
                "{options:?}: {outcome}"
            );
            let target = lent_target();
            restore(&archive, &target, Way::Swap).run().expect_status(0);
            let found = target.psql("SELECT obj_description('public'::regnamespace)");
            assert_eq!(found.trim(), comment, "{options:?}");
        }
    }
}

#[test]
fn range_types_that_a_superuser_has_given_away_can_be_cleared() {
    let owner = quoted(APPLICATION);
    let source = Source::of(
        "CREATE TYPE r AS RANGE (subtype = int4); CREATE TYPE r2 AS RANGE (subtype = float8, subtype_diff = float8mi);
         CREATE TABLE t (a r, b r[]); INSERT INTO t VALUES ('[1,2]', '{\"[3,4]\"}');"
    );
    let archive = source.dump("range.dump", &["-Fc"]);
    let expected = by_pg_restore(&archive);
    let target = application::empty_database("range");
    target.restore_with_pg_restore(&archive, &["--no-owner"]);
    target.psql(&format!(
        "ALTER TYPE r OWNER TO {owner}; ALTER TYPE r2 OWNER TO {owner}; ALTER TABLE t OWNER TO {owner}"
    ));
    restore(&archive, &target, Way::InPlace).run().expect_status(0);
    let found = Restored::of(&target).in_any_order();
    assert_eq!(expected.in_any_order().difference(&found), None);
    // Those that a trusted restore has handed over.
    let target = assert_restored_as(&archive, &expected, Way::Swap, |pgmig| pgmig.arg("--trust-archive"));
    restore(&archive, &target, Way::InPlace).run().expect_status(0);
}

#[test]
fn partitioned_tables_keep_their_access_method() {
    let server = Server::of_this_run();
    if !is_since(&server, 17, "the access method of a partitioned table") {
        return;
    }
    let source = Source::of(
        "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
         CREATE TABLE p (a int) PARTITION BY LIST (a) USING heap2; CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
         CREATE TABLE q (a int) PARTITION BY LIST (a) USING heap; CREATE TABLE s (a int) PARTITION BY LIST (a);",
    );
    let with_trust = |pgmig: Pgmig| pgmig.args(["--trust-archive", "--strict"]);
    for options in [&["-Fc"][..], &["-Fp"]] {
        let archive = source.dump("method", options);
        let expected = by_pg_restore(&source.dump("oracle", &["-Fc"]));
        let target = assert_restored_as(&archive, &expected, Way::Swap, with_trust);
        let methods = "SELECT c.relname, a.amname FROM pg_class AS c LEFT JOIN pg_am AS a ON a.oid = c.relam
                       WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1";
        assert_eq!(target.psql(methods), "p|heap2\np1|heap2\nq|heap\ns|\n", "{options:?}");
    }
}

#[test]
fn default_privileges_do_not_widen_those_of_large_objects() {
    let server = Server::of_this_run();
    if !is_since(&server, 18, "default privileges for large objects") {
        return;
    }
    let superuser = server.superuser.clone();
    let tables = "CREATE TABLE t (id int PRIMARY KEY, object oid);";
    let stores = TwoSchemas::new(
        &format!(
            "{tables} INSERT INTO t VALUES (1, lo_from_bytea(4711, 'closed')), (2, lo_from_bytea(4712, 'open'));
             GRANT SELECT ON LARGE OBJECT 4712 TO PUBLIC"
        ),
        &format!("{tables} ALTER DEFAULT PRIVILEGES GRANT SELECT ON LARGE OBJECTS TO PUBLIC"),
    );
    stores.restore("").run().expect_status(0);
    let acl = |oid: u32| {
        stores.target.psql(&format!("SELECT lomacl FROM pg_largeobject_metadata WHERE oid = {oid}"))
    };
    assert_eq!(acl(4711).trim(), "");
    assert!(acl(4712).contains(",=r/"), "{}", acl(4712));
    let defaults = stores.target.psql("SELECT defaclobjtype, defaclacl FROM pg_default_acl");
    assert_eq!(defaults.trim(), format!("L|{{=r/{superuser},{superuser}=rw/{superuser}}}"));
}

#[test]
fn login_triggers_of_the_target_do_not_fire_for_us() {
    let server = Server::of_this_run();
    if !is_since(&server, 17, "login event triggers") {
        return;
    }
    let source = Source::of("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let archive = source.dump("login.dump", &["-Fc"]);
    for (way, trust) in [(Way::Swap, false), (Way::Swap, true), (Way::InPlace, false)] {
        let target = application::empty_database("login");
        let log = Database::create("login_log");
        target.psql(&format!(
            "CREATE EXTENSION dblink; CREATE FUNCTION on_login() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
             BEGIN PERFORM public.dblink_exec('host={0} port={1} user={2} dbname={3}', 'INSERT INTO seen VALUES (1)'); END $$;
             CREATE EVENT TRIGGER l ON login EXECUTE FUNCTION on_login(); ALTER EVENT TRIGGER l ENABLE ALWAYS",
            server.socket.display(),
            server.port,
            server.superuser,
            log.name
        ));
        log.psql("CREATE TABLE seen (a int)");
        let pgmig = restore(&archive, &target, way);
        let pgmig = if trust { pgmig.arg("--trust-archive") } else { pgmig };
        let outcome = pgmig.arg("--dry-run").run().expect_status(0);
        let seen = log.psql("SELECT count(*) > 0 FROM seen");
        assert_eq!(seen.trim(), if way == Way::InPlace { "t" } else { "f" }, "{way:?} {trust}: {outcome}");
        let warning = "login event triggers of the target fire for pgmig's sessions, too";
        assert_eq!(
            format!("{}{}", outcome.stdout, outcome.stderr).contains(warning),
            way == Way::InPlace,
            "{way:?} {trust}: {outcome}"
        );
    }
}

#[test]
fn settings_of_the_target_do_not_make_types_differ() {
    let tables = "CREATE TYPE \"Mood\" AS ENUM ('ok'); CREATE DOMAIN code AS text CHECK (VALUE <> '');
        CREATE TABLE t (id int PRIMARY KEY, m \"Mood\", c code, at timestamptz DEFAULT '2024-01-01 00:00+00', f float8 DEFAULT 0.1,
            i interval DEFAULT '1 day', b bytea DEFAULT '\\x00', CHECK (at > '2020-01-01 00:00+00'));";
    let stores = TwoSchemas::new(&format!("{tables} INSERT INTO t VALUES (1, 'ok', 'x')"), tables);
    for setting in [
        "quote_all_identifiers = on",
        "extra_float_digits = 0",
        "IntervalStyle = 'iso_8601'",
        "bytea_output = 'escape'",
        "DateStyle = 'German'",
        "standard_conforming_strings = off",
    ] {
        let name = quoted(&stores.target.name);
        stores.target.server.psql("postgres", &format!("ALTER DATABASE {name} SET {setting}"));
    }
    for args in [&["--dry-run"][..], &[]] {
        stores.restore("").args(args.iter().copied()).run().expect_status(0);
    }
    assert_eq!(stores.target.psql("SELECT id, m, c FROM t"), "1|ok|x\n");
}

/// real-03: the target's tables and sequences belong to another role.
#[test]
fn report_real_03_sequences_of_others_are_set_as_their_rows_are_loaded() {
    let tables = "CREATE TABLE t (id serial PRIMARY KEY, v text);";
    let stores = TwoSchemas::new(&format!("{tables} INSERT INTO t (v) VALUES ('a'), ('b')"), tables);
    application::create(&stores.target.server);
    let file = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&stores.target) };
    let restore = |args: &[&str]| {
        let pgmig = Pgmig::new().target(&file).source(&stores.archive());
        pgmig
            .args(["--schema", "target", "--keep-ids", "--force", "--trust-archive"])
            .args(args.iter().copied())
            .run()
    };
    restore(&["--dry-run"]).expect_status(0);
    restore(&[]).expect_status(0);
    assert_eq!(stores.target.psql("SELECT nextval('t_id_seq')"), "3\n");
}

#[test]
fn a_sequence_of_others_is_set_by_a_superuser_or_refused_beforehand() {
    let member = Member::create("sequence");
    member.grant("INHERIT TRUE, SET TRUE", "INHERIT");
    let owner = quoted(&member.owner);
    let stores = TwoSchemas::new(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE SEQUENCE s; SELECT setval('s', 41)",
        "CREATE TABLE t (id int); CREATE SEQUENCE s",
    );
    let name = quoted(&stores.target.name);
    stores.target.psql(&format!("ALTER TABLE t OWNER TO {owner}; ALTER DATABASE {name} OWNER TO {owner}"));
    let pgmig = |file: &TargetFile, args: &[&str]| {
        let pgmig = Pgmig::new().target(file).source(&stores.archive());
        pgmig.args(["--schema", "target", "--keep-ids", "--force"]).args(args.iter().copied()).run()
    };
    let file = member.target_file(&stores.target);
    let refused = pgmig(&file, &["--dry-run"]).expect_status(3);
    refused.assert_stderr_has("sequence public.s may not be set by username");
    let file = TargetFile { username: member.owner.clone(), ..TargetFile::of(&stores.target) };
    pgmig(&file, &["--dry-run"]).expect_status(0);
    pgmig(&file, &[]).expect_status(0);
    assert_eq!(stores.target.psql("SELECT nextval('s')"), "42\n");
}
