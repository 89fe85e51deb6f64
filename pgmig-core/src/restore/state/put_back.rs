//! Puts back what code of the archive has changed of the target database's own properties and of the role `username`.
//!
//! Code of the archive runs as `username`, in transactions that are committed while the staging database is filled. What it
//! changes outside of that database stays when the restore fails.

use super::Subject;
use super::properties::{Grant, Setting, grants, in_order, settings_of};
use crate::server::TargetError;
use crate::server::catalog::{DatabaseFacts, database_with_oid};
use crate::server::session::Session;
use crate::sql::{quote_ident, quote_literal};
use secrecy::{ExposeSecret as _, SecretString};

/// The properties of the target database and of `username` at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    database: DatabaseFacts,
    grants: Vec<Grant>,
    settings: Vec<Setting>,
    role: RoleSnapshot,
}

#[derive(Debug)]
struct RoleSnapshot {
    name: String,
    /// Of the password; empty if the role has none. `None` if the session may not read it.
    verifier: Option<SecretString>,
    valid_until: String,
    connection_limit: i32,
    comment: Option<String>,
}

/// Statements of one transaction.
type Transaction = Vec<String>;

impl Snapshot {
    /// Reads the properties.
    ///
    /// # Errors
    ///
    /// The catalogs cannot be read, or the database or the role is gone.
    pub(crate) async fn read(
        control: &mut Session,
        subject: Subject<'_>,
    ) -> Result<Option<Self>, TargetError> {
        let Some(database) = database_with_oid(control, subject.database).await? else { return Ok(None) };
        let Some(role) = RoleSnapshot::read(control, subject).await? else { return Ok(None) };
        let grants = grants(control, subject.database).await?;
        let settings = settings_of(control, subject.database, Some(subject.username)).await?;
        Ok(Some(Self { database, grants, settings, role }))
    }

    /// Puts the properties back that differ now. Each kind is a transaction of its own: those that the server refuses stay
    /// as they are.
    ///
    /// # Errors
    ///
    /// The catalogs cannot be read.
    pub(crate) async fn put_back(
        &self,
        control: &mut Session,
        subject: Subject<'_>,
    ) -> Result<(), TargetError> {
        const DOING: &str = "put back what has changed";
        let Some(now) = Self::read(control, subject).await? else { return Ok(()) };
        for transaction in self.transactions(&now, subject.is_superuser) {
            control.begin(DOING).await?;
            let mut done = Ok(());
            for statement in transaction {
                done = done.and(control.execute(&statement, DOING).await.map(|_rows| ()));
                if done.is_err() {
                    break;
                }
            }
            // One that is refused does not keep the others from being put back.
            let _ = control.end(done, DOING).await;
        }
        Ok(())
    }

    /// Gives `username` its password again, as the verifier that the server stores.
    ///
    /// # Errors
    ///
    /// The server refuses it.
    pub(crate) async fn put_back_password(
        &self,
        control: &mut Session,
        verifier: &SecretString,
    ) -> Result<(), TargetError> {
        const DOING: &str = "put back the password of username";
        let role = quote_ident(&self.role.name);
        control.begin(DOING).await?;
        let alter = format!("ALTER ROLE {role} PASSWORD {}", quote_literal(verifier.expose_secret()));
        let done = control.execute(&format!("SET LOCAL ROLE {role}"), DOING).await;
        let done = match done {
            Ok(_) => control.execute(&alter, DOING).await,
            refused => refused,
        };
        control.end(done.map(|_| ()), DOING).await
    }

    fn transactions(&self, now: &Self, is_superuser: bool) -> Vec<Transaction> {
        let name = quote_ident(&self.database.name);
        let mut transactions = Vec::new();
        // The right to rename is that of CREATEDB, which the owner need not have.
        if now.database.name != self.database.name {
            transactions
                .push(vec![format!("ALTER DATABASE {} RENAME TO {name}", quote_ident(&now.database.name))]);
        }
        let own = [self.of_database(now, &name), self.of_privileges(now, &name)];
        transactions
            .extend(own.into_iter().flatten().map(|sql| as_role(sql, &self.database.owner, is_superuser)));
        transactions.extend(
            self.of_role(now, &name).into_iter().map(|sql| as_role(sql, &self.role.name, is_superuser)),
        );
        transactions
    }

