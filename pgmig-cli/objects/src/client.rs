//! An HTTP client with OpenSSL's TLS, for `object_store`.

use crate::error::ObjectsError;
use async_trait::async_trait;
use http::Uri;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client as Hyper, Error as HyperError};
use hyper_util::rt::{TokioExecutor, TokioIo};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);
/// How long the server may leave a request, or a part of an answer, without a byte.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// Which certificates of the server are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those issued by the system's CAs.
    System,
    /// Those issued by these CAs alone.
    Certificates {
        /// The certificates, in PEM.
        pem: Vec<u8>,
        /// The file that they come from, for messages.
        file: PathBuf,
    },
    /// All of them.
    Anything,
}

/// Makes [`Client`]s.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: SslConnector,
    verifies: bool,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("verifies", &self.verifies).finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(trust: &Trust) -> Result<Self, ObjectsError> {
        let failed =
            |error: openssl::error::ErrorStack| ObjectsError::Usage(format!("TLS cannot be set up: {error}"));
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
        match trust {
            Trust::Certificates { pem, file } => {
                let unusable = |reason: &dyn fmt::Display| {
                    ObjectsError::Usage(format!("cannot read the CA file {}: {reason}", file.display()))
                };
                let certificates = X509::stack_from_pem(pem).map_err(|error| unusable(&error))?;
                if certificates.is_empty() {
                    return Err(unusable(&"it holds no certificate"));
                }
                let mut store = X509StoreBuilder::new().map_err(failed)?;
                for certificate in certificates {
                    store.add_cert(certificate).map_err(failed)?;
                }
                builder.set_cert_store(store.build());
            }
            Trust::System => {
                let found = openssl_probe::probe();
                let file = found.cert_file.as_deref();
                for directory in found.cert_dir.iter().map(PathBuf::as_path).map(Some).chain([None]) {
                    // A place that cannot be read is passed over: the handshake then says what is missing.
                    if (file.is_some() || directory.is_some())
                        && builder.load_verify_locations(file, directory).is_ok()
                    {
                        break;
                    }
                }
            }
            Trust::Anything => builder.set_verify(SslVerifyMode::NONE),
        }
        Ok(Self { tls: builder.build(), verifies: *trust != Trust::Anything })
    }

    pub(crate) fn client(&self) -> HttpClient {
        let hyper = Hyper::builder(TokioExecutor::new()).build(Dial(self.clone()));
        HttpClient::new(Client { hyper })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.client())
    }
}

#[derive(Debug)]
struct Client {
    hyper: Hyper<Dial, HttpRequestBody>,
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // An upload takes as long as its bytes do.
        let size = u64::try_from(request.body().content_length()).unwrap_or(u64::MAX);
        let limit = SILENCE + Duration::from_secs(size >> 16);
        let response = match timeout(limit, self.hyper.request(request)).await {
            Ok(response) => response.map_err(failed)?,
            Err(over) => return Err(HttpError::new(HttpErrorKind::Timeout, over)),
        };
        let interrupted = |error: hyper::Error| HttpError::new(HttpErrorKind::Interrupted, error);
        Ok(response.map(|body| HttpResponseBody::new(body.map_err(interrupted))))
    }
}

fn failed(error: HyperError) -> HttpError {
    let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
    HttpError::new(kind, error)
}

/// Opens connections.
#[derive(Debug, Clone)]
struct Dial(Connector);

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move {
            let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the server does not answer");
            timeout(CONNECT, connector.open(&uri)).await.map_err(silent)?.map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn open(&self, uri: &Uri) -> io::Result<Wire> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if !is_tls {
            return Ok(Wire(Box::pin(stream)));
        }
        let mut configuration = self.tls.configure()?;
        configuration.set_verify_hostname(self.verifies);
        let mut stream = SslStream::new(configuration.into_ssl(host)?, stream)?;
        let shaken = Pin::new(&mut stream).connect().await;
        shaken.map_err(|error| io::Error::other(explained(&error, &stream)))?;
        Ok(Wire(Box::pin(stream)))
    }
}

/// The beginning of an error about a certificate. Another attempt would meet the same one.
pub(crate) const NOT_ACCEPTED: &str = "the server's certificate is not accepted";

/// Why a handshake failed.
fn explained(error: &openssl::ssl::Error, stream: &SslStream<TcpStream>) -> String {
    let verdict = stream.ssl().verify_result();
    if verdict == openssl::x509::X509VerifyResult::OK {
        return format!("TLS failed: {error}");
    }
    format!("{NOT_ACCEPTED}: {}", verdict.error_string())
}

trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// A connection, with or without TLS.
struct Wire(Pin<Box<dyn Io>>);

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
