//! What is true now, in memory: people, sessions and what is in flight. Follows the store's change feed, and does not return
//! from a change before everything that it ends has been dropped. Deciding single requests is left to `authorize`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use portcullis_store::{
    ApplicationSessionRecord, Change, EndReason, Follower, PersonId, Profile, Seq, SessionId, SessionRecord,
    Snapshot,
};

mod answers;
mod facts;
mod given;
mod group_ids;
mod identity_cache;
mod linked;
mod login_facts;
mod nobody;
mod passage;
mod people;
mod policies;
mod provisioned;
mod renewal;
mod service;
mod session;
mod unborne;
mod uses;

pub(crate) use answers::{About, Answers, Begun, Prompted};
use facts::Facts;
pub(crate) use group_ids::GroupIds;
pub(crate) use identity_cache::Grounds;
pub(crate) use login_facts::login_facts;
use passage::Reach;
pub(crate) use passage::{Attached, Dropped, Life, NewPassage, Passage};
pub(crate) use policies::Policies;
pub(crate) use renewal::{Attempt, Freshness, Pace};
pub(crate) use service::ServiceSecret;
use session::Whose;
pub(crate) use session::{ApplicationSession, Cuts, LiveSession, Standing};
pub(crate) use unborne::{Bearers, warn_of_unborne};

use crate::gateway::now;
use crate::metrics;
use given::Given;
use linked::Linked;
use nobody::Nobodies;
use people::CountedGroups;
pub(crate) use people::People;
use service::Services;
pub(crate) use uses::Idle;
use uses::IdleLimit;

/// The memory of the gateway.
#[derive(Debug)]
pub(crate) struct Live {
    sessions: RwLock<HashMap<SessionId, Arc<LiveSession>>>,
    application_sessions: RwLock<HashMap<SessionId, Arc<ApplicationSession>>>,
    services: RwLock<Services>,
    nobodies: Nobodies,
    followed: Mutex<Followed>,
    idle_limit: IdleLimit,
}

/// Touched by whoever applies a change: the store's writer thread, or a reload.
#[derive(Debug)]
struct Followed {
    policies: Policies,
    people: People,
    given: Given,
    linked: Linked,
}

impl Live {
    pub(crate) fn new(policies: Policies) -> Self {
        let (people, given, linked) = (People::default(), Given::default(), Linked::default());
        Self {
            sessions: RwLock::default(),
            application_sessions: RwLock::default(),
            services: RwLock::default(),
            nobodies: Nobodies::new(&policies),
            followed: Mutex::new(Followed { policies, people, given, linked }),
            idle_limit: IdleLimit::default(),
        }
    }

    /// Puts other policies in force: every session is expressed in their ids, and every passage that they deny is dropped before
    /// this returns. A request that was decided by the policies before is found here, or finds that its policies were replaced.
    pub(crate) fn adopt(
        &self,
        policies: Policies,
        longest: impl Fn(&str) -> Option<Duration>,
        now: i64,
    ) -> Cuts {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.policies = policies;
        let sessions = self.chosen(|_| true);
        let refreshed = sessions.iter().map(|session| {
            let person = session.standing().person.as_ref().map(|person| person.id);
            let denied = self.refresh(&followed, session, person, None).0;
            // After that no request of the configuration before opens a passage here: it finds itself superseded.
            session.last(&longest);
            denied + session.drop_run_out(now).0
        });
        let people: usize = refreshed.sum();
        Cuts(people + self.refresh_services(&followed).0 + self.nobodies.adopt(&followed.policies).0)
    }

    /// Whoever comes from an address, where a bypass does not ask who it is.
    pub(crate) fn nobody(&self, address: IpAddr) -> Option<Arc<LiveSession>> {
        self.nobodies.at(address)
    }

    /// The login with this id, live or ended.
    pub(crate) fn session(&self, id: &SessionId) -> Option<Arc<LiveSession>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The application session with this id, live or ended.
    pub(crate) fn application_session(&self, id: &SessionId) -> Option<Arc<ApplicationSession>> {
        self.application_sessions.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// How many logins and application sessions are remembered.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner).len();
        let applications = &self.application_sessions;
        (sessions, applications.read().unwrap_or_else(PoisonError::into_inner).len())
    }

    /// The sessions on which something was opened that may still be open.
    pub(crate) fn carrying(&self) -> Vec<Arc<LiveSession>> {
        self.chosen(LiveSession::carries)
    }

