//! Does the staging database hold what the archive holds?

use super::Build;
use crate::error::Result;
use crate::instance::{Instance, InstanceId};
use crate::profile::Profile;
use crate::restore::catalogs::instances;
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::load::loaded::Loaded;
use crate::restore::plan::RunAs;
use crate::restore::plan::expected::{Expected, ObjectKind};
use crate::restore::report::restored::MappedInstance;
use crate::server::session::{Session, TextRow};
use std::collections::{BTreeSet, HashMap, HashSet};

/// How many large objects are opened by one statement: each takes memory until its end.
const LARGE_OBJECTS_AT_ONCE: usize = 1000;

/// Every object of the plan exists, every index and constraint is valid where the archive's is.
pub(crate) async fn objects(staging: &mut Session, expected: &[Expected]) -> Result<()> {
    let mut faults = missing(staging, expected).await?;
    faults.extend(invalid(staging, expected).await?);
    if faults.is_empty() { Ok(()) } else { Err(RestoreError::Verification(faults).into()) }
}

/// Looks through the catalogs row by row: of 20,000 tables they are long.
async fn missing(staging: &mut Session, expected: &[Expected]) -> Result<Vec<String>> {
    let sql = "\
        SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'table' \
            WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'index' END, \
            n.nspname, '', c.relname \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'i', 'I') AND n.nspname !~ '^pg_toast' \
        UNION ALL SELECT 'schema', '', '', nspname FROM pg_catalog.pg_namespace \
        UNION ALL SELECT 'extension', '', '', extname FROM pg_catalog.pg_extension \
        UNION ALL SELECT 'type', n.nspname, '', t.typname \
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
        UNION ALL SELECT 'constraint', n.nspname, c.relname, k.conname FROM pg_catalog.pg_constraint k \
        JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        UNION ALL SELECT 'constraint', n.nspname, t.typname, k.conname FROM pg_catalog.pg_constraint k \
        JOIN pg_catalog.pg_type t ON t.oid = k.contypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
        UNION ALL SELECT 'trigger', n.nspname, c.relname, g.tgname FROM pg_catalog.pg_trigger g \
        JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        UNION ALL SELECT 'policy', n.nspname, c.relname, p.polname FROM pg_catalog.pg_policy p \
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        UNION ALL SELECT 'rule', n.nspname, c.relname, r.rulename FROM pg_catalog.pg_rewrite r \
        JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        UNION ALL SELECT DISTINCT 'function', n.nspname, '', p.proname \
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE n.nspname <> 'pg_catalog'";
    // Overloaded functions share a place.
    let places: HashMap<_, usize> =
        expected.iter().enumerate().map(|(place, object)| (object.key(), place)).collect();
    let mut found = vec![false; expected.len()];
    let note = |row: TextRow| {
        let Some(kind) = ObjectKind::from_name(row.text(0)) else { return };
        for name in names(row.text(2), row.text(3)) {
            if let Some(found) =
                places.get(&(kind, row.text(1), &name)).and_then(|place| found.get_mut(*place))
            {
                *found = true;
            }
        }
    };
    staging.each_row(sql, "list the restored objects", note).await?;
    let is_missing = |object: &&Expected| {
        let place = places.get(&object.key());
        place.and_then(|place| found.get(*place)) != Some(&true)
    };
    Ok(expected.iter().filter(is_missing).map(|object| format!("{} is missing", object.label)).collect())
}

/// How archives name what belongs to a table (`table` is "" for what does not): as `table name`, and those of PostgreSQL
/// 9.x as `name`.
fn names(table: &str, name: &str) -> impl Iterator<Item = String> {
    let with_table = (!table.is_empty()).then(|| format!("{table} {name}"));
    with_table.into_iter().chain([name.to_owned()])
}

/// Indexes and constraints of the archive that are not valid.
async fn invalid(staging: &mut Session, expected: &[Expected]) -> Result<Vec<String>> {
    let mut faults = invalid_constraints(staging, expected).await?;
    faults.extend(invalid_indexes(staging, expected).await?);
    Ok(faults)
}

