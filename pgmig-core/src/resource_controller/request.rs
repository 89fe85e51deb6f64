//! One GET request: a separate connection, retries, and the meaning of the answer's status.

use super::connection::{Connector, TlsInfo, unreachable};
use super::endpoint::Endpoint;
use super::error::ResourceControllerError;
use super::json;
use super::limits::Limits;
use super::retry::{Failure, Retry};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use std::error::Error as _;
use std::time::Duration;

/// The largest answer that pgmig reads. An instance has about 1 KB of JSON.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Sends requests.
#[derive(Debug)]
pub(super) struct Requester {
    pub(super) endpoint: Endpoint,
    pub(super) connector: Connector,
    pub(super) limits: Limits,
}

/// An answer that the caller must judge.
#[derive(Debug)]
pub(super) enum Answer {
    /// A JSON object.
    Object(Map<String, Value>, Box<TlsInfo>),
    /// The server does not accept the token: 401 or 403.
    Refused(StatusCode),
}

impl Requester {
    /// Sends requests until there is an answer, as often as the limits allow.
    pub(super) async fn get(
        &self,
        path: &str,
        header: (HeaderName, HeaderValue),
    ) -> Result<Answer, ResourceControllerError> {
        let url = self.endpoint.url(path);
        let mut attempt = 1;
        loop {
            tracing::debug!(%url, attempt, "asking the Resource Controller");
            let failure = match self.within_limit(path, &url, header.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(wait) = failure.wait(&self.limits, attempt) else {
                return Err(failure.error.after(attempt));
            };
            tracing::debug!(%url, attempt, ?wait, "trying again: {}", failure.error);
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn within_limit(
        &self,
        path: &str,
        url: &str,
        header: (HeaderName, HeaderValue),
    ) -> Result<Answer, Failure> {
        let limit = self.limits.request;
        tokio::time::timeout(limit, self.once(path, url, header)).await.unwrap_or_else(|_| {
            Err(Failure::passing(ResourceControllerError::Timeout {
                server: self.endpoint.authority(),
                phase: "answer",
                seconds: limit.as_secs_f64(),
                attempts: 1,
            }))
        })
    }

    async fn once(
        &self,
        path: &str,
        url: &str,
        (name, value): (HeaderName, HeaderValue),
    ) -> Result<Answer, Failure> {
        let (stream, tls) = self.connector.connect(&self.endpoint, self.limits.connect).await?;
        let lost = |error: hyper::Error| self.lost(url, &error);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let request = Request::get(path)
            .header(header::HOST, self.endpoint.authority())
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, concat!("pgmig/", env!("CARGO_PKG_VERSION")))
            .header(name, value)
            .body(Empty::<Bytes>::new())
            .map_err(|_| unreachable(&self.endpoint, "host cannot be sent in a request".to_owned()))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(lost)?;
            self.read(url, response, tls).await
        };
        // The connection runs here and not in a separate task, so that dropping this future ends it.
        tokio::pin!(exchange, connection);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = &mut connection => exchange.await,
        }
    }

    async fn read(&self, url: &str, response: Response<Incoming>, tls: TlsInfo) -> Result<Answer, Failure> {
        let status = response.status();
        tracing::debug!(%url, status = status.as_u16(), "answered");
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(Answer::Refused(status));
        }
        if !status.is_success() {
            return Err(self.unsuccessful(url, status, response.headers()));
        }
        let declared_html = is_html(response.headers());
        let body = self.body(url, response.into_body()).await?;
        if declared_html || body.trim_ascii_start().starts_with(b"<") {
            let (url, advice) = (url.to_owned(), self.endpoint.advice());
            return Err(Failure::last(ResourceControllerError::WebPage { url, advice }));
        }
        let object = self.parse(url, &body)?;
        Ok(Answer::Object(object, Box::new(tls)))
    }

    fn unsuccessful(&self, url: &str, status: StatusCode, headers: &HeaderMap) -> Failure {
        let (url, advice, code) = (url.to_owned(), self.endpoint.advice(), status.as_u16());
        if status == StatusCode::NOT_FOUND {
            return Failure::last(ResourceControllerError::NotFound { url, advice });
        }
        if status.is_redirection() {
            return Failure::last(ResourceControllerError::Redirected { url, status: code, advice });
        }
        let passing = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        let retry = match retry_after(headers) {
            _ if !passing => Retry::Never,
            None => Retry::Backoff,
            Some(wait) if wait > self.limits.longest_wait => {
                let seconds = wait.as_secs();
                return Failure::last(ResourceControllerError::Busy { url, status: code, seconds });
            }
            Some(wait) => Retry::After(wait),
        };
        Failure { error: ResourceControllerError::Status { url, status: code, attempts: 1 }, retry }
    }

    async fn body(&self, url: &str, mut body: Incoming) -> Result<Vec<u8>, Failure> {
        let too_large = || {
            let (url, advice) = (url.to_owned(), self.endpoint.advice());
            Failure::last(ResourceControllerError::TooLarge { url, limit: MAX_BODY_BYTES, advice })
        };
        if body.size_hint().lower() > u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(truncated(url)) };
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > MAX_BODY_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }

    /// The parser's message is not used: it quotes the answer.
    fn parse(&self, url: &str, body: &[u8]) -> Result<Map<String, Value>, Failure> {
        serde_json::from_slice(body).or_else(|error| {
            if let Ok(object) = serde_json::from_str(&json::holdable(body)) {
                return Ok(object);
            }
            if error.is_eof() && !body.is_empty() {
                return Err(truncated(url));
            }
            let reason = match error.classify() {
                _ if body.is_empty() => "it is empty".to_owned(),
                serde_json::error::Category::Data => "it is no JSON object".to_owned(),
                _ => format!("it is no JSON (line {}, column {})", error.line(), error.column()),
            };
            Err(Failure::last(self.unexpected(url, reason)))
        })
    }

    /// The error for an answer that does not have the expected form.
    pub(super) fn unexpected(&self, url: &str, reason: String) -> ResourceControllerError {
        ResourceControllerError::UnexpectedAnswer {
            url: url.to_owned(),
            reason,
            advice: self.endpoint.advice(),
        }
    }

    fn lost(&self, url: &str, error: &hyper::Error) -> Failure {
        if error.is_parse() {
            let reason = "the server does not speak HTTP/1.1".to_owned();
            return Failure::last(self.unexpected(url, reason));
        }
        let reason = match error.source() {
            Some(cause) => cause.to_string(),
            None => "the server closed the connection without an answer".to_owned(),
        };
        unreachable(&self.endpoint, reason)
    }
}

fn truncated(url: &str) -> Failure {
    Failure::passing(ResourceControllerError::Truncated { url: url.to_owned(), attempts: 1 })
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("text/html")
}

/// Only seconds: a date would require the server's clock to agree with ours.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
