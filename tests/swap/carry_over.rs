//! Properties of the target database itself, as opposed to its contents, are the same after a restore.

use crate::support::database::quoted;
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::properties::properties;
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};

/// Restores into the target and compares its properties.
#[track_caller]
fn properties_survive(target: &Database) {
    let backup = Backup::of_oldest_release();
    let before = properties(target);
    backup.restore_into(target).run().expect_status(0);
    assert_eq!(before, properties(target));
    backup.assert_restored(target);
    assert_eq!(databases_beside(target), "");
}

/// Roles for one test: owner, first and second grantee.
struct Roles {
    server: Server,
    names: [String; 3],
}

impl Roles {
    fn create(purpose: &str) -> Self {
        let server = Server::of_this_run();
        let names =
            ["Owner \"x\"", "first", "second"].map(|name| format!("{name} {purpose} {}", std::process::id()));
        for name in &names {
            server.psql("postgres", &format!("CREATE ROLE {}", quoted(name)));
        }
        Self { server, names }
    }

    fn quoted(&self) -> [String; 3] {
        self.names.each_ref().map(|name| quoted(name))
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        for name in self.quoted() {
            let _ = self.server.try_psql("postgres", &format!("DROP ROLE {name}"));
        }
    }
}

#[test]
fn privileges_settings_and_the_rest() {
    let roles = Roles::create("carry");
    let [owner, first, second] = roles.quoted();
    let target = Database::create_with(&roles.server, "carry", &format!("TEMPLATE template0 OWNER {owner}"));
    let name = quoted(&target.name);
    target.psql(&format!(
        r#"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC;
        GRANT CONNECT, CREATE ON DATABASE {name} TO {first} WITH GRANT OPTION;
        SET ROLE {first};
        GRANT CONNECT ON DATABASE {name} TO {second} WITH GRANT OPTION;
        SET ROLE {second};
        GRANT CONNECT ON DATABASE {name} TO pg_monitor;
        RESET ROLE;
        ALTER DATABASE {name} SET search_path = store, "Odd; ""schema""", public;
        ALTER DATABASE {name} SET work_mem = '7MB';
        ALTER DATABASE {name} SET "my.odd_setting" = 'it''s, \ "quoted"';
        ALTER DATABASE {name} SET DateStyle = 'SQL, DMY';
        ALTER DATABASE {name} SET temp_tablespaces = '';
        ALTER ROLE {first} IN DATABASE {name} SET search_path = '';
        ALTER ROLE {second} IN DATABASE {name} SET statement_timeout = '3s';
        ALTER DATABASE {name} CONNECTION LIMIT 17;
        COMMENT ON DATABASE {name} IS 'the store''s \ "database"
in two lines'"#
    ));
    properties_survive(&target);
}

#[test]
fn an_owner_without_own_privileges() {
    let roles = Roles::create("bare");
    let [owner, first, _] = roles.quoted();
    let target = Database::create_with(&roles.server, "bare", &format!("TEMPLATE template0 OWNER {owner}"));
    let name = quoted(&target.name);
    target.psql(&format!(
        "REVOKE ALL ON DATABASE {name} FROM PUBLIC, {owner}; GRANT TEMPORARY ON DATABASE {name} TO {first}"
    ));
    properties_survive(&target);
}

#[test]
fn a_plain_database_stays_plain() {
    properties_survive(&Database::create("plain"));
}

#[test]
fn encodings_and_locales() {
    let server = Server::of_this_run();
    let mut clauses =
        vec!["ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"];
    if server.major_version() >= 15 {
        clauses.push("LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LC_COLLATE 'C' LC_CTYPE 'C'");
    }
    if server.major_version() >= 16 {
        clauses.push("LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES '&z < a'");
    }
    if server.major_version() >= 17 {
        clauses.push("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'");
    }
    for clauses in clauses {
        let target = Database::create_with(&server, "locale", &format!("TEMPLATE template0 {clauses}"));
        let before = properties(&target);
        // This backup is not the store's, because LATIN1 cannot represent the store's texts.
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).arg("--keep-ids");
        pgmig.source(&fixture("archives/emptydb_15.dump")).run().expect_status(0);
        assert_eq!(before, properties(&target));
    }
}

/// The provider of a cluster's template can differ from the target's.
#[test]
fn a_libc_locale_where_the_template_has_icu() {
    let server = Server::start_private("");
    if server.major_version() < 15 {
        return; // Only libc there.
    }
    let target = Database::create_on(&server, "libc");
    let icu_locale = if server.major_version() >= 17 { "datlocale" } else { "daticulocale" };
    server.psql(
        "postgres",
        &format!(
            "UPDATE pg_database SET datlocprovider = 'i', {icu_locale} = 'und' WHERE datname = 'template0'"
        ),
    );
    let before = properties(&target);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).arg("--keep-ids");
    pgmig.source(&fixture("archives/emptydb_15.dump")).run().expect_status(0);
    assert_eq!(before, properties(&target));
}

#[test]
fn a_tablespace() {
    let server = Server::of_this_run();
    let name = quoted(&format!("Space \"x\" {}", std::process::id()));
    server.psql(
        "postgres",
        &format!("SET allow_in_place_tablespaces = on; CREATE TABLESPACE {name} LOCATION ''"),
    );
    let target = Database::create_with(&server, "space", &format!("TEMPLATE template0 TABLESPACE {name}"));
    properties_survive(&target);
    drop(target);
    server.psql("postgres", &format!("DROP TABLESPACE {name}"));
}

