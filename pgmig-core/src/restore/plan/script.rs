//! The SQL that a restore of an archive runs, as a script for psql.

use crate::archive::{Archive, Block, DataReader, DumpId, LargeObjectsReader};
use crate::copy::{CopyOptions, CopyStatement, EndMarker, RowSplitter, remove_oids};
use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::plan::facts::EmptyDatabase;
use crate::restore::plan::roles::Roles;
use crate::restore::plan::{EntrySettings, Facts, Plan, RowForm, RunAs, TableLoad, Task};
use crate::sql::{
    InsertStatement, Lexer, SqlError, StandardStrings, StatementSplitter, TokenKind, quote_ident,
    quote_literal,
};
use std::collections::{BTreeSet, HashMap};
use std::io::Write;

/// How much is unpacked at a time, and how much of a large object one call of `lowrite` takes.
const PIECE_BYTES: usize = 16 * 1024;

/// As for every session of a restore.
const SETTINGS: &str = "\
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_min_messages = warning;
SET row_security = off;
SET check_function_bodies = off;
SET xmloption = content;
SET default_tablespace = '';
SET search_path = '';
";

/// Writes what a restore of `archive` under its own instance IDs runs, for a superuser in an empty database: the
/// entries in the order of a restore, without owners, and what is left out as a comment. All roles and tablespaces
/// that it names are taken to be there. Reads the archive once, in its own order, so that it may be a stream.
///
/// A script of a hostile archive is as dangerous as the archive; but it holds no commands of psql.
///
/// # Errors
///
/// An archive that a restore would refuse (a partial one, say) or that is damaged; texts that are not UTF-8; whatever
/// `out` says.
pub fn script(archive: &mut Archive, out: &mut dyn Write) -> Result<()> {
    check_texts(archive)?;
    let plan = Plan::new(archive, &assumed(archive))?;
    let strings =
        if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
    let mut script = Script { out, strings, settings: EntrySettings::default() };
    script.head(archive, &plan)?;
    script.tasks(plan.pre_data.iter().chain(&plan.data_first))?;
    script.data(archive, &plan)?;
    for tasks in [&plan.data_last, &plan.post_data, &plan.privileges, &plan.last, &plan.event_triggers] {
        script.tasks(tasks)?;
    }
    Ok(script.out.flush().map_err(RestoreError::Output)?)
}

/// The texts of the table of contents must be what they are in any client encoding.
fn check_texts(archive: &Archive) -> Result<()> {
    let is_utf8 = archive.encoding().is_none_or(|encoding| encoding == "UTF8");
    let is_sound = |text: &[u8]| if is_utf8 { std::str::from_utf8(text).is_ok() } else { text.is_ascii() };
    let odd = |entry: &&crate::archive::Entry| !entry.texts().all(|text| is_sound(text.as_bytes()));
    match archive.entries().iter().find(odd) {
        Some(entry) => Err(RestoreError::Script {
            entry: entry.label().to_string(),
            reason: "it has texts that are not UTF-8, which only a server can convert".to_owned(),
        }
        .into()),
        None => Ok(()),
    }
}

/// A cluster that has all that the archive names, and a superuser who owns everything.
fn assumed(archive: &Archive) -> Facts {
    let tablespaces = archive.entries().iter().filter_map(|entry| entry.tablespace.as_ref()?.to_str().ok());
    Facts {
        server_version: i32::MAX,
        login: "postgres".to_owned(),
        is_superuser: true,
        owner_owns_public: true,
        owner_is_superuser: true,
        roles: Roles { assumes_all: true, ..Roles::default() },
        tablespaces: tablespaces.map(ToOwned::to_owned).collect(),
        database: EmptyDatabase {
            extensions: BTreeSet::from(["plpgsql".to_owned()]),
            ..EmptyDatabase::default()
        },
    }
}

struct Script<'a> {
    out: &'a mut dyn Write,
    strings: StandardStrings,
    /// What was set last.
    settings: EntrySettings,
}

