//! Lists in the messages of refusals.

use crate::lines::write_lines;
use crate::restore::report::difference::SchemaDifference;
use crate::server::OtherSession;
use crate::sql::quote_ident;
use std::collections::BTreeSet;
use std::fmt;

/// All differences between schemas, because the operator must handle each.
pub(super) struct Differences<'a>(pub(super) &'a [SchemaDifference]);

impl fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|difference| format!("  {difference}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// The sessions on a database.
pub(super) struct Sessions<'a>(pub(super) &'a [OtherSession]);

impl fmt::Display for Sessions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(
                "  a lock on the database is held from another one, or its sessions have just ended",
            );
        }
        write_lines(f, self.0.iter())
    }
}

/// The roles that can end the sessions that `su_username` may not end. Empty if there are no such sessions.
pub(super) fn who_ends(sessions: &[OtherSession]) -> String {
    let others: BTreeSet<String> = sessions
        .iter()
        .filter(|session| !session.can_be_ended)
        .map(|session| quote_ident(&session.role))
        .collect();
    if others.is_empty() {
        return String::new();
    }
    let others: Vec<String> = others.into_iter().collect();
    format!(", or let a superuser end those of role {}, which su_username may not", others.join(", "))
}
