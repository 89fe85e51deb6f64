//! The objects that remain in the cleared target, and the rights that `username` has on them.

use crate::progress::{Notice, NoticeCode};
use crate::restore::clearing::catalog::Catalog;
use crate::restore::clearing::object::Object;
use crate::restore::plan::Facts;
use crate::restore::plan::facts::SchemaRights;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{quote_ident, quote_literal};
use std::collections::{BTreeMap, BTreeSet};

const NAMED: usize = 10;

/// The objects that stay, and the rights of `username`.
#[derive(Debug, Default)]
pub(crate) struct Staying {
    extensions: BTreeSet<String>,
    schemas: BTreeMap<String, SchemaRights>,
    /// Foreign data wrappers for which `username` may create servers.
    wrappers: BTreeSet<String>,
    /// Whether `username` may create schemas, extensions and publications.
    creates_in_database: bool,
    /// Whether there are subscriptions in the database.
    has_subscriptions: bool,
    /// Objects of other roles.
    objects: Vec<Object>,
    /// Their indexes, row types and members of extensions, which also take names.
    taken: Vec<Object>,
}

impl Staying {
    /// Asks the server.
    pub(crate) async fn of(
        session: &mut Session,
        owner: &str,
        catalog: &Catalog,
    ) -> Result<Self, TargetError> {
        let Catalog { kept, staying: objects, taken, .. } = catalog;
        let (objects, taken) = (objects.clone(), taken.clone());
        let doing = "read what stays in the target";
        let role = quote_literal(owner);
        // Extensions of `username` are dropped. Only the system's extensions and those in `objects` stay.
        let names = |kind: &str| -> BTreeSet<String> {
            objects
                .iter()
                .filter(|object| object.kind == kind)
                .map(|object| object.identity.clone())
                .collect()
        };
        let (mut extensions, mut schemas) = (BTreeSet::new(), BTreeMap::new());
        let not_ours = names("extension");
        let rows = session.rows("SELECT extname, oid < 16384 FROM pg_extension", doing).await?;
        for row in rows.iter().filter(|row| row.is_true(1) || not_ours.contains(&quote_ident(row.text(0)))) {
            extensions.insert(row.text(0).to_owned());
        }
        let not_ours = names("schema");
        let sql = format!(
            "SELECT nspname, pg_has_role({role}, nspowner, 'USAGE'), has_schema_privilege({role}, oid, 'CREATE') \
             FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        );
        for row in session.rows(&sql, doing).await? {
            let name = row.text(0);
            if kept.contains(name) || not_ours.contains(&quote_ident(name)) {
                let rights = SchemaRights { owns: row.is_true(1), creates: row.is_true(1) || row.is_true(2) };
                schemas.insert(name.to_owned(), rights);
            }
        }
        let sql = format!(
            "SELECT fdwname FROM pg_foreign_data_wrapper WHERE has_foreign_data_wrapper_privilege({role}, oid, 'USAGE')"
        );
        let wrappers = session.rows(&sql, doing).await?.iter().map(|row| row.text(0).to_owned()).collect();
        let sql = format!("SELECT has_database_privilege({role}, current_database(), 'CREATE')");
        let creates_in_database = session.holds(&sql, doing).await?;
        let sql = "SELECT EXISTS (SELECT subdbid FROM pg_subscription WHERE subdbid = \
                   (SELECT oid FROM pg_database WHERE datname = current_database()))";
        let has_subscriptions = session.holds(sql, doing).await?;
        Ok(Self { extensions, schemas, wrappers, creates_in_database, has_subscriptions, objects, taken })
    }

    /// Adds this to the facts of the planner.
    pub(crate) fn describe(&self, facts: &mut Facts) {
        let database = &mut facts.database;
        database.extensions.clone_from(&self.extensions);
        database.schemas.clone_from(&self.schemas);
        database.wrappers.clone_from(&self.wrappers);
        database.closed = !self.creates_in_database;
        database.not_ours = self
            .objects
            .iter()
            .chain(&self.taken)
            .map(|object| (object.kind.as_str(), object.identity.as_str(), object.owner.as_str()))
            .collect();
        facts.owner_owns_public = self.schemas.get("public").is_none_or(|rights| rights.owns);
    }

    /// Notices about the objects and subscriptions that stay.
    pub(crate) fn notices(&self, owner: &str) -> Vec<Notice> {
        let mut notices = Vec::new();
        let named = |object: &Object| format!("{} {} of {}", object.kind, object.identity, object.owner);
        let some: Vec<String> = self.objects.iter().take(NAMED).map(named).collect();
        if !some.is_empty() {
            let more = if self.objects.len() > NAMED { ", ..." } else { "" };
            let text = format!(
                "what does not belong to {} stays in the target as it is: {}{more}",
                quote_ident(owner),
                some.join(", ")
            );
            notices.push(Notice::note(NoticeCode::ObjectsOfOthersStay, text));
        }
        if self.has_subscriptions {
            let text =
                "the target has subscriptions, which stay but lose their tables: run ALTER SUBSCRIPTION ... \
                        REFRESH PUBLICATION when it is restored"
                    .to_owned();
            notices.push(Notice::warning(NoticeCode::SubscriptionsLoseTables, text));
        }
        notices
    }
}
