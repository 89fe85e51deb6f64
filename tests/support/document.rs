//! JSON documents on standard output, checked against the schemas that pgmig publishes.

use super::fixture::repository;
use super::pgmig::Outcome;
use boon::{Compiler, Schemas};
use serde_json::{Value, json};

/// Checks that standard output is one document of this kind, and returns it. Every field must be in the kind's schema.
#[track_caller]
pub(crate) fn document(outcome: &Outcome, kind: &str) -> Value {
    let document: Value = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("standard output is not one JSON document: {error}\n{outcome}"));
    assert_eq!(document["kind"], kind, "{outcome}");
    if let Err(error) = check(&document, kind) {
        panic!("the document is not what {kind}.schema.json says: {error}\n{outcome}");
    }
    document
}

/// Checks a document against the schema of its kind. A field that is not in the schema is an error.
pub(crate) fn check(document: &Value, kind: &str) -> Result<(), String> {
    let path = repository().join(format!("pgmig-cli/schemas/{kind}.schema.json"));
    let text = std::fs::read_to_string(&path).expect("there is a schema for each kind");
    let mut schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    close(&mut schema);
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    let location = format!("http://localhost/{kind}");
    compiler.add_resource(&location, schema).expect("the schema has a location");
    let schema = compiler.compile(&location, &mut schemas).expect("the schema is one");
    schemas.validate(document, schema).map_err(|error| format!("{error:#}"))
}

/// Forbids fields that are not in the schema. The published schemas allow them, because new fields may come.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
