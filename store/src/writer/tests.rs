use crate::limits::WRITE_QUEUE_LIMIT;
use crate::testing::{Model, content, new_store, set_active};
use crate::{Change, DirectoryError, Follower, ModifyError, Seq, Snapshot, Store, StoreError};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// A follower that stops in its first change until it is let go, and remembers how many people the database had at each
/// change.
struct Gate {
    database: PathBuf,
    entered: Sender<()>,
    leave: Mutex<Option<Receiver<()>>>,
    seen: Mutex<Vec<(Seq, i64)>>,
}

impl Gate {
    async fn before(store: &Store) -> (Arc<Self>, Receiver<()>, Sender<()>) {
        let (entered, has_entered) = channel();
        let (let_go, leave) = channel();
        let gate = Arc::new(Self {
            database: store.path().to_owned(),
            entered,
            leave: Mutex::new(Some(leave)),
            seen: Mutex::default(),
        });
        store.follow(gate.clone()).await.unwrap();
        (gate, has_entered, let_go)
    }
}

impl Follower for Gate {
    fn load(&self, _: Snapshot) {}

    fn apply(&self, seq: Seq, _: &Change) {
        let count = Connection::open(&self.database)
            .unwrap()
            .query_row("SELECT count(*) FROM persons", [], |row| row.get(0))
            .unwrap();
        self.seen.lock().unwrap().push((seq, count));
        if let Some(leave) = self.leave.lock().unwrap().take() {
            self.entered.send(()).unwrap();
            leave.recv().unwrap();
        }
    }
}

#[tokio::test]
async fn a_write_is_durable_then_applied_then_acknowledged() {
    let (_folder, store) = new_store().await;
    let (gate, entered, let_go) = Gate::before(&store).await;
    let writer = store.clone();
    let write = tokio::spawn(async move { writer.create_person("corp", content("engineer"), 1).await });
    tokio::task::yield_now().await;
    entered.recv().unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!write.is_finished(), "acknowledged before it was applied");
    assert_eq!(*gate.seen.lock().unwrap(), [(Seq(1), 1)], "applied before it was committed");
    let_go.send(()).unwrap();
    write.await.unwrap().unwrap();
}

#[tokio::test]
async fn writes_share_a_commit_and_a_failed_one_takes_nobody_with_it() {
    let (_folder, store) = new_store().await;
    let present = store.create_person("corp", content("present"), 1).await.unwrap();
    let (gate, entered, let_go) = Gate::before(&store).await;
    let spawn = |name: String| {
        let store = store.clone();
        tokio::spawn(async move { store.create_person("corp", content(&name), 1).await })
    };
    let first = spawn("first".to_owned());
    tokio::task::yield_now().await;
    entered.recv().unwrap();
    let mut writes: Vec<_> = (0..10).map(|number| spawn(format!("person {number}"))).collect();
    let taken = spawn(" PRESENT".to_owned());
    let broken = {
        let (store, id) = (store.clone(), present.scim_id.clone());
        tokio::spawn(async move {
            store.modify_person::<()>("corp", &id, 1, |_| panic!("an edit broke off")).await
        })
    };
    writes.extend((10..20).map(|number| spawn(format!("person {number}"))));
    tokio::task::yield_now().await;
    let_go.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(matches!(taken.await.unwrap(), Err(DirectoryError::UserNameTaken)));
    let broken = broken.await.unwrap();
    assert!(matches!(broken, Err(ModifyError::Directory(DirectoryError::Store(StoreError::BrokeOff)))));
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let seen = gate.seen.lock().unwrap().clone();
    assert_eq!(seen[0], (Seq(2), 2));
    let together: Vec<_> = (3..23).map(|seq| (Seq(seq), 22)).collect();
    assert_eq!(
        seen[1..],
        together,
        "in order, without gaps, and all in the database before the first is applied"
    );
    assert_eq!(store.watermark().unwrap(), Seq(22));
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let (_folder, store) = new_store().await;
    let (_gate, entered, let_go) = Gate::before(&store).await;
    let first = {
        let store = store.clone();
        tokio::spawn(async move { store.create_person("corp", content("first"), 1).await })
    };
    tokio::task::yield_now().await;
    entered.recv().unwrap();
    let waiting: Vec<_> = (0..WRITE_QUEUE_LIMIT)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.purge_expired(0).await })
        })
        .collect();
    // The runtime polls a few dozen tasks before it comes back here.
    for _ in 0..WRITE_QUEUE_LIMIT {
        tokio::task::yield_now().await;
    }
    assert!(waiting.iter().all(|write| !write.is_finished()), "the queue is smaller than its limit");
    let refused = store.create_person("corp", content("one too many"), 1).await;
    assert!(matches!(refused, Err(DirectoryError::Store(StoreError::Busy))));
    let_go.send(()).unwrap();
    first.await.unwrap().unwrap();
    for write in waiting {
        assert_eq!(write.await.unwrap().unwrap(), 0);
    }
    store.create_person("corp", content("one too many"), 1).await.unwrap();
}

