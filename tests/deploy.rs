//! The files in `deploy/`: valid for Kubernetes, with the manual's values, with arguments that pgmig takes, and without privileges.

use crate::support::Pgmig;
use crate::support::fixture::repository;
use boon::{Compiler, Schemas};
use serde_json::{Value, json};

const CRON_JOB: &str = "backup-cronjob.yaml";
const JOB: &str = "restore-job.yaml";
const SCHEMA: &str = "http://localhost/kubernetes";

/// A file of `deploy/`.
fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(repository().join("deploy").join(name)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Checks a document against the schema of its kind.
fn check(document: &Value) -> Result<(), String> {
    let kind = document["kind"].as_str().unwrap();
    let schema: Value = serde_json::from_str(
        &std::fs::read_to_string(repository().join("deploy/schema/kubernetes-1.27.json")).unwrap(),
    )
    .unwrap();
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(SCHEMA, schema).unwrap();
    let root = format!("{SCHEMA}#/$defs/io.k8s.api.batch.v1.{kind}");
    let schema = compiler.compile(&root, &mut schemas).unwrap();
    schemas.validate(document, schema).map_err(|error| format!("{error:#}"))
}

/// The specification of the pod.
fn pod(document: &Value) -> &Value {
    let spec = &document["spec"];
    let job = if document["kind"] == "CronJob" { &spec["jobTemplate"]["spec"] } else { spec };
    &job["template"]["spec"]
}

#[test]
fn they_are_valid_for_kubernetes() {
    for name in [CRON_JOB, JOB] {
        let document = read(name);
        if let Err(error) = check(&document) {
            panic!("{name}: {error}");
        }
        // The schema tells mistakes.
        let mut wrong = document.clone();
        wrong["spec"]["sucessfulJobsHistoryLimit"] = json!(30);
        check(&wrong).expect_err("an unknown field");
        let mut wrong = document;
        wrong["spec"]["schedule"] = json!(23);
        check(&wrong).expect_err("a value of another type");
    }
}

#[test]
fn the_cron_job_has_the_values_of_the_manual() {
    let spec = &read(CRON_JOB)["spec"];
    assert_eq!((&spec["schedule"], &spec["suspend"]), (&json!("0 23 * * *"), &json!(false)));
    assert_eq!(
        (&spec["successfulJobsHistoryLimit"], &spec["failedJobsHistoryLimit"]),
        (&json!(30), &json!(10))
    );
    let arguments = pod(&read(CRON_JOB))["containers"][0]["args"].to_string();
    for argument in ["--keep-daily=6", "--keep-weekly=4", "--weekly-day=0"] {
        assert!(arguments.contains(argument), "{argument}");
    }
}

#[test]
fn pods_have_no_privileges_and_secrets_are_files() {
    for name in [CRON_JOB, JOB] {
        let document = read(name);
        let pod = pod(&document);
        let container = &pod["containers"][0];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{name}");
        // No secret in a variable: whoever may list pods could read it.
        assert!(!container["env"].to_string().contains("secretKeyRef"), "{name}");
        let mounted = |volume: &Value| {
            let mounts = container["volumeMounts"].as_array().unwrap().iter();
            mounts.filter(|mount| mount["name"] == volume["name"]).count() == 1
        };
        assert!(pod["volumes"].as_array().unwrap().iter().all(mounted), "{name}");
    }
}

#[test]
fn pgmig_takes_their_arguments() {
    for (name, says) in
        [(CRON_JOB, "-o must name an existing one"), (JOB, "/secrets/store/store_vcap_services")]
    {
        let document = read(name);
        let arguments = pod(&document)["containers"][0]["args"].as_array().unwrap().clone();
        let arguments = arguments.iter().map(|argument| argument.as_str().unwrap().to_owned());
        // Not a mistake in the arguments: the files of the pod are not here.
        let outcome = Pgmig::new().args(arguments).run().expect_status(2);
        assert!(!outcome.stderr.contains("unknown option") && outcome.stderr.contains(says), "{outcome}");
    }
}
