//! Rights: a superuser, the owner with CREATEDB, the owner without it, a stranger. A missing right is named.

use crate::support::database::quoted;
use crate::support::pgmig::TargetFile;
use crate::support::previous::{PASSWORD, Site, role};
use crate::support::properties::properties;
use crate::support::{Database, Server};

/// A site whose owner logs in itself.
struct Owned {
    site: Option<Site>,
    owner: String,
    server: Server,
}

impl Owned {
    fn new(purpose: &str) -> Self {
        let server = Server::of_this_run();
        let owner = role(&server, &format!("owner {purpose}"), "CREATEDB");
        let target =
            Database::create_with(&server, purpose, &format!("TEMPLATE template0 OWNER {}", quoted(&owner)));
        let mut site = Site::of(target);
        site.target.psql(&format!(
            "ALTER TABLE old OWNER TO {0}; ALTER LARGE OBJECT 7 OWNER TO {0}; ALTER SCHEMA public OWNER TO {0}",
            quoted(&owner)
        ));
        site.file = Self::login(&site.file, &owner, &owner);
        Self { site: Some(site), owner, server }
    }

    fn login(file: &TargetFile, username: &str, su_username: &str) -> TargetFile {
        TargetFile {
            username: username.to_owned(),
            su_username: su_username.to_owned(),
            su_password: PASSWORD.to_owned(),
            ..file.clone()
        }
    }

    fn site(&mut self) -> &mut Site {
        self.site.as_mut().unwrap()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        drop(self.site.take());
        let _ = self.server.try_psql("postgres", &format!("DROP ROLE {}", quoted(&self.owner)));
    }
}

#[test]
fn an_owner_with_createdb_is_enough() {
    let mut owned = Owned::new("createdb");
    let owner = quoted(&owned.owner);
    let site = owned.site();
    let name = quoted(&site.target.name);
    site.admin(&format!(
        "REVOKE CONNECT ON DATABASE {name} FROM PUBLIC; ALTER DATABASE {name} SET work_mem = '7MB'; SET ROLE {owner};
         COMMENT ON DATABASE {name} IS 'own'"
    ));
    let (old, before) = (site.target.dump(&[]), properties(&site.target));
    let previous = site.keep();
    let new = site.target.dump(&[]);
    site.previous(["list"]).run().expect_status(0).stdout_has(&previous).keeps_secret(PASSWORD);
    site.rollback().run().expect_status(0).keeps_secret(PASSWORD);
    assert!(site.target.dump(&[]) == old);
    assert_eq!(properties(&site.target), before);
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == new);
    assert_eq!(properties(&site.target), before);
    let kept = site.beside()[0].clone();
    site.previous(["drop", "--force"]).arg(&kept).run().expect_status(0);
    assert_eq!(site.beside(), [""; 0]);
}

#[test]
fn without_createdb_it_can_drop_but_not_rename() {
    let mut owned = Owned::new("nocreatedb_back");
    let owner = owned.owner.clone();
    let site = owned.site();
    let previous = site.keep();
    site.admin(&format!("ALTER ROLE {} NOCREATEDB", quoted(&owner)));
    let before = site.all();
    let refused = format!("su_username {owner} may not create databases");
    site.rollback().run().expect_status(3).stderr_has(&refused).stderr_has("CREATEDB");
    site.previous(["list"]).run().expect_status(0).stdout_has("may not create databases");
    assert_eq!(before, site.all());
    site.previous(["drop", "--force"]).arg(&previous).run().expect_status(0);
    assert_eq!(site.beside(), [""; 0]);
}

#[test]
fn a_stranger_can_neither_rename_nor_drop() {
    let mut owned = Owned::new("stranger_back");
    let owner = owned.owner.clone();
    let site = owned.site();
    let previous = site.keep();
    let stranger = role(&site.target.server, "stranger", "CREATEDB");
    site.file = Owned::login(&site.file, &owner, &stranger);
    let before = site.all();
    let grant = format!("GRANT {} TO {}", quoted(&owner), quoted(&stranger));
    for pgmig in [site.rollback(), site.previous(["drop", "--force"]).arg(&previous)] {
        let outcome = pgmig.run().expect_status(3).stderr_has("cannot become").stderr_has(&owner);
        outcome.stderr_has(&grant);
    }
    assert_eq!(before, site.all());
    // Once it is a member, it can.
    site.admin(&grant);
    site.rollback().run().expect_status(0);
    site.admin(&format!("DROP ROLE {}", quoted(&stranger)));
}

#[test]
fn settings_of_a_superuser_are_no_obstacle_where_both_have_them() {
    let mut owned = Owned::new("log_back");
    let site = owned.site();
    let previous = site.keep();
    let set = |name: &str, value: &str| {
        site.admin(&format!("ALTER DATABASE {} SET log_statement = '{value}'", quoted(name)));
    };
    set(&site.target.name, "all");
    let before = site.all();
    // The owner can neither set it on the other database nor take it away here.
    let outcome = site.rollback().run().expect_status(3).stderr_has("the setting log_statement");
    outcome.stderr_has("use a superuser as su_username");
    assert_eq!(before, site.all());
    set(&previous, "all");
    site.rollback().run().expect_status(0);
}
