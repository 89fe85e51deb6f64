//! The relation of another entry, or of an extension, that the statement of an entry requires a right on.

use super::function_settings::FunctionSetting;
use super::words::{following, outside_parentheses};
use crate::archive::{Entry, EntryKind};
use crate::sql::{Parser, QualifiedName, StandardStrings, TokenKind, quote_literal};

/// The right that a statement requires on a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// REFERENCES, which can be granted.
    References,
    /// That of the owner.
    Owner,
}

/// The relations that an entry's statement touches beside the object that it makes.
pub(crate) fn relations(entry: &Entry, sql: &str, strings: StandardStrings) -> Vec<(QualifiedName, Right)> {
    use EntryKind as K;
    let after = |words: &[&str]| name_after(sql, strings, words);
    let owners = |name: Option<QualifiedName>| -> Vec<_> {
        name.into_iter().map(|name| (name, Right::Owner)).collect()
    };
    match entry.kind {
        K::FkConstraint => {
            let referenced = after(&["references"]).map(|name| (name, Right::References));
            let mut relations = owners(altered(sql, strings));
            relations.extend(referenced);
            relations
        }
        K::Table | K::ForeignTable => {
            let mut parents = inherited(sql, strings);
            parents.extend(after(&["partition", "of"]));
            parents.into_iter().map(|name| (name, Right::Owner)).collect()
        }
        K::TableAttach | K::RowSecurity | K::Constraint | K::CheckConstraint | K::Default => {
            owners(altered(sql, strings))
        }
        K::Trigger | K::Policy | K::Index => owners(after(&["on"])),
        K::Rule => owners(after(&["to"])),
        _ => Vec::new(),
    }
}

/// The table of ALTER TABLE.
fn altered(sql: &str, strings: StandardStrings) -> Option<QualifiedName> {
    ["table", "foreign"].iter().find_map(|word| name_after(sql, strings, &["alter", word]))
}

/// The name after these words, outside of parentheses. ONLY, IF EXISTS and TABLE before it are passed over.
fn name_after(sql: &str, strings: StandardStrings, wanted: &[&str]) -> Option<QualifiedName> {
    let tokens = outside_parentheses(sql, strings);
    let start = following(&tokens, sql, wanted)?.span.start;
    let mut parser = Parser::new(sql.get(start..)?, "name", strings);
    for word in ["table", "if", "exists", "only"] {
        parser.eat_word(word);
    }
    parser.qualified_name().ok()
}

/// The names in `INHERITS (...)`.
fn inherited(sql: &str, strings: StandardStrings) -> Vec<QualifiedName> {
    let tokens = outside_parentheses(sql, strings);
    let word = tokens.iter().find(|token| token.is_word(sql.as_bytes(), "inherits"));
    let start = word.map(|token| token.span.end);
    let Some(rest) = start.and_then(|start| sql.get(start..)) else { return Vec::new() };
    let mut parser = Parser::new(rest, "INHERITS", strings);
    let mut names = Vec::new();
    if parser.eat_symbol(b'(') {
        while let Ok(name) = parser.qualified_name() {
            names.push(name);
            if !parser.eat_symbol(b',') {
                break;
            }
        }
    }
    names
}

/// A sequence, and the statement that sets it, written anew from the value in the archive's.
pub(crate) fn sequence_value(sql: &str, strings: StandardStrings) -> Option<(QualifiedName, String)> {
    let mut parser = Parser::new(sql, "setval", strings);
    parser.expect_word("select").ok()?;
    if parser.eat_word("pg_catalog") {
        parser.expect_symbol(b'.', "a dot").ok()?;
    }
    parser.expect_word("setval").ok()?;
    parser.expect_symbol(b'(', "an opening parenthesis").ok()?;
    let token = parser.next()?;
    let name = QualifiedName::parse(&parser.string(&token)?).ok()?;
    parser.expect_symbol(b',', "a comma").ok()?;
    let sign = if parser.eat_symbol(b'-') { "-" } else { "" };
    let number = parser.next_if(|token| token.kind == TokenKind::Number)?;
    let value: i64 = format!("{sign}{}", parser.text(&number)).parse().ok()?;
    parser.expect_symbol(b',', "a comma").ok()?;
    let is_called = parser.eat_word("true");
    if !is_called {
        parser.expect_word("false").ok()?;
    }
    parser.expect_symbol(b')', "a closing parenthesis").ok()?;
    parser.expect_end_of_statement().ok()?;
    let literal = quote_literal(&name.to_string());
    Some((name, format!("SELECT pg_catalog.setval({literal}, {value}, {is_called})")))
}

