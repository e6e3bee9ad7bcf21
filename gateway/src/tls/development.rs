//! A certificate for trying things out: an authority of our own, kept beside the store, and a leaf for every host of the
//! configuration. What is served to people who do not know this machine is left to `certificate`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;

use super::TlsError;
use super::certificate::Certified;
use crate::config::Config;

/// The development authority, beside the store. Browsers that trust it accept every host of the configuration.
const AUTHORITY: &str = "portcullis-dev-ca.pem";
const AUTHORITY_KEY: &str = "portcullis-dev-ca.key";

/// A leaf for all hosts, new at each start, signed by an authority that is kept.
pub(super) fn certified(config: &Config) -> Result<Certified, TlsError> {
    let folder = config.store_file.parent().unwrap_or(Path::new("."));
    let authority = authority(folder)?;
    let names = config.hosts().map(|host| host.to_string()).chain(["localhost".to_owned()]);
    let mut leaf = CertificateParams::new(names.collect::<Vec<_>>())?;
    leaf.distinguished_name.push(DnType::CommonName, "Portcullis development");
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|text| rustls::Error::General(text.to_owned()))?;
    Ok(Certified::new(vec![certificate.der().clone()], &key)?)
}

fn authority(folder: &Path) -> Result<Issuer<'static, KeyPair>, TlsError> {
    let (certificate, key) = (folder.join(AUTHORITY), folder.join(AUTHORITY_KEY));
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