/// A constraint may be `NOT VALID` in the archive itself. A constraint in the definition of its table or domain can be
/// that, too: it is not in `expected`.
async fn invalid_constraints(staging: &mut Session, expected: &[Expected]) -> Result<Vec<String>> {
    let sql = "\
        SELECT n.nspname, c.relname, k.conname, 'table' FROM pg_catalog.pg_constraint k \
        JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE NOT k.convalidated \
        UNION ALL SELECT n.nspname, t.typname, k.conname, 'domain' FROM pg_catalog.pg_constraint k \
        JOIN pg_catalog.pg_type t ON t.oid = k.contypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
        WHERE NOT k.convalidated";
    let not_validated = staging.rows(sql, "look for constraints that are not valid").await?;
    let mut may_be_invalid: HashMap<(&str, &str), bool> = HashMap::new();
    for object in expected.iter().filter(|object| object.kind == ObjectKind::Constraint) {
        *may_be_invalid.entry((&object.schema, &object.name)).or_default() |= object.may_be_invalid;
    }
    let faulty = |row: &&TextRow| {
        let known: Vec<bool> = names(row.text(1), row.text(2))
            .filter_map(|name| may_be_invalid.get(&(row.text(0), name.as_str())).copied())
            .collect();
        !known.is_empty() && !known.contains(&true)
    };
    let fault = |row: &TextRow| {
        let (schema, of, name, kind) = (row.text(0), row.text(1), row.text(2), row.text(3));
        format!("constraint {name} of {kind} {schema}.{of} is not valid")
    };
    Ok(not_validated.iter().filter(faulty).map(fault).collect())
}

/// Looks at the archive's indexes only: in place, an index of another role can have been invalid before. The index of a
/// partitioned table is invalid as long as a partition does not have its own, and can be so in the archive too.
async fn invalid_indexes(staging: &mut Session, expected: &[Expected]) -> Result<Vec<String>> {
    let sql = "\
        SELECT n.nspname, t.relname, c.relname, i.indexrelid::pg_catalog.regclass FROM pg_catalog.pg_index i \
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'i' AND NOT (i.indisvalid AND i.indisready)";
    let indexes = staging.rows(sql, "look for indexes that are not valid").await?;
    if indexes.is_empty() {
        return Ok(Vec::new());
    }
    let expected: HashSet<_> = expected.iter().map(Expected::key).collect();
    let is_expected = |row: &&TextRow| {
        let (schema, table, index) = (row.text(0), row.text(1), row.text(2));
        // The index of a constraint has the constraint's name.
        expected.contains(&(ObjectKind::Index, schema, index))
            || names(table, index).any(|name| expected.contains(&(ObjectKind::Constraint, schema, &name)))
    };
    let faults = indexes.iter().filter(is_expected);
    Ok(faults.map(|row| format!("index {} is not valid", row.text(3))).collect())
}

/// Whether the session may read a large object: its owner may have lost that right to a REVOKE of the archive.
const IS_READABLE: &str = "\
    CASE WHEN pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on' THEN true \
    WHEN m.lomacl IS NULL THEN pg_catalog.pg_has_role(m.lomowner, 'USAGE') \
    ELSE EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT' \
        AND (a.grantee = 0 OR a.grantee <> 0 AND pg_catalog.pg_has_role(a.grantee, 'USAGE'))) END";