/// The statement that gives a function these settings. `signature` is its name and its arguments, as SQL.
pub(crate) fn alter_function(signature: &str, settings: &[&FunctionSetting]) -> String {
    let clauses: Vec<String> = settings.iter().map(|setting| setting.clause()).collect();
    format!("ALTER ROUTINE {signature} {}", clauses.join(" "))
}

/// The beginning of a query that fails with a text of pgmig's unless the condition holds: the server cannot read the text as a
/// number, and quotes it. A message shows of it what stands in the statement, so a text with an apostrophe would be cut.
pub(crate) fn require(condition: &str, fault: &str) -> String {
    format!("SELECT (CASE WHEN {condition} THEN '0' ELSE {} END)::pg_catalog.int4", quote_literal(fault))
}

/// A query that fails unless the function belongs to this role.
pub(crate) fn require_owner_of_function(signature: &str, owner: &str) -> String {
    let (literal, owner) = (quote_literal(signature), quote_literal(owner));
    let is_owner = format!("pg_catalog.pg_get_userbyid(proowner) OPERATOR(pg_catalog.=) {owner}");
    let required = require(&is_owner, &format!("function {signature} does not belong to username"));
    format!(
        "{required} FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.=) {literal}::pg_catalog.regprocedure"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::archive::{DumpId, Section};

    fn touched(kind: EntryKind, sql: &str) -> Vec<String> {
        let entry = Entry::new(DumpId::new(1).unwrap(), kind, Section::PreData, "x");
        relations(&entry, sql, StandardStrings::On).iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn relations_of_others_are_found_in_statements() {
        use EntryKind as K;
        for (kind, sql, names) in [
            (
                K::FkConstraint,
                "ALTER TABLE ONLY s.t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES e.\"P t\"(id) ON DELETE CASCADE;",
                &["s.t", "e.\"P t\""][..],
            ),
            (
                K::Table,
                "CREATE TABLE s.t (\n a text DEFAULT 'inherits (x)'\n)\nINHERITS (e.p, q);",
                &["e.p", "q"],
            ),
            (K::Table, "CREATE TABLE s.t (\n a int\n);", &[]),
            (K::TableAttach, "ALTER TABLE ONLY e.p ATTACH PARTITION s.t FOR VALUES IN (1);", &["e.p"]),
            (
                K::Trigger,
                "CREATE TRIGGER g BEFORE UPDATE OF a ON e.p FOR EACH ROW EXECUTE FUNCTION s.f();",
                &["e.p"],
            ),
            (K::Policy, "CREATE POLICY p ON e.p USING ((a ON b));", &["e.p"]),
            (K::RowSecurity, "ALTER TABLE e.p ENABLE ROW LEVEL SECURITY;", &["e.p"]),
            (K::Rule, "CREATE RULE r AS\n    ON DELETE TO e.p DO NOTHING;", &["e.p"]),
            (K::Index, "CREATE INDEX i ON ONLY e.p USING btree (a);", &["e.p"]),
        ] {
            assert_eq!(touched(kind, sql), names, "{sql}");
        }
    }

    #[test]
    fn sequence_values_are_written_anew() {
        let value = |sql| sequence_value(sql, StandardStrings::On).map(|(_, sql)| sql);
        assert_eq!(
            value("SELECT pg_catalog.setval('public.\"S\"', -7, true);\n").as_deref(),
            Some("SELECT pg_catalog.setval('public.\"S\"', -7, true)")
        );
        assert_eq!(
            value("SELECT setval('s', 1, false)").as_deref(),
            Some("SELECT pg_catalog.setval('s', 1, false)")
        );
        assert_eq!(value("SELECT pg_catalog.setval('s', f(), true);"), None);
        assert_eq!(value("SELECT pg_catalog.setval('s', 1, true); DROP TABLE t;"), None);
    }
}
