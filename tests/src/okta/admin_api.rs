//! The admin API in JSON, for tests and the demo in other processes; its actions are those of `actions`.
//!
//! `GET state`, `journal`, `requests`; `POST people/{login}/{deactivate|reactivate|provision|unassign|suspend|unsuspend}`,
//! `people/{login}/profile`, `groups/{name}/{push|unlink|rename}`, `provision`, `import`, `keys/{rotate|replace}`, `scim`,
//! `scim/test`, `misbehave`, `behave`, `spoil`, `groups-claim`; `PUT` and `DELETE groups/{name}/members/{login}`;
//! `PUT people`, `groups`, `clients`.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Okta;
use super::actions::Pushes;
use super::exchange::{Answer, Ask};
use super::groups_claim::{ClaimMode, GroupFilter};
use super::id_token::Spoil;
use super::journal::Push;
use super::misbehave::{Endpoint, Fault};
use super::state::OrgError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Misbehaviour {
    endpoint: Endpoint,
    fault: Fault,
    times: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Behaviour {
    endpoint: Option<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spoiling {
    spoil: Option<Spoil>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    mode: ClaimMode,
    #[serde(default)]
    filter: GroupFilter,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    given_name: Option<String>,
    family_name: Option<String>,
    email: Option<String>,
    email_verified: Option<bool>,
}

/// A request that was understood wrongly or asks for what cannot be.
struct Problem(StatusCode, String);

impl From<OrgError> for Problem {
    fn from(error: OrgError) -> Self {
        let status = match error {
            OrgError::Taken(_) | OrgError::BuiltIn => StatusCode::CONFLICT,
            _ => StatusCode::NOT_FOUND,
        };
        Self(status, error.to_string())
    }
}

pub(super) async fn answer(okta: &Okta, ask: &Ask, path: &[&str]) -> Answer {
    let done = match ask.method {
        Method::GET => look(okta, path),
        _ => match set(okta, ask, path) {
            Some(done) => done,
            None => act(okta, ask, path).await.map(|pushes| pushed(&pushes)),
        },
    };
    match done {
        Ok(body) => Answer::json(StatusCode::OK, &body),
        Err(Problem(status, text)) => Answer::json(status, &json!({"error": text})),
    }
}

fn look(okta: &Okta, path: &[&str]) -> Result<Value, Problem> {
    match path {
        ["state"] => Ok(state(okta)),
        ["journal"] => Ok(okta.journal().iter().map(Push::to_json).collect()),
        ["requests"] => Ok(json!(okta.counts())),
        _ => Err(unknown()),
    }
}

fn state(okta: &Okta) -> Value {
    let org = okta.org();
    let people = org.people.iter().map(|account| {
        json!({
            "id": account.id, "login": account.person.login, "email": account.email(), "status": account.status,
            "given_name": account.person.given_name, "family_name": account.person.family_name,
            "groups": org.group_names_of(&account.id), "provisioned": account.provisioned, "scim_id": account.scim_id,
        })
    });
    let groups = org.groups.iter().map(|record| {
        json!({
            "id": record.id, "name": record.group.name, "members": record.members.len(),
            "pushed": record.group.pushed, "scim_id": record.scim_id,
        })
    });
    json!({"people": people.collect::<Value>(), "groups": groups.collect::<Value>()})
}

/// Settings and additions, which push nothing; `None` for everything else.
fn set(okta: &Okta, ask: &Ask, path: &[&str]) -> Option<Result<Value, Problem>> {
    let set = match (ask.method.as_str(), path) {
        ("PUT", ["people"]) => body(ask).and_then(|person| Ok(json!({"id": okta.add_person(person)?}))),
        ("PUT", ["groups"]) => body(ask).and_then(|group| Ok(json!({"id": okta.add_group(group)?}))),
        ("PUT", ["clients"]) => body(ask).map(|client| okta.add_client(client)).map(|()| json!({})),
        ("POST", ["keys", "rotate"]) => {
            okta.rotate_keys();
            Ok(json!({}))
        }
        ("POST", ["keys", "replace"]) => {
            okta.rotate_keys_in_emergency();
            Ok(json!({}))
        }
        ("POST", ["scim"]) => body(ask).and_then(|target| {
            let unusable = |error: super::ScimError| Problem(StatusCode::BAD_REQUEST, error.in_full());
            okta.set_scim_target(target).map_err(unusable).map(|()| json!({}))
        }),
        ("POST", ["misbehave"]) => body(ask).map(|wish: Misbehaviour| {
            match wish.times {
                Some(times) => okta.misbehave_times(wish.endpoint, wish.fault, times),
                None => okta.misbehave(wish.endpoint, wish.fault),
            }
            json!({})
        }),
        ("POST", ["behave"]) => {
            body(ask).map(|wish: Behaviour| okta.behave(wish.endpoint)).map(|()| json!({}))
        }
        ("POST", ["spoil"]) => {
            body(ask).map(|wish: Spoiling| okta.spoil_id_tokens(wish.spoil)).map(|()| json!({}))
        }
        ("POST", ["groups-claim"]) => {
            body(ask).map(|claim: Claim| okta.set_groups_claim(claim.mode, claim.filter)).map(|()| json!({}))
        }
        _ => return None,
    };
    Some(set)
}

/// What pushes.
async fn act(okta: &Okta, ask: &Ask, path: &[&str]) -> Result<Vec<Push>, Problem> {
    let pushes: Pushes = match (ask.method.as_str(), path) {
        ("POST", ["people", login, "deactivate"]) => okta.deactivate(login).await,
        ("POST", ["people", login, "reactivate"]) => okta.reactivate(login).await,
        ("POST", ["people", login, "provision"]) => okta.provision(login).await,
        ("POST", ["people", login, "unassign"]) => okta.unassign(login).await,
        ("POST", ["people", login, "suspend"]) => okta.suspend(login, true).map(|()| Vec::new()),
        ("POST", ["people", login, "unsuspend"]) => okta.suspend(login, false).map(|()| Vec::new()),
        ("POST", ["people", login, "profile"]) => {
            let profile = body::<Profile>(ask)?;
            okta.update_person(login, |person| {
                person.given_name = profile.given_name.unwrap_or_else(|| person.given_name.clone());
                person.family_name = profile.family_name.unwrap_or_else(|| person.family_name.clone());
                person.email = profile.email.or_else(|| person.email.clone());
                person.email_verified = profile.email_verified.unwrap_or(person.email_verified);
            })
            .await
        }
        ("POST", ["groups", name, "push"]) => okta.push_group(name).await,
        ("POST", ["groups", name, "unlink"]) => okta.unlink_group(name).await,
        ("POST", ["groups", name, "rename"]) => okta.rename_group(name, &body::<Rename>(ask)?.name).await,
        ("PUT", ["groups", name, "members", login]) => okta.add_member(name, login).await,
        ("DELETE", ["groups", name, "members", login]) => okta.remove_member(name, login).await,
        ("POST", ["provision"]) => okta.provision_everyone().await,
        ("POST", ["import"]) => Ok(okta.import().await),
        ("POST", ["scim", "test"]) => Ok(okta.test_connection().await),
        _ => return Err(unknown()),
    };
    Ok(pushes?)
}

fn pushed(pushes: &[Push]) -> Value {
    let accepted = pushes.last().is_none_or(Push::accepted);
    json!({"accepted": accepted, "pushes": pushes.iter().map(Push::to_json).collect::<Value>()})
}

fn body<T: DeserializeOwned>(ask: &Ask) -> Result<T, Problem> {
    serde_json::from_slice(&ask.body).map_err(|error| Problem(StatusCode::BAD_REQUEST, error.to_string()))
}

fn unknown() -> Problem {
    Problem(StatusCode::NOT_FOUND, "no such admin address".to_owned())
}
