use crate::limits::MEMBERSHIPS_AT_ONCE;
use crate::testing::{Model, content, crowd, group_content, new_store, session_id};
use crate::{
    BeginApplicationSessionError, BeginSessionError, DirectoryError, EndReason, EndWhat, MemberEdit,
    ModifyError, NewApplicationSession, NewSession, PersonContent, Provisioning, Store, StoreError,
};
use std::sync::Arc;

/// A small generator of pseudo-random numbers (SplitMix64): a seed tells the whole run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> Option<T> {
        let count = u64::try_from(among.len()).unwrap();
        if count == 0 { None } else { among.get(usize::try_from(self.below(count)).unwrap()).cloned() }
    }

    fn one_of(&mut self, word: &str, limit: u64) -> String {
        format!("{word}{}", self.below(limit))
    }

    fn maybe(&mut self, word: &str, limit: u64) -> Option<String> {
        (self.below(2) == 0).then(|| self.one_of(word, limit))
    }

    fn content(&mut self) -> PersonContent {
        PersonContent {
            external_id: self.maybe("00u", 6),
            emails: (0..self.below(3)).map(|_| self.one_of("mail", 6)).collect(),
            active: self.below(3) > 0,
            ..content(&self.one_of("mail", 9))
        }
    }
}

/// One run: the store, the ids that can be named, and the time.
struct Run {
    store: Store,
    dice: Dice,
    people: Vec<String>,
    groups: Vec<String>,
    /// So many that they leave a group without being named; nobody, where that is not played.
    crowd: Vec<String>,
    sessions: u64,
    now: i64,
}

impl Run {
    fn new(store: Store, seed: u64) -> Self {
        let (people, groups, crowd) = (Vec::new(), Vec::new(), Vec::new());
        Self { store, dice: Dice(seed), people, groups, crowd, sessions: 0, now: 1 }
    }

