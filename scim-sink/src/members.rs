//! What a request does to the members of a group: read from a body or from PATCH operations, in their order, into one edit.
//!
//! It works without the present members, which may be many: the store takes differences.

use std::collections::HashSet;

use portcullis_store::MemberEdit;
use serde_json::{Map, Value};

use crate::filter::{Condition, Filter, Literal, Operator, attribute};
use crate::limits::MAX_MEMBERS_PER_REQUEST;
use crate::patch::{Operation, Verb};
use crate::rejection::Rejection;
use crate::schema::GROUP;

/// The sum of what was read so far.
#[derive(Debug, Default)]
pub(crate) struct MemberPlan {
    /// Whether those who were members before are out.
    replaces: bool,
    /// Who is in, in order; `added_set` says so fast.
    added: Vec<String>,
    added_set: HashSet<String>,
    removed: HashSet<String>,
    read: usize,
}

impl MemberPlan {
    /// The members of a whole group. An absent key says nothing about them, so that a rename does not empty the group; null is the empty
    /// list (RFC 7643 section 2.5).
    pub(crate) fn from_body(body: &mut Map<String, Value>) -> Result<MemberPlan, Rejection> {
        let mut plan = MemberPlan::default();
        let keys: Vec<String> =
            body.keys().filter(|key| key.eq_ignore_ascii_case("members")).cloned().collect();
        for key in keys {
            if let Some(value) = body.shift_remove(&key) {
                plan.replace(&value)?;
            }
        }
        Ok(plan)
    }

    /// Takes what concerns members out of an operation. What is left of it, if anything, is for the document.
    pub(crate) fn take(&mut self, operation: Operation) -> Result<Option<Operation>, Rejection> {
        let Some(target) = &operation.target else { return self.take_keys(operation) };
        let path = &target.attribute;
        let own = path.schema.as_deref().is_none_or(|schema| schema.eq_ignore_ascii_case(GROUP.core.urn));
        if !own || !path.name.eq_ignore_ascii_case("members") {
            return Ok(Some(operation));
        }
        // What a member is called here comes from the person; only who is a member can be written.
        if path.sub.is_some() || target.sub.is_some() {
            return Err(Rejection::Mutability("members".to_owned()));
        }
        let value = operation.value.as_ref();
        match (operation.verb, &target.filter) {
            (Verb::Remove, None) => match value.filter(|value| !value.is_null()) {
                Some(listed) => {
                    let ids = member_ids(&mut self.read, listed)?;
                    self.remove(ids);
                }
                None => self.remove_all(),
            },
            (Verb::Remove, Some(filter)) => {
                let mut ids = Vec::new();
                chosen_ids(filter, &mut ids)?;
                self.count(ids.len())?;
                self.remove(ids);
            }
            (Verb::Add, None) => self.add(value)?,
            (Verb::Replace, None) => self.replace(value.unwrap_or(&Value::Null))?,
            (Verb::Replace, Some(filter)) => {
                let mut ids = Vec::new();
                chosen_ids(filter, &mut ids)?;
                self.count(ids.len())?;
                self.remove(ids);
                self.add(value)?;
            }
            (Verb::Add, Some(_)) => self.add(value)?,
        }
        Ok(None)
    }

    /// An operation without a path: `members` may be one of the value's keys.
    fn take_keys(&mut self, mut operation: Operation) -> Result<Option<Operation>, Rejection> {
        let Some(Value::Object(values)) = &mut operation.value else { return Ok(Some(operation)) };
        let keys: Vec<String> = values
            .keys()
            .filter(|key| {
                let local = key.rsplit_once(':').filter(|(urn, _)| urn.eq_ignore_ascii_case(GROUP.core.urn));
                local.map_or(key.as_str(), |(_, local)| local).eq_ignore_ascii_case("members")
            })
            .cloned()
            .collect();
        for key in keys {
            match (operation.verb, values.shift_remove(&key)) {
                (_, None) => {}
                (Verb::Add, Some(value)) => self.add(Some(&value))?,
                (_, Some(value)) => self.replace(&value)?,
            }
        }
        Ok(Some(operation))
    }

    /// Union with who is in already (RFC 7644 section 3.5.2.1).
    fn add(&mut self, value: Option<&Value>) -> Result<(), Rejection> {
        for id in member_ids(&mut self.read, value.unwrap_or(&Value::Null))? {
            self.removed.remove(&id);
            if self.added_set.insert(id.clone()) {
                self.added.push(id);
            }
        }
        Ok(())
    }

    fn remove(&mut self, ids: Vec<String>) {
        for id in ids {
            self.added_set.remove(&id);
            self.removed.insert(id);
        }
    }

    fn remove_all(&mut self) {
        self.replaces = true;
        self.added.clear();
        self.added_set.clear();
        self.removed.clear();
    }

    fn replace(&mut self, value: &Value) -> Result<(), Rejection> {
        self.remove_all();
        self.add(Some(value))
    }

    fn count(&mut self, more: usize) -> Result<(), Rejection> {
        count_read(&mut self.read, more)
    }

    /// The edit that the store is asked for.
    pub(crate) fn edit(mut self) -> MemberEdit {
        // An id that was removed and added again stands in the list twice.
        let mut still_in = self.added_set;
        self.added.retain(|id| still_in.remove(id));
        match (self.replaces, self.added.is_empty(), self.removed.is_empty()) {
            (true, true, _) => MemberEdit::RemoveAll,
            (true, false, _) => MemberEdit::Replace(self.added),
            (false, true, true) => MemberEdit::Keep,
            (false, _, _) => {
                MemberEdit::Change { add: self.added, remove: self.removed.into_iter().collect() }
            }
        }
    }

    /// The attribute that it changes, unless it says nothing.
    pub(crate) fn concerns(&self) -> Option<&'static str> {
        let silent = !self.replaces && self.added.is_empty() && self.removed.is_empty();
        (!silent).then_some("members")
    }
}

fn count_read(read: &mut usize, more: usize) -> Result<(), Rejection> {
    *read = read.saturating_add(more);
    if *read > MAX_MEMBERS_PER_REQUEST { Err(Rejection::TooManyMembers) } else { Ok(()) }
}

/// The ids in a list of members, a single member, or a list of plain ids. Okta sends no `type`, so none is required.
fn member_ids(read: &mut usize, value: &Value) -> Result<Vec<String>, Rejection> {
    let listed = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(listed) => listed.as_slice(),
        single => std::slice::from_ref(single),
    };
    count_read(read, listed.len())?;
    listed
        .iter()
        .map(|member| {
            let id = match member {
                Value::Object(map) => attribute(map, "value").and_then(Value::as_str),
                Value::String(id) => Some(id.as_str()),
                _ => None,
            };
            id.filter(|id| !id.is_empty()).map(str::to_owned).ok_or_else(|| {
                Rejection::InvalidValue("a member needs a `value`, the id of a user".to_owned())
            })
        })
        .collect()
}

/// The ids that `members[...]` names: `value eq "x"`, or several of them joined by `or`.
fn chosen_ids(filter: &Filter, ids: &mut Vec<String>) -> Result<(), Rejection> {
    match filter {
        Filter::Attribute(path, Condition::Compare(Operator::Equal, Literal::Text(id)))
            if path.names(GROUP.core.urn, "value", None) =>
        {
            ids.push(id.clone());
            Ok(())
        }
        Filter::Or(terms) => terms.iter().try_for_each(|term| chosen_ids(term, ids)),
        _ => Err(Rejection::UnsupportedMemberFilter),
    }
}
