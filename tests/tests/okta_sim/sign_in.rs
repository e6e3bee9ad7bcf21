//! Discovery, `/authorize`, the form, the Okta session and logout.

use portcullis_tests::okta::{AuthServer, Endpoint};

use crate::wire::{CALLBACK, authorize_url, code_of, exchange, get, hidden, post_form, sign_in, start};

const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn both_servers_publish_what_okta_publishes_and_nothing_more() {
    let okta = start().await;
    let base = okta.base_url();
    for (server, oidc, oauth) in [
        (AuthServer::Org, "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
        (
            AuthServer::Default,
            "/oauth2/default/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/oauth2/default",
        ),
    ] {
        let document = get(&format!("{base}{oidc}")).await.json();
        assert_eq!(document["issuer"], okta.issuer_of(server));
        assert_eq!(document["token_endpoint"], server.endpoint(base, "token"));
        assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        assert_eq!(document["id_token_signing_alg_values_supported"], serde_json::json!(["RS256"]));
        let fields = document.as_object().unwrap();
        assert!(!fields.contains_key("authorization_response_iss_parameter_supported"));
        assert!(!fields.keys().any(|name| name.contains("channel_logout")), "{fields:?}");
        let metadata = get(&format!("{base}{oauth}")).await.json();
        assert_eq!(metadata["issuer"], okta.issuer_of(server));
    }
    let unknown = get(&format!("{base}/oauth2/unknown/.well-known/openid-configuration")).await;
    assert_eq!((unknown.status, unknown.json()["errorCode"].as_str()), (404, Some("E0000007")));
    assert_eq!(okta.requests(Endpoint::Discovery), 5);
}

#[tokio::test]
async fn a_second_application_needs_no_password_unless_it_asks_for_a_fresh_login() {
    let okta = start().await;
    let url = authorize_url(&okta, AuthServer::Org, "web", &[("login_hint", "engineer@corp.example")]);
    let form = get(&url).await;
    assert!(form.body.contains("value=\"engineer@corp.example\""), "{}", form.body);
    let entered = sign_in(&okta, &url, "engineer", PASSWORD).await;
    assert!(entered.callback().contains_key("code"));
    assert_eq!(entered.header("referrer-policy"), "no-referrer");
    let cookie = entered.cookie();
    let again = |more: &[(&str, &str)]| {
        let url = authorize_url(&okta, AuthServer::Org, "other", more);
        let cookie = cookie.clone();
        async move { crate::wire::ask(&url, "GET", &[("cookie", &cookie)], "").await }
    };
    assert!(again(&[]).await.callback().contains_key("code"));
    assert!(again(&[("prompt", "none")]).await.callback().contains_key("code"));
    for fresh in [("prompt", "login"), ("max_age", "0")] {
        assert_eq!(again(&[fresh]).await.status, 200, "{fresh:?} shows the form");
    }
    okta.deactivate("engineer@corp.example").await.unwrap();
    assert_eq!(again(&[("prompt", "none")]).await.callback()["error"], "login_required");
}

#[tokio::test]
async fn who_may_not_sign_in_stays_at_the_form() {
    let okta = start().await;
    let url = authorize_url(&okta, AuthServer::Org, "web", &[]);
    let wrong = sign_in(&okta, &url, "engineer@corp.example", "wrong").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("Unable to sign in"));
    assert_eq!(wrong.header("set-cookie"), "");
    // The form can be corrected.
    let state_token = hidden(&wrong.body, "stateToken");
    let fields =
        [("stateToken", state_token.as_str()), ("username", "engineer@corp.example"), ("password", PASSWORD)];
    let right = post_form(&format!("{}/login", okta.base_url()), &[], &fields).await;
    assert!(right.callback().contains_key("code"));
    okta.deactivate("designer@corp.example").await.unwrap();
    let gone = sign_in(&okta, &url, "designer@corp.example", PASSWORD).await;
    assert_eq!(gone.status, 401);
    assert!(gone.body.contains("Unable to sign in"));
    okta.reactivate("designer@corp.example").await.unwrap();
    assert_eq!(sign_in(&okta, &url, "designer@corp.example", PASSWORD).await.status, 302);
}

#[tokio::test]
async fn a_person_without_the_application_is_told_so_in_oktas_words() {
    let okta = start().await;
    okta.assign_client("web", Some(vec!["engineer@corp.example".to_owned()])).unwrap();
    let url = authorize_url(&okta, AuthServer::Org, "web", &[]);
    let callback = sign_in(&okta, &url, "designer@corp.example", PASSWORD).await.callback();
    assert_eq!(callback["error"], "access_denied");
    assert_eq!(callback["error_description"], "User is not assigned to the client application.");
    assert_eq!(callback["state"], "the state");
}

