//! The extensions of a database, their objects and the privileges on their schemas.

use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::quote_literal;

/// An extension that a database has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InstalledExtension {
    pub(crate) name: String,
    pub(crate) schema: String,
    pub(crate) version: String,
    pub(crate) owner: String,
    /// The owner of its schema.
    pub(crate) schema_owner: String,
}

/// Lists the extensions of this session's database except plpgsql, in the order of their creation.
pub(crate) async fn installed(session: &mut Session) -> Result<Vec<InstalledExtension>, TargetError> {
    let sql = "SELECT e.extname, n.nspname, e.extversion, pg_catalog.pg_get_userbyid(e.extowner), \
                      pg_catalog.pg_get_userbyid(n.nspowner) \
               FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
               WHERE e.extname <> 'plpgsql' ORDER BY e.oid";
    let rows = session.rows(sql, "list the target's extensions").await?;
    let extension = |row: &TextRow| InstalledExtension {
        name: row.text(0).to_owned(),
        schema: row.text(1).to_owned(),
        version: row.text(2).to_owned(),
        owner: row.text(3).to_owned(),
        schema_owner: row.text(4).to_owned(),
    };
    Ok(rows.iter().map(extension).collect())
}

/// Lists the objects of an extension, each with its kind and identity as `pg_identify_object` reports them.
pub(crate) async fn members(
    session: &mut Session,
    extension: &str,
) -> Result<Vec<(String, String)>, TargetError> {
    let sql = format!(
        "SELECT i.type, i.identity FROM pg_catalog.pg_extension e \
         JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
             AND d.refobjid = e.oid AND d.deptype = 'e', \
         pg_catalog.pg_identify_object(d.classid, d.objid, 0) i \
         WHERE e.extname = {} AND i.identity IS NOT NULL",
        quote_literal(extension)
    );
    let rows = session.rows(&sql, "list the objects of an extension").await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned())).collect())
}

/// The database in which alone pg_cron can be created: its setting `cron.database_name`, if pgmig can read it.
pub(crate) async fn cron_database(session: &mut Session) -> Result<Option<String>, TargetError> {
    // Only superusers see the setting. Without the library it is a placeholder, which pg_settings does not list.
    let sql = "SELECT CASE WHEN r.rolsuper THEN pg_catalog.current_setting('cron.database_name', true) \
                      ELSE (SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = 'cron.database_name') END \
               FROM pg_catalog.pg_roles r WHERE r.rolname = session_user";
    let database = session.optional(sql, "read the setting cron.database_name").await?;
    Ok(database.filter(|name| !name.is_empty()))
}

/// A privilege on a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaGrant {
    pub(crate) schema: String,
    pub(crate) privilege: String,
    /// `None` is PUBLIC.
    pub(crate) grantee: Option<String>,
    pub(crate) is_grantable: bool,
}

/// Lists the privileges that roles other than the owner have on the schemas of extensions.
pub(crate) async fn schema_grants(session: &mut Session) -> Result<Vec<SchemaGrant>, TargetError> {
    let sql = "SELECT n.nspname, a.privilege_type, a.grantee <> 0, \
                      CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.is_grantable \
               FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a \
               WHERE a.grantee <> n.nspowner AND n.oid IN (SELECT extnamespace FROM pg_catalog.pg_extension) \
               ORDER BY 1, 4, 2";
    let rows = session.rows(sql, "read the privileges on schemas of extensions").await?;
    let grant = |row: &TextRow| SchemaGrant {
        schema: row.text(0).to_owned(),
        privilege: row.text(1).to_owned(),
        grantee: row.is_true(2).then(|| row.text(3).to_owned()),
        is_grantable: row.is_true(4),
    };
    Ok(rows.iter().map(grant).collect())
}
