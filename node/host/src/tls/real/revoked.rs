//! Revoked certificates: a list of fingerprints, and handshakes that go by it.
//!
//! A list is a text file with a fingerprint (the SHA-256 of a certificate, in hexadecimal digits) at the
//! beginning of each line, and words for people behind it; `#` begins a comment. Whoever signed a
//! certificate has no part in it, so a list is as good as its file.
//!
//! Invariant: a certificate of the list ends each handshake in which it is shown, on either side, as
//! itself or among those that lead to the authority.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls;

use super::super::{Fingerprint, IdentityError, IdentityFile};
use super::files::{read_file, wrong_file};

/// The fingerprint of a certificate, of which this is the DER.
pub fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}

/// Certificates that are worth nothing any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Revoked(Arc<BTreeSet<Fingerprint>>);

impl Revoked {
    /// Reads the list, if there is one.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, IdentityError> {
        let Some(path) = path else { return Ok(Revoked::default()) };
        let wrong = |problem| wrong_file(IdentityFile::Revoked, path, problem);
        let bytes = read_file(path).map_err(|error| wrong(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        parse(&text).map_err(wrong)
    }

    pub(super) fn has(&self, fingerprint: &Fingerprint) -> bool {
        self.0.contains(fingerprint)
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), rustls::Error> {
        let mut shown = std::iter::once(end_entity).chain(intermediates);
        match !self.0.is_empty() && shown.any(|shown| self.has(&fingerprint(shown))) {
            true => Err(rustls::Error::InvalidCertificate(CertificateError::Revoked)),
            false => Ok(()),
        }
    }
}

fn parse(text: &str) -> Result<Revoked, String> {
    let mut revoked = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let Some(word) = line.split_whitespace().next() else { continue };
        let mut fingerprint = [0; 32];
        // A line that is passed over would leave somebody in.
        hex::decode_to_slice(word.replace(':', ""), &mut fingerprint).map_err(|_| {
            format!(
                "line {number} does not begin with a fingerprint, which has 64 hexadecimal digits: \
                 `gitstratum cert revoke` prints such lines"
            )
        })?;
        revoked.insert(Fingerprint(fingerprint));
    }
    Ok(Revoked(Arc::new(revoked)))
}

/// Takes what another verifier takes, but for revoked certificates.
#[derive(Debug)]
pub(super) struct ButRevoked<V> {
    verifier: V,
    revoked: Revoked,
}

impl<V> ButRevoked<V> {
    pub(super) fn new(verifier: V, revoked: Revoked) -> Arc<Self> {
        Arc::new(ButRevoked { verifier, revoked })
    }
}

impl ClientCertVerifier for ButRevoked<Arc<dyn ClientCertVerifier>> {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        self.revoked.check(end_entity, intermediates).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl ServerCertVerifier for ButRevoked<Arc<dyn ServerCertVerifier>> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        self.revoked.check(end_entity, intermediates).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_fingerprints_and_words_and_nothing_that_is_passed_over() {
        let one = fingerprint(b"one");
        let digits = hex::encode(one.0);
        let colons: Vec<_> =
            digits.as_bytes().chunks(2).map(|two| str::from_utf8(two).unwrap()).collect();
        let colons = colons.join(":").to_uppercase();
        for text in [
            digits.clone(),
            format!("# lost\n\n  {digits}  client alice, until 2030\r\n"),
            format!("{colons} # of the machine that was stolen"),
        ] {
            let revoked = parse(&text).unwrap();
            assert!(revoked.has(&one) && !revoked.has(&fingerprint(b"other")), "{text}");
        }
        assert!(!parse("# none yet\n").unwrap().has(&one));
        for wrong in ["client alice", &digits[1..], &format!("{digits}0"), "sha256 ab"] {
            let problem = parse(&format!("{digits}\n{wrong}\n")).unwrap_err();
            assert!(problem.contains("line 2 does not begin with a fingerprint"), "{problem}");
        }
    }
}
