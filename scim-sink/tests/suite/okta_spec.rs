//! Okta's own SCIM 2.0 SPEC suite: twelve requests and what it asserts on each, in its order.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::rig::{CORE_USER, ERROR, LIST, Reply, Rig, user_body};

/// Counts what the suite asserts, so that none is lost unseen.
#[derive(Default)]
struct Suite {
    assertions: usize,
}

impl Suite {
    #[track_caller]
    fn holds(&mut self, what: bool, reply: &Reply) {
        self.assertions += 1;
        assert!(what, "assertion {}: {} {}", self.assertions, reply.status, reply.body);
    }

    #[track_caller]
    fn status(&mut self, reply: &Reply, status: u16) {
        self.holds(reply.status.as_u16() == status, reply);
    }

    #[track_caller]
    fn filled(&mut self, reply: &Reply, pointer: &str) {
        let filled = match reply.body.pointer(pointer) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(elements)) => !elements.is_empty(),
            Some(_) => true,
        };
        self.holds(filled, reply);
    }

    #[track_caller]
    fn equal(&mut self, reply: &Reply, pointer: &str, wanted: &Value) {
        self.holds(reply.body.pointer(pointer) == Some(wanted), reply);
    }

    #[track_caller]
    fn schema(&mut self, reply: &Reply, urn: &str) {
        let listed = reply.body["schemas"].as_array().is_some_and(|listed| listed.contains(&json!(urn)));
        self.holds(listed, reply);
    }
}

async fn get(rig: &Rig, path: &str, auth: &str) -> Reply {
    let request = Request::get(format!("/scim/v2/corp{}", path.replace(' ', "%20").replace('"', "%22")))
        .header("accept", "application/scim+json")
        .header("accept-charset", "utf-8")
        .header("content-type", "application/scim+json; charset=utf-8")
        .header("user-agent", "OKTA SCIM Integration")
        .header("authorization", auth);
    rig.send(request.body(Bytes::new()).unwrap()).await
}

async fn post(rig: &Rig, path: &str, body: &Value) -> Reply {
    let request = Request::post(format!("/scim/v2/corp{path}"))
        .header("content-type", "application/json")
        .header("accept", "application/scim+json; charset=utf-8")
        .header("authorization", &rig.auth);
    rig.send(request.body(Bytes::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn all_twelve_steps() {
    let rig = Rig::new().await;
    rig.post("/Users", user_body("first@corp.example")).await;
    let mut suite = Suite::default();
    let email = "Runscope123Abcdefghi456@atko.com";

    let one = get(&rig, "/Users?count=1&startIndex=1", &rig.auth).await;
    suite.status(&one, 200);
    suite.filled(&one, "/Resources");
    suite.schema(&one, LIST);
    for number in ["/itemsPerPage", "/startIndex", "/totalResults"] {
        suite.holds(one.body.pointer(number).is_some_and(Value::is_i64), &one);
    }
    let fields = ["id", "name/familyName", "name/givenName", "userName", "active", "emails/0/value"];
    for field in fields {
        suite.filled(&one, &format!("/Resources/0/{field}"));
    }
    let id = one.body["Resources"][0]["id"].clone();

    let two = get(&rig, &format!("/Users/{}", id.as_str().unwrap()), &rig.auth).await;
    suite.status(&two, 200);
    for field in fields {
        suite.filled(&two, &format!("/{field}"));
    }
    suite.equal(&two, "/id", &id);

    let three = get(&rig, "/Users?filter=userName eq \"abcdefgh@atko.com\"", &rig.auth).await;
    suite.status(&three, 200);
    suite.schema(&three, LIST);
    suite.equal(&three, "/totalResults", &json!(0));

    let four = get(&rig, "/Users/010101001010101011001010101011", &rig.auth).await;
    suite.status(&four, 404);
    suite.filled(&four, "/detail");
    suite.schema(&four, ERROR);

    let five = get(&rig, &format!("/Users?filter=userName eq \"{email}\""), &rig.auth).await;
    suite.status(&five, 200);
    suite.equal(&five, "/totalResults", &json!(0));
    suite.schema(&five, LIST);

    let new = json!({
        "schemas": [CORE_USER],
        "userName": email,
        "name": {"givenName": "Runscope123", "familyName": "Abcdefghi456"},
        "emails": [{"primary": true, "value": email, "type": "work"}],
        "displayName": "Runscope123 Abcdefghi456",
        "active": true,
    });
    let six = post(&rig, "/Users", &new).await;
    suite.status(&six, 201);
    suite.equal(&six, "/active", &json!(true));
    suite.filled(&six, "/id");
    for field in ["/name/familyName", "/name/givenName", "/userName"] {
        suite.equal(&six, field, new.pointer(field).unwrap());
    }
    suite.schema(&six, CORE_USER);
    suite.filled(&six, "/emails/0/value");

    let seven = get(&rig, &format!("/Users/{}", six.body["id"].as_str().unwrap()), &rig.auth).await;
    suite.status(&seven, 200);
    for field in ["/userName", "/name/familyName", "/name/givenName"] {
        suite.equal(&seven, field, new.pointer(field).unwrap());
    }

    let eight = post(&rig, "/Users", &new).await;
    suite.status(&eight, 409);

    let nine = get(&rig, &format!("/Users?filter=userName eq \"{}\"", email.to_uppercase()), &rig.auth).await;
    suite.status(&nine, 200);
    // The suite leaves it free; a userName is not case-exact.
    suite.equal(&nine, "/Resources/0/id", &six.body["id"]);

    let ten = get(&rig, "/Groups", &rig.auth).await;
    suite.status(&ten, 200);
    suite.equal(&ten, "/totalResults", &json!(0));

    let eleven =
        get(&rig, &format!("/Users?filter=userName eq \"{}\"", email.to_uppercase()), "non-token").await;
    suite.status(&eleven, 401);
    suite.filled(&eleven, "/detail");
    suite.equal(&eleven, "/status", &json!("401"));
    suite.schema(&eleven, ERROR);

    let twelve = get(&rig, "/Users/00919288221112222", &rig.auth).await;
    suite.status(&twelve, 404);
    suite.filled(&twelve, "/detail");
    suite.equal(&twelve, "/status", &json!("404"));
    suite.schema(&twelve, ERROR);

    assert_eq!(suite.assertions, 54);
}
