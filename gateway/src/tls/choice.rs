//! Which certificate a client is shown: the one for the name that it asks for, of a kind that it can check. Whether the client
//! must show one too is left to `client_certificate`, what is ordered of an authority to `issued`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certified;
use super::issued::Issued;
use crate::gateway::now;
use crate::host::{Host, HostPattern};

/// All certificates by the names they are made out to.
#[derive(Debug)]
pub(super) struct Choice {
    hosts: HashMap<Host, Vec<Arc<CertifiedKey>>>,
    one_below: HashMap<Host, Vec<Arc<CertifiedKey>>>,
    /// In the order of the configuration: for whoever asks for no name, or for one that nothing is made out to.
    all: Vec<Arc<CertifiedKey>>,
    /// Hosts whose certificates are ordered, and where these are found.
    ordered: HashSet<Host>,
    issued: Arc<Issued>,
}

impl Choice {
    pub(super) fn new<'a>(certificates: impl IntoIterator<Item = &'a Certified>) -> Self {
        let (mut hosts, mut one_below, mut all) = (HashMap::new(), HashMap::new(), Vec::new());
        for certificate in certificates {
            for name in &certificate.names {
                let (by_name, host): (&mut HashMap<_, Vec<_>>, _) = match name {
                    HostPattern::Exact(host) => (&mut hosts, host),
                    HostPattern::AnyLabel(domain) => (&mut one_below, domain),
                };
                by_name.entry(host.clone()).or_default().push(certificate.key.clone());
            }
            all.push(certificate.key.clone());
        }
        Self { hosts, one_below, all, ordered: HashSet::new(), issued: Arc::default() }
    }

    /// The same, with what is issued for these hosts.
    pub(super) fn with_ordered(self, hosts: &[Host], issued: Arc<Issued>) -> Self {
        Self { ordered: hosts.iter().cloned().collect(), issued, ..self }
    }

    /// The exact name wins over the wildcard, either over what was issued, and that over the first certificate. One name may
    /// have a certificate of each kind of key. A host whose certificate is not issued yet, or has ended, is shown no other's.
    pub(super) fn of(&self, name: Option<&str>) -> impl Iterator<Item = Arc<CertifiedKey>> {
        let host: Option<Host> = name.and_then(|name| name.parse().ok());
        let exact = host.as_ref().and_then(|host| self.hosts.get(host));
        let below =
            host.as_ref().and_then(Host::without_first_label).and_then(|domain| self.one_below.get(domain));
        let ordered = host.as_ref().filter(|host| self.ordered.contains(*host));
        let any = ordered.is_none().then_some(&self.all);
        let issued = ordered.and_then(|host| self.issued.key(host, now()));
        exact.into_iter().chain(below).chain(any).flatten().cloned().chain(issued)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |key: &Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        self.of(hello.server_name()).find(usable)
    }
}
