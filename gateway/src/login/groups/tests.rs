use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::claims::tests::claims_with_groups;
use super::*;
use crate::config::IdentityProvider;
use crate::web_client::WebClient;
use crate::web_client::tests::{Server, answer};

const NOW: i64 = 1_800_000_000;

fn provider(base: &str, token: Option<&str>) -> Provider {
    let token = token.map(|token| Secret::new(token.to_owned()));
    let settings = IdentityProvider {
        name: "okta".to_owned(),
        issuer: base.to_owned(),
        client_id: "portcullis".to_owned(),
        client_secret: None,
        pkce: true,
        end_provider_session: false,
        refresh: false,
        scopes: Vec::new(),
        groups_claim: "groups".to_owned(),
        groups_api: Some(GroupsApi { base_url: Url::parse(base).unwrap(), token }),
        entrance: crate::config::Entrance::default(),
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

/// What comes of a missing claim when the API answers so.
async fn fetched(
    reply: impl Fn(&str, &str) -> String + Send + Sync + 'static,
) -> (Result<Vec<String>, ProviderError>, usize) {
    let server = Server::new(reply).await;
    let claims = claims_with_groups(&Value::Null);
    let got = groups_of(&provider(&server.origin, Some("t0ken")), &claims, NOW).await;
    (got, server.requests())
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
    assert!(matches!(cut, Err(ProviderError::TooManyGroups { token_configured: false })), "{cut:?}");
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
    assert!(matches!(got, Err(ProviderError::TooManyGroups { token_configured: true })), "{got:?}");
}

const DATE_LINE: &str = "date: Fri, 15 Jan 2027 08:00:00 GMT\r\n";

#[tokio::test]
async fn a_rate_limit_that_ends_soon_is_waited_for() {
    let limited = std::sync::atomic::AtomicBool::new(true);
    // By the provider's clock the reset is now; by ours it would be an hour ahead.
    let reset = format!("{DATE_LINE}x-rate-limit-reset: {NOW}\r\n");
    let server = Server::new(move |_, _| {
        if limited.swap(false, std::sync::atomic::Ordering::SeqCst) {
            answer(429, &reset, "{\"errorCode\":\"E0000047\"}")
        } else {
            answer(200, "", &page(&names(1)))
        }
    })
    .await;
    let provider = provider(&server.origin, Some("t0ken"));
    let got = groups_of(&provider, &claims_with_groups(&Value::Null), NOW - 3600).await;
    assert_eq!(got.unwrap(), names(1));
    assert_eq!(server.requests(), 2);
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
