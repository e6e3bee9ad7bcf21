//! Okta's own verifier judges what the simulator mints: it must take the good tokens and refuse the spoilt ones, or the
//! simulator has an idea of its own of what Okta sends.

use std::collections::HashMap;
use std::time::Duration;

use portcullis_tests::okta::{AuthServer, OktaSim, Spoil};
use portcullis_tests::outside::Script;
use serde_json::{Value, json};

use crate::wire::{
    CALLBACK, VERIFIER, authorize_url, code_of, exchange, id_token_of, post_form, sign_in, start,
};

const ENGINEER: &str = "engineer@corp.example";
const PATIENCE: Duration = Duration::from_secs(60);

/// What the verifier says of each token: its claims, or the reason of the refusal.
async fn judged(argument: &Value) -> HashMap<String, Result<Value, String>> {
    let said = Script::start("okta_verifier.mjs", argument).over(PATIENCE).await.unwrap();
    let verdicts = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let verdict = |said: Value| {
        let judged = match said["refused"].as_str() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(said["claims"].clone()),
        };
        (said["what"].as_str().unwrap().to_owned(), judged)
    };
    verdicts.map(verdict).collect()
}

fn of_organisation(okta: &OktaSim, tokens: &Value) -> Value {
    // An organisation's server publishes its keys elsewhere than a custom one, so the address is told.
    let keys = AuthServer::Org.endpoint(okta.base_url(), "keys");
    json!({
        "issuer": okta.issuer(), "jwksUri": keys, "clientId": "web", "nonce": "the nonce", "idTokens": tokens,
    })
}

#[tokio::test]
async fn oktas_verifier_takes_the_tokens_of_both_servers() {
    let okta = start().await;
    let body = exchange(&okta, &code_of(&okta, ENGINEER).await).await.json();
    let verdicts = judged(&of_organisation(&okta, &json!({ "good": body["id_token"] }))).await;
    let claims = verdicts["good"].as_ref().unwrap();
    assert_eq!((&claims["email"], &claims["aud"]), (&json!(ENGINEER), &json!("web")));

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
    let argument = json!({
        "issuer": okta.issuer_of(AuthServer::Default), "clientId": "native", "nonce": "the nonce",
        "audience": "api://default",
        "idTokens": { "id": body["id_token"] }, "accessTokens": { "access": body["access_token"] },
    });
    let verdicts = judged(&argument).await;
    assert_eq!(verdicts["id"].as_ref().unwrap()["aud"], "native");
    let access = verdicts["access"].as_ref().unwrap();
    assert_eq!((&access["sub"], &access["cid"]), (&json!(ENGINEER), &json!("native")), "{access}");
}

#[tokio::test]
async fn oktas_verifier_goes_on_when_keys_rotate() {
    let okta = start().await;
    okta.rotate_keys();
    let signed = id_token_of(&okta, ENGINEER).await;
    let verdicts = judged(&of_organisation(&okta, &json!({ "signed": signed }))).await;
    assert!(verdicts["signed"].is_ok(), "{verdicts:?}");
    okta.rotate_keys_in_emergency();
    let verdicts = judged(&of_organisation(&okta, &json!({ "signed": signed }))).await;
    assert!(verdicts["signed"].is_err(), "a key that is not published any more is believed");
}

#[tokio::test]
async fn oktas_verifier_refuses_the_spoilt_ones() {
    const SPOILT: [Spoil; 9] = [
        Spoil::WrongAudience,
        Spoil::WrongIssuer,
        Spoil::AlgNone,
        Spoil::HmacWithPublicKey,
        Spoil::Expired,
        Spoil::WrongNonce,
        Spoil::MissingNonce,
        Spoil::UnknownKey,
        Spoil::BrokenSignature,
    ];
    let okta = start().await;
    let mut tokens = serde_json::Map::new();
    for spoil in SPOILT {
        okta.spoil_id_tokens(Some(spoil));
        tokens.insert(format!("{spoil:?}"), id_token_of(&okta, ENGINEER).await.into());
    }
    let verdicts = judged(&of_organisation(&okta, &tokens.into())).await;
    assert_eq!(verdicts.len(), SPOILT.len());
    for (what, verdict) in verdicts {
        println!("{what}: {verdict:?}");
        assert!(verdict.is_err(), "Okta's verifier believes a token with {what}");
    }
}
