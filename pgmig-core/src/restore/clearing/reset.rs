//! Objects of `username` that cannot be dropped and are reset to their state in a new database.
//!
//! - Schema `public`, and schemas that hold an extension of another role.
//! - Large objects, which are unlinked.
//! - Default privileges, which no DROP removes.

use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::{quote_ident, quote_literal};

const UNLINKED_AT_ONCE: usize = 1000;

/// Unlinks the large objects of the roles that `ours` selects.
pub(crate) async fn unlink_large_objects(session: &mut Session, ours: &str) -> Result<(), TargetError> {
    let doing = "unlink the target's large objects";
    let sql = format!(
        "SELECT count(pg_catalog.lo_unlink(oid)) FROM (SELECT oid FROM pg_largeobject_metadata \
         WHERE lomowner IN ({ours}) LIMIT {UNLINKED_AT_ONCE}) AS batch"
    );
    while session.value(&sql, doing).await? != "0" {}
    Ok(())
}

/// Revokes the default privileges of the roles that `ours` selects.
pub(crate) async fn reset_default_privileges(session: &mut Session, ours: &str) -> Result<(), TargetError> {
    let doing = "take back the target's default privileges";
    let sql = format!(
        "SELECT DISTINCT pg_get_userbyid(d.defaclrole), n.nspname, d.defaclobjtype::text, \
             CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END \
         FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace \
             LEFT JOIN LATERAL aclexplode(d.defaclacl) x ON true \
         WHERE d.defaclrole IN ({ours}) ORDER BY 1, 2, 3, 4"
    );
    let rows = session.rows(&sql, doing).await?;
    for statement in rows.iter().flat_map(default_privileges) {
        session.execute(&statement, doing).await?;
    }
    Ok(())
}

/// The statements that revoke the default privileges of one grantee, and grant again those that a new database has.
/// The server forgets an entry in which nothing else is left.
fn default_privileges(row: &TextRow) -> Vec<String> {
    let role = quote_ident(row.text(0));
    let objects = match row.text(2) {
        "r" => "TABLES",
        "S" => "SEQUENCES",
        "f" => "FUNCTIONS",
        "T" => "TYPES",
        "n" => "SCHEMAS",
        _ => "LARGE OBJECTS",
    };
    let schema = row.get(1).map(|schema| format!(" IN SCHEMA {}", quote_ident(schema))).unwrap_or_default();
    let alter = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {role}{schema}");
    let grantee = row.get(3).map_or("PUBLIC".to_owned(), quote_ident);
    let mut statements = vec![format!("{alter} REVOKE ALL ON {objects} FROM {grantee}")];
    // The entry of a schema holds only privileges that are added to the general ones.
    if schema.is_empty() {
        statements.push(format!("{alter} GRANT ALL ON {objects} TO {role}"));
        if matches!(objects, "FUNCTIONS" | "TYPES") {
            statements.push(format!("{alter} GRANT ALL ON {objects} TO PUBLIC"));
        }
    }
    statements
}

/// Resets the comments and privileges of the schemas that stay to those of a new database. These are the schemas of
/// the roles that `ours` selects, and `public` if `owner` has the rights of its owner.
pub(crate) async fn reset_schemas(session: &mut Session, owner: &str, ours: &str) -> Result<(), TargetError> {
    let doing = "set back the schemas that stay";
    let sql = format!(
        "SELECT DISTINCT n.nspname, pg_get_userbyid(n.nspowner), x.grantee IS NOT NULL, \
             CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END \
         FROM pg_namespace n LEFT JOIN LATERAL aclexplode(n.nspacl) x ON true \
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND (n.nspowner IN ({ours}) OR n.nspname = 'public' AND pg_has_role({}, n.nspowner, 'USAGE')) \
         AND NOT EXISTS (SELECT FROM pg_depend d WHERE (d.classid, d.objid) = ('pg_namespace'::regclass, n.oid) \
             AND d.deptype = 'e') ORDER BY 1, 2, 3, 4",
        quote_literal(owner)
    );
    let rows = session.rows(&sql, doing).await?;
    let public_may = if session.server_version() >= 150_000 { "USAGE" } else { "ALL" };
    let revoke = |row: &TextRow| {
        let grantee = row.get(3).map_or("PUBLIC".to_owned(), quote_ident);
        format!("REVOKE ALL ON SCHEMA {} FROM {grantee} CASCADE;", quote_ident(row.text(0)))
    };
    let mut sql: String = rows.iter().filter(|row| row.is_true(2)).map(revoke).collect();
    for schema in rows.chunk_by(|a, b| a.text(0) == b.text(0)).filter_map(<[TextRow]>::first) {
        let (name, owner) = (quote_ident(schema.text(0)), quote_ident(schema.text(1)));
        sql += &format!("GRANT ALL ON SCHEMA {name} TO {owner};");
        sql += &match schema.text(0) {
            "public" => format!(
                "GRANT {public_may} ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS 'standard public schema';"
            ),
            _ => format!("COMMENT ON SCHEMA {name} IS NULL;"),
        };
    }
    if !sql.is_empty() {
        session.execute(&sql, doing).await?;
    }
    Ok(())
}

/// Creates schema `public` if it does not exist: archives rely on it, since every new database has it.
pub(crate) async fn make_public(session: &mut Session) -> Result<(), TargetError> {
    let doing = "make schema public, which a new database has";
    if session.holds("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public')", doing).await? {
        return Ok(());
    }
    session.execute("CREATE SCHEMA public", doing).await?;
    let sql = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_database_owner' AND pg_has_role(oid, 'USAGE'))";
    if session.holds(sql, doing).await? {
        session.execute("ALTER SCHEMA public OWNER TO pg_database_owner", doing).await?;
    }
    Ok(())
}
