//! Prints the plan of a restore for people.

use super::{Text, bytes, count, difference_table, duration, instances, label, len, notices, plural, totals};
use crate::commands::dry_run::DryRun;
use crate::commands::mapping::Provisioned;
use crate::table::{Align, Table};
use pgmig_core::archive::Compression;
use pgmig_core::instance::Instance;
use pgmig_core::progress::Severity;
use pgmig_core::restore::{
    OnlyInTarget, PlannedArchive, PlannedInstance, PlannedMigration, PlannedObjects, PlannedResume,
    PlannedSchema, PlannedTarget, RestorePass, RestorePlan, Strategy, TableDifference, WayBack, WhyThatId,
};
use std::fmt::Write as _;

/// The plan.
pub(crate) fn plan(dry_run: &DryRun) -> Text {
    let plan = &dry_run.plan;
    let took = duration(plan.took);
    let mut text = Text::of(format!("Dry run, in {took}: what a restore would do. Nothing was changed."));
    if let Some(file) = &dry_run.mapping_file {
        text.line(format!("The mapping that was entered is in {file}."));
    }
    facts(&mut text, "Archive", &archive(&plan.archive));
    facts(&mut text, "Target", &target(&plan.target));
    facts(&mut text, "Strategy", &strategy(plan));
    text.section("Instances", &planned_instances(plan.instances.as_deref().unwrap_or_default()));
    if let Some(listed) = &dry_run.provisioned {
        provisioned(&mut text, listed);
    }
    erased(&mut text, plan);
    schema(&mut text, &plan.schema);
    text.section("Tables", &tables(plan));
    large_objects(&mut text, plan);
    text.section("Objects", &objects(&plan.objects));
    text.section("Left out", &left_out(plan));
    text.list("In the target, not in the archive", only_in_target(&plan.only_in_target));
    text.list("Other sessions on the target", plan.sessions.iter().map(ToString::to_string));
    text.list("Left over from earlier runs, removed", &plan.leftovers);
    text.list("Warnings", notices(&plan.notices, Severity::Warning));
    text.list("Notices", notices(&plan.notices, Severity::Notice));
    text.list("Not known beforehand", &plan.unknown);
    text
}

/// A title, then a line for each fact.
fn facts(text: &mut Text, title: &str, facts: &[(&str, String)]) {
    text.list(title, facts.iter().map(|(name, value)| format!("{name:<8}  {value}")));
}

fn archive(archive: &PlannedArchive) -> Vec<(&'static str, String)> {
    let mut file = match &archive.file {
        Some(file) => file.display().to_string(),
        None => "standard input".to_owned(),
    };
    if let Some(size) = archive.bytes {
        let _ = write!(file, ", {}", bytes(size));
    }
    let _ = write!(file, ", {} format", archive.format);
    if let Some(version) = archive.container_version {
        let _ = write!(file, " {version}");
    }
    if let Some(compression) = archive.compression {
        let _ = write!(file, ", compression {compression}");
    }
    if let Some(compression) = archive.file_compression.filter(|wrapper| *wrapper != Compression::None) {
        let _ = write!(file, ", in a {compression} file");
    }
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let created = archive.created.map_or_else(|| "at an unknown time".to_owned(), |time| time.to_string());
    let made = format!("{created}, by pg_dump {}", known(&archive.pg_dump_version));
    let of = format!(
        "database {:?}, PostgreSQL {}, encoding {}",
        known(&archive.database),
        known(&archive.server_version),
        known(&archive.encoding)
    );
    vec![("file", file), ("made", made), ("of", of)]
}

fn target(target: &PlannedTarget) -> Vec<(&'static str, String)> {
    let tls = target.tls.as_deref().unwrap_or("no TLS");
    let superuser = if target.su_is_superuser { " (superuser)" } else { "" };
    vec![
        ("server", format!("{}, PostgreSQL {}, {tls}", target.server, target.server_version)),
        ("database", format!("{:?}, owner {}", target.database, target.database_owner)),
        (
            "roles",
            format!("connects as {}{superuser}, objects belong to {}", target.su_username, target.username),
        ),
    ]
}

