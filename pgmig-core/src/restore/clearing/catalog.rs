//! One query of the catalogs: the target's objects, their owners, and the objects that depend on them.

use crate::restore::clearing::object::{Address, Object, Obstacle};
use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::quote_literal;
use std::collections::BTreeSet;

/// The database's objects: those that are dropped, those in the way, and those that stay.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// Objects that are each named in a DROP; their parts are dropped with them.
    pub(crate) roots: Vec<Object>,
    /// Schemas that stay, whether ours or not.
    pub(crate) kept: BTreeSet<String>,
    /// The number of objects that are dropped, parts included: each needs a lock.
    pub(crate) going: u64,
    /// The number of large objects that are unlinked.
    pub(crate) large_objects: u64,
    /// Objects of other roles that our DROP would take along, or that block it.
    pub(crate) obstacles: Vec<Obstacle>,
    /// Objects of other roles that stay: relations, types, functions and so on, without their parts.
    pub(crate) staying: Vec<Object>,
    /// Indexes, row types and members of extensions that stay: their names are taken, too.
    pub(crate) taken: Vec<Object>,
}

/// The lowest OID of an object that a user created.
const FIRST_NORMAL_OID: u32 = 16_384;

/// All objects that have an owner, and those without an owner that only a superuser can create.
///
/// Owner 0 stands for "a superuser". It is given to access methods, to parsers and templates of text search, and to
/// casts without a function: only a superuser can create these.
const OWNED: &str = "\
    SELECT 'pg_namespace'::regclass::oid AS classid, oid AS objid, nspowner AS owner, oid AS nsp FROM pg_namespace \
    UNION ALL SELECT 'pg_class'::regclass, oid, relowner, relnamespace FROM pg_class \
    UNION ALL SELECT 'pg_type'::regclass, oid, typowner, typnamespace FROM pg_type \
    UNION ALL SELECT 'pg_proc'::regclass, oid, proowner, pronamespace FROM pg_proc \
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner, oprnamespace FROM pg_operator \
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner, opcnamespace FROM pg_opclass \
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner, opfnamespace FROM pg_opfamily \
    UNION ALL SELECT 'pg_collation'::regclass, oid, collowner, collnamespace FROM pg_collation \
    UNION ALL SELECT 'pg_conversion'::regclass, oid, conowner, connamespace FROM pg_conversion \
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner, dictnamespace FROM pg_ts_dict \
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner, cfgnamespace FROM pg_ts_config \
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, 0, prsnamespace FROM pg_ts_parser \
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, 0, tmplnamespace FROM pg_ts_template \
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner, stxnamespace FROM pg_statistic_ext \
    UNION ALL SELECT 'pg_extension'::regclass, oid, extowner, 0 FROM pg_extension \
    UNION ALL SELECT 'pg_language'::regclass, oid, lanowner, 0 FROM pg_language \
    UNION ALL SELECT 'pg_am'::regclass, oid, 0, 0 FROM pg_am \
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwowner, 0 FROM pg_foreign_data_wrapper \
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, srvowner, 0 FROM pg_foreign_server \
    UNION ALL SELECT 'pg_event_trigger'::regclass, oid, evtowner, 0 FROM pg_event_trigger \
    UNION ALL SELECT 'pg_publication'::regclass, oid, pubowner, 0 FROM pg_publication \
    UNION ALL SELECT 'pg_default_acl'::regclass, oid, defaclrole, defaclnamespace FROM pg_default_acl \
    UNION ALL SELECT 'pg_cast'::regclass, oid, 0, 0 FROM pg_cast WHERE castmethod = 'b'";

