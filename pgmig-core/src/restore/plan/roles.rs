//! Maps the roles in the archive's grants, policies and user mappings to roles of the target's cluster.
//!
//! The owner of an entry becomes `username`, which owns all restored objects. Other roles stay if the cluster has them. A
//! role that the cluster does not have is left out of the statement. A statement without any role left is left out.

use crate::sql::{Lexer, SqlError, StandardStrings, Token, TokenKind, quote_ident};
use std::collections::BTreeSet;

/// The roles of the cluster, and the owner of the restored objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    /// `username`.
    pub(crate) owner: String,
    /// All roles of the cluster.
    pub(crate) existing: BTreeSet<String>,
    /// Roles that `su_username` cannot become.
    pub(crate) strangers: BTreeSet<String>,
    /// Whether there is no cluster: then every role stays as it is.
    pub(crate) assumes_all: bool,
}

/// A statement of an entry with the roles of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The statement, without its semicolon.
    pub(crate) sql: String,
    /// The role that grants, if it is not the owner of the object.
    pub(crate) grantor: Option<String>,
}

/// The statements of an entry with the roles of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The statements that are left, in order.
    pub(crate) statements: Vec<Granted>,
    /// Roles that the cluster does not have, in alphabetical order.
    pub(crate) missing: BTreeSet<String>,
    /// Grantors that `su_username` cannot become. The owner grants in their place.
    pub(crate) replaced: BTreeSet<String>,
}

/// The place of the roles in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoleList {
    /// The last `TO` or `FROM` outside parentheses (GRANT, REVOKE).
    Grantees,
    /// The first `TO` outside parentheses (CREATE POLICY), if there is one.
    Policy,
    /// The first `FOR` (CREATE USER MAPPING; ALTER DEFAULT PRIVILEGES, which continues with ROLE).
    For,
}

impl Roles {
    /// The statements of an `ACL` or `DEFAULT ACL` entry of `entry_owner`.
    ///
    /// # Errors
    ///
    /// If `sql` cannot be parsed.
    pub(crate) fn grants(
        &self,
        sql: &str,
        entry_owner: &str,
        strings: StandardStrings,
    ) -> Result<Resolved, SqlError> {
        // Default privileges belong to the role that they name. With --no-owner, the entry does not name it.
        let of_role = default_role(sql, strings).filter(|_| entry_owner.is_empty());
        self.grants_of(sql, of_role.as_deref().unwrap_or(entry_owner), strings)
    }

    /// The statements of a `DEFAULT ACL` entry of a role that is not the application's owner. The role stays as it is.
    ///
    /// # Errors
    ///
    /// If `sql` cannot be parsed.
    pub(crate) fn default_privileges_of_others(
        &self,
        sql: &str,
        strings: StandardStrings,
    ) -> Result<Resolved, SqlError> {
        self.grants_of(sql, "", strings)
    }

    fn grants_of(
        &self,
        sql: &str,
        entry_owner: &str,
        strings: StandardStrings,
    ) -> Result<Resolved, SqlError> {
        let mut resolved = Resolved::default();
        let mut grantor: Option<String> = None;
        // Nobody can grant as a role that the cluster does not have.
        let mut grantor_missing = false;
        for statement in split(sql, strings)? {
            let words = Words::new(sql, &statement);
            if words.begin_with(&["reset", "session", "authorization"]) {
                (grantor, grantor_missing) = (None, false);
            } else if words.begin_with(&["set", "session", "authorization"]) {
                let role = statement.get(3).map(|token| words.name(token)).unwrap_or_default();
                grantor = self.lookup(&role, entry_owner, &mut resolved.missing);
                grantor_missing = grantor.is_none();
                if let Some(role) = grantor.take_if(|role| self.strangers.contains(role)) {
                    resolved.replaced.insert(role);
                }
            } else if !grantor_missing {
                let is_default = words.begin_with(&["alter", "default", "privileges"]);
                let lists: &[RoleList] =
                    if is_default { &[RoleList::Grantees, RoleList::For] } else { &[RoleList::Grantees] };
                if let Some(sql) = self.with_roles(&words, lists, entry_owner, &mut resolved.missing) {
                    let grantor = grantor.clone().filter(|grantor| *grantor != self.owner);
                    resolved.statements.push(Granted { sql, grantor });
                }
            }
        }
        Ok(resolved)
    }

    /// The statement of a `POLICY` entry.
    ///
    /// # Errors
    ///
    /// If `sql` cannot be parsed.
    pub(crate) fn policy(
        &self,
        sql: &str,
        entry_owner: &str,
        strings: StandardStrings,
    ) -> Result<Resolved, SqlError> {
        self.single(sql, entry_owner, strings, RoleList::Policy)
    }