    fn chosen(&self, which: impl Fn(&LiveSession) -> bool) -> Vec<Arc<LiveSession>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.values().filter(|session| which(session)).cloned().collect()
    }

    /// How many other live sessions the same subject of the same provider has.
    pub(crate) fn others_of(&self, one: &LiveSession, now: i64) -> usize {
        let of_them = self.chosen(|other| {
            other.pace_key == one.pace_key && other.subject == one.subject && other.provider == one.provider
        });
        let others = of_them.iter().filter(|other| other.id != one.id);
        others.filter(|other| other.standing().ended.is_none() && !other.is_expired(now)).count()
    }

    fn standing(
        followed: &Followed,
        whose: Whose<'_>,
        profile: Arc<Profile>,
        person: Option<PersonId>,
        (ended, before): (Option<EndReason>, Option<&Standing>),
    ) -> Standing {
        let Followed { people, policies, given, linked } = followed;
        let Whose { id, provider, subject } = whose;
        let person = person.and_then(|id| linked.person(id)).cloned();
        let (claimed, told_at) = (&profile.groups, profile.told_at);
        let counted = if policies.directory_alone(provider) {
            people.groups_of_directory_alone(person.as_deref(), claimed, told_at)
        } else {
            let names = people.groups_that_count(person.as_deref(), claimed, told_at);
            CountedGroups { names, unproved: Vec::new() }
        };
        // The store ends the sessions of a deactivated person in the same transaction; this holds the door besides.
        let inactive = person.as_ref().is_some_and(|person| !person.active);
        let ended = ended.or_else(|| inactive.then_some(EndReason::Deactivated));
        let member_of = person.as_deref().map_or_else(Box::default, |person| people.member_of(person));
        let CountedGroups { names: groups, unproved: doubts } = counted;
        let held = given.held(id, provider, subject);
        let facts = Facts {
            whose,
            profile: &profile,
            person: person.as_deref(),
            member_of: &member_of,
            groups: &groups,
            doubts: &doubts,
            held: &held,
            before,
        };
        let (principal, policies) = (policies.principal(&facts), policies.clone());
        Standing { profile, person, member_of, groups, doubts, held, policies, principal, ended }
    }

    /// Its person is known already.
    fn begin(&self, followed: &Followed, record: &Arc<SessionRecord>) {
        let SessionRecord { id, provider, subject, profile, .. } = record.as_ref();
        let whose = Whose { id: *id, provider, subject };
        let standing = Self::standing(followed, whose, profile.clone(), record.person, (record.ended, None));
        let session = Arc::new(LiveSession::new(record, standing, self.idle_limit.clone()));
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).insert(record.id, session);
    }

    fn begin_application(&self, record: &ApplicationSessionRecord) {
        // A host that is no longer configured has nobody to show the cookie to.
        let (Some(session), Ok(host)) = (self.session(&record.parent), record.host.parse()) else { return };
        let application = Arc::new(ApplicationSession::new(session, host, record));
        self.application_sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(record.id, application);
    }

    /// Takes in what is true of a session now, and drops what it no longer may do. Signing out first does not help: the end
    /// that is being told about says how far the cut reaches, not an earlier one.
    fn refresh(
        &self,
        followed: &Followed,
        session: &LiveSession,
        person: Option<PersonId>,
        ended: Option<EndReason>,
    ) -> Cuts {
        let before = session.standing();
        let over = before.ended.or(ended);
        let standing =
            Self::standing(followed, session.whose(), before.profile.clone(), person, (over, Some(&before)));
        session.change(standing, ended.map_or(Reach::BothSides, session::reach), now())
    }

    /// The provider said anew who somebody is: groups and decisions follow at once.
    fn renew(&self, followed: &mut Followed, id: &SessionId, profile: &Arc<Profile>) -> Cuts {
        let Some(session) = self.session(id) else { return Cuts(0) };
        let before = session.standing();
        followed.linked.claim(&profile.groups);
        followed.linked.unclaim(&before.profile.groups);
        let person = before.person.as_ref().map(|person| person.id);
        let standing =
            Self::standing(followed, session.whose(), profile.clone(), person, (before.ended, None));
        // Groups that nothing was said of keep their age: how fresh the session is, whoever asked the provider knows.
        if profile.told_at != before.profile.told_at {
            session.renewed(profile.told_at);
        }
        session.change(standing, Reach::BothSides, now())
    }

    fn end(&self, followed: &mut Followed, ids: &[SessionId], reason: EndReason) -> Cuts {
        let mut cuts = 0;
        for id in ids {
            if let Some(session) = self.session(id) {
                let person = session.standing().person.as_ref().map(|person| person.id);
                cuts += self.refresh(followed, &session, person, Some(reason)).0;
            }
            if let Some(application) = self.application_session(id) {
                application.end();
                cuts += application.session.drop_owned(*id, session::reach(reason)).0;
            }
        }
        if reason == EndReason::Expired {
            self.forget(followed, ids);
        }
        Cuts(cuts)
    }

    fn apply_change(&self, followed: &mut Followed, change: &Change) -> Cuts {
        match change {
            Change::Person(person) => {
                followed.linked.set_person(person);
                self.refresh_person(followed, person.id)
            }
            Change::PersonDeleted(id, _) => {
                let sessions = followed.linked.remove_person(*id);
                let sessions = sessions.iter().filter_map(|id| self.session(id));
                Cuts(sessions.map(|session| session.drop_all().0).sum())
            }
            Change::Group(group) => {
                let before = followed.people.set_group(group.clone());
                if let Some(before) = &before {
                    unborne::warn_of_leaving(followed, before, Some(group));
                }
                self.refresh_group(followed, group, before.as_deref())
            }
            Change::GroupNameLeft { directory, name, at } => {
                followed.people.leave_name(directory.clone(), name.clone(), *at);
                Cuts(0)
            }
            Change::GroupNamesForgotten { until } => {
                followed.people.forget_names(*until);
                Cuts(0)
            }
            Change::GroupDeleted(id) => match followed.people.remove_group(*id) {
                Some(group) => {
                    unborne::warn_of_leaving(followed, &group, None);
                    // Also for those who are held to be members by memory alone (`on_group_change = "ignore"`).
                    self.refresh_group(followed, &group, Some(&group))
                }
                None => Cuts(0),
            },
            Change::Membership { group, added, removed } => {
                self.change_members(followed, *group, added, removed)
            }
            Change::MembersReplaced { group, members } => self.replace_members(followed, *group, members),
            Change::SessionBegun { session, person } => {
                followed.linked.claim(&session.profile.groups);
                if let Some(person) = person {
                    followed.linked.link(session.id, person.clone());
                }
                self.begin(followed, session);
                Cuts(0)
            }
            Change::ApplicationSessionBegun(record) => {
                self.begin_application(record);
                Cuts(0)
            }
            Change::SessionRenewed { session, profile } => self.renew(followed, session, profile),
            Change::SessionsLinked { sessions, person } => self.link(followed, sessions, person.as_ref()),
            Change::SessionsEnded { sessions, reason } => self.end(followed, sessions, *reason),
            Change::ServiceToken(record) => self.set_service(followed, record),
            Change::Purposes(given) => self.give(followed, given),
            Change::Access(request) => self.set_access(followed, request),
            Change::Key { .. } => Cuts(0),
        }
    }
}

