//! The SBOM: the crates that are linked into the program, in CycloneDX's JSON form, version 1.5.
//!
//! It has no serial number and no time, so that one checkout always gives the same document.

use crate::graph::{Graph, Package};
use crate::licence;
use crate::lock::Checksums;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The document for the crate `program` and all that it links in.
pub(crate) fn document(graph: &Graph, program: &str, checksums: &Checksums) -> Result<Value> {
    let program = graph.member(program)?;
    let linked = graph.all_linked(program);
    let components: Vec<Value> =
        linked.iter().map(|package| library(package, checksums)).collect::<Result<_>>()?;
    let dependencies: Vec<Value> =
        std::iter::once(program).chain(linked).map(|package| dependencies(graph, package)).collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(program, "application")? },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package, kind: &str) -> Result<Value> {
    let expression = package.license.as_deref();
    let expression = expression.with_context(|| format!("{} does not name its licence", package.name))?;
    Ok(json!({
        "type": kind,
        "bom-ref": url(package),
        "name": package.name,
        "version": package.version,
        "purl": url(package),
        "licenses": [{ "expression": licence::in_spdx_form(expression) }],
    }))
}

/// A crate that is linked in; the checksum is that of the file that the registry serves.
fn library(package: &Package, checksums: &Checksums) -> Result<Value> {
    let mut library = component(package, "library")?;
    if package.source.is_some() {
        let key = (package.name.clone(), package.version.clone());
        let checksum = checksums.get(&key);
        let checksum = checksum.with_context(|| format!("Cargo.lock has no checksum of {}", package.name))?;
        if let Some(members) = library.as_object_mut() {
            members.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": checksum }]));
        }
    }
    Ok(library)
}

fn dependencies(graph: &Graph, package: &Package) -> Value {
    let mut urls: Vec<String> = graph.linked(package).into_iter().map(url).collect();
    urls.sort_unstable();
    json!({ "ref": url(package), "dependsOn": urls })
}

/// The package URL, by which scanners know a crate. A version's build metadata begins with `+`, which URLs escape.
fn url(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use crate::{PROGRAM, root};
    use boon::{Compiler, Schemas};
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// CycloneDX's own schema, and those that it refers to.
    const SCHEMAS: [&str; 3] = ["bom-1.5.schema.json", "spdx.schema.json", "jsf-0.82.schema.json"];

    fn sbom() -> Value {
        crate::sbom(&root().unwrap()).unwrap()
    }

    fn strings(values: &Value, field: &str) -> BTreeSet<String> {
        let text = |value: &Value| value[field].as_str().unwrap().to_owned();
        values.as_array().unwrap().iter().map(text).collect()
    }

    /// What is wrong with a document, by CycloneDX's schema.
    fn fault(document: &Value) -> Option<String> {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        for name in SCHEMAS {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
            let schema: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let url = schema["$id"].as_str().unwrap().to_owned();
            compiler.add_resource(&url, schema).unwrap();
        }
        let mut schemas = Schemas::new();
        let bom = compiler.compile("http://cyclonedx.org/schema/bom-1.5.schema.json", &mut schemas).unwrap();
        schemas.validate(document, bom).err().map(|error| error.to_string())
    }

    #[test]
    fn it_is_as_cyclonedx_wants_it() {
        assert_eq!(fault(&sbom()), None);
    }

    /// The schema is one that finds faults.
    #[test]
    fn a_damaged_one_is_not() {
        let mut unknown = sbom();
        unknown["components"][0]["type"] = "crate".into();
        let mut nameless = sbom();
        nameless["components"][0].as_object_mut().unwrap().remove("name");
        let mut checksum = sbom();
        checksum["components"][0]["hashes"] = serde_json::json!([{ "alg": "SHA-256", "content": "xyz" }]);
        for damaged in [unknown, nameless, checksum] {
            assert!(fault(&damaged).is_some());
        }
    }

    #[test]
    fn every_crate_is_there_and_what_it_depends_on() {
        let sbom = sbom();
        assert_eq!(sbom["metadata"]["component"]["name"], PROGRAM);
        let components = strings(&sbom["components"], "bom-ref");
        assert_eq!(components.len(), sbom["components"].as_array().unwrap().len(), "each once");
        let names = strings(&sbom["components"], "name");
        for linked in ["pgmig-core", "sqlx", "openssl-sys", "zstd-sys"] {
            assert!(names.contains(linked), "{linked}");
        }
        for not_linked in ["proptest", "cc", "pgmig-tests", "pgmig-supply-chain"] {
            assert!(!names.contains(not_linked), "{not_linked}");
        }
        for dependency in sbom["dependencies"].as_array().unwrap() {
            for of in dependency["dependsOn"].as_array().unwrap() {
                assert!(components.contains(of.as_str().unwrap()), "{of}");
            }
        }
        assert_eq!(sbom["dependencies"].as_array().unwrap().len(), components.len() + 1);
    }

    #[test]
    fn the_same_checkout_gives_the_same_document() {
        assert_eq!(sbom().to_string(), sbom().to_string());
    }
}
