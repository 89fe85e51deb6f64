//! Comments as statements of pgmig's own, which a superuser may run.

use crate::sql::{Parser, StandardStrings, quote_ident, quote_literal};

/// The name in `COMMENT ON <kind> name IS ...`, and the statement written anew from its parts. `None` for any other
/// statement.
pub(crate) fn comment_on(
    kind: &'static str,
    sql: &str,
    strings: StandardStrings,
) -> Option<(String, String)> {
    let mut parser = Parser::new(sql, "comment", strings);
    for word in ["comment", "on", kind] {
        parser.expect_word(word).ok()?;
    }
    let name = parser.ident().ok()?;
    parser.expect_word("is").ok()?;
    let comment = if parser.eat_word("null") {
        "NULL".to_owned()
    } else {
        let token = parser.next()?;
        quote_literal(&parser.string(&token)?)
    };
    parser.expect_end_of_statement().ok()?;
    let written = format!("COMMENT ON {} {} IS {comment}", kind.to_uppercase(), quote_ident(&name));
    Some((name, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_written_from_their_parts() {
        let comment = |sql| comment_on("extension", sql, StandardStrings::On).map(|(_, written)| written);
        assert_eq!(
            comment("COMMENT ON EXTENSION \"uuid-ossp\" IS 'it''s';\n").as_deref(),
            Some("COMMENT ON EXTENSION \"uuid-ossp\" IS 'it''s'")
        );
        assert_eq!(
            comment("COMMENT ON EXTENSION x IS NULL").as_deref(),
            Some("COMMENT ON EXTENSION x IS NULL")
        );
        assert_eq!(comment("COMMENT ON EXTENSION x IS 'a'; DROP TABLE t"), None);
        assert_eq!(comment("COMMENT ON FUNCTION x() IS 'a'"), None);
    }
}
