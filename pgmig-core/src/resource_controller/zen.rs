//! The platform's `zen-core-api`, which a `type` in `resourceController.yaml` selects (5.2.1 and later).

use super::config::ServiceType;
use super::connection::TlsInfo;
use super::entry::{self, Entry};
use super::error::ResourceControllerError;
use super::gateway::Seen;
use super::request::{Answer, Requester};
use super::token::AccessToken;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderName};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The number of instances in one request; a server may return fewer.
const PAGE: usize = 100;
/// After how many pages in a row without new instances the list counts as complete. It is more than one, since a page
/// may be repeated.
const MAX_IDLE_PAGES: u32 = 3;
/// No platform has so many instances; a server that lists without end does.
const MAX_INSTANCES: usize = 100_000;
/// The most that the names and other texts of all instances may take in memory.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// Reads the pages that one token can see.
#[derive(Debug)]
struct Pages<'a> {
    requester: &'a Requester,
    service_type: ServiceType,
    token: AccessToken,
    exchanged: bool,
}

/// One page.
#[derive(Debug)]
struct Page {
    entries: Vec<Entry>,
    total: Option<u64>,
    tls: Box<TlsInfo>,
}

/// Lists the instances that one token can see.
///
/// It relies neither on the server's `total_count` nor on the length of a page: the list is complete when no new
/// instances arrive. The offset is the number of different instances so far. So if the server repeats a page instead
/// of sending the next one, that costs a request, but loses no instance.
pub(super) async fn list(
    requester: &Requester,
    service_type: ServiceType,
    token: &AccessToken,
) -> Result<Seen, ResourceControllerError> {
    let mut pages = Pages { requester, service_type, token: token.clone(), exchanged: false };
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen = HashSet::new();
    let mut text_bytes = 0;
    let mut skipped = 0;
    let mut idle = 0;
    loop {
        let page = pages.read(seen.len() + skipped).await?;
        let length = page.entries.len();
        let (before, held) = (seen.len(), entries.len());
        entries.extend(page.entries.into_iter().filter(|entry| seen.insert(entry.key())));
        text_bytes += entries.iter().skip(held).map(Entry::text_bytes).sum::<usize>();
        if text_bytes > MAX_TEXT_BYTES {
            let (url, advice) = (requester.endpoint.url(""), requester.endpoint.advice());
            return Err(ResourceControllerError::TooLarge { url, limit: MAX_TEXT_BYTES, advice });
        }
        if seen.len() > MAX_INSTANCES {
            let server = requester.endpoint.authority();
            return Err(ResourceControllerError::TooManyInstances { server, limit: MAX_INSTANCES });
        }
        if seen.len() > before {
            (idle, skipped) = (0, 0);
            continue;
        }
        idle += 1;
        let more_claimed =
            page.total.is_some_and(|total| usize::try_from(total).is_ok_and(|t| t > seen.len()));
        if idle == MAX_IDLE_PAGES || (length == 0 && !more_claimed) {
            return Ok(Seen { entries, claimed: page.total, tls: page.tls });
        }
        // Requests the same page again, then the part after it.
        if idle > 1 {
            skipped += length.max(1);
        }
    }
}

impl Pages<'_> {
    async fn read(&mut self, offset: usize) -> Result<Page, ResourceControllerError> {
        let path = format!(
            "/v3/service_instances?addon_type={}&fetch_all_instances=true&limit={PAGE}&offset={offset}",
            self.service_type
        );
        let url = self.requester.endpoint.url(&path);
        match self.get(&path).await? {
            Answer::Refused(status) => Err(refused(url, &self.token, status)),
            Answer::Object(answer, tls) => {
                let entries = entry::list(&answer, "service_instances")
                    .map_err(|reason| self.requester.unexpected(&url, reason))?;
                Ok(Page { entries, total: total(&answer), tls })
            }
        }
    }

    /// Sends a request. If the answer is 401, exchanges the token, only once, and sends the request again.
    async fn get(&mut self, path: &str) -> Result<Answer, ResourceControllerError> {
        let answer = self.requester.get(path, (AUTHORIZATION, self.token.bearer())).await?;
        if !matches!(answer, Answer::Refused(StatusCode::UNAUTHORIZED)) || self.exchanged {
            return Ok(answer);
        }
        let Some(token) = self.exchange().await? else { return Ok(answer) };
        self.token = token;
        self.exchanged = true;
        self.requester.get(path, (AUTHORIZATION, self.token.bearer())).await
    }

    /// The bearer token for the service broker's secret; `None` if the token is not such a secret.
    async fn exchange(&self) -> Result<Option<AccessToken>, ResourceControllerError> {
        const PATH: &str = "/internal/v1/service_token?expiration_time=1000";
        let header = (HeaderName::from_static("secret"), self.token.bare());
        match self.requester.get(PATH, header).await {
            Ok(Answer::Object(answer, _)) => {
                let token = answer.get("token").and_then(Value::as_str).map(|token| token.to_owned().into());
                Ok(token.and_then(|token| AccessToken::new(self.token.position, &token).ok()))
            }
            // Whatever the error is: the operator can only act on the refusal of the token itself.
            Ok(Answer::Refused(_))
            | Err(
                ResourceControllerError::NotFound { .. }
                | ResourceControllerError::Redirected { .. }
                | ResourceControllerError::Status { .. }
                | ResourceControllerError::WebPage { .. }
                | ResourceControllerError::UnexpectedAnswer { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The error for a token that is not accepted.
pub(super) fn refused(url: String, token: &AccessToken, status: StatusCode) -> ResourceControllerError {
    ResourceControllerError::TokenRefused {
        url,
        position: token.position,
        status: status.as_u16(),
        expired_at: token.expired_at(),
    }
}

fn total(answer: &Map<String, Value>) -> Option<u64> {
    match answer.get("total_count")? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
