//! Whatever happened, the memory says of each session what a memory says that reads the same store anew.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use portcullis_store::{
    Directory, DirectoryError, EndWhat, GroupContent, MemberEdit, ModifyError, NewSession, Person,
    PersonContent, Provisioning, Renewal, Store,
};

use portcullis_policy::{Action, ApplicationPolicies, Policy, Selector, TimeWindow, Weekday, Zone};

use super::*;
use crate::circumstances::{Shown, Situation};
use crate::socket::{Cutter, Descriptor};

/// A store of one test's own, removed when dropped.
struct Rig {
    folder: PathBuf,
    store: Store,
}

impl Rig {
    async fn new() -> Self {
        Self::with(portcullis_store::DirectoryRules::default()).await
    }

    async fn with(rules: portcullis_store::DirectoryRules) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("portcullis-live-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&folder.join("store.db")).unwrap();
        let directories = ["corp", "annex"].map(|name| Directory {
            name: name.into(),
            identity_provider: "okta".to_owned(),
            rules,
        });
        store.declare_directories(&directories, 0).await.unwrap();
        Self { folder, store }
    }

    async fn follow(&self) -> Arc<Live> {
        Self::follow_in(&self.store).await
    }

    async fn follow_in(store: &Store) -> Arc<Live> {
        let live = Arc::new(Live::new(Policies::of_tests(&[], &[])));
        live.ask_for_uses(store.last_uses());
        store.follow(live.clone()).await.unwrap();
        live
    }

    /// As another process on the same file has it.
    async fn beside(&self) -> (Store, Arc<Live>) {
        let store = Store::open(&self.folder.join("store.db")).unwrap();
        let live = Self::follow_in(&store).await;
        (store, live)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A small generator of pseudo-random numbers (xorshift): a seed tells the whole run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    fn some<T: Clone>(&mut self, among: &[T]) -> Vec<T> {
        (0..self.below(4)).filter_map(|_| among.get(self.below(among.len().max(1)))).cloned().collect()
    }
}

fn name(dice: &mut Dice) -> String {
    format!("group {}", dice.below(6))
}

fn person_content(dice: &mut Dice) -> PersonContent {
    let number = dice.below(8);
    let title = dice.below(3);
    PersonContent {
        user_name: format!("person{number}@corp.example"),
        external_id: (dice.below(3) > 0).then(|| format!("00u{number}")),
        emails: Vec::new(),
        display_name: None,
        active: dice.below(6) > 0,
        document: [("title".to_owned(), title.into())].into_iter().collect(),
    }
}

struct Run {
    rig: Rig,
    dice: Dice,
    people: Vec<String>,
    groups: Vec<String>,
    sessions: Vec<SessionId>,
    now: i64,
}

/// Names may be taken and ids unknown; nothing else may go wrong.
fn is_refusal(error: &ModifyError<()>) -> bool {
    use DirectoryError::{GroupNameTaken, NotFound, UnknownMember, UserNameTaken};
    matches!(error, ModifyError::Directory(GroupNameTaken | NotFound | UnknownMember(_) | UserNameTaken))
}

impl Run {
    async fn step(&mut self) {
        self.now += 1;
        match self.dice.below(16) {
            0..=1 => self.create_person().await,
            2..=4 => self.modify_person().await,
            5..=6 => self.create_group().await,
            7..=9 => self.modify_group().await,
            10 => self.delete().await,
            11..=13 => self.begin().await,
            14 => self.renew().await,
            _ => self.end().await,
        }
    }

    async fn create_person(&mut self) {
        let content = person_content(&mut self.dice);
        if let Ok(person) = self.rig.store.create_person("corp", content, self.now).await {
            self.people.push(person.scim_id);
        }
    }

    async fn modify_person(&mut self) {
        let content = person_content(&mut self.dice);
        for id in self.dice.some(&self.people).into_iter().take(1) {
            let content = content.clone();
            let modified = self.rig.store.modify_person("corp", &id, self.now, move |_| Ok(content)).await;
            assert!(modified.as_ref().err().is_none_or(is_refusal), "{modified:?}");
        }
    }

