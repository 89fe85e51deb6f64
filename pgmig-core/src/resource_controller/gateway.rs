//! The gateway's own resource controller, which `resourceController.yaml` without `type` selects.

use super::connection::TlsInfo;
use super::entry::{self, Entry};
use super::error::ResourceControllerError;
use super::request::{Answer, Requester};
use super::token::AccessToken;
use super::zen::refused;
use hyper::header::AUTHORIZATION;
use serde_json::Value;

const PATH: &str = "/api/ibmcloud/resource-controller/resource_instances?resource_id=assistant";

/// The instances that a token can see.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) entries: Vec<Entry>,
    /// The number of instances that the server claims.
    pub(super) claimed: Option<u64>,
    pub(super) tls: Box<TlsInfo>,
}

/// Lists the instances that one token can see. There are no pages.
pub(super) async fn list(
    requester: &Requester,
    token: &AccessToken,
) -> Result<Seen, ResourceControllerError> {
    let url = requester.endpoint.url(PATH);
    match requester.get(PATH, (AUTHORIZATION, token.bearer())).await? {
        Answer::Refused(status) => Err(refused(url, token, status)),
        Answer::Object(answer, tls) => {
            let entries =
                entry::list(&answer, "resources").map_err(|reason| requester.unexpected(&url, reason))?;
            let claimed = answer.get("rows_count").and_then(Value::as_u64);
            Ok(Seen { entries, claimed, tls })
        }
    }
}
