//! What the tests of this crate share: a folder that goes away, a store with two directories, a follower that is a
//! model of the state, and short forms of what is written.

use crate::{
    AccessRequest, AccessState, ApplicationSessionRecord, Change, Directory, DirectoryName, DirectoryRules,
    EndReason, Follower, FormerGroupName, Group, GroupContent, GroupId, NewSession, Person, PersonContent,
    PersonId, Purposes, Seq, ServiceTokenRecord, SessionId, SessionRecord, Snapshot, Store,
};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

/// A folder of one test's own, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("portcullis-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("store.db")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A new store that serves `corp` and `annex`, both of the provider `okta`, and `lab` of the provider `other`.
pub(crate) async fn new_store() -> (Folder, Store) {
    let folder = Folder::new();
    let store = Store::open(&folder.database()).unwrap();
    store.declare_directories(&three(), 0).await.unwrap();
    (folder, store)
}

pub(crate) fn three() -> Vec<Directory> {
    [("corp", "okta"), ("annex", "okta"), ("lab", "other")]
        .map(|(name, provider)| Directory {
            name: name.into(),
            identity_provider: provider.to_owned(),
            rules: DirectoryRules::default(),
        })
        .to_vec()
}

/// An active person without anything but a userName.
pub(crate) fn content(user_name: &str) -> PersonContent {
    PersonContent {
        user_name: user_name.to_owned(),
        external_id: None,
        emails: Vec::new(),
        display_name: None,
        active: true,
        document: Map::new(),
    }
}

/// Many people of `corp` who are like each other: their SCIM ids.
pub(crate) async fn crowd(store: &Store, count: usize) -> Vec<String> {
    let mut writes = JoinSet::new();
    for number in 0..count {
        let store = store.clone();
        writes.spawn(async move {
            store.create_person("corp", content(&format!("one of many {number}")), 1).await.unwrap().scim_id
        });
    }
    writes.join_all().await
}

pub(crate) fn group_content(display_name: &str) -> GroupContent {
    GroupContent { display_name: display_name.to_owned(), external_id: None, document: Map::new() }
}

pub(crate) fn session_id(number: u64) -> SessionId {
    let mut digest = [0; 32];
    digest[24..].copy_from_slice(&number.to_be_bytes());
    SessionId::new(digest)
}

/// A login at `okta` that is good until 1000.
pub(crate) fn login(number: u64, subject: &str, email: Option<&str>) -> NewSession {
    NewSession {
        id: session_id(number),
        provider: "okta".to_owned(),
        subject: subject.to_owned(),
        email: email.map(str::to_owned),
        claimed: Vec::new(),
        display_name: None,
        groups: vec!["Everyone".to_owned()],
        claims_json: "{}".to_owned(),
        authenticated_at: 1,
        now: 1,
        expires_at: 1000,
        sealed: Some(b"sealed".to_vec()),
        refresh: Some(b"refresh".to_vec()),
    }
}

/// Deactivates or reactivates.
pub(crate) async fn set_active(store: &Store, scim_id: &str, active: bool) {
    store
        .modify_person("corp", scim_id, 5, move |person| {
            Ok::<_, ()>(PersonContent { active, ..person.content.clone() })
        })
        .await
        .unwrap();
}

/// A follower that keeps the state as simply as can be, and everything that it was told.
#[derive(Default)]
pub(crate) struct Model(Mutex<State>);

#[derive(Default)]
struct State {
    seq: Seq,
    persons: BTreeMap<PersonId, Arc<Person>>,
    groups: BTreeMap<GroupId, Arc<Group>>,
    former_group_names: BTreeMap<(DirectoryName, String), i64>,
    sessions: BTreeMap<SessionId, Arc<SessionRecord>>,
    application_sessions: BTreeMap<SessionId, Arc<ApplicationSessionRecord>>,
    /// In the order of their making.
    service_tokens: BTreeMap<(i64, String), Arc<ServiceTokenRecord>>,
    purposes: BTreeMap<SessionId, Purposes>,
    grants: BTreeMap<String, Arc<AccessRequest>>,
    told: Vec<Change>,
}

