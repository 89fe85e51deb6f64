//! The secret of the product without which a backup of its store cannot be used.

use crate::archive::Archive;
use crate::backup::store::Store;
use crate::migrations::History;
use crate::profile::{Release, SchemaVersion};
use crate::progress::{Notice, NoticeCode};
use std::path::Path;

/// The profile of the stores that have the secret.
const PROFILE: &str = "assistant";
/// The first release with the secret.
const SINCE: Release = Release { major: 4, minor: 8, patch: 0 };
/// The beginning of the database's name; the instance's name follows.
const DATABASE: &str = "conversation_pprd_";

/// The schema version of the store in the archive, and a reminder of its secret if it has one.
pub(super) fn look(path: &Path, database: &str) -> (Option<SchemaVersion>, Option<Notice>) {
    let Ok(archive) = Archive::open(path) else { return (None, None) };
    let Ok(Some(store)) = Store::recognise(&archive, None) else { return (None, None) };
    let version = match store.history(&archive) {
        Ok(History::Known(applied)) => applied.iter().map(|migration| migration.version).max(),
        _ => None,
    };
    let version = version.map(|version| store.profile.releases().schema_version(version));
    let has_secret = store.profile.name() == PROFILE && may_have_secret(version.as_ref());
    (version, has_secret.then(|| reminder(database)))
}

/// Whether a store with this schema may be of a release that has the secret.
fn may_have_secret(version: Option<&SchemaVersion>) -> bool {
    version.and_then(|version| version.last_release).is_none_or(|last| last >= SINCE)
}

/// The reminder, with the command that saves the secret.
fn reminder(database: &str) -> Notice {
    let is_plain = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let instance = database.strip_prefix(DATABASE).filter(is_plain).unwrap_or("INSTANCE");
    let text = format!(
        "the backup does not hold the encryption key, which the store needs from release {}.{} on; save its secret beside \
         the backup: oc get secret {instance}-auth-encryption -o yaml > auth-encryption-secret.yaml",
        SINCE.major, SINCE.minor
    );
    Notice::note(NoticeCode::SaveEncryptionKey, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn the_command_names_the_instance() {
        let names = |database: &str| reminder(database).text.contains("secret wa-auth-encryption ");
        assert!(names("conversation_pprd_wa"));
        assert!(!names("conversation_icp_wa") && !names("conversation_pprd_wa;x"));
        assert!(reminder("store").text.contains("secret INSTANCE-auth-encryption "));
    }

    #[test]
    fn releases_before_the_secret_are_not_reminded() {
        let profile = Profile::builtin(PROFILE).expect("it is built in");
        let releases = profile.releases();
        for (release, version) in releases.iter() {
            let version = releases.schema_version(version);
            // Several releases may have one schema.
            let expected = version.last_release.is_some_and(|last| last >= SINCE);
            assert_eq!(may_have_secret(Some(&version)), expected, "{release}");
        }
        assert!(may_have_secret(None));
    }
}