    fn of_database(&self, now: &Self, name: &str) -> Vec<Transaction> {
        let (before, now_is) = (&self.database, &now.database);
        let mut statements = Vec::new();
        if before.allows_connections != now_is.allows_connections {
            statements.push(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", before.allows_connections));
        }
        if before.connection_limit != now_is.connection_limit {
            statements.push(format!("ALTER DATABASE {name} CONNECTION LIMIT {}", before.connection_limit));
        }
        if before.is_template != now_is.is_template {
            statements.push(format!("ALTER DATABASE {name} IS_TEMPLATE {}", before.is_template));
        }
        if before.comment != now_is.comment {
            statements.push(format!("COMMENT ON DATABASE {name} IS {}", comment(before.comment.as_deref())));
        }
        statements.extend(self.of_settings(now, name, false));
        statements.into_iter().map(|statement| vec![statement]).collect()
    }

    /// The settings of the database, or those of the role alone.
    fn of_settings(&self, now: &Self, name: &str, of_role: bool) -> Vec<String> {
        let is_wanted = |setting: &&Setting| setting.is_of_role_alone() == of_role;
        let new = now.settings.iter().filter(is_wanted);
        let new = new.filter(|setting| !self.settings.iter().any(|known| known.is_of_same(setting)));
        let changed =
            self.settings.iter().filter(is_wanted).filter(|setting| !now.settings.contains(setting));
        new.map(|setting| setting.reset(name)).chain(changed.map(|setting| setting.set(name))).collect()
    }

    fn of_privileges(&self, now: &Self, name: &str) -> Vec<Transaction> {
        let owner = &self.database.owner;
        let new = now.grants.iter().filter(|grant| !self.grants.contains(grant));
        let gone = self.grants.iter().filter(|grant| !now.grants.contains(grant)).cloned().collect();
        let mut statements: Vec<String> = new.flat_map(|grant| grant.revocation(name, owner)).collect();
        let granted = in_order(gone, owner);
        statements
            .extend(granted.iter().flat_map(|grant| grant.statements(name, owner)).map(|grant| grant.sql));
        if statements.is_empty() { Vec::new() } else { vec![statements] }
    }

    fn of_role(&self, now: &Self, database: &str) -> Vec<Transaction> {
        let (before, now_is) = (&self.role, &now.role);
        let role = quote_ident(&before.name);
        let mut statements = self.of_settings(now, database, true);
        if let (Some(verifier), Some(other)) = (&before.verifier, &now_is.verifier)
            && verifier.expose_secret() != other.expose_secret()
        {
            // The server stores a verifier as it is.
            let verifier = Some(verifier.expose_secret()).filter(|verifier| !verifier.is_empty());
            statements.push(format!("ALTER ROLE {role} PASSWORD {}", comment(verifier)));
        }
        if before.valid_until != now_is.valid_until {
            statements.push(format!("ALTER ROLE {role} VALID UNTIL {}", quote_literal(&before.valid_until)));
        }
        if before.connection_limit != now_is.connection_limit {
            statements.push(format!("ALTER ROLE {role} CONNECTION LIMIT {}", before.connection_limit));
        }
        if before.comment != now_is.comment {
            statements.push(format!("COMMENT ON ROLE {role} IS {}", comment(before.comment.as_deref())));
        }
        statements.into_iter().map(|statement| vec![statement]).collect()
    }
}

impl RoleSnapshot {
    async fn read(control: &mut Session, subject: Subject<'_>) -> Result<Option<Self>, TargetError> {
        let (catalog, verifier) = if subject.is_superuser {
            ("pg_authid", "COALESCE(r.rolpassword, '')")
        } else {
            ("pg_roles", "NULL")
        };
        let sql = format!(
            "SELECT {verifier}, COALESCE(r.rolvaliduntil, 'infinity'), r.rolconnlimit, \
             pg_catalog.shobj_description(r.oid, 'pg_authid') FROM pg_catalog.{catalog} r WHERE r.rolname = {}",
            quote_literal(subject.username)
        );
        let rows = control.rows(&sql, "read the attributes of username").await?;
        Ok(rows.first().map(|row| Self {
            name: subject.username.to_owned(),
            verifier: row.get(0).map(SecretString::from),
            valid_until: row.text(1).to_owned(),
            connection_limit: row.number(2),
            comment: row.get(3).map(str::to_owned),
        }))
    }
}

fn as_role(transaction: Transaction, role: &str, is_superuser: bool) -> Transaction {
    if is_superuser {
        return transaction;
    }
    std::iter::once(format!("SET LOCAL ROLE {}", quote_ident(role))).chain(transaction).collect()
}

fn comment(text: Option<&str>) -> String {
    text.map_or("NULL".to_owned(), quote_literal)
}
