//! TLS to Postgres and Redis: rustls, trusting the system's authorities or those of a file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

use crate::config::ConfigError;

/// Chooses the cryptography for clients that do not name it themselves (Redis'). To be called once, early.
pub fn install() {
    // An error says that one is installed already, which is as good.
    let _ = ring::default_provider().install_default();
}

/// What a client needs to know.
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

/// Reads a file of certificates.
pub fn read_pem(file: &Path, setting: &'static str) -> Result<Vec<u8>, ConfigError> {
    fs::read(file).map_err(|error| ConfigError::new(setting, format!("cannot be read: {error}")))
}
