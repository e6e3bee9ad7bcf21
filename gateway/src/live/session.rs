//! A session as it stands at this moment, and the passages that depend on it. Changes come from the feed through `live`;
//! reading cookies is left to the `session` stage.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use portcullis_policy::{Principal, Question};
use portcullis_store::{
    ApplicationSessionRecord, EndReason, Group, Person, Profile, ServiceTokenRecord, SessionId, SessionRecord,
};

use super::answers::{About, Answers};
use super::given::Held;
use super::identity_cache::IdentityCache;
use super::nobody::NOBODY;
use super::passage::{Life, NewPassage, Passage, Reach};
use super::policies::Policies;
use super::renewal::Renewals;
use super::service::Service;
use super::uses::{IdleLimit, Uses};
use crate::assertion;
use crate::host::Host;

/// What is true of a session now.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// What the provider last said of them; nothing of a service.
    pub(crate) profile: Arc<Profile>,
    /// The person of a directory whom it belongs to.
    pub(crate) person: Option<Arc<Person>>,
    /// The groups of the directory that they are in.
    pub(crate) member_of: Box<[Arc<Group>]>,
    /// Names of all groups that count now, sorted.
    pub(crate) groups: Vec<String>,
    /// Names of groups that the person is in by a word that does not count; see `people`.
    pub(crate) doubts: Vec<String>,
    /// What they said and were granted.
    pub(crate) held: Held,
    /// The policies that decide.
    pub(crate) policies: Policies,
    /// The same facts as these policies see them.
    pub(crate) principal: Principal,
    /// Why it ended, if it did.
    pub(crate) ended: Option<EndReason>,
}

impl Standing {
    /// Until when a passage may stay, in unix seconds; none when it may not. An application that the policies do not know is
    /// allowed to nobody.
    pub(super) fn allows(&self, passage: &Passage, answers: &Answers, now: i64) -> Option<i64> {
        let (set, policies) = (&self.policies.set, &self.policies);
        let application = set.application(passage.application())?;
        let answers = answers.of(set, passage.application(), passage.client_ip(), now);
        let decision = passage.situation(policies).put(policies, application, now, |circumstances| {
            set.decide(
                application,
                &Question { principal: &self.principal, circumstances, answers: &answers },
            )
        });
        let may = self.ended.is_none() && decision.is_allowed();
        may.then(|| self.policies.lasts(&decision, passage.life())).filter(|until| now < *until)
    }

    /// Decides a passage anew, and whether it is to be dropped.
    fn denies(&self, passage: &Passage, answers: &Answers, now: i64) -> bool {
        match self.allows(passage, answers, now) {
            Some(until) => {
                passage.decide_again_at(until);
                false
            }
            None => true,
        }
    }
}

/// Which login, and of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) id: SessionId,
    pub(super) provider: &'a str,
    pub(super) subject: &'a str,
}

/// A login that lives, or that ended and is remembered until it would have expired. Or a service, which needs no login.
#[derive(Debug)]
pub(crate) struct LiveSession {
    pub(crate) id: SessionId,
    /// The identity provider's configured name; empty for a service, which no provider knows.
    pub(crate) provider: String,
    /// The `sub` at that provider, or the client id of a service.
    pub(crate) subject: String,
    /// What it is called, if it is nobody's but a service's.
    pub(crate) service: Option<Service>,
    /// In unix seconds.
    pub(crate) begun_at: i64,
    /// In unix seconds.
    pub(crate) expires_at: i64,
    /// What upstreams were told about it lately.
    pub(crate) identity: IdentityCache,
    /// The same number for all sessions of one subject, for the limit on how often a person may ask.
    pub(crate) pace_key: u64,
    /// How its renewals stand; none where the provider gave no refresh token.
    pub(crate) renewals: Option<Arc<Renewals>>,
    /// What external evaluations said about it lately.
    pub(crate) answers: Answers,
    pub(super) uses: Uses,
    standing: ArcSwap<Standing>,
    passages: Mutex<Vec<Weak<Passage>>>,
}

/// How many sockets a change has cut.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cuts(pub(crate) usize);

impl LiveSession {
    /// What may change of the record is not kept here: see [`Self::standing`].
    pub(super) fn new(record: &SessionRecord, standing: Standing, idle_limit: IdleLimit) -> Self {
        let mut hasher = DefaultHasher::new();
        (&record.provider, &record.subject).hash(&mut hasher);
        Self {
            id: record.id,
            provider: record.provider.clone(),
            subject: record.subject.clone(),
            service: None,
            begun_at: record.begun_at,
            expires_at: record.expires_at,
            pace_key: hasher.finish(),
            renewals: record.renewable.then(|| Arc::new(Renewals::new(record.profile.told_at))),
            uses: Uses::new(record.used_at.unwrap_or(record.begun_at), idle_limit),
            identity: IdentityCache::default(),
            answers: Answers::default(),
            standing: ArcSwap::from_pointee(standing),
            passages: Mutex::default(),
        }
    }

