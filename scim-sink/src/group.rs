//! A group between its two forms: the document that clients see, and the content that the store keeps.
//!
//! Members are read and written by themselves (`members`), for they can be many; storing is `groups`' matter.

use portcullis_store::{GroupContent, StoredGroup};
use serde_json::{Map, Value, json};

use crate::clean::clean_resource;
use crate::projection::Projection;
use crate::rejection::Rejection;
use crate::schema::GROUP;
use crate::user::{insert_text, meta, schemas, take_text};

/// What a document says of a group; the caller has taken the members out.
pub(crate) fn content(document: Map<String, Value>) -> Result<GroupContent, Rejection> {
    let mut document = clean_resource(document, &GROUP)?;
    let display_name = take_text(&mut document, "displayName")
        .filter(|name| !name.trim().is_empty())
        .ok_or_else(|| Rejection::InvalidValue("`displayName` is required".to_owned()))?;
    Ok(GroupContent { display_name, external_id: take_text(&mut document, "externalId"), document })
}

/// The attributes that a client may write, but for the members: what PATCH works on.
pub(crate) fn editable(content: &GroupContent) -> Map<String, Value> {
    let mut document = Map::new();
    insert_text(&mut document, "externalId", content.external_id.as_deref());
    document.insert("displayName".to_owned(), Value::from(content.display_name.as_str()));
    document.extend(content.document.clone());
    document
}

/// How much a group tells of its members: what they are called is returned on request alone (RFC 7643 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Members<'m> {
    LeftOut,
    Ids(&'m [(String, String)]),
    Names(&'m [(String, String)]),
}

impl<'m> Members<'m> {
    pub(crate) fn for_answer(members: Option<&'m [(String, String)]>, projection: &Projection) -> Self {
        match members {
            None => Members::LeftOut,
            Some(members) if projection.asks_for("members") => Members::Names(members),
            Some(members) => Members::Ids(members),
        }
    }
}

/// The whole resource as clients see it (RFC 7643 section 4.2).
pub(crate) fn resource(group: &StoredGroup, members: Members<'_>, base_url: &str) -> Map<String, Value> {
    let mut resource = Map::new();
    resource.insert("schemas".to_owned(), schemas(&GROUP, &group.content.document));
    resource.insert("id".to_owned(), Value::from(group.scim_id.as_str()));
    resource.extend(editable(&group.content));
    let address = |id: &str| format!("{base_url}/Users/{id}");
    let listed: Option<Value> = match members {
        Members::LeftOut => None,
        Members::Ids(members) => {
            Some(members.iter().map(|(id, _)| json!({"value": id, "$ref": address(id)})).collect())
        }
        Members::Names(members) => {
            let named = members.iter().map(
                |(id, display)| json!({"value": id, "$ref": address(id), "display": display, "type": "User"}),
            );
            Some(named.collect())
        }
    };
    resource.extend(listed.map(|listed| ("members".to_owned(), listed)));
    let location = format!("{base_url}{}/{}", GROUP.endpoint, group.scim_id);
    let meta = meta(&GROUP, &location, (group.created_at, group.updated_at), group.version);
    resource.insert("meta".to_owned(), meta);
    resource
}
