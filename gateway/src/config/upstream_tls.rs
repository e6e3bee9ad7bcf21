//! What TLS towards upstreams needs: whom to believe, what to show, which name to expect. Read and put together when the
//! configuration is, so that a file that cannot be used is a fault of the configuration and never a connection without checks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::document::{Section, Value};
use super::upstream::Protocol;

/// What was written about TLS.
#[derive(Default)]
pub(super) struct Files<'a, 's> {
    ca: Option<(Value<'a, 's>, PathBuf)>,
    certificate: Option<(Value<'a, 's>, PathBuf)>,
    key: Option<(Value<'a, 's>, PathBuf)>,
    /// The name that certificates must hold instead of the host in the address.
    pub(super) server_name: Option<ServerName<'static>>,
    name_value: Option<Value<'a, 's>>,
}

impl<'a, 's> Files<'a, 's> {
    pub(super) fn read(section: &mut Section<'a, 's>, folder: &Path) -> Self {
        let mut file = |key| {
            let value: Value<'a, 's> = section.optional(key)?;
            let path = folder.join(value.string()?);
            value.names_file(&path);
            Some((value, path))
        };
        let (ca, certificate, key) = (file("ca_file"), file("client_certificate"), file("client_key"));
        let name_value = section.optional("server_name");
        let server_name = name_value.as_ref().and_then(|value| {
            let name = ServerName::try_from(value.string()?.to_owned()).ok();
            if name.is_none() {
                value.fault("must be a DNS name or an address, as it stands in a certificate");
            }
            name
        });
        Self { ca, certificate, key, server_name, name_value }
    }

    /// Nothing of it may be written where nothing speaks TLS: whoever wrote it believes that something does.
    pub(super) fn must_be_absent(&self) -> Option<Option<Arc<ClientConfig>>> {
        let files = [&self.ca, &self.certificate, &self.key].into_iter().flatten().map(|(value, _)| value);
        let written: Vec<&Value<'a, 's>> = files.chain(&self.name_value).collect();
        for value in &written {
            value.fault("is for https upstreams, and there is none here");
        }
        written.is_empty().then_some(None)
    }

    /// One configuration for all endpoints of an application; faults of the whole are told at `upstreams`.
    pub(super) fn client_config(
        &self,
        upstreams: &Value<'_, '_>,
        protocol: Protocol,
    ) -> Option<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions).ok()?;
        let builder = builder.with_root_certificates(self.roots(upstreams)?);
        let mut config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some((value, certificate)), Some((key_value, key))) => {
                let (chain, key) = (read_chain(value, certificate)?, read_key(key_value, key)?);
                let made = builder.with_client_auth_cert(chain, key);
                made.map_err(|error| value.fault(format!("cannot be used with `client_key`: {error}")))
                    .ok()?
            }
            (Some((value, _)), None) | (None, Some((value, _))) => {
                value.fault("give both `client_certificate` and `client_key`");
                return None;
            }
        };
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Some(Arc::new(config))
    }

    fn roots(&self, upstreams: &Value<'_, '_>) -> Option<Arc<RootCertStore>> {
        let Some((value, file)) = &self.ca else {
            let roots = system_roots();
            if roots.is_empty() {
                upstreams.fault("this system trusts no certificate authority; give `ca_file`");
            }
            return Some(roots).filter(|roots| !roots.is_empty());
        };
        let mut roots = RootCertStore::empty();
        for certificate in read_chain(value, file)? {
            roots
                .add(certificate)
                .map_err(|error| value.fault(format!("cannot be trusted: {error}")))
                .ok()?;
        }
        Some(Arc::new(roots))
    }
}

/// Read once: it is hundreds of certificates.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    ROOTS.get_or_init(read).clone()
}

fn read_chain(value: &Value<'_, '_>, file: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let broken = |error: &dyn std::fmt::Display| {
        value.fault(format!("`{}` holds no certificate in PEM form: {error}", file.display()));
    };
    let chain = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            broken(&"it has none");
            None
        }
        Err(error) => {
            broken(&error);
            None
        }
    }
}

fn read_key(value: &Value<'_, '_>, file: &Path) -> Option<PrivateKeyDer<'static>> {
    let key = PrivateKeyDer::from_pem_file(file);
    let broken = |error| {
        value.fault(format!("`{}` holds no private key in PEM form: {error}", file.display()));
    };
    key.map_err(broken).ok()
}