    /// A service. What is true of it depends on its token alone, and each of its secrets has an end of its own.
    pub(super) fn of_service(record: &ServiceTokenRecord, standing: Standing) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, record.client_id.as_bytes()).as_ref());
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        Self {
            id: SessionId::new(id),
            provider: String::new(),
            subject: record.client_id.clone(),
            service: Some(Service::new(record)),
            begun_at: record.created_at,
            expires_at: i64::MAX,
            pace_key: hasher.finish(),
            renewals: None,
            // No login that could grow idle.
            uses: Uses::new(i64::MAX, IdleLimit::default()),
            identity: IdentityCache::default(),
            answers: Answers::default(),
            standing: ArcSwap::from_pointee(standing),
            passages: Mutex::default(),
        }
    }

    /// Nobody, for whom a bypass opens what no login is needed for.
    pub(super) fn of_nobody(standing: Standing) -> Self {
        Self {
            id: NOBODY,
            provider: String::new(),
            subject: String::new(),
            service: None,
            begun_at: i64::MIN,
            expires_at: i64::MAX,
            pace_key: 0,
            renewals: None,
            uses: Uses::new(i64::MAX, IdleLimit::default()),
            identity: IdentityCache::default(),
            answers: Answers::default(),
            standing: ArcSwap::from_pointee(standing),
            passages: Mutex::default(),
        }
    }

    pub(super) fn whose(&self) -> Whose<'_> {
        Whose { id: self.id, provider: &self.provider, subject: &self.subject }
    }

    /// Whoever it is, in the ids of these policies.
    pub(crate) fn principal(&self, policies: &Policies, standing: &Standing) -> Principal {
        match (&self.service, &standing.principal) {
            (Some(service), _) => Policies::service(&service.token),
            (None, Principal::Nobody) => Principal::Nobody,
            (None, _) => policies.principal_anew(self.whose(), standing),
        }
    }

    /// What is true now. Read it once for a decision, so that all parts of the decision agree.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    /// Whether the provider says of them that they are in a group by one of these names.
    pub(super) fn claims_one_of(&self, names: &[&str]) -> bool {
        self.standing().profile.groups.iter().any(|claimed| names.contains(&claimed.as_str()))
    }

    /// Whether it has run out at `now`: lasted as long as it may, or gone unused for too long.
    pub(crate) fn is_expired(&self, now: i64) -> bool {
        now >= self.expires_at || self.is_idle(now)
    }

    pub(super) fn renewed(&self, told_at: i64) {
        if let Some(renewals) = &self.renewals {
            renewals.told(told_at);
        }
    }

    /// Makes a passage known before the decision that it is for: a change that comes between the two then finds it.
    pub(crate) fn open_passage(&self, to: NewPassage<'_>) -> Arc<Passage> {
        let mut passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        passages.retain(|known| known.strong_count() > 0);
        let passage = Arc::new(Passage::new(to));
        passages.push(Arc::downgrade(&passage));
        passage
    }

    /// Replaces what is true, then drops every passage that would now be denied. When this returns, they are silent.
    pub(super) fn change(&self, standing: Standing, reach: Reach, now: i64) -> Cuts {
        let standing = Arc::new(standing);
        let before = self.standing.swap(standing.clone());
        self.identity.clear();
        if !assertion::tells_still(&before, &standing) {
            self.answers.forget();
        }
        if let (Some(_), Some(renewals)) = (standing.ended, &self.renewals) {
            renewals.forget();
        }
        self.drop_passages(reach, |passage| standing.denies(passage, &self.answers, now))
    }

    /// Makes an object that the feed no longer reaches worthless to whoever still holds it.
    pub(super) fn abandon(&self, now: i64) -> Cuts {
        let standing = self.standing();
        let ended = standing.ended.or(Some(EndReason::Revoked));
        self.change(Standing { ended, ..Standing::clone(&standing) }, Reach::BothSides, now)
    }

    /// Drops the passages of one application session.
    pub(super) fn drop_owned(&self, owner: SessionId, reach: Reach) -> Cuts {
        self.drop_passages(reach, |passage| passage.owner() == owner)
    }

    /// Lets every passage last as long as its application wants now.
    pub(super) fn last(&self, longest: impl Fn(&str) -> Option<Duration>) {
        let passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        for passage in passages.iter().filter_map(Weak::upgrade) {
            passage.lasts(longest(passage.application()));
        }
    }

    /// Drops the passages whose time is over: that of the session, or of the application that asks for a newer one. Where
    /// the decision's time is over, it is made again.
    pub(crate) fn drop_run_out(&self, now: i64) -> Cuts {
        let all = self.is_expired(now);
        // The standing is read under the lock of the passages: one that is replaced meanwhile has the last word.
        self.drop_passages(Reach::BothSides, |passage| {
            all || passage.has_run_out(now)
                || passage.is_due(now) && self.standing().denies(passage, &self.answers, now)
        })
    }

    /// Makes the decisions that an answer is about again: it says something else now.
    pub(crate) fn decide_again(&self, about: &About, now: i64) -> Cuts {
        self.drop_passages(Reach::BothSides, |passage| {
            let concerned =
                passage.application() == &*about.application && passage.client_ip() == about.client_ip;
            concerned && self.standing().denies(passage, &self.answers, now)
        })
    }

    /// Drops all passages.
    pub(crate) fn drop_all(&self) -> Cuts {
        self.drop_passages(Reach::BothSides, |_| true)
    }

    /// Whether anything was opened on it that may still be open.
    pub(super) fn carries(&self) -> bool {
        !self.passages.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether something to this application is open from this address.
    pub(crate) fn carries_to(&self, application: &str, client_ip: IpAddr) -> bool {
        let passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = passages.iter().filter_map(Weak::upgrade);
        open.any(|passage| passage.application() == application && passage.client_ip() == client_ip)
    }

    fn drop_passages(&self, reach: Reach, concerned: impl Fn(&Passage) -> bool) -> Cuts {
        let mut passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cuts = Cuts::default();
        passages.retain(|known| {
            let Some(passage) = known.upgrade() else { return false };
            let concerned = concerned(&passage);
            if concerned {
                passage.drop_now(reach);
                cuts.0 += 1;
            }
            // One whose client side is left open can still be needed: its last bytes may have to be stopped later.
            !(concerned && reach == Reach::BothSides)
        });
        cuts
    }
}

