//! What `get-identity` says of a person, in the shape that Cloudflare Access answers in: what we know, under its names there, and
//! nothing that we do not know. The assertion itself is left to `assertion`.

use std::net::IpAddr;

use portcullis_policy::CountryCode;
use portcullis_store::AccessRequest;
use serde_json::{Map, Value, json};

use crate::config::IdentityProvider;
use crate::live::{LiveSession, Standing};
use crate::tls::Presented;

/// Claims of a login that have a place of their own in the answer.
const OF_THE_LOGIN: [&str; 2] = ["amr", "acr"];

/// Who somebody is. `provider` is the one they logged in at, if it is configured still.
pub(crate) fn identity(
    session: &LiveSession,
    standing: &Standing,
    provider: Option<&IdentityProvider>,
    seen: Seen<'_>,
) -> Value {
    let profile = &standing.profile;
    let mut idp = json!({ "id": session.provider, "name": session.provider });
    if let (Some(provider), Some(fields)) = (provider, idp.as_object_mut()) {
        fields.insert("type".to_owned(), provider.kind().into());
    }
    let mut said = json!({
        "email": profile.email,
        "name": profile.display_name,
        "sub": session.subject,
        "user_uuid": standing.person.as_ref().map(|person| &person.scim_id),
        "idp": idp,
        "groups": standing.groups,
        "iat": profile.authenticated_at,
        "ip": seen.client_ip,
        "geo": seen.country.map(|country| json!({ "country": country.as_str() })),
        "common_name": seen.presented.and_then(|presented| presented.subject.as_deref()),
        "group_ids": group_ids(standing),
        "policy_revision": format!("{:016x}", standing.policies.set.revision()),
        "purposes": purposes(standing),
        "grants": grants(standing),
        "session": { "id": short_id(session), "began": session.begun_at, "expires": session.expires_at },
    });
    if let Some(said) = said.as_object_mut() {
        let claims: Map<String, Value> = serde_json::from_str(&profile.claims_json).unwrap_or_default();
        let known = OF_THE_LOGIN.iter().filter_map(|name| claims.get(*name).map(|value| (*name, value)));
        said.extend(known.map(|(name, value)| (name.to_owned(), value.clone())));
        // What nobody knows is absent: a null would be read as a fact.
        said.retain(|_, value| !value.is_null());
    }
    said
}

/// What somebody said that they use applications for.
fn purposes(standing: &Standing) -> Option<Map<String, Value>> {
    let given = &standing.held.purposes;
    let told: Map<String, Value> =
        given.iter().map(|it| (it.application.clone(), it.purpose.as_str().into())).collect();
    Some(told).filter(|told| !told.is_empty())
}

/// What is seen of a request beside who asks, as policies see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) client_ip: IpAddr,
    pub(crate) country: Option<CountryCode>,
    pub(crate) presented: Option<&'a Presented>,
}

/// The groups of the directory by the ids that policies may name: ours, and those of the provisioning client.
fn group_ids(standing: &Standing) -> Option<Vec<String>> {
    standing.person.as_ref()?;
    Some(standing.policies.group_ids(&standing.member_of).proved)
}

/// What somebody was granted for a while.
fn grants(standing: &Standing) -> Option<Vec<Value>> {
    let told = |grant: &AccessRequest| json!({ "application": grant.application, "policy": grant.policy, "until": grant.until });
    let grants: Vec<Value> = standing.held.grants.iter().map(|grant| told(grant)).collect();
    Some(grants).filter(|grants| !grants.is_empty())
}

/// Enough of a session's hashed id to find it in a log; opens nothing.
pub(crate) fn short_id(session: &LiveSession) -> String {
    session.id.to_string().chars().take(16).collect()
}
