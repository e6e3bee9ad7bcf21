use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_store::Secret;

use serde_json::{Value, json};
use url::Url;

use super::super::claims::tests::claims_with_groups;
use super::api::{MAX_GROUP_PAGES, MAX_RATE_LIMIT_WAITS, first_page};
use super::*;
use crate::config::{ClientKey, GroupsApi, GroupsCredentials, IdentityProvider, ServiceApp};
use crate::login::claims::MAX_GROUPS;
use crate::web_client::WebClient;
use crate::web_client::tests::{Server, answer};

const NOW: i64 = 1_800_000_000;

fn provider(base: &str, token: Option<&str>) -> Provider {
    let credentials = token.map(|token| GroupsCredentials::Token(Secret::new(token.to_owned())));
    provider_of(base, credentials, GroupsSource::Token)
}

fn provider_of(base: &str, credentials: Option<GroupsCredentials>, source: GroupsSource) -> Provider {
    let settings = IdentityProvider {
        groups_source: source,
        groups_api: Some(GroupsApi { base_url: Url::parse(base).unwrap(), credentials }),
        ..IdentityProvider::public_client(base)
    };
    Provider::new(Arc::new(settings), Arc::new(WebClient::new(Duration::from_secs(20)).unwrap()))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("Group {number}")).collect()
}

/// A page of the API as Okta writes it.
fn page(names: &[String]) -> String {
    let groups: Vec<Value> = names
        .iter()
        .map(|name| json!({"id": "00g", "type": "OKTA_GROUP", "profile": {"name": name}}))
        .collect();
    json!(groups).to_string()
}

