//! Mutual TLS: who is taken for whom, and what both sides say where one is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::super::{
    Acceptor, CertificateProblem, ClientCertificates, ConnectError, Connector, HandshakeError,
    IdentityFile, Mutual, MutualFiles, Refusal, TlsStream, Trust, fingerprint,
};
use super::Authority;

const PROTOCOLS: [&str; 1] = ["h2"];

/// When certificates of these tests are valid.
#[derive(Clone, Copy)]
enum When {
    Now,
    Past,
    Future,
}

impl Authority {
    /// Writes the certificate of the authority, and a certificate by it, which is for this name.
    fn mutual(&self, name: &str, when: When, usages: &[ExtendedKeyUsagePurpose]) -> MutualFiles {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = usages.to_vec();
        match when {
            When::Now => {}
            When::Past => params.not_after = date_time_ymd(2001, 2, 3),
            When::Future => params.not_before = date_time_ymd(2999, 2, 3),
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| -> PathBuf { self.path(&format!("{name}.{end}")) };
        let files = MutualFiles {
            certificate: path("pem"),
            key: path("key"),
            authority: path("authority"),
            revoked: None,
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        fs::write(&files.authority, &self.pem).unwrap();
        files
    }
}

const BOTH: [ExtendedKeyUsagePurpose; 2] =
    [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];

async fn mutual(files: &MutualFiles) -> Mutual {
    Mutual::read(files, ClientCertificates::Required, &PROTOCOLS).await.unwrap()
}

type Ends = (
    Result<TlsStream<DuplexStream>, ConnectError>,
    Result<TlsStream<DuplexStream>, HandshakeError<DuplexStream>>,
);

/// Both ends of a handshake, after which the server says something.
async fn shake(server: &Mutual, client: &Trust, name: Option<&str>) -> Ends {
    let (near, far) = tokio::io::duplex(1 << 16);
    let acceptor = Acceptor::new(server.identity.clone());
    let accepting = tokio::spawn(async move {
        let mut accepted = acceptor.accept(far).await;
        if let Ok(stream) = &mut accepted {
            stream.write_all(b"welcome").await.unwrap();
            stream.shutdown().await.unwrap();
        }
        accepted
    });
    let connected = Connector::new(client.clone()).connect(near, name).await;
    (connected, accepting.await.unwrap())
}

#[tokio::test]
async fn each_side_learns_for_whom_the_certificate_of_the_other_is() {
    let authority = Authority::new("ours");
    let server = mutual(&authority.mutual("a.example", When::Now, &BOTH)).await;
    let client = mutual(&authority.mutual("b.example", When::Now, &BOTH)).await;
    for name in [Some("a.example"), None] {
        let (connected, accepted) = shake(&server, &client.trust, name).await;
        let (mut connected, accepted) = (connected.unwrap(), accepted.unwrap());
        assert_eq!(connected.peer_names().unwrap(), ["a.example"]);
        assert_eq!(accepted.peer_names().unwrap(), ["b.example"]);
        assert_eq!(connected.protocol(), Some(&b"h2"[..]));
        let mut said = [0; 7];
        connected.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"welcome", "what told that we are taken is not lost");
    }
}

#[tokio::test]
async fn where_certificates_are_optional_one_that_is_shown_has_to_be_good() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let files = ours.mutual("a.example", When::Now, &BOTH);
    let server = Mutual::read(&files, ClientCertificates::Optional, &PROTOCOLS).await.unwrap();
    let nobody = Trust::read(&files.authority, None, None, &PROTOCOLS).await.unwrap();
    let (connected, accepted) = shake(&server, &nobody, Some("a.example")).await;
    assert!(connected.is_ok() && accepted.unwrap().peer_names().is_none());
    let client = mutual(&ours.mutual("b.example", When::Now, &BOTH)).await.trust;
    let (_, accepted) = shake(&server, &client, None).await;
    assert_eq!(accepted.unwrap().peer_names().unwrap(), ["b.example"]);
    // One that its own authority knows, and ours does not.
    let foreign = others.mutual("c.example", When::Now, &BOTH);
    fs::write(&foreign.authority, [others.pem.as_str(), &ours.pem].concat()).unwrap();
    let (_, accepted) = shake(&server, &mutual(&foreign).await.trust, None).await;
    let Err(HandshakeError::Certificate(problem)) = accepted else { panic!("{accepted:?}") };
    assert_eq!(problem, CertificateProblem::UnknownAuthority);
}