impl Follower for Live {
    fn load(&self, snapshot: Snapshot) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier: Vec<Arc<LiveSession>> = {
            let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
            sessions.drain().map(|(_, session)| session).collect()
        };
        self.application_sessions.write().unwrap_or_else(PoisonError::into_inner).clear();
        let services = std::mem::take(&mut *self.services.write().unwrap_or_else(PoisonError::into_inner));
        // What was let in by the old state has nobody left who could drop it later.
        for session in earlier.into_iter().chain(services.all()) {
            session.abandon(now());
        }
        followed.people = People::new(snapshot.groups, snapshot.former_group_names);
        followed.given = Given::new(snapshot.purposes, snapshot.grants, now());
        followed.linked = Linked::load(snapshot.persons, &snapshot.sessions);
        for record in &snapshot.sessions {
            self.begin(&followed, record);
        }
        for record in &snapshot.application_sessions {
            self.begin_application(record);
        }
        for record in &snapshot.service_tokens {
            self.set_service(&followed, record);
        }
    }

    fn apply(&self, seq: Seq, change: &Change) {
        let applied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
            self.apply_change(&mut followed, change)
        }));
        let Ok(cuts) = applied else {
            // A memory that may be wrong must not go on deciding. A new process reads the truth from the store.
            tracing::error!(target: "portcullis::drop", seq = seq.0, "a change could not be applied; the gateway ends");
            crate::log::flush();
            std::process::abort();
        };
        if cuts.0 > 0 {
            metrics::cut(change.kind(), cuts.0);
            tracing::info!(
                target: "portcullis::drop",
                seq = seq.0,
                change = change.kind(),
                connections = cuts.0,
                "connections were cut"
            );
        }
    }
}

#[cfg(test)]
mod tests;
