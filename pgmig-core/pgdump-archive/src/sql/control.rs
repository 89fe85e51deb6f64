//! Finds statements that begin or end a transaction or a savepoint.

use super::lexer::{Lexer, StandardStrings, TokenKind};
use super::statement::split_statements;

/// The first words of such statements.
const CONTROL: [&[&str]; 9] = [
    &["begin"],
    &["start", "transaction"],
    &["commit"],
    &["end"],
    &["abort"],
    &["rollback"],
    &["prepare", "transaction"],
    &["savepoint"],
    &["release"],
];

/// The command of the first statement in `sql` that begins or ends a transaction or a savepoint, such as "COMMIT" or
/// "START TRANSACTION".
///
/// Returns `None` for SQL that cannot be split into statements. The server refuses such SQL as well.
pub fn transaction_control(sql: &str, strings: StandardStrings) -> Option<String> {
    let statements = split_statements(sql, strings).ok()?;
    let control = |statement: &&str| {
        let words = leading_words(statement, strings, 2);
        let found =
            CONTROL.iter().find(|control| words.get(..control.len()).is_some_and(|words| words == **control));
        found.map(|control| control.join(" ").to_uppercase())
    };
    statements.iter().find_map(control)
}

/// The first key words of a statement, `count` at most, in lower case.
fn leading_words(statement: &str, strings: StandardStrings, count: usize) -> Vec<String> {
    let tokens = Lexer::new(statement.as_bytes(), strings).map_while(Result::ok);
    let tokens = tokens.filter(|token| !token.kind.is_blank());
    let words =
        tokens.map_while(|token| (token.kind == TokenKind::Word).then(|| statement.get(token.span))?);
    words.take(count).map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(sql: &str) -> Option<String> {
        transaction_control(sql, StandardStrings::On)
    }

    #[test]
    fn control_is_found_in_any_statement() {
        assert_eq!(control("SELECT 1; /* x */ commit").as_deref(), Some("COMMIT"));
        assert_eq!(control("START  TRANSACTION").as_deref(), Some("START TRANSACTION"));
        assert_eq!(control("-- x\nrollback to savepoint s").as_deref(), Some("ROLLBACK"));
        assert_eq!(control("PREPARE TRANSACTION 'x'").as_deref(), Some("PREPARE TRANSACTION"));
        assert_eq!(control("END;").as_deref(), Some("END"));
        assert_eq!(control("release s").as_deref(), Some("RELEASE"));
    }

    #[test]
    fn control_within_something_else_is_none() {
        for sql in [
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN COMMIT; END; $$;",
            "COMMENT ON TABLE t IS 'x; COMMIT;'; SELECT 1",
            "CREATE TABLE \"; commit; \" (a int)",
            "PREPARE p AS SELECT 1",
            "",
        ] {
            assert_eq!(control(sql), None, "{sql}");
        }
    }

    #[test]
    fn backslashes_are_read_as_the_server_reads_them() {
        let sql = r"SELECT '\'; COMMIT; --'";
        assert_eq!(transaction_control(sql, StandardStrings::On).as_deref(), Some("COMMIT"));
        assert_eq!(transaction_control(sql, StandardStrings::Off), None);
    }
}
