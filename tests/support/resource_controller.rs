//! A Resource Controller for tests: a real TLS server whose answers the test chooses.

use super::certificate::{Identity, Validity};
use openssl::ssl::{SslAcceptor, SslMethod, SslStream, SslVersion};
use pgmig_core::instance::InstanceId;
use pgmig_core::resource_controller::{
    Limits, Listing, RcEnvironment, ResourceController, ResourceControllerConfig, ResourceControllerError,
    ServiceType,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A server that runs until the test ends.
#[derive(Debug)]
pub(crate) struct Controller {
    pub(crate) port: u16,
    /// The CA that signed its certificate.
    pub(crate) authority: Identity,
    directory: TempDir,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<SeenRequest>>>,
}

/// A request, as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct SeenRequest {
    /// The number of earlier requests.
    pub(crate) index: usize,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// The headers, by names in lower case.
    pub(crate) headers: HashMap<String, String>,
}

/// The server's answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    bytes: Vec<u8>,
    /// The delay before the first byte.
    delay: Duration,
}

type Handler = dyn Fn(&SeenRequest) -> Reply + Send + Sync;

/// The token that a server of [`Controller::zen`] and [`Controller::gateway`] accepts.
pub(crate) const TOKEN: &str = "t0ken-of-the-tests";

impl Controller {
    /// A server with a certificate for localhost, signed by a CA of its own.
    pub(crate) fn start(handler: impl Fn(&SeenRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_as(&["localhost", "127.0.0.1"], Validity::Now, handler)
    }

    /// A server with this certificate.
    pub(crate) fn start_as(
        hosts: &[&str],
        validity: Validity,
        handler: impl Fn(&SeenRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let authority = Identity::authority("CA of the tests");
        let identity = authority.issue(hosts, validity);
        Self::serve(authority, move |_| identity.clone(), SslVersion::TLS1_3, handler)
    }

    /// A server for which the test chooses a certificate for each connection, counted from 0.
    pub(crate) fn serve(
        authority: Identity,
        identity: impl Fn(usize) -> Identity + Send + 'static,
        version: SslVersion,
        handler: impl Fn(&SeenRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("ca.crt"), authority.pem()).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let handler: Arc<Handler> = Arc::new(handler);
        let (seen, count) = (Arc::clone(&requests), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let identity = identity(count.fetch_add(1, Ordering::SeqCst));
                let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
                thread::spawn(move || connection(stream, &identity, version, &handler, &seen));
            }
        });
        Self { port, authority, directory, connections, requests }
    }

    /// The platform's service with these instances. A page has at most 20.
    pub(crate) fn zen(instances: Vec<Value>) -> Self {
        Self::start(move |request| {
            if request.path != "/v3/service_instances" {
                return Reply::status(404);
            }
            if !request.has_token(TOKEN) {
                return Reply::status(401);
            }
            Reply::json(&zen_page(&instances, request.number("offset"), request.number("limit").min(20)))
        })
    }

    /// The gateway with these instances.
    pub(crate) fn gateway(instances: Vec<Value>) -> Self {
        Self::start(move |request| {
            if request.path != "/api/ibmcloud/resource-controller/resource_instances" {
                return Reply::status(404);
            }
            if !request.has_token(TOKEN) {
                return Reply::status(401);
            }
            Reply::json(&json!({ "resources": instances }))
        })
    }

    /// The file of its CA's certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// The connection settings, with trust in its CA.
    pub(crate) fn config(&self, service_type: Option<ServiceType>) -> ResourceControllerConfig {
        self.config_with(&[TOKEN], service_type)
    }

    /// The same settings with these tokens.
    pub(crate) fn config_with(
        &self,
        tokens: &[&str],
        service_type: Option<ServiceType>,
    ) -> ResourceControllerConfig {
        let tokens = tokens.iter().map(|token| (*token).to_owned().into()).collect();
        let mut config = ResourceControllerConfig::new(tokens, "localhost", self.port);
        config.service_type = service_type;
        config.ca_file = Some(self.ca_file());
        config
    }

    /// `resourceController.yaml` with this token and its CA.
    pub(crate) fn yaml(&self, token: &str, service_type: Option<ServiceType>) -> String {
        let ca_file = format!("caFile: {}\n", self.ca_file().display());
        self.yaml_without_ca(token, service_type) + &ca_file
    }

