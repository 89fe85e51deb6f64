//! Compares the rows that the tables have with the rows that were sent ([`Verify::Full`]), after all rows are loaded and
//! before anything else changes them.
//!
//! The readers of the archive have computed a digest of the rows of each entry. The server computes that of each table, by a
//! query with functions of the system only, as the table's owner.

use crate::archive::{Archive, DumpId};
use crate::digest::{self, Column, Columns, Digest};
use crate::error::Result;
use crate::progress::{Event, NoticeCode};
use crate::restore::build::Build;
use crate::restore::build::data::Roots;
use crate::restore::build::recording::note;
use crate::restore::catalogs::column_types::{ColumnType, Origin, TableTypes};
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::load::loaded::Loaded;
use crate::restore::load::sessions::Sessions;
use crate::restore::options::Verify;
use crate::restore::plan::{RowForm, RunAs, TableLoad};
use crate::restore::record::{self, Unit};
use crate::restore::report::restored::{NotCompared, RowComparison, TableReport};
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_literal};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How many tables a notice names.
const TABLES_NAMED: usize = 5;

/// Settings under which values have the texts that pg_dump writes.
const SETTINGS: &str = "SET LOCAL search_path = ''; SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres; \
    SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex; SET LOCAL TimeZone = 'UTC'";

/// What there is to compare.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    types: Arc<TableTypes>,
    /// By entry of the archive.
    loads: HashMap<DumpId, Compared>,
    /// Tables whose rows are not compared, with the reason.
    skipped: Vec<(DumpId, String, &'static str)>,
    /// The major version of the server that wrote the archive.
    server: Option<u32>,
    is_converted: bool,
}

/// The rows of an entry.
#[derive(Debug)]
struct Compared {
    /// The table that they go to.
    table: QualifiedName,
    columns: Arc<Columns>,
    is_targets: bool,
}

/// Everything that went into one table, or into a partitioned table and its partitions.
#[derive(Debug)]
struct Group {
    table: QualifiedName,
    columns: Arc<Columns>,
    sent: Digest,
    bytes: u64,
    is_targets: bool,
    /// The columns in which IDs were replaced.
    rewritten: HashSet<String>,
    /// The reason why it cannot be compared.
    skipped: Option<&'static str>,
}

/// The unit of the comparison.
const COMPARED: Unit<'static> = Unit::Step("compared");

/// What came of a comparison.
#[derive(Debug, Default)]
struct Verdict {
    faults: Vec<String>,
    report: RowComparison,
}

impl Comparison {
    /// The columns of the rows of each entry.
    pub(crate) fn columns(&self) -> HashMap<DumpId, Arc<Columns>> {
        self.loads.iter().map(|(id, load)| (*id, Arc::clone(&load.columns))).collect()
    }

