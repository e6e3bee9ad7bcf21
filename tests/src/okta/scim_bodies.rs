//! The SCIM bodies that Okta sends, built from the directory as it is now. Sending them is for `scim_push`.

use serde_json::{Map, Value, json};

use super::keys::random_id;
use super::state::{Account, GroupRecord, Org};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The attributes that Okta maps.
fn mapped(account: &Account, active: bool) -> Value {
    let mut mapped = json!({
        "userName": account.person.login,
        "name": {"givenName": account.person.given_name, "familyName": account.person.family_name},
        "emails": [{"primary": true, "value": account.email(), "type": "work"}],
        "displayName": account.display_name(),
        "locale": "en-US",
        "externalId": account.id,
        "active": active,
    });
    if let Some(department) = &account.person.department {
        mapped[ENTERPRISE] = json!({ "department": department });
    }
    mapped
}

/// `POST /Users`: a placeholder password comes even when password sync is off.
pub(super) fn new_user(account: &Account) -> Value {
    let mut body = mapped(account, true);
    body["schemas"] = json!([USER]);
    body["groups"] = json!([]);
    body["password"] = json!(random_id(6));
    body
}

/// `PUT /Users/{id}`: the sink's own body with the mapped attributes laid over it.
pub(super) fn merged_user(found: &Value, account: &Account, active: bool) -> Value {
    let mut body = found.as_object().cloned().unwrap_or_else(Map::new);
    body.entry("schemas").or_insert_with(|| json!([USER]));
    if let Value::Object(attributes) = mapped(account, active) {
        body.extend(attributes);
    }
    Value::Object(body)
}

/// `PATCH /Users/{id}` without a path.
pub(super) fn patch_active(active: bool) -> Value {
    patch(json!([{"op": "replace", "value": {"active": active}}]))
}

/// `PATCH /Users/{id}` of a changed profile.
pub(super) fn patch_profile(account: &Account, active: bool) -> Value {
    patch(json!([{"op": "replace", "value": mapped(account, active)}]))
}

/// `POST /Groups`: the members come later.
pub(super) fn new_group(record: &GroupRecord) -> Value {
    json!({"schemas": [GROUP], "displayName": record.group.name, "members": []})
}

/// `PUT /Groups/{id}`.
pub(super) fn whole_group(org: &Org, record: &GroupRecord) -> Value {
    json!({"schemas": [GROUP], "displayName": record.group.name, "members": members(org, record)})
}

/// `PATCH /Groups/{id}` of a rename: the id stands inside the value.
pub(super) fn patch_name(record: &GroupRecord, scim_id: &str) -> Value {
    patch(json!([rename(record, scim_id)]))
}

/// `PATCH /Groups/{id}` with all members.
pub(super) fn patch_all_members(org: &Org, record: &GroupRecord) -> Value {
    patch(json!([{"op": "replace", "path": "members", "value": members(org, record)}]))
}

/// `PATCH /Groups/{id}` of one person; the name goes along with every change of members.
pub(super) fn patch_member(record: &GroupRecord, scim_id: &str, account: &Account, joins: bool) -> Value {
    let person = account.scim_id.clone().unwrap_or_default();
    let change = if joins {
        json!({"op": "add", "path": "members", "value": [{"value": person, "display": account.person.login}]})
    } else {
        json!({"op": "remove", "path": format!("members[value eq \"{person}\"]")})
    };
    patch(json!([rename(record, scim_id), change]))
}

fn rename(record: &GroupRecord, scim_id: &str) -> Value {
    json!({"op": "replace", "value": {"id": scim_id, "displayName": record.group.name}})
}

fn patch(operations: Value) -> Value {
    let mut body = json!({"schemas": [PATCH]});
    body["Operations"] = operations;
    body
}

/// Only people who were provisioned by the same application are members.
fn members(org: &Org, record: &GroupRecord) -> Value {
    let people =
        org.people.iter().filter(|account| account.provisioned && record.members.contains(&account.id));
    people
        .filter_map(|account| {
            let id = account.scim_id.as_ref()?;
            Some(json!({"value": id, "display": account.person.login}))
        })
        .collect()
}
