//! Identities and trust: what rustls needs of each side of a handshake.
//!
//! Mutual TLS is of version 1.3 alone, and nothing of a connection is resumed by another: each
//! handshake looks at the certificates as they are then.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::rustls;

use super::super::{ClientCertificates, IdentityError, IdentityFile, MutualFiles, Validity};
use super::files::{Own, authorities, wrong_file};
use super::problem::described;
use super::revoked::{ButRevoked, Revoked};

/// A certificate with its key, as a server shows it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) validity: Validity,
    /// Of those who come.
    pub(super) revoked: Revoked,
    names: Arc<[String]>,
}

impl Identity {
    /// Reads it from PEM files, for a server that speaks these protocols, the preferred one first, and
    /// asks nobody for a certificate. A key that everybody on the machine may read is refused.
    ///
    /// # Errors
    /// [`IdentityError`], with the file and what is wrong with it.
    pub async fn read(
        certificate: &Path,
        key: &Path,
        protocols: &[&str],
    ) -> Result<Self, IdentityError> {
        let (certificate, key, protocols) = (certificate.to_owned(), key.to_owned(), of(protocols));
        blocking(move || {
            let own = Own::read(&certificate, &key)?;
            let builder = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .expect("the provider has the suites of both versions")
                .with_no_client_auth();
            let (validity, names) = (own.validity, own.names.into());
            let config = builder.with_single_cert(own.chain, own.key);
            let mut config = config.map_err(|error| mismatched(error, &certificate, &key))?;
            config.alpn_protocols = protocols;
            let (config, revoked) = (Arc::new(config), Revoked::default());
            Ok(Identity { config, validity, revoked, names })
        })
        .await
    }

    /// When its certificate is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The DNS names that its certificate is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// Whose certificates a client takes, and which it shows itself. None but the authorities of its file
/// are trusted, not those of the system either.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Takes certificates for the name that is asked for.
    pub(super) named: Arc<ClientConfig>,
    /// Takes those of any name.
    pub(super) unnamed: Arc<ClientConfig>,
    /// Of our own certificate.
    names: Arc<[String]>,
}

impl Trust {
    /// Reads the authorities, the certificate with its key where there is one to show, and the list of
    /// certificates that were revoked, where there is one; for a client that speaks these protocols.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn read(
        authority: &Path,
        own: Option<(&Path, &Path)>,
        revoked: Option<&Path>,
        protocols: &[&str],
    ) -> Result<Self, IdentityError> {
        let revoked = revoked.map(Path::to_owned);
        let (authority, protocols) = (authority.to_owned(), of(protocols));
        let own = own.map(|(certificate, key)| (certificate.to_owned(), key.to_owned()));
        blocking(move || {
            let roots = authorities(&authority)?;
            let revoked = Revoked::read(revoked.as_deref())?;
            let trusted = Trusted { authority: &authority, roots: roots.clone(), revoked };
            let Some((certificate, key)) = own else { return trusting(trusted, None, protocols) };
            let read = Own::read(&certificate, &key)?;
            check_client(&read, &roots)
                .map_err(|problem| unusable(&certificate, &authority, &problem))?;
            trusting(trusted, Some((read, &certificate, &key)), protocols)
        })
        .await
    }

    /// The DNS names that the certificate is for which it shows; none where it shows none.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// What one takes part in mutual TLS with, on both sides of a handshake.
#[derive(Clone, Debug)]
pub struct Mutual {
    /// What is shown to those who come, who are asked for certificates of the authority.
    pub identity: Identity,
    /// What those who are gone to are asked for, and shown.
    pub trust: Trust,
}

impl Mutual {
    /// Reads it, for those who speak these protocols, and who may have to show certificates. A certificate that its own authority would not
    /// be known by is refused here, and not one that has expired: clocks and files change.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn read(
        files: &MutualFiles,
        clients: ClientCertificates,
        protocols: &[&str],
    ) -> Result<Self, IdentityError> {
        let (files, protocols) = (files.clone(), of(protocols));
        blocking(move || read_mutual(&files, clients, protocols)).await
    }
}