/// Checks that the database holds `count` large objects with `bytes` bytes in all. Of those that the session may not
/// read, the bytes are not known.
pub(crate) async fn large_objects(staging: &mut Session, count: u64, bytes: u64) -> Result<()> {
    let doing = "count the restored large objects";
    let (mut last, mut found, mut length, mut closed) = (0_u64, 0_u64, 0_u64, 0_u64);
    loop {
        // 262144 is INV_READ, 2 is SEEK_END.
        let sql = format!(
            "SELECT max(o.oid), count(*), COALESCE(sum(CASE WHEN o.is_readable \
                 THEN pg_catalog.lo_lseek64(pg_catalog.lo_open(o.oid, 262144), 0, 2) END), 0), \
             count(*) FILTER (WHERE NOT o.is_readable) \
             FROM (SELECT m.oid, {IS_READABLE} AS is_readable FROM pg_catalog.pg_largeobject_metadata m \
                   WHERE m.oid > {last} ORDER BY m.oid LIMIT {LARGE_OBJECTS_AT_ONCE}) o"
        );
        let rows = staging.rows(&sql, doing).await?;
        let Some(row) = rows.first().filter(|row| row.number::<u64>(1) > 0) else { break };
        last = row.number(0);
        found += row.number::<u64>(1);
        length += row.number::<u64>(2);
        closed += row.number::<u64>(3);
    }
    if found == count && (length == bytes || closed > 0 && length < bytes) {
        return Ok(());
    }
    let fault = format!("{found} large objects with {length} bytes instead of {count} with {bytes}");
    Err(RestoreError::Verification(vec![fault]).into())
}

impl Build {
    pub(super) async fn verify(
        &self,
        executor: &mut Executor,
        journal: &mut Journal,
        loaded: &Loaded,
    ) -> Result<()> {
        // The archive may have taken their owner's right to read large objects.
        let session = if self.known.facts.login_is_superuser && !executor.session.is_one_transaction() {
            executor.reader().await?
        } else {
            executor.become_role(self.strongest()).await?;
            &mut executor.session
        };
        let objects = loaded.large_objects;
        // A dump of definitions only makes large objects, and has nothing to fill them with.
        let has_contents = !self.known.plan.large_objects.is_empty();
        let count = if has_contents { objects.objects } else { self.known.plan.large_objects_made };
        large_objects(session, count, objects.bytes).await?;
        if !loaded.leftovers.is_empty() {
            let fault = |(table, count): &(String, u64)| {
                format!("table {table}: {count} instance IDs were left that should have been replaced")
            };
            let faults = loaded.leftovers.iter().map(fault).collect();
            return Err(RestoreError::Verification(faults).into());
        }
        self.verify_instances(executor, journal).await
    }

    /// Reads the table of instances. A superuser sees all rows; from its owner FORCE ROW LEVEL SECURITY would hide
    /// some, so for an owner it is lifted in a transaction that is rolled back.
    async fn instances_in_staging(
        &self,
        executor: &mut Executor,
        profile: &Profile,
    ) -> Result<Vec<Instance>> {
        if self.sessions_are_superusers() {
            executor.become_role(&RunAs::Superuser).await?;
            return instances::instances_of(&mut executor.session, profile).await;
        }
        let doing = "read the restored instances";
        executor.become_role(&RunAs::Owner).await?;
        let forced = self.forced_tables(executor).await?;
        executor.session.begin(doing).await?;
        for table in &forced {
            let lift = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
            executor.session.execute(&lift, doing).await?;
        }
        let found = instances::instances_of(&mut executor.session, profile).await?;
        executor.session.rollback(doing).await?;
        Ok(found)
    }

    /// The instances in staging are the mapped ones' targets and those that needed no mapping.
    async fn verify_instances(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        let (Some(resolution), Some(profile)) = (&self.known.resolution, &self.known.profile) else {
            return Ok(());
        };
        let found = self.instances_in_staging(executor, profile).await?;
        let found: BTreeSet<InstanceId> = found.into_iter().map(|instance| instance.id).collect();
        let wanted: BTreeSet<InstanceId> =
            resolution.instances.iter().map(|instance| instance.target).collect();
        let mut faults: Vec<String> =
            wanted.difference(&found).map(|id| format!("instance {id} is missing")).collect();
        faults.extend(found.difference(&wanted).map(|id| format!("instance {id} should not be there")));
        if !faults.is_empty() {
            return Err(RestoreError::Verification(faults).into());
        }
        let mapped = resolution.instances.iter();
        journal.report.instances = mapped
            .map(|instance| MappedInstance { source: instance.source.clone(), target: instance.target })
            .collect();
        Ok(())
    }
}
