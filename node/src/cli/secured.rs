//! TLS of commands: the files that arguments or a configuration name, read.

use gitstratum_cluster::transport::{Holder, PROTOCOLS, Security};
use gitstratum_host::tls::{Connector, IdentityError, IdentityFile, MutualFiles, Trust};

use super::Failure;
use super::arguments::TlsArguments;

impl TlsArguments {
    /// Those of this configuration, where no argument names one.
    pub(super) fn or(self, files: Option<MutualFiles>) -> Self {
        let Self { tls_authority: None, tls_certificate: None, tls_key: None } = self else {
            return self;
        };
        files.map_or(self, |files| TlsArguments {
            tls_authority: Some(files.authority),
            tls_certificate: Some(files.certificate),
            tls_key: Some(files.key),
        })
    }

    /// How connections are secured: with TLS alone, where the files are given.
    ///
    /// # Errors
    /// [`Failure::Usage`], which names the file and its flag.
    pub(super) async fn security(&self) -> Result<Security, Failure> {
        let Some(MutualFiles { certificate, key, authority }) = self.files()? else {
            return Ok(Security::Plain);
        };
        let own = Some((&*certificate, &*key));
        let trust =
            Trust::read(&authority, own, &PROTOCOLS).await.map_err(|error| wrong(&error))?;
        if let Err(problem) = Holder::of(trust.names()) {
            let error =
                IdentityError { file: IdentityFile::Certificate, path: certificate, problem };
            return Err(wrong(&error));
        }
        Ok(Security::Tls { connector: Connector::new(trust), falls_back: false })
    }

    fn files(&self) -> Result<Option<MutualFiles>, Failure> {
        let TlsArguments { tls_authority, tls_certificate, tls_key } = self;
        let files = [
            ("--tls-authority", tls_authority),
            ("--tls-certificate", tls_certificate),
            ("--tls-key", tls_key),
        ];
        if let (Some(authority), Some(certificate), Some(key)) =
            (tls_authority, tls_certificate, tls_key)
        {
            let (certificate, key) = (certificate.clone(), key.clone());
            return Ok(Some(MutualFiles { certificate, key, authority: authority.clone() }));
        }
        let given = files.iter().find(|(_, file)| file.is_some());
        let missing = files.iter().find(|(_, file)| file.is_none());
        match given.zip(missing) {
            Some(((given, _), (missing, _))) => {
                Err(Failure::Usage(format!("{missing}: missing beside {given}")))
            }
            None => Ok(None),
        }
    }
}

fn wrong(error: &IdentityError) -> Failure {
    let flag = match error.file {
        IdentityFile::Certificate => "--tls-certificate",
        IdentityFile::Key => "--tls-key",
        IdentityFile::Authority => "--tls-authority",
    };
    Failure::Usage(format!("{flag}: {error}"))
}
