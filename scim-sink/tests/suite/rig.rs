//! A store in a temporary folder, a sink over it with two directories, and requests in Okta's form.
//!
//! What is asserted stands in the other files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use portcullis_scim_sink::{DirectorySettings, ScimSink};
use portcullis_store::{Directory, DirectoryRules, Store};
use serde_json::{Value, json};

pub(crate) const BASE: &str = "https://auth.corp.example/scim/v2/corp";
pub(crate) const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(crate) const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub(crate) const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
pub(crate) const NOW: i64 = 1_790_000_000;

pub(crate) struct Rig {
    pub(crate) sink: ScimSink,
    pub(crate) store: Store,
    pub(crate) key_id: String,
    /// `Bearer <key of corp>`
    pub(crate) auth: String,
    /// `Bearer <key of the other directory>`
    pub(crate) other_auth: String,
    folder: PathBuf,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// An error in SCIM's form, of this status and type.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, scim_type: Option<&str>) -> Value {
        assert_eq!(self.headers["content-type"], "application/scim+json; charset=utf-8");
        let body = self.expect(status);
        assert_eq!(body["schemas"], json!([ERROR]), "{body}");
        assert_eq!(body["status"], json!(status.to_string()), "{body}");
        assert_eq!(body["scimType"].as_str(), scim_type, "{body}");
        assert!(!body["detail"].as_str().unwrap().is_empty(), "{body}");
        body
    }
}

impl Rig {
    pub(crate) async fn new() -> Rig {
        Self::ruled(DirectoryRules::default(), DirectorySettings::default()).await
    }

    /// With other rules for the directory `corp`.
    pub(crate) async fn ruled(rules: DirectoryRules, of_corp: DirectorySettings) -> Rig {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("scim-sink-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&folder.join("store.db")).unwrap();
        let directory = |name: &str| Directory {
            name: name.into(),
            identity_provider: "okta".to_owned(),
            rules: DirectoryRules::default(),
        };
        let corp = Directory { rules, ..directory("corp") };
        store.declare_directories(&[corp, directory("other")], NOW).await.unwrap();
        let (key, token) = store.create_scim_key("corp", "okta push", NOW).await.unwrap();
        let (_, other) = store.create_scim_key("other", "okta push", NOW).await.unwrap();
        let settings = |name: &str| DirectorySettings {
            name: name.to_owned(),
            base_url: format!("https://auth.corp.example/scim/v2/{name}"),
            ..DirectorySettings::default()
        };
        let corp = settings("corp");
        Rig {
            sink: ScimSink::new(
                store.clone(),
                vec![
                    DirectorySettings { name: corp.name, base_url: corp.base_url, ..of_corp },
                    settings("other"),
                ],
            ),
            store,
            key_id: key.key_id,
            auth: format!("Bearer {}", token.expose()),
            other_auth: format!("Bearer {}", other.expose()),
            folder,
        }
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Reply {
        self.send_at(request, || NOW).await
    }

    /// With a clock of the test's own.
    pub(crate) async fn send_at(
        &self,
        request: Request<Bytes>,
        clock: impl Fn() -> i64 + Send + Sync,
    ) -> Reply {
        let response = self.sink.respond(request, clock).await;
        let (head, body) = response.into_parts();
        let body = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).unwrap(),
        };
        Reply { status: head.status, headers: head.headers, body }
    }

    /// A request below the directory `corp`, with its key, in the form of Okta's client.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.send(self.request(method, path, body)).await
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: Option<Value>) -> Request<Bytes> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/scim/v2/corp{}", encoded(path)))
            .header("user-agent", "Okta SCIM Client 1.0.0")
            .header("accept", "application/scim+json")
            .header("accept-charset", "utf-8")
            .header("authorization", &self.auth);
        if body.is_some() {
            request = request.header("content-type", "application/scim+json; charset=utf-8");
        }
        request.body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()))).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.expect(200)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, Some(body)).await.expect(201)
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        self.call("PUT", path, Some(body)).await.expect(200)
    }

    pub(crate) async fn patch(&self, path: &str, operations: Value) -> Value {
        self.call("PATCH", path, Some(json!({"schemas": [PATCH_OP], "Operations": operations})))
            .await
            .expect(200)
    }

    pub(crate) async fn patch_reply(&self, path: &str, operations: Value) -> Reply {
        self.call("PATCH", path, Some(json!({"schemas": [PATCH_OP], "Operations": operations}))).await
    }

    /// A new user; its id.
    pub(crate) async fn user(&self, user_name: &str) -> String {
        let created = self.post("/Users", user_body(user_name)).await;
        created["id"].as_str().unwrap().to_owned()
    }

    /// A new group; its id.
    pub(crate) async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
        let body = json!({"schemas": [CORE_GROUP], "displayName": name, "members": members});
        self.post("/Groups", body).await["id"].as_str().unwrap().to_owned()
    }

    /// The ids of a group's members, sorted.
    pub(crate) async fn members(&self, group: &str) -> Vec<String> {
        let group = self.get(&format!("/Groups/{group}")).await;
        let listed = group["members"].as_array().unwrap();
        let mut ids: Vec<_> =
            listed.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What Okta posts for a new user.
pub(crate) fn user_body(user_name: &str) -> Value {
    json!({
        "schemas": [CORE_USER],
        "userName": user_name,
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "emails": [{"primary": true, "value": user_name, "type": "work"}],
        "displayName": "Jane Doe",
        "locale": "en-US",
        "externalId": format!("00u-{user_name}"),
        "groups": [],
        "password": "1mz050nq",
        "active": true,
    })
}

/// The query in percent encoding, so that tests can be written in plain text.
fn encoded(path: &str) -> String {
    path.chars().fold(String::new(), |mut out, c| {
        match c {
            ' ' => out.push_str("%20"),
            '"' => out.push_str("%22"),
            '[' => out.push_str("%5B"),
            ']' => out.push_str("%5D"),
            '@' => out.push_str("%40"),
            c => out.push(c),
        }
        out
    })
}
