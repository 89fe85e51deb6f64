//! Empties the target: drops its objects in a safe order, or refuses if an object is in the way.
//!
//! pgmig drops the objects of `username`, and those of `su_username` if it is a superuser. Two kinds of schemas stay:
//! `public`, and schemas that hold an extension of another role. They get the comment and the privileges of a new
//! database.
//!
//! pgmig drops no object of another role. It refuses to clear if such an object would be dropped along with ours, or
//! blocks the DROP. `DROP OWNED` does not fit: it would also revoke the role's privileges on other roles' objects,
//! and drop schema `public`.

mod catalog;
mod drop;
mod object;
mod remaining;
mod reset;

use crate::error::Result;
use crate::progress::Notice;
use crate::restore::plan::Facts;
use crate::restore::refusal::Refusal;
use crate::server::catalog::is_superuser;
use crate::server::session::Session;
use crate::sql::quote_ident;
use catalog::Catalog;
use object::{Object, Obstacle};
use remaining::Staying;

/// The objects to be dropped from the target before it is restored, and those that stay.
#[derive(Debug)]
pub(crate) struct Clearing {
    /// `username`.
    owner: String,
    /// Whether the login role is a superuser, and so drops as itself.
    as_superuser: bool,
    /// A query for the roles whose objects are dropped.
    ours: String,
    /// Objects that are each named in a DROP.
    roots: Vec<Object>,
    /// The number of objects that are dropped, including parts and large objects.
    going: u64,
    staying: Staying,
}

impl Clearing {
    /// Reads the catalogs of the target and plans its clearing. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::CannotClear`], which lists all obstacles at once: objects of other roles that would be dropped
    /// along with those of `owner`, or that block the DROP.
    pub(crate) async fn of(session: &mut Session, owner: &str) -> Result<Self> {
        let as_superuser = is_superuser(session).await?;
        let ours = catalog::ours(owner);
        let mut catalog = catalog::read(session, &ours).await?;
        refuse(owner, std::mem::take(&mut catalog.obstacles))?;
        let staying = Staying::of(session, owner, &catalog).await?;
        let Catalog { roots, going, large_objects, .. } = catalog;
        let owner = owner.to_owned();
        Ok(Self { owner, as_superuser, ours, roots, going: going + large_objects, staying })
    }

    /// The objects in the way of clearing the target, one line each.
    ///
    /// # Errors
    ///
    /// The catalogs cannot be read.
    pub(crate) async fn obstacles(session: &mut Session, owner: &str) -> Result<Vec<String>> {
        let catalog = catalog::read(session, &catalog::ours(owner)).await?;
        Ok(catalog.obstacles.iter().map(ToString::to_string).collect())
    }

    /// Adds to `facts` the objects that remain after the clearing. Call it before
    /// [`Plan::new`](crate::restore::plan::Plan::new).
    pub(crate) fn describe(&self, facts: &mut Facts) {
        self.staying.describe(facts);
    }

    /// Notices about the objects that stay.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.staying.notices(&self.owner)
    }

    /// How many objects are dropped, including parts and large objects: each needs a lock.
    pub(crate) fn going(&self) -> u64 {
        self.going
    }

    /// Drops the objects, in the open transaction in which [`Clearing::of`] was called, with all tables locked. The
    /// session's `search_path` must be empty, as it is from the start: catalog names are used unqualified.
    ///
    /// # Errors
    ///
    /// The server refuses to drop an object; another object was dropped along with ours; or some of ours are left.
    pub(crate) async fn clear(&self, session: &mut Session) -> Result<()> {
        session.become_role((!self.as_superuser).then_some(self.owner.as_str())).await?;
        self.drop_all(session).await?;
        reset::unlink_large_objects(session, &self.ours).await?;
        reset::make_public(session).await?;
        reset::reset_default_privileges(session, &self.ours).await?;
        reset::reset_schemas(session, &self.owner, &self.ours).await?;
        Ok(())
    }

    async fn drop_all(&self, session: &mut Session) -> Result<()> {
        let before = catalog::others(session, &self.ours).await?;
        for statement in drop::statements(&self.roots) {
            session.execute(&statement, "drop what the target holds").await?;
        }
        let after = catalog::others(session, &self.ours).await?;
        let lost = before.difference(&after).map(|address| Obstacle {
            object: format!("the object with OID {} in catalog {}", address.object, address.class),
            owner: "another role".to_owned(),
            because_of: None,
        });
        let left = match catalog::read(session, &self.ours).await?.going {
            0 => None,
            left => Some(Obstacle {
                object: format!("{left} objects that are left"),
                owner: quote_ident(&self.owner),
                because_of: None,
            }),
        };
        refuse(&self.owner, lost.chain(left).collect())
    }
}

/// Takes ACCESS EXCLUSIVE on our tables first, so that a conflicting session shows up before anything is dropped.
pub(crate) async fn lock_tables(session: &mut Session, owner: &str) -> Result<()> {
    let doing = "lock the target's tables";
    let ours = catalog::ours(owner);
    let tables = format!(
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relisshared \
         AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' \
         AND c.relowner IN ({ours}) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = c.oid \
             AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)"
    );
    // LOCK TABLE requires rights that an owner can have revoked from itself. The tables are dropped in this transaction.
    let grants = format!(
        "SELECT pg_catalog.string_agg(g.statement, '; ' ORDER BY g.step, g.statement) FROM ( \
             SELECT DISTINCT 1 AS step, pg_catalog.format('GRANT USAGE ON SCHEMA %I TO CURRENT_USER', n.nspname) AS statement \
                 {tables} AND n.nspowner IN ({ours}) AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
             UNION ALL SELECT 2, pg_catalog.format('GRANT TRUNCATE ON TABLE %I.%I TO CURRENT_USER', n.nspname, c.relname) \
                 {tables} AND NOT pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')) g"
    );
    if let Some(grants) = session.optional(&grants, doing).await? {
        session.execute(&grants, doing).await?;
    }
    let sql = format!(
        "SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ', ' ORDER BY c.oid) {tables}"
    );
    if let Some(tables) = session.optional(&sql, doing).await? {
        session.execute(&format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"), doing).await?;
    }
    Ok(())
}

fn refuse(owner: &str, obstacles: Vec<Obstacle>) -> Result<()> {
    if obstacles.is_empty() {
        return Ok(());
    }
    let obstacles = obstacles.iter().map(ToString::to_string).collect();
    Err(Refusal::CannotClear { owner: quote_ident(owner), obstacles }.into())
}
