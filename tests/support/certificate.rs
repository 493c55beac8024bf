//! Certificates of an authority of the test's own, in files, for `localhost` and 127.0.0.1.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

/// An authority that clients trust by its file.
pub struct Authority {
    /// What a client is given: `--cacert`.
    pub file: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Where a server's certificate and key lie.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new authority, its certificate in `folder`.
    pub fn new(folder: &Path, name: &str) -> Authority {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("an authority");
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, issuer.pem()).expect("a file");
        Authority { file, issuer }
    }

    /// Writes a fresh certificate and key into `folder`, over those that are there.
    pub fn issue(&self, folder: &Path) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let parameters = CertificateParams::new(names).expect("names");
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        let issued = Issued {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&issued.certificate, certificate.pem()).expect("a file");
        fs::write(&issued.key, key.serialize_pem()).expect("a file");
        issued
    }
}

impl Issued {
    /// What stands in a config as `server.tls`.
    pub fn config(&self) -> Value {
        json!({ "certificate": self.certificate, "key": self.key })
    }
}