    fn directory(&mut self) -> &'static str {
        self.dice.pick(&["corp", "corp", "annex"]).unwrap()
    }

    fn some_people(&mut self) -> Vec<String> {
        (0..self.dice.below(4)).filter_map(|_| self.dice.pick(&self.people)).collect()
    }

    async fn step(&mut self) {
        self.now += 1;
        // Where there is a crowd, groups change more.
        match self.dice.below(if self.crowd.is_empty() { 20 } else { 26 }) {
            20.. => self.modify_group().await,
            0..=2 => self.create_person().await,
            3..=7 => self.modify_person().await,
            8 => self.delete().await,
            9 => self.create_group().await,
            10..=12 => self.modify_group().await,
            13..=15 => self.begin().await,
            16..=17 => self.begin_part().await,
            18 => self.end().await,
            _ => {
                self.store.purge_expired(self.now).await.unwrap();
                self.store.sweep_rosters().await.unwrap();
            }
        }
    }

    async fn create_person(&mut self) {
        let (directory, content) = (self.directory(), self.dice.content());
        match self.store.create_person(directory, content, self.now).await {
            Ok(person) => self.people.push(person.scim_id),
            Err(DirectoryError::UserNameTaken) => {}
            Err(cause) => panic!("{cause:?}"),
        }
    }

    async fn modify_person(&mut self) {
        let Some(id) = self.dice.pick(&self.people) else { return };
        let (directory, mut content, what) = (self.directory(), self.dice.content(), self.dice.below(3));
        let modified = self.store.modify_person(directory, &id, self.now, move |before| {
            if what == 0 {
                content = PersonContent { active: !before.content.active, ..before.content.clone() };
            } else if what == 1 {
                content.active = before.content.active;
            }
            Ok::<_, ()>(content)
        });
        match modified.await {
            Ok(_) | Err(ModifyError::Directory(DirectoryError::UserNameTaken | DirectoryError::NotFound)) => {
            }
            Err(cause) => panic!("{cause:?}"),
        }
    }

    async fn delete(&mut self) {
        let directory = self.directory();
        if let Some(id) = self.dice.pick(&self.people) {
            let deleted = self.store.delete_person(directory, &id, self.now).await;
            assert!(matches!(deleted, Ok(()) | Err(DirectoryError::NotFound)));
        }
        if let Some(id) = self.dice.pick(&self.groups) {
            let deleted = self.store.delete_group(directory, &id, self.now).await;
            assert!(matches!(deleted, Ok(()) | Err(DirectoryError::NotFound)));
        }
    }

    async fn create_group(&mut self) {
        let (directory, name, members) = (self.directory(), self.dice.one_of("group", 9), self.some_people());
        match self.store.create_group(directory, group_content(&name), members, self.now).await {
            Ok(group) => self.groups.push(group.scim_id),
            Err(DirectoryError::GroupNameTaken | DirectoryError::UnknownMember(_)) => {}
            Err(cause) => panic!("{cause:?}"),
        }
    }

    async fn modify_group(&mut self) {
        let Some(id) = self.dice.pick(&self.groups) else { return };
        let edit = match self.dice.below(if self.crowd.is_empty() { 4 } else { 6 }) {
            0 => MemberEdit::RemoveAll,
            1 => MemberEdit::Replace(self.some_people()),
            2 => MemberEdit::Change { add: self.some_people(), remove: self.some_people() },
            3 => MemberEdit::Keep,
            _ => MemberEdit::Change { add: self.crowd.clone(), remove: self.some_people() },
        };
        let (directory, name) = (self.directory(), self.dice.maybe("group", 9));
        let modified = self.store.modify_group(directory, &id, self.now, move |before| {
            let mut content = before.content.clone();
            content.display_name = name.unwrap_or(content.display_name);
            Ok::<_, ()>((content, edit))
        });
        match modified.await {
            Ok(_)
            | Err(ModifyError::Directory(
                DirectoryError::GroupNameTaken | DirectoryError::UnknownMember(_) | DirectoryError::NotFound,
            )) => {}
            Err(cause) => panic!("{cause:?}"),
        }
    }

    async fn begin(&mut self) {
        self.sessions += 1;
        let session = NewSession {
            provider: self.dice.pick(&["okta", "okta", "other"]).unwrap().to_owned(),
            claimed: self.dice.maybe("MAIL", 30).into_iter().collect(),
            now: self.now,
            expires_at: self.now + i64::try_from(self.dice.below(60)).unwrap(),
            ..crate::testing::login(
                self.sessions,
                &self.dice.one_of("00u", 9),
                self.dice.maybe("MAIL", 9).as_deref(),
            )
        };
        match self.store.begin_session(session, Provisioning::Optional).await {
            Ok(_) | Err(BeginSessionError::Deactivated) => {}
            Err(cause) => panic!("{cause:?}"),
        }
    }

    async fn begin_part(&mut self) {
        let parent = session_id(self.dice.below(self.sessions + 1));
        self.sessions += 1;
        let part = NewApplicationSession {
            id: session_id(self.sessions),
            parent,
            terminal: None,
            host: "wiki.corp.example".to_owned(),
            now: self.now,
            expires_at: self.now + 20,
            binding: None,
        };
        match self.store.begin_application_session(part).await {
            Ok(_) | Err(BeginApplicationSessionError::ParentEnded) => {}
            Err(cause) => panic!("{cause:?}"),
        }
    }

    async fn end(&mut self) {
        let id = session_id(self.dice.below(self.sessions + 1));
        let what = match self.dice.below(3) {
            0 => EndWhat::Session(id),
            1 => EndWhat::ApplicationSession(id),
            _ => EndWhat::Subject { provider: "okta".to_owned(), subject: self.dice.one_of("00u", 9) },
        };
        self.store.end_sessions(what, EndReason::Revoked, self.now).await.unwrap();
    }
}

fn count(store: &Store, sql: &str) -> i64 {
    store.read(|connection| Ok::<i64, StoreError>(connection.query_row(sql, [], |row| row.get(0))?)).unwrap()
}

