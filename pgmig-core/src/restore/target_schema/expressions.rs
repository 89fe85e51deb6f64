//! SQL expressions in the rules of a profile. The server checks them before anything is changed.

use crate::error::Result;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{Lexer, QualifiedName, StandardStrings, TokenKind};

/// An expression of a rule, the columns that it reads, and the column that it fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    /// The rule, for messages: `cast of column s.t.c`.
    pub(crate) rule: String,
    /// The expression as written in the profile.
    pub(crate) sql: String,
    /// The archive's columns as the expression sees them: name and type, as SQL.
    pub(crate) columns: Vec<(String, String)>,
    /// The target's table.
    pub(crate) table: QualifiedName,
    /// The target's column, as SQL.
    pub(crate) column: String,
}

impl Expression {
    /// A statement that the server can prepare only if the column accepts the expression, and the expression reads
    /// nothing except one row. The WHERE clause excludes aggregates, window functions and set-returning functions.
    fn to_statement(&self) -> String {
        let Self { sql, columns, table, column, .. } = self;
        let columns: Vec<String> =
            columns.iter().map(|(name, of)| format!("CAST(NULL AS {of}) AS {name}")).collect();
        format!(
            "PREPARE pgmig_rule AS INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE \
             SELECT ({sql}) FROM (SELECT {}) pgmig_held WHERE ({sql}) IS NULL OR true",
            columns.join(", ")
        )
    }

    fn fault(&self, reason: &str) -> String {
        format!("{} ({:?}): {reason}", self.rule, self.sql)
    }
}

/// The faults of these expressions, in the words of the target's server. Executes none of them.
pub(crate) async fn faults(
    target: &mut Session,
    search_path: &str,
    expressions: &[Expression],
) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    if expressions.is_empty() {
        return Ok(faults);
    }
    let doing = "check the expressions of the profile";
    target.execute(&format!("SET search_path = {search_path}"), doing).await?;
    for expression in expressions {
        if let Err(reason) = single(&expression.sql) {
            faults.push(expression.fault(reason));
            continue;
        }
        match target.execute(&expression.to_statement(), doing).await {
            Ok(_) => drop(target.execute("DEALLOCATE pgmig_rule", doing).await?),
            Err(error) if !error.is_lasting() => return Err(error.into()),
            Err(TargetError::Server(error)) => {
                let code = error.sqlstate.as_deref().unwrap_or_default();
                faults.push(expression.fault(&format!("{} (SQLSTATE {code})", error.message)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    target.execute("SET search_path = ''", doing).await?;
    Ok(faults)
}

/// Refuses an expression that would close the parentheses which the statement puts around it.
fn single(sql: &str) -> std::result::Result<(), &'static str> {
    let mut depth = 0_u32;
    let mut is_empty = true;
    for token in Lexer::new(sql.as_bytes(), StandardStrings::On) {
        let Ok(token) = token else { return Err("it is no SQL expression: a quote is not closed") };
        is_empty &= token.kind.is_blank();
        match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment => {
                return Err("a comment cannot be a part of it");
            }
            TokenKind::Symbol(b';') => return Err("it must be one expression, without a semicolon"),
            TokenKind::Symbol(b'(') => depth = depth.saturating_add(1),
            TokenKind::Symbol(b')') => {
                depth = depth
                    .checked_sub(1)
                    .ok_or("it must be one expression: a parenthesis is closed too many")?;
            }
            _ => {}
        }
    }
    match (is_empty, depth) {
        (true, _) => Err("it is empty"),
        (false, 0) => Ok(()),
        (false, _) => Err("it must be one expression: a parenthesis is not closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_one_and_stays_within_its_parentheses() {
        for sql in ["a", "upper((a))", "'a;b -- ('", "$$)$$", "\"odd)\" || '/*'"] {
            assert_eq!(single(sql), Ok(()), "{sql}");
        }
        for sql in
            ["", " ", "'EUR'); DROP TABLE film; --", "a) || (b", "(a", "a -- b", "a /* b */", "'a", "1;"]
        {
            assert!(single(sql).is_err(), "{sql}");
        }
    }
}
