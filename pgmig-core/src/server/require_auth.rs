//! `PGREQUIREAUTH`: the ways to log in that the operator allows the server to ask for.

use std::fmt;
use std::str::FromStr;

/// How a login went, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// The server asked for nothing: trust, peer, ident, or a client certificate.
    None,
    /// The password itself.
    Password,
    /// A salted MD5 hash of the password.
    Md5,
    /// SCRAM-SHA-256.
    Scram,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Password => "password",
            Self::Md5 => "md5",
            Self::Scram => "scram-sha-256",
        })
    }
}

/// The methods that may be used. By default all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RequireAuth {
    /// `None` where nothing is required.
    allowed: Option<Vec<Method>>,
}

impl RequireAuth {
    pub(super) fn allows(&self, method: Method) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&method))
    }

    /// Whether the operator named the method, rather than left it open.
    pub(super) fn names(&self, method: Method) -> bool {
        self.allowed.as_ref().is_some_and(|allowed| allowed.contains(&method))
    }
}

const ALL: [Method; 4] = [Method::None, Method::Password, Method::Md5, Method::Scram];

impl FromStr for RequireAuth {
    type Err = &'static str;

    /// A list such as `scram-sha-256,md5`, or of what is not allowed: `!password,!none`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "a list of password, md5, gss, sspi, scram-sha-256, oauth, none, all or none of them negated with !";
        let entries: Vec<&str> = text.split(',').map(str::trim).collect();
        let is_negative = entries.iter().all(|entry| entry.starts_with('!'));
        let mut named = Vec::new();
        for entry in entries {
            let name = if is_negative { entry.strip_prefix('!').unwrap_or(entry) } else { entry };
            match name {
                "none" => named.push(Method::None),
                "password" => named.push(Method::Password),
                "md5" => named.push(Method::Md5),
                "scram-sha-256" => named.push(Method::Scram),
                // pgmig speaks none of them, so a list that allows them allows nothing more.
                "gss" | "sspi" | "oauth" => {}
                _ => return Err(EXPECTED),
            }
        }
        let allowed = ALL.into_iter().filter(|method| named.contains(method) != is_negative).collect();
        Ok(Self { allowed: Some(allowed) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn lists_allow_or_forbid() {
        let only: RequireAuth = "scram-sha-256, gss".parse().unwrap();
        assert!(only.allows(Method::Scram) && only.names(Method::Scram));
        assert!(!only.allows(Method::None) && !only.allows(Method::Password));
        let without: RequireAuth = "!password,!none".parse().unwrap();
        assert!(without.allows(Method::Scram) && without.allows(Method::Md5));
        assert!(!without.allows(Method::Password) && !without.allows(Method::None));
        let any = RequireAuth::default();
        assert!(any.allows(Method::Password) && !any.names(Method::Password));
    }

    #[test]
    fn mixtures_and_unknown_methods_are_refused() {
        for text in ["password,!md5", "kerberos", "", "scram-sha-256,", "!"] {
            assert!(text.parse::<RequireAuth>().is_err(), "{text}");
        }
    }
}
