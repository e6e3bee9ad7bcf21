//! Okta's own SCIM 2.0 SPEC suite on our sink, without sockets.

mod steps;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use self::steps::{ASSERTIONS, Credential, Reply, Sink, all_twelve_steps};
use crate::rig::{Rig, user_body};

impl Sink for Rig {
    async fn get(&self, path: &str, credential: Credential) -> Reply {
        let auth = match credential {
            Credential::Good => self.auth.as_str(),
            Credential::NoToken => "non-token",
        };
        let request = Request::get(format!("/scim/v2/corp{}", path.replace(' ', "%20").replace('"', "%22")))
            .header("accept", "application/scim+json")
            .header("accept-charset", "utf-8")
            .header("content-type", "application/scim+json; charset=utf-8")
            .header("user-agent", "OKTA SCIM Integration")
            .header("authorization", auth);
        let reply = self.send(request.body(Bytes::new()).unwrap()).await;
        Reply { status: reply.status.as_u16(), body: reply.body }
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = Request::post(format!("/scim/v2/corp{path}"))
            .header("content-type", "application/json")
            .header("accept", "application/scim+json; charset=utf-8")
            .header("authorization", &self.auth);
        let reply = self.send(request.body(Bytes::from(body.to_string())).unwrap()).await;
        Reply { status: reply.status.as_u16(), body: reply.body }
    }
}

#[tokio::test]
async fn our_sink_passes_all_twelve_steps() {
    let rig = Rig::new().await;
    rig.post("/Users", user_body("first@corp.example")).await;
    assert_eq!(all_twelve_steps(&rig).await, ASSERTIONS);
}
