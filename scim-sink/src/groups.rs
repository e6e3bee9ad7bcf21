//! The operations on groups: from a request to the store and back to a resource.
//!
//! The edit of members is made by `members`; what a membership means for open sessions is the gateway's matter.

use http::Method;
use portcullis_store::{
    Begin, Direction, GroupContent, GroupId, GroupLookup, GroupOrder, MemberEdit, ModifyError, SortedPage,
    StoredGroup,
};
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::beyond;
use crate::clean::unqualified;
use crate::filter::{AttributePath, Filter};
use crate::group::{self, Members};
use crate::limits::{MAX_GROUP_PATCH_OPERATIONS, MAX_MEMBERS_OF_PATCH};
use crate::list_query::{ListQuery, Sort};
use crate::listing::{self, Equality, Page, Source};
use crate::members::MemberPlan;
use crate::patch;
use crate::projection::Projection;
use crate::provisioning_log::{Changed, written};
use crate::rejection::Rejection;
use crate::request::{Precondition, expect_schema, has_version, json_object, version_tag};
use crate::schema::{GROUP, group_case_exact};
use crate::sink::Visit;

const KIND: &str = "group";

/// RFC 7644 section 3.3.
pub(crate) async fn create(visit: &Visit<'_>) -> Result<Answer, Rejection> {
    let projection = Projection::parse(visit.query())?;
    let mut body = unqualified(json_object(visit.request)?)?;
    expect_schema(&body, GROUP.core.urn)?;
    let plan = MemberPlan::from_body(&mut body)?;
    let content = group::content(body)?;
    let changed = Changed::default();
    changed.between(&Map::new(), &group::editable(&content), plan.concerns());
    changed.keeps(&[], beyond::of_group(&content));
    let members = match plan.edit() {
        MemberEdit::Replace(members) => members,
        _ => Vec::new(),
    };
    let created = visit
        .writer("group.create", &changed)
        .create_group(&visit.directory.name, content, members, visit.now)
        .await;
    let group = created.map_err(|error| Rejection::from_directory(error, KIND, ""))?;
    written(visit, "group.create", &group.scim_id, &changed, None);
    Ok(Answer::Created(shown(visit, &group, &projection)?))
}

/// RFC 7644 section 3.4.1.
pub(crate) fn read(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let projection = Projection::parse(visit.query())?;
    let group = existing(visit, id)?;
    if has_version(visit.request.headers(), group.version) {
        return Ok(Answer::NotModified(version_tag(group.version)));
    }
    Ok(Answer::Found(shown(visit, &group, &projection)?))
}

/// RFC 7644 section 3.5.1. A body without `members` says nothing about them; an empty list or null removes everybody.
pub(crate) async fn replace(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let mut body = unqualified(json_object(visit.request)?)?;
    expect_schema(&body, GROUP.core.urn)?;
    let plan = MemberPlan::from_body(&mut body)?;
    let content = group::content(body)?;
    modify(visit, id, "group.replace", plan, move |_| Ok(content)).await
}

/// RFC 7644 section 3.5.2.
pub(crate) async fn patch(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let body = json_object(visit.request)?;
    expect_schema(&body, patch::PATCH_URN)?;
    let mut plan = MemberPlan::default();
    let mut others = Vec::new();
    for operation in patch::operations(&body, MAX_GROUP_PATCH_OPERATIONS)? {
        others.extend(plan.take(operation)?);
    }
    modify(visit, id, "group.patch", plan, move |group| {
        let mut document = group::editable(&group.content);
        let mut work = patch::Work::new();
        for operation in &others {
            patch::apply(&mut document, operation, &GROUP, group_case_exact, &mut work)?;
        }
        group::content(document)
    })
    .await
}

/// RFC 7644 section 3.6: the people stay.
pub(crate) async fn delete(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let precondition = Precondition::of(visit.request.headers());
    let check = move |group: &StoredGroup| precondition.check(group.version);
    let writer = visit.writer("group.delete", &Changed::default());
    let deleted = writer.delete_group_if(&visit.directory.name, id, visit.now, check).await;
    deleted.map_err(|error| match error {
        ModifyError::Edit(rejection) => rejection,
        ModifyError::Directory(error) => Rejection::from_directory(error, KIND, id),
    })?;
    written(visit, "group.delete", id, &Changed::default(), None);
    Ok(Answer::Gone)
}