impl Model {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.0.lock().unwrap();
        Snapshot {
            seq: state.seq,
            persons: state.persons.values().cloned().collect(),
            groups: state.groups.values().cloned().collect(),
            former_group_names: state
                .former_group_names
                .iter()
                .map(|((directory, name), left_at)| FormerGroupName {
                    directory: directory.clone(),
                    name: name.clone(),
                    left_at: *left_at,
                })
                .collect(),
            sessions: state.sessions.values().cloned().collect(),
            application_sessions: state.application_sessions.values().cloned().collect(),
            service_tokens: state.service_tokens.values().cloned().collect(),
            purposes: state.purposes.values().cloned().collect(),
            grants: state.grants.values().cloned().collect(),
        }
    }

    /// What was told since the last time, and forgets it.
    pub(crate) fn told(&self) -> Vec<Change> {
        std::mem::take(&mut self.0.lock().unwrap().told)
    }

    pub(crate) fn ended(&self, id: SessionId) -> Option<EndReason> {
        self.0.lock().unwrap().sessions[&id].ended
    }

    pub(crate) fn person_of(&self, id: SessionId) -> Option<PersonId> {
        self.0.lock().unwrap().sessions[&id].person
    }
}

impl Follower for Model {
    fn load(&self, snapshot: Snapshot) {
        *self.0.lock().unwrap() = State {
            seq: snapshot.seq,
            persons: snapshot.persons.into_iter().map(|person| (person.id, person)).collect(),
            groups: snapshot.groups.into_iter().map(|group| (group.id, group)).collect(),
            former_group_names: snapshot
                .former_group_names
                .into_iter()
                .map(|former| ((former.directory, former.name), former.left_at))
                .collect(),
            sessions: snapshot.sessions.into_iter().map(|session| (session.id, session)).collect(),
            application_sessions: snapshot
                .application_sessions
                .into_iter()
                .map(|part| (part.id, part))
                .collect(),
            service_tokens: snapshot.service_tokens.into_iter().map(keyed).collect(),
            purposes: snapshot.purposes.into_iter().map(|given| (given.session, given)).collect(),
            grants: snapshot.grants.into_iter().map(|grant| (grant.id.clone(), grant)).collect(),
            told: Vec::new(),
        };
    }

    fn apply(&self, seq: Seq, change: &Change) {
        let mut state = self.0.lock().unwrap();
        assert_eq!(seq, Seq(state.seq.0 + 1), "a gap in the feed");
        state.seq = seq;
        state.told.push(change.clone());
        state.apply(change);
        state.forget_people_without_sessions();
    }
}

fn keyed(token: Arc<ServiceTokenRecord>) -> ((i64, String), Arc<ServiceTokenRecord>) {
    ((token.created_at, token.client_id.clone()), token)
}

