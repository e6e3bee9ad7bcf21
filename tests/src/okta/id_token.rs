//! What the tokens and `/userinfo` say of a person, and the ways in which an ID token can be made wrong on purpose.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Okta;
use super::exchange::{Answer, Ask};
use super::grants::{Grant, TOKEN_LIFETIME_S};
use super::groups_claim::{self, TooManyGroups};
use super::keys::{Signing, half_hash, random_id};
use super::state::{Account, okta_id};

/// One fault of every ID token that is minted while it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoil {
    /// `aud` names another client.
    WrongAudience,
    /// `iss` names another org.
    WrongIssuer,
    /// Unsigned, `alg` `none`.
    AlgNone,
    /// HS256, with the published key as the secret.
    HmacWithPublicKey,
    /// Good signature, but expired an hour ago.
    Expired,
    /// Issued an hour from now.
    FromTheFuture,
    /// A nonce that the client did not send.
    WrongNonce,
    /// No nonce although the client sent one.
    MissingNonce,
    /// The very token that was minted last, for another login.
    Replayed,
    /// Signed by a key that is not published.
    UnknownKey,
    /// The signature belongs to other contents.
    BrokenSignature,
    /// No `sub`.
    MissingSubject,
    /// The `sub` of somebody else.
    AnotherSubject,
    /// `email_verified` is false.
    EmailUnverified,
    /// Neither `acr` nor `amr` nor `auth_time`.
    Undescribed,
    /// Nothing of the person but `sub`, as a refreshed ID token may be (OpenID Connect Core 1.0 section 12.2).
    Terse,
    /// `at_hash` belongs to another access token.
    WrongAccessTokenHash,
}

/// Claims of the person that a login asks for.
const TOLD_BY_SCOPES: [&str; 5] = ["email", "email_verified", "preferred_username", "name", "groups"];

/// The ID token of the code and refresh grants: the "fat" one, with the claims of all scopes.
pub(super) fn mint(
    shared: &Okta,
    grant: &Grant,
    account: &Account,
    access_token: &str,
) -> Result<String, TooManyGroups> {
    let issuer = grant.server.issuer(&shared.base_url);
    let mut claims = json!({
        "sub": account.id,
        "ver": 1,
        "iss": issuer,
        "aud": grant.client_id,
        "iat": grant.issued_at,
        "exp": grant.issued_at + TOKEN_LIFETIME_S,
        "jti": format!("ID.{}", random_id(32)),
        "amr": methods(grant.acr.as_deref()),
        "idp": okta_id("00o", &shared.base_url),
        "auth_time": grant.auth_time,
        "at_hash": half_hash(shared.signs_with(), access_token),
    });
    if let Some(acr) = &grant.acr {
        claims["acr"] = json!(acr);
    }
    if let Some(nonce) = &grant.nonce {
        claims["nonce"] = json!(nonce);
    }
    describe(shared, grant, account, &mut claims)?;
    let spoil = shared.spoil();
    let signing = spoil.map_or(Signing::Current, |spoil| make_wrong(&mut claims, spoil));
    let mut token = shared.ring(grant.server, |ring| ring.token(&claims, signing));
    if spoil == Some(Spoil::BrokenSignature) {
        claims["email"] = json!("impostor@corp.example");
        token = graft(&token, &claims);
    }
    Ok(shared.last_id_token(token, spoil == Some(Spoil::Replayed)))
}

/// The methods that go with a context (RFC 8176).
fn methods(acr: Option<&str>) -> Vec<&'static str> {
    match acr {
        Some("phr" | "phrh") => vec!["swk", "mfa"],
        Some(acr) if acr.contains(":2fa:") => vec!["pwd", "otp", "mfa"],
        _ => vec!["pwd"],
    }
}