    async fn create_group(&mut self) {
        let (display_name, members) = (name(&mut self.dice), self.dice.some(&self.people));
        let content = GroupContent { display_name, external_id: None, document: serde_json::Map::new() };
        if let Ok(group) = self.rig.store.create_group("corp", content, members, self.now).await {
            self.groups.push(group.scim_id);
        }
    }

    async fn modify_group(&mut self) {
        let (name, is_renamed, all) = (name(&mut self.dice), self.dice.below(3) == 0, self.people.clone());
        let edit = match self.dice.below(3) {
            0 => MemberEdit::RemoveAll,
            1 => MemberEdit::Replace(self.dice.some(&all)),
            _ => MemberEdit::Change { add: self.dice.some(&all), remove: self.dice.some(&all) },
        };
        for id in self.dice.some(&self.groups).into_iter().take(1) {
            let (name, edit) = (name.clone(), edit.clone());
            let modified = self.rig.store.modify_group("corp", &id, self.now, move |group| {
                let mut content = group.content.clone();
                if is_renamed {
                    content.display_name = name;
                }
                Ok((content, edit))
            });
            let modified = modified.await;
            assert!(modified.as_ref().err().is_none_or(is_refusal), "{modified:?}");
        }
    }

    async fn delete(&mut self) {
        for id in self.dice.some(&self.people).into_iter().take(1) {
            let _ = self.rig.store.delete_person("corp", &id, self.now).await;
        }
        for id in self.dice.some(&self.groups).into_iter().take(1) {
            let _ = self.rig.store.delete_group("corp", &id, self.now).await;
        }
    }

    async fn begin(&mut self) {
        let id = SessionId::new([u8::try_from(self.sessions.len() % 256).unwrap(); 32]);
        if self.sessions.contains(&id) {
            return;
        }
        let number = self.dice.below(8);
        let session = NewSession {
            id,
            provider: "okta".to_owned(),
            subject: format!("00u{number}"),
            email: (self.dice.below(2) == 0).then(|| format!("person{number}@corp.example")),
            claimed: Vec::new(),
            display_name: None,
            groups: (0..self.dice.below(4)).map(|_| name(&mut self.dice)).collect(),
            claims_json: "{}".to_owned(),
            authenticated_at: self.now,
            now: self.now,
            expires_at: self.now + 60,
            sealed: None,
            refresh: None,
        };
        if self.rig.store.begin_session(session, Provisioning::Optional).await.is_ok() {
            self.sessions.push(id);
        }
    }

    async fn renew(&mut self) {
        for id in self.dice.some(&self.sessions).into_iter().take(1) {
            let renewal = Renewal {
                id,
                email: None,
                claimed: Vec::new(),
                display_name: None,
                groups: Some((0..self.dice.below(4)).map(|_| name(&mut self.dice)).collect()),
                claims_json: "{}".to_owned(),
                authenticated_at: self.now,
                now: self.now,
                sealed: None,
            };
            let _ = self.rig.store.renew_session(renewal).await;
        }
    }

