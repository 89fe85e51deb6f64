//! Finds words of a statement outside literals and comments.

use crate::sql::{Lexer, QualifiedName, StandardStrings, Token, TokenKind};

/// The name that follows these words.
pub(crate) fn name_after(sql: &str, strings: StandardStrings, wanted: &[&str]) -> Option<String> {
    let tokens = significant(sql, strings);
    let name = following(&tokens, sql, wanted)?;
    Some(QualifiedName::parse(sql.get(name.span.clone())?).ok()?.name)
}

/// The token that follows these words.
pub(crate) fn following<'t>(tokens: &'t [Token], sql: &str, wanted: &[&str]) -> Option<&'t Token> {
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    let start = tokens
        .windows(wanted.len())
        .position(|window| window.iter().zip(wanted).all(|(token, word)| is(token, word)))?;
    tokens.get(start + wanted.len())
}

/// The tokens outside of parentheses, with those that close them.
pub(crate) fn outside_parentheses(sql: &str, strings: StandardStrings) -> Vec<Token> {
    let mut depth = 0_u32;
    let mut tokens = significant(sql, strings);
    tokens.retain(|token| {
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    tokens
}

/// Whether these words (or symbols) follow each other somewhere outside literals.
pub(crate) fn words(sql: &str, strings: StandardStrings, wanted: &[&str]) -> bool {
    let tokens = significant(sql, strings);
    let is = |token: &Token, word: &str| {
        token.is_word(sql.as_bytes(), word) || sql.get(token.span.clone()) == Some(word)
    };
    tokens.windows(wanted.len()).any(|window| window.iter().zip(wanted).all(|(token, word)| is(token, word)))
}

/// The tokens that are not blank, up to the first one that is no SQL: the server will report it.
pub(crate) fn significant(sql: &str, strings: StandardStrings) -> Vec<Token> {
    let tokens = Lexer::new(sql.as_bytes(), strings).map_while(Result::ok);
    tokens.filter(|token| !token.kind.is_blank() && !matches!(token.kind, TokenKind::Parameter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_outside_literals_only() {
        let all_tables = |sql| words(sql, StandardStrings::On, &["for", "all", "tables"]);
        assert!(all_tables("CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert');"));
        assert!(!all_tables("CREATE PUBLICATION \"FOR ALL TABLES\" WITH (publish = 'FOR ALL TABLES');"));
        assert!(words("CREATE TYPE t (\n    INPUT = f,\n  x);", StandardStrings::On, &["input", "="]));
    }
}
