//! Certificates and the TLS configuration. The handshake itself is left to `listen`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Certificate, Config};
use crate::host::Host;

/// The development authority, beside the store. Browsers that trust it accept every host of the configuration.
pub(crate) const DEVELOPMENT_CA: &str = "portcullis-dev-ca.pem";
const DEVELOPMENT_CA_KEY: &str = "portcullis-dev-ca.key";

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("cannot use `{}`: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the PEM that it should be.
    #[error("`{}` holds no {what} in PEM form: {source}", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What the parser said.
        source: rustls::pki_types::pem::Error,
    },
    /// The development certificate could not be made.
    #[error("cannot make the development certificate: {0}")]
    Development(#[from] rcgen::Error),
    /// Certificate and key do not belong together, or cannot be used.
    #[error("the certificate and its key cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The configuration of the public listeners.
pub(crate) fn server_config(config: &Config) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = match &config.certificate {
        Certificate::Files { certificate, key } => from_files(certificate, key)?,
        Certificate::SelfSigned => development(config)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // rustls resumes nothing by itself; early data stays off, since it can be replayed.
    server.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    server.max_early_data_size = 0;
    Ok(Arc::new(server))
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn from_files(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    let broken = |file: &Path, what| {
        let file = file.to_owned();
        move |source| TlsError::Pem { file, what, source }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(broken(certificate, "certificate"))?.collect();
    let chain = chain.map_err(broken(certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(broken(certificate, "certificate")(rustls::pki_types::pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(broken(key, "private key"))?;
    Ok((chain, key))
}

/// A leaf for all hosts, new at each start, signed by an authority that is kept.
fn development(config: &Config) -> Result<Pair, TlsError> {
    let folder = config.store_file.parent().unwrap_or(Path::new("."));
    let authority = development_authority(folder)?;
    let hosts = config.applications.iter().flat_map(|application| &application.hosts);
    let names: Vec<String> = hosts
        .chain([&config.server.auth_host])
        .map(Host::to_string)
        .chain(["localhost".to_owned()])
        .collect();
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "Portcullis development");
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|text| rustls::Error::General(text.to_owned()))?;
    Ok((vec![certificate.der().clone()], key))
}

fn development_authority(folder: &Path) -> Result<Issuer<'static, KeyPair>, TlsError> {
    let (certificate, key) = (folder.join(DEVELOPMENT_CA), folder.join(DEVELOPMENT_CA_KEY));
    if certificate.exists() && key.exists() {
        let read = |file: &PathBuf| {
            fs::read_to_string(file).map_err(|source| TlsError::File { file: file.clone(), source })
        };
        let pair = KeyPair::from_pem(&read(&key)?)?;
        read(&certificate)?;
        return Ok(Issuer::new(authority_params(), pair));
    }
    let pair = KeyPair::generate()?;
    let params = authority_params();
    write(&key, &pair.serialize_pem(), 0o600)?;
    write(&certificate, &params.self_signed(&pair)?.pem(), 0o644)?;
    Ok(Issuer::new(params, pair))
}

/// The same each time, so that a leaf made later names the authority that was kept.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Portcullis development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn write(file: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let written = || {
        let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(file)?;
        opened.write_all(text.as_bytes())
    };
    written().map_err(|source| TlsError::File { file: file.to_owned(), source })
}
