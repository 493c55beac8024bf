//! TLS towards other servers: whose certificates are believed.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

/// TLS that trusts the public web's roots. It parses them, so keep what it answers.
pub fn public_web() -> Arc<ClientConfig> {
    Arc::new(builder().with_webpki_roots().with_no_client_auth())
}

/// TLS that trusts these authorities, and no others.
///
/// # Errors
/// What is wrong with a certificate.
pub fn trusting(authorities: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("`ca_file` has a certificate that is none: {error}"))?;
    }
    let config = builder().with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("its cryptography knows the ciphers of TLS 1.2 and 1.3")
}