    async fn end(&mut self) {
        for id in self.dice.some(&self.sessions).into_iter().take(1) {
            let ended = self.rig.store.end_sessions(EndWhat::Session(id), EndReason::SignedOut, self.now);
            ended.await.unwrap();
        }
        self.rig.store.purge_expired(self.now).await.unwrap();
    }
}

/// What is held of people, by id: their state, and how many sessions they have.
fn people(live: &Live) -> Vec<(Arc<Person>, usize)> {
    let followed = live.followed.lock().unwrap();
    let mut people: Vec<_> =
        followed.linked.all().map(|(person, sessions)| (person.clone(), sessions.len())).collect();
    people.sort_by_key(|(person, _)| person.id);
    people
}

#[tokio::test]
async fn what_is_remembered_is_what_would_be_read_anew() {
    let (mut linked, mut most) = (0, 0);
    for seed in 1..5 {
        let rig = Rig::new().await;
        let mut run = Run { rig, dice: Dice(seed), people: vec![], groups: vec![], sessions: vec![], now: 1 };
        let mut live = run.rig.follow().await;
        for _ in 0..20 {
            for _ in 0..12 {
                run.step().await;
            }
            let fresh = run.rig.follow().await;
            assert_eq!(people(&live), people(&fresh), "seed {seed}");
            for id in &run.sessions {
                let (one, other) = (live.session(id), fresh.session(id));
                assert_eq!(one.is_some(), other.is_some(), "seed {seed}");
                let (Some(one), Some(other)) = (one, other) else { continue };
                let (one, other) = (one.standing(), other.standing());
                assert_eq!(one.ended.is_some(), other.ended.is_some(), "seed {seed}");
                // Of somebody who was deleted, the last state stays until the session is forgotten.
                if one.ended.is_none() {
                    assert_eq!((&one.groups, &one.person), (&other.groups, &other.person), "seed {seed}");
                    linked += usize::from(one.person.is_some());
                }
            }
            most = most.max(people(&fresh).len());
            live = fresh;
        }
    }
    assert!(linked > 100 && most > 2, "the runs hardly link a session: {linked}, {most}");
}

fn new_session(subject: &str) -> NewSession {
    NewSession {
        id: SessionId::new([7; 32]),
        provider: "okta".to_owned(),
        subject: subject.to_owned(),
        email: None,
        claimed: Vec::new(),
        display_name: None,
        groups: Vec::new(),
        claims_json: "{}".to_owned(),
        authenticated_at: 1,
        now: 1,
        expires_at: 100,
        sealed: None,
        refresh: None,
    }
}

#[tokio::test]
async fn whoever_has_no_session_is_not_remembered() {
    let rig = Rig::new().await;
    let live = rig.follow().await;
    let content = |number: usize| PersonContent {
        user_name: format!("person{number}@corp.example"),
        external_id: Some(format!("00u{number}")),
        emails: Vec::new(),
        display_name: None,
        active: true,
        document: [("title".to_owned(), "Engineer".into())].into_iter().collect(),
    };
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(rig.store.create_person("corp", content(number), 1).await.unwrap().scim_id);
    }
    let group = GroupContent {
        display_name: "Engineering".to_owned(),
        external_id: None,
        document: serde_json::Map::new(),
    };
    rig.store.create_group("corp", group, ids.clone(), 1).await.unwrap();
    assert!(people(&live).is_empty(), "somebody without a session is remembered");
    let session = new_session("00u3");
    let id = session.id;
    rig.store.begin_session(session, Provisioning::Optional).await.unwrap();
    let standing = live.session(&id).unwrap().standing();
    assert_eq!(standing.groups, ["Engineering"], "the person came without their groups");
    let title =
        |standing: &Standing| standing.person.as_ref().unwrap().attributes().unwrap()["title"].clone();
    assert_eq!(title(&standing), "Engineer");
    let promote = |person: &portcullis_store::StoredPerson| {
        let mut content = person.content.clone();
        content.document.insert("title".to_owned(), "Director".into());
        Ok::<_, ()>(content)
    };
    rig.store.modify_person("corp", &ids[3], 2, promote).await.unwrap();
    let standing = live.session(&id).unwrap().standing();
    assert_eq!(title(&standing), "Director", "an attribute that changed by itself was not told");
    let attributes = standing.person.as_ref().unwrap().attributes().unwrap();
    assert_eq!(attributes["userName"], "person3@corp.example");
    assert_eq!(people(&live).len(), 1);
    rig.store.purge_expired(100).await.unwrap();
    assert!(people(&live).is_empty(), "somebody whose last session is forgotten is remembered");
}