    /// The statement of a `USER MAPPING` entry.
    ///
    /// # Errors
    ///
    /// If `sql` cannot be parsed.
    pub(crate) fn user_mapping(
        &self,
        sql: &str,
        entry_owner: &str,
        strings: StandardStrings,
    ) -> Result<Resolved, SqlError> {
        self.single(sql, entry_owner, strings, RoleList::For)
    }

    fn single(
        &self,
        sql: &str,
        entry_owner: &str,
        strings: StandardStrings,
        list: RoleList,
    ) -> Result<Resolved, SqlError> {
        let mut resolved = Resolved::default();
        for statement in split(sql, strings)? {
            let words = Words::new(sql, &statement);
            let sql = self.with_roles(&words, &[list], entry_owner, &mut resolved.missing);
            resolved.statements.extend(sql.map(|sql| Granted { sql, grantor: None }));
        }
        Ok(resolved)
    }

    /// The statement with the roles of the cluster in these lists. `None` if a list would be empty. `lists` begins with the
    /// last one in the text, so that replacing it does not move the others.
    fn with_roles(
        &self,
        words: &Words<'_>,
        lists: &[RoleList],
        entry_owner: &str,
        missing: &mut BTreeSet<String>,
    ) -> Option<String> {
        let mut sql = words.text().to_owned();
        let base = words.start();
        for list in lists {
            let Some(named) = words.role_list(*list) else { continue };
            let roles: Vec<String> = named
                .roles
                .iter()
                .filter_map(|role| match role {
                    NamedRole::Public => Some("PUBLIC".to_owned()),
                    NamedRole::Role(role) => {
                        self.lookup(role, entry_owner, missing).map(|role| quote_ident(&role))
                    }
                })
                .collect();
            if roles.is_empty() {
                return None;
            }
            sql.replace_range(named.start - base..named.end - base, &roles.join(", "));
        }
        Some(sql)
    }

    fn lookup(&self, role: &str, entry_owner: &str, missing: &mut BTreeSet<String>) -> Option<String> {
        if self.assumes_all {
            return Some(role.to_owned());
        }
        if role == entry_owner {
            return Some(self.owner.clone());
        }
        if self.existing.contains(role) {
            return Some(role.to_owned());
        }
        missing.insert(role.to_owned());
        None
    }
}

/// The role whose default privileges these statements change. All statements of an entry name the same one.
pub(crate) fn default_role(sql: &str, strings: StandardStrings) -> Option<String> {
    let statements = split(sql, strings).ok()?;
    let words = Words::new(sql, statements.first()?);
    words.first_role(RoleList::For).filter(|_| words.begin_with(&["alter", "default", "privileges"]))
}

/// A role as a statement names it.
enum NamedRole {
    Public,
    Role(String),
}

/// The roles of a list and the bytes that it takes in the text.
struct NamedRoles {
    roles: Vec<NamedRole>,
    start: usize,
    end: usize,
}

/// The tokens of one statement, without blanks.
struct Words<'a> {
    sql: &'a str,
    tokens: &'a [Token],
}

impl<'a> Words<'a> {
    fn new(sql: &'a str, tokens: &'a [Token]) -> Self {
        Self { sql, tokens }
    }

    fn start(&self) -> usize {
        self.tokens.first().map_or(0, |token| token.span.start)
    }