impl Script<'_> {
    fn line(&mut self, text: &str) -> Result<()> {
        Ok(writeln!(self.out, "{text}").map_err(RestoreError::Output)?)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.out.write_all(bytes).map_err(RestoreError::Output)?)
    }

    /// A comment, on one line whatever is in it.
    fn comment(&mut self, text: &str) -> Result<()> {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.line(&format!("-- {text}"))
    }

    fn head(&mut self, archive: &Archive, plan: &Plan) -> Result<()> {
        self.comment("What pgmig runs to restore this archive under its own instance IDs. For psql, as a superuser, in an empty database.")?;
        for notice in &plan.notices {
            self.comment(&notice.text)?;
        }
        self.line("\n\\set ON_ERROR_STOP on")?;
        self.bytes(SETTINGS.as_bytes())?;
        if let Some(encoding) = archive.encoding() {
            self.line(&format!("SET client_encoding = {};", quote_literal(encoding)))?;
        }
        let on_off = if self.strings == StandardStrings::On { "on" } else { "off" };
        self.line(&format!("SET standard_conforming_strings = {on_off};"))
    }

    fn tasks<'t>(&mut self, tasks: impl IntoIterator<Item = &'t Task>) -> Result<()> {
        tasks.into_iter().try_for_each(|task| self.task(task))
    }

    fn task(&mut self, task: &Task) -> Result<()> {
        self.line("")?;
        self.comment(&task.label)?;
        self.set(&task.settings)?;
        for (run_as, sql) in &task.statements {
            self.check(&task.label, sql)?;
            let sql = sql.trim_end();
            let end = if sql.ends_with(';') { "" } else { ";" };
            match run_as {
                RunAs::Grantor(role) => {
                    self.line(&format!("SET ROLE {};\n{sql}{end}\nRESET ROLE;", quote_ident(role)))?;
                }
                RunAs::Owner | RunAs::Superuser => self.line(&format!("{sql}{end}"))?,
            }
        }
        Ok(())
    }

    fn set(&mut self, settings: &EntrySettings) -> Result<()> {
        self.set_schema(settings.schema.as_deref())?;
        let tablespace = settings.tablespace.as_deref();
        let current = self.settings.tablespace.as_deref().unwrap_or_default();
        if let Some(tablespace) = tablespace.filter(|tablespace| *tablespace != current) {
            let value = if tablespace.is_empty() { String::new() } else { quote_ident(tablespace) };
            self.line(&format!("SET default_tablespace = {};", quote_literal(&value)))?;
            self.settings.tablespace = Some(tablespace.to_owned());
        }
        let method = settings.access_method.as_ref();
        if let Some(method) = method.filter(|method| self.settings.access_method.as_ref() != Some(*method)) {
            self.line(&format!("SET default_table_access_method = {};", quote_ident(method)))?;
            self.settings.access_method = Some(method.clone());
        }
        Ok(())
    }

    fn set_schema(&mut self, schema: Option<&str>) -> Result<()> {
        let Some(schema) = schema.filter(|schema| self.settings.schema.as_deref() != Some(*schema)) else {
            return Ok(());
        };
        let after = if schema == "pg_catalog" { "" } else { ", pg_catalog" };
        self.line(&format!("SET search_path = {}{after};", quote_ident(schema)))?;
        self.settings.schema = Some(schema.to_owned());
        Ok(())
    }

    /// psql would take a backslash outside of strings for the beginning of a command of its own.
    fn check(&self, label: &str, sql: &str) -> Result<()> {
        let refuse = |reason: String| RestoreError::Script { entry: label.to_owned(), reason };
        for token in Lexer::new(sql.as_bytes(), self.strings) {
            let token = token.map_err(|error| refuse(error.to_string()))?;
            if token.kind == TokenKind::Symbol(b'\\') {
                return Err(refuse("its SQL holds a command of psql".to_owned()).into());
            }
        }
        Ok(())
    }

    /// All data, in the archive's order.
    fn data(&mut self, archive: &mut Archive, plan: &Plan) -> Result<()> {
        let tables: HashMap<DumpId, &TableLoad> =
            plan.tables.iter().map(|table| (table.dump_id, table)).collect();
        let makes_objects = plan.large_objects_made == 0;
        while let Some((id, block)) = archive.next_block()? {
            match (block, tables.get(&id)) {
                (Block::LargeObjects(objects), _) => self.large_objects(objects, makes_objects)?,
                (Block::Data(data), Some(table)) => match &table.form {
                    RowForm::Copy(copy) => self.rows(table, copy, data)?,
                    RowForm::Inserts { schema } => self.inserts(table, schema.as_deref(), data)?,
                },
                // What the plan leaves out.
                (Block::Data(_), None) => {}
            }
        }
        Ok(())
    }

    fn rows(&mut self, table: &TableLoad, copy: &CopyStatement, mut data: DataReader<'_>) -> Result<()> {
        self.line("")?;
        self.comment(&format!("TABLE DATA {}", table.table))?;
        self.line(&format!("{};", copy.to_sql(&copy.table, &CopyOptions::default())))?;
        let broken = |error: crate::copy::CopyError| RestoreError::Data {
            table: table.table.to_string(),
            reason: error.to_string(),
        };
        let mut splitter = RowSplitter::new(EndMarker::Required);
        let (mut piece, mut rows) = (Vec::new(), Vec::new());
        while data.read_into(&mut piece, PIECE_BYTES)? > 0 {
            splitter.push(&piece, &mut rows).map_err(broken)?;
            if copy.has_oids {
                remove_oids(&mut rows);
            }
            self.bytes(&rows)?;
            piece.clear();
            rows.clear();
        }
        splitter.finish(&mut rows).map_err(broken)?;
        self.line("\\.")
    }

    fn inserts(&mut self, table: &TableLoad, schema: Option<&str>, mut data: DataReader<'_>) -> Result<()> {
        self.line("")?;
        self.comment(&format!("TABLE DATA {}", table.table))?;
        self.set_schema(schema)?;
        let broken = |error: SqlError| RestoreError::Data {
            table: table.table.to_string(),
            reason: error.to_string(),
        };
        let mut splitter = StatementSplitter::new(self.strings);
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let is_end = data.read_into(&mut piece, PIECE_BYTES)? == 0;
            if is_end {
                splitter.end();
            } else {
                splitter.feed(&piece).map_err(broken)?;
            }
            while let Some(statement) = splitter.next_statement().map_err(broken)? {
                // Nothing else than an INSERT gets into the script.
                let lexed = String::from_utf8_lossy(statement.text);
                InsertStatement::parse(&lexed, self.strings).map_err(broken)?;
                self.bytes(statement.text)?;
                self.bytes(b"\n")?;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    fn large_objects(&mut self, mut objects: LargeObjectsReader<'_>, makes_them: bool) -> Result<()> {
        /// `INV_WRITE` of `libpq-fs.h`.
        const WRITE: u32 = 0x20000;
        self.line("\n-- LARGE OBJECTS\nBEGIN;")?;
        let mut piece = Vec::new();
        while let Some(oid) = objects.next_object()? {
            if makes_them {
                self.line(&format!("SELECT pg_catalog.lo_create('{oid}');"))?;
            }
            self.line(&format!("SELECT pg_catalog.lo_open('{oid}', {WRITE});"))?;
            while objects.read_into(&mut piece, PIECE_BYTES)? > 0 {
                let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
                self.line(&format!("SELECT pg_catalog.lowrite(0, E'\\\\x{hex}');"))?;
                piece.clear();
            }
            self.line("SELECT pg_catalog.lo_close(0);")?;
        }
        self.line("COMMIT;")
    }
}