impl State {
    fn apply(&mut self, change: &Change) {
        match change {
            // Whoever has no session is not kept.
            Change::Person(person) if self.persons.contains_key(&person.id) => self.keep(person),
            Change::Person(_) => {}
            Change::PersonDeleted(id, _) => drop(self.persons.remove(id)),
            Change::Group(group) => drop(self.groups.insert(group.id, Arc::clone(group))),
            Change::GroupNameLeft { directory, name, at } => {
                assert!(
                    self.groups
                        .values()
                        .any(|group| group.directory == *directory && group.display_name == *name),
                    "a name was left that no group bore"
                );
                self.former_group_names.insert((directory.clone(), name.clone()), *at);
            }
            Change::GroupNamesForgotten { until } => {
                self.former_group_names.retain(|_, left_at| *left_at > *until);
            }
            Change::GroupDeleted(id) => {
                assert!(self.groups.remove(id).is_some());
                assert!(self.persons.values().all(|person| !person.groups.contains(id)));
            }
            Change::Membership { group, added, removed } => {
                for id in added {
                    self.regroup(*id, |groups| {
                        assert!(!groups.contains(group), "joined twice");
                        groups.push(*group);
                    });
                }
                for id in removed {
                    self.regroup(*id, |groups| {
                        assert!(groups.contains(group), "left twice");
                        groups.retain(|other| other != group);
                    });
                }
            }
            Change::MembersReplaced { group, members } => {
                for id in self.persons.keys().copied().collect::<Vec<_>>() {
                    self.regroup(id, |groups| {
                        groups.retain(|other| other != group);
                        groups.extend(members.contains(&id).then_some(*group));
                    });
                }
            }
            Change::SessionBegun { session, person } => {
                assert_eq!(session.person, person.as_ref().map(|person| person.id));
                person.iter().for_each(|person| self.keep(person));
                self.sessions.insert(session.id, Arc::clone(session));
            }
            Change::SessionRenewed { session, profile } => {
                Arc::make_mut(self.sessions.get_mut(session).unwrap()).profile = Arc::clone(profile);
            }
            Change::ApplicationSessionBegun(part) => {
                self.application_sessions.insert(part.id, Arc::clone(part));
            }
            Change::SessionsLinked { sessions, person } => {
                person.iter().for_each(|person| self.keep(person));
                for id in sessions {
                    let session = Arc::make_mut(self.sessions.get_mut(id).unwrap());
                    session.person = person.as_ref().map(|person| person.id);
                }
            }
            Change::SessionsEnded { sessions, reason } => {
                sessions.iter().for_each(|id| self.end(id, *reason));
            }
            Change::Key { .. } => {}
            Change::ServiceToken(token) => self.service_tokens.extend([keyed(token.clone())]),
            Change::Purposes(given) => {
                assert!(self.sessions.contains_key(&given.session), "a purpose of nobody");
                self.purposes.insert(given.session, given.clone());
            }
            Change::Access(request) if request.state == AccessState::Granted => {
                self.grants.insert(request.id.clone(), Arc::clone(request));
            }
            Change::Access(request) => drop(self.grants.remove(&request.id)),
        }
    }

    fn keep(&mut self, person: &Arc<Person>) {
        self.persons.insert(person.id, Arc::clone(person));
    }

    fn forget_people_without_sessions(&mut self) {
        let linked: BTreeSet<_> = self.sessions.values().filter_map(|session| session.person).collect();
        self.persons.retain(|id, _| linked.contains(id));
    }

    fn regroup(&mut self, id: PersonId, edit: impl FnOnce(&mut Vec<GroupId>)) {
        let Some(person) = self.persons.get_mut(&id) else { return };
        let person = Arc::make_mut(person);
        let mut groups = person.groups.to_vec();
        edit(&mut groups);
        groups.sort_unstable();
        person.groups = groups.into_boxed_slice();
    }

    fn end(&mut self, id: &SessionId, reason: EndReason) {
        if reason == EndReason::Expired {
            let gone = self.sessions.remove(id).is_some() || self.application_sessions.remove(id).is_some();
            assert!(gone, "an unknown session expired");
            self.purposes.remove(id);
        } else if let Some(session) = self.sessions.get_mut(id) {
            let takes_over = session.ended == Some(EndReason::SignedOut)
                && matches!(reason, EndReason::Deactivated | EndReason::Deleted);
            assert!(session.ended.is_none() || takes_over, "a session ended twice");
            let session = Arc::make_mut(session);
            (session.ended, session.renewable) = (Some(reason), false);
        } else {
            let part = self.application_sessions.get_mut(id).unwrap();
            assert_eq!(part.ended, None, "an application session ended twice");
            Arc::make_mut(part).ended = Some(reason);
        }
    }
}
