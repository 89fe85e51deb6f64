//! The cryptography of signatures, by OpenSSL, which pgmig has anyway.

use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm,
};
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::pkey::PKey;
use openssl::sign;

/// OpenSSL's SHA-256.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crypto;

impl CryptoProvider for Crypto {
    fn digest(&self, _: DigestAlgorithm) -> object_store::Result<Box<dyn DigestContext>> {
        let hasher = Hasher::new(MessageDigest::sha256()).map_err(failed)?;
        Ok(Box::new(Digest { hasher, failure: None, value: Vec::new() }))
    }

    fn hmac(&self, _: DigestAlgorithm, secret: &[u8]) -> object_store::Result<Box<dyn HmacContext>> {
        Ok(Box::new(Hmac { key: PKey::hmac(secret).map_err(failed)?, data: Vec::new(), value: Vec::new() }))
    }

    fn sign(&self, _: SigningAlgorithm, _: &[u8]) -> object_store::Result<Box<dyn Signer>> {
        let source = "S3 needs no such signature".into();
        Err(object_store::Error::NotSupported { source })
    }
}

struct Digest {
    hasher: Hasher,
    failure: Option<ErrorStack>,
    value: Vec<u8>,
}

impl DigestContext for Digest {
    fn update(&mut self, data: &[u8]) {
        if let Err(error) = self.hasher.update(data) {
            self.failure.get_or_insert(error);
        }
    }

    fn finish(&mut self) -> object_store::Result<&[u8]> {
        if let Some(error) = self.failure.take() {
            return Err(failed(error));
        }
        self.value = self.hasher.finish().map_err(failed)?.to_vec();
        Ok(&self.value)
    }
}

/// What is signed is short, so it is kept.
struct Hmac {
    key: PKey<openssl::pkey::Private>,
    data: Vec<u8>,
    value: Vec<u8>,
}

impl HmacContext for Hmac {
    fn update(&mut self, data: &[u8]) {
        self.data.extend_from_slice(data);
    }

    fn finish(&mut self) -> object_store::Result<&[u8]> {
        let mut signer = sign::Signer::new(MessageDigest::sha256(), &self.key).map_err(failed)?;
        self.value = signer.sign_oneshot_to_vec(&self.data).map_err(failed)?;
        Ok(&self.value)
    }
}

fn failed(error: ErrorStack) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}
