//! Reads the privileges of a database.

use super::acl::{Acl, Key};
use super::statement::{Kind, Object, normal_arguments};
use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::quote_literal;
use std::collections::{BTreeMap, BTreeSet};

/// An object and its privileges.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// Its name as SQL.
    pub(crate) written: String,
    pub(crate) owner: String,
    /// Whether `username` has the rights of the owner.
    pub(crate) is_own: bool,
    /// Whether it belongs to the system or to an extension, and a superuser owns it.
    pub(crate) is_of_system: bool,
    /// Whether a user made it: not the system, and no extension.
    pub(crate) is_of_user: bool,
    /// The letter of `acldefault` for it.
    pub(crate) letter: String,
    pub(crate) acl: Acl,
}

/// Objects and the privileges that each type of object can have.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) objects: BTreeMap<Object, Held>,
    /// By the letter of `acldefault`: the privileges of the owner, and those that PUBLIC has from the beginning.
    possible: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
}

impl Catalog {
    /// All privileges that an object of this type can have.
    pub(crate) fn all(&self, letter: &str) -> BTreeSet<String> {
        self.possible.get(letter).map(|(all, _)| all.clone()).unwrap_or_default()
    }

    /// The privileges of a new object.
    pub(crate) fn initial(&self, letter: &str, owner: &str) -> Acl {
        let Some((all, of_public)) = self.possible.get(letter) else { return Acl::new() };
        let owners = all.iter().map(|privilege| (Key::whole(owner, privilege), false));
        owners.chain(of_public.iter().map(|privilege| (Key::whole("", privilege), false))).collect()
    }

    /// The privileges of a default entry that nobody has changed.
    pub(crate) fn initial_default(&self, object: &Object) -> Acl {
        // The entry of a schema holds only privileges that are added to the general ones.
        if object.schema.is_empty() { self.initial(letter_of(object), &object.name) } else { Acl::new() }
    }

    /// All privileges that the object can have.
    pub(crate) fn all_of(&self, object: &Object) -> BTreeSet<String> {
        let letter = match self.objects.get(object) {
            Some(held) => held.letter.as_str(),
            None => letter_of(object),
        };
        self.all(letter)
    }
}

/// The letter of `acldefault` for objects that are not in the catalogs. `pg_default_acl` has its own one for sequences.
fn letter_of(object: &Object) -> &str {
    match (object.kind, object.arguments.as_str()) {
        (Kind::Default, "S") => "s",
        (Kind::Default, letter) => letter,
        (Kind::Schema, _) => "n",
        _ => "",
    }
}

const OBJECTS: &str = "\
    SELECT 'TABLE' AS kind, n.nspname, c.relname AS name, c.relowner AS owner, c.relacl AS acl, \
        CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\" AS letter, \
        'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS class, c.oid \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_(toast|temp)' \
    UNION ALL SELECT 'ROUTINE', n.nspname, p.proname, p.proowner, p.proacl, 'f', \
        'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid \
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    UNION ALL SELECT 'TYPE', n.nspname, t.typname, t.typowner, t.typacl, 'T', \
        'pg_catalog.pg_type'::pg_catalog.regclass, t.oid \
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
    UNION ALL SELECT 'SCHEMA', '', nspname, nspowner, nspacl, 'n', \
        'pg_catalog.pg_namespace'::pg_catalog.regclass, oid FROM pg_catalog.pg_namespace \
    UNION ALL SELECT 'LANGUAGE', '', lanname, lanowner, lanacl, 'l', \
        'pg_catalog.pg_language'::pg_catalog.regclass, oid FROM pg_catalog.pg_language \
    UNION ALL SELECT 'FOREIGN DATA WRAPPER', '', fdwname, fdwowner, fdwacl, 'F', \
        'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, oid FROM pg_catalog.pg_foreign_data_wrapper \
    UNION ALL SELECT 'FOREIGN SERVER', '', srvname, srvowner, srvacl, 'S', \
        'pg_catalog.pg_foreign_server'::pg_catalog.regclass, oid FROM pg_catalog.pg_foreign_server \
    UNION ALL SELECT 'LARGE OBJECT', '', oid::text, lomowner, lomacl, 'L', \
        'pg_catalog.pg_largeobject'::pg_catalog.regclass, oid FROM pg_catalog.pg_largeobject_metadata";

/// The arguments of a routine and the object's name as SQL. They are asked for chosen objects only: the arguments of
/// all routines of a database take longer than the rest of the query.
const NAMES: &str = "\
    CASE WHEN e.kind = 'ROUTINE' THEN pg_catalog.pg_get_function_identity_arguments(e.oid) ELSE '' END AS arguments, \
    CASE WHEN e.kind IN ('TABLE', 'TYPE') THEN pg_catalog.format('%I.%I', e.nspname, e.name) \
        WHEN e.kind = 'ROUTINE' THEN pg_catalog.format('%I.%I(%s)', e.nspname, e.name, \
            pg_catalog.pg_get_function_identity_arguments(e.oid)) \
        WHEN e.kind = 'LARGE OBJECT' THEN e.name ELSE pg_catalog.quote_ident(e.name) END AS written";

