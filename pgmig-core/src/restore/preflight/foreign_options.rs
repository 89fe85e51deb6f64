//! Finds options of foreign tables, servers and user mappings that only a superuser may set. Each foreign-data wrapper has
//! its own: its validator is asked, in the target.

use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::restore::plan::entry::sql;
use crate::restore::plan::words::{name_after, outside_parentheses};
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{Parser, StandardStrings, quote_literal};
use std::collections::{BTreeMap, HashMap};

const DOING: &str = "ask a foreign-data wrapper which options username may set";

/// SQLSTATE of a refusal for lack of a right.
const NO_RIGHT: &str = "42501";

/// Asks the validators of the target's wrappers about every entry with options, as `username`. Returns the entries that they
/// refuse for lack of a right, each with the server's reason.
///
/// Only validators that are a superuser's functions in C are called: they are code of an extension.
pub(crate) async fn ask(
    session: &mut Session,
    archive: &Archive,
    username: &str,
) -> Result<BTreeMap<DumpId, String>, TargetError> {
    let strings = archive.strings();
    let mut refused = BTreeMap::new();
    let asked: Vec<(DumpId, Question)> = archive
        .entries()
        .iter()
        .filter_map(|entry| Some((entry.dump_id, Question::of(entry, strings)?)))
        .collect();
    if asked.is_empty() {
        return Ok(refused);
    }
    let validators = validators(session).await?;
    let mut wrappers = servers(session).await?;
    wrappers.extend(archive.entries().iter().filter_map(|entry| server(entry, strings)));
    session.become_role(Some(username)).await?;
    for (id, question) in asked {
        let wrapper = question.wrapper.as_ref().or_else(|| wrappers.get(question.server.as_ref()?));
        let Some(validator) = wrapper.and_then(|wrapper| validators.get(wrapper)) else { continue };
        match session.optional(&question.sql(validator), DOING).await {
            Err(TargetError::Server(error)) if error.sqlstate.as_deref() == Some(NO_RIGHT) => {
                refused.insert(id, error.message);
            }
            Err(error) if !error.is_lasting() => return Err(error),
            // Another error is the server's answer to the statement itself, whoever runs it.
            _ => {}
        }
    }
    session.become_role(None).await?;
    Ok(refused)
}

/// The options of an entry.
struct Question {
    /// The catalog of the objects that have these options.
    catalog: &'static str,
    wrapper: Option<String>,
    server: Option<String>,
    /// Each as `name=value`.
    options: Vec<String>,
}

impl Question {
    fn of(entry: &Entry, strings: StandardStrings) -> Option<Self> {
        let sql = sql(entry)?;
        let catalog = match entry.kind {
            EntryKind::ForeignTable => "pg_foreign_table",
            EntryKind::Server => "pg_foreign_server",
            EntryKind::UserMapping => "pg_user_mapping",
            _ => return None,
        };
        let options = options(sql, strings);
        let wrapper = name_after(sql, strings, &["foreign", "data", "wrapper"]);
        let server = name_after(sql, strings, &["server"]);
        (!options.is_empty()).then_some(Self { catalog, wrapper, server, options })
    }

    /// A call of the validator.
    fn sql(&self, validator: &str) -> String {
        let options: Vec<String> = self.options.iter().map(|option| quote_literal(option)).collect();
        format!(
            "SELECT {validator}(ARRAY[{}]::pg_catalog.text[], 'pg_catalog.{}'::pg_catalog.regclass)::pg_catalog.text",
            options.join(", "),
            self.catalog
        )
    }
}

/// The options of a statement's object, without those of columns.
fn options(sql: &str, strings: StandardStrings) -> Vec<String> {
    let tokens = outside_parentheses(sql, strings);
    let words = tokens.iter().filter(|token| token.is_word(sql.as_bytes(), "options"));
    let mut lists = words.filter_map(|word| list(sql.get(word.span.end..)?, strings));
    lists.next().unwrap_or_default()
}

/// A list of options in parentheses.
fn list(sql: &str, strings: StandardStrings) -> Option<Vec<String>> {
    let mut parser = Parser::new(sql, "OPTIONS", strings);
    let mut options = Vec::new();
    if !parser.eat_symbol(b'(') {
        return None;
    }
    loop {
        let name = parser.ident().ok()?;
        let value = parser.next()?;
        options.push(format!("{name}={}", parser.string(&value)?));
        if !parser.eat_symbol(b',') {
            return Some(options);
        }
    }
}

/// A foreign server of the archive, and its wrapper.
fn server(entry: &Entry, strings: StandardStrings) -> Option<(String, String)> {
    let sql = sql(entry).filter(|_| entry.kind == EntryKind::Server)?;
    Some((entry.name().to_owned(), name_after(sql, strings, &["foreign", "data", "wrapper"])?))
}

/// The foreign servers of the target, and their wrappers.
async fn servers(session: &mut Session) -> Result<HashMap<String, String>, TargetError> {
    let sql = "SELECT s.srvname, w.fdwname FROM pg_catalog.pg_foreign_server s \
               JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw";
    let rows = session.rows(sql, DOING).await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned())).collect())
}

/// The wrappers of the target with the names of their validators, as SQL.
async fn validators(session: &mut Session) -> Result<HashMap<String, String>, TargetError> {
    let sql = "SELECT w.fdwname, pg_catalog.format('%I.%I', n.nspname, p.proname) \
               FROM pg_catalog.pg_foreign_data_wrapper w JOIN pg_catalog.pg_proc p ON p.oid = w.fdwvalidator \
               JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
               JOIN pg_catalog.pg_language l ON l.oid = p.prolang JOIN pg_catalog.pg_roles r ON r.oid = p.proowner \
               WHERE l.lanname = 'c' AND r.rolsuper";
    let rows = session.rows(sql, DOING).await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_an_object_are_read() {
        let read = |sql| options(sql, StandardStrings::On);
        assert_eq!(
            read(
                "CREATE FOREIGN TABLE public.f (\n    a integer OPTIONS (column_name 'B'),\n    options text\n)\nSERVER s\n\
                 OPTIONS (\n    filename '/a''b',\n    \"N x\" E'a\\\\b'\n);\nALTER FOREIGN TABLE ONLY f ALTER COLUMN a OPTIONS (x 'y');"
            ),
            ["filename=/a'b", "N x=a\\b"]
        );
        assert!(
            read("CREATE FOREIGN TABLE public.f (\n    a integer OPTIONS (column_name 'B')\n)\nSERVER s;")
                .is_empty()
        );
    }
}