/// Parts of other objects: the part's catalog and OID, then the catalog and OID of the whole.
const PARTS: &str = "\
    SELECT 'pg_attrdef'::regclass::oid AS classid, oid AS objid, 'pg_class'::regclass::oid AS wholeclass, \
        adrelid AS whole FROM pg_attrdef \
    UNION ALL SELECT 'pg_constraint'::regclass, oid, \
        CASE WHEN conrelid <> 0 THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END, \
        CASE WHEN conrelid <> 0 THEN conrelid ELSE contypid END FROM pg_constraint \
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, 'pg_class'::regclass, ev_class FROM pg_rewrite \
    UNION ALL SELECT 'pg_trigger'::regclass, oid, 'pg_class'::regclass, tgrelid FROM pg_trigger \
    UNION ALL SELECT 'pg_policy'::regclass, oid, 'pg_class'::regclass, polrelid FROM pg_policy \
    UNION ALL SELECT 'pg_publication_rel'::regclass, oid, 'pg_publication'::regclass, prpubid FROM pg_publication_rel \
    UNION ALL SELECT 'pg_user_mapping'::regclass, umid, 'pg_foreign_server'::regclass, srvid FROM pg_user_mappings \
    UNION ALL SELECT 'pg_amop'::regclass, oid, 'pg_opfamily'::regclass, amopfamily FROM pg_amop \
    UNION ALL SELECT 'pg_amproc'::regclass, oid, 'pg_opfamily'::regclass, amprocfamily FROM pg_amproc \
    UNION ALL SELECT 'pg_transform'::regclass, oid, 'pg_type'::regclass, trftype FROM pg_transform \
    UNION ALL SELECT 'pg_cast'::regclass, c.oid, 'pg_type'::regclass, \
        COALESCE((SELECT max(t.oid) FROM pg_type t WHERE t.oid IN (c.castsource, c.casttarget) \
                  AND t.typowner IN (SELECT oid FROM ours)), c.castsource) FROM pg_cast c WHERE castmethod <> 'b'";

/// Schemas in publications, from PostgreSQL 15 on.
const PUBLISHED_SCHEMAS: &str = " \
    UNION ALL SELECT 'pg_publication_namespace'::regclass, oid, 'pg_publication'::regclass, pnpubid \
        FROM pg_publication_namespace";

/// Reads the catalogs.
///
/// Each obstacle is shown with one object that it depends on, a table or a type rather than the schema. `ours` is a
/// query for the OIDs of the roles whose objects are dropped.
pub(crate) async fn read(session: &mut Session, ours: &str) -> Result<Catalog, TargetError> {
    let doing = "read what the target holds, and whose it is";
    let with = common_expressions(session.server_version(), ours);
    let sql = format!(
        "{with} \
         SELECT 'root', g.classid, g.objid, i.type, i.identity, '' FROM going g, \
             pg_identify_object(g.classid, g.objid, 0) i WHERE g.root \
         UNION ALL SELECT 'kept', 0, 0, NULL, nspname, '' FROM pg_namespace WHERE oid IN (SELECT oid FROM kept) \
         UNION ALL SELECT 'going', 0, 0, NULL, count(*)::text, '' FROM going \
             WHERE classid <> 'pg_default_acl'::regclass \
         UNION ALL SELECT 'large objects', 0, 0, NULL, count(*)::text, '' FROM pg_largeobject_metadata \
             WHERE lomowner IN (SELECT oid FROM ours) \
         UNION ALL (SELECT DISTINCT ON (d.classid, d.objid, d.objsubid) 'obstacle', d.classid, d.objid, \
             COALESCE((SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0) FROM pg_rewrite r \
                 WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'), \
                 pg_describe_object(d.classid, d.objid, d.objsubid)), \
             CASE a.owner WHEN 0 THEN 'a superuser' ELSE quote_ident(pg_get_userbyid(a.owner)) END, \
             pg_describe_object(d.refclassid, d.refobjid, 0) \
             FROM pg_depend d JOIN going g ON (g.classid, g.objid) = (d.refclassid, d.refobjid) \
             LEFT JOIN attributed a ON (a.classid, a.objid) = (d.classid, d.objid) \
             WHERE NOT EXISTS (SELECT FROM going o WHERE (o.classid, o.objid) = (d.classid, d.objid)) \
             ORDER BY d.classid, d.objid, d.objsubid, d.refclassid = 'pg_namespace'::regclass, 6 DESC) \
         UNION ALL SELECT 'obstacle', 0, 0, count(*) || CASE count(*) WHEN 1 THEN ' large object, ' \
                 ELSE ' large objects, such as ' END || min(oid), \
             quote_ident(pg_get_userbyid(lomowner)), '' \
             FROM pg_largeobject_metadata WHERE lomowner NOT IN (SELECT oid FROM ours) GROUP BY lomowner \
         UNION ALL SELECT 'stays', a.classid, a.objid, i.type, i.identity, \
             CASE a.owner WHEN 0 THEN 'a superuser' ELSE quote_ident(pg_get_userbyid(a.owner)) END \
             FROM attributed a, pg_identify_object(a.classid, a.objid, 0) i \
             WHERE a.objid >= {FIRST_NORMAL_OID} AND NOT a.ours AND a.extension IS NULL AND NOT a.part AND a.visible \
         UNION ALL SELECT 'taken', a.classid, a.objid, i.type, i.identity, \
             CASE a.owner WHEN 0 THEN 'a superuser' ELSE quote_ident(pg_get_userbyid(a.owner)) END \
             FROM attributed a, pg_identify_object(a.classid, a.objid, 0) i \
             WHERE a.objid >= {FIRST_NORMAL_OID} AND NOT a.ours AND (a.extension IS NOT NULL OR a.part) AND a.visible \
         ORDER BY 1, 2, 3, 4, 5, 6"
    );
    // Catalog names are unqualified in these statements; since search_path is empty, names in the result are
    // qualified.
    let rows = session.rows(&sql, doing).await?;
    let mut catalog = Catalog::default();
    for row in &rows {
        catalog.take(row);
    }
    catalog.obstacles = once_each(catalog.obstacles);
    Ok(catalog)
}

