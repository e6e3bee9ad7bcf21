//! What is refused, how it is worded, and what is not told to strangers.

use bytes::Bytes;
use http::{HeaderValue, Request};
use portcullis_scim_sink::{MAX_BODY_BYTES, ScimSink};
use serde_json::json;

use crate::rig::{NOW, Rig, user_body};

#[tokio::test]
async fn strangers_learn_nothing() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    let token = rig.auth.strip_prefix("Bearer ").unwrap().to_owned();
    let mut bodies = Vec::new();
    for (path, auth) in [
        (format!("/scim/v2/corp/Users/{id}"), None),
        ("/scim/v2/corp/Users".to_owned(), Some("non-token".to_owned())),
        ("/scim/v2/corp/Users".to_owned(), Some("Bearer".to_owned())),
        ("/scim/v2/corp/Users".to_owned(), Some(String::new())),
        ("/scim/v2/corp/Users".to_owned(), Some(rig.other_auth.clone())),
        ("/scim/v2/other/Users".to_owned(), Some(rig.auth.clone())),
        ("/scim/v2/nowhere/Users".to_owned(), Some(rig.auth.clone())),
        ("/scim/v2/nowhere/Users".to_owned(), Some("non-token".to_owned())),
        ("/scim/v2/corp/Nothing".to_owned(), Some("non-token".to_owned())),
        ("/scim/v2/".to_owned(), Some(rig.auth.clone())),
        ("/scim/v2".to_owned(), Some(rig.auth.clone())),
        ("/elsewhere".to_owned(), Some(rig.auth.clone())),
        (format!("/scim/v2/corp/Users?access_token={token}"), None),
        (format!("/scim/v2/corp/Users?authorization=Bearer%20{token}"), None),
        ("/scim/v2/corp/Users".to_owned(), Some(format!("Digest {token}"))),
        ("/scim/v2/corp/Users".to_owned(), Some(format!("{}x", rig.auth))),
        ("/scim/v2/corp/Users".to_owned(), Some(rig.auth[..rig.auth.len() - 1].to_owned())),
        ("/scim/v2/corp/Users".to_owned(), Some("Basic !!".to_owned())),
    ] {
        for method in ["GET", "POST", "BREW"] {
            let mut request = Request::builder().method(method).uri(&path);
            if let Some(auth) = &auth {
                request = request.header("authorization", auth);
            }
            let request = request.body(Bytes::from_static(b"{")).unwrap();
            let (method, path) = (request.method(), request.uri().path());
            let early = rig.sink.admit(method, path, request.headers(), NOW).unwrap_err();
            assert!(early.headers().contains_key("www-authenticate"));
            bodies.push(serde_json::from_slice(early.body()).unwrap());
            let reply = rig.send(request).await;
            assert!(reply.headers.contains_key("www-authenticate"));
            bodies.push(reply.expect_error(401, None));
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one answer for every cause");
}

#[tokio::test]
async fn odd_authorization_headers() {
    let rig = Rig::new().await;
    let token = rig.auth.strip_prefix("Bearer ").unwrap().to_owned();
    let basic = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(format!("okta:{token}"))
    };
    for accepted in [rig.auth.clone(), token.clone(), format!("bearer  {token} "), format!("Basic {basic}")] {
        let mut request = rig.request("GET", "/Users", None);
        request.headers_mut().insert("authorization", accepted.parse().unwrap());
        assert!(rig.sink.admit(request.method(), request.uri().path(), request.headers(), NOW).is_ok());
        rig.send(request).await.expect(200);
    }
    let mut twice = rig.request("GET", "/Users", None);
    twice.headers_mut().append("authorization", rig.auth.parse().unwrap());
    rig.send(twice).await.expect_error(401, None);
    let mut unreadable = rig.request("GET", "/Users", None);
    unreadable.headers_mut().insert("authorization", HeaderValue::from_bytes(b"Bearer \xff").unwrap());
    rig.send(unreadable).await.expect_error(401, None);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_more() {
    let rig = Rig::new().await;
    rig.get("/Users").await;
    rig.store.revoke_scim_key(&rig.key_id, NOW).await.unwrap();
    rig.call("GET", "/Users", None).await.expect_error(401, None);
}

#[tokio::test]
async fn addresses_and_methods() {
    let rig = Rig::new().await;
    for path in
        ["/", "", "/Nothing", "/users", "/Users/a/b", "/Users//", "/Schemas/none", "/ResourceTypes/none"]
    {
        rig.call("GET", path, None).await.expect_error(404, None);
    }
    for (method, path, allow) in [
        ("PUT", "/Users", "GET, POST"),
        ("DELETE", "/Groups", "GET, POST"),
        ("POST", "/Users/x", "GET, PUT, PATCH, DELETE"),
        ("HEAD", "/Bulk", "POST"),
        ("get", "/Users", "GET, POST"),
        ("POST", "/Schemas", "GET"),
        ("GET", "/Bulk", "POST"),
        ("DELETE", "/ServiceProviderConfig", "GET"),
    ] {
        let reply = rig.call(method, path, Some(json!({}))).await;
        assert_eq!(reply.headers["allow"], allow);
        reply.expect_error(405, None);
    }
    rig.call("GET", "/Me", None).await.expect_error(501, None);
}

#[tokio::test]
async fn bodies() {
    let rig = Rig::new().await;
    let with = |media_type: &'static str, body: &'static str| {
        let mut request = rig.request("POST", "/Users", None);
        if !media_type.is_empty() {
            request.headers_mut().insert("content-type", HeaderValue::from_static(media_type));
        }
        *request.body_mut() = Bytes::from_static(body.as_bytes());
        request
    };
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/scim+xml", "application/jsonx"]
    {
        rig.send(with(media_type, "{}")).await.expect_error(415, None);
    }
    for (body, place) in [
        ("{\"userName\": \"a\",\n  \"active\": tru}", "line 2 column 16"),
        ("{\"userName\" \"a\"}", "expected `:` at line 1 column 13"),
        ("{", "line 1 column 1"),
        ("", "line 1 column 0"),
        ("[]", "object"),
        ("\"x\"", "object"),
        ("{} {}", "line 1 column 4"),
    ] {
        let error = rig.send(with("application/json", body)).await.expect_error(400, Some("invalidSyntax"));
        assert!(error["detail"].as_str().unwrap().contains(place), "{body}: {error}");
    }
    for (body, scim_type) in [
        ("{}", "invalidValue"),
        ("{\"userName\": \"\"}", "invalidValue"),
        ("{\"userName\": \"  \"}", "invalidValue"),
        ("{\"userName\": {}}", "invalidValue"),
        ("{\"userName\": [\"a\"]}", "invalidValue"),
        ("{\"userName\": \"a\", \"active\": 1}", "invalidValue"),
        ("{\"userName\": \"a\", \"name\": \"b\"}", "invalidValue"),
        ("{\"userName\": \"a\", \"schemas\": [\"urn:x\"]}", "invalidValue"),
        ("{\"userName\": \"a\", \"schemas\": \"urn:x\"}", "invalidValue"),
        (
            "{\"userName\": \"a\", \"emails\": [{\"value\": \"a\", \"primary\": true}, {\"value\": \"b\", \"primary\": true}]}",
            "invalidValue",
        ),
        ("{\"userName\": \"a\", \"username\": \"b\"}", "invalidSyntax"),
    ] {
        rig.send(with("", body)).await.expect_error(400, Some(scim_type));
    }
    assert_eq!(rig.get("/Users").await["totalResults"], 0);
    let mut accepted = with("Application/SCIM+JSON; charset=utf-8", "{}");
    *accepted.body_mut() = Bytes::from(user_body("a@x").to_string());
    rig.send(accepted).await.expect(201);
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let rig = Rig::new().await;
    let mut request = rig.request("POST", "/Users", None);
    *request.body_mut() = Bytes::from(vec![b' '; MAX_BODY_BYTES + 1]);
    rig.send(request).await.expect_error(413, None);
    let (head, body) = ScimSink::too_large().into_parts();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((head.status.as_u16(), &body["status"]), (413, &json!("413")));
}
