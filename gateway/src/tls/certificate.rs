//! One certificate with its key, checked when it is read: they belong together, it is valid now, and it names hosts. Which of
//! several is shown to whom is left to `choice`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::host::HostPattern;

/// A certificate chain and the key to its leaf.
#[derive(Debug, Clone)]
pub struct Certified {
    pub(super) key: Arc<CertifiedKey>,
    /// The hosts that the leaf is made out to.
    pub(super) names: Vec<HostPattern>,
    validity: Validity,
}

/// From when to when a certificate is good, in unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read, or holds something else.
    #[error("no {what} can be read from `{}`: {source}", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What the parser said.
        source: pem::Error,
    },
    /// The leaf is not a certificate.
    #[error("the certificate cannot be understood")]
    Form,
    /// It names no host.
    #[error("the certificate names no host: it needs a subject alternative name")]
    NoName,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    NotYet,
    /// Certificate and key do not belong together, or cannot be used.
    #[error("the key cannot be used with the certificate: {0}")]
    Key(rustls::Error),
    /// It is no authority's.
    #[error("an authority cannot be believed: {0}")]
    Authority(rustls::Error),
}

impl Certified {
    /// Reads PEM files: the chain, leaf first, and the key.
    pub(crate) fn read(chain: &Path, key: &Path, now: i64) -> Result<Self, CertificateError> {
        let certificates = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|source| CertificateError::Pem {
            file: key.to_owned(),
            what: "private key",
            source,
        })?;
        Self::new(certificates, &key)?.valid_at(now)
    }

    /// The same, if it is valid then.
    pub(crate) fn valid_at(self, now: i64) -> Result<Self, CertificateError> {
        match now {
            now if now > self.validity.not_after => Err(CertificateError::Expired),
            now if now < self.validity.not_before => Err(CertificateError::NotYet),
            _ => Ok(self),
        }
    }

    /// Of a chain, leaf first, and the key to its leaf.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::Form)?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| CertificateError::Form)?;
        let names = hosts_of(&parsed)?;
        let validity = parsed.validity();
        let validity = Validity {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        };
        let key = any_supported_type(key).map_err(CertificateError::Key)?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(CertificateError::Key)?;
        Ok(Self { key: Arc::new(key), names, validity })
    }

    /// From when to when it is good.
    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    /// Each name that it is made out to, with its end.
    pub(super) fn ends(&self) -> impl Iterator<Item = (String, i64)> {
        self.names.iter().map(|name| (name.to_string(), self.validity.not_after))
    }

    /// Whether the leaf is made out to this host.
    pub(crate) fn covers(&self, hosts: &HostPattern) -> bool {
        self.names.iter().any(|name| name.covers_all_of(hosts))
    }
}

/// The authorities of a PEM file, to believe what they sign.
pub(crate) fn authorities(file: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(file)? {
        roots.add(authority).map_err(CertificateError::Authority)?;
    }
    Ok(roots)
}

/// The certificates of a PEM file; at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let fault = |source| CertificateError::Pem { file: file.to_owned(), what: "certificate", source };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(fault)?.collect();
    let read = read.map_err(fault)?;
    if read.is_empty() { Err(fault(pem::Error::NoItemsFound)) } else { Ok(read) }
}

/// What is no host name, such as an address, is passed over: nobody asks for it by name.
fn hosts_of(leaf: &X509Certificate<'_>) -> Result<Vec<HostPattern>, CertificateError> {
    let alternatives = leaf.subject_alternative_name().map_err(|_| CertificateError::Form)?;
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let hosts = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => name.parse().ok(),
        _ => None,
    });
    let hosts: Vec<HostPattern> = hosts.collect();
    if hosts.is_empty() { Err(CertificateError::NoName) } else { Ok(hosts) }
}
