//! `/token`, ID tokens good and spoilt, the groups claim, keys and userinfo.

use std::time::Duration;

use portcullis_tests::okta::company::{COLLECTOR, COLLECTOR_GROUPS};
use portcullis_tests::okta::{
    AuthServer, CLAIM_LIMIT, CODE_LIFETIME_S, ClaimMode, Endpoint, GroupFilter, REFRESH_LEEWAY_S, Spoil,
    TOO_MANY_GROUPS,
};
use serde_json::Value;

use crate::wire::{
    CALLBACK, SECRET, VERIFIER, ask, authorize_url, basic, code_of, exchange, get, id_token_of, post_form,
    sign_in, start, verify,
};

const ENGINEER: &str = "engineer@corp.example";

type Fields<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn the_id_token_has_oktas_claims() {
    let okta = start().await;
    let reply = exchange(&okta, &code_of(&okta, ENGINEER).await).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, "no-cache, no-store"));
    let body = reply.json();
    let claims = verify(&okta, AuthServer::Org, body["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["sub"], okta.person_id(ENGINEER).unwrap());
    assert_eq!(claims["aud"], "web");
    assert_eq!(claims["nonce"], "the nonce");
    assert_eq!((&claims["ver"], &claims["amr"][0]), (&1.into(), &"pwd".into()));
    assert_eq!((&claims["email"], &claims["email_verified"]), (&ENGINEER.into(), &true.into()));
    assert_eq!(claims["groups"], serde_json::json!(["Everyone", "Engineering"]));
    assert!(claims["jti"].as_str().unwrap().starts_with("ID."));
    for name in ["iat", "exp", "auth_time", "idp", "at_hash", "preferred_username"] {
        assert!(!claims[name].is_null(), "{name}");
    }
    let bearer = format!("Bearer {}", body["access_token"].as_str().unwrap());
    let userinfo = AuthServer::Org.endpoint(okta.base_url(), "userinfo");
    let told = ask(&userinfo, "GET", &[("authorization", &bearer)], "").await.json();
    assert_eq!((&told["sub"], &told["groups"]), (&claims["sub"], &claims["groups"]));
    assert_eq!(get(&userinfo).await.status, 401);
}

#[tokio::test]
async fn the_custom_server_signs_its_access_token_too() {
    let okta = start().await;
    let url = authorize_url(&okta, AuthServer::Default, "native", &[]);
    let code = sign_in(&okta, &url, ENGINEER, "correct horse").await.callback()["code"].clone();
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "native"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let body = post_form(&AuthServer::Default.endpoint(okta.base_url(), "token"), &[], &fields).await.json();
    let claims = verify(&okta, AuthServer::Default, body["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["iss"], format!("{}/oauth2/default", okta.base_url()));
    assert!(verify(&okta, AuthServer::Org, body["id_token"].as_str().unwrap()).await.is_err());
    let parts = body["access_token"].as_str().unwrap().split('.').count();
    assert_eq!(parts, 3);
}

#[tokio::test]
async fn credentials_and_codes_are_checked() {
    let okta = start().await;
    let token = AuthServer::Org.endpoint(okta.base_url(), "token");
    let right = basic("web", SECRET);
    let cases: [(&str, Fields<'_>, Fields<'_>, u16, &str); 7] = [
        ("wrong secret", &[("authorization", &basic("web", "wrong"))], &[], 401, "invalid_client"),
        ("no secret", &[], &[("client_id", "web")], 401, "invalid_client"),
        ("unknown client", &[("authorization", &basic("nobody", "x"))], &[], 401, "invalid_client"),
        (
            "both credentials",
            &[("authorization", &right)],
            &[("client_id", "web"), ("client_secret", SECRET)],
            400,
            "invalid_request",
        ),
        (
            "another client's code",
            &[("authorization", &basic("other", "another secret"))],
            &[],
            400,
            "invalid_grant",
        ),
        (
            "another address",
            &[("authorization", &right)],
            &[("redirect_uri", "https://x/")],
            400,
            "invalid_grant",
        ),
        ("wrong verifier", &[("authorization", &right)], &[("code_verifier", "wrong")], 400, "invalid_grant"),
    ];
    for (name, headers, more, status, error) in cases {
        let code = code_of(&okta, ENGINEER).await;
        let mut fields = more.to_vec();
        for field in [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ] {
            if !fields.iter().any(|(known, _)| *known == field.0) {
                fields.push(field);
            }
        }
        let reply = post_form(&token, headers, &fields).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (status, Some(error)), "{name}");
    }
    let code = code_of(&okta, ENGINEER).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("client_secret", SECRET),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(post_form(&token, &[], &fields).await.status, 200, "client_secret_post");
    assert_eq!(exchange(&okta, &code).await.json()["error"], "invalid_grant", "a code is used once");
}

#[tokio::test]
async fn a_code_lives_five_minutes() {
    let okta = start().await;
    let code = code_of(&okta, ENGINEER).await;
    okta.advance_clock(Duration::from_secs(CODE_LIFETIME_S));
    assert_eq!(exchange(&okta, &code).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_of_a_public_client_rotate_and_die_with_reuse_and_with_the_person() {
    let okta = start().await;
    let url = authorize_url(&okta, AuthServer::Org, "native", &[("scope", "openid offline_access")]);
    let code = sign_in(&okta, &url, ENGINEER, "correct horse").await.callback()["code"].clone();
    let token = AuthServer::Org.endpoint(okta.base_url(), "token");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "native"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let first = post_form(&token, &[], &fields).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let refresh = async |token_text: &str| {
        let fields =
            [("grant_type", "refresh_token"), ("client_id", "native"), ("refresh_token", token_text)];
        post_form(&token, &[], &fields).await.json()
    };
    let body = refresh(&first).await;
    let second = body["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let claims = verify(&okta, AuthServer::Org, body["id_token"].as_str().unwrap()).await.unwrap();
    assert!(claims["nonce"].is_null());
    assert!(refresh(&first).await["refresh_token"].is_string(), "within the leeway");
    okta.advance_clock(Duration::from_secs(REFRESH_LEEWAY_S + 1));
    assert_eq!(refresh(&first).await["error"], "invalid_grant", "reuse");
    assert_eq!(refresh(&second).await["error"], "invalid_grant", "the whole family is gone");
}

#[tokio::test]
async fn refresh_fails_for_somebody_deactivated() {
    let okta = start().await;
    let url = authorize_url(&okta, AuthServer::Org, "web", &[("scope", "openid offline_access")]);
    let code = sign_in(&okta, &url, ENGINEER, "correct horse").await.callback()["code"].clone();
    let kept = exchange(&okta, &code).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let header = basic("web", SECRET);
    let token = AuthServer::Org.endpoint(okta.base_url(), "token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", kept.as_str())];
    let again = post_form(&token, &[("authorization", &header)], &fields).await.json();
    assert_eq!(again["refresh_token"], kept, "a confidential client keeps its token");
    okta.deactivate(ENGINEER).await.unwrap();
    let refused = post_form(&token, &[("authorization", &header)], &fields).await.json();
    assert_eq!(refused["error"], "invalid_grant");
}

#[tokio::test]
async fn above_a_hundred_groups_the_claim_does_what_it_is_told() {
    let okta = start().await;
    let groups = async || verify(&okta, AuthServer::Org, &id_token_of(&okta, COLLECTOR).await).await.unwrap();
    assert_eq!(groups().await["groups"].as_array().unwrap().len(), COLLECTOR_GROUPS + 1);
    okta.set_groups_claim(ClaimMode::CutAtLimit, GroupFilter::Everything);
    assert_eq!(groups().await["groups"].as_array().unwrap().len(), CLAIM_LIMIT);
    okta.set_groups_claim(ClaimMode::Absent, GroupFilter::Everything);
    assert_eq!(groups().await["groups"], Value::Null);
    okta.set_groups_claim(ClaimMode::RefuseAboveLimit, GroupFilter::Everything);
    let refused = exchange(&okta, &code_of(&okta, COLLECTOR).await).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error_description"], TOO_MANY_GROUPS);
    okta.set_groups_claim(ClaimMode::RefuseAboveLimit, GroupFilter::StartsWith("Eng".to_owned()));
    assert_eq!(groups().await["groups"], serde_json::json!(["Engineering"]));
    okta.set_groups_claim(ClaimMode::Whole, GroupFilter::Equals("Nothing".to_owned()));
    assert_eq!(groups().await["groups"], Value::Null);
}

#[tokio::test]
async fn keys_rotate_announced_and_unannounced() {
    let okta = start().await;
    let keys = AuthServer::Org.endpoint(okta.base_url(), "keys");
    let kids = async || {
        let reply = get(&keys).await;
        assert_eq!(reply.header("cache-control"), "max-age=3600, must-revalidate");
        let keys = reply.json()["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = kids().await;
    assert_eq!(before.len(), 2);
    let old = okta.current_kid(AuthServer::Org);
    okta.rotate_keys();
    let new = okta.current_kid(AuthServer::Org);
    assert!(new != old && before.contains(&new), "the next key was published before");
    assert!(!kids().await.contains(&old));
    let token = id_token_of(&okta, ENGINEER).await;
    assert!(verify(&okta, AuthServer::Org, &token).await.is_ok());
    let announced = kids().await;
    okta.rotate_keys_in_emergency();
    assert!(kids().await.iter().all(|kid| !announced.contains(kid)));
    assert!(verify(&okta, AuthServer::Org, &token).await.is_err());
    assert_eq!(okta.requests(Endpoint::Keys), 6);
}

#[tokio::test]
async fn spoilt_tokens_are_spoilt_in_the_one_way_asked_for() {
    let okta = start().await;
    for (spoil, complaint) in [
        (Spoil::WrongAudience, "InvalidAudience"),
        (Spoil::WrongIssuer, "InvalidIssuer"),
        (Spoil::HmacWithPublicKey, "InvalidAlgorithm"),
        (Spoil::Expired, "ExpiredSignature"),
        (Spoil::UnknownKey, "unknown kid"),
        (Spoil::BrokenSignature, "InvalidSignature"),
        (Spoil::MissingSubject, "sub"),
        (Spoil::AlgNone, "none"),
    ] {
        okta.spoil_id_tokens(Some(spoil));
        let token = id_token_of(&okta, ENGINEER).await;
        let error = verify(&okta, AuthServer::Org, &token).await.expect_err("spoilt");
        assert!(error.contains(complaint), "{spoil:?}: {error}");
    }
    let opened = async |spoil| {
        okta.spoil_id_tokens(spoil);
        verify(&okta, AuthServer::Org, &id_token_of(&okta, ENGINEER).await).await.unwrap()
    };
    let good = opened(None).await;
    assert_eq!(opened(Some(Spoil::Replayed)).await["jti"], good["jti"]);
    assert_ne!(opened(Some(Spoil::WrongNonce)).await["nonce"], "the nonce");
    assert!(opened(Some(Spoil::MissingNonce)).await["nonce"].is_null());
    assert_eq!(opened(Some(Spoil::EmailUnverified)).await["email_verified"], false);
    assert!(
        opened(Some(Spoil::FromTheFuture)).await["iat"].as_u64() > good["exp"].as_u64().map(|exp| exp - 60)
    );
}
