use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use portcullis_store::limits::UNUSED_PER_WRITE;
use portcullis_store::{Change, Follower, NewSession, Provisioning, Seq, Snapshot};

use super::*;
use crate::live::Policies;

const LIMIT: Duration = Duration::from_secs(8);

/// A store of one test's own, removed when dropped, and who follows it.
struct Rig {
    folder: PathBuf,
    store: Store,
    live: Arc<Live>,
}

impl Rig {
    async fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portcullis-idle-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&folder.join("store.db")).unwrap();
        let live = Arc::new(Live::new(Policies::of_tests(&[], &[])));
        live.ask_for_uses(store.last_uses());
        live.limit_idleness(Some(LIMIT));
        store.follow(live.clone()).await.unwrap();
        Self { folder, store, live }
    }

    fn ended(&self, id: SessionId) -> bool {
        self.store.session(id).unwrap().unwrap().ended.is_some()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn numbered(number: usize) -> SessionId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    SessionId::new(id)
}

async fn begin(store: Store, number: usize, now: i64) -> SessionId {
    let session = NewSession {
        id: numbered(number),
        provider: "okta".to_owned(),
        subject: format!("00u{number}"),
        email: None,
        claimed: Vec::new(),
        display_name: None,
        groups: Vec::new(),
        claims_json: "{}".to_owned(),
        authenticated_at: now,
        now,
        expires_at: now + 100_000,
        sealed: None,
        refresh: None,
    };
    store.begin_session(session, Provisioning::Optional).await.unwrap().id
}

#[tokio::test]
async fn one_write_ends_a_bounded_number_of_idle_sessions_and_the_next_look_takes_the_rest() {
    let rig = Rig::new("many").await;
    let mut begun = tokio::task::JoinSet::new();
    for number in 0..=UNUSED_PER_WRITE {
        begun.spawn(begin(rig.store.clone(), number, 1));
    }
    let sessions = begun.join_all().await;
    let left = || sessions.iter().filter(|id| !rig.ended(**id)).count();
    let idle = rig.live.idle(1_000);
    assert_eq!((idle.sessions.len(), idle.more_wait), (UNUSED_PER_WRITE, true));
    assert!(end_some(&rig.live, &rig.store, LIMIT, 1_001).await, "the rest was forgotten");
    assert_eq!(left(), 1);
    assert!(!end_some(&rig.live, &rig.store, LIMIT, 1_002).await);
    assert_eq!(left(), 0);
}

/// A process that is told of a change and does not come back from it before it is let go.
struct Stuck(Mutex<Receiver<()>>);

impl Stuck {
    fn new() -> (Arc<Self>, Sender<()>) {
        let (release, held) = channel();
        (Arc::new(Self(Mutex::new(held))), release)
    }
}

impl Follower for Stuck {
    fn load(&self, _: Snapshot) {}

    fn apply(&self, _: Seq, _: &Change) {
        let _ = self.0.lock().unwrap().recv();
    }
}

/// Whoever is stuck is fenced after some ten seconds; until then every end waits, and no note may.
#[tokio::test(flavor = "multi_thread")]
async fn uses_are_noted_while_an_end_waits_for_another_process() {
    let rig = Rig::new("waits").await;
    let forgotten = begin(rig.store.clone(), 1, now() - 1_000).await;
    let other = begin(rig.store.clone(), 2, now()).await;
    // Ahead, so that it is not idle itself however slow the machine is.
    let begun = now() + 60;
    let used = begin(rig.store.clone(), 3, begun).await;
    let beside = Store::open(&rig.folder.join("store.db")).unwrap();
    // Let go before `beside` is dropped, which waits for it.
    let (stuck, release) = Stuck::new();
    beside.follow(stuck).await.unwrap();
    let (live, store) = (rig.live.clone(), rig.store.clone());
    let keeping = tokio::spawn(async move { keep(&live, &store, || Some(LIMIT)).await });
    wait_until(|| rig.ended(forgotten)).await;
    // It waits for the same.
    let store = rig.store.clone();
    let waiting =
        tokio::spawn(
            async move { store.end_sessions(EndWhat::Session(other), EndReason::Revoked, now()).await },
        );
    wait_until(|| rig.ended(other)).await;
    rig.live.session(&used).unwrap().touch(begun + 6);
    wait_until(|| {
        assert!(!waiting.is_finished(), "the use was not noted before the end was in force everywhere");
        rig.store.last_uses().of(used).unwrap() == Some(begun + 6)
    })
    .await;
    keeping.abort();
    drop(release);
    waiting.await.unwrap().unwrap();
}

async fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