/// What must hold after every write.
fn check(store: &Store, model: &Model, seed: u64) {
    let fresh = store.snapshot().unwrap();
    assert_eq!(model.snapshot(), fresh, "seed {seed}");
    assert_eq!(count(store, "SELECT count(*) FROM events"), fresh.seq.0, "seed {seed}");
    assert_eq!(count(store, "SELECT coalesce(max(seq), 0) FROM events"), fresh.seq.0, "seed {seed}");
    let of_nobody_active = "SELECT count(*) FROM sessions s LEFT JOIN persons p ON p.id = s.person \
         WHERE s.end_reason IS NULL AND s.person IS NOT NULL AND coalesce(p.active, 0) = 0";
    assert_eq!(
        count(store, of_nobody_active),
        0,
        "seed {seed}: a live session of an inactive or absent person"
    );
    let of_a_subject = "SELECT count(*) FROM sessions s JOIN persons p ON p.external_id = s.subject \
         JOIN directories d ON d.id = p.directory AND d.identity_provider = s.provider \
         WHERE s.end_reason IS NULL AND p.active = 0";
    assert_eq!(
        count(store, of_a_subject),
        0,
        "seed {seed}: a live session whose sub is an inactive person's"
    );
    let of_a_claim = "SELECT count(*) FROM sessions s JOIN session_claims c ON c.session = s.id \
         JOIN persons p ON p.user_name_folded = c.address \
         OR p.id IN (SELECT person FROM person_emails WHERE email = c.address) \
         JOIN directories d ON d.id = p.directory AND d.identity_provider = s.provider \
         WHERE s.end_reason IS NULL AND s.person IS NULL AND p.active = 0";
    assert_eq!(
        count(store, of_a_claim),
        0,
        "seed {seed}: a live session that claims to be an inactive person"
    );
    let orphans = "SELECT count(*) FROM application_sessions a JOIN sessions s ON s.id = a.parent \
         WHERE a.end_reason IS NULL AND s.end_reason IS NOT NULL";
    assert_eq!(count(store, orphans), 0, "seed {seed}: a live part of an ended session");
    let stray = "SELECT count(*) FROM memberships WHERE roster NOT IN (SELECT roster FROM groups) \
         AND roster NOT IN (SELECT roster FROM abandoned_rosters)";
    assert_eq!(count(store, stray), 0, "seed {seed}: a membership that is neither in force nor swept");
    let secrets = "SELECT count(*) FROM sessions WHERE end_reason IS NOT NULL AND coalesce(sealed, refresh) IS NOT NULL";
    assert_eq!(count(store, secrets), 0, "seed {seed}: an ended session kept its secrets");
}

#[tokio::test]
async fn what_a_follower_is_told_is_what_a_fresh_snapshot_says() {
    let (mut linked, mut replaced) = (0, 0);
    for seed in 0..12 {
        let (_folder, store) = new_store().await;
        let model = Arc::new(Model::default());
        store.follow(model.clone()).await.unwrap();
        let mut run = Run::new(store, seed);
        if seed % 6 == 0 {
            run.crowd = crowd(&run.store, MEMBERSHIPS_AT_ONCE + 1).await;
        }
        for _ in 0..400 {
            run.step().await;
            check(&run.store, &model, seed);
        }
        linked += count(&run.store, "SELECT count(*) FROM events WHERE kind = 'sessions_linked'");
        replaced += count(&run.store, "SELECT count(*) FROM events WHERE kind = 'members_replaced'");
        let later = Arc::new(Model::default());
        run.store.follow(later.clone()).await.unwrap();
        assert_eq!(
            later.snapshot(),
            model.snapshot(),
            "a follower that comes later starts from the same state"
        );
    }
    assert!(linked > 12, "the runs hardly link a session");
    assert!(replaced > 2, "the runs hardly empty a large group: {replaced}");
}

#[tokio::test]
async fn what_a_follower_in_another_process_is_told_is_what_a_fresh_snapshot_says() {
    for seed in 0..2 {
        let (folder, store) = new_store().await;
        let other = Store::open(&folder.database()).unwrap();
        let model = Arc::new(Model::default());
        other.follow(model.clone()).await.unwrap();
        let mut run = Run::new(store, seed);
        if seed == 1 {
            run.crowd = crowd(&run.store, MEMBERSHIPS_AT_ONCE + 1).await;
        }
        for _ in 0..150 {
            run.step().await;
            // Acknowledged is in force there.
            check(&run.store, &model, seed);
        }
        let changes = run.store.watermark().unwrap();
        assert_eq!(
            model.told().len(),
            usize::try_from(changes.0).unwrap(),
            "one by one, and never as a whole"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_and_one_that_starts_to_follow_meanwhile() {
    let (_folder, store) = new_store().await;
    let writers: Vec<_> = (0..8)
        .map(|seed| {
            // Each writer has sessions of its own, and all share names, addresses and ids.
            let run = Run { sessions: seed * 1_000_000, ..Run::new(store.clone(), seed) };
            tokio::spawn(async move {
                let mut run = run;
                for _ in 0..60 {
                    run.step().await;
                }
            })
        })
        .collect();
    let mut models = Vec::new();
    for _ in 0..10 {
        tokio::task::yield_now().await;
        let model = Arc::new(Model::default());
        store.follow(model.clone()).await.unwrap();
        models.push(model);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    check(&store, models.last().unwrap(), 0);
}