#[tokio::test]
async fn a_revoked_certificate_ends_handshakes_on_either_side_and_is_known_afterwards() {
    let authority = Authority::new("ours");
    let (a, b) = ("a.example", "b.example");
    let [plain_a, plain_b] = [a, b].map(|name| authority.mutual(name, When::Now, &BOTH));
    let revoking = |files: &MutualFiles, certificates: &[&MutualFiles]| {
        let list = authority.path(&format!("{}.revoked", certificates.len()));
        let lines = certificates.iter().map(|files| {
            let pem = fs::read(&files.certificate).unwrap();
            let der = CertificateDer::from_pem_slice(&pem).unwrap();
            format!("{}  words\n", hex::encode(fingerprint(&der).0))
        });
        fs::write(&list, lines.collect::<String>()).unwrap();
        MutualFiles { revoked: Some(list), ..files.clone() }
    };
    let (server, client) = (mutual(&plain_a).await, mutual(&plain_b).await);
    let knows_b = mutual(&revoking(&plain_a, &[&plain_b])).await;
    let (connected, accepted) = shake(&knows_b, &client.trust, Some(a)).await;
    let Err(HandshakeError::Certificate(problem)) = accepted else { panic!("{accepted:?}") };
    assert_eq!(problem, CertificateProblem::Revoked);
    let Err(ConnectError::Refused(refusal)) = connected else { panic!("{connected:?}") };
    assert_eq!(refusal, Refusal::Revoked);
    let knows_a = mutual(&revoking(&plain_b, &[&plain_a, &plain_a])).await;
    for name in [Some(a), None] {
        let (connected, _) = shake(&server, &knows_a.trust, name).await;
        let Err(ConnectError::Certificate(problem)) = connected else { panic!("{connected:?}") };
        assert_eq!(problem, CertificateProblem::Revoked);
    }
    // One that was taken before is known, too, and others are taken.
    let (_, accepted) = shake(&server, &client.trust, Some(a)).await;
    let shown = accepted.unwrap().peer_fingerprint().unwrap();
    let acceptor = Acceptor::new(server.identity);
    assert!(!acceptor.has_revoked(&shown));
    acceptor.replace(knows_b.identity);
    assert!(acceptor.has_revoked(&shown));
    let list = authority.path("words.revoked");
    fs::write(&list, "b.example\n").unwrap();
    let files = MutualFiles { revoked: Some(list), ..plain_a };
    let read = Mutual::read(&files, ClientCertificates::Required, &PROTOCOLS).await;
    let error = read.map(drop).unwrap_err();
    assert!(error.file == IdentityFile::Revoked && error.to_string().contains("line 1"), "{error}");
}

#[tokio::test]
async fn why_a_server_is_not_taken_is_told_apart() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let client = mutual(&ours.mutual("b.example", When::Now, &BOTH)).await.trust;
    let of = CertificateProblem::OtherName;
    for (server, name, expected) in [
        (ours.mutual("a.example", When::Now, &BOTH), "c.example", of(vec!["a.example".to_owned()])),
        (
            others.mutual("a.example", When::Now, &BOTH),
            "a.example",
            CertificateProblem::UnknownAuthority,
        ),
        (ours.mutual("old.example", When::Past, &BOTH), "old.example", CertificateProblem::Expired),
        (
            ours.mutual("new.example", When::Future, &BOTH),
            "new.example",
            CertificateProblem::NotYetValid,
        ),
    ] {
        let server = mutual(&server).await;
        let (connected, accepted) = shake(&server, &client, Some(name)).await;
        let Err(ConnectError::Certificate(problem)) = connected else { panic!("{connected:?}") };
        assert_eq!(problem, expected);
        assert!(matches!(accepted, Err(HandshakeError::Refused(_))), "{accepted:?}");
        if !matches!(expected, CertificateProblem::OtherName(_)) {
            // Any name is not any certificate.
            let (connected, _) = shake(&server, &client, None).await;
            let Err(ConnectError::Certificate(problem)) = connected else {
                panic!("{connected:?}")
            };
            assert_eq!(problem, expected);
        }
    }
}

