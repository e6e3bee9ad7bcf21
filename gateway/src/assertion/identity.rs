//! What `get-identity` says of a person, in the shape that Cloudflare Access answers in: what we know, under its names there, and
//! nothing that we do not know. The assertion itself is left to `assertion`.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis_policy::CountryCode;
use portcullis_store::{AccessRequest, Profile};
use serde_json::{Map, Value, json};

use crate::config::IdentityProvider;
use crate::live::{LiveSession, Standing};
use crate::tls::Presented;

/// Claims of a login that have a place of their own in the answer.
const OF_THE_LOGIN: [&str; 2] = ["amr", "acr"];

/// Who somebody is. `provider` is the one they logged in at, if it is configured still; `seen` is of their own request, where
/// they ask themselves; a server that asks is not told what they said and were granted for other applications.
pub(crate) fn identity(
    session: &LiveSession,
    standing: &Standing,
    provider: Option<&IdentityProvider>,
    seen: Option<Seen<'_>>,
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
        "ip": seen.map(|seen| seen.client_ip),
        "geo": seen.and_then(|seen| seen.country).map(|country| json!({ "country": country.as_str() })),
        "common_name": seen.and_then(|seen| seen.presented).and_then(|presented| presented.subject.as_deref()),
        "group_ids": group_ids(standing),
        "policy_revision": format!("{:016x}", standing.policies.set.revision()),
        "purposes": seen.and_then(|_| purposes(standing)),
        "grants": seen.and_then(|_| grants(standing)),
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

/// Whether all that `identity` told of somebody before is told of them still. What they said or were granted since adds to it.
pub(crate) fn tells_still(before: &Standing, after: &Standing) -> bool {
    let (old, new) = (&before.profile, &after.profile);
    let of_the_login = |profile: &Profile| {
        let claims: Map<String, Value> = serde_json::from_str(&profile.claims_json).unwrap_or_default();
        OF_THE_LOGIN.map(|name| claims.get(name).cloned())
    };
    let same_profile = Arc::ptr_eq(old, new)
        || (&old.email, &old.display_name, old.authenticated_at)
            == (&new.email, &new.display_name, new.authenticated_at)
            && (old.claims_json == new.claims_json || of_the_login(old) == of_the_login(new));
    let person = |standing: &Standing| standing.person.as_ref().map(|person| person.id);
    same_profile
        && person(before) == person(after)
        && before.groups == after.groups
        && group_ids(before) == group_ids(after)
        && before.held.grants.iter().all(|grant| after.held.grants.contains(grant))
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