    /// `resourceController.yaml` with this token.
    pub(crate) fn yaml_without_ca(&self, token: &str, service_type: Option<ServiceType>) -> String {
        let service_type = service_type.map(|name| format!("type: {name}\n")).unwrap_or_default();
        format!("accessTokens:\n  - {token}\nhost: localhost\nport: {}\n{service_type}", self.port)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<SeenRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl SeenRequest {
    /// Whether the request has this bearer token.
    pub(crate) fn has_token(&self, token: &str) -> bool {
        self.headers.get("authorization").is_some_and(|value| *value == format!("Bearer {token}"))
    }

    /// A number in the query.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.query[name].parse().unwrap()
    }

    fn parse(head: &str, index: usize) -> Self {
        let mut lines = head.split("\r\n");
        let target = lines.next().unwrap().split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            index,
            path: path.to_owned(),
            query: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        }
    }
}

impl Reply {
    /// 200 with JSON.
    pub(crate) fn json(value: &Value) -> Self {
        Self::body("200 OK", "application/json", value.to_string().as_bytes())
    }

    /// A status, with a body that no message may contain.
    pub(crate) fn status(status: u16) -> Self {
        Self::body(&format!("{status} X"), "application/json", b"{\"message\":\"unshown body\"}")
    }

    /// A status with an additional header.
    pub(crate) fn status_with(status: u16, header: &str) -> Self {
        Self::raw(format!("HTTP/1.1 {status} X\r\n{header}\r\nContent-Length: 0\r\n\r\n"))
    }

    /// A whole answer with a body.
    pub(crate) fn body(status: &str, content_type: &str, body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// These bytes, then the end of the connection.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), delay: Duration::ZERO }
    }

    /// The same answer after a delay.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// A page in the platform's form.
pub(crate) fn zen_page(instances: &[Value], offset: usize, limit: usize) -> Value {
    let page: Vec<&Value> = instances.iter().skip(offset).take(limit).collect();
    json!({ "service_instances": page, "total_count": instances.len() })
}

/// `count` instances, numbered from `first`, in the platform's form.
pub(crate) fn zen_instances(first: u64, count: u64) -> Vec<Value> {
    let instance = |number: u64| {
        json!({
            "id": number.to_string(), "display_name": format!("instance-{number}"), "addon_type": "assistant",
            "provision_status": "PROVISIONED", "namespace": "cpd", "metadata": {}
        })
    };
    (first..first + count).map(instance).collect()
}

/// The IDs of `count` instances, numbered from `first`.
pub(crate) fn ids(first: u64, count: u64) -> Vec<InstanceId> {
    (first..first + count).map(|number| InstanceId::from_number(number.into()).unwrap()).collect()
}

/// Lists with short time-outs.
pub(crate) fn list(config: ResourceControllerConfig) -> Result<Listing, ResourceControllerError> {
    let controller = ResourceController::new(config, &RcEnvironment::default())?;
    block_on(&controller.with_limits(quick()))
}

/// Like [`list`], with an existing client.
pub(crate) fn block_on(controller: &ResourceController) -> Result<Listing, ResourceControllerError> {
    tokio::runtime::Runtime::new().unwrap().block_on(controller.list_instances())
}

/// Limits that a test can reach quickly.
pub(crate) fn quick() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        request: Duration::from_secs(10),
        backoff: Duration::from_millis(20),
        ..Limits::default()
    }
}

fn connection(
    stream: TcpStream,
    identity: &Identity,
    version: SslVersion,
    handler: &Arc<Handler>,
    seen: &Mutex<Vec<SeenRequest>>,
) {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&identity.certificate).unwrap();
    acceptor.set_private_key(&identity.key).unwrap();
    acceptor.set_max_proto_version(Some(version)).unwrap();
    // A client that refuses the certificate may close the connection.
    let Ok(mut stream) = acceptor.build().accept(stream) else { return };
    let Some(head) = read_head(&mut stream) else { return };
    let request = {
        let mut seen = seen.lock().unwrap();
        let request = SeenRequest::parse(&head, seen.len());
        seen.push(request.clone());
        request
    };
    let reply = handler(&request);
    thread::sleep(reply.delay);
    let _ = stream.write_all(&reply.bytes).and_then(|()| stream.flush());
    let _ = stream.shutdown();
}

/// The lines before the empty line. `None` if the client closes the connection before that.
fn read_head(stream: &mut SslStream<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).expect("a request's head is ASCII"))
}