fn read_mutual(
    files: &MutualFiles,
    clients: ClientCertificates,
    protocols: Vec<Vec<u8>>,
) -> Result<Mutual, IdentityError> {
    let MutualFiles { certificate, key, authority, revoked } = files;
    let roots = authorities(authority)?;
    let revoked = Revoked::read(revoked.as_deref())?;
    let own = Own::read(certificate, key)?;
    let checked = check_client(&own, &roots).and_then(|()| check_server(&own, &roots));
    checked.map_err(|problem| unusable(certificate, authority, &problem))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
        // Whoever only reaches the port is not to learn what the authority is called.
        .clear_root_hint_subjects();
    let verifier = match clients {
        ClientCertificates::Required => verifier,
        ClientCertificates::Optional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier
        .build()
        .map_err(|error| wrong_file(IdentityFile::Authority, authority, error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has the suites of the version")
        .with_client_cert_verifier(ButRevoked::new(verifier, revoked.clone()));
    let config = builder.with_single_cert(own.chain.clone(), own.key.clone_key());
    let mut config = config.map_err(|error| mismatched(error, certificate, key))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols.clone_from(&protocols);
    let (validity, names) = (own.validity, own.names.clone().into());
    let trusted = Trusted { authority, roots, revoked: revoked.clone() };
    let identity = Identity { config: Arc::new(config), validity, revoked, names };
    let trust = trusting(trusted, Some((own, certificate, key)), protocols)?;
    Ok(Mutual { identity, trust })
}

/// Whose certificates are taken, and which of them are not.
struct Trusted<'a> {
    /// The file of the authorities.
    authority: &'a Path,
    roots: Arc<RootCertStore>,
    revoked: Revoked,
}

fn trusting(
    Trusted { authority, roots, revoked }: Trusted<'_>,
    own: Option<(Own, &Path, &Path)>,
    protocols: Vec<Vec<u8>>,
) -> Result<Trust, IdentityError> {
    let by_name = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider()).build();
    let by_name: Arc<dyn ServerCertVerifier> = by_name
        .map_err(|error| wrong_file(IdentityFile::Authority, authority, error.to_string()))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has the suites of the version")
        .dangerous()
        .with_custom_certificate_verifier(ButRevoked::new(by_name, revoked.clone()));
    let names = own.as_ref().map_or_else(Vec::new, |(own, ..)| own.names.clone());
    let mut named = match own {
        None => builder.with_no_client_auth(),
        Some((own, certificate, key)) => {
            let config = builder.with_client_auth_cert(own.chain, own.key);
            config.map_err(|error| mismatched(error, certificate, key))?
        }
    };
    named.alpn_protocols = protocols;
    named.resumption = Resumption::disabled();
    let mut unnamed = named.clone();
    unnamed.enable_sni = false;
    let any_name: Arc<dyn ServerCertVerifier> = Arc::new(AnyName { roots });
    unnamed.dangerous().set_certificate_verifier(ButRevoked::new(any_name, revoked));
    Ok(Trust { named: Arc::new(named), unnamed: Arc::new(unnamed), names: names.into() })
}

/// Takes a server's certificate of one of these authorities, for whatever name: whoever does not know
/// yet whom it will meet looks at the name afterwards.
#[derive(Debug)]
struct AnyName {
    roots: Arc<RootCertStore>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        check_chain(end_entity, intermediates, &self.roots, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn check_chain(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let known = provider().signature_verification_algorithms.all;
    let parsed = ParsedCertificate::try_from(end_entity)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, known)
}

/// Whether servers that trust these authorities would take a certificate of ours.
fn check_client(own: &Own, roots: &Arc<RootCertStore>) -> Result<(), rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    let checked = verifier.verify_client_cert(&own.chain[0], &own.chain[1..], UnixTime::now());
    whenever(checked.map(drop))
}

/// Whether clients would.
fn check_server(own: &Own, roots: &RootCertStore) -> Result<(), rustls::Error> {
    whenever(check_chain(&own.chain[0], &own.chain[1..], roots, UnixTime::now()))
}

/// The same, whatever the time.
fn whenever(checked: Result<(), rustls::Error>) -> Result<(), rustls::Error> {
    match checked {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => Ok(()),
        checked => checked,
    }
}

fn unusable(certificate: &Path, authority: &Path, error: &rustls::Error) -> IdentityError {
    let problem = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("no authority in {} signed it", authority.display())
        }
        rustls::Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. }) => {
            "it is made for another purpose: `gitstratum cert issue` makes one with --node for a node, \
             and with --client for whoever gives commands"
                .to_owned()
        }
        error => described(error),
    };
    wrong_file(IdentityFile::Certificate, certificate, problem)
}

fn mismatched(error: rustls::Error, certificate: &Path, key: &Path) -> IdentityError {
    let problem = match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("it is not the key of the certificate in {}", certificate.display())
        }
        error => error.to_string(),
    };
    wrong_file(IdentityFile::Key, key, problem)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn of(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.as_bytes().to_vec()).collect()
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, IdentityError> {
    tokio::task::spawn_blocking(read).await.expect("reading does not panic")
}
