//! The provisioning log: one event for each write and each refusal, and never a secret in it.
//!
//! A program of its own: where others run without a subscriber, `tracing` may remember that nobody listens.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail by a panic"
)]

#[path = "../suite/rig.rs"]
#[allow(dead_code, reason = "the rig serves the other suite too")]
mod rig;

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use rig::{NOW, Rig, user_body};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

impl Lines {
    /// The events since the last look.
    fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn writes_and_refusals() {
    let rig = Rig::new().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let token = rig.auth.strip_prefix("Bearer ").unwrap().to_owned();
    let mut all = Vec::new();
    let mut events = || {
        let taken = lines.take();
        all.extend(taken.iter().map(ToString::to_string));
        taken
            .into_iter()
            .filter(|event| event["target"] == portcullis_scim_sink::PROVISIONING_LOG_TARGET)
            .collect::<Vec<_>>()
    };

    let id = rig.user("jane@corp.example").await;
    let created = events();
    assert_eq!(created.len(), 1);
    let fields = &created[0]["fields"];
    assert_eq!((&fields["operation"], &fields["resource_id"]), (&json!("user.create"), &json!(id)));
    assert_eq!((&fields["directory"], &fields["key_name"]), (&json!("corp"), &json!("okta push")));
    assert_eq!(fields["key_id"], json!(rig.key_id));
    assert!(fields["changed"].as_str().unwrap().contains("userName"));

    let path = format!("/Users/{id}");
    let password = json!([
        {"op": "replace", "value": {"active": false, "password": "1mz050nq"}},
        {"op": "add", "path": "password", "value": "1mz050nq"},
        {"op": "add", "path": "title", "value": "T"},
    ]);
    rig.patch(&path, password).await;
    let patched = events();
    assert_eq!(patched.len(), 1);
    assert_eq!(patched[0]["fields"]["changed"], "active title");
    assert_eq!(patched[0]["fields"]["active"], json!(false));

    rig.call("POST", "/Users", Some(user_body("jane@corp.example"))).await.expect(409);
    let refused = events();
    assert_eq!(refused.len(), 1);
    assert_eq!((&refused[0]["level"], &refused[0]["fields"]["status"]), (&json!("WARN"), &json!(409)));
    assert_eq!(refused[0]["fields"]["key_id"], json!(rig.key_id));

    // Told apart here, and only here.
    let mut causes = Vec::new();
    for (directory, auth) in
        [("corp", "non-token"), ("nowhere", rig.auth.as_str()), ("other", rig.auth.as_str())]
    {
        let mut request = rig.request("GET", "/Users", None);
        *request.uri_mut() = format!("/scim/v2/{directory}/Users?access_token={token}").parse().unwrap();
        request.headers_mut().insert("authorization", auth.parse().unwrap());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let headers = request.headers().clone();
        rig.send(request).await.expect(401);
        let refused = events();
        assert_eq!(refused.len(), 1);
        // Whoever is refused before their body is read leaves the same line.
        assert_eq!(rig.sink.admit(&method, &path, &headers, NOW).unwrap_err().status(), 401);
        let early = events();
        assert_eq!(early.len(), 1);
        assert_eq!(early[0]["fields"], refused[0]["fields"]);
        causes.push(refused[0]["fields"]["cause"].as_str().unwrap().to_owned());
    }
    assert_ne!(causes[0], causes[1]);
    assert_eq!(causes[0], causes[2]);

    rig.get(&path).await;
    assert!(events().is_empty(), "reading is no provisioning");
    let everything = all.join("\n");
    assert!(!everything.contains("1mz050nq"));
    assert!(!everything.contains(&token));
}