    fn text(&self) -> &'a str {
        let end = self.tokens.last().map_or(0, |token| token.span.end);
        self.sql.get(self.start()..end).unwrap_or_default()
    }

    fn is(&self, token: &Token, word: &str) -> bool {
        token.is_word(self.sql.as_bytes(), word)
    }

    fn begin_with(&self, words: &[&str]) -> bool {
        self.tokens.len() >= words.len()
            && self.tokens.iter().zip(words).all(|(token, word)| self.is(token, word))
    }

    /// The name that an identifier spells.
    fn name(&self, token: &Token) -> String {
        // pg_dump writes no names of the form `U&"..."`. One that is written so is taken literally, and names no role.
        token
            .name(self.sql)
            .unwrap_or_else(|| self.sql.get(token.body.clone()).unwrap_or_default().to_owned())
    }

    /// The tokens outside parentheses.
    fn outside(&self) -> impl Iterator<Item = (usize, &'a Token)> {
        let mut depth = 0_u32;
        self.tokens.iter().enumerate().filter(move |(_, token)| {
            match token.kind {
                TokenKind::Symbol(b'(') => depth += 1,
                TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
    }

    fn first_role(&self, list: RoleList) -> Option<String> {
        match self.role_list(list)?.roles.into_iter().next()? {
            NamedRole::Role(role) => Some(role),
            NamedRole::Public => None,
        }
    }

    fn role_list(&self, list: RoleList) -> Option<NamedRoles> {
        let before = match list {
            RoleList::Grantees => {
                self.outside().filter(|(_, token)| self.is(token, "to") || self.is(token, "from")).last()?.0
            }
            RoleList::Policy => self.outside().find(|(_, token)| self.is(token, "to"))?.0,
            RoleList::For => self.outside().find(|(_, token)| self.is(token, "for"))?.0,
        };
        let mut rest = self.tokens.get(before + 1..)?;
        // `GROUP x` is an old spelling of `x`; ALTER DEFAULT PRIVILEGES says FOR ROLE or FOR USER.
        let noise = match list {
            RoleList::For => ["role", "user"],
            _ => ["group", "role"],
        };
        while let Some(first) = rest.first().filter(|first| noise.iter().any(|word| self.is(first, word))) {
            let _ = first;
            rest = rest.get(1..)?;
        }
        let start = rest.first()?.span.start;
        let mut roles = Vec::new();
        let mut end = start;
        for pair in rest.chunks(2) {
            let [role, comma @ ..] = pair else { break };
            let public = role.kind == TokenKind::Word && self.is(role, "public");
            roles.push(if public { NamedRole::Public } else { NamedRole::Role(self.name(role)) });
            end = role.span.end;
            if !matches!(comma, [comma] if comma.kind == TokenKind::Symbol(b',')) {
                break;
            }
        }
        Some(NamedRoles { roles, start, end })
    }
}

/// The tokens of each statement, without blanks and semicolons.
fn split(sql: &str, strings: StandardStrings) -> Result<Vec<Vec<Token>>, SqlError> {
    let mut statements = vec![Vec::new()];
    for token in Lexer::new(sql.as_bytes(), strings) {
        let token = token?;
        if token.kind == TokenKind::Symbol(b';') {
            statements.push(Vec::new());
        } else if !token.kind.is_blank() {
            statements.last_mut().expect("there is always a statement").push(token);
        }
    }
    statements.retain(|statement| !statement.is_empty());
    Ok(statements)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn roles() -> Roles {
        let existing = ["dbadmin", "app_ro", "app_rw", "Weird Role; -- \"x\"", "to"].map(str::to_owned);
        Roles { owner: "dbadmin".into(), existing: existing.into(), ..Roles::default() }
    }

    fn grants(sql: &str) -> (Vec<String>, Vec<String>) {
        let resolved = roles().grants(sql, "store_owner", StandardStrings::On).unwrap();
        let statements = resolved.statements.into_iter().map(|granted| match granted.grantor {
            Some(grantor) => format!("{grantor}: {}", granted.sql),
            None => granted.sql,
        });
        (statements.collect(), resolved.missing.into_iter().collect())
    }

    #[test]
    fn the_entrys_owner_becomes_username() {
        let (statements, missing) = grants(
            "REVOKE ALL ON TABLE store.tenant FROM store_owner;\nGRANT ALL ON TABLE store.tenant TO store_owner;\n\
             GRANT SELECT(tenant_id) ON TABLE store.tenant TO \"Weird Role; -- \"\"x\"\"\";\n\
             GRANT SELECT ON TABLE store.\"to\" TO PUBLIC;",
        );
        assert_eq!(
            statements,
            [
                "REVOKE ALL ON TABLE store.tenant FROM dbadmin",
                "GRANT ALL ON TABLE store.tenant TO dbadmin",
                "GRANT SELECT(tenant_id) ON TABLE store.tenant TO \"Weird Role; -- \"\"x\"\"\"",
                "GRANT SELECT ON TABLE store.\"to\" TO PUBLIC",
            ]
        );
        assert!(missing.is_empty());
    }

    #[test]
    fn missing_roles_are_left_out() {
        let (statements, missing) = grants(
            "GRANT SELECT ON TABLE t TO app_ro, nobody WITH GRANT OPTION;GRANT ALL ON FUNCTION f(t integer) TO nobody;\
             REVOKE ALL ON TABLE t FROM GROUP gone CASCADE;",
        );
        assert_eq!(statements, ["GRANT SELECT ON TABLE t TO app_ro WITH GRANT OPTION"]);
        assert_eq!(missing, ["gone", "nobody"]);
    }

    #[test]
    fn a_grantor_other_than_the_owner_grants() {
        let (statements, missing) = grants(
            "SET SESSION AUTHORIZATION app_rw;\nGRANT SELECT ON TABLE t TO app_ro;\nRESET SESSION AUTHORIZATION;\n\
             SET SESSION AUTHORIZATION gone;\nGRANT SELECT ON TABLE t TO app_ro;\nRESET SESSION AUTHORIZATION;\n\
             SET SESSION AUTHORIZATION store_owner;\nGRANT SELECT ON TABLE t TO PUBLIC;\n",
        );
        assert_eq!(
            statements,
            ["app_rw: GRANT SELECT ON TABLE t TO app_ro", "GRANT SELECT ON TABLE t TO PUBLIC"]
        );
        assert_eq!(missing, ["gone"]);
    }

    #[test]
    fn default_privileges_without_an_owner_are_their_roles() {
        let sql = "ALTER DEFAULT PRIVILEGES FOR ROLE gone IN SCHEMA s GRANT SELECT ON TABLES TO app_ro;\n\
             ALTER DEFAULT PRIVILEGES FOR ROLE gone IN SCHEMA s GRANT ALL ON TABLES TO gone;";
        let resolved = roles().grants(sql, "", StandardStrings::On).unwrap();
        assert!(resolved.missing.is_empty());
        let statements: Vec<String> = resolved.statements.into_iter().map(|granted| granted.sql).collect();
        assert_eq!(
            statements,
            [
                "ALTER DEFAULT PRIVILEGES FOR ROLE dbadmin IN SCHEMA s GRANT SELECT ON TABLES TO app_ro",
                "ALTER DEFAULT PRIVILEGES FOR ROLE dbadmin IN SCHEMA s GRANT ALL ON TABLES TO dbadmin",
            ]
        );
    }

    #[test]
    fn the_owner_grants_for_a_role_that_su_username_cannot_become() {
        let roles = Roles { strangers: ["app_rw".to_owned()].into(), ..roles() };
        let sql =
            "SET SESSION AUTHORIZATION app_rw;GRANT SELECT ON TABLE t TO app_ro;RESET SESSION AUTHORIZATION;";
        let resolved = roles.grants(sql, "store_owner", StandardStrings::On).unwrap();
        assert_eq!(
            resolved.statements,
            [Granted { sql: "GRANT SELECT ON TABLE t TO app_ro".into(), grantor: None }]
        );
        assert!(resolved.replaced.contains("app_rw") && resolved.missing.is_empty());
    }

    #[test]
    fn default_privileges_name_two_lists() {
        let (statements, missing) = grants(
            "ALTER DEFAULT PRIVILEGES FOR ROLE store_owner IN SCHEMA store GRANT ALL ON SEQUENCES  TO app_rw;\n\
             ALTER DEFAULT PRIVILEGES FOR ROLE gone REVOKE ALL ON FUNCTIONS  FROM PUBLIC;",
        );
        assert_eq!(
            statements,
            ["ALTER DEFAULT PRIVILEGES FOR ROLE dbadmin IN SCHEMA store GRANT ALL ON SEQUENCES  TO app_rw"]
        );
        assert_eq!(missing, ["gone"]);
    }

    #[test]
    fn policies_keep_the_roles_that_exist() {
        let policy = |sql: &str| {
            let resolved = roles().policy(sql, "store_owner", StandardStrings::On).unwrap();
            resolved.statements.into_iter().map(|granted| granted.sql).collect::<Vec<_>>()
        };
        assert_eq!(
            policy("CREATE POLICY \"p; 2\" ON t FOR SELECT TO app_ro, gone USING ((a = ' TO x'::text));\n"),
            ["CREATE POLICY \"p; 2\" ON t FOR SELECT TO app_ro USING ((a = ' TO x'::text))"]
        );
        assert_eq!(policy("CREATE POLICY p ON t USING (true);"), ["CREATE POLICY p ON t USING (true)"]);
        assert!(policy("CREATE POLICY p ON t TO gone USING (true);").is_empty());
    }

    #[test]
    fn a_user_mapping_of_a_missing_role_is_left_out() {
        let mapping = |sql| roles().user_mapping(sql, "", StandardStrings::On).unwrap().statements.len();
        assert_eq!(mapping("CREATE USER MAPPING FOR app_rw SERVER s OPTIONS (\n    password 'p;w'\n);\n"), 1);
        assert_eq!(mapping("CREATE USER MAPPING FOR PUBLIC SERVER s;"), 1);
        assert_eq!(mapping("CREATE USER MAPPING FOR gone SERVER s;"), 0);
    }
}
