//! A server, and the requests that pgmig signs itself: listing with exact keys, creating a bucket, and objects whose keys
//! `object_store` would change.

use crate::bucket::Bucket;
use crate::client::{Connector, NOT_ACCEPTED, Trust};
use crate::crypto::Crypto;
use crate::error::{ObjectsError, chain};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody, HttpResponse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// A server, and how to log in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its URL: `https://HOST:PORT`, or `http://`.
    pub url: String,
    /// The access key.
    pub access_key: SecretString,
    /// The secret key.
    pub secret_key: SecretString,
    /// The region, which MinIO calls `us-east-1`.
    pub region: String,
    /// Which certificates are accepted.
    pub trust: Trust,
}

/// A request that pgmig signs itself.
#[derive(Debug, Default)]
pub(crate) struct Signed<'a> {
    pub(crate) method: Method,
    pub(crate) bucket: &'a str,
    /// Empty for the bucket itself.
    pub(crate) key: &'a str,
    /// Names and values, in the order of the names.
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: &'a [(HeaderName, HeaderValue)],
    pub(crate) body: bytes::Bytes,
}

/// A server to which requests can be sent.
#[derive(Debug, Clone)]
pub struct Remote {
    endpoint: Endpoint,
    connector: Connector,
    client: HttpClient,
    credential: Arc<AwsCredential>,
}

/// Characters of a key that stand for themselves in a URL, by the rules of signatures.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The same in a value of the query.
const QUERY: &AsciiSet = &KEY.add(b'/');
/// How often a request is sent in all, if the server cannot be reached or is overloaded.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

impl Remote {
    /// Prepares requests; sends none.
    ///
    /// # Errors
    ///
    /// The URL, a key or the CA file cannot be used.
    pub fn new(mut endpoint: Endpoint) -> Result<Self, ObjectsError> {
        let usage = |text: String| ObjectsError::Usage(text);
        endpoint.url = endpoint.url.trim_end_matches('/').to_owned();
        let uri: http::Uri = endpoint.url.parse().map_err(|error| {
            usage(format!("the endpoint is not a URL (not shown, as it may hold a key): {error}"))
        })?;
        let is_plain = matches!(uri.path(), "" | "/") && uri.query().is_none() && !endpoint.url.contains('@');
        if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none() || !is_plain {
            return Err(usage(
                "the endpoint is a URL such as https://minio-svc:9000, without a path and a user".to_owned(),
            ));
        }
        for (what, key) in [("access key", &endpoint.access_key), ("secret key", &endpoint.secret_key)] {
            let key = key.expose_secret();
            if key.is_empty() || key.chars().any(|c| c.is_control() || !c.is_ascii()) {
                return Err(usage(format!("the {what} is empty, or has characters that no such key has")));
            }
        }
        let connector = Connector::new(&endpoint.trust)?;
        let credential = AwsCredential {
            key_id: endpoint.access_key.expose_secret().to_owned(),
            secret_key: endpoint.secret_key.expose_secret().to_owned(),
            token: None,
        };
        Ok(Self { client: connector.client(), endpoint, connector, credential: Arc::new(credential) })
    }

    /// The server's URL.
    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// A bucket of the server, which need not exist.
    pub(crate) fn bucket(&self, name: &str) -> Result<Bucket, ObjectsError> {
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint.url)
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_bucket_name(name)
            .with_region(&self.endpoint.region)
            .with_access_key_id(self.endpoint.access_key.expose_secret())
            .with_secret_access_key(self.endpoint.secret_key.expose_secret())
            .with_crypto_provider(Arc::new(Crypto))
            .with_http_connector(self.connector.clone())
            .build()
            .map_err(|error| ObjectsError::Usage(chain(&error)))?;
        Ok(Bucket::new(self.clone(), name.to_owned(), Arc::new(store)))
    }

    /// Sends a signed request, again if the server could not be reached or was overloaded.
    ///
    /// # Errors
    ///
    /// The reason, in words. A status that says no is not an error.
    pub(crate) async fn send(&self, signed: &Signed<'_>) -> Result<HttpResponse, String> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = self.request(signed)?;
            let overloaded =
                |status: StatusCode| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            match self.client.execute(request).await {
                Ok(response) if attempt == ATTEMPTS || !overloaded(response.status()) => return Ok(response),
                Err(error) => {
                    let reason = chain(&error);
                    if attempt == ATTEMPTS || reason.contains(NOT_ACCEPTED) {
                        return Err(reason);
                    }
                    sleep(PAUSE * 2_u32.pow(attempt)).await;
                }
                Ok(_) => sleep(PAUSE * 2_u32.pow(attempt)).await,
            }
        }
    }

    fn request(&self, signed: &Signed<'_>) -> Result<HttpRequest, String> {
        let Signed { method, bucket, key, query, headers, body } = signed;
        let mut uri = format!("{}/{}", self.endpoint.url, utf8_percent_encode(bucket, KEY));
        if !key.is_empty() {
            uri = format!("{uri}/{}", utf8_percent_encode(key, KEY));
        }
        for (place, (name, value)) in query.iter().enumerate() {
            let joint = if place == 0 { '?' } else { '&' };
            uri = format!("{uri}{joint}{name}={}", utf8_percent_encode(value, QUERY));
        }
        let request = http::Request::builder().method(method.clone()).uri(uri);
        let mut request =
            request.body(HttpRequestBody::from(body.clone())).map_err(|error| error.to_string())?;
        request.headers_mut().extend(headers.iter().cloned());
        let authorizer =
            AwsAuthorizer::new(&self.credential, "s3", &self.endpoint.region).with_crypto(&Crypto);
        authorizer.try_authorize(&mut request, None).map_err(|error| chain(&error))?;
        Ok(request)
    }
}
