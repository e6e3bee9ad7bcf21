//! Kills a process that writes, at random moments, and asks whether everything that it had acknowledged is there.
//!
//! The test starts its own program again as the writer, told by the environment. A kill leaves the system's cache
//! intact: what a power cut does to an unsynced file is not shown here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "test code: nothing here meets a peer"
)]

use portcullis_store::{
    Directory, DirectoryRules, EndReason, NewSession, PersonContent, Provisioning, SessionId, Store,
    StoredPerson,
};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DATABASE: &str = "PORTCULLIS_TEST_KILLED_WRITER";
const ROUNDS: u32 = 8;
const WRITERS: u32 = 8;

fn content(user_name: &str, active: bool) -> PersonContent {
    PersonContent {
        user_name: user_name.to_owned(),
        external_id: Some(user_name.to_owned()),
        emails: vec![format!("{user_name}@corp.example")],
        display_name: None,
        active,
        document: serde_json::Map::new(),
    }
}

/// The id of a person's one session: their SCIM id without its dashes.
fn session_of(person: &str) -> SessionId {
    let mut digest = [0; 32];
    for (slot, byte) in digest.iter_mut().zip(person.bytes().filter(|byte| *byte != b'-')) {
        *slot = byte;
    }
    SessionId::new(digest)
}

fn acknowledge(what: &str, person: &str) {
    // One write per line, so that a kill leaves no half of one behind; the first ends the test runner's own line.
    let line = format!("\n{what} {person}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

async fn write_for_ever(store: Store, round: String, writer: u32) {
    for number in 0.. {
        let name = format!("person-{round}-{writer}-{number}");
        let person: StoredPerson = store.create_person("corp", content(&name, true), 1).await.unwrap();
        acknowledge("created", &person.scim_id);
        let session = NewSession {
            id: session_of(&person.scim_id),
            provider: "okta".to_owned(),
            subject: name.clone(),
            email: None,
            claimed: Vec::new(),
            display_name: None,
            groups: Vec::new(),
            claims_json: "{}".to_owned(),
            authenticated_at: 1,
            now: 1,
            expires_at: 1000,
            sealed: Some(vec![1]),
            refresh: None,
        };
        store.begin_session(session, Provisioning::Required).await.unwrap();
        acknowledge("begun", &person.scim_id);
        store
            .modify_person("corp", &person.scim_id, 2, move |_| Ok::<_, ()>(content(&name, false)))
            .await
            .unwrap();
        acknowledge("deactivated", &person.scim_id);
    }
}

#[test]
fn killed_writer() {
    let Some(database) = std::env::var_os(DATABASE) else { return };
    let round = std::process::id().to_string();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(async {
        let store = Store::open(Path::new(&database)).unwrap();
        let _lock = store.lock_for_serving().unwrap();
        let corp = Directory {
            name: "corp".into(),
            identity_provider: "okta".to_owned(),
            rules: DirectoryRules::default(),
        };
        store.declare_directories(&[corp], 0).await.unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write_for_ever(store.clone(), round.clone(), writer));
        }
        writers.join_all().await;
    });
}

/// Lets a writer go, kills it after so many acknowledgements, and adds all of them to the list.
fn kill_after(database: &Path, lines: usize, acknowledged: &mut BTreeMap<String, String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_writer", "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((what @ ("created" | "begun" | "deactivated"), person)) = line.split_once(' ') else {
            continue;
        };
        acknowledged.insert(person.to_owned(), what.to_owned());
        seen += 1;
        if seen == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it ended by itself");
    assert!(seen >= lines);
}

fn check(database: &Path, acknowledged: &BTreeMap<String, String>) {
    let store = Store::open(database).unwrap();
    drop(store.lock_for_serving().expect("the lock outlived its process"));
    for (person, what) in acknowledged {
        let found = store.person("corp", person).unwrap().unwrap_or_else(|| panic!("{person} is lost"));
        let session = store.session(session_of(person)).unwrap();
        if what == "created" {
            continue;
        }
        let session = session.unwrap_or_else(|| panic!("the session of {person} is lost"));
        if what == "deactivated" {
            assert!(!found.content.active, "{person} is active again");
            assert_eq!(session.ended, Some(EndReason::Deactivated), "{person} has a session again");
        }
    }
    let snapshot = store.snapshot().unwrap();
    for session in snapshot.sessions {
        let person = snapshot.persons.iter().find(|person| Some(person.id) == session.person).unwrap();
        assert_eq!(person.active, session.ended.is_none(), "half of a deactivation was kept");
    }
    let connection = rusqlite::Connection::open(database).unwrap();
    let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    let events: (i64, i64) = connection
        .query_row("SELECT count(*), max(seq) FROM events", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(events, (snapshot.seq.0, snapshot.seq.0));
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = Folder(std::env::temp_dir().join(format!("portcullis-store-kill-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let database = folder.0.join("store.db");
    let mut acknowledged = BTreeMap::new();
    let start = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    for round in 0..ROUNDS {
        let lines = 1 + (start.rotate_left(round * 5) % 500) as usize;
        kill_after(&database, lines, &mut acknowledged);
        check(&database, &acknowledged);
    }
    assert!(acknowledged.values().any(|what| what == "deactivated"));
}
