//! Okta's own SCIM 2.0 SPEC suite: twelve requests and what it asserts on each, in its order, of whatever sink.
//!
//! How a request reaches the sink is left to whoever runs it; it is included by path where another sink is judged by it.

use serde_json::{Value, json};

const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// As many things the suite asserts.
pub(crate) const ASSERTIONS: usize = 54;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// With which `Authorization` a request goes.
#[derive(Clone, Copy)]
pub(crate) enum Credential {
    Good,
    /// A word that is no key, without a scheme.
    NoToken,
}

/// A sink that holds one user at least and no groups.
pub(crate) trait Sink {
    /// The path is written in plain text; the header fields are those of the suite.
    async fn get(&self, path: &str, credential: Credential) -> Reply;
    async fn post(&self, path: &str, body: &Value) -> Reply;
}

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
        self.holds(reply.status == status, reply);
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

/// All twelve; how many assertions held.
pub(crate) async fn all_twelve_steps(sink: &impl Sink) -> usize {
    let mut suite = Suite::default();
    let email = "Runscope123Abcdefghi456@atko.com";

    let one = sink.get("/Users?count=1&startIndex=1", Credential::Good).await;
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

    let two = sink.get(&format!("/Users/{}", id.as_str().unwrap()), Credential::Good).await;
    suite.status(&two, 200);
    for field in fields {
        suite.filled(&two, &format!("/{field}"));
    }
    suite.equal(&two, "/id", &id);

    let three = sink.get("/Users?filter=userName eq \"abcdefgh@atko.com\"", Credential::Good).await;
    suite.status(&three, 200);
    suite.schema(&three, LIST);
    suite.equal(&three, "/totalResults", &json!(0));

    let four = sink.get("/Users/010101001010101011001010101011", Credential::Good).await;
    suite.status(&four, 404);
    suite.filled(&four, "/detail");
    suite.schema(&four, ERROR);

    let five = sink.get(&format!("/Users?filter=userName eq \"{email}\""), Credential::Good).await;
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
    let six = sink.post("/Users", &new).await;
    suite.status(&six, 201);
    suite.equal(&six, "/active", &json!(true));
    suite.filled(&six, "/id");
    for field in ["/name/familyName", "/name/givenName", "/userName"] {
        suite.equal(&six, field, new.pointer(field).unwrap());
    }
    suite.schema(&six, CORE_USER);
    suite.filled(&six, "/emails/0/value");

    let seven = sink.get(&format!("/Users/{}", six.body["id"].as_str().unwrap()), Credential::Good).await;
    suite.status(&seven, 200);
    for field in ["/userName", "/name/familyName", "/name/givenName"] {
        suite.equal(&seven, field, new.pointer(field).unwrap());
    }

    let eight = sink.post("/Users", &new).await;
    suite.status(&eight, 409);

    let nine =
        sink.get(&format!("/Users?filter=userName eq \"{}\"", email.to_uppercase()), Credential::Good).await;
    suite.status(&nine, 200);
    // The suite leaves it free; a userName is not case-exact.
    suite.equal(&nine, "/Resources/0/id", &six.body["id"]);

    let ten = sink.get("/Groups", Credential::Good).await;
    suite.status(&ten, 200);
    suite.equal(&ten, "/totalResults", &json!(0));

    let eleven = sink
        .get(&format!("/Users?filter=userName eq \"{}\"", email.to_uppercase()), Credential::NoToken)
        .await;
    suite.status(&eleven, 401);
    suite.filled(&eleven, "/detail");
    suite.equal(&eleven, "/status", &json!("401"));
    suite.schema(&eleven, ERROR);

    let twelve = sink.get("/Users/00919288221112222", Credential::Good).await;
    suite.status(&twelve, 404);
    suite.filled(&twelve, "/detail");
    suite.equal(&twelve, "/status", &json!("404"));
    suite.schema(&twelve, ERROR);

    suite.assertions
}
