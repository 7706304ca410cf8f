//! TLS for Postgres and both Redis: a throw-away authority, and a server certificate that it signed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

use crate::user::ServiceUser;

/// The variable that turns TLS on.
pub const CHOICE: &str = "SHORT_LINK_TLS";
/// What the servers of this crate are called.
const LOCAL: [&str; 3] = ["127.0.0.1", "::1", "localhost"];
const DIRECTORY: &str = "tls";

/// The files: an authority that clients trust, and a certificate with its key that servers show. The authority's own
/// key is not kept, so nothing else can be signed by it.
#[derive(Clone, Debug)]
pub struct Tls {
    directory: PathBuf,
    /// The first of the names in the certificate.
    name: String,
}

/// Whether `SHORT_LINK_TLS` asks for TLS.
///
/// # Errors
/// It has a value that is neither yes nor no.
pub fn chosen() -> Result<bool> {
    parse(&env::var(CHOICE).unwrap_or_default())
}

fn parse(choice: &str) -> Result<bool> {
    match choice {
        "" | "0" | "off" => Ok(false),
        "1" | "on" => Ok(true),
        other => bail!("{CHOICE} is {other:?}: it can be on or off"),
    }
}

impl Tls {
    /// Creates them in the data of a site, for servers of those names; without names for servers on this machine.
    pub(crate) fn create(user: &ServiceUser, data: &Path, names: &[&str]) -> Result<Self> {
        let names = if names.is_empty() { &LOCAL[..] } else { names };
        let pem = Pem::generate(names).context("cannot generate certificates")?;
        let name = names.first().copied().unwrap_or_default().to_owned();
        let tls = Self { directory: data.join(DIRECTORY), name };
        user.create_directory(&tls.directory)?;
        user.write(&tls.authority(), &pem.authority)?;
        user.write(&tls.certificate(), &pem.certificate)?;
        user.write(&tls.key(), &pem.key)?;
        Ok(tls)
    }

    /// Those that are in the data already, if there are any.
    #[must_use]
    pub fn load(data: &Path) -> Option<Self> {
        let tls = Self { directory: data.join(DIRECTORY), name: LOCAL[0].to_owned() };
        tls.authority().is_file().then_some(tls)
    }

    pub(crate) fn remove(data: &Path) -> Result<()> {
        let directory = data.join(DIRECTORY);
        if directory.is_dir() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        Ok(())
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    pub(crate) fn server_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.join("server.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.directory.join("server.key")
    }

    /// How a client of its servers is set up.
    ///
    /// # Errors
    /// The authority's certificate cannot be read.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority()).context("cannot read the authority")?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// PEM texts.
struct Pem {
    authority: String,
    certificate: String,
    key: String,
}

impl Pem {
    fn generate(names: &[&str]) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "short-link local authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (authority.not_before, authority.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

        let mut server =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        server.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or_default());
        (server.not_before, server.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &authority)?;
        Ok(Self { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_unless_asked_for_and_a_typing_error_is_no_answer() {
        assert!(!parse("").unwrap() && !parse("off").unwrap() && parse("on").unwrap() && parse("1").unwrap());
        assert!(parse("ture").is_err());
    }

    #[test]
    fn each_authority_is_another() {
        let [one, other] = [(); 2].map(|()| Pem::generate(&LOCAL).unwrap());
        assert_ne!(one.authority, other.authority);
        assert!(one.key.contains("PRIVATE KEY") && !one.certificate.contains("PRIVATE KEY"));
    }
}
