//! Objects that `username` may not use, found in the text of statements.

use super::words::significant;
use crate::sql::{QualifiedName, StandardStrings, Token, TokenKind};
use std::collections::{BTreeMap, BTreeSet};

const CATALOG: &str = "pg_catalog";

/// Relations that `username` may not read, and functions that it may not call. All of them exist before the restore and
/// belong to the system, to extensions or to other roles.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClosedObjects {
    /// The schemas that have a relation of this name.
    relations: BTreeMap<String, BTreeSet<String>>,
    /// The schemas that have a function of this name.
    functions: BTreeMap<String, BTreeSet<String>>,
}

impl ClosedObjects {
    /// Adds a relation.
    pub(crate) fn add_relation(&mut self, schema: &str, name: &str) {
        self.relations.entry(name.to_owned()).or_default().insert(schema.to_owned());
    }

    /// Adds a function. All functions of that name are closed.
    pub(crate) fn add_function(&mut self, schema: &str, name: &str) {
        self.functions.entry(name.to_owned()).or_default().insert(schema.to_owned());
    }

    /// The first of these objects that a statement uses: a relation that it reads, or a function that it calls. A name
    /// without a schema is one of `pg_catalog`.
    pub(crate) fn used(&self, sql: &str, strings: StandardStrings) -> Option<String> {
        self.used_by(sql, &significant(sql, strings))
    }

    /// The same for the definition of a table or a domain. Rows bring all values, so defaults are not computed.
    pub(crate) fn used_for_rows(&self, sql: &str, strings: StandardStrings) -> Option<String> {
        self.used_by(sql, &without_defaults(sql, significant(sql, strings)))
    }

    /// The same for a function, with its body.
    pub(crate) fn used_in_function(&self, function: &str, strings: StandardStrings) -> Option<String> {
        let names = || self.relations.keys().chain(self.functions.keys());
        if !names().any(|name| function.contains(name)) {
            return None;
        }
        let tokens = significant(function, strings);
        let bodies = tokens.iter().filter(|token| matches!(token.kind, TokenKind::String(_)));
        let mut texts = bodies.filter_map(|token| function.get(token.body.clone()));
        self.used_by(function, &tokens).or_else(|| texts.find_map(|text| self.used(text, strings)))
    }

    fn used_by(&self, sql: &str, tokens: &[Token]) -> Option<String> {
        let found = |objects: &BTreeMap<String, BTreeSet<String>>, schema: &str, name: &str| {
            let is_closed = objects.get(name).is_some_and(|schemas| schemas.contains(schema));
            is_closed.then(|| match schema {
                CATALOG => QualifiedName::unqualified(name).to_string(),
                _ => QualifiedName::new(schema, name).to_string(),
            })
        };
        for (at, token) in tokens.iter().enumerate() {
            let Some(name) = token.name(sql) else { continue };
            let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
            let is_qualified = before(1).is_some_and(|token| token.kind == TokenKind::Symbol(b'.'));
            let schema = match is_qualified {
                true => before(2).and_then(|token| token.name(sql)).unwrap_or_default(),
                false => CATALOG.to_owned(),
            };
            let is_called = tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::Symbol(b'('));
            let previous = if is_qualified { before(3) } else { before(1) };
            let is_read = previous.is_some_and(|token| {
                matches!(token.kind, TokenKind::Symbol(b'(' | b','))
                    || ["from", "join", "only"].iter().any(|word| token.is_word(sql.as_bytes(), word))
            });
            let used = match is_called {
                true => found(&self.functions, &schema, &name),
                false if is_read => found(&self.relations, &schema, &name),
                false => None,
            };
            if used.is_some() {
                return used;
            }
        }
        None
    }
}

