//! The password is in no argument, no environment variable and no file, and still reaches pg_dump.

use crate::support::Server;
use crate::support::backup::{DIRECTORY, Site, names, script};
use crate::support::pgmig::TargetFile;
use std::fs;

/// Every letter that a password file escapes, and others that programs like to misread.
const PASSWORD: &str = r#"pa55:w\rd 'of" the $é#back\up:"#;

/// A role with the password that can read everything.
fn role(server: &Server) -> String {
    let name = format!("backup_{}", uuid::Uuid::new_v4().simple());
    let literal = PASSWORD.replace('\'', "''");
    server.psql("postgres", &format!("CREATE ROLE \"{name}\" LOGIN SUPERUSER PASSWORD '{literal}'"));
    name
}

/// Writes what others can see of pg_dump, then runs it.
const WATCH: &str = r#"
if [ "$1" != -V ]; then
  here=$(dirname "$0")
  tr '\0' '\n' < /proc/$$/environ > "$here/environment"
  tr '\0' '\n' < /proc/$$/cmdline > "$here/arguments"
  stat -L -c '%a %h' /proc/$$/fd/0 > "$here/file"
fi
exec "$PG_DUMP" "$@"
"#;

#[test]
fn nobody_sees_the_password() {
    let mut site = Site::new("backup_secret");
    let su_username = role(&site.database.server);
    site.file = TargetFile { su_username, su_password: PASSWORD.to_owned(), ..site.file };
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), &site.database.server, WATCH);
    // A password in pgmig's own environment must not reach pg_dump either.
    let pgmig = site.backup_with(&program).args(["-o", DIRECTORY, "--log-level", "trace"]);
    let outcome = pgmig.env("PGPASSWORD", "0ther-s3cret").run().expect_status(0).keeps_secret(PASSWORD);
    for seen in ["environment", "arguments"] {
        let seen = fs::read_to_string(directory.path().join(seen)).unwrap();
        assert!(seen.contains(&site.database.name) || seen.contains("PGPASSFILE=/proc/self/fd/0"), "{seen}");
        assert!(!seen.contains("pa55") && !seen.contains("s3cret"), "{seen}");
    }
    // Private, and without a name.
    assert_eq!(fs::read_to_string(directory.path().join("file")).unwrap(), "600 0\n");
    let names = names(&outcome);
    assert_eq!(names.len(), 1, "{names:?}");
    site.assert_is_backup(&outcome.directory.path().join(DIRECTORY).join(&names[0]));
}

#[test]
fn a_wrong_password_is_found_before_pg_dump_runs() {
    let mut site = Site::new("backup_wrong");
    site.file.su_password = "wr0ng-s3cret".to_owned();
    let outcome = site.backup().args(["-o", DIRECTORY]).run().expect_status(1).keeps_secret("wr0ng-s3cret");
    outcome.assert_stderr_has("wrong password, or no such role");
    assert_eq!(names(&outcome), [""; 0]);
}
