//! Certificates in files: what is taken, what is refused, and what is exchanged.

use std::fs;

use rcgen::{KeyPair, PKCS_RSA_SHA256};

use super::*;

/// Two files in a folder of their own, removed on drop.
struct Files {
    folder: PathBuf,
    files: TlsFiles,
}

impl Files {
    fn new(name: &str) -> Files {
        let folder =
            std::env::temp_dir().join(format!("tollgate-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let files = TlsFiles {
            certificate: folder.join("chain.pem"),
            key: folder.join("key.pem"),
        };
        Files { folder, files }
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.files.certificate, certificate).expect("a file");
        fs::write(&self.files.key, key).expect("a file");
    }

    fn refusal(&self) -> String {
        let error = Certificates::load(&self.files).expect_err("refused");
        error
            .to_string()
            .replace(&format!("{}/", self.folder.display()), "")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}

/// A certificate and its key, in PEM.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_field_and_file() {
    let files = Files::new("wrong");
    let (certificate, key) = pair();
    let (_, other_key) = pair();
    let missing = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(
        files.refusal(),
        format!("server.tls.certificate: chain.pem {missing}")
    );
    fs::write(&files.files.certificate, &certificate).expect("a file");
    assert_eq!(
        files.refusal(),
        format!("server.tls.key: key.pem {missing}")
    );
    let no_certificate = "server.tls.certificate: chain.pem holds no certificate: \
        PEM that begins with -----BEGIN CERTIFICATE----- is expected";
    let no_key = "server.tls.key: key.pem holds no private key: \
        PEM that begins with -----BEGIN PRIVATE KEY-----, not encrypted, is expected";
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (certificate, key, begin) in [
        ("", key.as_str(), no_certificate),
        (&key, &key, no_certificate),
        ("not PEM at all", &key, no_certificate),
        (
            &certificate[..certificate.len() - 30],
            &key,
            "server.tls.certificate: chain.pem is not valid PEM: ",
        ),
        (
            broken,
            &key,
            "server.tls.certificate: chain.pem holds a certificate that cannot be read: ",
        ),
        (&certificate, "", no_key),
        (&certificate, &certificate, no_key),
        (&certificate, &encrypted, no_key),
        (
            &certificate,
            &other_key,
            "server.tls.key: key.pem is not the key of the certificate in chain.pem",
        ),
    ] {
        files.write(certificate, key);
        let refusal = files.refusal();
        assert!(refusal.starts_with(begin), "{refusal}");
    }
    files.write(&certificate, &key);
    Certificates::load(&files.files).expect("a sound pair");
}

#[test]
fn rsa_keys_and_longer_chains_are_taken() {
    let files = Files::new("rsa");
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
    let parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate").pem();
    let (issuer, _) = pair();
    files.write(&format!("{certificate}\n{issuer}"), &key.serialize_pem());
    let certificates = Certificates::load(&files.files).expect("a sound pair");
    assert_eq!(certificates.current.load().cert.len(), 2);
}

#[test]
fn new_files_are_taken_and_bad_ones_leave_the_old_in_use() {
    let files = Files::new("exchange");
    let ((first, first_key), (second, second_key)) = (pair(), pair());
    files.write(&first, &first_key);
    let certificates = Certificates::load(&files.files).expect("a sound pair");
    let in_use = || certificates.current.load().cert[0].clone();
    let old = in_use();
    assert_eq!(certificates.reload(), Ok(false));
    files.write(&second, &first_key);
    certificates
        .reload()
        .expect_err("a key of another certificate");
    fs::remove_file(&files.files.key).expect("a file");
    certificates.reload().expect_err("a file that is gone");
    assert_eq!(in_use(), old);
    files.write(&second, &second_key);
    assert_eq!(certificates.reload(), Ok(true));
    assert_ne!(in_use(), old);
    assert_eq!(certificates.reload(), Ok(false));
}