/// All objects of these kinds that are not to be dropped. Read before and after the clearing, and compared.
pub(crate) async fn others(session: &mut Session, ours: &str) -> Result<BTreeSet<Address>, TargetError> {
    let with = common_expressions(session.server_version(), ours);
    let sql = format!(
        "{with} SELECT a.classid, a.objid FROM attributed a WHERE a.objid >= {FIRST_NORMAL_OID} AND NOT EXISTS \
         (SELECT FROM going g WHERE (g.classid, g.objid) = (a.classid, a.objid))"
    );
    let rows = session.rows(&sql, "list what is not to be dropped").await?;
    Ok(rows.iter().map(|row| Address { class: row.number(0), object: row.number(1) }).collect())
}

/// A query for the roles whose objects are dropped: `username`, and `su_username` if it is a superuser. A superuser
/// owns the objects that it had to create in place of `username`.
pub(crate) fn ours(owner: &str) -> String {
    format!(
        "SELECT oid FROM pg_roles WHERE rolname = {} OR rolname = session_user AND rolsuper \
         UNION ALL SELECT 0 FROM pg_roles WHERE rolname = session_user AND rolsuper",
        quote_literal(owner)
    )
}

/// The common table expressions of both queries.
///
/// - `attributed`: every object with the role that answers for it. That is the owner of its extension, else the owner
///   of the object it belongs to, else its own owner. (The constructors of a range type belong to the bootstrap
///   superuser. A range type has a multirange type, and that an array type: ALTER TYPE ... OWNER changes neither.)
/// - `kept`: schemas that stay, whether ours or not.
/// - `going`: objects that are dropped; `root` marks those that a DROP names.
///
/// Temporary objects do not belong to the target, and the server owns their schemas.
///
/// The key columns of a partitioned table depend on the table itself. Such a dependency does not make the table a
/// part.
fn common_expressions(server_version: i32, ours: &str) -> String {
    let published = if server_version >= 150_000 { PUBLISHED_SCHEMAS } else { "" };
    format!(
        "WITH RECURSIVE ours AS MATERIALIZED ({ours}), \
         owned AS MATERIALIZED ({OWNED}), \
         members(classid, objid, extension, extowner) AS (SELECT d.classid, d.objid, e.oid, e.extowner FROM pg_depend d \
             JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
             WHERE d.deptype = 'e' \
             UNION SELECT d.classid, d.objid, m.extension, m.extowner FROM pg_depend d \
             JOIN members m ON (d.refclassid, d.refobjid) = (m.classid, m.objid) \
             WHERE d.deptype = 'i' OR d.deptype = 'a' AND (d.classid = 'pg_constraint'::regclass \
                 OR d.classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = d.objid) IN ('i', 'I', 'S'))), \
         inside AS MATERIALIZED (SELECT DISTINCT ON (d.classid, d.objid) d.classid, d.objid, d.refclassid, d.refobjid, \
             o.owner FROM pg_depend d \
             JOIN owned o ON (o.classid, o.objid) = (d.refclassid, d.refobjid) WHERE d.deptype = 'i' \
             AND (d.refclassid, d.refobjid) <> (d.classid, d.objid) ORDER BY 1, 2), \
         internal AS MATERIALIZED (SELECT i.classid, i.objid, COALESCE(o.owner, i.owner) AS owner FROM inside i \
             LEFT JOIN inside o ON (o.classid, o.objid) = (i.refclassid, i.refobjid)), \
         wholes AS MATERIALIZED (SELECT o.classid, o.objid, COALESCE(m.extowner, i.owner, o.owner) AS owner, \
             m.extension, o.nsp FROM owned o LEFT JOIN members m USING (classid, objid) \
             LEFT JOIN internal i USING (classid, objid) \
             WHERE NOT EXISTS (SELECT FROM pg_namespace t WHERE t.oid = o.nsp \
                 AND t.nspname ~ '^pg_(toast_)?temp_')), \
         attributed AS MATERIALIZED (SELECT w.classid, w.objid, w.owner, w.extension, \
                 w.owner IN (SELECT oid FROM ours) AS ours, \
                 EXISTS (SELECT FROM pg_depend i WHERE (i.classid, i.objid) = (w.classid, w.objid) AND i.deptype = 'i' \
                     AND (i.refclassid, i.refobjid) <> (i.classid, i.objid)) \
                 OR EXISTS (SELECT FROM pg_class c WHERE w.classid = 'pg_class'::regclass AND c.oid = w.objid \
                     AND c.relkind IN ('i', 'I')) AS part, \
                 n.nspname IS NULL OR n.nspname NOT IN ('pg_catalog', 'information_schema') \
                     AND n.nspname !~ '^pg_(toast|temp)' AS visible \
             FROM wholes w LEFT JOIN pg_namespace n ON n.oid = w.nsp \
             UNION ALL SELECT p.classid, p.objid, COALESCE(m.extowner, w.owner), COALESCE(m.extension, w.extension), \
                 COALESCE(m.extowner, w.owner) IN (SELECT oid FROM ours), true, false \
             FROM ({PARTS}{published}) p LEFT JOIN members m USING (classid, objid) \
             JOIN wholes w ON (w.classid, w.objid) = (p.wholeclass, p.whole)), \
         kept AS MATERIALIZED (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'public' OR EXISTS \
             (SELECT FROM pg_depend d JOIN attributed a ON (a.classid, a.objid) = (d.classid, d.objid) \
              WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid AND NOT a.ours \
              AND (a.extension IS NOT NULL OR a.classid = 'pg_extension'::regclass))), \
         going AS MATERIALIZED (SELECT a.classid, a.objid, NOT a.part AND a.visible AND a.extension IS NULL \
                 AND a.classid <> 'pg_default_acl'::regclass AS root \
             FROM attributed a WHERE a.ours AND a.objid >= {FIRST_NORMAL_OID} \
             AND NOT (a.classid = 'pg_namespace'::regclass AND a.objid IN (SELECT oid FROM kept)))"
    )
}

