//! Properties of a database itself, as opposed to its contents.

use super::database::Database;

/// All facts in pg_database and related catalogs about a target, except its OID and counters.
#[track_caller]
pub(crate) fn properties(target: &Database) -> String {
    let facts = target.psql(
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datistemplate, datallowconn,
           datconnlimit, spcname, to_jsonb(d) ->> 'datlocprovider', to_jsonb(d) ->> 'daticulocale',
           to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'datcollversion', shobj_description(d.oid, 'pg_database')
         FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = current_database()",
    );
    let privileges = target.psql(
        "SELECT grantee::regrole, grantor::regrole, privilege_type, is_grantable
         FROM pg_database d, aclexplode(coalesce(datacl, acldefault('d', datdba)))
         WHERE datname = current_database() ORDER BY 1, 2, 3",
    );
    let settings = target.psql(
        "SELECT setrole::regrole, array(SELECT unnest(setconfig) ORDER BY 1) FROM pg_db_role_setting
         WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1",
    );
    format!("{facts}{privileges}{settings}")
}
