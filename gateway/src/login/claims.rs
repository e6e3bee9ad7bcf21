//! An ID token becomes [`VerifiedClaims`] here and nowhere else (OpenID Connect Core 1.0 section 3.1.3.7). Fetching keys is left to
//! `provider`, groups beyond the claim to `groups`, what a person may do to the policies.
//!
//! Checked by `openidconnect`: three parts and base64url; no `crit`, no `cty`, no encryption, no foreign `typ`; `jwk`, `jku`, `x5u`
//! are never read; `iss` equal as text; `aud` holds our client id and nobody else's; the algorithm is among those allowed, the key is
//! of its kind, and exactly one key fits; the signature; `exp` against the time we give; `nonce` present and equal. A time is a
//! number, floored; one that no calendar holds (`1e300`) does not parse.
//! Checked here: the head, by `header`; the one configured algorithm; 120 s of leeway; `iat` and `nbf`, which the crate does not read; that `exp` makes sense beside `iat`;
//! `azp`; `at_hash`; lengths; that `sub` can be stored and shown; the forms of the e-mail address and of the groups claim.

use std::str::FromStr as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreGenderClaim, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AdditionalClaims, ClaimsVerificationError, ClientId, IdToken, IdTokenClaims, IdTokenVerifier, IssuerUrl,
    Nonce, SignatureVerificationError,
};
use portcullis_policy::EmailAddress;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod header;

use super::provider::{IdTokenFault, ProviderError};
use crate::config::SigningAlgorithm;

/// How far the provider's clock may be off.
pub(crate) const LEEWAY_S: i64 = 120;
/// Longest life of an ID token that is believed to be meant.
pub(crate) const MAX_LIFE_S: i64 = 366 * 24 * 3600;
/// Longest `sub` (OpenID Connect Core 1.0 section 2).
pub(crate) const MAX_SUBJECT_BYTES: usize = 255;
/// Most groups of one person.
pub(crate) const MAX_GROUPS: usize = 10_000;
/// Longest name of a group.
pub(crate) const MAX_GROUP_NAME_BYTES: usize = 512;
/// Most bytes of the claims that only policies and the page about oneself read.
pub(crate) const MAX_OTHERS_BYTES: usize = 64 << 10;
/// Longest name that is kept to be shown.
const MAX_NAME_CHARS: usize = 200;

/// Who logged in: `sub` means something within its issuer only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) issuer: String,
    pub(crate) sub: String,
}

/// The groups claim as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupsClaim {
    /// None, or `null`.
    Missing,
    /// These, possibly none, possibly cut off by the provider.
    Listed(Vec<String>),
}

/// What a verified ID token says. Made by [`verify`] alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub(crate) struct VerifiedClaims {
    pub(crate) subject: Subject,
    /// In normal form, and only if the provider verified it.
    pub(crate) email: Option<String>,
    /// An address came that does not count, since nobody verified it or it has no single reading.
    pub(crate) email_ignored: bool,
    /// Addresses that the provider did not vouch for. They prove nothing, but one of a deactivated person's speaks against.
    pub(crate) unproved_addresses: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) groups: GroupsClaim,
    /// When the person last proved who they are.
    pub(crate) auth_time: Option<i64>,
    /// All else that is about the person, as a JSON object.
    pub(crate) others_json: String,
    /// Nobody outside this file can write one down.
    _verified: Verified,
}

#[derive(Clone, Debug)]
struct Verified(());

/// What this login makes the token have to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) groups_claim: &'a str,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) nonce: ExpectedNonce<'a>,
    pub(super) access_token: Option<&'a str>,
    pub(super) now: i64,
}

/// What binds a token to its login.
#[derive(Clone, Copy)]
pub(super) enum ExpectedNonce<'a> {
    /// The token of a login has this one.
    Exactly(&'a str),
    /// A renewed token has none, or this one (section 12.2).
    SameIfPresent(&'a str),
}

impl ExpectedNonce<'_> {
    fn verify(self, found: Option<&Nonce>) -> Result<(), String> {
        let same = match (self, found) {
            (Self::Exactly(expected) | Self::SameIfPresent(expected), Some(found)) => {
                verify_slices_are_equal(found.secret().as_bytes(), expected.as_bytes()).is_ok()
            }
            (Self::Exactly(_), None) => false,
            (Self::SameIfPresent(_), None) => true,
        };
        if same { Ok(()) } else { Err("another nonce".to_owned()) }
    }
}

/// Every claim that the crate has no field for.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Others(Map<String, Value>);
impl AdditionalClaims for Others {}

type Token = IdToken<Others, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Claims = IdTokenClaims<Others, CoreGenderClaim>;

