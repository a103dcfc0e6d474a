//! `cert`: an authority of one's own for a small deployment, and certificates for its servers, its nodes
//! and those who command them.
//!
//! Keys are ECDSA on P-256, which every client takes. A key's file is readable by its owner alone from
//! its first byte on, and appears whole under its name.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gitstratum_cluster::transport::Holder;
use gitstratum_core::placement::NodeId;
use gitstratum_host::tls::{dns_names, fingerprint};
use gitstratum_host::unix_time_ms;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::NamedTempFile;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

use super::arguments::{CertCommand, CertInit, CertIssue};
use super::catalog::utc;
use super::{Failure, note, show};

/// A certificate's own name has no more characters.
const COMMON_NAME_MAX: usize = 64;
/// What the files of an authority are called, without their ends.
const AUTHORITY: &str = "authority";
const DAY_S: u64 = 86_400;
/// Certificates are valid from so long ago on, for clients whose clocks are behind.
const CLOCKS_BEHIND_S: u64 = 3600;

/// Files of a certificate and its key.
pub(super) struct Files {
    /// The certificate, and behind it its authority's.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
}

impl Files {
    fn named(dir: &Path, name: &str) -> Self {
        Files { certificate: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) }
    }
}

/// Does what `cert` says.
pub(super) fn cert(asked: CertCommand) -> Result<(), Failure> {
    match asked {
        CertCommand::Init(CertInit { dir, name, days }) => {
            let files = make_authority(&dir, &name, days)?;
            note(format_args!(
                "keep {} away from the nodes: whoever has it makes certificates that clients trust",
                files.key.display()
            ));
            show(&format!("{}\n", files.certificate.display()))
        }
        CertCommand::Issue(CertIssue { names, node, client, dir, days }) => {
            let wrong = |flag| move |problem| Failure::Usage(format!("--{flag}: {problem}"));
            let files = match (node, client) {
                (Some(id), _) => {
                    let holder = Holder::node(&NodeId::new(id)).map_err(wrong("node"))?;
                    issue_to(&dir, &holder, days)?
                }
                (None, Some(name)) => {
                    let holder = Holder::client(&name).map_err(wrong("client"))?;
                    issue_to(&dir, &holder, days)?
                }
                (None, None) => issue(&dir, &names, days)?,
            };
            show(&format!("{}\n{}\n", files.certificate.display(), files.key.display()))
        }
        CertCommand::Show { files } => files.iter().try_for_each(|file| show_file(file)),
        CertCommand::Revoke { files } => files.iter().try_for_each(|file| show_revocation(file)),
    }
}

/// Makes an authority in a directory that has none.
pub(super) fn make_authority(dir: &Path, name: &str, days: u32) -> Result<Files, Failure> {
    if name.is_empty() || name.chars().count() > COMMON_NAME_MAX {
        let problem = format!("--name: an authority's name has 1 to {COMMON_NAME_MAX} characters");
        return Err(Failure::Usage(problem));
    }
    let files = Files::named(dir, AUTHORITY);
    for path in [&files.certificate, &files.key] {
        if path.exists() {
            return Err(Failure::Operation(format!(
                "{} is there already: certificates that it signed would be trusted by nobody",
                path.display()
            )));
        }
    }
    let mut params = params(name, days);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    fs::create_dir_all(dir).map_err(Failure::operation(format!("make {}", dir.display())))?;
    write(&files.key, &key.serialize_pem(), 0o600)?;
    write(&files.certificate, &certificate.pem(), 0o644)?;
    Ok(files)
}

/// Makes a certificate for a server of these names, signed by the authority of the directory.
pub(super) fn issue(dir: &Path, names: &[String], days: u32) -> Result<Files, Failure> {
    for name in names {
        check_name(name)?;
    }
    let first = names.first().map(String::as_str).unwrap_or_default();
    let usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(dir, &first.replace([':', '*'], "_"), (first, names), usages, days)
}

