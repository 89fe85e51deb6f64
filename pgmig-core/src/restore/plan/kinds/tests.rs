//! The rows against what pg_dump writes: every kind there is, and the archives of `fixtures/`.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::archive::{Archive, ArchiveVersion, Entry, EntryKind};
use std::collections::BTreeSet;
use std::path::Path;

/// Every `desc` that pg_dump writes, from 8.0 to 19.
const WRITTEN: [&str; 67] = [
    "ACCESS METHOD",
    "ACL",
    "ACL LANGUAGE",
    "AGGREGATE",
    "BLOB",
    "BLOB COMMENTS",
    "BLOB METADATA",
    "BLOBS",
    "CAST",
    "CHECK CONSTRAINT",
    "COLLATION",
    "COMMENT",
    "CONSTRAINT",
    "CONVERSION",
    "DATABASE",
    "DATABASE PROPERTIES",
    "DEFAULT",
    "DEFAULT ACL",
    "DOMAIN",
    "ENCODING",
    "EVENT TRIGGER",
    "EXTENSION",
    "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "INDEX",
    "INDEX ATTACH",
    "MATERIALIZED VIEW",
    "MATERIALIZED VIEW DATA",
    "OPERATOR",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "POLICY",
    "PROCEDURAL LANGUAGE",
    "PROCEDURE",
    "PROPERTY GRAPH",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "ROW SECURITY",
    "RULE",
    "SCHEMA",
    "SEARCHPATH",
    "SECURITY LABEL",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SERVER",
    "SHELL TYPE",
    "STATISTICS",
    "STATISTICS DATA",
    "STDSTRINGS",
    "SUBSCRIPTION",
    "SUBSCRIPTION TABLE",
    "TABLE",
    "TABLE ATTACH",
    "TABLE DATA",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "TRANSFORM",
    "TRIGGER",
    "TYPE",
    "USER MAPPING",
    "VIEW",
];

/// OIDs of catalogs, which are the same in every PostgreSQL.
const CATALOGS: [(&str, u32); 29] = [
    ("pg_am", 2601),
    ("pg_attrdef", 2604),
    ("pg_cast", 2605),
    ("pg_class", 1259),
    ("pg_collation", 3456),
    ("pg_constraint", 2606),
    ("pg_conversion", 2607),
    ("pg_database", 1262),
    ("pg_default_acl", 826),
    ("pg_event_trigger", 3466),
    ("pg_extension", 3079),
    ("pg_foreign_data_wrapper", 2328),
    ("pg_foreign_server", 1417),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_operator", 2617),
    ("pg_policy", 3256),
    ("pg_proc", 1255),
    ("pg_publication", 6104),
    ("pg_publication_namespace", 6237),
    ("pg_publication_rel", 6106),
    ("pg_rewrite", 2618),
    ("pg_statistic_ext", 3381),
    ("pg_transform", 3576),
    ("pg_trigger", 2620),
    ("pg_ts_config", 3602),
    ("pg_ts_dict", 3600),
    ("pg_type", 1247),
    ("pg_user_mapping", 1418),
];

/// The entry that a script of pg_dump has under this name: its kind, and the section that the archive finds.
fn scripted(desc: &str) -> Entry {
    let (prefix, body) = match desc {
        "TABLE DATA" => ("Data for ", "COPY public.x (a) FROM stdin;\n1\n\\.\n"),
        "BLOBS" => (
            "Data for ",
            "BEGIN;\n\nSELECT pg_catalog.lo_open('1', 131072);\n\
             SELECT pg_catalog.lowrite(0, '\\x61');\nSELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n",
        ),
        _ => ("", "SELECT 1;\n"),
    };
    let script = format!(
        "--\n-- PostgreSQL database dump\n--\n\n\
         --\n-- {prefix}Name: x; Type: {desc}; Schema: public; Owner: joe\n--\n\n{body}\n\n\
         --\n-- PostgreSQL database dump complete\n--\n\n"
    );
    let archive = Archive::from_bytes(script.into_bytes()).unwrap_or_else(|error| panic!("{desc}: {error}"));
    let entry = archive.entries().iter().find(|entry| entry.desc == desc);
    entry.unwrap_or_else(|| panic!("{desc}: no such entry")).clone()
}

fn fixtures() -> Vec<(String, Archive)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/archives");
    let files = directory.read_dir().unwrap().map(|file| file.unwrap().path());
    let dumps = files.filter(|path| path.extension().is_some_and(|extension| extension == "dump"));
    dumps.map(|path| (path.display().to_string(), Archive::open(&path).unwrap())).collect()
}

fn oid(catalog: &str) -> Option<u32> {
    CATALOGS.iter().find(|(name, _)| *name == catalog).map(|(_, oid)| *oid)
}

