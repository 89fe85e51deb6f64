//! Gives the objects that a superuser has made for a trusted archive to `username`.
//!
//! pg_restore as superuser leaves all objects with the superuser. Some can only be made, filled or refreshed while they
//! are the superuser's, so all of them are handed over together, after the last such step.

use super::Build;
use super::recording::note;
use crate::error::Result;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;
use crate::restore::record::{SCHEMA, Unit};
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::quote_ident;
use std::collections::BTreeSet;

const DOING: &str = "hand over what the superuser has made";

/// How many statements are one transaction. Each locks a table until its end.
const AT_ONCE: usize = 64;

/// Objects with an owner that ALTER can change: kind and identity in the words of `pg_identify_object`. Parts of other
/// objects follow those. Event triggers and wrappers stay with the superuser.
const OBJECTS: &str = "\
    WITH me AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user), \
    owned AS ( \
        SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS class, oid AS object, \
            relowner AS owner, relnamespace AS nsp FROM pg_catalog.pg_class \
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'g', 'S') \
        UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typowner, typnamespace FROM pg_catalog.pg_type \
        UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner, pronamespace FROM pg_catalog.pg_proc \
        UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprowner, oprnamespace \
            FROM pg_catalog.pg_operator WHERE oprcode <> 0 \
        UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, oid, opcowner, opcnamespace \
            FROM pg_catalog.pg_opclass \
        UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid, opfowner, opfnamespace \
            FROM pg_catalog.pg_opfamily \
        UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collowner, collnamespace \
            FROM pg_catalog.pg_collation \
        UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid, conowner, connamespace \
            FROM pg_catalog.pg_conversion \
        UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid, dictowner, dictnamespace \
            FROM pg_catalog.pg_ts_dict \
        UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid, cfgowner, cfgnamespace \
            FROM pg_catalog.pg_ts_config \
        UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, oid, stxowner, stxnamespace \
            FROM pg_catalog.pg_statistic_ext \
        UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, nspowner, 0 FROM pg_catalog.pg_namespace \
        UNION ALL SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, oid, lanowner, 0 FROM pg_catalog.pg_language \
        UNION ALL SELECT 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, oid, srvowner, 0 \
            FROM pg_catalog.pg_foreign_server \
        UNION ALL SELECT 'pg_catalog.pg_publication'::pg_catalog.regclass, oid, pubowner, 0 \
            FROM pg_catalog.pg_publication WHERE NOT puballtables) \
    SELECT i.type, i.identity FROM owned o JOIN me ON me.oid = o.owner, \
        pg_catalog.pg_identify_object(o.class, o.object, 0) i \
    WHERE o.object >= 16384 \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname ~ '^pg_(toast|temp)' \
        AND (n.oid = o.nsp OR o.class = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND n.oid = o.object)) \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = o.class AND d.objid = o.object \
        AND d.objsubid = 0 AND d.deptype IN ('e', 'i') AND (d.refclassid, d.refobjid) <> (o.class, o.object)) \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid \
        WHERE d.classid = o.class AND d.objid = o.object AND d.deptype = 'a' AND s.relkind = 'S' \
        AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid AND d.refobjsubid > 0) \
    ORDER BY o.class, o.object";

/// An object: its kind and its identity.
pub(crate) type Owned = (String, String);

/// The objects of the superuser in the database of this session, which must be logged in as the superuser.
pub(crate) async fn owned(session: &mut Session) -> Result<Vec<Owned>, TargetError> {
    let rows = session.rows(OBJECTS, DOING).await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned())).collect())
}

impl Build {
    /// Gives every object to `username` that the superuser has made for the archive.
    pub(super) async fn hand_over(&self, executor: &mut Executor) -> Result<()> {
        let unit = Unit::Step("hand over");
        if !self.known.facts.builds_as_superuser || executor.record.has(unit) {
            return Ok(());
        }
        executor.become_role(&RunAs::Superuser).await?;
        let session = &mut executor.session;
        // The identities are then qualified, whatever the archive has set.
        let path = session.leave_search_path(DOING).await?;
        let owner = quote_ident(self.config.username());
        let before: BTreeSet<&Owned> = self.superusers_before.iter().collect();
        let made = owned(session).await?;
        let statements: Vec<String> = made
            .iter()
            .filter(|object| !before.contains(object) && !is_of_record(object))
            .map(|(kind, identity)| {
                let kind = if kind == "statistics object" { "statistics" } else { kind };
                format!("ALTER {kind} {identity} OWNER TO {owner};")
            })
            .collect();
        for some in statements.chunks(AT_ONCE) {
            session.execute(&some.concat(), DOING).await?;
        }
        session.return_to_search_path(&path, DOING).await?;
        note(executor, unit, String::new()).await
    }
}

fn is_of_record((_, identity): &Owned) -> bool {
    identity == SCHEMA || identity.strip_prefix(SCHEMA).is_some_and(|rest| rest.starts_with('.'))
}
