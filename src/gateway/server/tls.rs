//! TLS towards clients: the certificate, its exchange while the process runs, and what is spoken inside.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::config::TlsFiles;

/// What ALPN calls HTTP/2 (RFC 9113, section 3.1).
pub(super) const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// The largest file of `server.tls`: far more than a chain of certificates.
const BYTES_MAX: usize = 1 << 20;

/// A file of `server.tls` that cannot be used. Says which, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    field: &'static str,
    file: PathBuf,
    message: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TlsError {
            field,
            file,
            message,
        } = self;
        write!(f, "server.tls.{field}: {} {message}", file.display())
    }
}

impl std::error::Error for TlsError {}

/// The certificate that clients are shown, which can be exchanged for what its files hold by now.
#[derive(Debug)]
pub struct Certificates {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
    /// Of the files' content that is in use.
    digest: Mutex<[u8; 32]>,
}

impl Certificates {
    /// Reads a certificate chain and its key.
    ///
    /// # Errors
    /// A file that cannot be read, that does not hold what it should, or a key of another certificate.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let content = Content::read(files)?;
        Ok(Certificates {
            current: ArcSwap::from_pointee(content.parse(files)?),
            digest: Mutex::new(content.digest()),
            files: files.clone(),
        })
    }

    /// Reads the files again; whether their content is new. Connections that are open go on as they are.
    ///
    /// # Errors
    /// As [`Certificates::load`]; the certificate in use stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let mut digest = self.digest.lock();
        let content = Content::read(&self.files)?;
        let new = content.digest();
        if new == *digest {
            return Ok(false);
        }
        self.current.store(Arc::new(content.parse(&self.files)?));
        *digest = new;
        Ok(true)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// Takes TLS connections with whatever certificate is in use then.
pub(super) fn acceptor(certificates: &Arc<Certificates>) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has ciphers for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificates) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// What stands in the two files.
struct Content {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl Content {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |field, file: &Path| {
            crate::file::read(file, BYTES_MAX)
                .map_err(|error| problem(field, file, error.to_string()))
        };
        Ok(Content {
            certificate: read("certificate", &files.certificate)?,
            key: read("key", &files.key)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let certificate = Sha256::digest(&*self.certificate);
        Sha256::new()
            .chain_update(certificate)
            .chain_update(&*self.key)
            .finalize()
            .into()
    }

    fn parse(&self, files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
        let in_certificate = |message| problem("certificate", &files.certificate, message);
        let in_key = |message| problem("key", &files.key, message);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| in_certificate(format!("is not valid PEM: {error}")))?;
        if chain.is_empty() {
            let what = "holds no certificate: PEM that begins with -----BEGIN CERTIFICATE----- is expected";
            return Err(in_certificate(what.to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            in_key(match error {
                pem::Error::NoItemsFound => "holds no private key: PEM that begins with \
                    -----BEGIN PRIVATE KEY-----, not encrypted, is expected"
                    .to_owned(),
                error => format!("is not valid PEM: {error}"),
            })
        })?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => in_key(format!(
                "is not the key of the certificate in {}",
                files.certificate.display()
            )),
            rustls::Error::InvalidCertificate(error) => in_certificate(format!(
                "holds a certificate that cannot be read: {error:?}"
            )),
            error => in_key(format!("holds a key that cannot be used: {error}")),
        })
    }
}

fn problem(field: &'static str, file: &Path, message: String) -> TlsError {
    TlsError {
        field,
        file: file.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests;