/// A rule that leaves running sessions alone when somebody's groups change does not keep a group alive that is gone.
#[tokio::test]
async fn a_deleted_group_is_gone_also_where_group_changes_are_ignored() {
    let rules = portcullis_store::DirectoryRules {
        on_group_change: portcullis_store::OnGroupChange::Ignore,
        ..portcullis_store::DirectoryRules::default()
    };
    let rig = Rig::with(rules).await;
    let live = rig.follow().await;
    let person = PersonContent {
        user_name: "engineer@corp.example".to_owned(),
        external_id: Some("00u3".to_owned()),
        emails: Vec::new(),
        display_name: None,
        active: true,
        document: serde_json::Map::new(),
    };
    let person = rig.store.create_person("corp", person, 1).await.unwrap().scim_id;
    let group = GroupContent {
        display_name: "Engineering".to_owned(),
        external_id: None,
        document: serde_json::Map::new(),
    };
    let group = rig.store.create_group("corp", group, vec![person.clone()], 1).await.unwrap().scim_id;
    let session = NewSession {
        id: SessionId::new([7; 32]),
        provider: "okta".to_owned(),
        subject: "00u3".to_owned(),
        email: None,
        claimed: Vec::new(),
        display_name: None,
        groups: Vec::new(),
        claims_json: "{}".to_owned(),
        authenticated_at: 1,
        now: 1,
        expires_at: i64::MAX / 2,
        sealed: None,
        refresh: None,
    };
    let id = session.id;
    rig.store.begin_session(session, Provisioning::Optional).await.unwrap();
    let groups = || live.session(&id).unwrap().standing().groups.clone();
    assert_eq!(groups(), ["Engineering"]);
    let left = MemberEdit::Change { add: Vec::new(), remove: vec![person] };
    let leave =
        move |group: &portcullis_store::StoredGroup| Ok::<_, DirectoryError>((group.content.clone(), left));
    rig.store.modify_group("corp", &group, 2, leave).await.unwrap();
    assert_eq!(groups(), ["Engineering"], "a change was not ignored");
    rig.store.delete_group("corp", &group, 3).await.unwrap();
    assert!(groups().is_empty(), "a deleted group goes on");
}

