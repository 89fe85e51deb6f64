//! Connection values from the JSON of the store's secret.

use crate::support::backup::{DIRECTORY, Site, names};
use crate::support::pgmig::TargetFile;
use crate::support::{Database, Pgmig};
use serde_json::json;

/// The value of the secret's key.
fn services(file: &TargetFile) -> String {
    let TargetFile { host, port, database, su_username, su_password, .. } = file;
    json!({ "user-provided": [{ "name": "store", "credentials": {
        "host": host, "port": port.to_string(), "database": database, "username": su_username, "password": su_password
    }}]})
    .to_string()
}

/// The whole secret, as `oc get secret NAME -o json` prints it.
fn secret(file: &TargetFile, key: &str) -> String {
    let value = openssl::base64::encode_block(services(file).as_bytes());
    json!({ "kind": "Secret", "data": { key: value } }).to_string()
}

#[test]
fn a_backup_from_either_key() {
    let site = Site::new("vcap_backup");
    for key in ["vcap_services", "store_vcap_services"] {
        let pgmig =
            Pgmig::new().file("vcap.json", &secret(&site.file, key)).args(["backup", "--vcap", "vcap.json"]);
        let pgmig = pgmig.arg("--pg-dump").arg(site.database.server.bindir.join("pg_dump"));
        let outcome =
            pgmig.args(["-o", "a.dump"]).run().expect_status(0).keeps_secret(&site.file.su_password);
        site.assert_is_backup(&outcome.directory.path().join("a.dump"));
    }
}

#[test]
fn a_restore_from_standard_input_and_the_way_by_a_file() {
    let site = Site::new("vcap_restore");
    let made = site.backup().args(["-o", DIRECTORY]).run().expect_status(0);
    let archive = made.directory.path().join(DIRECTORY).join(&names(&made)[0]);
    let target = Database::create("vcap_target");
    let json = services(&TargetFile::of(&target));
    let files = Pgmig::new().file("vcap.json", &json);
    let input = files.directory().join("vcap.json");
    let pgmig = Pgmig::new()
        .stdin(&input)
        .args(["--vcap", "-", "--keep-ids", "--schema", "archive"])
        .source(&archive);
    pgmig.run().expect_status(0).keeps_secret(&target.server.password);
    assert_eq!(target.psql("SELECT count(*) FROM note"), "20000\n");
    // The same values as a postgres.yaml.
    let printed = Pgmig::new().stdin(&input).args(["config", "--vcap", "-"]).run().expect_status(0);
    let tested =
        Pgmig::new().file("p.yaml", &printed.stdout).args(["--testPGConnection", "-t", "p.yaml"]).run();
    tested.expect_status(0).stdout_has(&target.name);
    drop(files);
}

#[test]
fn mistakes_are_named_without_the_password() {
    let site = Site::new("vcap_wrong");
    let json = services(&site.file);
    let yaml = site.file.to_yaml();
    for (content, args, says) in [
        (json.as_str(), &["--testPGConnection", "-t", "f"][..], "pass it with --vcap"),
        (&yaml, &["--testPGConnection", "--vcap", "f"], "pass it with --target"),
        (&json.replace("\"host\"", "\"hots\""), &["config", "--vcap", "f"], "have no \"host\""),
        (&json.replace('}', ""), &["config", "--vcap", "f"], "it is not JSON"),
        ("{}", &["config", "--vcap", "f"], "store_vcap_services"),
    ] {
        let outcome = Pgmig::new().file("f", content).args(args.iter().copied()).run().expect_status(2);
        outcome.stderr_has(says).keeps_secret(&site.file.su_password);
    }
    let both = ["--source", "-", "--vcap", "-", "--keep-ids"];
    Pgmig::new().args(both).run().expect_status(2).stderr_has("cannot both read standard input");
}