fn strategy(plan: &RestorePlan) -> Vec<(&'static str, String)> {
    let name = match plan.strategy {
        Strategy::Swap => {
            "swap: a new database is built beside the target, then both are renamed in one transaction"
        }
        Strategy::InPlace => "in-place: the target is emptied and filled anew, in one transaction",
        _ => "other",
    };
    let jobs = u64::try_from(plan.jobs.get()).unwrap_or(u64::MAX);
    let mut facts = vec![("how", name.to_owned()), ("because", plan.strategy_reason.clone())];
    if let Some(staging) = &plan.target.staging_database {
        facts.push(("beside", format!("{staging:?}, until the swap")));
    }
    facts.push(("with", format!("up to {} at a time", plural(jobs, "connection"))));
    if plan.strategy == Strategy::Swap {
        let kept = if plan.keep_previous { "kept" } else { "dropped" };
        facts.push(("then", format!("the replaced database is {kept}")));
    }
    facts.extend(plan.resume.as_ref().map(|resume| ("resume", resumed(resume))));
    facts.push(("way back", way_back(plan)));
    facts
}

fn way_back(plan: &RestorePlan) -> String {
    match &plan.way_back {
        WayBack::PreviousDatabase => "the previous database (pgmig previous rollback)".to_owned(),
        WayBack::Backup { directory } => {
            format!("a backup of the target, taken first, in {}", directory.display())
        }
        WayBack::NotNeeded => "not needed: the target holds no data".to_owned(),
        _ if plan.strategy == Strategy::Swap => {
            "none: --keep-previous keeps the previous database, --backup-first DIR takes a backup first"
                .to_owned()
        }
        _ => "none: --backup-first DIR takes a backup of the target first".to_owned(),
    }
}

fn resumed(resume: &PlannedResume) -> String {
    match &resume.work {
        _ if !resume.differences.is_empty() => {
            format!("refused: the interrupted restore is another one ({})", resume.differences.join("; "))
        }
        None => "there is nothing to go on with: the restore begins anew".to_owned(),
        Some(work) if work.is_built => "everything is there, and only the swap is left".to_owned(),
        Some(work) => {
            let objects = u64::try_from(work.entries).unwrap_or(u64::MAX);
            format!("{} and {} are there already", plural(objects, "object"), plural(work.rows, "row"))
        }
    }
}

fn planned_instances(instances: &[PlannedInstance]) -> Table {
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("target", Align::Left),
        ("because", Align::Left),
        ("region", Align::Left),
        ("name", Align::Left),
    ]);
    for instance in instances {
        let Instance { id, region, .. } = &instance.source;
        let same = *id == instance.target;
        let target = if same { "the same".to_owned() } else { instance.target.to_string() };
        let because = match instance.because {
            WhyThatId::Mapped => "mapped",
            WhyThatId::KeepIds => "--keep-ids",
            WhyThatId::Deleted => "deleted",
            WhyThatId::System => "system",
            _ => "other",
        };
        let region = region.clone().unwrap_or_default();
        table.row([id.to_string(), target, because.to_owned(), region, label(&instance.source)]);
    }
    table
}

fn provisioned(text: &mut Text, provisioned: &Provisioned) {
    let Provisioned { url, instances, unused } = provisioned;
    let how_many = plural(u64::try_from(*instances).unwrap_or(u64::MAX), "instance");
    text.title("Provisioned");
    text.line(format!("  {how_many} by {url}, of which {} get no data from the backup", count(len(unused))));
    let mut table = Table::new(&[("gets no data", Align::Left), ("name", Align::Left)]);
    for candidate in unused {
        table.row([candidate.id.to_string(), candidate.name.clone().unwrap_or_default()]);
    }
    if !table.is_empty() {
        text.table(&table);
    }
}

