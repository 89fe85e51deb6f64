//! The settings of a function (`SET parameter TO value`), which a statement of pgmig's own can make.

use crate::restore::plan::words::significant;
use crate::sql::{StandardStrings, Token, TokenKind, decode_literal, quote_ident, quote_literal};
use std::ops::Range;

/// A setting that CREATE FUNCTION has among the function's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionSetting {
    /// The parameter, in lower case.
    pub(crate) parameter: String,
    /// Its value as SQL, written anew.
    value: String,
    /// The place of the clause in the statement.
    span: Range<usize>,
}

impl FunctionSetting {
    /// The clause of `ALTER FUNCTION`.
    pub(crate) fn clause(&self) -> String {
        format!("SET {} TO {}", quote_ident(&self.parameter), self.value)
    }
}

/// The settings in a statement. Clauses of another form than `SET parameter TO value, ...` are left out: pg_dump does
/// not write them.
pub(crate) fn settings(sql: &str, strings: StandardStrings) -> Vec<FunctionSetting> {
    let tokens = attributes(sql, strings);
    let mut settings = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is_word(sql.as_bytes(), "set") {
            settings.extend(setting(sql, tokens.get(at..).unwrap_or_default()));
        }
    }
    settings
}

/// The statement without these clauses.
pub(crate) fn without(sql: &str, settings: &[&FunctionSetting]) -> String {
    let mut rest = String::with_capacity(sql.len());
    let mut from = 0;
    for FunctionSetting { span, .. } in settings {
        rest.push_str(sql.get(from..span.start).unwrap_or_default());
        from = span.end;
    }
    rest.push_str(sql.get(from..).unwrap_or_default());
    rest
}

/// The tokens of CREATE FUNCTION outside parentheses and outside the body: no parameter's name, nor a word of the body.
/// pg_dump 8 and older write the attributes behind the body.
pub(super) fn attributes(sql: &str, strings: StandardStrings) -> Vec<Token> {
    let mut depth = 0_u32;
    let mut attributes = Vec::new();
    let mut tokens = significant(sql, strings).into_iter().peekable();
    let is_text = |token: &Token| matches!(token.kind, TokenKind::String(_) | TokenKind::Symbol(b','));
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is = |word| depth == 0 && token.is_word(sql.as_bytes(), word);
        if is("as") && tokens.peek().is_some_and(is_text) {
            while tokens.next_if(is_text).is_some() {}
        } else if is("as") || is("begin") || is("return") {
            break;
        } else if depth == 0 {
            attributes.push(token);
        }
    }
    attributes
}

fn setting(sql: &str, tokens: &[Token]) -> Option<FunctionSetting> {
    let (set, rest) = tokens.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut parameter = first.name(sql)?;
    while let [dot, name, after @ ..] = rest
        && dot.kind == TokenKind::Symbol(b'.')
    {
        parameter = format!("{parameter}.{}", name.name(sql)?);
        rest = after;
    }
    let (to, mut rest) = rest.split_first()?;
    if to.kind != TokenKind::Symbol(b'=') && !to.is_word(sql.as_bytes(), "to") {
        return None;
    }
    let mut values = Vec::new();
    loop {
        let (value, after) = rest.split_first()?;
        values.push(written(sql, value)?);
        let end = value.span.end;
        match after.split_first() {
            Some((comma, more)) if comma.kind == TokenKind::Symbol(b',') => rest = more,
            _ => {
                let (parameter, value) = (parameter.to_lowercase(), values.join(", "));
                return Some(FunctionSetting { parameter, value, span: set.span.start..end });
            }
        }
    }
}

/// A value, written anew.
fn written(sql: &str, token: &Token) -> Option<String> {
    match token.kind {
        TokenKind::String(_) => Some(quote_literal(&decode_literal(sql, token)?)),
        TokenKind::Number => sql.get(token.span.clone()).map(str::to_owned),
        // DEFAULT is no value but takes a setting away.
        TokenKind::Word if token.is_word(sql.as_bytes(), "default") => None,
        _ => token.name(sql).map(|name| quote_literal(&name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clauses(sql: &str) -> Vec<String> {
        settings(sql, StandardStrings::On).iter().map(FunctionSetting::clause).collect()
    }

    #[test]
    fn settings_are_written_from_their_parts() {
        let sql = "CREATE FUNCTION public.f(\"set\" integer DEFAULT 1) RETURNS integer\n    LANGUAGE sql SECURITY DEFINER\n    \
                   SET \"app.scope\" TO 'sys''tem'\n    SET search_path TO 'public', 'Odd', 'pg_temp'\n    SET app.n=4\n    \
                   AS $$SELECT 1 SET x TO 'y'$$;";
        assert_eq!(
            clauses(sql),
            [
                "SET \"app.scope\" TO 'sys''tem'",
                "SET search_path TO 'public', 'Odd', 'pg_temp'",
                "SET \"app.n\" TO 4"
            ]
        );
        let all = settings(sql, StandardStrings::On);
        let rest =
            without(sql, &all.iter().filter(|setting| setting.parameter.contains('.')).collect::<Vec<_>>());
        assert_eq!(clauses(&rest), ["SET search_path TO 'public', 'Odd', 'pg_temp'"]);
        assert!(
            rest.ends_with("AS $$SELECT 1 SET x TO 'y'$$;") && rest.starts_with("CREATE FUNCTION public.f(")
        );
    }

    #[test]
    fn other_words_are_no_settings() {
        for sql in [
            "CREATE FUNCTION f() RETURNS SETOF public.set LANGUAGE sql AS 'x'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET TIME ZONE 'UTC' AS 'x'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET work_mem FROM CURRENT AS 'x'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET work_mem TO DEFAULT AS 'x'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC UPDATE t SET a = 'x'; END",
        ] {
            assert_eq!(clauses(sql), Vec::<String>::new(), "{sql}");
        }
    }
}
