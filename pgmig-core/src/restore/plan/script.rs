//! Writes the SQL that a restore of an archive runs as a script for psql.

use crate::archive::{Archive, Block, DataReader, DumpId, LargeObjectsReader};
use crate::copy::{CopyOptions, CopyStatement, EndMarker, RowSplitter, remove_oids};
use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::plan::facts::{EmptyDatabase, OwnerRights};
use crate::restore::plan::roles::Roles;
use crate::restore::plan::untrusted::Trust;
use crate::restore::plan::{EntrySettings, Facts, Plan, RowForm, RunAs, TableLoad, Task, psql_text};
use crate::sql::{InsertStatement, SqlError, StandardStrings, StatementSplitter, quote_ident, quote_literal};
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use uuid::Uuid;

/// How many bytes are unpacked at a time, and how many bytes of a large object one call of `lowrite` writes.
const PIECE_BYTES: usize = 16 * 1024;

/// Encodings, by the server's names, whose multibyte characters have no ASCII bytes. In other encodings psql may read
/// a part of a character as a backslash or a quote. Another spelling of a name counts as another encoding.
const ASCII_SAFE: [&str; 34] = [
    "SQL_ASCII",
    "UTF8",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1250",
    "WIN1251",
    "WIN1252",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1256",
    "WIN1257",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "KOI8U",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
];

/// The settings of every session of a restore.
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

/// Writes the SQL that restores `archive` with its own instance IDs, for a superuser in an empty database.
///
/// The entries come in the order of a restore, without owners. Entries that a restore leaves out become comments. The
/// script assumes that all its roles and tablespaces exist.
///
/// The function reads the archive once and in the archive's order, so the archive may be a stream.
///
/// To the server, the script of a hostile archive is as dangerous as the archive. psql runs no backslash command of
/// the archive. A psql that does not know `\restrict` stops there, before the archive's first statement.
///
/// # Errors
///
/// - A restore would refuse the archive (a partial archive, for example), or the archive is damaged.
/// - A text is not UTF-8, or psql may read it differently from the server.
/// - Writing to `out` failed.
pub fn script(archive: &mut Archive, out: &mut dyn Write) -> Result<()> {
    check_texts(archive)?;
    let plan = Plan::new(archive, &assumed(archive))?;
    let strings = archive.strings();
    let encoding = archive.encoding().map(ToOwned::to_owned);
    let mut script = Script { out, strings, encoding, settings: EntrySettings::default() };
    // Two random UUIDs: the archive cannot contain the key.
    let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    script.head(&plan, &key)?;
    script.tasks(plan.pre_data.iter().chain(&plan.data_first))?;
    script.data(archive, &plan)?;
    for tasks in [&plan.data_last, &plan.post_data, &plan.privileges, &plan.last, &plan.event_triggers] {
        script.tasks(tasks)?;
    }
    script.line(&format!("\n\\unrestrict {key}"))?;
    Ok(script.out.flush().map_err(RestoreError::Output)?)
}

/// Refuses texts of the table of contents that psql would read differently under another client encoding.
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

/// Facts of a cluster that has everything that the archive names. Its superuser owns everything.
fn assumed(archive: &Archive) -> Facts {
    let tablespaces = archive.entries().iter().filter_map(|entry| entry.tablespace.as_ref()?.to_str().ok());
    Facts {
        server_version: i32::MAX,
        login: "postgres".to_owned(),
        login_is_superuser: true,
        is_superuser: true,
        builds_as_superuser: false,
        owner_owns_public: true,
        owner_is_superuser: true,
        roles: Roles { assumes_all: true, ..Roles::default() },
        tablespaces: tablespaces.map(ToOwned::to_owned).collect(),
        database: EmptyDatabase {
            extensions: BTreeSet::from(["plpgsql".to_owned()]),
            ..EmptyDatabase::default()
        },
        rights: OwnerRights::default(),
        trust: Trust::Full,
        time_zone: None,
    }
}

struct Script<'a> {
    out: &'a mut dyn Write,
    strings: StandardStrings,
    encoding: Option<String>,
    /// The settings that the script set last.
    settings: EntrySettings,
}

