//! TLS to Postgres: the system's certificate authorities, or those of the file that `SSL_CERT_FILE` names, and, where a
//! component names one, its own. The client of Redis trusts the same.

use std::sync::OnceLock;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Certificates in PEM, known to be ones.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct RootCertificates(String);

impl RootCertificates {
    pub(crate) fn from_pem(pem: String) -> Result<Self, String> {
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(invalid)?;
            RootCertStore::empty().add(certificate).map_err(invalid)?;
            found = true;
        }
        if found { Ok(Self(pem)) } else { Err(invalid("there is no certificate in it")) }
    }

    fn add_to(&self, store: &mut RootCertStore) {
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(self.0.as_bytes()).flatten());
    }
}

fn invalid(reason: impl std::fmt::Display) -> String {
    format!("invalid root certificate: {reason}")
}

/// A connector that verifies the server's certificate and name.
pub(super) fn connector(root_ca: Option<&RootCertificates>) -> Result<MakeRustlsConnect, String> {
    let mut store = system_roots().clone();
    if let Some(root_ca) = root_ca {
        root_ca.add_to(&mut store);
    }
    let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(RootCertificates::from_pem(text.to_owned()).is_err(), "{text}");
        }
    }
}
