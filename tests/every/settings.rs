//! Settings of the server, of the database and of the role that change how a session reads its input.
//!
//! Every setting of `pg_settings` that a user may set was looked at. These change how input is read, or whether a
//! statement succeeds; each is set on the target and on both roles: DateStyle, IntervalStyle, array_nulls, backslash_quote,
//! bytea_output, check_function_bodies, client_encoding, client_min_messages, default_tablespace, default_toast_compression,
//! default_transaction_deferrable, default_transaction_isolation, default_transaction_read_only, escape_string_warning,
//! extra_float_digits, idle_in_transaction_session_timeout, idle_session_timeout, jit, lc_messages, lc_numeric, lc_time,
//! lo_compat_privileges, lock_timeout, quote_all_identifiers, restrict_nonsystem_relation_kind, row_security, search_path,
//! session_replication_role, standard_conforming_strings, statement_timeout, TimeZone, transaction_timeout,
//! transform_null_equals, xmlbinary, xmloption. lc_monetary is not among them: no archive says which one it was made with.

use super::{Source, WAYS, assert_restored, by_pg_restore, report, restore};
use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::restored::Restored;
use crate::support::{Database, Server};
use std::path::Path;

/// Settings with values that pg_dump does not expect. The second group is a superuser's to set.
const SETTINGS: &[(&str, &str)] = &[
    ("DateStyle", "'SQL, DMY'"),
    ("IntervalStyle", "'sql_standard'"),
    ("array_nulls", "off"),
    ("backslash_quote", "off"),
    ("bytea_output", "'escape'"),
    ("check_function_bodies", "on"),
    ("client_encoding", "'LATIN1'"),
    ("client_min_messages", "'debug1'"),
    ("default_tablespace", "'nope'"),
    ("default_toast_compression", "'pglz'"),
    ("default_transaction_deferrable", "on"),
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_read_only", "on"),
    ("escape_string_warning", "on"),
    ("extra_float_digits", "0"),
    ("idle_in_transaction_session_timeout", "'2s'"),
    ("idle_session_timeout", "'2s'"),
    ("jit", "on"),
    ("lc_numeric", "'C'"),
    ("lc_time", "'C'"),
    ("lock_timeout", "'10ms'"),
    ("quote_all_identifiers", "on"),
    ("restrict_nonsystem_relation_kind", "'view'"),
    ("row_security", "on"),
    ("search_path", "'nowhere'"),
    ("standard_conforming_strings", "off"),
    ("statement_timeout", "'200ms'"),
    ("TimeZone", "'Asia/Kolkata'"),
    ("transaction_timeout", "'200ms'"),
    ("transform_null_equals", "on"),
    ("xmlbinary", "'hex'"),
    ("xmloption", "'document'"),
    ("lc_messages", "'C'"),
    ("lo_compat_privileges", "on"),
    ("session_replication_role", "'replica'"),
];

/// Values and definitions that read differently under these settings.
const DATABASE: &str = r"
SET check_function_bodies = off;
CREATE TABLE v (id int PRIMARY KEY, a text[], i interval, d date, t timestamptz, x xml, b bytea, f float8, s text, r daterange);
INSERT INTO v VALUES
    (1, ARRAY['x', NULL], '-1 day +02:03:04', '2024-02-03', '2024-02-03 04:05:06+00', 'text <a/> text', '\x00ff', 0.1 + 0.2, 'back\slash ''q''', '[2024-02-03,2024-03-04)'),
    (2, '{NULL,NULL}', '1 mon -1 day', '0044-03-15 BC', 'infinity', '<a/>', 'abc', 'NaN', E'\t', NULL);
CREATE VIEW w AS SELECT id FROM v WHERE (s = NULL) IS NOT TRUE;
CREATE MATERIALIZED VIEW m AS SELECT id, t FROM w JOIN v USING (id);
CREATE FUNCTION later() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.not_there';
ALTER TABLE v ADD CONSTRAINT c CHECK (a <> '{NULL,x}' AND i < '10 years -3 days'), ALTER s SET DEFAULT 'a\b';
";

/// A target with the settings.
fn odd_target(settings: &[(&str, &str)]) -> Database {
    let target = application::empty_database("settings");
    for (setting, value) in settings {
        // From another database, in which they do not apply.
        let known = format!("SELECT 1 FROM pg_settings WHERE name = '{setting}'");
        if !target.server.psql("postgres", &known).is_empty() {
            target
                .server
                .psql("postgres", &format!("ALTER DATABASE {} SET {setting} = {value}", target.name));
        }
    }
    target
}

#[test]
fn report_19_settings_of_role_and_database() {
    let archive = report("19-settings-of-role-and-database/input.dump");
    assert_restored(&archive, &by_pg_restore(&archive));
    check(&archive, &by_pg_restore(&archive), SETTINGS);
}

/// Restores it both ways into a target with settings; each result must be that of a target without them.
#[track_caller]
fn check(archive: &Path, expected: &Restored, settings: &[(&str, &str)]) {
    let expected = expected.in_any_order();
    for way in WAYS {
        let target = odd_target(settings);
        let outcome = restore(archive, &target, way).run();
        assert_eq!(outcome.status.code(), Some(0), "{settings:?} {way:?}: {outcome}");
        target.server.psql("postgres", &format!("ALTER DATABASE {} RESET ALL", target.name));
        let found = Restored::of(&target).in_any_order();
        assert_eq!(expected.difference(&found), None, "{settings:?} {way:?}");
    }
}

#[test]
fn no_setting_of_the_database_changes_what_is_restored() {
    let source = Source::of(DATABASE);
    let expected = Restored::of(&source.database);
    for options in [&["-Fc"][..], &["-Fc", "--inserts"], &["-Fp"]] {
        let archive = source.dump("settings", options);
        check(&archive, &expected, SETTINGS);
    }
}

#[test]
fn no_setting_of_the_role_changes_what_is_restored() {
    let server = Server::start_private("");
    application::create(&server);
    let source = Database::create_on(&server, "source");
    source.psql(DATABASE);
    let files = tempfile::TempDir::new().unwrap();
    let archive = files.path().join("role.dump");
    server.run_program("pg_dump", ["-Fc", "-f", archive.to_str().unwrap(), "-d", &source.name]);
    let expected = Restored::of(&source).in_any_order();
    let roles = [quoted(APPLICATION), quoted(&server.superuser)];
    let set = |change: &str| {
        let own = "SET statement_timeout = 0; SET default_transaction_read_only = off;";
        let alter = roles.iter().map(|role| format!("ALTER ROLE {role} {change};")).collect::<String>();
        server.psql("postgres", &format!("{own}{alter}"));
    };
    for way in WAYS {
        let target = Database::create_with(&server, "target", &format!("OWNER {}", quoted(APPLICATION)));
        for (setting, value) in SETTINGS {
            let known = format!("SELECT 1 FROM pg_settings WHERE name = '{setting}'");
            if !server.psql("postgres", &known).is_empty() {
                set(&format!("SET {setting} = {value}"));
            }
        }
        restore(&archive, &target, way).run().expect_status(0);
        set("RESET ALL");
        assert_eq!(expected.difference(&Restored::of(&target).in_any_order()), None, "{way:?}");
    }
}
