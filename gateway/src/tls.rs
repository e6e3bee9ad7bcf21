//! What the public listeners say in a handshake: which certificate is shown, and on which hosts the client must show one. One
//! value, made from a configuration as a whole and replaced by the next. The handshake itself is left to `listen`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};

mod certificate;
mod choice;
mod client_certificate;
mod development;
mod issued;

pub(crate) use certificate::{CertificateError, Certified, Validity, authorities};
pub(crate) use client_certificate::{Accepted, Mode, Presented};
pub(crate) use issued::{Issued, Ordered};

use crate::config::{Certificates, ClientCertificates, Config};
use crate::host::{Host, HostPattern};
use choice::Choice;

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
    /// The development certificate could not be made.
    #[error("cannot make the development certificate: {0}")]
    Development(#[from] rcgen::Error),
    /// A certificate cannot be served.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// The parts do not make a whole.
    #[error("tls cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Under which rules about client certificates a connection was made. A request is answered under the rules of its own host only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TlsPolicy(Option<[u8; 32]>);

impl TlsPolicy {
    /// No client certificate is asked for.
    pub(crate) const OPEN: Self = Self(None);

    /// The rules are what they are made of, so that a reload changes them just when it changes a file.
    fn of(digest: &aws_lc_rs::digest::Digest) -> Self {
        Self(digest.as_ref().try_into().ok())
    }
}

/// What is said in handshakes.
#[derive(Debug)]
pub(crate) struct Tls {
    open: Arc<ServerConfig>,
    guarded: Vec<Guarded>,
    /// Certificates that are given, by each name that they are made out to, with their end.
    given: Vec<(String, i64)>,
    /// Hosts whose certificates are ordered, and where these are found.
    ordered: Vec<Host>,
    issued: Arc<Issued>,
}

/// Hosts on which client certificates are asked for.
#[derive(Debug)]
struct Guarded {
    names: Vec<HostPattern>,
    policy: TlsPolicy,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// `issued` is what a process has of authorities. `before` is what this replaces: its tickets go on to be good.
    pub(crate) fn new(
        config: &Config,
        issued: &Arc<Issued>,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let made;
        let given = match &config.tls.certificates {
            Certificates::Files(certificates) => {
                warn_of_uncovered(config, certificates);
                certificates.as_slice()
            }
            Certificates::SelfSigned => {
                made = [development::certified(config)?];
                &made
            }
        };
        let ordered = config.tls.acme.as_ref().map_or(&[][..], |acme| &acme.hosts);
        let choice = Choice::new(given).with_ordered(ordered, issued.clone());
        let tls = Self::of(choice, &config.tls.client_certificates, before)?;
        let given = given.iter().flat_map(Certified::ends).collect();
        Ok(Self { given, ordered: ordered.to_vec(), issued: issued.clone(), ..tls })
    }

    fn of(choice: Choice, asked: &[ClientCertificates], before: Option<&Self>) -> Result<Self, TlsError> {
        let choice: Arc<dyn ResolvesServerCert> = Arc::new(choice);
        let mut open = server_config(WebPkiClientVerifier::no_client_auth(), choice.clone())?;
        // rustls resumes nothing by itself.
        open.ticketer = match before {
            Some(before) => before.open.ticketer.clone(),
            None => rustls::crypto::aws_lc_rs::Ticketer::new()?,
        };
        let guarded = asked.iter().map(|asked| {
            let mut guarded = server_config(asked.accepted.verifier.clone(), choice.clone())?;
            // A session that is resumed shows the certificate of its ticket, and nobody looks whether it was revoked since.
            guarded.session_storage = Arc::new(NoServerSessionStorage {});
            guarded.send_tls13_tickets = 0;
            let (names, policy) = (asked.hosts.clone(), asked.accepted.policy);
            Ok(Guarded { names, policy, config: Arc::new(guarded) })
        });
        let guarded = guarded.collect::<Result<_, TlsError>>()?;
        let (given, ordered, issued) = (Vec::new(), Vec::new(), Arc::default());
        Ok(Self { guarded, open: Arc::new(open), given, ordered, issued })
    }

    /// What to say to an authority that asks whether a host is ours; none to anybody else. Whoever is told this is told no more.
    pub(crate) fn answer(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        self.issued.asked(hello)
    }

    /// What to say to a client that began like this, and under which rules.
    pub(crate) fn choose(&self, hello: &ClientHello<'_>) -> (TlsPolicy, Arc<ServerConfig>) {
        let host = hello.server_name().and_then(|name| name.parse().ok());
        match host.and_then(|host| self.guarding(&host)) {
            Some(guarded) => (guarded.policy, guarded.config.clone()),
            None => (TlsPolicy::OPEN, self.open.clone()),
        }
    }

    /// Until when the certificate of each name is good, in unix seconds; of several for one name, the one that ends first.
    pub(crate) fn ends(&self) -> BTreeMap<String, i64> {
        let of_host =
            |host: &Host| Some((host.to_string(), self.issued.of(host)?.certified.validity().not_after));
        let mut ends = BTreeMap::new();
        for (name, end) in self.given.iter().cloned().chain(self.ordered.iter().filter_map(of_host)) {
            let first: &mut i64 = ends.entry(name).or_insert(end);
            *first = end.min(*first);
        }
        ends
    }

    /// The rules of a host.
    pub(crate) fn policy(&self, host: &Host) -> TlsPolicy {
        self.guarding(host).map_or(TlsPolicy::OPEN, |guarded| guarded.policy)
    }

    /// A table that names the host wins over one that covers it.
    fn guarding(&self, host: &Host) -> Option<&Guarded> {
        let naming = |guarded: &&Guarded| {
            guarded.names.iter().any(|name| matches!(name, HostPattern::Exact(it) if it == host))
        };
        let covering = |guarded: &&Guarded| guarded.names.iter().any(|name| name.covers(host));
        self.guarded.iter().find(naming).or_else(|| self.guarded.iter().find(covering))
    }
}

/// What a finished handshake told.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// The host that the client asked for.
    pub(crate) name: Option<String>,
    /// The rules that it was made under.
    pub(crate) policy: TlsPolicy,
    /// The certificate of the client, verified.
    pub(crate) presented: Option<Arc<Presented>>,
}

impl Handshake {
    pub(crate) fn of(session: &rustls::ServerConnection, policy: TlsPolicy) -> Self {
        let leaf = session.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
        let name = session.server_name().map(str::to_owned);
        Self { name, policy, presented: leaf.map(Presented::of).map(Arc::new) }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn server_config(
    verifier: Arc<dyn ClientCertVerifier>,
    choice: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(choice);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Early data can be replayed.
    config.max_early_data_size = 0;
    Ok(config)
}

/// A host without a certificate is the operator's affair, and no reason to serve nobody: browsers warn of it.
fn warn_of_uncovered(config: &Config, certificates: &[Certified]) {
    let ordered = config.tls.acme.as_ref().map_or(&[][..], |acme| &acme.hosts);
    let is_ordered = |host: &HostPattern| matches!(host, HostPattern::Exact(it) if ordered.contains(it));
    for host in config.hosts().filter(|host| !is_ordered(host)) {
        if !certificates.iter().any(|certificate| certificate.covers(&host)) {
            tracing::warn!(target: "portcullis::tls", %host, "no certificate is made out to this host");
        }
    }
}

#[cfg(test)]
mod tests;
