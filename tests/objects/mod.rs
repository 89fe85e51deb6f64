//! `pgmig objects`, against an S3 server over TLS that checks signatures: moto, which `tests/s3-server` installs from PyPI.
//! What the server holds is found out by another client, boto3.

mod bucket_server;
mod copies;
mod failures;