    /// The columns of an entry's rows, in their order, by their types in the table that they go to.
    fn compared(
        &self,
        load: &TableLoad,
        roots: &Roots,
        encoding: Option<&str>,
    ) -> std::result::Result<Compared, &'static str> {
        let RowForm::Copy(copy) = &load.form else { return Err("its rows are INSERT statements") };
        if load.temp_table().is_some() {
            return Err("its rows are converted for the target's columns");
        }
        if load.alone {
            return Err("it belongs to an extension, which can have rows of its own");
        }
        let table = match &load.into {
            Some(into) => &into.table,
            None => roots.get(&copy.table).unwrap_or(&copy.table),
        };
        let known = self.types.tables.get(table).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&String> = match (&load.into, &copy.columns) {
            (Some(into), Some(_)) => into.columns.iter().collect(),
            (_, Some(columns)) => columns.iter().collect(),
            (_, None) => known.iter().map(|known| &known.column).collect(),
        };
        let column = |name: &&String| {
            let known = known.iter().find(|known| known.column == **name)?;
            Some(Column { name: (*name).clone(), form: known.form })
        };
        let columns: Option<Vec<Column>> = names.iter().map(column).collect();
        let columns = columns.ok_or("the server does not list all of its columns")?;
        let columns = Arc::new(Columns::new(columns, encoding.map(str::to_owned)));
        Ok(Compared { table: table.clone(), columns, is_targets: load.into.is_some() })
    }

    /// The loaded entries by the table that holds their rows now.
    fn groups(&self, loaded: &Loaded, tables: &[TableLoad]) -> Vec<Group> {
        let destinations: HashSet<&QualifiedName> = self.loads.values().map(|load| &load.table).collect();
        let mut leaves: HashMap<&QualifiedName, usize> = HashMap::new();
        for above in self.types.ancestors.values().flatten() {
            *leaves.entry(above).or_default() += 1;
        }
        let names: HashMap<DumpId, String> =
            tables.iter().map(|table| (table.dump_id, table.table.to_string())).collect();
        let reports: HashMap<&str, &TableReport> =
            loaded.tables.iter().map(|report| (report.table.as_str(), report)).collect();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for (id, sent) in &loaded.digests {
            let Some(load) = self.loads.get(id) else { continue };
            let ancestors = self.types.ancestors.get(&load.table).into_iter().flatten();
            // The root has the most partitions.
            let above = ancestors.filter(|table| destinations.contains(table));
            let above = above.max_by_key(|table| leaves.get(table).copied().unwrap_or_default());
            let table = above.unwrap_or(&load.table);
            let group = groups.entry(table.to_string()).or_insert_with(|| Group {
                table: table.clone(),
                columns: Arc::clone(&load.columns),
                sent: Digest::of_no_rows(&load.columns),
                bytes: 0,
                is_targets: load.is_targets,
                rewritten: HashSet::new(),
                skipped: None,
            });
            if !group.columns.names().eq(load.columns.names()) {
                group.skipped = Some("its partitions have rows with different columns");
            }
            group.sent.add(sent);
            if let Some(report) = names.get(id).and_then(|name| reports.get(name.as_str())) {
                group.bytes += report.bytes;
                group.rewritten.extend(report.replacements.iter().map(|replaced| replaced.column.clone()));
            }
        }
        groups.into_values().collect()
    }

    /// Judges one table.
    fn judge(&self, group: &Group, found: &Digest, verdict: &mut Verdict) {
        let table = &group.table;
        if found.rows != group.sent.rows {
            let (found, sent) = (found.rows, group.sent.rows);
            verdict.faults.push(format!("table {table} has {found} rows, and {sent} were sent"));
            return;
        }
        let known = self.types.tables.get(table).map(Vec::as_slice).unwrap_or_default();
        let sums = group.sent.columns.iter().zip(&found.columns).zip(&group.sent.unread);
        let (mut doubted, mut is_wrong) = (BTreeMap::<&str, Vec<String>>::new(), false);
        for (name, ((sent, found), unread)) in group.columns.names().zip(sums) {
            if sent == found {
                continue;
            }
            let of = known.iter().find(|known| known.column == name);
            let doubt = match of {
                _ if *unread => Some("pgmig cannot read one of its values"),
                Some(of) => of.doubt(self.origin(group, of)),
                None => None,
            };
            match doubt {
                Some(reason) => doubted.entry(reason).or_default().push(name.to_owned()),
                None => {
                    is_wrong = true;
                    verdict.faults.push(format!(
                        "table {table}: values of column {name} are not those that were sent; does a trigger or another \
                         session change them?"
                    ));
                }
            }
        }
        if !is_wrong && doubted.is_empty() && found.whole != group.sent.whole {
            verdict.faults.push(format!(
                "table {table}: values of some rows are in other rows than those that were sent"
            ));
            return;
        }
        if !doubted.is_empty() {
            verdict.skip(table.to_string(), "whole rows can be compared only where every column can");
        }
        verdict.report.tables += 1;
        verdict.report.rows += found.rows;
        verdict.report.not_compared.extend(doubted.into_iter().map(|(reason, columns)| NotCompared {
            table: table.to_string(),
            columns,
            reason: reason.to_owned(),
        }));
    }

    fn origin(&self, group: &Group, column: &ColumnType) -> Origin {
        // In the target's own schema a column may have another name than in the archive.
        let is_rewritten =
            group.rewritten.contains(&column.column) || group.is_targets && !group.rewritten.is_empty();
        Origin {
            server: self.server,
            is_rewritten,
            is_targets: group.is_targets,
            is_converted: self.is_converted,
        }
    }
}

