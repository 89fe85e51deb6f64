//! Statements of a script that set up its session. They come at its start and between entries.

use crate::sql::{Parser, SqlError, StandardStrings, TokenKind};

/// The setting that a statement changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// `client_encoding`.
    Encoding(String),
    /// `standard_conforming_strings`.
    Strings(StandardStrings),
    /// `search_path` for the whole script, by `set_config`.
    SearchPath,
    /// `default_table_access_method`.
    AccessMethod(String),
    /// `default_with_oids`.
    WithOids(bool),
    /// A setting that does not affect the entries: timeouts, the role, the tablespace (the entry's comment names it),
    /// and the `search_path` of scripts before pg_dump 10.3.
    Other,
}

/// Settings that pg_dump changes between entries, or before all of them.
const KNOWN: [&str; 13] = [
    "check_function_bodies",
    "client_min_messages",
    "default_tablespace",
    "escape_string_warning",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "role",
    "row_security",
    "search_path",
    // Of `supabase db dump --data-only`: triggers are made after the rows here.
    "session_replication_role",
    "statement_timeout",
    "transaction_timeout",
    "xmloption",
];

impl Setting {
    /// The setting that a statement changes for the session. `None` for all other statements, and for those that
    /// pg_dump makes part of an entry (`SET SESSION AUTHORIZATION name` among grants).
    pub(super) fn parse(sql: &[u8], strings: StandardStrings) -> Option<Self> {
        // Most statements are not settings, and some are huge: check the first bytes before parsing.
        let is_candidate =
            |word: &[u8]| sql.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if is_candidate(b"SET ") {
            return parse_set(std::str::from_utf8(sql).ok()?, strings).ok();
        }
        let is_search_path = is_candidate(b"SELECT pg_catalog.set_config('search_path',");
        is_search_path.then_some(Self::SearchPath)
    }

    /// Whether the statement sets anything, known or not.
    pub(super) fn is_set(sql: &[u8]) -> bool {
        sql.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SET "))
    }
}

fn parse_set(sql: &str, strings: StandardStrings) -> Result<Setting, SqlError> {
    let mut parser = Parser::new(sql, "SET statement", strings);
    parser.expect_word("set")?;
    if parser.eat_word("session") {
        return session_authorization(parser);
    }
    let name = parser.ident()?;
    if !parser.eat_symbol(b'=') && !parser.eat_word("to") && name != "role" {
        return Err(parser.unexpected("="));
    }
    let Some(token) = parser.next() else { return Err(parser.unexpected("a value")) };
    let text = parser.text(&token).to_owned();
    let value = match token.kind {
        TokenKind::String(_) => parser.string(&token).unwrap_or_default(),
        TokenKind::QuotedIdent { .. } => {
            sql.get(token.body.clone()).unwrap_or_default().replace("\"\"", "\"")
        }
        _ => text,
    };
    let is_on = matches!(value.as_str(), "on" | "true");
    Ok(match name.as_str() {
        "client_encoding" => Setting::Encoding(value),
        "standard_conforming_strings" => {
            Setting::Strings(if is_on { StandardStrings::On } else { StandardStrings::Off })
        }
        "default_table_access_method" => Setting::AccessMethod(value),
        "default_with_oids" => Setting::WithOids(is_on),
        name if KNOWN.contains(&name) => Setting::Other,
        _ => return Err(parser.unexpected("a setting that pg_dump makes")),
    })
}

/// With `--use-set-session-authorization` the value is a literal or DEFAULT. A statement with a name is a part of an
/// entry.
fn session_authorization(mut parser: Parser<'_>) -> Result<Setting, SqlError> {
    parser.expect_word("authorization")?;
    let is_literal = parser.next_if(|token| matches!(token.kind, TokenKind::String(_))).is_some();
    if is_literal || parser.eat_word("default") {
        return Ok(Setting::Other);
    }
    Err(parser.unexpected("a role in quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_from_statements_of_entries() {
        let parse = |sql: &str| Setting::parse(sql.as_bytes(), StandardStrings::On);
        assert_eq!(parse("SET client_encoding = 'LATIN1';"), Some(Setting::Encoding("LATIN1".into())));
        assert_eq!(
            parse("SET standard_conforming_strings = off;"),
            Some(Setting::Strings(StandardStrings::Off))
        );
        assert_eq!(
            parse("SELECT pg_catalog.set_config('search_path', '', false);"),
            Some(Setting::SearchPath)
        );
        assert_eq!(
            parse("SET default_table_access_method = heap;"),
            Some(Setting::AccessMethod("heap".into()))
        );
        assert_eq!(parse("SET default_with_oids = true;"), Some(Setting::WithOids(true)));
        assert_eq!(parse("SET search_path = \"Odd; \"\"q\"\"\", pg_catalog;"), Some(Setting::Other));
        assert_eq!(parse("SET SESSION AUTHORIZATION 'joe';"), Some(Setting::Other));
        assert_eq!(parse("SET SESSION AUTHORIZATION DEFAULT;"), Some(Setting::Other));
        assert_eq!(parse("SET SESSION AUTHORIZATION joe;"), None);
        assert_eq!(parse("SET unheard_of = 1;"), None);
        assert_eq!(parse("SELECT pg_catalog.setval('s', 1);"), None);
    }
}