fn make_wrong(claims: &mut Value, spoil: Spoil) -> Signing {
    let hour = TOKEN_LIFETIME_S;
    let issued_at = claims["iat"].as_u64().unwrap_or_default();
    match spoil {
        Spoil::WrongAudience => claims["aud"] = json!("0oaAnotherClientOfTheOrg"),
        Spoil::WrongIssuer => claims["iss"] = json!("https://other.okta.example"),
        Spoil::AlgNone => return Signing::Nothing,
        Spoil::HmacWithPublicKey => return Signing::HmacWithPublicKey,
        Spoil::UnknownKey => return Signing::UnknownKey,
        Spoil::Expired => {
            claims["iat"] = json!(issued_at.saturating_sub(2 * hour));
            claims["exp"] = json!(issued_at.saturating_sub(hour));
        }
        Spoil::FromTheFuture => {
            claims["iat"] = json!(issued_at + hour);
            claims["exp"] = json!(issued_at + 2 * hour);
        }
        Spoil::WrongNonce => claims["nonce"] = json!(random_id(16)),
        Spoil::MissingNonce => remove(claims, "nonce"),
        Spoil::MissingSubject => remove(claims, "sub"),
        Spoil::AnotherSubject => claims["sub"] = json!("00uSomebodyElse"),
        Spoil::EmailUnverified => claims["email_verified"] = json!(false),
        Spoil::Undescribed => ["acr", "amr", "auth_time"].into_iter().for_each(|name| remove(claims, name)),
        Spoil::Terse => TOLD_BY_SCOPES.into_iter().for_each(|name| remove(claims, name)),
        Spoil::WrongAccessTokenHash => claims["at_hash"] = json!(random_id(16)),
        Spoil::Replayed | Spoil::BrokenSignature => {}
    }
    Signing::Current
}

fn remove(claims: &mut Value, name: &str) {
    if let Some(claims) = claims.as_object_mut() {
        claims.remove(name);
    }
}

/// Puts other claims under the signature of a token.
fn graft(token: &str, claims: &Value) -> String {
    let parts = token.split('.').collect::<Vec<_>>();
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

/// The claims that the scopes ask for.
fn describe(
    shared: &Okta,
    grant: &Grant,
    account: &Account,
    claims: &mut Value,
) -> Result<(), TooManyGroups> {
    let asked = |scope: &str| grant.scopes.iter().any(|asked| asked == scope);
    if asked("profile") {
        claims["name"] = json!(account.display_name());
        claims["preferred_username"] = json!(account.person.login);
        claims["given_name"] = json!(account.person.given_name);
        claims["family_name"] = json!(account.person.family_name);
        claims["locale"] = json!("en_US");
        claims["zoneinfo"] = json!("America/Los_Angeles");
        claims["updated_at"] = json!(shared.started_at);
    }
    if asked("email") {
        claims["email"] = json!(account.email());
        claims["email_verified"] = json!(account.person.email_verified);
    }
    if asked("groups") {
        let org = shared.org();
        let names = org.group_names_of(&account.id);
        if let Some(names) = groups_claim::claim(org.claim_mode, &org.claim_filter, names)? {
            claims["groups"] = json!(names);
        }
    }
    Ok(())
}

/// The access token of the custom authorization server.
pub(super) fn access_claims(shared: &Okta, grant: &Grant, account: &Account) -> Value {
    json!({
        "ver": 1,
        "jti": format!("AT.{}", random_id(32)),
        "iss": grant.server.issuer(&shared.base_url),
        "aud": "api://default",
        "iat": grant.issued_at,
        "exp": grant.issued_at + TOKEN_LIFETIME_S,
        "cid": grant.client_id,
        "uid": account.id,
        "scp": grant.scopes,
        "auth_time": grant.auth_time,
        "sub": account.person.login,
    })
}

/// `/userinfo`: everything the scopes ask for. Too many groups are left out rather than refused: the limit is the token's.
pub(super) fn userinfo(shared: &Okta, ask: &Ask) -> Answer {
    let now = shared.now();
    let grant = ask
        .header(AUTHORIZATION)
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| shared.grants().access(token.trim(), now).cloned());
    let account = grant.as_ref().and_then(|grant| shared.org().account(&grant.person_id).ok().cloned());
    let (Some(grant), Some(account)) = (grant, account) else {
        let text = "error=\"invalid_token\", error_description=\"The access token is invalid\"";
        return Answer::empty(StatusCode::UNAUTHORIZED).with(WWW_AUTHENTICATE, &format!("Bearer {text}"));
    };
    let mut claims = json!({"sub": account.id});
    if describe(shared, &grant, &account, &mut claims).is_err() {
        remove(&mut claims, "groups");
    }
    Answer::json(StatusCode::OK, &claims)
}