#[test]
fn every_kind_that_pg_dump_writes_has_a_row() {
    let mut kinds = Vec::new();
    for desc in WRITTEN {
        let kind = scripted(desc).kind;
        assert!(kind != EntryKind::Other && !kinds.contains(&kind), "{desc}: {kind:?}");
        kinds.push(kind);
    }
    assert_eq!(table::ALL.len(), WRITTEN.len() + 1, "all of these, and the kinds that are not known");
}

#[test]
fn scripts_and_rows_have_the_same_sections() {
    for desc in WRITTEN {
        let entry = scripted(desc);
        assert_eq!(entry.section, of(entry.kind).section, "{desc}");
    }
}

#[test]
fn archives_have_the_sections_of_the_rows() {
    // These come later if something that they need does.
    let can_be_late = |kind| {
        use EntryKind as K;
        matches!(kind, K::View | K::MaterializedView | K::Function | K::Procedure | K::StatisticsData)
    };
    let mut seen = BTreeSet::new();
    for (path, archive) in fixtures() {
        // Older archives have none: the reader finds them by pg_restore's rules for such archives.
        if archive.header().container.as_ref().unwrap().version < ArchiveVersion::V1_11 {
            continue;
        }
        for entry in archive.entries() {
            let expected = of(entry.kind).section;
            let is_late = can_be_late(entry.kind) && entry.section == Section::PostData;
            assert!(
                entry.section == expected || is_late,
                "{path}: {} is in {:?}",
                entry.label(),
                entry.section
            );
            seen.insert(entry.desc.to_string());
        }
    }
    assert!(seen.len() > 48, "{} kinds in the archives: {seen:?}", seen.len());
}

#[test]
fn archives_have_the_catalogs_of_the_rows() {
    let mut seen = BTreeSet::new();
    for (path, archive) in fixtures() {
        for entry in archive.entries().iter().filter(|entry| entry.catalog_id.table_oid.0 != 0) {
            let Place { catalog, .. } = of(entry.kind).place;
            // Of another object's row, or large objects, which archives find in two catalogs.
            if catalog.is_empty() || catalog == "pg_largeobject_metadata" {
                continue;
            }
            assert_eq!(oid(catalog), Some(entry.catalog_id.table_oid.0), "{path}: {}", entry.label());
            seen.insert(catalog);
        }
    }
    assert!(seen.len() > 20, "catalogs of the archives: {seen:?}");
}

/// pg_restore makes `ALTER ... OWNER TO` from the DROP statement, too.
#[test]
fn alter_calls_objects_as_drop_does() {
    let mut seen = BTreeSet::new();
    for (path, archive) in fixtures() {
        for entry in archive.entries() {
            let Some(word) = of(entry.kind).owner.alter_word() else { continue };
            let drop = entry.drop_statement.as_ref().map(|drop| drop.as_bytes()).unwrap_or_default();
            if let Some(object) = drop.strip_prefix(b"DROP ") {
                let name = object.strip_prefix(word.as_bytes());
                assert!(name.is_some_and(|name| name.starts_with(b" ")), "{path}: {word}, {}", entry.label());
                seen.insert(word);
            }
        }
    }
    assert!(seen.len() > 15, "words of the archives: {seen:?}");
}

#[test]
fn clearing_reads_the_catalog_of_every_kind() {
    let sql = [include_str!("../../clearing/catalog.rs"), include_str!("../../clearing/reset.rs")].concat();
    for kind in table::ALL {
        let Kind { place, cleared, .. } = of(*kind);
        // pgmig does not restore a database, but into one.
        let is_read =
            place.catalog == "pg_database" || place.catalog.is_empty() || sql.contains(place.catalog);
        assert!(is_read, "{kind:?}: {}", place.catalog);
        if matches!(cleared, Cleared::Dropped { .. }) {
            assert!(!place.catalog.is_empty() && !place.identified.is_empty(), "{kind:?}");
        }
    }
}

#[test]
fn kinds_that_share_a_word_of_the_catalogs_are_dropped_alike() {
    for kind in table::ALL {
        let Kind { place, cleared, .. } = of(*kind);
        if let Some(first) = identified(place.identified) {
            assert_eq!(first.cleared, *cleared, "{kind:?}");
            assert_eq!(first.place.names.include_type(), place.names.include_type(), "{kind:?}");
        }
    }
}

#[test]
fn an_unknown_kind_is_restored_by_its_owner_before_the_rows() {
    let kind = of(scripted("FLYING CARPET").kind);
    assert_eq!((kind.made, kind.part, kind.section), (Made::Object, Part::Definition, Section::PreData));
    assert!(matches!(kind.creator, Creator::Anyone) && matches!(kind.verified, Verified::Unlisted));
}