#[tokio::test]
async fn why_a_client_is_not_taken_is_told_apart_on_both_sides() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let server = mutual(&ours.mutual("a.example", When::Now, &BOTH)).await;
    // Of another authority, which it takes for ours.
    let stranger = others.mutual("b.example", When::Now, &BOTH);
    fs::write(&stranger.authority, [&ours.pem[..], &others.pem].concat()).unwrap();
    let server_only = ours.mutual("s.example", When::Now, &BOTH[..1]);
    let (without, missing) = (None, CertificateProblem::Missing);
    for (files, problem, refusal) in [
        (without, Some(missing), Refusal::Missing),
        (Some(stranger), Some(CertificateProblem::UnknownAuthority), Refusal::UnknownAuthority),
        (
            Some(ours.mutual("old.example", When::Past, &BOTH)),
            Some(CertificateProblem::Expired),
            Refusal::Expired,
        ),
        (
            Some(ours.mutual("new.example", When::Future, &BOTH)),
            Some(CertificateProblem::NotYetValid),
            Refusal::Expired,
        ),
    ] {
        let own = files.as_ref().map(|files| (&*files.certificate, &*files.key));
        let authority = ours.path("a.example.authority");
        let authority = files.as_ref().map_or(&authority, |files| &files.authority);
        let client = Trust::read(authority, own, None, &PROTOCOLS).await.unwrap();
        let (connected, accepted) = shake(&server, &client, Some("a.example")).await;
        let Err(ConnectError::Refused(said)) = connected else { panic!("{connected:?}") };
        assert_eq!(said, refusal);
        let Err(HandshakeError::Certificate(found)) = accepted else { panic!("{accepted:?}") };
        assert_eq!(Some(found), problem);
    }
    let own = Some((&*server_only.certificate, &*server_only.key));
    let error = Trust::read(&server_only.authority, own, None, &PROTOCOLS).await.unwrap_err();
    assert!(error.to_string().contains("made for another purpose"), "{error}");
}

#[tokio::test]
async fn a_server_that_answers_in_plain_text_is_told_from_one_that_goes_away() {
    let authority = Authority::new("ours");
    let client = mutual(&authority.mutual("b.example", When::Now, &BOTH)).await.trust;
    // The beginning of HTTP/2 by a server, and nothing at all.
    for (answer, is_plain) in [(&[0, 0, 6, 4, 0, 0, 0, 0, 0][..], true), (&[], false)] {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(answer).await.unwrap();
        let gone = tokio::spawn(async move {
            let mut hello = [0; 5];
            far.read_exact(&mut hello).await.unwrap();
        });
        let connector = Connector::new(client.clone());
        let error = connector.connect(near, Some("a.example")).await.unwrap_err();
        assert_eq!(matches!(error, ConnectError::Plaintext), is_plain, "{error}");
        assert_eq!(matches!(error, ConnectError::Broken(_)), !is_plain, "{error}");
        gone.await.unwrap();
    }
}

#[tokio::test]
async fn files_that_cannot_be_ones_own_are_refused_by_name() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let good = ours.mutual("a.example", When::Now, &BOTH);
    let foreign = others.mutual("a.example", When::Now, &BOTH);
    let client_only = ours.mutual("c.example", When::Now, &BOTH[1..]);
    let key = |files: &MutualFiles| MutualFiles { key: foreign.key.clone(), ..files.clone() };
    let by = |path: &PathBuf| MutualFiles { authority: path.clone(), ..good.clone() };
    for (files, file, words) in [
        (by(&foreign.authority), IdentityFile::Certificate, "no authority in"),
        (by(&good.certificate), IdentityFile::Authority, "no authority's"),
        (by(&good.key), IdentityFile::Authority, "there is no certificate in it"),
        (by(&ours.path("none")), IdentityFile::Authority, "No such file"),
        (key(&good), IdentityFile::Key, "it is not the key of the certificate in"),
        (client_only, IdentityFile::Certificate, "made for another purpose"),
    ] {
        let error = Mutual::read(&files, ClientCertificates::Required, &PROTOCOLS)
            .await
            .map(drop)
            .unwrap_err();
        assert!(error.file == file && error.to_string().contains(words), "{error}");
    }
    // Time is for others to judge.
    mutual(&ours.mutual("old.example", When::Past, &BOTH)).await;
}
