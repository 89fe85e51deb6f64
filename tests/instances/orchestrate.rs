//! The runbook of Orchestrate: zen core with an exchanged token, 37 instances on two pages, system instances, `--wxo`.

use crate::support::pgmig::TargetFile;
use crate::support::resource_controller::{Controller, Reply, TOKEN, zen_page};
use crate::support::store::{OLDEST, apply_migrations};
use crate::support::{Database, Pgmig};
use serde_json::{Value, json};
use tempfile::TempDir;

/// As many as the product's tests of more than one page have.
const INSTANCES: u64 = 37;
/// The first numbers of the backup's and of the target's instances.
const SOURCE: u64 = 1_570_184_900;
const TARGET: u64 = 1_764_035_503_433_600;
/// Instances of the system, without a name. They keep their IDs, and no mapping names them.
const SYSTEM: [(&str, &str); 2] = [
    ("0b5e7e11-0000-4000-8000-00000000000a", "monitoring"),
    ("0b5e7e11-0000-4000-8000-00000000000b", "System"),
];
const EXCHANGED: &str = "exchanged-t0ken";

fn id(number: u64) -> String {
    let digits = format!("{number:032}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits[part].to_owned());
    parts.join("-")
}

/// The name of an instance of the backup. The last one has none, and is no system instance for that.
fn name(index: u64) -> String {
    if index + 1 == INSTANCES { "NULL".to_owned() } else { format!("'agents of team {index}'") }
}

/// A store with 37 live instances, a deleted one, and those of the system; each has a workspace that names it.
fn fill(store: &Database, first: u64) {
    let instances = (0..INSTANCES).map(|index| {
        format!("('{}', '{}', {}, 'us-south', false)", id(first + index), first + index, name(index))
    });
    let system = SYSTEM.map(|(id, region)| format!("('{id}', '{region}', NULL, '{region}', false)"));
    let deleted = format!("('{}', '1', 'closed', 'us-south', true)", id(1));
    let rows: Vec<String> = instances.chain(system).chain([deleted]).collect();
    store.psql(&format!(
        "SET search_path = store, public;
         INSERT INTO tenant (tenant_id, instance_id, name, region, deleted) VALUES {};
         INSERT INTO workspace (workspace_id, tenant_id, name, content)
         SELECT md5(instance_id)::uuid, tenant_id, 'agent', jsonb_build_object('tenant', tenant_id) FROM tenant",
        rows.join(", ")
    ));
}

/// Zen core: the broker's secret must be exchanged, and a page has 20 instances.
fn zen_core() -> Controller {
    let instances: Vec<Value> = (0..INSTANCES)
        .map(|index| {
            json!({
                "id": (TARGET + index).to_string(), "display_name": format!("agents of team {index}"),
                "addon_type": "orchestrate", "provision_status": "PROVISIONED", "namespace": "cpd", "metadata": {}
            })
        })
        .collect();
    Controller::start(move |request| {
        if request.path == "/internal/v1/service_token" {
            assert_eq!(request.headers["secret"], TOKEN);
            return Reply::json(&json!({ "token": EXCHANGED }));
        }
        if !request.has_token(EXCHANGED) {
            return Reply::status(401);
        }
        // An assistant's instances are others, and this platform has none.
        if request.query["addon_type"] != "orchestrate" {
            return Reply::json(&zen_page(&[], 0, 20));
        }
        Reply::json(&zen_page(&instances, request.number("offset"), request.number("limit").min(20)))
    })
}

/// The workspaces of each instance, and the instance that each of them names.
fn workspaces(store: &Database) -> String {
    store.psql(
        "SELECT tenant_id, content ->> 'tenant', count(*) FROM store.workspace JOIN store.tenant USING (tenant_id)
         WHERE deleted IS NOT TRUE GROUP BY 1, 2 ORDER BY 1, 2",
    )
}

#[test]
fn the_runbook_with_37_instances() {
    let source = Database::create("orchestrate_source");
    apply_migrations(&source, OLDEST);
    fill(&source, SOURCE);
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("store.dump");
    source.dump_through_pipe(&[], &archive);
    let controller = zen_core();
    for (settings, flag) in [("", Some("--wxo")), ("type: orchestrate\n", None)] {
        let target = Database::create("orchestrate_target");
        apply_migrations(&target, "newest");
        fill(&target, TARGET);
        let rc = format!("{}{settings}", controller.yaml(TOKEN, None));
        let with_rc = |pgmig: Pgmig| {
            let pgmig = pgmig.file("rc.yaml", &rc).args(["--resourceController", "rc.yaml"]);
            pgmig.args(flag)
        };
        with_rc(Pgmig::new())
            .arg("--testRCConnection")
            .run()
            .expect_status(0)
            .stdout_has("37 instances provisioned");

        // Enter for each that has the same name; the one without a name gets the instance that is left. Enter accepts all.
        let answers = "\n".repeat(36) + "37\n\n";
        let asked = with_rc(Pgmig::new().arg("mapping").source(&archive)).file("answers", &answers);
        let file = asked.directory().join("answers");
        let asked = asked.arg("--no-progress").stdin(&file).run().expect_status(0);
        let asked = asked.stderr_has("Instance 37 of 37 of the backup").keeps_secret(TOKEN);
        let mapping = std::fs::read_to_string(asked.directory.path().join("enteredMapping.yaml")).unwrap();
        for index in 0..INSTANCES {
            assert!(
                mapping.contains(&format!("  {}: {}\n", id(SOURCE + index), id(TARGET + index))),
                "{mapping}"
            );
        }
        assert!(SYSTEM.iter().all(|(id, _)| !mapping.contains(id)), "{mapping}");

        // pgmig --force --wxo -m enteredMapping.yaml
        let restore = with_rc(Pgmig::new().target(&TargetFile::of(&target)).source(&archive).arg("--force"));
        let restore = restore.file("enteredMapping.yaml", &mapping).args(["-m", "enteredMapping.yaml"]);
        let restored = restore.run().expect_status(0).keeps_secret(TOKEN).keeps_secret(EXCHANGED);
        restored.stdout_has("40 workspaces to train");
        let live = (0..INSTANCES).map(|index| id(TARGET + index));
        let mut expected: Vec<String> =
            live.chain(SYSTEM.map(|(id, _)| id.to_owned())).map(|id| format!("{id}|{id}|1")).collect();
        expected.sort();
        assert_eq!(workspaces(&target).lines().collect::<Vec<_>>(), expected);
    }
    let asked = controller.requests().into_iter().filter(|request| request.path == "/v3/service_instances");
    let asked: Vec<_> = asked.collect();
    assert!(asked.iter().all(|request| request.query["addon_type"] == "orchestrate"));
    assert!(asked.iter().any(|request| request.number("offset") == 20), "there is a second page");
}