#[tokio::test]
async fn a_failed_commit_acknowledges_nothing_and_the_store_goes_on() {
    let (_folder, store) = new_store().await;
    let person = store.create_person("corp", content("engineer"), 1).await.unwrap();
    let (_gate, entered, let_go) = Gate::before(&store).await;
    let first = {
        let store = store.clone();
        tokio::spawn(async move { store.create_person("corp", content("first"), 1).await })
    };
    tokio::task::yield_now().await;
    entered.recv().unwrap();
    let beside = {
        let store = store.clone();
        tokio::spawn(async move { store.create_person("corp", content("beside"), 1).await })
    };
    tokio::task::yield_now().await;
    // It lets the transaction reach COMMIT with a member who is nobody, which only COMMIT refuses.
    let faulty = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(|transaction| {
                    transaction.connection.execute_batch(
                        "PRAGMA defer_foreign_keys = ON; INSERT INTO memberships VALUES (77, 77)",
                    )?;
                    Ok::<_, StoreError>(())
                })
                .await
        })
    };
    let refused = {
        let store = store.clone();
        tokio::spawn(async move { store.create_person("corp", content("Beside"), 1).await })
    };
    tokio::task::yield_now().await;
    let_go.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(matches!(beside.await.unwrap(), Err(DirectoryError::Store(StoreError::Commit(_)))));
    assert!(matches!(faulty.await.unwrap(), Err(StoreError::Commit(_))));
    let refused = refused.await.unwrap();
    assert!(
        matches!(refused, Err(DirectoryError::Store(StoreError::Commit(_)))),
        "it was refused because of a person who never was"
    );
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    set_active(&store, &person.scim_id, false).await;
    assert_eq!(store.create_person("corp", content("Beside"), 1).await.unwrap().content.user_name, "Beside");
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    assert_eq!(store.watermark().unwrap(), Seq(4));
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let pages = |sql: String| {
        let store = store.clone();
        async move {
            store
                .write(move |transaction| {
                    Ok::<i64, StoreError>(transaction.connection.query_row(&sql, [], |row| row.get(0))?)
                })
                .await
                .unwrap()
        }
    };
    let count = pages("PRAGMA page_count".to_owned()).await;
    pages(format!("PRAGMA max_page_count = {}", count + 5)).await;
    let mut kept = Vec::new();
    let refused = loop {
        let mut large = content(&format!("person {}", kept.len()));
        large.document.insert("note".to_owned(), "x".repeat(3000).into());
        match store.create_person("corp", large, 1).await {
            Ok(person) => kept.push(person),
            Err(cause) => break cause,
        }
        assert!(kept.len() < 100, "the disk never was full");
    };
    assert!(matches!(refused, DirectoryError::Store(_)), "{refused:?}");
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    pages("PRAGMA max_page_count = 1000000".to_owned()).await;
    for person in &kept {
        assert_eq!(store.person("corp", &person.scim_id).unwrap().as_ref(), Some(person));
    }
    store.create_person("corp", content("afterwards"), 1).await.unwrap();
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_follower_that_breaks_off_is_never_acknowledged_over() {
    struct Broken;
    impl Follower for Broken {
        fn load(&self, _: Snapshot) {}
        fn apply(&self, _: Seq, _: &Change) {
            panic!("the follower broke off");
        }
    }
    let (_folder, store) = new_store().await;
    store.follow(Arc::new(Broken)).await.unwrap();
    for _ in 0..2 {
        let refused = store.create_person("corp", content("engineer"), 1).await;
        assert!(matches!(refused, Err(DirectoryError::Store(StoreError::Stopped))));
    }
    assert!(store.snapshot().is_ok(), "reading goes on");
}