/// Makes a certificate for a node or a client, signed by the authority of the directory.
pub(super) fn issue_to(dir: &Path, holder: &Holder, days: u32) -> Result<Files, Failure> {
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let (file, usages) = match holder {
        // A node is called, and calls.
        Holder::Node(id) => (id.to_string(), vec![ExtendedKeyUsagePurpose::ServerAuth, client]),
        Holder::Client(name) => (name.to_string(), vec![client]),
    };
    sign(dir, &file, (&holder.to_string(), &[holder.dns_name()]), usages, days)
}

fn sign(
    dir: &Path,
    file: &str,
    (subject, names): (&str, &[String]),
    usages: Vec<ExtendedKeyUsagePurpose>,
    days: u32,
) -> Result<Files, Failure> {
    let authority = Files::named(dir, AUTHORITY);
    let read = |path: &Path| {
        let reading = format!("read {}; `gitstratum cert init` makes it", path.display());
        fs::read_to_string(path).map_err(Failure::operation(reading))
    };
    let (chain, key) = (read(&authority.certificate)?, read(&authority.key)?);
    let wrong = |path: &Path, error: rcgen::Error| {
        Failure::Operation(format!("{}: {error}", path.display()))
    };
    let signing = KeyPair::from_pem(&key).map_err(|error| wrong(&authority.key, error))?;
    let issuer = Issuer::from_ca_cert_pem(&chain, signing)
        .map_err(|error| wrong(&authority.certificate, error))?;
    let files = Files::named(dir, file);
    refuse_anothers(&files.certificate, file, names)?;
    let common: String = subject.chars().take(COMMON_NAME_MAX).collect();
    let named = CertificateParams::new(names.to_vec())?;
    let mut params = params(&common, days);
    params.subject_alt_names = named.subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages;
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write(&files.key, &key.serialize_pem(), 0o600)?;
    write(&files.certificate, &(certificate.pem() + &chain), 0o644)?;
    Ok(files)
}

