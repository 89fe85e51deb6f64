//! One entry in a list of instances of either service.

use crate::instance::InstanceId;
use serde_json::{Map, Value};

/// The fields of an entry that pgmig needs. Names of fields and types differ between releases.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// `None` if no field holds a number or a UUID.
    pub(super) id: Option<InstanceId>,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    /// `assistant`, `orchestrate` ...
    pub(super) kind: Option<String>,
    /// `PROVISIONED` and others.
    pub(super) status: Option<String>,
}

/// The key that distinguishes two entries of one list.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum EntryKey {
    Id(InstanceId),
    /// An entry without an ID is identified by all its fields.
    Whole(Entry),
}

/// The fields of the ID: `zen_id` in older gateways, `id` in newer ones and in zen core. An `id` that is neither a
/// number nor a UUID (a CRN) is ignored, and `guid` used instead.
const ID_FIELDS: [&str; 3] = ["zen_id", "id", "guid"];

/// The list in an answer.
///
/// # Errors
///
/// The problem with the answer, without its values.
pub(super) fn list(answer: &Map<String, Value>, key: &str) -> Result<Vec<Entry>, String> {
    match answer.get(key) {
        None => Err(format!("it has no `{key}`")),
        // Go writes an empty list like this.
        Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let entry = entry.as_object().map(Entry::new);
                entry.ok_or_else(|| format!("entry {} of `{key}` is no object", index + 1))
            })
            .collect(),
        Some(_) => Err(format!("its `{key}` is no list")),
    }
}

impl Entry {
    fn new(fields: &Map<String, Value>) -> Self {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::trim);
        let text = |key: &str| text(key).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            id: ID_FIELDS.iter().find_map(|key| fields.get(*key).and_then(id)),
            name: text("display_name").or_else(|| text("name")),
            namespace: text("namespace"),
            kind: text("addon_type"),
            status: text("provision_status"),
        }
    }

    pub(super) fn key(&self) -> EntryKey {
        self.id.map_or_else(|| EntryKey::Whole(self.clone()), EntryKey::Id)
    }

    /// How much memory its texts take, in bytes.
    pub(super) fn text_bytes(&self) -> usize {
        [&self.name, &self.namespace, &self.kind, &self.status].into_iter().flatten().map(String::len).sum()
    }

    /// Whether the instance can be a target of the restore. The gateway lists no status, only provisioned instances.
    pub(super) fn is_provisioned(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status.eq_ignore_ascii_case("PROVISIONED"))
    }
}

fn id(value: &Value) -> Option<InstanceId> {
    match value {
        // Larger numbers would have lost digits already.
        Value::Number(number) => number.as_u64().and_then(|number| InstanceId::from_number(number.into())),
        Value::String(text) => {
            let text = text.trim();
            InstanceId::from_digits(text).or_else(|| text.parse().ok())
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(json: Value) -> Entry {
        Entry::new(json.as_object().unwrap())
    }

    #[test]
    fn ids_in_every_form() {
        let expected = "00000000-0000-0000-1764-035503433645".parse().unwrap();
        for json in [
            json!({"id": "1764035503433645"}),
            json!({"id": 1_764_035_503_433_645_u64}),
            json!({"zen_id": "1764035503433645", "id": "7"}),
            json!({"id": "crn:v1:x", "guid": "1764035503433645"}),
            json!({"zen_id": null, "guid": 1_764_035_503_433_645_u64}),
            json!({"zen_id": "", "id": "00000000-0000-0000-1764-035503433645"}),
            json!({"guid": "{00000000-0000-0000-1764-035503433645}"}),
        ] {
            assert_eq!(entry(json.clone()).id, Some(expected), "{json}");
        }
    }

    #[test]
    fn what_is_no_id_is_none() {
        for json in [
            json!({}),
            json!({"id": -1}),
            json!({"id": 1.5}),
            json!({"id": "x"}),
            json!({"id": "1".repeat(33)}),
            json!({"id": ["1"]}),
            json!({"id": true}),
        ] {
            assert_eq!(entry(json.clone()).id, None, "{json}");
        }
    }

    #[test]
    fn names_and_states() {
        let zen =
            entry(json!({"display_name": "a", "name": "b", "namespace": "cpd", "addon_type": "assistant",
            "provision_status": "PROVISION_IN_PROGRESS"}));
        assert_eq!((zen.name.as_deref(), zen.namespace.as_deref()), (Some("a"), Some("cpd")));
        assert!(!zen.is_provisioned());
        let gateway = entry(json!({"name": "b", "display_name": ""}));
        assert_eq!(gateway.name.as_deref(), Some("b"));
        assert!(gateway.is_provisioned());
    }

    #[test]
    fn lists_of_other_forms_are_refused() {
        let of = |json: Value| list(json.as_object().unwrap(), "resources");
        assert_eq!(of(json!({"resources": null})), Ok(Vec::new()));
        assert_eq!(of(json!({"resources": []})), Ok(Vec::new()));
        assert_eq!(of(json!({"resources": [{"id": 1}]})).unwrap().len(), 1);
        for json in [
            json!({}),
            json!({"resources": {}}),
            json!({"resources": "s3cret"}),
            json!({"resources": ["s3cret"]}),
        ] {
            assert!(!of(json.clone()).unwrap_err().contains("s3cret"), "{json}");
        }
    }
}
