//! The target's privileges that belong to no object of the backup, and the privileges that a restored database must have.

use super::acl::{Acl, Key, Wanted};
use super::catalog::{self, Catalog, Held};
use super::statement::{Kind, Object, Statement};
use crate::progress::{Notice, NoticeCode};
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::quote_ident;
use std::collections::{BTreeMap, BTreeSet};

/// Default privileges, and grants on schema public. The platform of the target may have set them.
#[derive(Debug, Default)]
pub(crate) struct TargetPrivileges {
    privileges: BTreeMap<Object, Wanted>,
    catalog: Catalog,
    server_version: i32,
}

impl TargetPrivileges {
    /// Reads them from the target. With `only_of`, the target itself is cleared: only the default privileges of these roles
    /// are lost, and schema public is reset if `username` has the rights of its owner.
    ///
    /// # Errors
    ///
    /// The catalogs cannot be read.
    pub(crate) async fn read(
        target: &mut Session,
        username: &str,
        only_of: Option<&[&str]>,
    ) -> Result<Self, TargetError> {
        let catalog = catalog::read(target, username, &BTreeSet::from(["public"])).await?;
        let mut read = Self { privileges: BTreeMap::new(), catalog, server_version: target.server_version() };
        for (object, held) in &read.catalog.objects {
            let is_lost = match object.kind {
                Kind::Default => only_of.is_none_or(|roles| roles.contains(&object.name.as_str())),
                Kind::Schema => object.name == "public" && (only_of.is_none() || held.is_own),
                _ => false,
            };
            let changed =
                if is_lost { changed(&read.of_new_database(object, held), held) } else { Wanted::default() };
            if !changed.0.is_empty() {
                read.privileges.insert(object.clone(), changed);
            }
        }
        Ok(read)
    }

    /// The privileges in a new database.
    fn of_new_database(&self, object: &Object, held: &Held) -> Acl {
        if object.kind == Kind::Default {
            return self.catalog.initial_default(object);
        }
        let mut acl = self.catalog.initial(&held.letter, &held.owner);
        let of_public: &[&str] =
            if self.server_version >= 150_000 { &["USAGE"] } else { &["USAGE", "CREATE"] };
        acl.extend(of_public.iter().map(|privilege| (Key::whole("", privilege), false)));
        acl
    }

    /// Warns of privileges that will not be there after these statements of the archive, and forgets them.
    pub(crate) fn foretell(&mut self, statements: &[Statement]) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (object, wanted) in std::mem::take(&mut self.privileges) {
            let Some(held) = self.catalog.objects.get(&object) else { continue };
            let mut restored = Wanted::of(&self.of_new_database(&object, held));
            let all = self.catalog.all_of(&object);
            for statement in statements.iter().filter(|statement| statement.object == object) {
                restored.apply(statement, &all);
            }
            let restored: Acl =
                restored.0.into_iter().filter_map(|(key, option)| Some((key, option?))).collect();
            match lost(&object, held, &wanted, &restored) {
                Some(notice) => notices.push(notice),
                None => drop(self.privileges.insert(object, wanted)),
            }
        }
        notices
    }
}

/// The differences from a new database, without those of the owner.
fn changed(new: &Acl, held: &Held) -> Wanted {
    let keys: BTreeSet<&Key> = new.keys().chain(held.acl.keys()).collect();
    let differs = |key: &&Key| key.grantee != held.owner && new.get(key) != held.acl.get(key);
    let keys = keys.into_iter().filter(differs);
    Wanted(keys.map(|key| (key.clone(), held.acl.get(key).copied())).collect())
}

fn lost(object: &Object, held: &Held, wanted: &Wanted, restored: &Acl) -> Option<Notice> {
    let mut statements = wanted.statements(restored, object, &held.written, &held.owner);
    if statements.is_empty() {
        return None;
    }
    // Default privileges do not apply to tables that are there already.
    if object.kind == Kind::Default
        && !object.schema.is_empty()
        && matches!(object.arguments.as_str(), "r" | "S" | "f")
    {
        let on = format!("ALL {} IN SCHEMA {}", object.objects_made(), quote_ident(&object.schema));
        let mut granted = wanted.clone();
        granted.0.retain(|_, option| option.is_some());
        statements.extend(granted.framed(restored, ("", &on), &held.owner));
    }
    let text = format!(
        "the target has privileges on {} that the backup does not have, and the restored database will not have them; to \
         set them again, run after the restore: {}",
        object.label(&held.written),
        statements.join("; ")
    );
    Some(Notice::warning(NoticeCode::TargetPrivilegesLost, text))
}

/// The privileges that each object of the restored database must have: those of a new object, changed as the target and
/// the archive's statements say. Objects of other roles must have only what these say.
pub(crate) fn wanted(
    restored: &Catalog,
    username: &str,
    statements: &[Statement],
    target: &TargetPrivileges,
    is_complete: bool,
) -> BTreeMap<Object, Wanted> {
    let is_own = |object: &Object, held: &Held| match object.kind {
        Kind::Default => object.name == username,
        _ => held.is_of_user && held.owner == username && !is_public(object),
    };
    let mut all_wanted: BTreeMap<Object, Wanted> = BTreeMap::new();
    for (object, held) in restored.objects.iter().filter(|(object, held)| is_own(object, held)) {
        let initial = match object.kind {
            Kind::Default => restored.initial_default(object),
            _ => restored.initial(&held.letter, &held.owner),
        };
        all_wanted.insert(object.clone(), Wanted::of(&initial));
    }
    for (object, privileges) in &target.privileges {
        all_wanted.entry(object.clone()).or_default().0.extend(privileges.0.clone());
    }
    let is_there = |object: &Object| object.kind == Kind::Default || restored.objects.contains_key(object);
    let is_complete = is_complete && statements.iter().all(|statement| is_there(&statement.object));
    for statement in statements.iter().filter(|statement| is_there(&statement.object)) {
        let wanted = all_wanted.entry(statement.object.clone()).or_default();
        wanted.apply(statement, &restored.all_of(&statement.object));
    }
    // If a statement was not understood, it may be the one that grants.
    if is_complete {
        for (object, held) in restored.objects.iter().filter(|(object, held)| is_own(object, held)) {
            if let Some(wanted) = all_wanted.get_mut(object) {
                wanted.close(&held.acl);
            }
        }
    }
    all_wanted
}

fn is_public(object: &Object) -> bool {
    object.kind == Kind::Schema && object.name == "public"
}
