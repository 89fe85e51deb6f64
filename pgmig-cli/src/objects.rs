//! Arguments of `pgmig objects`.

use crate::failure::Usage;
use anyhow::Result;
use clap::Subcommand;
use pgmig_core::config_file::{MAX_CA_BYTES, read_bytes, read_text};
use pgmig_core::text::printable;
use pgmig_objects::{Endpoint, Remote, Trust};
use secrecy::SecretString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The directory and the buckets.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyArgs {
    /// Directory with a folder for each bucket
    #[arg(short, long, value_name = "DIR")]
    pub(crate) directory: PathBuf,

    /// Bucket; may be given several times [default: those of the speech services that exist]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) bucket: Vec<String>,

    /// How many objects are copied at the same time, 1 to 64
    #[arg(short, long, value_name = "N", default_value = "4", value_parser = jobs)]
    pub(crate) jobs: NonZeroUsize,
}

/// The server. Keys are in files, so that no list of processes shows them.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// URL of the S3 or MinIO server, such as https://minio-svc:9000
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// File with the access key
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    access_key_file: Option<PathBuf>,

    /// File with the secret key
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    secret_key_file: Option<PathBuf>,

    /// File with the CA of the server's certificate [default: the system's CAs]
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    ca_file: Option<PathBuf>,

    /// Accept any certificate, as mc --insecure does
    #[arg(long, requires = "endpoint", conflicts_with = "ca_file")]
    insecure: bool,

    /// Region of the server
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
}

/// What is copied where.
#[derive(Debug, Subcommand)]
pub(crate) enum ObjectsCommand {
    /// Copy buckets to a directory; objects that are there already are not copied again
    Backup(TransferArgs),
    /// Copy a directory to buckets, and create those that do not exist
    Restore(TransferArgs),
    /// Compare a directory with its checksums and, with --endpoint, the server's buckets with the same
    Verify(VerifyObjectsArgs),
}

/// Arguments of `pgmig objects backup` and `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct TransferArgs {
    /// The directory and the buckets.
    #[command(flatten)]
    pub(crate) copy: CopyArgs,

    /// The server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// Delete objects of the target that the source does not have
    #[arg(long)]
    pub(crate) delete: bool,
}

/// Arguments of `pgmig objects verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyObjectsArgs {
    /// The directory and the buckets.
    #[command(flatten)]
    pub(crate) copy: CopyArgs,

    /// The server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

impl ServerArgs {
    /// The server; `None` if the arguments name none.
    pub(crate) fn remote(&self) -> Result<Option<Remote>> {
        let Some(url) = &self.endpoint else { return Ok(None) };
        let key = |file: &Option<PathBuf>, flag: &str| {
            let missing = || Usage::new(format!("{flag} is missing: it names the file with that key"));
            read_key(file.as_deref().ok_or_else(missing)?)
        };
        let trust = match &self.ca_file {
            Some(file) => Trust::Certificates { pem: read_certificates(file)?, file: file.clone() },
            None if self.insecure => Trust::Anything,
            None => Trust::System,
        };
        let endpoint = Endpoint {
            url: url.clone(),
            access_key: key(&self.access_key_file, "--access-key-file")?,
            secret_key: key(&self.secret_key_file, "--secret-key-file")?,
            region: self.region.clone(),
            trust,
        };
        Ok(Some(Remote::new(endpoint)?))
    }

    /// The server, which must be named.
    pub(crate) fn required(&self) -> Result<Remote> {
        let missing = || Usage::new("--endpoint is missing: it is the URL of the S3 or MinIO server");
        Ok(self.remote()?.ok_or_else(missing)?)
    }

    /// What makes the connection less safe.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        match &self.endpoint {
            Some(url) if url.starts_with("http:") => {
                Some("the connection is not encrypted: everybody on the way can read the objects")
            }
            Some(_) if self.insecure => {
                Some("the server's certificate is not verified (--insecure): it may be another server")
            }
            _ => None,
        }
    }
}

/// A key file is no longer than this.
const LONGEST_KEY: u64 = 4096;

/// The key in a file, without the line's end.
fn read_key(path: &Path) -> Result<SecretString> {
    let text = read_text(path, LONGEST_KEY).map_err(|error| {
        Usage::new(format!("cannot read {}: {error}", printable(&path.to_string_lossy())))
    })?;
    Ok(text.trim().to_owned().into())
}

fn read_certificates(path: &Path) -> Result<Vec<u8>> {
    let read = read_bytes(path, MAX_CA_BYTES);
    Ok(read.map_err(|error| Usage::new(format!("cannot read the CA file {}: {error}", path.display())))?)
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= 64);
    jobs.ok_or_else(|| "expected a number from 1 to 64".to_owned())
}
