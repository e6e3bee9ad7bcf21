//! Several processes on one file, as far as one process can play them: each is a store of its own. Stopping and killing real ones is left to
//! the tests on real processes.

use crate::engine;
use crate::life::SignOfLife;
use crate::testing::{Model, content, new_store, set_active};
use crate::{Change, Follower, Seq, Snapshot, Store, Streams};
use portcullis_lease::{Engine, MemberId};
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

fn members(store: &Store) -> Vec<portcullis_lease::Row> {
    store.read(engine::rows).unwrap()
}

#[tokio::test]
async fn what_one_process_acknowledges_is_in_force_in_all() {
    let (folder, sidecar) = new_store().await;
    let person = sidecar.create_person("corp", content("engineer"), 1).await.unwrap();
    let gateways = [Store::open(&folder.database()).unwrap(), Store::open(&folder.database()).unwrap()];
    let models = [Arc::new(Model::default()), Arc::new(Model::default())];
    for (gateway, model) in gateways.iter().zip(&models) {
        gateway.follow(model.clone()).await.unwrap();
        assert!(gateway.lease().holds());
    }
    assert_eq!(members(&sidecar).len(), 2);
    for round in 0..20 {
        let writer = [&sidecar, &gateways[0], &gateways[1]][round % 3];
        set_active(writer, &person.scim_id, round % 2 == 1).await;
        for model in &models {
            assert_eq!(model.snapshot(), sidecar.snapshot().unwrap(), "{round}");
        }
    }
    gateways[0].leave().await;
    assert!(!gateways[0].lease().holds());
    assert_eq!(gateways[0].lease().streams(), Streams::Over);
    assert_eq!(members(&sidecar).len(), 1);
    drop(gateways);
    assert!(members(&sidecar).is_empty(), "a clean end makes nobody wait");
    let left = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("member")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_process_that_was_killed_makes_nobody_wait() {
    let (folder, sidecar) = new_store().await;
    let begun = Instant::now();
    for round in 0..3 {
        let id = MemberId(round);
        engine::Sqlite(&Connection::open(folder.database()).unwrap()).join(id, None).unwrap();
        // As the kernel leaves it.
        let sign = SignOfLife::give(&folder.database(), id).unwrap();
        sign.let_go_as_the_kernel_does();
        if round == 2 {
            // Whoever joins tidies up.
            let gateway = Store::open(&folder.database()).unwrap();
            gateway.follow(Arc::new(Model::default())).await.unwrap();
            assert_eq!(members(&sidecar).len(), 1);
        } else {
            sidecar.create_person("corp", content(&format!("person {round}")), 1).await.unwrap();
            assert!(members(&sidecar).is_empty());
        }
    }
    assert!(begun.elapsed().as_secs() < 10, "a lease was waited for");
}

/// A follower that stands still in a change, as a stopped process does.
struct Stopped {
    entered: Sender<()>,
    leave: Mutex<Option<Receiver<()>>>,
    loads: Mutex<Vec<Seq>>,
}

impl Follower for Stopped {
    fn load(&self, snapshot: Snapshot) {
        self.loads.lock().unwrap().push(snapshot.seq);
    }

    fn apply(&self, _: Seq, _: &Change) {
        if let Some(leave) = self.leave.lock().unwrap().take() {
            self.entered.send(()).unwrap();
            leave.recv().unwrap();
        }
    }
}

#[tokio::test]
async fn a_process_that_stands_still_is_waited_for_and_then_fenced() {
    let (folder, sidecar) = new_store().await;
    let person = sidecar.create_person("corp", content("engineer"), 1).await.unwrap();
    let gateway = Store::open(&folder.database()).unwrap();
    let (entered, has_entered) = channel();
    let (let_go, leave) = channel();
    let follower = Arc::new(Stopped { entered, leave: Mutex::new(Some(leave)), loads: Mutex::default() });
    gateway.follow(follower.clone()).await.unwrap();
    let lease = gateway.lease();
    let begun = Instant::now();
    let write = tokio::spawn(async move {
        set_active(&sidecar, &person.scim_id, false).await;
        sidecar
    });
    tokio::task::spawn_blocking(move || has_entered.recv().unwrap()).await.unwrap();
    assert!(lease.holds() && !write.is_finished(), "acknowledged over a process that may serve");
    while lease.holds() {
        assert!(!write.is_finished(), "acknowledged over a process that may serve");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let sidecar = write.await.unwrap();
    assert!(begun.elapsed().as_secs_f64() > 10.0, "fenced before any clock can say that the lease is over");
    assert!(members(&sidecar).is_empty());
    let_go.send(()).unwrap();
    while !lease.holds() {
        assert!(begun.elapsed().as_secs() < 60, "it never came back");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let loads = follower.loads.lock().unwrap().clone();
    assert_eq!(loads, [Seq(1), sidecar.watermark().unwrap()], "the whole state before it serves again");
    assert_eq!(members(&sidecar).len(), 1);
}