fn erased(text: &mut Text, plan: &RestorePlan) {
    text.title("Erased from the target");
    if plan.erased.is_empty() {
        text.line("  nothing: it holds no rows and no large objects");
        if plan.needs_confirmation {
            text.line("  It is one of PostgreSQL's own databases: a restore needs --force, or its name typed at a terminal.");
        }
        return;
    }
    text.line(format!("  {}", totals(&plan.erased)));
    text.append(&instances(&plan.erased.instances));
    if plan.needs_confirmation {
        text.line("  A restore needs --force for that, or the database's name typed at a terminal.");
    }
}

fn schema(text: &mut Text, schema: &PlannedSchema) {
    text.title("Schema");
    let none = &Vec::new();
    let (line, migrations) = match schema {
        PlannedSchema::Migrate { to, migrations, .. } if migrations.is_empty() => {
            (format!("stays at {to}"), migrations)
        }
        PlannedSchema::Migrate { from, to, migrations } => {
            let from = from.map(|from| format!("from {from} ")).unwrap_or_default();
            (format!("{from}to {to}, by {}", plural(len(migrations), "migration")), migrations)
        }
        PlannedSchema::Target { differences } => return target_schema(text, differences),
        PlannedSchema::AsItIs { reason } => (format!("as it is, not upgraded: {reason}"), none),
        PlannedSchema::Later { to: Some(to) } => (format!("upgraded to {to}"), none),
        _ => ("upgraded".to_owned(), none),
    };
    text.line(format!("  {line}"));
    if !migrations.is_empty() {
        text.table(&migration_table(migrations));
    }
}

/// The differences between the archive's tables and the target's own schema.
fn target_schema(text: &mut Text, differences: &[TableDifference]) {
    let table = difference_table(differences);
    let how = "the target's own; rows are loaded by the names of tables and columns";
    if table.is_empty() {
        text.line(format!("  {how}, which are the same"));
    } else {
        text.line(format!("  {how}"));
        text.table(&table);
    }
}

fn migration_table(migrations: &[PlannedMigration]) -> Table {
    let mut table =
        Table::new(&[("version", Align::Right), ("release", Align::Left), ("migration", Align::Left)]);
    for migration in migrations {
        let release = migration.release.map(|release| release.to_string()).unwrap_or_default();
        table.row([migration.version.to_string(), release, migration.description.clone()]);
    }
    table
}

fn tables(plan: &RestorePlan) -> Table {
    let mut table = Table::new(&[("in the archive", Align::Right), ("table", Align::Left)]);
    for planned in &plan.tables {
        table.row([size(planned.archive_bytes), planned.table.clone()]);
    }
    table
}

fn large_objects(text: &mut Text, plan: &RestorePlan) {
    let how_many = match plan.large_objects.count {
        Some(0) => return,
        Some(number) => plural(number, "large object"),
        None => "how many is not known beforehand".to_owned(),
    };
    let size = plan.large_objects.archive_bytes;
    let size = size.map(|size| format!("; {} in the archive", bytes(size))).unwrap_or_default();
    text.title("Large objects");
    text.line(format!("  {how_many}{size}"));
}

fn objects(objects: &[PlannedObjects]) -> Table {
    let mut table = Table::new(&[("pass", Align::Left), ("objects", Align::Right), ("kind", Align::Left)]);
    for counted in objects {
        let pass = match counted.pass {
            RestorePass::PreData => "pre-data",
            RestorePass::Data => "data",
            RestorePass::PostData => "post-data",
            RestorePass::Privileges => "privileges",
            RestorePass::Last => "last",
            _ => "other",
        };
        table.row([pass.to_owned(), count(counted.count), counted.kind.clone()]);
    }
    table
}

fn left_out(plan: &RestorePlan) -> Table {
    let mut table = Table::new(&[("entry", Align::Left), ("because", Align::Left)]);
    for left_out in &plan.left_out {
        table.row([left_out.entry.clone(), left_out.reason.clone()]);
    }
    table
}

fn only_in_target(only: &OnlyInTarget) -> impl Iterator<Item = String> + '_ {
    let extensions =
        only.extensions.iter().map(|name| format!("extension {name:?}, created again if rights allow"));
    let publications = only.publications.iter().map(|name| format!("publication {name:?}, lost"));
    extensions.chain(publications)
}

fn size(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), bytes)
}