async fn modify(
    visit: &Visit<'_>,
    id: &str,
    operation: &str,
    plan: MemberPlan,
    edit: impl FnOnce(&StoredGroup) -> Result<GroupContent, Rejection> + Send + 'static,
) -> Result<Answer, Rejection> {
    let projection = Projection::parse(visit.query())?;
    let precondition = Precondition::of(visit.request.headers());
    let changed = Changed::default();
    let noted = changed.clone();
    let modified = visit
        .writer(operation, &changed)
        .modify_group(&visit.directory.name, id, visit.now, move |group| {
            precondition.check(group.version)?;
            let content = edit(group)?;
            let (before, after) = (group::editable(&group.content), group::editable(&content));
            noted.between(&before, &after, plan.concerns());
            // Whoever the edit takes out is out, whatever else it brings.
            noted.keeps_in_any_case(beyond::of_group(&content));
            Ok((content, plan.edit()))
        })
        .await;
    let group = modified.map_err(|error| match error {
        ModifyError::Edit(rejection) => rejection,
        ModifyError::Directory(error) => Rejection::from_directory(error, KIND, id),
    })?;
    written(visit, operation, id, &changed, None);
    if visit.request.method() == Method::PATCH
        && projection == Projection::Whole
        && visit.store.has_more_members(group.id, MAX_MEMBERS_OF_PATCH)?
    {
        return Ok(Answer::Changed(version_tag(group.version)));
    }
    Ok(Answer::Found(shown(visit, &group, &projection)?))
}

fn existing(visit: &Visit<'_>, id: &str) -> Result<StoredGroup, Rejection> {
    let found = visit.store.group(&visit.directory.name, id)?;
    found.ok_or_else(|| Rejection::NoSuchResource { kind: KIND, id: id.to_owned() })
}

fn shown(visit: &Visit<'_>, group: &StoredGroup, projection: &Projection) -> Result<Value, Rejection> {
    let members = match projection.shows("members") {
        true => Some(visit.store.group_members(group.id)?),
        false => None,
    };
    let members = Members::for_answer(members.as_deref(), projection);
    let resource = group::resource(group, members, &visit.directory.base_url);
    Ok(Value::Object(projection.apply(resource)))
}

/// RFC 7644 section 3.4.2.
pub(crate) async fn list(visit: &Visit<'_>, query: ListQuery) -> Result<Answer, Rejection> {
    let page = page(visit, query.clone()).await?;
    Ok(Answer::Found(listing::response(&page, &query)))
}

pub(crate) async fn page(visit: &Visit<'_>, query: ListQuery) -> Result<Page, Rejection> {
    let source = Groups { store: visit.store.clone(), directory: visit.directory.clone() };
    listing::page(source, query).await
}

struct Groups {
    store: portcullis_store::Store,
    directory: crate::sink::DirectorySettings,
}

impl Source for Groups {
    type Item = StoredGroup;
    type Lookup = GroupLookup;
    type Order = GroupOrder;
    const ALL: GroupLookup = GroupLookup::All;

    fn lookup(&self, equality: &Equality<'_>) -> Option<GroupLookup> {
        let text = || equality.text.to_owned();
        if equality.is("displayName", None) {
            Some(GroupLookup::DisplayName(text()))
        } else if equality.is("id", None) {
            Some(GroupLookup::ScimId(text()))
        } else if equality.is("externalId", None) {
            Some(GroupLookup::ExternalId(text()))
        } else {
            None
        }
    }

    fn number(group: &StoredGroup) -> i64 {
        group.id.0
    }

    fn core_urn() -> &'static str {
        GROUP.core.urn
    }

    fn list(&self, which: &GroupLookup, offset: usize, limit: usize) -> listing::Listed<StoredGroup> {
        let page = self.store.list_groups(&self.directory.name, which, offset, limit)?;
        Ok((page.total, page.items))
    }

    fn scan(&self, after: i64, limit: usize) -> Result<Vec<StoredGroup>, Rejection> {
        Ok(self.store.scan_groups(&self.directory.name, GroupId(after), limit)?)
    }

    fn order(sort: &Sort) -> Option<GroupOrder> {
        if sort.is_by(GROUP.core.urn, "displayName") {
            Some(GroupOrder::DisplayName)
        } else {
            sort.is_by(GROUP.core.urn, "id").then_some(GroupOrder::ScimId)
        }
    }

    fn ordered(
        &self,
        order: (GroupOrder, Direction),
        begin: &Begin,
        limit: usize,
    ) -> Result<SortedPage<StoredGroup>, Rejection> {
        Ok(self.store.sorted_groups(&self.directory.name, order, begin, limit)?)
    }

    /// Members are read only when they are asked for or filtered by.
    fn resource(
        &self,
        group: &StoredGroup,
        projection: &Projection,
        filter: Option<&Filter>,
    ) -> listing::Resource {
        let wanted = projection.shows("members") || filter.is_some_and(|filter| filter.mentions("members"));
        let members = if wanted { Some(self.store.group_members(group.id)?) } else { None };
        let weight = members.as_ref().map_or(0, Vec::len);
        let members = match (&members, filter) {
            (Some(members), Some(_)) => Members::Names(members),
            (members, _) => Members::for_answer(members.as_deref(), projection),
        };
        Ok((group::resource(group, members, &self.directory.base_url), weight))
    }

    fn case_exact(path: &AttributePath) -> bool {
        group_case_exact(path)
    }
}
