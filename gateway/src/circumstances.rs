//! What is known of a request without knowing who asks, as policies look at it: address, country, method, path, and what the client
//! showed in its handshake. What is not known for certain is left out. Who asks is left to `credential`, deciding to `authorize`.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis_policy::{ApplicationId, Certificate, Circumstances, RequestClass, RequestPath, loosened};

use crate::live::Policies;
use crate::route::Canonical;
use crate::tls::Presented;

/// One request, or what is open because of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    /// The address that is judged.
    pub(crate) client_ip: IpAddr,
    /// Method and path in their normal form, if they are known.
    pub(crate) asked: Option<(&'a str, &'a str)>,
    /// What the client showed in its handshake.
    pub(crate) shown: &'a Shown,
}

/// What a client showed in its handshake with us.
#[derive(Debug, Clone, Default)]
pub(crate) enum Shown {
    /// Another shook hands in its place, or nobody did.
    #[default]
    Unknown,
    /// No certificate that its host accepts.
    Nothing,
    /// One that was verified.
    Certificate(Arc<Presented>),
}

impl Shown {
    fn as_fact(&self) -> Certificate<'_> {
        match self {
            Self::Unknown => Certificate::Unknown,
            Self::Nothing => Certificate::Absent,
            Self::Certificate(presented) => Certificate::Valid { common_name: presented.subject.as_deref() },
        }
    }
}

impl<'a> Situation<'a> {
    pub(crate) fn of(canonical: &'a Canonical, client_ip: IpAddr, shown: &'a Shown) -> Self {
        Self { client_ip, asked: Some((canonical.method.as_str(), canonical.path.as_str())), shown }
    }

    /// Which requests of an application these policies judge like this one; none where they look at no requests.
    pub(crate) fn class(&self, policies: &Policies, application: ApplicationId) -> Option<RequestClass> {
        let (method, normal) = self.asked?;
        let looks = policies.set.looks_at(application);
        if !looks.method && !looks.path {
            return None;
        }
        let loosest = loosened(normal);
        policies.set.request_class(application, method, RequestPath { normal, loosest: &loosest })
    }

    /// Whether it passes without anybody being asked who they are.
    pub(crate) fn is_bypassed(&self, policies: &Policies, application: ApplicationId, now: i64) -> bool {
        self.put(policies, application, now, |circumstances| {
            policies.set.bypasses(application, circumstances).is_some()
        })
    }

    /// Hands over what an application's policies can ask about at a moment. What none of them asks for is not looked up.
    pub(crate) fn put<T>(
        &self,
        policies: &Policies,
        application: ApplicationId,
        now: i64,
        ask: impl FnOnce(&Circumstances<'_>) -> T,
    ) -> T {
        let Self { client_ip, asked, shown } = *self;
        let looks = policies.set.looks_at(application);
        let path = asked.map(|(_, path)| path);
        let loosest = path.filter(|_| looks.path).map(loosened);
        ask(&Circumstances {
            client_ip,
            now,
            country: looks.country.then(|| policies.country(client_ip)).flatten(),
            method: asked.map(|(method, _)| method),
            path: path.map(|normal| RequestPath { normal, loosest: loosest.as_deref().unwrap_or(normal) }),
            certificate: shown.as_fact(),
        })
    }
}
