//! The rights of `username` that statements of an archive may require: on parameters, languages, and objects
//! of the system, of extensions and of other roles.

use crate::error::Result;
use crate::restore::options::Strategy;
use crate::restore::plan::facts::OwnerRights;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_literal};

const DOING: &str = "read which rights username has";

/// Parameters that no view of the server lists, although every role may set them.
const UNLISTED_PARAMETERS: [&str; 3] = ["role", "session_authorization", "seed"];

/// Asks the server, in the target.
pub(crate) async fn ask(
    session: &mut Session,
    username: &str,
    strategy: Strategy,
) -> Result<OwnerRights, TargetError> {
    // PL/pgSQL's own parameters are known once it is loaded. Without it, there are none.
    match session.execute("DO LANGUAGE plpgsql 'BEGIN END'", DOING).await {
        Err(error) if !error.is_lasting() => return Err(error),
        _ => {}
    }
    let mut rights = OwnerRights::default();
    let mut parameters: std::collections::BTreeSet<String> =
        UNLISTED_PARAMETERS.iter().map(|&name| name.to_owned()).collect();
    for row in session.rows(&query(session.server_version(), username, strategy), DOING).await? {
        let name = row.text(1).to_owned();
        match row.text(0) {
            "parameter" => drop(parameters.insert(name)),
            "language" => drop(rights.languages.insert(name, row.is_true(2))),
            "relation" => rights.closed.add_relation(row.text(3), &name),
            "function" => rights.closed.add_function(row.text(3), &name),
            _ => drop(rights.referable.insert(QualifiedName::new(row.text(3), name).to_string())),
        }
    }
    rights.parameters = Some(parameters);
    Ok(rights)
}

fn query(server_version: i32, username: &str, strategy: Strategy) -> String {
    let role = quote_literal(username);
    // Rights on parameters exist from 15 on.
    let granted = match server_version {
        150_000.. => format!(
            "UNION ALL SELECT 'parameter', parname, '', '' FROM pg_catalog.pg_parameter_acl \
             WHERE pg_catalog.has_parameter_privilege({role}, parname, 'SET') "
        ),
        _ => String::new(),
    };
    let (relations, functions) = match strategy {
        Strategy::InPlace => closed_in_target(&role),
        Strategy::Swap => closed_in_new_database(&role),
    };
    format!(
        "SELECT 'parameter', pg_catalog.lower(name), '', '' FROM pg_catalog.pg_settings WHERE context = 'user' {granted}\
         UNION ALL SELECT 'language', lanname, CASE WHEN lanpltrusted THEN 't' ELSE 'f' END, '' \
             FROM pg_catalog.pg_language \
         UNION ALL SELECT 'relation', c.relname, '', n.nspname FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_(toast|temp)' AND ({relations}) \
         UNION ALL SELECT 'function', p.proname, '', n.nspname FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace GROUP BY n.nspname, p.proname \
             HAVING pg_catalog.bool_and({functions}) \
         UNION ALL SELECT 'referable', c.relname, '', n.nspname FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)' \
             AND pg_catalog.has_any_column_privilege({role}, c.oid, 'REFERENCES')"
    )
}

/// Conditions for relations and functions that stay in the target and that the role may not use. Its own ones do not stay.
fn closed_in_target(role: &str) -> (String, String) {
    let closed = |owner: &str, right: &str| {
        format!(
            "NOT pg_catalog.pg_has_role({role}, {owner}, 'USAGE') \
             AND NOT (pg_catalog.has_schema_privilege({role}, n.oid, 'USAGE') AND {right})"
        )
    };
    let relation = format!("pg_catalog.has_any_column_privilege({role}, c.oid, 'SELECT')");
    let function =
        format!("(p.proacl IS NULL OR pg_catalog.has_function_privilege({role}, p.oid, 'EXECUTE'))");
    (closed("c.relowner", &relation), closed("p.proowner", &function))
}

/// The same for a new database: objects of the system, and those of extensions, with their first privileges.
fn closed_in_new_database(role: &str) -> (String, String) {
    let closed = |class: &str, object: &str, letter: char, owner: &str, right: &str, privilege: &str| {
        format!(
            "CASE WHEN {object} < 16384 THEN NOT ({right}) \
             ELSE NOT pg_catalog.pg_has_role({role}, {owner}, 'USAGE') AND EXISTS (SELECT FROM pg_catalog.pg_depend d \
                 WHERE d.classid = '{class}'::pg_catalog.regclass AND d.objid = {object} AND d.deptype = 'e') \
                 AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(COALESCE((SELECT i.initprivs \
                     FROM pg_catalog.pg_init_privs i WHERE i.classoid = '{class}'::pg_catalog.regclass \
                     AND i.objoid = {object} AND i.objsubid = 0), pg_catalog.acldefault('{letter}', {owner}))) x \
                 WHERE x.privilege_type = '{privilege}' \
                     AND (x.grantee = 0 OR pg_catalog.pg_has_role({role}, x.grantee, 'USAGE'))) END"
        )
    };
    let relation = format!("pg_catalog.has_any_column_privilege({role}, c.oid, 'SELECT')");
    let function = format!("p.proacl IS NULL OR pg_catalog.has_function_privilege({role}, p.oid, 'EXECUTE')");
    (
        closed("pg_catalog.pg_class", "c.oid", 'r', "c.relowner", &relation, "SELECT"),
        closed("pg_catalog.pg_proc", "p.oid", 'f', "p.proowner", &function, "EXECUTE"),
    )
}