impl Script<'_> {
    fn line(&mut self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.out.write_all(bytes).map_err(RestoreError::Output)?)
    }

    /// Writes a statement. Earlier statements may have changed the client encoding, by which psql finds the ends of
    /// characters.
    fn statement(&mut self, sql: &[u8]) -> Result<()> {
        if !sql.is_ascii() {
            self.set_encoding()?;
        }
        self.bytes(sql)?;
        self.bytes(b"\n")
    }

    fn set_encoding(&mut self) -> Result<()> {
        match &self.encoding {
            Some(encoding) => self.line(&format!("SET client_encoding = {};", quote_literal(encoding))),
            None => self.line("RESET client_encoding;"),
        }
    }

    /// Writes a comment on one line, even if the text has several.
    fn comment(&mut self, text: &str) -> Result<()> {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.line(&format!("-- {text}"))
    }

    fn head(&mut self, plan: &Plan, key: &str) -> Result<()> {
        self.comment("What pgmig runs to restore this archive under its own instance IDs. For psql, as a superuser, in an empty database.")?;
        self.comment(
            "psql 13.22, 14.19, 15.14, 16.10, 17.6, or later: an older one stops at the command restrict.",
        )?;
        self.line("\n\\set ON_ERROR_STOP on")?;
        self.line(&format!("\\restrict {key}\n"))?;
        self.bytes(SETTINGS.as_bytes())?;
        self.set_encoding()?;
        let on_off = if self.strings == StandardStrings::On { "on" } else { "off" };
        self.line(&format!("SET standard_conforming_strings = {on_off};"))?;
        plan.notices.iter().try_for_each(|notice| self.comment(&notice.text))
    }

    fn tasks<'t>(&mut self, tasks: impl IntoIterator<Item = &'t Task>) -> Result<()> {
        tasks.into_iter().try_for_each(|task| self.task(task))
    }

    fn task(&mut self, task: &Task) -> Result<()> {
        self.line("")?;
        self.comment(&task.label)?;
        self.set(&task.settings)?;
        for (run_as, sql) in &task.statements {
            let refuse = |reason| RestoreError::Script { entry: task.label.clone(), reason };
            let statements = psql_text::statements(sql, self.strings).map_err(refuse)?;
            if let RunAs::Grantor(role) = run_as {
                self.statement(format!("SET ROLE {};", quote_ident(role)).as_bytes())?;
            }
            statements.iter().try_for_each(|statement| self.statement(statement))?;
            if let RunAs::Grantor(_) = run_as {
                self.line("RESET ROLE;")?;
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
            self.statement(format!("SET default_tablespace = {};", quote_literal(&value)).as_bytes())?;
            self.settings.tablespace = Some(tablespace.to_owned());
        }
        let method = settings.access_method.as_ref();
        if let Some(method) = method.filter(|method| self.settings.access_method.as_ref() != Some(*method)) {
            self.statement(format!("SET default_table_access_method = {};", quote_ident(method)).as_bytes())?;
            self.settings.access_method = Some(method.clone());
        }
        Ok(())
    }

    fn set_schema(&mut self, schema: Option<&str>) -> Result<()> {
        let Some(schema) = schema.filter(|schema| self.settings.schema.as_deref() != Some(*schema)) else {
            return Ok(());
        };
        let after = if schema == "pg_catalog" { "" } else { ", pg_catalog" };
        self.statement(format!("SET search_path = {}{after};", quote_ident(schema)).as_bytes())?;
        self.settings.schema = Some(schema.to_owned());
        Ok(())
    }

    /// Writes all data in the archive's order.
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
                // The plan leaves out the data of these entries.
                (Block::Data(_), None) => {}
            }
        }
        Ok(())
    }

    fn rows(&mut self, table: &TableLoad, copy: &CopyStatement, mut data: DataReader<'_>) -> Result<()> {
        self.line("")?;
        self.comment(&format!("TABLE DATA {}", table.table))?;
        self.statement(format!("{};", copy.to_sql(&copy.table, &CopyOptions::default())).as_bytes())?;
        let broken = |error: crate::copy::CopyError| RestoreError::Data {
            table: table.table.to_string(),
            reason: error.to_string(),
        };
        let entry = format!("TABLE DATA {}", table.table);
        let mut splitter = RowSplitter::new(EndMarker::Required);
        let (mut piece, mut rows) = (Vec::new(), Vec::new());
        while data.read_into(&mut piece, PIECE_BYTES)? > 0 {
            splitter.push(&piece, &mut rows).map_err(broken)?;
            if copy.has_oids {
                remove_oids(&mut rows);
            }
            if let Some(reason) = ends_copy(&rows) {
                return Err(RestoreError::Script { entry, reason: reason.to_owned() }.into());
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
        let refuse = |reason| RestoreError::Script { entry: format!("TABLE DATA {}", table.table), reason };
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
                // Only INSERT statements get into the script.
                let lexed = String::from_utf8_lossy(statement.text);
                InsertStatement::parse(&lexed, self.strings).map_err(broken)?;
                let text = self.insert(statement.text).map_err(refuse)?;
                self.statement(&text)?;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    fn insert(&self, sql: &[u8]) -> Result<Vec<u8>, String> {
        let encoding = self.encoding.as_deref().unwrap_or("SQL_ASCII");
        if !sql.is_ascii() && !ASCII_SAFE.contains(&encoding) {
            return Err(format!(
                "its INSERT statements are in encoding {encoding}, in which a part of a character can be a backslash; \
                 take a backup with pg_dump --encoding=UTF8"
            ));
        }
        psql_text::statement(sql, self.strings)
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

/// The reason why psql would misread these whole rows, if any.
fn ends_copy(rows: &[u8]) -> Option<&'static str> {
    if rows.contains(&0) {
        return Some("its rows hold a zero byte, at which psql cuts a line off");
    }
    let is_line = |at: usize| at.checked_sub(1).is_none_or(|before| rows.get(before) == Some(&b'\n'));
    let is_end = |marker: &[u8]| memchr::memmem::find_iter(rows, marker).any(is_line);
    (is_end(b"\\.\n") || is_end(b"\\.\r\n"))
        .then_some("its rows hold a line that psql takes for the end of the data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_end_the_data_early_are_found() {
        for rows in ["\\.\n", "a\n\\.\r\nb\n", "\\.\r\n", "a\0b\n"] {
            assert!(ends_copy(rows.as_bytes()).is_some(), "{rows:?}");
        }
        for rows in ["", "a\\.\n", "\\\\.\n", "\\.a\n", "a\t\\.\nb\n"] {
            assert_eq!(ends_copy(rows.as_bytes()), None, "{rows:?}");
        }
    }
}
