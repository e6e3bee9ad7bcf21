//! What a provisioning client may do wrong: each refused in SCIM's own form, nobody is changed by it, and the next good
//! request is done.

use http::Method;
use portcullis_tests::browser::{Answer, Browser, Outgoing};
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::{Company, Dialect};
use serde_json::{Value, json};

use super::{ENGINEER, assert_login_works};

const SCIM_JSON: &str = "application/scim+json";
const MAX_BODY: usize = 1024 * 1024;

struct Rig {
    world: World,
}

impl Rig {
    async fn start() -> Self {
        let change = |settings: &mut portcullis_tests::harness::Settings| {
            settings.extra = "[[directory]]\nname = \"other\"\nidentity_provider = \"okta\"\n".to_owned();
        };
        Self { world: World::with(WorldConfig { change, ..WorldConfig::default() }).await }
    }

    fn request(&self, method: Method, path: &str) -> Outgoing {
        Outgoing::script(method, &format!("{}{path}", self.world.scim_url())).unwrap()
    }

    async fn send(&self, outgoing: Outgoing) -> Answer {
        self.world.browser().send(&outgoing).await.unwrap()
    }

    /// With the good key.
    async fn ask(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Answer {
        let mut outgoing = self.request(method, path).header("authorization", &self.authorization());
        if let Some((kind, body)) = body {
            outgoing = outgoing.body(kind, body);
        }
        self.send(outgoing).await
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.world.scim_key)
    }

    fn engineer_path(&self) -> String {
        format!("/Users/{}", self.world.okta.scim_id(ENGINEER).unwrap().unwrap())
    }

