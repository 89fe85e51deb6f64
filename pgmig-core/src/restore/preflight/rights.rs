//! The rights of `username` that statements of an archive may require: on parameters, languages, objects of the system.

use crate::error::Result;
use crate::restore::plan::facts::OwnerRights;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_literal};

const DOING: &str = "read which rights username has";

/// Parameters that no view of the server lists, although every role may set them.
const UNLISTED_PARAMETERS: [&str; 3] = ["role", "session_authorization", "seed"];

/// Asks the server, in the target.
pub(crate) async fn ask(session: &mut Session, username: &str) -> Result<OwnerRights, TargetError> {
    // PL/pgSQL's own parameters are known once it is loaded. Without it, there are none.
    match session.execute("DO LANGUAGE plpgsql 'BEGIN END'", DOING).await {
        Err(error) if !error.is_lasting() => return Err(error),
        _ => {}
    }
    let mut rights = OwnerRights::default();
    let mut parameters: std::collections::BTreeSet<String> =
        UNLISTED_PARAMETERS.iter().map(|&name| name.to_owned()).collect();
    for row in session.rows(&query(session.server_version(), username), DOING).await? {
        let name = row.text(1).to_owned();
        match row.text(0) {
            "parameter" => drop(parameters.insert(name)),
            "language" => drop(rights.languages.insert(name, row.is_true(2))),
            "relation" => drop(rights.closed_relations.insert(name)),
            "function" => drop(rights.closed_functions.insert(name)),
            _ => drop(rights.referable.insert(QualifiedName::new(row.text(3), name).to_string())),
        }
    }
    rights.parameters = Some(parameters);
    Ok(rights)
}

fn query(server_version: i32, username: &str) -> String {
    let role = quote_literal(username);
    // Rights on parameters exist from 15 on.
    let granted = match server_version {
        150_000.. => format!(
            "UNION ALL SELECT 'parameter', parname, '', '' FROM pg_catalog.pg_parameter_acl \
             WHERE pg_catalog.has_parameter_privilege({role}, parname, 'SET') "
        ),
        _ => String::new(),
    };
    format!(
        "SELECT 'parameter', pg_catalog.lower(name), '', '' FROM pg_catalog.pg_settings WHERE context = 'user' {granted}\
         UNION ALL SELECT 'language', lanname, CASE WHEN lanpltrusted THEN 't' ELSE 'f' END, '' \
             FROM pg_catalog.pg_language \
         UNION ALL SELECT 'relation', relname, '', '' FROM pg_catalog.pg_class \
             WHERE relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND relkind IN ('r', 'v') \
             AND NOT pg_catalog.has_any_column_privilege({role}, oid, 'SELECT') \
         UNION ALL SELECT 'function', proname, '', '' FROM pg_catalog.pg_proc \
             WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace GROUP BY proname \
             HAVING NOT pg_catalog.bool_or(proacl IS NULL OR pg_catalog.has_function_privilege({role}, oid, 'EXECUTE')) \
         UNION ALL SELECT 'referable', c.relname, '', n.nspname FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)' \
             AND pg_catalog.has_any_column_privilege({role}, c.oid, 'REFERENCES')"
    )
}