#[test]
fn the_previous_database_can_be_kept() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("kept");
    target.psql(&format!("COMMENT ON DATABASE {} IS 'its own comment'", quoted(&target.name)));
    let dump = target.dump(&[]);
    let outcome = backup.restore_into(&target).arg("--keep-previous").run().expect_status(0);
    backup.assert_restored(&target);
    let kept = databases_beside(&target).trim().to_owned();
    outcome.stdout_has(&kept);
    let comment = |name: &str| {
        target.server.psql(
            "postgres",
            &format!(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'"
            ),
        )
    };
    assert_eq!(comment(&target.name), "its own comment\n");
    assert!(comment(&kept).contains("\"comment\":\"its own comment\""), "{}", comment(&kept));
    // The next run does not touch it, with or without the flag.
    backup.restore_into(&target).run().expect_status(0);
    assert_eq!(databases_beside(&target).trim(), kept);
    backup.restore_into(&target).arg("--keep-previous").run().expect_status(0);
    assert_eq!(databases_beside(&target).lines().count(), 2);
    let previous = Database::shared(&target.server, &kept);
    assert!(dump == previous.dump(&[]), "the kept database has changed");
    for name in databases_beside(&target).lines() {
        target.server.psql("postgres", &format!("DROP DATABASE {}", quoted(name)));
    }
}

/// Restores into a target of this name. A first run is killed on the way.
#[track_caller]
fn name_works(name: &str) {
    let server = Server::of_this_run();
    let backup = Backup::of_oldest_release();
    let target = Database::create_named(&server, name, &backup.as_template());
    assert_eq!(target.psql("SELECT current_database()").trim_end_matches('\n'), name, "not cut");
    backup.restore_into(&target).failpoint("data:kill").run().expect_killed();
    assert_eq!(databases_beside(&target).lines().count(), 1);
    backup.restore_into(&target).run().expect_status(0);
    backup.assert_restored(&target);
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn a_name_of_63_bytes() {
    name_works(&format!("{:0>63}", std::process::id()));
}

#[test]
fn a_name_of_63_bytes_beyond_ascii() {
    name_works(&format!("{:0>9}{}", std::process::id(), "é".repeat(27)));
}

#[test]
fn a_name_with_everything_in_it() {
    name_works(&format!(" It's \"ODD\"; -- \\ % $1 {} ", std::process::id()));
}

#[test]
fn a_name_like_a_staging_database() {
    name_works(&format!("store_{:08x}_staging", std::process::id()));
}

#[test]
fn a_foreign_database_of_the_staging_databases_name() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("taken");
    backup.restore_into(&target).failpoint("data:kill").run().expect_killed();
    let staging = databases_beside(&target).trim().to_owned();
    backup.restore_into(&target).run().expect_status(0);
    let foreign = Database::create_named(&target.server, &staging, "TEMPLATE template0");
    foreign.psql("CREATE TABLE somebodys AS SELECT 1");
    for comment in ["NULL", "'not pgmig''s'", "'pgmig-marker-1 {}'"] {
        foreign.psql(&format!("COMMENT ON DATABASE {} IS {comment}", quoted(&staging)));
        let (target_before, foreign_before) = (Before::of(&target), Before::of(&foreign));
        let outcome = backup.restore_into(&target).run().expect_status(3);
        outcome.stderr_has(&staging).stderr_has("was not made by pgmig").stderr_has("rename or drop it");
        target_before.is_unchanged();
        foreign_before.is_unchanged();
    }
}

#[test]
fn leftovers_of_another_target_stay() {
    let backup = Backup::of_oldest_release();
    let (target, other) = (backup.target("this"), backup.target("other"));
    backup.restore_into(&other).failpoint("post-data:kill").run().expect_killed();
    let left = databases_beside(&other);
    assert_eq!(left.lines().count(), 1);
    backup.restore_into(&target).run().expect_status(0);
    assert_eq!(databases_beside(&other), left);
    backup.restore_into(&other).run().expect_status(0);
    assert_eq!(databases_beside(&other), "");
}

#[test]
fn a_store_in_another_encoding_is_converted() {
    let server = Server::of_this_run();
    let source = Database::create_with(
        &server,
        "latin1_source",
        "TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    source.psql("SET client_encoding = 'UTF8'; CREATE TABLE \"größe\" (note text DEFAULT 'ü'); INSERT INTO \"größe\" VALUES ('Zoë')");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("latin1.dump");
    source.dump_through_pipe(&[], &archive);
    let restore = |target: &Database| {
        Pgmig::new().target(&TargetFile::of(target)).source(&archive).args(["--force", "--keep-ids"]).run()
    };
    let target = Database::create("utf8");
    restore(&target).expect_status(0);
    assert_eq!(target.psql("SELECT note FROM \"größe\""), "Zoë\n");
    // A character that the target's encoding does not have is an error. The message has the place, but not the value.
    source.psql(
        "SET client_encoding = 'UTF8'; TRUNCATE \"größe\"; INSERT INTO \"größe\" VALUES ('x'), ('Zoë')",
    );
    source.dump_through_pipe(&[], &archive);
    let target = Database::create_with(
        &server,
        "koi8",
        "TEMPLATE template0 ENCODING 'KOI8R' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    let before = Before::of(&target);
    before.is_now(restore(&target).expect_status(1).keeps_secret("Zoë"));
}