    async fn engineer(&self) -> Value {
        let answer = self.ask(Method::GET, &self.engineer_path(), None).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// RFC 7644 section 3.12, with these words.
fn assert_scim_error(answer: &Answer, status: u16, scim_type: Option<&str>, words: &str) {
    let body = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    assert!(answer.header("content-type").starts_with(SCIM_JSON), "{}", answer.header("content-type"));
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{body}");
    assert_eq!(body["status"], json!(status.to_string()), "{body}");
    assert_eq!(body["scimType"].as_str(), scim_type, "{body}");
    assert!(
        body["detail"].as_str().is_some_and(|detail| detail.contains(words)),
        "`{words}` is missing in {body}"
    );
}

/// T93: whatever is wrong with the key, the answer is the same and says nothing of what exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_key_is_refused() {
    let rig = Rig::start().await;
    let key = rig.world.scim_key.clone();
    let others = rig.world.gateway.scim_key("other", "okta");
    let flipped = if key.ends_with('A') {
        format!("{}B", &key[..key.len() - 1])
    } else {
        format!("{}A", &key[..key.len() - 1])
    };
    let wrong = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {flipped}"),
        format!("Bearer {}", &key[..key.len() - 1]),
        format!("Bearer {key}A"),
        format!("Bearer {}", key.to_uppercase()),
        format!("Bearer {others}"),
        format!("Digest {key}"),
        format!("SSWS {key}"),
        "Basic not-base64".to_owned(),
        format!("Bearer {}", "k".repeat(30_000)),
    ];
    let paths = ["/Users", "/Groups", "/ServiceProviderConfig", "/Nonsense", &rig.engineer_path()];
    for path in paths {
        let refused = rig.send(rig.request(Method::GET, path)).await;
        assert_scim_error(&refused, 401, None, "the key is missing or is not valid");
        assert!(refused.header("www-authenticate").starts_with("Bearer"), "{path}");
    }
    for authorization in wrong {
        let outgoing = rig.request(Method::GET, "/Users").header("authorization", &authorization);
        assert_scim_error(&rig.send(outgoing).await, 401, None, "the key is missing or is not valid");
    }
    for query in ["access_token", "token", "key", "api_key", "authorization"] {
        let outgoing = rig.request(Method::GET, &format!("/Users?{query}={key}"));
        assert_scim_error(&rig.send(outgoing).await, 401, None, "the key is missing or is not valid");
    }
    let twice = rig.request(Method::GET, "/Users").header("authorization", &rig.authorization());
    let twice = twice.header("authorization", &format!("Bearer {flipped}"));
    assert_scim_error(&rig.send(twice).await, 401, None, "the key is missing or is not valid");
    assert!(!rig.world.gateway.log().text().contains(&key), "the key stands in the log");
    assert_eq!(rig.ask(Method::GET, "/Users", None).await.status, 200);
    let bare = rig.request(Method::GET, "/Users").header("authorization", &key);
    assert_eq!(rig.send(bare).await.status, 200, "a bare key is as good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_is_worth_nothing_at_once() {
    let mut rig = Rig::start().await;
    let list = String::from_utf8(rig.world.gateway.command(&["scim", "key", "list"]).stdout).unwrap();
    let id =
        list.lines().find(|line| line.contains("valid")).and_then(|line| line.split(' ').next()).unwrap();
    assert_eq!(rig.ask(Method::GET, "/Users", None).await.status, 200);
    let revoked = rig.world.gateway.command(&["scim", "key", "revoke", id]);
    assert!(revoked.status.success(), "{revoked:?}");
    let answer = rig.ask(Method::GET, "/Users", None).await;
    assert_scim_error(&answer, 401, None, "the key is missing or is not valid");
    let before = rig.world.okta.journal().len();
    let pushes = rig.world.okta.deactivate(ENGINEER).await.unwrap();
    assert!(pushes.iter().all(|push| !push.accepted()), "a revoked key deactivated somebody");
    assert!(rig.world.okta.journal().len() > before);
    let unknown = rig.world.gateway.command(&["scim", "key", "revoke", "absent"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    // A new key finishes what the old one could not.
    rig.world.connect_scim(Dialect::Wizard);
    rig.world.deactivate(ENGINEER).await;
    assert_eq!(rig.engineer().await["active"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_refused() {
    let rig = Rig::start().await;
    let person = |name: &str| {
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "active": true})
            .to_string()
    };
    let scim = |body: &str| Some((SCIM_JSON, body.to_owned()));
    let cases = [
        (scim("{\"userName\": \"half"), 400, Some("invalidSyntax"), "not JSON"),
        (scim(""), 400, Some("invalidSyntax"), "not JSON"),
        (scim("[]"), 400, Some("invalidSyntax"), "must be a JSON object"),
        (scim("null"), 400, Some("invalidSyntax"), "must be a JSON object"),
        (scim(&"[".repeat(500)), 400, Some("invalidSyntax"), "not JSON"),
        (scim("{}"), 400, Some("invalidValue"), "userName"),
        (scim("{\"userName\": {\"a\": 7}}"), 400, Some("invalidValue"), "userName"),
        (scim("{\"userName\": \"\"}"), 400, Some("invalidValue"), "userName"),
        (Some(("text/plain", person("a@corp.example"))), 415, None, "application/scim+json"),
        (Some(("application/xml", person("a@corp.example"))), 415, None, "application/scim+json"),
        (
            Some(("application/x-www-form-urlencoded", person("a@corp.example"))),
            415,
            None,
            "application/scim+json",
        ),
        (scim(&person(ENGINEER)), 409, Some("uniqueness"), "userName"),
    ];
    for (body, status, scim_type, words) in cases {
        let shown: String = body.as_ref().unwrap().1.chars().take(40).collect();
        println!("{shown}");
        let answer = rig.ask(Method::POST, "/Users", body).await;
        assert_scim_error(&answer, status, scim_type, words);
    }
    let all = rig.ask(Method::GET, "/Users", None).await.json()["totalResults"].clone();
    assert_eq!(all, json!(Company::demo().people.len()), "somebody was made by a refused request");

    // The limit itself fits, one byte more does not.
    let name = "limit@corp.example";
    let padded = |size: usize| format!("{}{}", person(name), " ".repeat(size - person(name).len()));
    let over = rig.ask(Method::POST, "/Users", Some((SCIM_JSON, padded(MAX_BODY + 1)))).await;
    assert_scim_error(&over, 413, None, "larger than");
    let fits = rig.ask(Method::POST, "/Users", Some((SCIM_JSON, padded(MAX_BODY)))).await;
    assert_eq!(fits.status, 201, "{}", fits.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_or_method_that_is_not_there_is_refused() {
    let rig = Rig::start().await;
    let engineer = rig.engineer_path();
    for path in
        ["/Nonsense", "/", "/Users/a/b", "/Bulk/1", "/users", "/Schemas/urn:absent", "/Users/../Groups/x"]
    {
        let answer = rig.ask(Method::GET, path, None).await;
        assert_scim_error(&answer, 404, None, "there is no");
    }
    for path in ["/Users/absent", "/Groups/absent", "/Users/00000000-0000-0000-0000-000000000000"] {
        for method in [Method::GET, Method::DELETE] {
            assert_scim_error(&rig.ask(method, path, None).await, 404, None, "there is no");
        }
    }
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"active": false}}]});
    let unknown = rig.ask(Method::PATCH, "/Users/absent", Some((SCIM_JSON, patch.to_string()))).await;
    assert_scim_error(&unknown, 404, None, "`absent`");
    for (method, path, allow) in [
        (Method::DELETE, "/Users", "GET, POST"),
        (Method::PUT, "/Groups", "GET, POST"),
        (Method::POST, engineer.as_str(), "GET, PUT, PATCH, DELETE"),
        (Method::POST, "/ServiceProviderConfig", "GET"),
        (Method::GET, "/.search", "POST"),
        (Method::GET, "/Bulk", "POST"),
    ] {
        let answer = rig.ask(method.clone(), path, None).await;
        assert_scim_error(&answer, 405, None, allow);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    for (query, scim_type) in [
        ("filter=userName%20eq", "invalidFilter"),
        ("filter=((((", "invalidFilter"),
        ("count=many", "invalidValue"),
    ] {
        let answer = rig.ask(Method::GET, &format!("/Users?{query}"), None).await;
        assert_scim_error(&answer, 400, Some(scim_type), "");
    }
    assert_eq!(rig.engineer().await["active"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonsensical_change_leaves_the_person_as_it_was() {
    let rig = Rig::start().await;
    let (path, before) = (rig.engineer_path(), rig.engineer().await);
    let browser = assert_login_works(&rig.world).await;
    let patch = |operations: Value| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let nonsense = [
        (Method::PATCH, json!({})),
        (Method::PATCH, json!({"Operations": "all"})),
        (Method::PATCH, patch(json!([7]))),
        (Method::PATCH, patch(json!([{"op": "explode", "path": "active", "value": false}]))),
        (Method::PATCH, patch(json!([{"path": "active", "value": false}]))),
        (Method::PATCH, patch(json!([{"op": "replace", "path": "active", "value": "banana"}]))),
        (Method::PATCH, patch(json!([{"op": "replace", "path": "active["}]))),
        (Method::PATCH, patch(json!([{"op": "replace", "path": "userName", "value": null}]))),
        (Method::PATCH, patch(json!([{"op": "replace", "path": "userName", "value": ["a"]}]))),
        (Method::PATCH, patch(json!([{"op": "remove", "path": "userName"}]))),
        (Method::PATCH, patch(json!([{"op": "remove"}]))),
        // The first would be good: all or nothing.
        (
            Method::PATCH,
            patch(json!([
                {"op": "replace", "path": "active", "value": false},
                {"op": "explode", "path": "title", "value": "none"},
            ])),
        ),
        (
            Method::PATCH,
            patch(json!([
                {"op": "replace", "path": "active", "value": false},
                {"op": "replace", "path": "userName", "value": "designer@corp.example"},
            ])),
        ),
        (Method::PUT, json!({})),
        (Method::PUT, json!({"userName": "", "active": false})),
        (Method::PUT, json!({"userName": {"a": 1}, "active": false})),
        (Method::PUT, json!({"userName": ENGINEER, "active": "banana"})),
        (Method::PUT, json!({"schemas": ["urn:absent"], "userName": ENGINEER, "active": false})),
        // Somebody else's name.
        (Method::PUT, json!({"userName": "designer@corp.example", "active": false})),
    ];
    for (method, body) in nonsense {
        let answer = rig.ask(method.clone(), &path, Some((SCIM_JSON, body.to_string()))).await;
        let status = answer.status.as_u16();
        assert!(matches!(status, 400 | 409), "{method} {body}: {status} {}", answer.text());
        assert_scim_error(&answer, status, answer.json()["scimType"].as_str(), "");
        assert_eq!(rig.engineer().await, before, "{method} {body} changed the person");
        assert_eq!(browser.fetch(&rig.world.wiki("/whoami")).await.unwrap().status, 200, "{method} {body}");
    }
    let good = patch(json!([{"op": "replace", "path": "title", "value": "Engineer"}]));
    let answer = rig.ask(Method::PATCH, &path, Some((SCIM_JSON, good.to_string()))).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["title"]),
        (200, &json!("Engineer")),
        "{}",
        answer.text()
    );
    rig.world.deactivate(ENGINEER).await;
    assert_eq!(browser.fetch(&rig.world.wiki("/whoami")).await.unwrap().status, 403);
}

/// What the gateway refuses before it comes to the sink is told in SCIM's own form too, and only to whoever comes to the sink.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_early_is_told_in_scims_own_form() {
    let rig = Rig::start().await;
    let base = rig.world.scim_url();
    let origin = base.strip_suffix("/scim/v2/corp").unwrap().to_owned();
    let host = origin.strip_prefix("https://").unwrap().to_owned();
    let host = host.split(':').next().unwrap();
    let ask = async |line: &str, fields: &str| {
        let bytes = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
        let answer = rig.world.browser().raw(&origin, bytes.as_bytes()).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let two_hosts = format!("Host: {host}\r\n");
    for (line, fields, status) in [
        ("GET /scim", "", 404),
        ("GET /scim/v2", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n", 404),
        ("GET /scim/v1/Users", "", 404),
        ("POST /scim/", "", 404),
        ("GET /scim/v2/", "", 401),
        ("GET /scim/v2/nowhere/Users", "", 401),
        ("GET /scim/v2/corp/Users", "Authorization: non-token\r\n", 401),
        ("OPTIONS /scim/v2/corp/Users", "", 401),
        ("GET /scim/v2/corp/Users/%00", "", 400),
        ("GET /scim/v2/corp/Users/%zz", "", 400),
        ("GET /scim/v2/corp/Users/..%2fx", "", 400),
        ("GET /scim/v2/corp//Users", "", 400),
        ("GET /scim/v2/corp/Users/a;b=c", "", 400),
        ("GET /scim/v2/corp/Users/a\\b", "", 400),
        ("BREW /scim/v2/corp/Users", "", 501),
        ("TRACE /scim/v2/corp/Users", "", 501),
        ("GET /scim/v2/corp/Users", &two_hosts, 400),
        ("GET /scim/v2/corp/Users", "Host: wiki.localhost\r\n", 400),
    ] {
        let answer = ask(line, fields).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line}: {answer}"));
        assert_eq!(Browser::raw_status(head.as_bytes()), status, "{line}: {answer}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/scim+json"), "{line}: {head}");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{line}: {body}"));
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{line}");
        assert_eq!(body["status"], json!(status.to_string()), "{line}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{line}: {body}");
    }
    // Others are told as before.
    for line in ["GET /scimitar", "GET /a%00b"] {
        let answer = ask(line, "").await.to_ascii_lowercase();
        assert!(answer.contains("content-type: application/json"), "{line}: {answer}");
    }
}

/// Too many requests of one address: also then a status with a time to wait, in a form that Okta reads.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_in_scims_own_form() {
    let change = |settings: &mut portcullis_tests::harness::Settings| {
        settings.extra = "[limits]\nrequests_per_address = 1\n".to_owned();
    };
    let world = World::with(WorldConfig { change, provisioned: false, ..WorldConfig::default() }).await;
    let path = format!("{}/Users", world.scim_url());
    let mut told = None;
    for _ in 0..200 {
        let outgoing = Outgoing::script(Method::GET, &path).unwrap();
        let answer = world.browser().send(&outgoing).await.unwrap();
        if answer.status == 429 && answer.header("retry-after") == "1" {
            told = Some(answer);
            break;
        }
    }
    assert_scim_error(&told.expect("nothing was refused"), 429, None, "at once");
}
