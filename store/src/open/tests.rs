use crate::testing::{Folder, content, new_store, three};
use crate::{OpenError, Store};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn nobody_but_the_owner_reads_any_of_the_files() {
    let (folder, store) = new_store().await;
    let _lock = store.lock_for_serving().unwrap();
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]);
}

#[test]
fn an_open_file_is_closed_to_others() {
    let folder = Folder::new();
    drop(Store::open(&folder.database()).unwrap());
    std::fs::set_permissions(folder.database(), std::fs::Permissions::from_mode(0o664)).unwrap();
    let _store = Store::open(&folder.database()).unwrap();
    assert_eq!(mode(&folder.database()), 0o600);
}

#[tokio::test]
async fn what_was_written_is_there_when_opened_again() {
    let (folder, store) = new_store().await;
    let epoch = store.epoch().unwrap();
    let person = store.create_person("corp", content("engineer"), 7).await.unwrap();
    drop(store);
    let store = Store::open(&folder.database()).unwrap();
    assert_eq!(store.epoch().unwrap(), epoch);
    assert_eq!(store.directories().unwrap(), three());
    assert_eq!(store.person("corp", &person.scim_id).unwrap(), Some(person));
}

#[tokio::test]
async fn nobody_is_alone_with_a_store_that_others_serve_from() {
    let (folder, store) = new_store().await;
    let lock = store.lock_for_serving().unwrap();
    let second = Store::open(&folder.database()).unwrap();
    let beside = second.lock_for_serving().unwrap();
    let link = folder.path().join("other-name.db");
    std::os::unix::fs::symlink(folder.database(), &link).unwrap();
    let third = Store::open(&link).unwrap();
    assert!(matches!(third.lock_alone(), Err(OpenError::AlreadyServing)));
    // The command line needs no lock.
    third.create_scim_key("corp", "main", 1).await.unwrap();
    drop(lock);
    assert!(matches!(third.lock_alone(), Err(OpenError::AlreadyServing)));
    drop(beside);
    assert!(third.lock_alone().is_ok());
}

#[test]
fn every_commit_is_synced_and_logged_ahead() {
    let folder = Folder::new();
    let store = Store::open(&folder.database()).unwrap();
    let pragma = |name: &str| {
        store.read(|connection| {
            connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
        })
    };
    assert_eq!(pragma("synchronous").unwrap(), 2);
    assert_eq!(pragma("foreign_keys").unwrap(), 1);
    let mode: String = Connection::open(folder.database())
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    let refused = store.read(|connection| connection.execute_batch("DELETE FROM events"));
    assert!(refused.is_err(), "a reader wrote");
}

#[tokio::test]
async fn the_writer_syncs_every_commit() {
    let (_folder, store) = new_store().await;
    let synchronous = store
        .write(|transaction| {
            transaction
                .connection
                .query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))
                .map_err(crate::StoreError::from)
        })
        .await;
    assert_eq!(synchronous.unwrap(), 2);
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let folder = Folder::new();
    let other = Connection::open(folder.database()).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(other);
    assert!(matches!(Store::open(&folder.database()), Err(OpenError::NotAStore)));
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but some kilobytes of text\n".repeat(100)).unwrap();
    assert!(matches!(Store::open(&text), Err(OpenError::Database(_))));
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("not a database"));
    assert!(matches!(Store::open(&folder.path().join("absent/store.db")), Err(OpenError::File { .. })));
    assert!(matches!(Store::open(folder.path()), Err(OpenError::File { .. })));
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = Folder::new();
    drop(Store::open(&folder.database()).unwrap());
    Connection::open(folder.database()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(Store::open(&folder.database()), Err(OpenError::NewerSchema { version: 99 })));
}

#[test]
fn two_processes_may_make_the_store_at_once() {
    let folder = Folder::new();
    let epochs: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Store::open(&folder.database()).unwrap().epoch().unwrap()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]));
}
