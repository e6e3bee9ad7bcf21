//! The harness tells the truth: about programs that do not start, about a gate that is none, about configurations.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::os::unix::fs::PermissionsExt;

use portcullis_tests::demo::{Plan, check};
use portcullis_tests::harness::{Folder, Front, Gateway, Launch, Scene, Settings, binary, ports};
use portcullis_tests::okta::{Client, Company, OktaConfig, OktaSim};
use portcullis_tests::upstream::{Upstream, UpstreamConfig};

/// A gateway that is a shell script.
fn script(text: &str) -> Launch {
    let folder = Folder::temporary();
    let program = folder.path().join("program");
    std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let environment = vec![("GIVEN".to_owned(), "given value".to_owned())];
    Launch { program, folder, config: "key = 1\n".to_owned(), environment, inner_port: ports::free() }
}

#[tokio::test]
async fn a_program_that_leaves_is_a_failure_with_its_words() {
    let launch = script("echo arguments: \"$@\"; echo \"$GIVEN\" >&2; cat \"$3\"; exit 3");
    let folder = launch.folder.path().to_owned();
    let failure = Gateway::start(launch).await.unwrap_err();
    assert_eq!(failure.code, Some(3));
    for words in ["arguments: run --config", "given value", "key = 1"] {
        assert!(failure.output.contains(words), "{}", failure.output);
    }
    assert!(!folder.exists(), "a temporary folder is removed");
}

#[test]
fn ports_are_free_and_given_once() {
    let given: std::collections::HashSet<u16> = (0..50).map(|_| ports::free()).collect();
    assert_eq!(given.len(), 50);
    let port = ports::free();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert!(!ports::is_free(port));
}

#[test]
fn settings_are_toml_and_keep_secrets_out_of_the_file() {
    let mut settings = Settings::new("http://127.0.0.1:1", "http://127.0.0.1:2");
    settings.client_secret = Some("very secret".to_owned());
    settings.provider_extra = "pkce = false".to_owned();
    let text = settings.toml();
    let file: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(file["identity_provider"][0]["client_secret"]["env"].as_str(), Some("OKTA_CLIENT_SECRET"));
    assert_eq!(file["identity_provider"][0]["pkce"].as_bool(), Some(false));
    assert_eq!(file["application"].as_array().unwrap().len(), 2);
    assert!(!text.contains("very secret"));
    assert_eq!(settings.environment().len(), 1);
}

#[test]
fn the_repositorys_configuration_suits_the_demo() {
    let plan = Plan::read(&binary::repository().join("config.toml")).unwrap();
    assert_eq!(plan.application_url(), "https://wiki.localhost:8443");
    assert_eq!(plan.scim_url(), "https://auth.localhost:8443/scim/v2/corp");
    assert_eq!((plan.okta.port(), plan.upstream.port(), plan.inner_listen.port()), (8090, 8081, 9443));
}

/// The walk must be able to fail: here nothing stands before the application.
#[tokio::test(flavor = "multi_thread")]
async fn the_walk_is_wrong_where_there_is_no_gate() {
    let upstream = Upstream::start(UpstreamConfig::default()).await.unwrap();
    let front = Front::start(&["wiki.localhost", "auth.localhost"], upstream.address()).await;
    let clients = vec![Client::public("unused", "http://127.0.0.1:1/")];
    let okta = OktaSim::start(OktaConfig::new(Company { clients, ..Company::demo() })).await.unwrap();
    let scene = Scene {
        okta: &okta,
        recorder: upstream.recorder(),
        wiki: format!("https://wiki.localhost:{}", front.port),
        auth: format!("https://auth.localhost:{}", front.port),
        ca_pem: front.ca_pem.clone(),
    };
    let score = check::play(&scene).await;
    // Streams run without a gate, too; everything else needs one.
    assert_eq!((score.right, score.wrong), (1, 15));
}
