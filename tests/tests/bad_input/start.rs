//! A gateway that cannot start: what stands in its way is named, and it starts once that is gone.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{Folder, Gateway, Launch, Settings};

fn settings() -> Settings {
    Settings::new("http://127.0.0.1:1", "http://127.0.0.1:2")
}

/// A launch in a folder that stays after a failed start.
fn in_folder(home: &Path, settings: &Settings) -> Launch {
    Launch { folder: Folder::at(home).unwrap(), ..Launch::of(settings) }
}

async fn assert_fails(home: &Path, settings: &Settings, words: &[&str]) {
    let failure = Gateway::start(in_folder(home, settings)).await.unwrap_err();
    assert_eq!(failure.code, Some(1), "{failure}");
    for word in words {
        assert!(failure.output.contains(word), "`{word}` is missing in: {}", failure.output);
    }
    assert!(!failure.output.contains("panicked"), "{failure}");
}

async fn assert_starts(home: &Path, settings: &Settings) -> Gateway {
    let gateway = Gateway::start(in_folder(home, settings)).await.unwrap_or_else(|e| panic!("{e}"));
    assert_serves(&gateway, settings).await;
    gateway
}

async fn assert_serves(gateway: &Gateway, settings: &Settings) {
    let certs = format!("{}/cdn-cgi/access/certs", settings.auth_url());
    let answer = Browser::new(&gateway.ca_pem()).fetch(&certs).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.json()["keys"].as_array().is_some_and(|keys| !keys.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_its_key() {
    let (home, settings) = (Folder::temporary(), settings());
    let taken = TcpListener::bind(("127.0.0.1", settings.port)).unwrap();
    let address = format!("127.0.0.1:{}", settings.port);
    assert_fails(home.path(), &settings, &["server.listen", &address, "another process listens there"]).await;
    drop(taken);
    let taken = TcpListener::bind(("127.0.0.1", settings.inner_port)).unwrap();
    assert_inner_port_is_taken(home.path(), &settings);
    drop(taken);
    assert_starts(home.path(), &settings).await;
}

/// The harness asks the inner port for readiness, where somebody else listens now: so the process itself is asked.
fn assert_inner_port_is_taken(home: &Path, settings: &Settings) {
    let launch = in_folder(home, settings);
    std::fs::write(home.join("config.toml"), settings.toml()).unwrap();
    let output = launch.command(&["run"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in [
        "server.inner_listen",
        &format!("127.0.0.1:{}", settings.inner_port),
        "another process listens there",
    ] {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

/// Listeners of one gateway share their port among its threads; another gateway must not slip in beside them.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_does_not_share_the_port_of_the_first() {
    let (home, other, first) = (Folder::temporary(), Folder::temporary(), settings());
    let running = assert_starts(home.path(), &first).await;
    let second = Settings { port: first.port, ..settings() };
    let address = format!("127.0.0.1:{}", first.port);
    assert_fails(other.path(), &second, &["server.listen", &address, "another process listens there"]).await;
    let second = Settings { inner_port: first.inner_port, ..settings() };
    assert_inner_port_is_taken(other.path(), &second);
    assert_serves(&running, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_serves_beside_the_first_and_after_it() {
    let (home, other, first) = (Folder::temporary(), Folder::temporary(), settings());
    let mut running = assert_starts(home.path(), &first).await;
    let second = settings();
    let store = home.path().join("portcullis.db");
    let config = second.toml().replace("sqlite:portcullis.db", &format!("sqlite:{}", store.display()));
    let launch = Launch { config, ..in_folder(other.path(), &second) };
    let beside = Gateway::start(launch).await.unwrap_or_else(|e| panic!("{e}"));
    assert_serves(&running, &first).await;
    // However the first one ends, the other goes on.
    running.kill_hard();
    let (status, _) = beside.inner("/readyz").await.unwrap();
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_no_database_is_left_as_it_is() {
    let (home, settings) = (Folder::temporary(), settings());
    let store = home.path().join("portcullis.db");
    let garbage = "the accounts of 2019, not a database\n".repeat(500);
    std::fs::write(&store, &garbage).unwrap();
    assert_fails(home.path(), &settings, &["cannot open the store", "portcullis.db"]).await;
    assert_eq!(std::fs::read_to_string(&store).unwrap(), garbage, "the file was changed");
    std::fs::remove_file(&store).unwrap();
    assert_starts(home.path(), &settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_is_named() {
    let (home, settings) = (Folder::temporary(), settings());
    let config = settings.toml().replace("sqlite:portcullis.db", "sqlite:absent/portcullis.db");
    let failure = Gateway::start(Launch { config, ..in_folder(home.path(), &settings) }).await.unwrap_err();
    assert_eq!(failure.code, Some(1));
    for word in ["cannot open the store", "absent/portcullis.db", "No such file"] {
        assert!(failure.output.contains(word), "`{word}` is missing in: {}", failure.output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_others_may_read_or_that_holds_something_else_is_refused() {
    let (home, settings) = (Folder::temporary(), settings());
    drop(assert_starts(home.path(), &settings).await);
    let file = home.path().join("portcullis.db.key");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let key = std::fs::read_to_string(&file).unwrap();
    for open in [0o644, 0o640, 0o604] {
        mode(open);
        assert_fails(home.path(), &settings, &["portcullis.db.key", "chmod 600"]).await;
    }
    mode(0o600);
    assert_starts(home.path(), &settings).await.kill_hard();
    for wrong in ["", "no hexadecimal digits", &key[1..]] {
        std::fs::write(&file, wrong).unwrap();
        assert_fails(home.path(), &settings, &["portcullis.db.key", "64 hexadecimal digits"]).await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), wrong, "the key file was changed");
    }
    // Another key in the place of the first cannot open what is stored, and must not throw it away.
    std::fs::write(&file, "0".repeat(64)).unwrap();
    let words = ["does not open with this key file", "restore the key file that belongs to this store"];
    assert_fails(home.path(), &settings, &words).await;
    std::fs::write(&file, &key).unwrap();
    assert_starts(home.path(), &settings).await;
}