/// Refuses to put a certificate in the place of the authority's, or of one that is for another.
fn refuse_anothers(path: &Path, file: &str, names: &[String]) -> Result<(), Failure> {
    if file == AUTHORITY {
        let problem = format!("{} is the authority's: choose another name", path.display());
        return Err(Failure::Usage(problem));
    }
    let Ok(there) = fs::read(path) else { return Ok(()) };
    let Some(Ok(pem)) = Pem::iter_from_buffer(&there).next() else { return Ok(()) };
    let (holder, wanted) = (Holder::of(&dns_names(&pem.contents)).ok(), Holder::of(names).ok());
    match holder {
        Some(holder) if Some(&holder) != wanted.as_ref() => Err(Failure::Operation(format!(
            "{} is the certificate of {holder}: name another --dir, or another name",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Makes sure that a name is a host's or an address, and leads to no other directory.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_label = |label: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.len() < 64 && (label == "*" || label.chars().all(allowed))
    };
    if name.parse::<IpAddr>().is_ok() || (name.len() < 254 && name.split('.').all(is_label)) {
        return Ok(());
    }
    Err(Failure::Usage(format!("{name:?} is neither the name of a host nor an IP address")))
}

fn params(name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let (epoch, now_s) = (date_time_ymd(1970, 1, 1), unix_time_ms() / 1000);
    let at = |seconds| epoch + std::time::Duration::from_secs(seconds);
    params.not_before = at(now_s.saturating_sub(CLOCKS_BEHIND_S));
    params.not_after = at(now_s + u64::from(days) * DAY_S);
    params
}

/// Writes a file that is there whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let writing = || Failure::operation(format!("write {}", path.display()));
    let dir = path.parent().unwrap_or(Path::new("."));
    // Its owner alone may read it, until it is said otherwise.
    let mut file = NamedTempFile::new_in(dir).map_err(writing())?;
    file.write_all(text.as_bytes()).map_err(writing())?;
    let permissions = Permissions::from_mode(mode);
    file.as_file().set_permissions(permissions).map_err(writing())?;
    file.as_file().sync_all().map_err(writing())?;
    file.persist(path).map_err(|error| writing()(error.error))?;
    Ok(())
}

fn show_file(path: &Path) -> Result<(), Failure> {
    let named = path.display();
    let bytes = fs::read(path).map_err(Failure::operation(format!("read {named}")))?;
    let mut count = 0;
    for pem in Pem::iter_from_buffer(&bytes) {
        let pem = pem.map_err(|error| Failure::Operation(format!("{named}: no PEM: {error}")))?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        let parsed = pem.parse_x509();
        let parsed = parsed.map_err(|error| Failure::Operation(format!("{named}: {error}")))?;
        show(&described(&named.to_string(), &parsed, &pem.contents))?;
        count += 1;
    }
    match count {
        0 => Err(Failure::Operation(format!("{named}: there is no certificate in it"))),
        _ => Ok(()),
    }
}

/// Prints the line that revokes the first certificate of a file.
fn show_revocation(path: &Path) -> Result<(), Failure> {
    let named = path.display();
    let failed = |problem: String| Failure::Operation(format!("{named}: {problem}"));
    let bytes = fs::read(path).map_err(Failure::operation(format!("read {named}")))?;
    let pems = Pem::iter_from_buffer(&bytes).collect::<Result<Vec<_>, _>>();
    let pems = pems.map_err(|error| failed(format!("no PEM: {error}")))?;
    let pem = pems.iter().find(|pem| pem.label == "CERTIFICATE");
    let pem = pem.ok_or_else(|| failed("there is no certificate in it".to_owned()))?;
    let parsed = pem.parse_x509().map_err(|error| failed(error.to_string()))?;
    // What the nodes' port takes; certificates of HTTPS servers are looked at by Git clients.
    let holder = Holder::of(&dns_names(&pem.contents)).map_err(failed)?;
    let until_s = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
    let fingerprint = hex::encode(fingerprint(&pem.contents).0);
    show(&format!("{fingerprint}  {holder}, valid until {}\n", utc(until_s * 1000)))
}

/// A certificate for people. What it says of itself is somebody's word, and is escaped.
fn described(named: &str, certificate: &X509Certificate<'_>, der: &[u8]) -> String {
    let at = |seconds: i64| utc(u64::try_from(seconds).unwrap_or(0) * 1000);
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let now_s = (unix_time_ms() / 1000) as i64;
    let days = (until - now_s).div_euclid(DAY_S as i64);
    let state = match days {
        _ if now_s < from => "not valid yet".to_owned(),
        ..0 => "expired".to_owned(),
        days => format!("{days} days left"),
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names =
        names.map(|names| names.value.general_names.iter().map(name_of).collect::<Vec<_>>());
    let fingerprint = hex::encode(fingerprint(der).0);
    format!(
        "{named}\n  subject      {}\n  signed by    {}\n  names        {}\n  made for     {}\n  authority    {}\n  \
         valid from   {}\n  valid until  {} ({state})\n  SHA-256      {fingerprint}\n",
        certificate.subject().to_string().escape_debug(),
        certificate.issuer().to_string().escape_debug(),
        names.unwrap_or_default().join(" "),
        made_for(certificate, der).escape_debug(),
        if certificate.is_ca() { "yes" } else { "no" },
        at(from),
        at(until),
    )
}

/// Whom it lets take part, and in what.
fn made_for(certificate: &X509Certificate<'_>, der: &[u8]) -> String {
    if certificate.is_ca() {
        return "signing others".to_owned();
    }
    let usage = certificate.extended_key_usage().ok().flatten();
    let serves = usage.as_ref().is_none_or(|usage| usage.value.server_auth || usage.value.any);
    match Holder::of(&dns_names(der)) {
        Ok(holder @ Holder::Node(_)) => format!("{holder}, under [tls] of its configuration"),
        Ok(holder @ Holder::Client(_)) => format!("{holder}, as --tls-certificate of commands"),
        Err(_) if serves => "an HTTPS server, under [http] of a configuration".to_owned(),
        Err(_) => "none of what nodes and commands use".to_owned(),
    }
}

fn name_of(name: &GeneralName<'_>) -> String {
    let address = |bytes: &[u8]| match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    };
    match name {
        GeneralName::DNSName(name) => name.escape_debug().to_string(),
        GeneralName::IPAddress(bytes) => {
            address(bytes).map_or_else(|| "?".to_owned(), |address| address.to_string())
        }
        other => other.to_string().escape_debug().to_string(),
    }
}
