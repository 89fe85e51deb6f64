//! Plans entries that name roles: grants, default privileges, policies, user mappings.

use super::Planner;
use crate::archive::{Entry, EntryKind};
use crate::progress::{Notice, NoticeCode};
use crate::restore::plan::RunAs;
use crate::restore::plan::entry::{label, owner, sql};
use crate::restore::plan::expected::Expected;
use crate::restore::plan::roles::{Granted, Resolved, Roles, default_role};
use crate::restore::plan::words::significant;
use crate::sql::{SqlError, StandardStrings, Token, quote_ident};

impl Planner<'_> {
    /// Grants and default privileges. A role that may grant runs each.
    pub(crate) fn grants(&mut self, entry: &Entry) {
        let Some(sql) = self.of_restored_object(entry) else { return };
        if let Some(role) = self.other_default_role(entry, sql) {
            return self.default_privileges_of_another(entry, sql, &role);
        }
        // Every object has been handed over by then.
        let is_superusers = self.describes(entry, &self.superusers);
        let run_as = if is_superusers { RunAs::Superuser } else { RunAs::Owner };
        let resolved = self.facts.roles.grants(sql, owner(entry), self.strings);
        let Some(resolved) = self.resolved(entry, resolved) else { return };
        let mut statements = Vec::new();
        for granted in resolved.statements {
            let run_as = match granted.grantor {
                // Only what another role had granted on an object is for that role to grant.
                Some(grantor) if is_grant_on_object(&granted.sql, self.strings) => RunAs::Grantor(grantor),
                _ => run_as.clone(),
            };
            statements
                .extend(self.for_each_large_object(entry, &granted.sql).map(|sql| (run_as.clone(), sql)));
        }
        let owner = &self.facts.roles.owner;
        if statements.iter().any(|(_, sql)| closes_schema(sql, owner, self.strings)) {
            let task = self.task(entry, statements);
            self.closing.push(task);
            return;
        }
        self.push(entry, statements);
    }

    /// The role of default privileges that are not the application's. A role that owns nothing else in the archive is not
    /// the application. If no entry names an owner, a role of this cluster is not, either.
    fn other_default_role(&self, entry: &Entry, sql: &str) -> Option<String> {
        let roles = &self.facts.roles;
        if entry.kind != EntryKind::DefaultAcl || roles.assumes_all {
            return None;
        }
        let role = default_role(sql, self.strings).filter(|role| *role != roles.owner)?;
        let is_application = match self.owners.is_empty() {
            true => !roles.existing.contains(&role),
            false => self.owners.contains(&role),
        };
        (!is_application).then_some(role)
    }

    /// Default privileges of a role that is not the application's owner. They stay its own: as `username`'s, they would
    /// open tables that the source has never opened.
    fn default_privileges_of_another(&mut self, entry: &Entry, sql: &str, role: &str) {
        let resolved = self.facts.roles.default_privileges_of_others(sql, self.strings);
        let Some(resolved) = self.resolved(entry, resolved) else { return };
        // What another role runs, or is asked to run, must be nothing else, whatever the archive says.
        let is_default = |sql: &String| default_role(sql, self.strings).as_deref() == Some(role);
        let statements: Vec<String> =
            resolved.statements.into_iter().map(|granted| granted.sql).filter(is_default).collect();
        if statements.is_empty() {
            return;
        }
        if self.facts.roles.strangers.contains(role) {
            let role = quote_ident(role);
            let text = format!(
                "{} was left out: it belongs to role {role}, which owns nothing else in the backup and which code of the \
                 backup may not become; to set it, run as {role} or as a superuser: {}",
                label(entry),
                statements.join("; ")
            );
            self.plan.notices.push(Notice::warning(NoticeCode::PrivilegesLeftOut, text));
            return;
        }
        let run_as = RunAs::Grantor(role.to_owned());
        self.push(entry, statements.into_iter().map(|sql| (run_as.clone(), sql)).collect());
    }

    /// The GRANT of a group names its first large object only, and applies to each of the group.
    fn for_each_large_object(&self, entry: &Entry, sql: &str) -> impl Iterator<Item = String> + use<> {
        let group = entry.dependencies.iter().find_map(|id| self.groups.get(id));
        let statements: Vec<String> = match group {
            Some(oids) if oids.len() > 1 => {
                let first = oids.first().map(ToString::to_string).unwrap_or_default();
                let named = format!("LARGE OBJECT {first} ");
                oids.iter().map(|oid| sql.replacen(&named, &format!("LARGE OBJECT {oid} "), 1)).collect()
            }
            _ => vec![sql.to_owned()],
        };
        statements.into_iter()
    }

    /// An entry whose statement names roles.
    pub(crate) fn with_roles(
        &mut self,
        entry: &Entry,
        resolve: fn(&Roles, &str, &str, StandardStrings) -> Result<Resolved, SqlError>,
    ) {
        let Some(sql) = sql(entry) else { return };
        if self.belongs_to_skipped(entry, sql) {
            return;
        }
        let resolved = resolve(&self.facts.roles, sql, owner(entry), self.strings);
        let Some(resolved) = self.resolved(entry, resolved) else { return };
        if resolved.statements.is_empty() {
            self.skipped.insert(entry.dump_id);
            return;
        }
        self.plan.expected.extend(Expected::of(entry, sql, self.strings));
        let run_as = self.builder(entry);
        let written = resolved.statements.into_iter().map(|Granted { sql, .. }| sql);
        let statements = match self.required_right(entry, sql) {
            Some(reason) => {
                let written: Vec<String> = written.collect();
                self.as_superuser(entry, &written.join(";\n"), Some(reason))
            }
            None => written.map(|sql| (run_as.clone(), sql)).collect(),
        };
        self.push(entry, statements);
    }

    /// Warns of roles that are missing. SQL that cannot be parsed is planned as it is: the server then reports the fault,
    /// and the error names the entry.
    fn resolved(&mut self, entry: &Entry, resolved: Result<Resolved, SqlError>) -> Option<Resolved> {
        let Ok(resolved) = resolved else {
            let statement = sql(entry)?.to_owned();
            self.push(entry, vec![(RunAs::Owner, statement)]);
            return None;
        };
        if !resolved.missing.is_empty() {
            let names: Vec<String> = resolved.missing.iter().map(|role| quote_ident(role)).collect();
            let what =
                if resolved.statements.is_empty() { "was left out" } else { "was restored without it" };
            let text = format!(
                "{} names the role {}, which this cluster does not have, and {what}",
                label(entry),
                names.join(", ")
            );
            self.plan.notices.push(Notice::warning(NoticeCode::RoleMissing, text));
        }
        if !resolved.replaced.is_empty() {
            let names: Vec<String> = resolved.replaced.iter().map(|role| quote_ident(role)).collect();
            let owner = quote_ident(&self.facts.roles.owner);
            let text = format!(
                "{}: {owner} grants what {} had granted, as pgmig cannot become that role",
                label(entry),
                names.join(", ")
            );
            self.plan.notices.push(Notice::warning(NoticeCode::GrantorReplaced, text));
        }
        Some(resolved)
    }
}

