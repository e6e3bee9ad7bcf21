//! Services: programs that prove themselves by a token with each request. What is true of one comes from the feed through `live`;
//! reading tokens is left to the stage `credential`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};

use portcullis_store::{EndReason, Profile, ServiceTokenRecord, SessionId};

use super::given::Held;
use super::passage::Reach;
use super::policies::Policies;
use super::session::{Cuts, LiveSession, Standing};
use super::{Followed, Live};
use crate::gateway::now;

/// What a service is called.
#[derive(Debug)]
pub(crate) struct Service {
    /// The public half of its token.
    pub(crate) client_id: Box<str>,
    /// The token's name, in policies and logs.
    pub(crate) token: Box<str>,
    /// When it asked last, in unix seconds.
    used_at: AtomicI64,
    /// Up to when that stands in the store.
    noted_until: AtomicI64,
}

impl Service {
    pub(super) fn new(record: &ServiceTokenRecord) -> Self {
        let noted = record.last_used_at.unwrap_or(i64::MIN);
        Self {
            client_id: record.client_id.as_str().into(),
            token: record.name.as_str().into(),
            used_at: AtomicI64::new(noted),
            noted_until: AtomicI64::new(noted),
        }
    }

    /// When it asked last, if that stands nowhere yet; asked once, it is taken for written.
    fn unnoted(&self) -> Option<i64> {
        let used_at = self.used_at.load(Ordering::Relaxed);
        (self.noted_until.swap(used_at, Ordering::Relaxed) != used_at).then_some(used_at)
    }
}

impl Standing {
    /// A service is nobody: no provider and no directory says anything of it.
    pub(super) fn of_service(policies: &Policies, record: &ServiceTokenRecord) -> Self {
        let profile = Profile {
            email: None,
            display_name: None,
            groups: Vec::new(),
            claims_json: "{}".to_owned(),
            authenticated_at: record.created_at,
            told_at: record.created_at,
        };
        Self {
            profile: Arc::new(profile),
            person: None,
            member_of: Box::default(),
            groups: Vec::new(),
            doubts: Vec::new(),
            held: Held::default(),
            policies: policies.clone(),
            principal: Policies::service(&record.name),
            ended: record.revoked_at.map(|_| EndReason::Revoked),
        }
    }
}

/// One secret of a service's token.
#[derive(Debug)]
pub(crate) struct ServiceSecret {
    /// The hash of client id and secret.
    pub(crate) id: SessionId,
    /// The service that proves itself by it.
    pub(crate) session: Arc<LiveSession>,
    /// From when on it is worth nothing, in unix seconds. A rotation brings that forward.
    expires_at: AtomicI64,
}

impl ServiceSecret {
    /// Whether it is worth nothing any more.
    pub(crate) fn is_over(&self, now: i64) -> bool {
        now >= self.expires_at.load(Ordering::SeqCst)
    }

    /// Remembers that the service asked. Written once in a second at most: every worker passes here.
    pub(crate) fn note_use(&self, now: i64) {
        if let Some(service) = &self.session.service
            && service.used_at.load(Ordering::Relaxed) != now
        {
            service.used_at.store(now, Ordering::Relaxed);
        }
    }

    /// Drops what it opened, if it is over.
    fn drop_run_out(&self, now: i64) -> Cuts {
        if !self.is_over(now) || !self.session.carries() {
            return Cuts(0);
        }
        self.session.drop_owned(self.id, Reach::BothSides)
    }
}

/// All services.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// By client id.
    sessions: HashMap<Box<str>, Arc<LiveSession>>,
    secrets: HashMap<SessionId, Arc<ServiceSecret>>,
}

impl Services {
    pub(super) fn session(&self, client_id: &str) -> Option<Arc<LiveSession>> {
        self.sessions.get(client_id).cloned()
    }