/// What is known of the archive.
pub(crate) struct ComparedArchive {
    encoding: String,
    /// The major version of the server that wrote it.
    server: Option<u32>,
}

impl ComparedArchive {
    pub(crate) fn of(archive: &Archive) -> Self {
        let version = archive.header().server_version.as_ref().and_then(|version| version.to_str().ok());
        let digits = version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next());
        Self {
            encoding: archive.encoding().unwrap_or("UTF8").to_owned(),
            server: digits.and_then(|digits| digits.parse().ok()),
        }
    }
}

impl Build {
    /// What there is to compare; `None` if rows are only counted. `known` is an earlier comparison of the same database.
    pub(crate) async fn comparison(
        &self,
        archive: &ComparedArchive,
        session: &mut Session,
        roots: &Roots,
        known: Option<&Comparison>,
    ) -> Result<Option<Comparison>> {
        if self.options.verify != Verify::Full {
            return Ok(None);
        }
        let types = match known {
            Some(known) => Arc::clone(&known.types),
            None => Arc::new(TableTypes::read(session).await?),
        };
        let encoding = archive.encoding.as_str();
        let literal = quote_literal(encoding);
        let doing = "read the server's encoding";
        // A server in SQL_ASCII, and rows in it, are not converted.
        let sql = format!(
            "SELECT 0 OPERATOR(pg_catalog.=) ANY (ARRAY[e, s, e OPERATOR(pg_catalog.-) s]) FROM (SELECT \
             pg_catalog.pg_char_to_encoding({literal}) AS e, pg_catalog.pg_char_to_encoding(\
             pg_catalog.current_setting('server_encoding')::pg_catalog.name) AS s) encodings"
        );
        let is_converted = session.value(&sql, doing).await? != "t";
        let mut comparison =
            Comparison { types, server: archive.server, is_converted, ..Comparison::default() };
        for load in self.known.plan.tables.iter() {
            match comparison.compared(load, roots, is_converted.then_some(encoding)) {
                Ok(compared) => drop(comparison.loads.insert(load.dump_id, compared)),
                Err(reason) => comparison.skipped.push((load.dump_id, load.table.to_string(), reason)),
            }
        }
        Ok(Some(comparison))
    }