/// An API whose people are all active, and answers so about their groups.
async fn api(reply: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Server {
    Server::new(move |own, request| match request.split(' ').nth(1).unwrap() {
        "/api/v1/users/00u1" => answer(200, "", r#"{"id":"00u1","status":"ACTIVE"}"#),
        _ => reply(own, request),
    })
    .await
}

/// What comes of a missing claim when the API answers so.
async fn fetched(
    reply: impl Fn(&str, &str) -> String + Send + Sync + 'static,
) -> (Result<Vec<String>, ProviderError>, usize) {
    let server = api(reply).await;
    let claims = claims_with_groups(&Value::Null);
    let got = groups_of(&provider(&server.origin, Some("t0ken")), &claims, NOW).await;
    (got, server.requests() - 1)
}

#[tokio::test]
async fn a_claim_is_believed_unless_it_may_have_been_cut() {
    // Nothing listens there: an answer shows that nobody was asked.
    let none = provider("http://127.0.0.1:1", None);
    let of = async |names: Value| groups_of(&none, &claims_with_groups(&names), NOW).await;
    assert_eq!(of(json!(names(99))).await.unwrap().len(), 99);
    assert_eq!(of(json!(names(101))).await.unwrap().len(), 101);
    assert_eq!(of(Value::Null).await.unwrap(), Vec::<String>::new());
    let cut = of(json!(names(CLAIM_CUT))).await;
    assert!(matches!(cut, Err(ProviderError::TooManyGroups { api_configured: false })), "{cut:?}");
    let some = provider("http://127.0.0.1:1", Some("t0ken"));
    assert_eq!(groups_of(&some, &claims_with_groups(&json!(names(99))), NOW).await.unwrap().len(), 99);
    for asked in [Value::Null, json!(names(100)), json!(names(101))] {
        let got = groups_of(&some, &claims_with_groups(&asked), NOW).await;
        assert!(matches!(got, Err(ProviderError::Unreachable { .. })), "the API is asked: {got:?}");
    }
}

#[tokio::test]
async fn all_pages_are_read_by_their_links() {
    let (got, requests) = fetched(|own, request| {
        assert!(request.contains("authorization: SSWS t0ken\r\n"), "{request}");
        let own_path = "/api/v1/users/00u1/groups";
        let link = |after: &str| {
            format!(
                "link: <{own}{own_path}?limit=200>; rel=\"self\"\r\nlink: <{own}{own_path}?after=a,{after}&limit=200>; rel=\"next\"\r\n"
            )
        };
        match request.split(' ').nth(1).unwrap() {
            "/api/v1/users/00u1/groups?limit=200" => answer(200, &link("1"), &page(&names(200))),
            "/api/v1/users/00u1/groups?after=a,1&limit=200" => answer(200, &link("2"), &page(&names(250)[200..])),
            "/api/v1/users/00u1/groups?after=a,2&limit=200" => answer(200, "", "[]"),
            other => answer(404, "", other),
        }
    })
    .await;
    assert_eq!(got.unwrap(), names(250));
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn the_token_is_not_carried_to_another_origin() {
    let thief = Server::new(|_, _| answer(200, "", "[]")).await;
    let link = format!("link: <{}/api/v1/users/00u1/groups?after=1>; rel=\"next\"\r\n", thief.origin);
    let (got, _) = fetched(move |_, _| answer(200, &link, "[]")).await;
    assert!(matches!(got, Err(ProviderError::GroupsApiBroken { .. })), "{got:?}");
    assert_eq!(thief.requests(), 0);
}

#[tokio::test]
async fn pages_without_end_are_given_up() {
    let (got, requests) =
        fetched(|own, _| answer(200, &format!("link: <{own}/more>; rel=\"next\"\r\n"), "[]")).await;
    assert!(matches!(got, Err(ProviderError::GroupsApiBroken { .. })), "{got:?}");
    assert_eq!(requests, MAX_GROUP_PAGES);
}

#[tokio::test]
async fn groups_without_end_are_given_up() {
    let (got, _) = fetched(|_, _| answer(200, "", &page(&names(MAX_GROUPS + 1)))).await;
    assert!(matches!(got, Err(ProviderError::TooManyGroups { api_configured: true })), "{got:?}");
}

const DATE_LINE: &str = "date: Fri, 15 Jan 2027 08:00:00 GMT\r\n";

#[tokio::test]
async fn a_rate_limit_that_ends_soon_is_waited_for() {
    let limited = std::sync::atomic::AtomicBool::new(true);
    // By the provider's clock the reset is now; by ours it would be an hour ahead.
    let reset = format!("{DATE_LINE}x-rate-limit-reset: {NOW}\r\n");
    let server = api(move |_, _| {
        if limited.swap(false, Ordering::SeqCst) {
            answer(429, &reset, "{\"errorCode\":\"E0000047\"}")
        } else {
            answer(200, "", &page(&names(1)))
        }
    })
    .await;
    let provider = provider(&server.origin, Some("t0ken"));
    let got = groups_of(&provider, &claims_with_groups(&Value::Null), NOW - 3600).await;
    assert_eq!(got.unwrap(), names(1));
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn a_rate_limit_ends_patience_by_time_or_by_count() {
    let far = format!("{DATE_LINE}x-rate-limit-reset: {}\r\n", NOW + 30);
    let (got, requests) = fetched(move |_, _| answer(429, &far, "{}")).await;
    assert!(matches!(got, Err(ProviderError::GroupsRateLimited)), "{got:?}");
    assert_eq!(requests, 1);
    let at_once = format!("{DATE_LINE}x-rate-limit-reset: {NOW}\r\n");
    let (got, requests) = fetched(move |_, _| answer(429, &at_once, "{}")).await;
    assert!(matches!(got, Err(ProviderError::GroupsRateLimited)), "{got:?}");
    assert_eq!(requests, 1 + MAX_RATE_LIMIT_WAITS as usize);
}

#[tokio::test]
async fn refusals_keep_their_cause() {
    for (status, body, code) in [
        (401, "{\"errorCode\":\"E0000011\"}", "groups_token_refused"),
        (403, "{\"errorCode\":\"E0000006\"}", "groups_forbidden"),
        (404, "{\"errorCode\":\"E0000007\"}", "groups_user_unknown"),
        (503, "<html>", "groups_api_broken"),
        (302, "", "groups_api_broken"),
        (200, "<html>", "groups_api_broken"),
        (200, "{\"errorCode\":\"E0000009\"}", "groups_api_broken"),
        (200, "[{\"id\":\"00g\"}]", "groups_api_broken"),
    ] {
        let (got, _) = fetched(move |_, _| answer(status, "", body)).await;
        assert_eq!(got.unwrap_err().code(), code, "{status} {body}");
    }
    let forbidden = ProviderError::GroupsForbidden.to_string();
    assert!(forbidden.contains("may not read") && forbidden.contains("ThreatInsight"), "{forbidden}");
}

#[tokio::test]
async fn whoever_is_suspended_is_refused_whatever_their_groups() {
    for (body, code) in [
        (r#"{"status":"SUSPENDED"}"#, "person_inactive"),
        (r#"{"status":"DEPROVISIONED"}"#, "person_inactive"),
        (r#"{"status":"LOCKED_OUT"}"#, "person_inactive"),
        (r#"{"status":7}"#, "groups_api_broken"),
        ("{}", "groups_api_broken"),
    ] {
        let server = Server::new(move |_, _| answer(200, "", body)).await;
        let provider = provider(&server.origin, Some("t0ken"));
        let got = groups_of(&provider, &claims_with_groups(&Value::Null), NOW).await;
        assert_eq!(got.unwrap_err().code(), code, "{body}");
        assert_eq!(server.requests(), 1, "nobody asks for the groups of {body}");
    }
}

#[tokio::test]
async fn the_source_says_whose_word_counts() {
    let few = claims_with_groups(&json!(["Claimed", "Group 0"]));
    for (source, expected, requests) in [
        (GroupsSource::Token, vec!["Claimed", "Group 0"], 0),
        (GroupsSource::Api, vec!["Group 0", "Group 1"], 2),
        (GroupsSource::Union, vec!["Claimed", "Group 0", "Group 1"], 2),
    ] {
        let server = api(|_, _| answer(200, "", &page(&names(2)))).await;
        let token = GroupsCredentials::Token(Secret::new("t0ken".to_owned()));
        let provider = provider_of(&server.origin, Some(token), source);
        assert_eq!(groups_of(&provider, &few, NOW).await.unwrap(), expected, "{source:?}");
        assert_eq!(server.requests(), requests, "{source:?}");
    }
}

/// A P-256 key, as PEM.
fn key() -> ClientKey {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap().to_pkcs8v1().unwrap();
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    ClientKey::new(Secret::new(pem), None, jsonwebtoken::Algorithm::ES256).unwrap()
}

/// An organisation with a service app: its tokens are `access-1`, `access-2` and so on, of which only some are good.
async fn app_rig(
    good: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> (Server, Provider, Arc<AtomicUsize>) {
    let granted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&granted);
    let server = Server::new(move |_, request| {
        if request.starts_with("POST /oauth2/v1/token ") {
            assert!(request.contains("grant_type=client_credentials&scope=okta.users.read&"), "{request}");
            assert!(
                request.contains("client_assertion=ey") && !request.contains("authorization:"),
                "{request}"
            );
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!("access-{number}");
            let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 600});
            return answer(200, "", &body.to_string());
        }
        let number = counter.load(Ordering::SeqCst);
        if !request.contains(&format!("authorization: Bearer access-{number}\r\n")) || !good(number) {
            return answer(401, "", r#"{"errorCode":"E0000011"}"#);
        }
        match request.split(' ').nth(1).unwrap() {
            "/api/v1/users/00u1" => answer(200, "", r#"{"status":"ACTIVE"}"#),
            _ => answer(200, "", &page(&names(2))),
        }
    })
    .await;
    let scopes = vec!["okta.users.read".to_owned()];
    let app = ServiceApp { client_id: "0oaService".to_owned(), key: key(), scopes };
    let credentials = Some(GroupsCredentials::ServiceApp(app));
    let provider = provider_of(&server.origin, credentials, GroupsSource::Api);
    (server, provider, granted)
}

#[tokio::test]
async fn a_service_app_fetches_its_token_once_until_shortly_before_its_end() {
    let (_server, provider, granted) = app_rig(|_| true).await;
    let claims = claims_with_groups(&Value::Null);
    let at = async |now: i64| groups_of(&provider, &claims, now).await.unwrap();
    let logins = (0..20).map(|_| at(NOW));
    assert!(futures_util::future::join_all(logins).await.into_iter().all(|got| got == names(2)));
    at(NOW + 539).await;
    assert_eq!(granted.load(Ordering::SeqCst), 1);
    at(NOW + 540 + answers::ANSWER_LIFE_S).await;
    assert_eq!(granted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_service_apps_token_that_ended_early_is_replaced_once() {
    let (_server, provider, granted) = app_rig(|number| number > 1).await;
    let claims = claims_with_groups(&Value::Null);
    assert_eq!(groups_of(&provider, &claims, NOW).await.unwrap(), names(2));
    assert_eq!(granted.load(Ordering::SeqCst), 2);
    let (_server, provider, granted) = app_rig(|_| false).await;
    let got = groups_of(&provider, &claims, NOW).await;
    assert!(matches!(got, Err(ProviderError::GroupsToken)), "{got:?}");
    assert_eq!(granted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_service_app_is_told_with_its_cause() {
    for (status, body, code) in [
        (
            401,
            json!({"error": "invalid_client", "error_description": "The kid is unknown"}),
            "service_app_refused",
        ),
        (400, json!({"error": "invalid_scope", "error_description": "not granted"}), "service_app_refused"),
        (400, json!({"error": "invalid_dpop_proof"}), "service_app_refused"),
        (200, json!({"access_token": "a", "token_type": "DPoP", "expires_in": 60}), "provider_bad_answer"),
        (503, json!({}), "provider_bad_answer"),
    ] {
        let text = body.to_string();
        let server = Server::new(move |_, _| answer(status, "", &text)).await;
        let app = ServiceApp { client_id: "0oaService".to_owned(), key: key(), scopes: Vec::new() };
        let credentials = Some(GroupsCredentials::ServiceApp(app));
        let provider = provider_of(&server.origin, credentials, GroupsSource::Api);
        let error = groups_of(&provider, &claims_with_groups(&Value::Null), NOW).await.unwrap_err();
        assert_eq!(error.code(), code, "{body}");
        let cause = body["error"].as_str().unwrap_or_default();
        assert!(error.to_string().contains(cause), "{error}");
    }
}

#[test]
fn a_sub_is_one_segment_of_the_path_and_never_the_administrator() {
    let base = Url::parse("https://corp.okta.example/").unwrap();
    let path = |sub| first_page(&base, sub).unwrap().to_string();
    assert_eq!(path("00u1"), "https://corp.okta.example/api/v1/users/00u1/groups?limit=200");
    assert_eq!(
        path("a/../b?c#d"),
        "https://corp.okta.example/api/v1/users/a%2F..%2Fb%3Fc%23d/groups?limit=200"
    );
    for sub in ["me", "ME", ".", "..", "", "%2e", "%2e%2E", ".%2e"] {
        let got = first_page(&base, sub);
        let harmless = got
            .as_ref()
            .is_ok_and(|page| page.path().split('/').nth(4).is_some_and(|segment| segment.contains("%25")));
        assert!(harmless || matches!(got, Err(ProviderError::GroupsUserUnknown)), "{sub}: {got:?}");
    }
}
