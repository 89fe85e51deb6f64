//! The JSON documents of `pgmig previous`, and the report of a restore that keeps the previous database.

use crate::support::document::document;
use crate::support::previous::Site;
use serde_json::json;

#[test]
fn documents_are_as_their_schemas_say() {
    let site = Site::new("json_back");
    let empty =
        document(&site.previous(["list", "--output", "json"]).run().expect_status(0), "previous_list");
    assert_eq!(empty["previous"], json!([]));
    let restored = site.restore().args(["--keep-previous", "--output", "json"]).run().expect_status(0);
    let restored = document(&restored, "restore");
    let previous = restored["previous_database"].as_str().unwrap().to_owned();
    let command = format!("pgmig previous rollback {previous} -t postgres.yaml");
    assert_eq!(restored["rollback_command"], command);

    let list = document(&site.previous(["list", "--output", "json"]).run().expect_status(0), "previous_list");
    assert_eq!(list["database"], site.target.name);
    let listed = &list["previous"][0];
    assert_eq!(listed["name"], previous);
    assert_eq!(listed["rollback_command"], command);
    assert_eq!(listed["is_kept"], true);
    assert_eq!(listed["obstacles"], json!([]));
    assert!(listed["database_bytes"].as_u64().unwrap() > 1_000_000, "{listed}");
    assert!(listed["age_seconds"].as_f64().unwrap() < 600.0, "{listed}");
    assert!(listed["replaced_at"].as_str().unwrap().ends_with('Z'), "{listed}");
    let sql = format!(
        "SELECT substr(shobj_description(oid, 'pg_database'), 16)::json ->> 'run' FROM pg_database
         WHERE datname = '{previous}'"
    );
    assert_eq!(listed["run_id"], site.admin(&sql).trim());

    let dry = site.previous(["rollback", "--dry-run", "--output", "json"]).run().expect_status(0);
    let dry = document(&dry, "previous_rollback");
    assert_eq!((&dry["dry_run"], &dry["previous_database"]), (&json!(true), &json!(null)));
    assert_eq!(dry["restored"]["name"], previous);

    let done = site.rollback().args(["--output", "json", "--quiet"]).run().expect_status(0);
    assert_eq!(done.stderr, "", "{done}");
    let done = document(&done, "previous_rollback");
    let kept = site.beside()[0].clone();
    assert_eq!((&done["dry_run"], &done["previous_database"]), (&json!(false), &json!(kept)));
    assert_eq!(done["rollback_command"], format!("pgmig previous rollback {kept} -t postgres.yaml"));

    let removal = |more: &'static str| {
        let pgmig = site.previous(["drop", "--older-than", "0s", "--output", "json"]).arg(more);
        document(&pgmig.run().expect_status(0), "previous_drop")
    };
    let (dry, done) = (removal("--dry-run"), removal("--force"));
    assert_eq!(dry["dropped"][0]["name"], kept);
    assert_eq!(done["dropped"][0]["name"], kept);
    assert_eq!((&dry["dry_run"], &done["dry_run"]), (&json!(true), &json!(false)));
    assert_eq!(removal("--force")["dropped"], json!([]));
}

#[test]
fn a_refusal_prints_its_document() {
    let site = Site::new("json_refused");
    for command in ["rollback", "drop"] {
        let outcome = site.previous([command, "--force", "--output", "json"]).arg("nothing").run();
        assert_eq!(document(&outcome.expect_status(3), "error")["code"], "previous-unknown");
    }
}
