//! A login: a role and its password.

use secrecy::SecretString;

/// A role and its password. `Debug` does not show the password.
#[derive(Debug, Clone)]
pub struct Login {
    user: String,
    password: Option<SecretString>,
}

impl Login {
    /// A role that logs in with this password. Without a password, the server must admit the role by other means.
    pub fn new(user: impl Into<String>, password: Option<SecretString>) -> Self {
        Self { user: user.into(), password }
    }

    /// The role's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        let login = Login::new("app", Some(SecretString::from("s3cret")));
        let shown = format!("{login:?}");
        assert!(shown.contains("app") && !shown.contains("s3cret"), "{shown}");
    }
}
