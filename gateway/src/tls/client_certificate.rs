//! Client certificates: on which hosts they are asked for, who must have signed them, which are revoked, and what one says of
//! its owner. When in the handshake this is asked is left to `tls`.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::certificate::{CertificateError, certificates};
use super::{TlsPolicy, provider};

/// Whether a client may come without a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No certificate, no connection.
    Required,
    /// A certificate is looked at when there is one.
    Optional,
}

/// The certificates that are accepted on some hosts.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) policy: TlsPolicy,
}

/// Why client certificates could not be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptedError {
    /// The authorities could not be read.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// The revocation lists could not be read.
    #[error("no revocation list can be read: {0}")]
    List(rustls::pki_types::pem::Error),
    /// A certificate is none of an authority.
    #[error("an authority cannot be used: {0}")]
    Authority(rustls::Error),
    /// Authorities and lists do not make a whole.
    #[error("authorities and revocation lists cannot be used: {0}")]
    Whole(#[from] VerifierBuilderError),
}

impl Accepted {
    /// Reads who may sign, and what they revoked. With a list, every certificate below the root must be found in the lists'
    /// reach and in none of them, and a list that should have been replaced by now lets nobody pass.
    pub(crate) fn read(authorities: &Path, lists: Option<&Path>, mode: Mode) -> Result<Self, AcceptedError> {
        let mut digest = Context::new(&SHA256);
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities)? {
            add(&mut digest, &authority);
            roots.add(authority).map_err(AcceptedError::Authority)?;
        }
        digest.update(&[u8::from(mode == Mode::Optional)]);
        let lists = lists.map(revocation_lists).transpose()?.unwrap_or_default();
        lists.iter().for_each(|list| add(&mut digest, list));
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        if !lists.is_empty() {
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        if mode == Mode::Optional {
            builder = builder.allow_unauthenticated();
        }
        Ok(Self { verifier: builder.build()?, policy: TlsPolicy::of(&digest.finish()) })
    }
}

/// Length first, so that no two lists of parts look the same.
fn add(digest: &mut Context, part: &[u8]) {
    digest.update(&part.len().to_be_bytes());
    digest.update(part);
}

fn revocation_lists(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, AcceptedError> {
    use rustls::pki_types::pem::Error;
    let read: Result<Vec<_>, Error> =
        CertificateRevocationListDer::pem_file_iter(file).map_err(AcceptedError::List)?.collect();
    let read = read.map_err(AcceptedError::List)?;
    // An empty file would mean that nothing is checked.
    if read.is_empty() { Err(AcceptedError::List(Error::NoItemsFound)) } else { Ok(read) }
}

/// What a verified certificate says of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    /// The common name of its subject.
    pub(crate) subject: Option<String>,
    /// The names it is made out to: hosts, addresses of mail, URIs.
    pub(crate) names: Vec<String>,
    /// The SHA-256 of the certificate, in hexadecimal digits.
    pub(crate) fingerprint: String,
}

impl Presented {
    /// Reads a certificate that was verified. One that says nothing that can be read still has its fingerprint.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = aws_lc_rs::digest::digest(&SHA256, certificate);
        let fingerprint = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return Self { subject: None, names: Vec::new(), fingerprint };
        };
        let subject = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                Some((*name).to_owned())
            }
            _ => None,
        });
        Self { subject: subject.map(str::to_owned), names: names.collect(), fingerprint }
    }
}
