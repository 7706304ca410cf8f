//! TLS to Postgres and Redis: rustls, trusting the system's authorities or those of a file.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::config::ConfigError;

/// Sets the default cryptography provider, for clients that do not choose one (Redis'). To be called once, early.
pub fn install() {
    // An error says that one is installed already, which is as good.
    let _ = ring::default_provider().install_default();
}

/// The TLS configuration of a client.
pub fn client_config(authorities: Option<&Path>, setting: &'static str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            for certificate in CertificateDer::pem_slice_iter(&read_pem(file, setting)?) {
                let certificate = certificate
                    .map_err(|error| ConfigError::new(setting, format!("is no PEM file: {error}")))?;
                roots.add(certificate).map_err(|error| {
                    ConfigError::new(setting, format!("holds an unusable certificate: {error}"))
                })?;
            }
            if roots.is_empty() {
                return Err(ConfigError::new(setting, "holds no certificate").into());
            }
        }
        // Possibly none: that only matters to a connection that turns out to use TLS, which then fails to verify.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("no TLS version is usable")?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What is wrong with a server's certificate, and which setting to look at; `None` when that is not why it failed.
pub fn certificate_problem(
    error: &(dyn Error + 'static),
    authorities: Option<&Path>,
    setting: &'static str,
    url: &'static str,
) -> Option<String> {
    // A bad signature is what an unknown authority looks like that bears the name of a known one.
    Some(match certificate_error(error)? {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the server's certificate is for another host than the one in {url}")
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature if authorities.is_some() => {
            format!("no authority in {setting} has signed the server's certificate")
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!(
                "none of the system's authorities has signed the server's certificate; name yours in {setting}"
            )
        }
        other => format!("the server's certificate is refused ({other}); {setting} says whom to trust"),
    })
}

fn certificate_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    if let Some(rustls::Error::InvalidCertificate(problem)) = error.downcast_ref() {
        return Some(problem);
    }
    // Neither an I/O error nor a shared one, as Redis' client keeps it, names what it wraps as its source.
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return certificate_error(&**shared);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => certificate_error(wrapped),
        None => certificate_error(error.source()?),
    }
}

/// Reads a file of certificates.
pub fn read_pem(file: &Path, setting: &'static str) -> Result<Vec<u8>, ConfigError> {
    fs::read(file).map_err(|error| ConfigError::new(setting, format!("cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_is_found_behind_what_wraps_it() {
        let refused = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(refused());
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(io::Error::other(refused()));
        for error in [&refused() as &(dyn Error + 'static), &wrapped, &shared] {
            let problem = certificate_problem(error, Some(Path::new("ca.pem")), "CA_FILE", "URL");
            assert_eq!(problem.unwrap(), "no authority in CA_FILE has signed the server's certificate");
        }
        assert_eq!(certificate_problem(&io::Error::other("gone"), None, "CA_FILE", "URL"), None);
    }
}