/// Whether a statement grants or revokes privileges on an object in the database: nothing that all databases share, and no
/// role.
fn is_grant_on_object(sql: &str, strings: StandardStrings) -> bool {
    const SHARED: [&str; 4] = ["database", "tablespace", "parameter", "foreign"];
    let tokens = significant(sql, strings);
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    let begins = tokens.first().is_some_and(|token| is(token, "grant") || is(token, "revoke"));
    let mut after_on = tokens.iter().skip_while(|token| !is(token, "on")).skip(1);
    let object = after_on.next();
    begins && object.is_some_and(|object| !SHARED.iter().any(|shared| is(object, shared)))
}

/// Whether a statement takes privileges on a schema away from this role.
fn closes_schema(sql: &str, role: &str, strings: StandardStrings) -> bool {
    let tokens = significant(sql, strings);
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    let is_revoke = tokens.first().is_some_and(|token| is(token, "revoke"));
    let mut on = tokens.iter().skip_while(|token| !is(token, "on")).skip(1);
    let mut from = tokens.iter().skip_while(|token| !is(token, "from")).skip(1);
    is_revoke
        && on.next().is_some_and(|object| is(object, "schema"))
        && from.any(|token| token.name(sql).is_some_and(|name| name == role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_close_a_schema_are_recognised() {
        let closes = |sql| closes_schema(sql, "store app", StandardStrings::On);
        assert!(closes("REVOKE ALL ON SCHEMA s FROM \"store app\";"));
        assert!(closes("REVOKE USAGE ON SCHEMA \"from\" FROM other, \"store app\""));
        for sql in [
            "REVOKE ALL ON SCHEMA s FROM PUBLIC",
            "GRANT ALL ON SCHEMA s TO \"store app\"",
            "REVOKE ALL ON TABLE s.schema FROM \"store app\"",
            "REVOKE ALL ON SCHEMA \"store app\" FROM other",
        ] {
            assert!(!closes(sql), "{sql}");
        }
    }

    #[test]
    fn another_role_grants_on_objects_only() {
        let is_grant = |sql| is_grant_on_object(sql, StandardStrings::On);
        assert!(is_grant("GRANT SELECT(a),UPDATE ON TABLE s.t TO x"));
        assert!(is_grant("REVOKE GRANT OPTION FOR ALL ON FUNCTION s.f(integer) FROM x"));
        for sql in [
            "GRANT ALL ON DATABASE other TO x",
            "GRANT ALL ON TABLESPACE fast TO x",
            "GRANT SET ON PARAMETER work_mem TO x",
            "GRANT USAGE ON FOREIGN DATA WRAPPER w TO x",
            "GRANT pg_write_server_files TO x",
            "CREATE ROLE x SUPERUSER",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x",
        ] {
            assert!(!is_grant(sql), "{sql}");
        }
    }
}
