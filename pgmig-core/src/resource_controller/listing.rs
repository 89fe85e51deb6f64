//! The instances that are provisioned on the target, merged from what every token sees.

use super::config::ServiceType;
use super::connection::{TlsInfo, Verification};
use super::entry::Entry;
use crate::instance::{Candidate, InstanceId};
use std::collections::HashMap;

/// What the Resource Controller lists.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listing {
    /// Where it was asked, without the path.
    pub url: String,
    /// The instances that can be restored to, each once, in the order of the first token that sees each.
    pub instances: Vec<ProvisionedInstance>,
    /// Those that cannot, each once.
    pub unusable: Vec<UnusableInstance>,
    /// What each token sees, in the order of `accessTokens`.
    pub tokens: Vec<TokenListing>,
    /// How the connection was secured.
    pub tls: TlsInfo,
}

/// An instance that can be restored to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvisionedInstance {
    /// Its ID, made from the platform's number where that is what is listed.
    pub id: InstanceId,
    /// What its owner calls it.
    pub name: Option<String>,
    /// The cluster's namespace that it is in.
    pub namespace: Option<String>,
    /// What it is: `assistant`, `orchestrate`.
    pub kind: Option<String>,
    /// Positions in `accessTokens`, 1-based, of the tokens that see it.
    pub tokens: Vec<usize>,
}

impl From<&ProvisionedInstance> for Candidate {
    fn from(instance: &ProvisionedInstance) -> Self {
        Self { id: instance.id, name: instance.name.clone() }
    }
}

/// An instance that cannot be restored to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnusableInstance {
    /// Its ID, where it has one.
    pub id: Option<InstanceId>,
    /// What its owner calls it.
    pub name: Option<String>,
    /// The server's word for its state (`PROVISION_IN_PROGRESS`, `FAILED`); `None` where it is provisioned, but
    /// has no ID that is a number or a UUID.
    pub status: Option<String>,
}

/// What one token sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenListing {
    /// Its place in `accessTokens`, 1-based.
    pub position: usize,
    /// How many instances that can be restored to.
    pub provisioned: usize,
    /// How many that cannot.
    pub unusable: usize,
    /// How many of another kind than was asked for, which are left out.
    pub other_kinds: usize,
    /// How many instances the server says that there are, where it says so.
    pub claimed: Option<u64>,
}

impl Listing {
    /// What an operator should know about this listing, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Verification::Skipped { reason } = &self.tls.verification {
            warnings.push(format!(
                "the certificate of {} is not verified (insecureSkipVerify): {reason}; its SHA-256 fingerprint is {}",
                self.url, self.tls.certificate.fingerprint
            ));
        }
        for token in &self.tokens {
            let listed = token.provisioned + token.unusable + token.other_kinds;
            if let Some(claimed) =
                token.claimed.filter(|claimed| u64::try_from(listed).is_ok_and(|n| n < *claimed))
            {
                warnings.push(format!(
                    "token {}: the Resource Controller says that there are {claimed} instances, but lists {listed}",
                    token.position
                ));
            }
        }
        warnings
    }
}

/// Merges what the tokens see.
#[derive(Debug)]
pub(super) struct Collector {
    asked_for: Option<ServiceType>,
    instances: Vec<ProvisionedInstance>,
    /// Place in `instances`.
    places: HashMap<InstanceId, usize>,
    unusable: Vec<UnusableInstance>,
    tokens: Vec<TokenListing>,
}

impl Collector {
    pub(super) fn new(asked_for: Option<ServiceType>) -> Self {
        Self {
            asked_for,
            instances: Vec::new(),
            places: HashMap::new(),
            unusable: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Adds what the next token sees.
    pub(super) fn add(&mut self, position: usize, entries: Vec<Entry>, claimed: Option<u64>) {
        let mut token = TokenListing { position, provisioned: 0, unusable: 0, other_kinds: 0, claimed };
        for entry in entries {
            if self.is_other_kind(&entry) {
                token.other_kinds += 1;
            } else if let (true, Some(id)) = (entry.is_provisioned(), entry.id) {
                token.provisioned += usize::from(self.add_provisioned(position, id, entry));
            } else {
                token.unusable += 1;
                self.add_unusable(entry);
            }
        }
        self.tokens.push(token);
    }

    pub(super) fn finish(self, url: String, tls: TlsInfo) -> Listing {
        let Self { instances, places, mut unusable, tokens, .. } = self;
        // Another token may have seen it provisioned a moment later.
        unusable.retain(|instance| instance.id.is_none_or(|id| !places.contains_key(&id)));
        Listing { url, instances, unusable, tokens, tls }
    }

    fn is_other_kind(&self, entry: &Entry) -> bool {
        match (self.asked_for, &entry.kind) {
            (Some(asked), Some(kind)) => !kind.eq_ignore_ascii_case(asked.as_str()),
            _ => false,
        }
    }

    /// Whether this token had not seen it yet.
    fn add_provisioned(&mut self, position: usize, id: InstanceId, entry: Entry) -> bool {
        let place = *self.places.entry(id).or_insert(self.instances.len());
        let Some(known) = self.instances.get_mut(place) else {
            let Entry { name, namespace, kind, .. } = entry;
            self.instances.push(ProvisionedInstance { id, name, namespace, kind, tokens: vec![position] });
            return true;
        };
        known.name = known.name.take().or(entry.name);
        known.namespace = known.namespace.take().or(entry.namespace);
        known.kind = known.kind.take().or(entry.kind);
        let new = !known.tokens.contains(&position);
        if new {
            known.tokens.push(position);
        }
        new
    }

    fn add_unusable(&mut self, entry: Entry) {
        let status = if entry.is_provisioned() { None } else { entry.status };
        let instance = UnusableInstance { id: entry.id, name: entry.name, status };
        if !self.unusable.contains(&instance) {
            self.unusable.push(instance);
        }
    }
}
