//! Handshakes over streams in memory, and identities that are none.

mod mutual;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::{Acceptor, HandshakeError, Identity, IdentityError, IdentityFile, Refusal, TlsStream};

const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// An authority, and files of certificates that it signed.
struct Authority {
    dir: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let signed = params.self_signed(&key).unwrap();
        let (certificate, pem) = (signed.der().clone(), signed.pem());
        let issuer = Issuer::new(params, key);
        Authority { dir: tempfile::tempdir().unwrap(), certificate, pem, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a certificate for a host and its key.
    fn issue(&self, host: &str, is_expired: bool) {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        if is_expired {
            params.not_after = date_time_ymd(2001, 2, 3);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path("certificate"), certificate.pem()).unwrap();
        fs::write(self.path("key"), key.serialize_pem()).unwrap();
        fs::set_permissions(self.path("key"), Permissions::from_mode(0o600)).unwrap();
    }

    async fn identity(&self) -> Result<Identity, IdentityError> {
        Identity::read(&self.path("certificate"), &self.path("key"), &PROTOCOLS).await
    }
}

/// Both ends of a handshake with a client that trusts this authority.
async fn shake(
    acceptor: &Acceptor,
    trusted: &CertificateDer<'static>,
    host: &'static str,
    protocol: &str,
) -> (io::Result<Vec<u8>>, Result<TlsStream<DuplexStream>, HandshakeError<DuplexStream>>) {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let (client, server) = tokio::io::duplex(1 << 16);
    let client = async move {
        let name = ServerName::try_from(host).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, client).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let client = tokio::spawn(client);
    let mut shaken = acceptor.accept(server).await;
    if let Ok(stream) = &mut shaken {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    (client.await.unwrap(), shaken)
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_spoken_to_by_the_protocol_that_it_knows() {
    let authority = Authority::new("ours");
    authority.issue("git.example", false);
    let acceptor = Acceptor::new(authority.identity().await.unwrap());
    for protocol in PROTOCOLS {
        let (answer, shaken) =
            shake(&acceptor, &authority.certificate, "git.example", protocol).await;
        assert_eq!(answer.unwrap(), b"hello");
        assert_eq!(shaken.unwrap().protocol(), Some(protocol.as_bytes()));
    }
}

#[tokio::test]
async fn why_a_client_does_not_take_a_certificate_is_told_apart() {
    let (authority, other) = (Authority::new("ours"), Authority::new("other"));
    authority.issue("git.example", false);
    let acceptor = Acceptor::new(authority.identity().await.unwrap());
    let (client, server) = shake(&acceptor, &other.certificate, "git.example", "h2").await;
    assert!(
        matches!(server, Err(HandshakeError::Refused(Refusal::UnknownAuthority))),
        "{server:?}"
    );
    assert!(client.unwrap_err().to_string().contains("UnknownIssuer"));
    let (client, server) = shake(&acceptor, &authority.certificate, "other.example", "h2").await;
    assert!(matches!(server, Err(HandshakeError::Refused(Refusal::Other(_)))), "{server:?}");
    assert!(client.unwrap_err().to_string().contains("not valid for name"));
    authority.issue("git.example", true);
    let expired = authority.identity().await.unwrap();
    assert_eq!(expired.validity().until_s, 981_158_400);
    // It is shown from the next handshake on.
    acceptor.replace(expired);
    let (client, server) = shake(&acceptor, &authority.certificate, "git.example", "h2").await;
    assert!(matches!(server, Err(HandshakeError::Refused(Refusal::Expired))), "{server:?}");
    assert!(client.unwrap_err().to_string().contains("expired"));
}

#[tokio::test]
async fn what_is_no_tls_is_given_back_for_an_answer() {
    let authority = Authority::new("ours");
    authority.issue("git.example", false);
    let acceptor = Acceptor::new(authority.identity().await.unwrap());
    for text in [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
    ] {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        client.write_all(text.as_bytes()).await.unwrap();
        let Err(HandshakeError::Plaintext(mut stream)) = acceptor.accept(server).await else {
            panic!("{text:?} is no TLS")
        };
        stream.write_all(b"no").await.unwrap();
        drop(stream);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"no");
    }
    // One that says nothing, and one that goes away in the midst of a hello.
    let (client, server) = tokio::io::duplex(1 << 10);
    drop(client);
    assert!(matches!(acceptor.accept(server).await, Err(HandshakeError::Silent)));
    let (mut client, server) = tokio::io::duplex(1 << 10);
    client.write_all(&[0x16, 3, 1, 1, 0, 1]).await.unwrap();
    drop(client);
    let broken = acceptor.accept(server).await;
    assert!(matches!(broken, Err(HandshakeError::Broken(_))), "{broken:?}");
}

#[tokio::test]
async fn files_that_are_no_identity_are_refused_by_name() {
    let authority = Authority::new("ours");
    let refused = |found: Result<Identity, IdentityError>, file: IdentityFile, words: &str| {
        let error = found.map(|_| ()).unwrap_err();
        let said = error.to_string();
        assert!(error.file == file && said.contains(words), "{said}");
        let name = if file == IdentityFile::Key { "key: " } else { "certificate: " };
        assert!(said.contains(name), "{said}");
    };
    let (certificate, key) = (IdentityFile::Certificate, IdentityFile::Key);
    refused(authority.identity().await, certificate, "No such file");
    authority.issue("git.example", false);
    let (whole, private) = (
        fs::read(authority.path("certificate")).unwrap(),
        fs::read(authority.path("key")).unwrap(),
    );
    fs::set_permissions(authority.path("key"), Permissions::from_mode(0o644)).unwrap();
    refused(authority.identity().await, key, "everybody on this machine may read it (mode 644)");
    fs::set_permissions(authority.path("key"), Permissions::from_mode(0o640)).unwrap();
    authority.identity().await.unwrap();
    fs::write(authority.path("key"), "words").unwrap();
    refused(authority.identity().await, key, "no private key");
    authority.issue("git.example", false);
    fs::write(authority.path("certificate"), whole).unwrap();
    refused(authority.identity().await, key, "it is not the key of the certificate in");
    fs::write(authority.path("certificate"), private).unwrap();
    refused(authority.identity().await, certificate, "there is no certificate in it");
    fs::write(authority.path("certificate"), vec![b'x'; 2 << 20]).unwrap();
    refused(authority.identity().await, certificate, "more than");
}