    /// Compares the rows of all tables, over all sessions.
    ///
    /// # Errors
    ///
    /// A table has other rows than those that were sent, or the server cannot be reached.
    pub(super) async fn compare_rows(
        &self,
        sessions: &mut Sessions,
        loaded: &Loaded,
        comparison: Option<Comparison>,
        journal: &mut Journal,
    ) -> Result<()> {
        let Some(comparison) = &comparison else { return Ok(()) };
        // Migrations may have changed the rows since then.
        if let Some(body) = sessions.lead.record.body(COMPARED) {
            journal.report.row_comparison = serde_json::from_str(body).ok();
            journal.notice(NoticeCode::RowsCompared, "the interrupted run has compared the rows".to_owned());
            return Ok(());
        }
        if !hashes_alike(&mut sessions.lead.session).await? {
            journal.warn(NoticeCode::RowsNotCompared,
                "rows were not compared: the server hashes in another way than PostgreSQL on little-endian machines"
                    .to_owned(),
            );
            return Ok(());
        }
        let mut groups = comparison.groups(loaded, &self.known.plan.tables);
        groups.sort_by_key(|group| group.bytes);
        let total = groups.len();
        let forced: HashSet<String> = self.forced_tables(&mut sessions.lead).await?.into_iter().collect();
        let (queue, found) = (Mutex::new(groups), Mutex::new(Vec::new()));
        let progress = &journal.progress;
        let work = sessions.all().into_iter().map(|executor| async {
            loop {
                let (next, left) = {
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    (queue.pop(), queue.len())
                };
                let Some(group) = next else { return Ok::<(), crate::Error>(()) };
                let entry = format!("compare the rows of table {}", group.table);
                progress.event(&Event::EntryBegan { entry: &entry, number: total - left, total });
                let digest = self.digest_of(executor, comparison, &group, &forced, &entry).await?;
                found.lock().unwrap_or_else(PoisonError::into_inner).push((group, digest));
            }
        });
        try_join_all(work).await?;
        let mut verdict = Verdict::default();
        for (group, digest) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            match digest {
                Ok(digest) => comparison.judge(&group, &digest, &mut verdict),
                Err(reason) => verdict.skip(group.table.to_string(), reason),
            }
        }
        for (_, table, reason) in &comparison.skipped {
            verdict.skip(table.clone(), reason);
        }
        verdict.tell(journal)?;
        let body = record::json(&journal.report.row_comparison);
        note(&mut sessions.lead, COMPARED, body).await
    }

    /// The digest of a table, or the reason why there is none.
    async fn digest_of(
        &self,
        executor: &mut Executor,
        comparison: &Comparison,
        group: &Group,
        forced: &HashSet<String>,
        doing: &str,
    ) -> Result<std::result::Result<Digest, &'static str>> {
        if let Some(reason) = group.skipped {
            return Ok(Err(reason));
        }
        executor.become_role(&RunAs::Owner).await?;
        let session = &mut executor.session;
        session.begin(doing).await?;
        let table = group.table.to_string();
        let is_partitioned = comparison.types.partitioned.contains(&group.table);
        let sql = group.columns.query(&group.table, is_partitioned);
        let rows = async {
            if forced.contains(&table) {
                // Its policies would hide rows from their owner. The transaction is rolled back.
                let lift = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
                session.execute(&lift, doing).await?;
            }
            session.execute(SETTINGS, doing).await?;
            session.rows(&sql, doing).await
        };
        let rows = match rows.await {
            Err(error) if !error.is_answer() => return Err(error.into()),
            answer => answer,
        };
        session.rollback(doing).await?;
        let rows = match rows {
            Err(error) if error.sqlstate() == Some("42501") => return Ok(Err("username may not read it")),
            answer => answer.map_err(TargetError::without_message)?,
        };
        let row = rows.first().ok_or_else(lost)?;
        let count = group.sent.columns.len();
        Ok(Ok(Digest {
            rows: row.number(0),
            columns: (1..=count).map(|place| row.number(place)).collect(),
            whole: row.number(count + 1),
            unread: vec![false; count],
        }))
    }
}

/// An aggregate always has a row.
fn lost() -> crate::Error {
    RestoreError::Internal("the server did not answer a comparison".to_owned()).into()
}

/// Whether the server computes the hashes that this program computes.
async fn hashes_alike(session: &mut Session) -> Result<bool> {
    let (text, hash) = digest::probe();
    let sql =
        format!("SELECT pg_catalog.hashtextextended({} COLLATE pg_catalog.\"C\", 0)", quote_literal(text));
    Ok(session.value(&sql, "compare hashes").await? == hash.to_string())
}

impl Verdict {
    fn skip(&mut self, table: String, reason: &str) {
        let (columns, reason) = (Vec::new(), reason.to_owned());
        self.report.not_compared.push(NotCompared { table, columns, reason });
    }

    fn tell(mut self, journal: &mut Journal) -> Result<()> {
        if !self.faults.is_empty() {
            self.faults.sort();
            return Err(RestoreError::Verification(self.faults).into());
        }
        self.report.not_compared.sort_by(|one, other| one.table.cmp(&other.table));
        let (tables, rows) = (self.report.tables, self.report.rows);
        journal.notice(
            NoticeCode::RowsCompared,
            format!(
                "{rows} rows of {tables} tables were compared with the rows that were sent, and are equal"
            ),
        );
        let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for not in &self.report.not_compared {
            let place = match not.columns.as_slice() {
                [] => format!("table {}", not.table),
                columns => format!("{} of table {}", columns.join(", "), not.table),
            };
            by_reason.entry(&not.reason).or_default().push(place);
        }
        for (reason, mut places) in by_reason {
            if places.len() > TABLES_NAMED {
                let more = places.len() - TABLES_NAMED;
                places.truncate(TABLES_NAMED);
                places.push(format!("{more} more"));
            }
            journal.notice(
                NoticeCode::RowsNotCompared,
                format!("not compared, because {reason}: {}", places.join("; ")),
            );
        }
        journal.report.row_comparison = Some(self.report);
        Ok(())
    }
}
