//! Owners, grants, default privileges and policies after a restore for an ordinary owner. The cluster does not have one
//! of the archive's roles. DESIGN's rules give the expected results in `fixtures/privileges/`.

use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::role::create_role;
use crate::support::{Database, Pgmig, Server};

/// The owner of the target and of the restored objects.
const OWNER: &str = "dbadmin";

/// The archives' roles that the cluster has. It does not have `Weird Role; -- "x"`.
const ROLES: [&str; 4] = [OWNER, "app_rw", "app_ro", "store_owner"];

/// Every restored object that has an owner or privileges, then a line for each fact.
const QUERY: &str = "
    SET search_path = pg_catalog;
    WITH everything(classid, objid, subid, owner, acl) AS (
        SELECT 'pg_class'::regclass, oid, 0, relowner, relacl FROM pg_class WHERE relkind NOT IN ('i', 'I', 't')
        UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, relowner, attacl
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE attacl IS NOT NULL
        UNION ALL SELECT 'pg_proc'::regclass, oid, 0, proowner, proacl FROM pg_proc
        UNION ALL SELECT 'pg_type'::regclass, oid, 0, typowner, typacl FROM pg_type
        UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspowner, nspacl FROM pg_namespace
        UNION ALL SELECT 'pg_largeobject'::regclass, oid, 0, lomowner, lomacl FROM pg_largeobject_metadata
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0, srvowner, srvacl FROM pg_foreign_server
        UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwowner, fdwacl FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'pg_extension'::regclass, oid, 0, extowner, NULL FROM pg_extension
        UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0, evtowner, NULL FROM pg_event_trigger
        UNION ALL SELECT 'pg_publication'::regclass, oid, 0, pubowner, NULL FROM pg_publication
        UNION ALL SELECT 'pg_operator'::regclass, oid, 0, oprowner, NULL FROM pg_operator
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, 0, stxowner, NULL FROM pg_statistic_ext
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, 0, cfgowner, NULL FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, 0, dictowner, NULL FROM pg_ts_dict),
    object(name, owner, acl) AS (
        SELECT pg_describe_object(classid, objid, subid), owner, acl FROM everything
        -- What initdb made is not the archive's, but for schema public; nor is what belongs to another object.
        WHERE (objid >= 16384 OR objid = 'public'::regnamespace) AND NOT EXISTS (
            SELECT FROM pg_depend d
            WHERE d.classid = everything.classid AND d.objid = everything.objid AND d.refobjid <> d.objid
              AND d.deptype IN ('e', 'i'))),
    granted(name, owner, acl) AS (
        SELECT 'acl|' || name, owner, acl FROM object
        UNION ALL SELECT concat_ws('|', 'default', pg_get_userbyid(defaclrole),
                                   COALESCE(NULLIF(defaclnamespace, 0)::regnamespace::text, '-'), defaclobjtype),
                         defaclrole, defaclacl FROM pg_default_acl)
    SELECT concat_ws('|', 'owned', count(*)) FROM object WHERE owner = 'dbadmin'::regrole
    UNION ALL SELECT concat_ws('|', 'owner', name, pg_get_userbyid(owner)) FROM object
        WHERE owner <> 'dbadmin'::regrole
    -- The grants to others than the owner; a line that says so where there are none.
    UNION ALL SELECT concat_ws('|', name, item) FROM granted, unnest(acl) AS item, aclexplode(ARRAY[item]) AS part
        WHERE part.grantee <> owner GROUP BY name, item
    UNION ALL SELECT concat_ws('|', name, 'nobody else') FROM granted
        WHERE acl IS NOT NULL AND NOT EXISTS (SELECT FROM aclexplode(acl) AS part WHERE part.grantee <> owner)
    UNION ALL SELECT concat_ws('|', 'policy', schemaname || '.' || tablename, policyname, permissive, roles, cmd,
                               COALESCE(qual, '-'), COALESCE(with_check, '-')) FROM pg_policies
    UNION ALL SELECT concat_ws('|', 'user mapping', usename, srvname) FROM pg_user_mappings";

#[test]
fn owners_grants_and_policies_are_those_of_the_rules() {
    // A cluster of its own: other tests create the role that must be missing.
    let server = Server::start_private("");
    for role in ROLES {
        create_role(&server, role);
    }
    // The database that the archives were made from. The archive of 9.5 has a comment on it, which pg_restore would
    // set.
    let namesake = Database::create_named(&server, "chatstore", &format!("OWNER {OWNER}"));
    for archive in ["15_pipe_gz", "9.5_file_gz"] {
        let target =
            Database::create_with(&server, "privileges", &format!("TEMPLATE template0 OWNER {OWNER}"));
        let file = TargetFile { username: OWNER.to_owned(), ..TargetFile::of(&target) };
        let outcome = Pgmig::new()
            .target(&file)
            .source(&fixture(&format!("archives/{archive}.dump")))
            // These archives hold objects that only a superuser can make.
            .args(["--keep-ids", "--no-progress", "--trust-archive"])
            .run()
            .expect_status(0);
        let mut found = privileges(&target);
        let warnings = outcome.stderr.lines().filter_map(|line| line.strip_prefix("warning: "));
        found.extend(warnings.map(|warning| format!("warning|{warning}")));
        found.sort();
        let expected = std::fs::read_to_string(fixture(&format!("privileges/{archive}.txt"))).unwrap();
        assert_same_lines(&expected.lines().map(str::to_owned).collect::<Vec<_>>(), &found, archive);
    }
    let comments = "SELECT count(*) FROM pg_shdescription WHERE classoid = 'pg_database'::regclass \
                    AND description LIKE 'db comment;%'";
    assert_eq!(namesake.psql(comments), "0\n", "comments of databases belong to --create");
}

/// Lines from the target's catalogs: one for each owner that is not `OWNER`, each grant, and each policy.
fn privileges(target: &Database) -> Vec<String> {
    let superuser = format!("|{}", target.server.superuser);
    let line = |line: &str| match line.strip_suffix(&superuser) {
        Some(line) => format!("{line}|SUPERUSER"),
        None => line.to_owned(),
    };
    let (owned, lines): (Vec<_>, Vec<_>) =
        target.psql(QUERY).lines().map(line).partition(|line| line.starts_with("owned|"));
    let owned: usize = owned[0]["owned|".len()..].parse().unwrap();
    assert!(owned > 50, "only {owned} objects belong to {OWNER}");
    lines
}

#[track_caller]
fn assert_same_lines(expected: &[String], found: &[String], what: &str) {
    let only_in = |one: &[String], other: &[String]| {
        let lines = one.iter().filter(|line| !other.contains(line));
        lines.map(|line| format!("  {line}\n")).collect::<String>()
    };
    assert!(
        expected == found,
        "{what}: expected and not found:\n{}found and not expected:\n{}",
        only_in(expected, found),
        only_in(found, expected)
    );
}