/// The tokens of a definition without its DEFAULT clauses. Such a clause ends at a comma, or where the next constraint
/// begins.
fn without_defaults(sql: &str, mut tokens: Vec<Token>) -> Vec<Token> {
    let mut depth = 0_u32;
    let mut default_at = None;
    tokens.retain(|token| {
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is = |words: &[&str]| words.iter().any(|word| token.is_word(sql.as_bytes(), word));
        let ends = |of: u32| {
            depth < of
                || depth == of
                    && (token.kind == TokenKind::Symbol(b',') || is(&["not", "null", "constraint", "check"]))
        };
        if default_at.is_some_and(ends) {
            default_at = None;
        } else if default_at.is_none() && depth <= 1 && is(&["default"]) {
            default_at = Some(depth);
        }
        default_at.is_none()
    });
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRINGS: StandardStrings = StandardStrings::On;

    fn closed() -> ClosedObjects {
        let mut closed = ClosedObjects::default();
        closed.add_relation(CATALOG, "pg_authid");
        closed.add_relation("Other S", "secret");
        closed.add_function(CATALOG, "pg_read_file");
        closed.add_function("ext", "f");
        closed
    }

    #[test]
    fn closed_objects_are_found_where_they_are_used() {
        let used = |sql| closed().used(sql, STRINGS);
        for (sql, name) in [
            ("SELECT a.rolname FROM (pg_authid a JOIN t ON true)", "pg_authid"),
            ("SELECT 1 FROM pg_catalog.pg_authid", "pg_authid"),
            ("SELECT length(pg_read_file('x'::text)) AS n", "pg_read_file"),
            ("SELECT a FROM ONLY \"Other S\".secret", "\"Other S\".secret"),
            ("ALTER TABLE t ADD CONSTRAINT c CHECK ((ext.f(a) > 0))", "ext.f"),
        ] {
            assert_eq!(used(sql).as_deref(), Some(name), "{sql}");
        }
        for sql in [
            "SELECT 1 AS pg_authid, 'FROM pg_authid'::text FROM public.pg_authid",
            "SELECT public.pg_read_file('x'), t.pg_read_file FROM t",
            "SELECT public.f(1), f(2), \"Other S\".f(3) FROM public.secret, secret",
        ] {
            assert_eq!(used(sql), None, "{sql}");
        }
    }

    #[test]
    fn defaults_are_passed_over() {
        let used = |sql| closed().used_for_rows(sql, STRINGS);
        for sql in [
            "CREATE TABLE t (\n a text DEFAULT pg_read_file('x'::text),\n b text DEFAULT (pg_read_file('x'))::text NOT NULL\n);",
            "CREATE DOMAIN d AS text DEFAULT pg_read_file('x') NOT NULL;",
        ] {
            assert_eq!(used(sql), None, "{sql}");
        }
        for sql in [
            "CREATE TABLE t (a text DEFAULT 'x' CONSTRAINT c CHECK ((pg_read_file(a) > '')));",
            "CREATE TABLE t (a text DEFAULT lower('A'), b text GENERATED ALWAYS AS (pg_read_file(a)) STORED);",
            "CREATE TABLE t (a text, CONSTRAINT c CHECK (((a IS NULL) OR (length(pg_read_file(a)) > 0))));",
            "CREATE DOMAIN d AS text DEFAULT 'x'::text CONSTRAINT c CHECK ((pg_read_file(VALUE) > ''::text));",
        ] {
            assert_eq!(used(sql).as_deref(), Some("pg_read_file"), "{sql}");
        }
    }

    #[test]
    fn bodies_of_functions_are_read() {
        let used = |sql| closed().used_in_function(sql, STRINGS);
        assert_eq!(
            used("CREATE FUNCTION g() RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM pg_authid $$;").as_deref(),
            Some("pg_authid")
        );
        let atomic = "CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT length(pg_read_file('x')); END;";
        assert_eq!(used(atomic).as_deref(), Some("pg_read_file"));
        assert_eq!(used("CREATE FUNCTION pg_authid() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;"), None);
    }
}