/// Who signs out themselves gets the answer to that over the connection that they asked on.
pub(super) fn reach(why: EndReason) -> Reach {
    match why {
        EndReason::SignedOut => Reach::UpstreamSide,
        EndReason::Deactivated
        | EndReason::Deleted
        | EndReason::Revoked
        | EndReason::Displaced
        | EndReason::GroupsChanged
        | EndReason::Idle
        | EndReason::NotRenewed
        | EndReason::Expired => Reach::BothSides,
    }
}

/// The part of a login that one application's host knows.
#[derive(Debug)]
pub(crate) struct ApplicationSession {
    /// The hash of the token in the cookie, or in a program's hands.
    pub(crate) id: SessionId,
    /// The login.
    pub(crate) session: Arc<LiveSession>,
    /// The host whose cookie names it; worth nothing on another.
    pub(crate) host: Host,
    /// The program at a terminal that has the token; none where a cookie carries it.
    pub(crate) terminal: Option<Box<str>>,
    pub(crate) life: Life,
    /// The hash of the second cookie, without which the first is nobody's.
    binding: Option<[u8; 32]>,
    ended: AtomicBool,
}

impl ApplicationSession {
    pub(super) fn new(session: Arc<LiveSession>, host: Host, record: &ApplicationSessionRecord) -> Self {
        let ended = AtomicBool::new(record.ended.is_some());
        let ApplicationSessionRecord { id, begun_at, expires_at, binding, .. } = *record;
        let terminal = record.terminal.as_deref().map(Box::from);
        Self { id, session, host, terminal, life: Life { begun_at, expires_at }, binding, ended }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Whether it was made with a second cookie.
    pub(crate) fn is_bound(&self) -> bool {
        self.binding.is_some()
    }

    /// Whether the second cookie is the one that it was made with, where there is one.
    pub(crate) fn admits(&self, held: Option<&str>) -> bool {
        let Some(binding) = &self.binding else { return true };
        let hash = held.map(|held| digest::digest(&digest::SHA256, held.as_bytes()));
        hash.is_some_and(|hash| verify_slices_are_equal(hash.as_ref(), binding).is_ok())
    }

    /// Whether its time is up.
    pub(super) fn has_run_out(&self, now: i64) -> bool {
        now >= self.life.expires_at
    }

    /// Whether it ended by itself, its login apart.
    pub(crate) fn is_over(&self, now: i64) -> bool {
        self.has_run_out(now) || self.ended.load(Ordering::SeqCst)
    }
}