/// Reads the privileges of every object of a user that has some of its own, of all objects with these names, and all
/// default privileges. `owner` is `username`.
pub(crate) async fn read(
    session: &mut Session,
    owner: &str,
    names: &BTreeSet<&str>,
) -> Result<Catalog, TargetError> {
    let doing = "read the privileges of the database";
    let names: Vec<String> = names.iter().map(|name| quote_literal(name)).collect();
    let role = quote_literal(owner);
    let grantee = "CASE WHEN x.grantee <> 0 THEN pg_catalog.pg_get_userbyid(x.grantee)::text ELSE '' END";
    let sql = format!(
        "WITH every AS ({OBJECTS}), \
         o AS MATERIALIZED (SELECT e.*, {NAMES}, EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = e.class \
                 AND d.objid = e.oid AND d.deptype = 'e') AS member \
             FROM every e WHERE e.acl IS NOT NULL AND e.oid >= 16384 OR e.name = ANY (ARRAY[{}]::text[])), \
         items AS (SELECT o.class, o.oid, '' AS col, x.* FROM o, \
                 pg_catalog.aclexplode(COALESCE(o.acl, pg_catalog.acldefault(o.letter, o.owner))) x \
             UNION ALL SELECT o.class, o.oid, a.attname, x.* FROM o JOIN pg_catalog.pg_attribute a \
                 ON o.kind = 'TABLE' AND a.attrelid = o.oid AND NOT a.attisdropped, \
                 pg_catalog.aclexplode(a.attacl) x) \
         SELECT o.kind, o.nspname, o.name, o.arguments, o.written, pg_catalog.pg_get_userbyid(o.owner), \
             pg_catalog.pg_has_role({role}, o.owner, 'USAGE'), \
             (o.member OR o.oid < 16384) AND (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = o.owner), \
             NOT o.member AND o.oid >= 16384, o.letter::text, x.col, {grantee}, x.privilege_type, x.is_grantable \
             FROM o LEFT JOIN items x ON x.class = o.class AND x.oid = o.oid \
         UNION ALL SELECT 'DEFAULT PRIVILEGES', COALESCE(n.nspname, ''), pg_catalog.pg_get_userbyid(d.defaclrole), \
             d.defaclobjtype::text, '', pg_catalog.pg_get_userbyid(d.defaclrole), \
             pg_catalog.pg_get_userbyid(d.defaclrole) = {role}, false, false, \
             CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype::text END, '', {grantee}, x.privilege_type, \
             x.is_grantable \
             FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace \
             LEFT JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) x ON true",
        names.join(", ")
    );
    let mut catalog = Catalog::default();
    session.each_row(&sql, doing, |row| catalog.take(&row)).await?;
    let letters = "r,s,f,n,T,l,F,S,L";
    let sql = format!(
        "SELECT t::text, x.grantee = 0, x.privilege_type FROM pg_catalog.unnest('{{{letters}}}'::\"char\"[]) t, \
         pg_catalog.aclexplode(pg_catalog.acldefault(t, 10)) x"
    );
    for row in session.rows(&sql, doing).await? {
        let (all, of_public) = catalog.possible.entry(row.text(0).to_owned()).or_default();
        if row.is_true(1) { of_public } else { all }.insert(row.text(2).to_owned());
    }
    Ok(catalog)
}

impl Catalog {
    fn take(&mut self, row: &TextRow) {
        let Some(kind) = Kind::from_words(row.text(0)) else { return };
        let arguments = match kind {
            Kind::Routine => normal_arguments(row.text(3)),
            _ => row.text(3).to_owned(),
        };
        let (schema, name) = (row.text(1).to_owned(), row.text(2).to_owned());
        let held = self.objects.entry(Object { kind, schema, name, arguments }).or_insert_with(|| Held {
            written: row.text(4).to_owned(),
            owner: row.text(5).to_owned(),
            is_own: row.is_true(6),
            is_of_system: row.is_true(7),
            is_of_user: row.is_true(8),
            letter: row.text(9).to_owned(),
            acl: Acl::new(),
        });
        let Some(privilege) = row.get(12) else { return };
        let key = Key {
            grantee: row.text(11).to_owned(),
            column: row.text(10).to_owned(),
            privilege: privilege.to_owned(),
        };
        // Two roles can have granted the same.
        *held.acl.entry(key).or_default() |= row.is_true(13);
    }
}