pub(super) fn verify(
    id_token: &str,
    expected: &Expected<'_>,
    keys: &CoreJsonWebKeySet,
) -> Result<VerifiedClaims, ProviderError> {
    header::check(id_token, expected.algorithm)?;
    let token = Token::from_str(id_token).map_err(|_| IdTokenFault::Malformed)?;
    let verifier = verifier(expected, keys)?;
    let nonce = expected.nonce;
    let claims = token
        .claims(&verifier, |found: Option<&Nonce>| nonce.verify(found))
        .map_err(|error| fault(&error))?;
    let others = &claims.additional_claims().0;
    check_times(claims, others, expected.now)?;
    if claims.authorized_party().is_some_and(|party| party.as_str() != expected.client_id) {
        return Err(IdTokenFault::Audience.into());
    }
    check_access_token(claims, expected)?;
    let address = claims.email().map(|email| email.as_str());
    let verified = claims.email_verified() == Some(true);
    let email = address.filter(|_| verified).and_then(|text| text.parse::<EmailAddress>().ok());
    Ok(VerifiedClaims {
        subject: Subject { issuer: expected.issuer.to_owned(), sub: subject(claims)? },
        email: email.as_ref().map(ToString::to_string),
        email_ignored: address.is_some() && email.is_none(),
        unproved_addresses: unproved(address.filter(|_| email.is_none()), claims),
        name: claims.name().and_then(|name| name.get(None)).and_then(|name| shown(name.as_str())),
        groups: groups(others, expected.groups_claim)?,
        auth_time: claims.auth_time().map(|time| time.timestamp()),
        others_json: others_json(claims, expected.groups_claim)?,
        _verified: Verified(()),
    })
}

/// The longest address that is carried along unproved, in bytes (RFC 5321 section 4.5.3.1).
const MAX_ADDRESS_BYTES: usize = 320;

/// What a login says of itself beside the verified address.
fn unproved(address: Option<&str>, claims: &Claims) -> Vec<String> {
    let username = claims.preferred_username().map(|name| name.as_str());
    let named = address.into_iter().chain(username).filter(|name| !name.is_empty());
    named.filter(|name| name.len() <= MAX_ADDRESS_BYTES).map(str::to_owned).collect()
}

fn verifier<'a>(
    expected: &Expected<'_>,
    keys: &CoreJsonWebKeySet,
) -> Result<IdTokenVerifier<'a, CoreJsonWebKey>, IdTokenFault> {
    let issuer = IssuerUrl::new(expected.issuer.to_owned()).map_err(|_| IdTokenFault::Issuer)?;
    let expiry_is_after = DateTime::<Utc>::from_timestamp(expected.now.saturating_sub(LEEWAY_S), 0);
    let expiry_is_after = expiry_is_after.ok_or(IdTokenFault::Expired)?;
    // As a public client in any case: with our secret the crate would take an HMAC for a signature.
    Ok(IdTokenVerifier::new_public_client(ClientId::new(expected.client_id.to_owned()), issuer, keys.clone())
        .set_allowed_algs([signed_with(expected.algorithm)])
        .set_time_fn(move || expiry_is_after))
}

fn signed_with(algorithm: SigningAlgorithm) -> CoreJwsSigningAlgorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        SigningAlgorithm::Rs384 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
        SigningAlgorithm::Rs512 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
        SigningAlgorithm::Ps256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        SigningAlgorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        SigningAlgorithm::Es384 => CoreJwsSigningAlgorithm::EcdsaP384Sha384,
        SigningAlgorithm::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
    }
}

fn fault(error: &ClaimsVerificationError) -> IdTokenFault {
    use SignatureVerificationError as Signature;
    match error {
        ClaimsVerificationError::Expired(_) => IdTokenFault::Expired,
        ClaimsVerificationError::InvalidAudience(_) => IdTokenFault::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => IdTokenFault::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => IdTokenFault::Nonce,
        ClaimsVerificationError::SignatureVerification(error) => match error {
            Signature::NoMatchingKey => IdTokenFault::UnknownKey,
            Signature::NoSignature | Signature::DisallowedAlg(_) | Signature::UnsupportedAlg(_) => {
                IdTokenFault::Algorithm
            }
            _ => IdTokenFault::Signature,
        },
        _ => IdTokenFault::Malformed,
    }
}