#[tokio::test]
async fn an_answer_about_somebody_as_they_were_counts_no_longer() {
    let rig = Rig::new().await;
    let live = rig.follow().await;
    let person = || PersonContent {
        user_name: "person3@corp.example".to_owned(),
        external_id: Some("00u3".to_owned()),
        emails: Vec::new(),
        display_name: None,
        active: true,
        document: serde_json::Map::new(),
    };
    let scim_id = rig.store.create_person("corp", person(), 1).await.unwrap().scim_id;
    let session = new_session("00u3");
    let id = session.id;
    rig.store.begin_session(session, Provisioning::Optional).await.unwrap();
    let session = live.session(&id).unwrap();
    let about = About {
        application: "wiki".into(),
        evaluation: "posture".into(),
        client_ip: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    let prompted = || Prompted {
        application: "wiki".into(),
        host: String::new(),
        method: String::new(),
        path: String::new(),
    };
    let Begun::Ask(flight, _) = session.answers.begin(&about, prompted(), 2) else { panic!("nobody asks") };
    session.answers.tell(&about, true, (2, 100, 90));
    drop(flight);
    let counts = || matches!(session.answers.begin(&about, prompted(), 3), Begun::Known);
    let promote = |person: &portcullis_store::StoredPerson| {
        let mut content = person.content.clone();
        content.document.insert("title".to_owned(), "Director".into());
        Ok::<_, ()>(content)
    };
    rig.store.modify_person("corp", &scim_id, 2, promote).await.unwrap();
    assert!(counts(), "the service was not told of the title");
    let group = GroupContent {
        display_name: "Engineering".to_owned(),
        external_id: None,
        document: serde_json::Map::new(),
    };
    rig.store.create_group("corp", group, vec![scim_id], 3).await.unwrap();
    assert_eq!(session.standing().groups, ["Engineering"]);
    assert!(!counts(), "the service was told of other groups");
}

/// When so many leave a group at once that the change names only those who stay.
#[tokio::test]
async fn whoever_leaves_among_many_loses_the_group_and_whoever_stays_keeps_it() {
    let rig = Rig::new().await;
    let live = rig.follow().await;
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..=portcullis_store::limits::MEMBERSHIPS_AT_ONCE + 1 {
        let store = rig.store.clone();
        let content = PersonContent {
            user_name: format!("person{number}@corp.example"),
            external_id: Some(format!("00u{number}")),
            emails: Vec::new(),
            display_name: None,
            active: true,
            document: serde_json::Map::new(),
        };
        writes.spawn(async move { store.create_person("corp", content, 1).await.unwrap().scim_id });
    }
    let everybody = writes.join_all().await;
    let group = |name: &str| GroupContent {
        display_name: name.to_owned(),
        external_id: None,
        document: serde_json::Map::new(),
    };
    let create = |name: &str, members: Vec<String>| rig.store.create_group("corp", group(name), members, 1);
    let large = create("Engineering", everybody.clone()).await.unwrap();
    let mut sessions = Vec::new();
    for number in [3, 4] {
        let id = SessionId::new([number; 32]);
        let session = NewSession { id, ..new_session(&format!("00u{number}")) };
        rig.store.begin_session(session, Provisioning::Required).await.unwrap();
        sessions.push(live.session(&id).unwrap());
    }
    let stays = sessions[1].standing().person.as_ref().unwrap().scim_id.clone();
    create("Sales", vec![stays.clone()]).await.unwrap();
    let groups = || sessions.iter().map(|session| session.standing().groups.clone()).collect::<Vec<_>>();
    let edit = |edit: MemberEdit| {
        let edit = move |group: &portcullis_store::StoredGroup| Ok::<_, ()>((group.content.clone(), edit));
        rig.store.modify_group("corp", &large.scim_id, 2, edit)
    };
    assert_eq!(groups(), [vec!["Engineering"], vec!["Engineering", "Sales"]]);
    edit(MemberEdit::Replace(vec![stays])).await.unwrap();
    assert_eq!(groups(), [vec![], vec!["Engineering", "Sales"]]);
    edit(MemberEdit::Replace(everybody)).await.unwrap();
    assert_eq!(groups(), [vec!["Engineering"], vec!["Engineering", "Sales"]]);
    edit(MemberEdit::RemoveAll).await.unwrap();
    assert_eq!(groups(), [vec![], vec!["Sales"]]);
    assert_eq!(people(&live), people(&*rig.follow().await));
}

#[tokio::test]
async fn what_is_used_through_one_process_is_idle_in_none() {
    let rig = Rig::new().await;
    let (here, (store, there)) = (rig.follow().await, rig.beside().await);
    for live in [&here, &there] {
        live.limit_idleness(Some(Duration::from_secs(900)));
    }
    let session = NewSession { expires_at: 100_000, ..new_session("00u1") };
    let (id, begun) = (session.id, session.now);
    rig.store.begin_session(session, Provisioning::Optional).await.unwrap();
    // Only here anybody comes with the cookie.
    let (used, quiet) = (here.session(&id).unwrap(), there.session(&id).unwrap());
    used.touch(begun + 800);
    assert!(quiet.is_expired(begun + 901), "nobody could know");
    let uses = here.unnoted_uses_after_a_pause(begun + 800);
    assert_eq!(uses, [(id, begun + 800)], "who comes back late is noted at once");
    rig.store.note_uses(uses.clone(), begun + 800).await.unwrap();
    here.note_uses(&uses);
    assert!(quiet.is_expired(begun + 901), "asked again within the second");
    assert!(!quiet.is_expired(begun + 902));
    assert!(there.idle(begun + 903).sessions.is_empty());
    assert_eq!(there.unnoted_uses(begun + 903), [], "what the store told is known to it");

    // A look that came too early ends nothing: the store decides on what it knows then.
    let end = |since| {
        let what = EndWhat::Unused { sessions: vec![id], since };
        store.end_sessions(what, EndReason::Idle, begun + 2_000)
    };
    assert_eq!(end(begun + 799).await.unwrap(), 0);
    assert_eq!(there.idle(begun + 1_700).sessions, [id]);
    assert_eq!(here.idle(begun + 1_700).sessions, [id]);
    assert_eq!(end(begun + 800).await.unwrap(), 1);
    assert_eq!(used.standing().ended, Some(EndReason::Idle));
    assert_eq!(quiet.standing().ended, Some(EndReason::Idle));
    used.touch(begun + 2_000);
    rig.store.note_uses(vec![(id, begun + 2_000)], begun + 2_000).await.unwrap();
    assert!(quiet.is_expired(begun + 2_001), "an ended session does not come back");
}

#[tokio::test]
async fn a_clock_that_was_ahead_switches_the_idle_limit_off_nowhere() {
    let rig = Rig::new().await;
    let session = NewSession { expires_at: 1_000_000, ..new_session("00u1") };
    let (id, begun) = (session.id, session.now);
    rig.store.begin_session(session, Provisioning::Optional).await.unwrap();
    let quiet = rig.follow().await;
    quiet.limit_idleness(Some(Duration::from_secs(900)));
    let leap = begun + 21_600;
    rig.store.note_uses(vec![(id, leap)], leap).await.unwrap();
    // A restart reads what was noted; whoever was there before asks for it. The clock is right again.
    let (store, after) = rig.beside().await;
    after.limit_idleness(Some(Duration::from_secs(900)));
    let now = begun + 1_000;
    for live in [&after, &quiet] {
        assert!(live.idle(now).sessions.is_empty(), "it was used after all");
    }
    for live in [&quiet, &after] {
        let uses = live.unnoted_uses(now);
        assert_eq!(uses, [(id, now)], "the store has to know better");
        store.note_uses(uses.clone(), now).await.unwrap();
        live.note_uses(&uses);
        assert_eq!(live.unnoted_uses(now), []);
    }
    assert_eq!(store.last_uses().of(id).unwrap(), Some(now));
    for live in [&after, &quiet] {
        assert!(live.idle(now + 899).sessions.is_empty());
        assert_eq!(live.idle(now + 900).sessions, [id]);
    }
}

#[tokio::test]
async fn what_somebody_has_open_ends_when_the_hours_do_and_when_a_blocked_hour_begins() {
    // The epoch was a Thursday.
    let window = |from: &str, to: &str| {
        let times = (from.parse().unwrap(), to.parse().unwrap());
        Selector::TimeWindow(
            TimeWindow::new(&[Weekday::Thursday], times.0, times.1, Zone::default()).unwrap(),
        )
    };
    let policy = |name: &str, action, include, require| {
        let mut policy = Policy::new(name, action, vec![include]);
        policy.require = require;
        policy
    };
    let sources = [
        policy("hours", Action::Allow, Selector::Everyone, vec![window("00:00", "01:00")]),
        policy("closed", Action::Block, window("00:30", "01:00"), Vec::new()),
        policy("always", Action::Allow, Selector::Everyone, Vec::new()),
    ];
    let application = |name: &str, policies: &[&str]| ApplicationPolicies {
        application: name.to_owned(),
        policies: policies.iter().map(ToString::to_string).collect(),
        login_methods: Vec::new(),
    };
    let applications = [application("support", &["hours"]), application("site", &["closed", "always"])];
    let policies = Policies::of_tests(&sources, &applications);
    let rig = Rig::new().await;
    let live = Arc::new(Live::new(policies.clone()));
    rig.store.follow(live.clone()).await.unwrap();
    let session = NewSession { expires_at: 100_000, ..new_session("00u1") };
    let id = session.id;
    rig.store.begin_session(session, Provisioning::Optional).await.unwrap();
    let session = live.session(&id).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut open = Vec::new();
    for name in ["support", "site"] {
        let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let near = Arc::new(Descriptor::from(near));
        let client = Arc::new(Cutter::of(&near).unwrap());
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let situation = Situation { client_ip: address, asked: Some(("GET", "/")), shown: &Shown::Nothing };
        let passage = session.open_passage(NewPassage {
            owner: id,
            application: &name.into(),
            situation: &situation,
            class: None,
            life: Life::ENDLESS,
            longest: None,
            client: &client,
        });
        let standing = session.standing();
        let until = standing.allows(&passage, &session.answers, 10).expect("let in at this hour");
        passage.decide_again_before(until);
        open.push((passage, near));
    }
    let dropped = || open.iter().map(|(passage, _)| passage.is_dropped()).collect::<Vec<_>>();
    for (now, expected) in
        [(1_799, [false, false]), (1_800, [false, true]), (3_599, [false, true]), (3_600, [true, true])]
    {
        session.drop_run_out(now);
        assert_eq!(dropped(), expected, "at {now}");
    }
}
