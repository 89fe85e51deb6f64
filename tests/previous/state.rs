//! What belongs to the database itself stays with the target's name: owner, privileges, settings, limit, comment. Contents,
//! encoding, locale, tablespace and slots belong to the database.

use crate::support::Database;
use crate::support::database::quoted;
use crate::support::previous::{Site, comment_of, role};
use crate::support::properties::properties;

/// Properties without the owner's and the marker's lines are compared as a whole.
#[test]
fn the_name_keeps_its_properties_however_they_were_changed_since() {
    let server = crate::support::Server::of_this_run();
    let roles = ["owner back", "first back", "second back"].map(|name| role(&server, name, ""));
    let [owner, first, second] = roles.each_ref().map(|name| quoted(name));
    let target = Database::create_with(&server, "state", &format!("TEMPLATE template0 OWNER {owner}"));
    let site = Site::of(target);
    let name = quoted(&site.target.name);
    site.admin(&format!(
        "ALTER DATABASE {name} SET work_mem = '7MB'; ALTER DATABASE {name} SET search_path = fresh, \"odd; x\", public;
         ALTER ROLE {first} IN DATABASE {name} SET statement_timeout = '3s';
         REVOKE CONNECT ON DATABASE {name} FROM PUBLIC;
         GRANT CONNECT, CREATE ON DATABASE {name} TO {first} WITH GRANT OPTION;
         SET ROLE {first}; GRANT CONNECT ON DATABASE {name} TO {second}; RESET ROLE;
         ALTER DATABASE {name} CONNECTION LIMIT 17; COMMENT ON DATABASE {name} IS 'the store''s'"
    ));
    let old = site.target.dump(&[]);
    let previous = site.keep();
    // Everything changes: settings come, go and have other values; privileges likewise.
    site.admin(&format!(
        "ALTER DATABASE {name} RESET work_mem; ALTER DATABASE {name} SET search_path = public;
         ALTER DATABASE {name} SET \"my.setting\" = 'it''s';
         ALTER ROLE {first} IN DATABASE {name} RESET ALL; ALTER ROLE {second} IN DATABASE {name} SET work_mem = '9MB';
         REVOKE ALL ON DATABASE {name} FROM {first} CASCADE; GRANT CREATE ON DATABASE {name} TO {second} WITH GRANT OPTION;
         SET ROLE {second}; GRANT CREATE ON DATABASE {name} TO {first}; RESET ROLE;
         ALTER DATABASE {name} CONNECTION LIMIT 23; COMMENT ON DATABASE {name} IS 'changed'"
    ));
    let now = properties(&site.target);
    let outcome = site.rollback().run().expect_status(0);
    for text in [
        "the setting work_mem in the database was removed",
        "the connection limit of the database was changed",
        "the comment",
    ] {
        outcome.assert_stderr_has(text);
    }
    assert_eq!(properties(&site.target), now);
    assert!(site.target.dump(&[]) == old);
    // The database that was the target keeps them, too, apart from the comment, which is the marker.
    let kept = site.database(&site.beside()[0]);
    let without_comment = |properties: &str, comment: &str| properties.replace(comment, "");
    let marker = comment_of(&kept);
    assert!(marker.contains("\"comment\":\"changed\"") && marker.contains("\"state\":\"kept\""), "{marker}");
    assert_eq!(without_comment(&properties(&kept), &marker), without_comment(&now, "changed"));
    // And back.
    site.rollback().run().expect_status(0);
    assert_eq!(properties(&site.target), now);
    assert_ne!(previous, kept.name);
    drop(site);
    for role in roles {
        server.psql("postgres", &format!("DROP ROLE {}", quoted(&role)));
    }
}

#[test]
fn a_plain_database_stays_plain() {
    let site = Site::new("plain_back");
    let before = properties(&site.target);
    site.keep();
    let outcome = site.rollback().run().expect_status(0);
    assert!(!outcome.stderr.contains("have changed"), "{outcome}");
    assert_eq!(properties(&site.target), before);
    site.rollback().run().expect_status(0);
    assert_eq!(properties(&site.target), before);
}

#[test]
fn a_new_owner_of_the_target_owns_what_is_put_back() {
    let site = Site::new("owner_back");
    site.keep();
    let owner = role(&site.target.server, "new owner", "");
    let name = quoted(&site.target.name);
    site.admin(&format!(
        "ALTER DATABASE {name} OWNER TO {0}; REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {0}",
        quoted(&owner)
    ));
    let before = properties(&site.target);
    // A superuser owns the previous database, and no other role could have marked it.
    site.rollback().run().expect_status(0).stderr_has("the owner of the database was changed");
    assert_eq!(properties(&site.target), before);
    site.rollback().run().expect_status(0);
    assert_eq!(properties(&site.target), before);
    let server = site.target.server.clone();
    drop(site);
    server.psql("postgres", &format!("DROP ROLE {}", quoted(&owner)));
}

#[test]
fn a_previous_database_that_was_closed_opens_again() {
    let site = Site::new("closed");
    let old = site.target.dump(&[]);
    let previous = site.keep();
    let before = properties(&site.target);
    site.admin(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false CONNECTION LIMIT 0", quoted(&previous)));
    site.rollback().run().expect_status(0);
    assert_eq!(properties(&site.target), before);
    assert!(site.target.dump(&[]) == old);
}

#[test]
fn a_tablespace_belongs_to_the_database() {
    let site = Site::new("space_back");
    let space = quoted(&format!("Space back {}", std::process::id()));
    site.admin(&format!("SET allow_in_place_tablespaces = on; CREATE TABLESPACE {space} LOCATION ''"));
    let previous = site.keep();
    site.admin(&format!("ALTER DATABASE {} SET TABLESPACE {space}", quoted(&previous)));
    let outcome = site.rollback().run().expect_status(0);
    outcome.stderr_has("stays in tablespace").stderr_has("a rename moves no files");
    let spaces = "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace
                  WHERE datname = current_database()";
    assert_eq!(quoted(site.target.psql(spaces).trim_end()), space);
    site.admin(&format!("ALTER DATABASE {} SET TABLESPACE pg_default", quoted(&site.target.name)));
    site.admin(&format!("DROP TABLESPACE {space}"));
}

/// A previous database that somebody has renamed back by hand has a marker as its comment.
#[test]
fn after_a_way_back_by_hand() {
    let site = Site::new("by_hand");
    let name = quoted(&site.target.name);
    site.admin(&format!("COMMENT ON DATABASE {name} IS 'its own'"));
    let old = site.target.dump(&[]);
    let previous = quoted(&site.keep());
    let aside = quoted(&format!("{} aside", site.target.name));
    site.admin(&format!(
        "ALTER DATABASE {name} RENAME TO {aside}; ALTER DATABASE {previous} RENAME TO {name}"
    ));
    site.previous(["list"]).run().expect_status(0).stdout_has("has no previous database");
    site.rollback().run().expect_status(3).stderr_has("has no previous database");
    site.keep();
    assert_eq!(comment_of(&site.target), "its own");
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == old);
    assert_eq!(comment_of(&site.target), "its own");
    site.admin(&format!("DROP DATABASE {aside}"));
}