#[tokio::test]
async fn faulty_requests_are_told_to_the_callback_or_to_the_person() {
    let okta = start().await;
    for (client, more, error) in [
        ("web", &[("state", "")][..], "invalid_request"),
        ("web", &[("response_type", "token")], "unsupported_response_type"),
        ("web", &[("scope", "openid nonsense")], "invalid_scope"),
        ("web", &[("code_challenge_method", "plain")], "invalid_request"),
        ("web", &[("response_mode", "okta_post_message")], "unsupported_response_mode"),
        ("web", &[("prompt", "none")], "login_required"),
        ("native", &[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
    ] {
        let reply = get(&authorize_url(&okta, AuthServer::Org, client, more)).await;
        assert_eq!(reply.callback()["error"], error, "{more:?}");
    }
    for (padding, status) in [(1024 - "openid".len(), 200), (1025 - "openid".len(), 302)] {
        let scope = format!("openid{}", " ".repeat(padding));
        let reply = get(&authorize_url(&okta, AuthServer::Org, "web", &[("scope", &scope)])).await;
        assert_eq!(reply.status, status, "a scope of {} characters", scope.len());
    }
    for (client, more) in [("nobody", &[][..]), ("web", &[("redirect_uri", "https://evil.example/")])] {
        let reply = get(&authorize_url(&okta, AuthServer::Org, client, more)).await;
        assert_eq!((reply.status, reply.header("location")), (400, ""));
    }
    okta.set_custom_policy(false);
    let callback = get(&authorize_url(&okta, AuthServer::Default, "web", &[])).await.callback();
    assert!(callback["error_description"].starts_with("Policy evaluation failed"));
}

#[tokio::test]
async fn a_pushed_request_is_used_once_by_its_client() {
    let okta = start().await;
    let secret = crate::wire::basic("web", crate::wire::SECRET);
    let fields =
        [("redirect_uri", CALLBACK), ("response_type", "code"), ("scope", "openid"), ("state", "pushed")];
    let mut with_id = vec![("client_id", "web")];
    with_id.extend(fields);
    let par = AuthServer::Org.endpoint(okta.base_url(), "par");
    let pushed = post_form(&par, &[("authorization", &secret)], &with_id).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let url = |client| {
        let authorize = AuthServer::Org.endpoint(okta.base_url(), "authorize");
        format!("{authorize}?client_id={client}&request_uri={uri}")
    };
    assert_eq!(get(&url("other")).await.status, 400);
    let entered = sign_in(&okta, &url("web"), "engineer@corp.example", PASSWORD).await;
    assert_eq!(entered.callback()["state"], "pushed");
    assert_eq!(get(&url("web")).await.status, 400);
}

#[tokio::test]
async fn logout_needs_a_hint_and_a_registered_address() {
    let okta = start().await;
    let mut client = portcullis_tests::okta::Client::confidential("web", crate::wire::SECRET, CALLBACK);
    client.post_logout_redirect_uris = vec!["https://auth.localhost/bye".to_owned()];
    okta.add_client(client);
    let url = authorize_url(&okta, AuthServer::Org, "web", &[]);
    let entered = sign_in(&okta, &url, "engineer@corp.example", PASSWORD).await;
    let token =
        exchange(&okta, &entered.callback()["code"]).await.json()["id_token"].as_str().unwrap().to_owned();
    let cookie = entered.cookie();
    let logout = AuthServer::Org.endpoint(okta.base_url(), "logout");
    let bye = "post_logout_redirect_uri=https://auth.localhost/bye&state=s";
    assert_eq!(get(&format!("{logout}?{bye}")).await.status, 400);
    assert_eq!(get(&format!("{logout}?{bye}&id_token_hint={token}x")).await.status, 400);
    let elsewhere = format!("{logout}?post_logout_redirect_uri=https://evil.example&id_token_hint={token}");
    assert_eq!(get(&elsewhere).await.status, 400);
    let right = format!("{logout}?{bye}&id_token_hint={token}");
    let out = crate::wire::ask(&right, "GET", &[("cookie", &cookie)], "").await;
    assert_eq!((out.status, out.header("location")), (302, "https://auth.localhost/bye?state=s"));
    let url = authorize_url(&okta, AuthServer::Org, "web", &[("prompt", "none")]);
    let silent = crate::wire::ask(&url, "GET", &[("cookie", &cookie)], "").await;
    assert_eq!(silent.callback()["error"], "login_required");
}

#[tokio::test]
async fn a_code_of_somebody_deactivated_meanwhile_is_worth_nothing() {
    let okta = start().await;
    let code = code_of(&okta, "engineer@corp.example").await;
    okta.deactivate("engineer@corp.example").await.unwrap();
    let refused = exchange(&okta, &code).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_grant")));
}