/// A view depends on its schema, and the view's query depends on tables. Such a view is named once, with a table.
fn once_each(mut obstacles: Vec<Obstacle>) -> Vec<Obstacle> {
    let is_schema = |of: &str| of.starts_with("schema ");
    obstacles.sort_by_key(|obstacle| obstacle.because_of.as_deref().is_none_or(is_schema));
    let mut seen = BTreeSet::new();
    obstacles.retain(|obstacle| seen.insert((obstacle.object.clone(), obstacle.owner.clone())));
    obstacles.sort_by(|a, b| a.object.cmp(&b.object));
    obstacles
}

impl Catalog {
    fn take(&mut self, row: &TextRow) {
        let object = |owner: &str| Object {
            kind: row.text(3).to_owned(),
            identity: row.text(4).to_owned(),
            owner: owner.to_owned(),
        };
        match row.text(0) {
            "root" => self.roots.push(object("")),
            "kept" => drop(self.kept.insert(row.text(4).to_owned())),
            "stays" => self.staying.push(object(row.text(5))),
            "taken" => self.taken.push(object(row.text(5))),
            "obstacle" => self.obstacles.push(Obstacle {
                object: row.text(3).to_owned(),
                owner: row.text(4).to_owned(),
                because_of: row.get(5).filter(|of| !of.is_empty()).map(str::to_owned),
            }),
            "large objects" => self.large_objects = row.number(4),
            _ => self.going = row.number(4),
        }
    }
}
