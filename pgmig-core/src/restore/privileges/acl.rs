//! The privileges on one object that must be there, and how those that are there differ.

use super::statement::{Object, Statement, grantee_sql};
use crate::sql::quote_ident;
use std::collections::{BTreeMap, BTreeSet};

/// A privilege of a grantee.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// "" is PUBLIC.
    pub(crate) grantee: String,
    /// "" is the whole object.
    pub(crate) column: String,
    /// In upper case.
    pub(crate) privilege: String,
}

impl Key {
    /// A privilege on the whole object.
    pub(crate) fn whole(grantee: &str, privilege: &str) -> Self {
        Self { grantee: grantee.to_owned(), column: String::new(), privilege: privilege.to_owned() }
    }
}

/// The privileges of an object, each with whether its grantee may pass it on.
pub(crate) type Acl = BTreeMap<Key, bool>;

/// The privileges that an object must have: `None` must not be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted(pub(crate) BTreeMap<Key, Option<bool>>);

/// Privileges that a column can have.
const OF_COLUMNS: [&str; 4] = ["INSERT", "REFERENCES", "SELECT", "UPDATE"];

impl Wanted {
    /// The privileges of `acl`, all of them.
    pub(crate) fn of(acl: &Acl) -> Self {
        Self(acl.iter().map(|(key, option)| (key.clone(), Some(*option))).collect())
    }

    /// Applies a statement. `all` are the privileges that the object can have.
    pub(crate) fn apply(&mut self, statement: &Statement, all: &BTreeSet<String>) {
        for grantee in &statement.grantees {
            for (privilege, columns) in &statement.privileges {
                let names: Vec<&str> = match (privilege.as_str(), columns.is_empty()) {
                    ("ALL", true) => all.iter().map(String::as_str).collect(),
                    ("ALL", false) => OF_COLUMNS.to_vec(),
                    (privilege, _) => vec![privilege],
                };
                for name in names {
                    self.apply_one(statement, grantee, name, columns);
                }
            }
        }
    }

    fn apply_one(&mut self, statement: &Statement, grantee: &str, privilege: &str, columns: &[String]) {
        let whole = Key::whole(grantee, privilege);
        let mut keys: Vec<Key> =
            columns.iter().map(|column| Key { column: column.clone(), ..whole.clone() }).collect();
        if columns.is_empty() {
            keys.push(whole);
            // A privilege that is revoked on a table is revoked on its columns, too.
            let of_columns = self.0.keys().filter(|of| {
                !statement.grants
                    && of.grantee == grantee
                    && of.privilege == privilege
                    && !of.column.is_empty()
            });
            keys.extend(of_columns.cloned().collect::<Vec<_>>());
        }
        for key in keys {
            let before = self.0.get(&key).copied().flatten();
            let after = match (statement.grants, statement.is_about_option) {
                (true, _) => Some(statement.with_option || before == Some(true)),
                (false, true) => before.map(|_| false),
                (false, false) => None,
            };
            self.0.insert(key, after);
        }
    }

    /// Makes every privilege unwanted that there is and that this does not mention.
    pub(crate) fn close(&mut self, there_is: &Acl) {
        for key in there_is.keys() {
            self.0.entry(key.clone()).or_insert(None);
        }
    }

    /// The statements that turn `there_is` into this. The owner can pass on all its privileges in any case.
    pub(crate) fn statements(
        &self,
        there_is: &Acl,
        object: &Object,
        written: &str,
        owner: &str,
    ) -> Vec<String> {
        let (begin, on) = object.frame(written);
        self.framed(there_is, (&begin, &on), owner)
    }

    /// As [`statements`](Self::statements), with other words around the privileges: those before, and those after ON.
    pub(crate) fn framed(&self, there_is: &Acl, (begin, on): (&str, &str), owner: &str) -> Vec<String> {
        let mut groups: BTreeMap<(Change, &str, &str), Vec<&str>> = BTreeMap::new();
        for (key, wanted) in &self.0 {
            let is = there_is.get(key).copied();
            if let Some(change) = Change::between(is, *wanted, key.grantee == owner) {
                groups.entry((change, &key.grantee, &key.column)).or_default().push(&key.privilege);
            }
        }
        let statement = |((change, grantee, column), privileges): ((Change, &str, &str), Vec<&str>)| {
            let column = if column.is_empty() { String::new() } else { format!("({})", quote_ident(column)) };
            let privileges: Vec<String> =
                privileges.iter().map(|privilege| format!("{privilege}{column}")).collect();
            let (privileges, grantee) = (privileges.join(", "), grantee_sql(grantee));
            match change {
                Change::Revoke => format!("{begin}REVOKE {privileges} ON {on} FROM {grantee}"),
                Change::RevokeOption => {
                    format!("{begin}REVOKE GRANT OPTION FOR {privileges} ON {on} FROM {grantee}")
                }
                Change::Grant => format!("{begin}GRANT {privileges} ON {on} TO {grantee}"),
                Change::GrantOption => {
                    format!("{begin}GRANT {privileges} ON {on} TO {grantee} WITH GRANT OPTION")
                }
            }
        };
        groups.into_iter().map(statement).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Revoke,
    RevokeOption,
    Grant,
    GrantOption,
}

impl Change {
    fn between(is: Option<bool>, wanted: Option<bool>, is_owner: bool) -> Option<Self> {
        match (is, wanted) {
            (Some(_), None) => Some(Self::Revoke),
            (None, Some(true)) if !is_owner => Some(Self::GrantOption),
            (None, Some(_)) => Some(Self::Grant),
            (Some(true), Some(false)) if !is_owner => Some(Self::RevokeOption),
            (Some(false), Some(true)) if !is_owner => Some(Self::GrantOption),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sql::StandardStrings;

    fn wanted(statements: &[&str]) -> (Wanted, Object) {
        let all: BTreeSet<String> = ["INSERT", "SELECT", "UPDATE"].map(str::to_owned).into();
        let parsed: Vec<Statement> =
            statements.iter().map(|sql| Statement::parse(sql, None, StandardStrings::On).unwrap()).collect();
        let mut wanted = Wanted::default();
        parsed.iter().for_each(|statement| wanted.apply(statement, &all));
        (wanted, parsed.first().unwrap().object.clone())
    }

    #[test]
    fn differences_become_statements() {
        let (mut wanted, object) = wanted(&[
            "REVOKE ALL ON TABLE s.t FROM PUBLIC",
            "GRANT SELECT(a) ON TABLE s.t TO x WITH GRANT OPTION",
            "GRANT INSERT,UPDATE ON TABLE s.t TO y",
            "REVOKE UPDATE ON TABLE s.t FROM y",
        ]);
        let key = |grantee: &str, column: &str, privilege: &str| Key {
            grantee: grantee.into(),
            column: column.into(),
            privilege: privilege.into(),
        };
        let there_is = Acl::from([
            (key("", "", "SELECT"), false),
            (key("y", "", "INSERT"), true),
            (key("z", "", "SELECT"), false),
        ]);
        let changes = |wanted: &Wanted| wanted.statements(&there_is, &object, "s.t", "o");
        let expected = [
            "REVOKE SELECT ON TABLE s.t FROM PUBLIC",
            "REVOKE GRANT OPTION FOR INSERT ON TABLE s.t FROM y",
            "GRANT SELECT(a) ON TABLE s.t TO x WITH GRANT OPTION",
        ];
        assert_eq!(changes(&wanted), expected);
        wanted.close(&there_is);
        assert!(changes(&wanted).contains(&"REVOKE SELECT ON TABLE s.t FROM z".to_owned()));
    }
}
