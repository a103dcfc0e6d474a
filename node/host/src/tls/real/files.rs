//! PEM files of certificates and keys, and what a certificate says.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::{IdentityError, IdentityFile, Validity};

/// A file of certificates or keys has no more bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Permission bits by which everybody on the machine may read a file.
const WORLD_READABLE: u32 = 0o004;

/// A certificate with its key, as its files have it.
pub(super) struct Own {
    /// The certificate, and behind it those that lead to its authority; at least one.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) validity: Validity,
    /// The DNS names that it is for.
    pub(super) names: Vec<String>,
}

impl Own {
    /// Reads both files. A key that everybody on the machine may read is refused: it is nobody's any
    /// more.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let wrong = |problem| wrong_file(IdentityFile::Certificate, certificate, problem);
        let wrong_key = |problem| wrong_file(IdentityFile::Key, key, problem);
        let chain = certificates(IdentityFile::Certificate, certificate)?;
        let leaf = parsed(&chain[0]).map_err(wrong)?;
        let (validity, names) = (validity_of(&leaf), names_of(&leaf));
        let metadata = fs::metadata(key).map_err(|error| wrong_key(error.to_string()))?;
        let mode = metadata.permissions().mode();
        if mode & WORLD_READABLE != 0 {
            return Err(wrong_key(format!(
                "everybody on this machine may read it (mode {:03o}): `chmod 600` it, and make \
                 another one if somebody did",
                mode & 0o777
            )));
        }
        let pem = read_file(key).map_err(|error| wrong_key(error.to_string()))?;
        let private = PrivateKeyDer::from_pem_slice(&pem);
        let key = private.map_err(|_| wrong_key("there is no private key in it".to_owned()))?;
        Ok(Own { chain, key, validity, names })
    }
}

/// The authorities of a file, which are trusted and no others.
pub(super) fn authorities(path: &Path) -> Result<Arc<RootCertStore>, IdentityError> {
    let wrong = |problem| wrong_file(IdentityFile::Authority, path, problem);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(IdentityFile::Authority, path)? {
        let is_authority = parsed(&certificate).map_err(wrong)?.is_ca();
        if !is_authority {
            let problem = "a certificate in it is no authority's: it is the file that \
                           `gitstratum cert init` calls authority.pem";
            return Err(wrong(problem.to_owned()));
        }
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(Arc::new(roots))
}

/// What is wrong with a file, before its path.
pub(super) fn wrong_file(file: IdentityFile, path: &Path, problem: String) -> IdentityError {
    IdentityError { file, path: path.to_owned(), problem }
}

/// The certificates of a file; at least one.
fn certificates(
    file: IdentityFile,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let wrong = |problem| wrong_file(file, path, problem);
    let pem = read_file(path).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| wrong(format!("it is no PEM: {error}")))?;
    if found.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(found)
}

pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn parsed(certificate: &[u8]) -> Result<X509Certificate<'_>, String> {
    let parsed = X509Certificate::from_der(certificate);
    parsed
        .map(|(_, certificate)| certificate)
        .map_err(|error| format!("its first certificate cannot be read: {error}"))
}

fn validity_of(certificate: &X509Certificate<'_>) -> Validity {
    let validity = certificate.validity();
    Validity { from_s: validity.not_before.timestamp(), until_s: validity.not_after.timestamp() }
}

/// The DNS names that a certificate is for.
fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let dns = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    dns.collect()
}

/// The DNS names that a certificate is for, of which this is the DER; none where it is no certificate.
pub fn dns_names(certificate: &[u8]) -> Vec<String> {
    parsed(certificate).map_or_else(|_| Vec::new(), |certificate| names_of(&certificate))
}