    pub(super) fn secret(&self, id: &SessionId) -> Option<Arc<ServiceSecret>> {
        self.secrets.get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<LiveSession>> {
        self.sessions.values().cloned().collect()
    }

    pub(super) fn secrets(&self) -> Vec<Arc<ServiceSecret>> {
        self.secrets.values().cloned().collect()
    }

    /// Takes in the secrets that a token has now; those that it has no more, which are over from here on.
    pub(super) fn set(
        &mut self,
        session: &Arc<LiveSession>,
        record: &ServiceTokenRecord,
    ) -> Vec<Arc<ServiceSecret>> {
        self.sessions.insert(record.client_id.as_str().into(), session.clone());
        for secret in &record.secrets {
            let known = self.secrets.entry(secret.id).or_insert_with(|| {
                let (id, session) = (secret.id, session.clone());
                Arc::new(ServiceSecret { id, session, expires_at: AtomicI64::new(secret.expires_at) })
            });
            known.expires_at.store(secret.expires_at, Ordering::SeqCst);
        }
        let is_gone = |known: &ServiceSecret| {
            Arc::ptr_eq(&known.session, session) && record.secrets.iter().all(|secret| secret.id != known.id)
        };
        let gone: Vec<_> = self.secrets.values().filter(|known| is_gone(known)).cloned().collect();
        for secret in &gone {
            secret.expires_at.store(i64::MIN, Ordering::SeqCst);
            self.secrets.remove(&secret.id);
        }
        gone
    }

    /// Uses that stand nowhere yet, by client id.
    pub(super) fn unnoted(&self) -> Vec<(String, i64)> {
        let services = self.sessions.values().filter_map(|session| session.service.as_ref());
        let unnoted = services.filter_map(|it| Some((it.client_id.to_string(), it.unnoted()?)));
        unnoted.collect()
    }
}

impl Live {
    /// The secret of a service with this id.
    pub(crate) fn service_secret(&self, id: &SessionId) -> Option<Arc<ServiceSecret>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner).secret(id)
    }

    /// When services asked last, of those that have asked since this was asked last; by client id.
    pub(crate) fn service_uses(&self) -> Vec<(String, i64)> {
        self.services.read().unwrap_or_else(PoisonError::into_inner).unnoted()
    }

    /// Drops what is open of everybody.
    pub(crate) fn drop_everything(&self) -> Cuts {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner).all();
        let all = self.carrying();
        let all = all.iter().chain(&services).chain(self.nobodies.all());
        Cuts(all.map(|session| session.drop_all().0).sum())
    }

    /// Drops what was opened by secrets that are over, and decides anew what services and nobody have open for as long as an hour lasts.
    pub(crate) fn drop_run_out_without_login(&self, now: i64) -> Cuts {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        let (secrets, sessions) = (services.secrets(), services.all());
        drop(services);
        let over: usize = secrets.iter().map(|secret| secret.drop_run_out(now).0).sum();
        let carrying = sessions.iter().chain(self.nobodies.all()).filter(|session| session.carries());
        Cuts(over + carrying.map(|session| session.drop_run_out(now).0).sum::<usize>())
    }

    /// A token was made, rotated or revoked. Its secrets are taken in before anything is dropped: a request that was quicker finds its
    /// secret over after it has made its passage known, or the passage is found here.
    pub(super) fn set_service(&self, followed: &Followed, record: &ServiceTokenRecord) -> Cuts {
        let standing = Standing::of_service(&followed.policies, record);
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        let known = services.session(&record.client_id);
        let session =
            known.clone().unwrap_or_else(|| Arc::new(LiveSession::of_service(record, standing.clone())));
        let gone = services.set(&session, record);
        drop(services);
        let denied = known.map_or(Cuts(0), |known| known.change(standing, Reach::BothSides, now()));
        let gone: usize =
            gone.iter().map(|secret| secret.session.drop_owned(secret.id, Reach::BothSides).0).sum();
        Cuts(denied.0 + gone)
    }

    /// Expresses every service in the policies of now, and drops what those deny.
    pub(super) fn refresh_services(&self, followed: &Followed) -> Cuts {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner).all();
        let refreshed = services.iter().map(|session| {
            let before = session.standing();
            let standing = Standing { policies: followed.policies.clone(), ..Standing::clone(&before) };
            session.change(standing, Reach::BothSides, now()).0
        });
        Cuts(refreshed.sum())
    }
}
