//! The instances that are provisioned on the target, merged from the lists of all tokens.

use super::config::ServiceType;
use super::connection::{TlsInfo, Verification};
use super::entry::Entry;
use crate::instance::{Candidate, InstanceId};
use std::collections::HashMap;

/// The merged result of the Resource Controller.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listing {
    /// The address of the Resource Controller, without the path.
    pub url: String,
    /// The instances that can be targets, each once, in the order of the first token that sees each.
    pub instances: Vec<ProvisionedInstance>,
    /// The instances that cannot be targets, each once.
    pub unusable: Vec<UnusableInstance>,
    /// The counts of each token, in the order of `accessTokens`.
    pub tokens: Vec<TokenListing>,
    /// The security of the connection.
    pub tls: TlsInfo,
}

/// An instance that can be a target of the restore.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvisionedInstance {
    /// Its ID, made from the platform's number if the list contains a number.
    pub id: InstanceId,
    /// The name that its owner gave it.
    pub name: Option<String>,
    /// The cluster's namespace of the instance.
    pub namespace: Option<String>,
    /// Its kind: `assistant`, `orchestrate`.
    pub kind: Option<String>,
    /// The positions in `accessTokens`, from 1, of the tokens that see it.
    pub tokens: Vec<usize>,
}

impl From<&ProvisionedInstance> for Candidate {
    fn from(instance: &ProvisionedInstance) -> Self {
        Self { id: instance.id, name: instance.name.clone() }
    }
}

/// An instance that cannot be a target of the restore.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnusableInstance {
    /// Its ID, if it has one.
    pub id: Option<InstanceId>,
    /// The name that its owner gave it.
    pub name: Option<String>,
    /// The server's word for its state (`PROVISION_IN_PROGRESS`, `FAILED`). `None` if it is provisioned, but its ID
    /// is neither a number nor a UUID.
    pub status: Option<String>,
}

/// The counts of instances that one token can see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenListing {
    /// The token's place in `accessTokens`, from 1.
    pub position: usize,
    /// The number of instances that can be targets.
    pub provisioned: usize,
    /// The number of instances that cannot be targets.
    pub unusable: usize,
    /// The number of instances of a kind that was not requested, which are left out.
    pub other_kinds: usize,
    /// The number of instances that the server claims, if it does.
    pub claimed: Option<u64>,
}

impl Listing {
    /// Warnings for the operator about this listing, one sentence each.
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

/// Merges the lists of the tokens.
#[derive(Debug)]
pub(super) struct Collector {
    asked_for: Option<ServiceType>,
    instances: Vec<ProvisionedInstance>,
    /// Places in `instances`.
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

    /// Adds the list of the next token.
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
        // Another token may have seen the instance provisioned a moment later.
        unusable.retain(|instance| instance.id.is_none_or(|id| !places.contains_key(&id)));
        Listing { url, instances, unusable, tokens, tls }
    }

    fn is_other_kind(&self, entry: &Entry) -> bool {
        match (self.asked_for, &entry.kind) {
            (Some(asked), Some(kind)) => !kind.eq_ignore_ascii_case(asked.as_str()),
            _ => false,
        }
    }

    /// Adds the instance, and returns whether this token had not seen it yet.
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