fn check_times(claims: &Claims, others: &Map<String, Value>, now: i64) -> Result<(), IdTokenFault> {
    let issued = claims.issue_time().timestamp();
    let latest = now.saturating_add(LEEWAY_S);
    if issued > latest {
        return Err(IdTokenFault::IssuedInFuture);
    }
    match others.get("nbf").map(Value::as_f64) {
        Some(None) => return Err(IdTokenFault::Malformed),
        Some(Some(begin)) if begin > latest as f64 => return Err(IdTokenFault::IssuedInFuture),
        _ => {}
    }
    let life = claims.expiration().timestamp().saturating_sub(issued);
    if !(1..=MAX_LIFE_S).contains(&life) {
        return Err(IdTokenFault::Lifetime);
    }
    Ok(())
}

/// `at_hash` binds the access token that came along (section 3.1.3.8): the left half of its hash, by the function that belongs to the
/// signature's algorithm. Ed25519 has SHA-512 within (RFC 8032 section 5.1).
fn check_access_token(claims: &Claims, expected: &Expected<'_>) -> Result<(), IdTokenFault> {
    let (Some(claimed), Some(access_token)) = (claims.access_token_hash(), expected.access_token) else {
        return Ok(());
    };
    let function = match expected.algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 | SigningAlgorithm::Es256 => &digest::SHA256,
        SigningAlgorithm::Rs384 | SigningAlgorithm::Es384 => &digest::SHA384,
        SigningAlgorithm::Rs512 | SigningAlgorithm::EdDsa => &digest::SHA512,
    };
    let digest = digest::digest(function, access_token.as_bytes());
    let half = digest.as_ref().get(..function.output_len() / 2).unwrap_or_default();
    if claimed.as_str() == URL_SAFE_NO_PAD.encode(half) { Ok(()) } else { Err(IdTokenFault::AccessToken) }
}

fn subject(claims: &Claims) -> Result<String, IdTokenFault> {
    let sub = claims.subject().as_str();
    if sub.is_empty() || sub.len() > MAX_SUBJECT_BYTES || sub.chars().any(char::is_control) {
        return Err(IdTokenFault::Malformed);
    }
    Ok(sub.to_owned())
}

fn shown(name: &str) -> Option<String> {
    let name: String =
        name.chars().filter(|character| !character.is_control()).take(MAX_NAME_CHARS).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// A list of names or one name. Whatever else it is, it is not "no groups": a rule that blocks a group must not be passed by
/// a form that was not understood.
fn groups(others: &Map<String, Value>, claim: &str) -> Result<GroupsClaim, ProviderError> {
    let unreadable = |why| ProviderError::GroupsClaimUnreadable { why };
    // Section 5.6.2: the claim lies elsewhere, as when there are too many groups for the token.
    if others.get("_claim_names").is_some_and(|names| names.get(claim).is_some()) {
        return Err(unreadable("the token refers to another place for it"));
    }
    let listed = match others.get(claim) {
        None | Some(Value::Null) => return Ok(GroupsClaim::Missing),
        Some(Value::Array(listed)) => listed.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if listed.len() > MAX_GROUPS {
        return Err(unreadable("it has more than 10,000 entries"));
    }
    let names = listed.iter().map(|name| match name {
        Value::String(name) if name.is_empty() => Err(unreadable("it has an empty name")),
        Value::String(name) if name.len() > MAX_GROUP_NAME_BYTES => {
            Err(unreadable("it has a name longer than 512 bytes"))
        }
        Value::String(name) => Ok(name.clone()),
        _ => Err(unreadable("it is neither a name nor a list of names")),
    });
    names.collect::<Result<_, _>>().map(GroupsClaim::Listed)
}

fn others_json(claims: &Claims, groups_claim: &str) -> Result<String, IdTokenFault> {
    const OF_THE_TOKEN: [&str; 5] = ["jti", "nbf", "s_hash", "ver", "_claim_sources"];
    let mut others = claims.additional_claims().0.clone();
    others.retain(|name, _| name != groups_claim && !OF_THE_TOKEN.contains(&name.as_str()));
    let methods = claims
        .auth_method_refs()
        .map(|methods| methods.iter().map(|method| method.as_str().into()).collect());
    let described = [
        ("amr", methods.map(Value::Array)),
        ("acr", claims.auth_context_ref().map(|context| context.as_str().into())),
        ("auth_time", claims.auth_time().map(|time| time.timestamp().into())),
        ("preferred_username", claims.preferred_username().map(|name| name.as_str().into())),
    ];
    for (name, value) in described {
        if let Some(value) = value {
            others.insert(name.to_owned(), value);
        }
    }
    let json = serde_json::to_string(&others).map_err(|_| IdTokenFault::Malformed)?;
    if json.len() > MAX_OTHERS_BYTES { Err(IdTokenFault::Malformed) } else { Ok(json) }
}

#[cfg(test)]
pub(super) mod tests;
