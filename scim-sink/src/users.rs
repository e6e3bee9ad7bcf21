//! The operations on users: from a request to the store and back to a resource.
//!
//! What a change does to sessions is done by the store, in the same transaction.

use portcullis_store::{
    Begin, Direction, ModifyError, PersonContent, PersonId, PersonLookup, PersonOrder, SeenAttribute,
    SortedPage, StoredPerson, UniqueBy,
};
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::beyond;
use crate::clean::unqualified;
use crate::filter::{AttributePath, Filter};
use crate::limits::MAX_USER_PATCH_OPERATIONS;
use crate::list_query::{ListQuery, Sort};
use crate::listing::{self, Equality, Page, Source};
use crate::patch;
use crate::projection::Projection;
use crate::provisioning_log::{Changed, written};
use crate::rejection::Rejection;
use crate::request::{Precondition, expect_schema, has_version, json_object, version_tag};
use crate::schema::{USER, user_case_exact};
use crate::sink::Visit;
use crate::user;

const KIND: &str = "user";

/// RFC 7644 section 3.3. An existing userName is refused, never taken over.
pub(crate) async fn create(visit: &Visit<'_>) -> Result<Answer, Rejection> {
    let projection = Projection::parse(visit.query())?;
    let body = unqualified(json_object(visit.request)?)?;
    expect_schema(&body, USER.core.urn)?;
    let content = user::content(body, Some(true), &visit.directory.rules)?;
    let changed = Changed::default();
    changed.between(&Map::new(), &user::editable(&content), None);
    keeps(&changed, &[], &content);
    let created =
        visit.writer("user.create", &changed).create_person(&visit.directory.name, content, visit.now).await;
    let person = created.map_err(|error| Rejection::from_directory(error, KIND, ""))?;
    written(visit, "user.create", &person.scim_id, &changed, Some(person.content.active));
    Ok(Answer::Created(shown(visit, &person, &projection)))
}

/// RFC 7644 section 3.4.1.
pub(crate) fn read(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let projection = Projection::parse(visit.query())?;
    let person = existing(visit, id)?;
    if has_version(visit.request.headers(), person.version) {
        return Ok(Answer::NotModified(version_tag(person.version)));
    }
    Ok(Answer::Found(shown(visit, &person, &projection)))
}

/// RFC 7644 section 3.5.1: never creates.
pub(crate) async fn replace(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let body = unqualified(json_object(visit.request)?)?;
    expect_schema(&body, USER.core.urn)?;
    let rules = visit.directory.rules.clone();
    modify(visit, id, "user.replace", move |person| user::content(body, Some(person.content.active), &rules))
        .await
}

/// RFC 7644 section 3.5.2.
pub(crate) async fn patch(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let body = json_object(visit.request)?;
    expect_schema(&body, patch::PATCH_URN)?;
    let operations = patch::operations(&body, MAX_USER_PATCH_OPERATIONS)?;
    let rules = visit.directory.rules.clone();
    modify(visit, id, "user.patch", move |person| {
        let mut document = user::editable(&person.content);
        let mut work = patch::Work::new();
        for operation in &operations {
            patch::apply(&mut document, operation, &USER, user_case_exact, &mut work)?;
        }
        user::content(document, None, &rules)
    })
    .await
}

/// RFC 7644 section 3.6.
pub(crate) async fn delete(visit: &Visit<'_>, id: &str) -> Result<Answer, Rejection> {
    let precondition = Precondition::of(visit.request.headers());
    let check = move |person: &StoredPerson| precondition.check(person.version);
    let writer = visit.writer("user.delete", &Changed::default());
    let deleted = writer.delete_person_if(&visit.directory.name, id, visit.now, check).await;
    deleted.map_err(|error| match error {
        ModifyError::Edit(rejection) => rejection,
        ModifyError::Directory(error) => Rejection::from_directory(error, KIND, id),
    })?;
    written(visit, "user.delete", id, &Changed::default(), None);
    Ok(Answer::Gone)
}

async fn modify(
    visit: &Visit<'_>,
    id: &str,
    operation: &str,
    edit: impl FnOnce(&StoredPerson) -> Result<PersonContent, Rejection> + Send + 'static,
) -> Result<Answer, Rejection> {
    let projection = Projection::parse(visit.query())?;
    let precondition = Precondition::of(visit.request.headers());
    let changed = Changed::default();
    let noted = changed.clone();
    let modified = visit
        .writer(operation, &changed)
        .modify_person(&visit.directory.name, id, visit.now, move |person| {
            precondition.check(person.version)?;
            let content = edit(person)?;
            noted.between(&user::editable(&person.content), &user::editable(&content), None);
            keeps(&noted, &beyond::of_person(&person.content), &content);
            Ok(content)
        })
        .await;
    let person = modified.map_err(|error| match error {
        ModifyError::Edit(rejection) => rejection,
        ModifyError::Directory(error) => Rejection::from_directory(error, KIND, id),
    })?;
    written(visit, operation, id, &changed, Some(person.content.active));
    Ok(Answer::Found(shown(visit, &person, &projection)))
}

/// Nobody's deactivation is refused for what else it brings.
fn keeps(changed: &Changed, before: &[SeenAttribute], content: &PersonContent) {
    let after = beyond::of_person(content);
    if content.active { changed.keeps(before, after) } else { changed.keeps_in_any_case(after) }
}

fn existing(visit: &Visit<'_>, id: &str) -> Result<StoredPerson, Rejection> {
    let found = visit.store.person(&visit.directory.name, id)?;
    found.ok_or_else(|| Rejection::NoSuchResource { kind: KIND, id: id.to_owned() })
}

fn shown(visit: &Visit<'_>, person: &StoredPerson, projection: &Projection) -> Value {
    Value::Object(projection.apply(user::resource(person, &visit.directory.base_url)))
}

/// RFC 7644 section 3.4.2; inactive users are listed too, so that Okta finds them again.
pub(crate) async fn list(visit: &Visit<'_>, query: ListQuery) -> Result<Answer, Rejection> {
    let page = page(visit, query.clone()).await?;
    Ok(Answer::Found(listing::response(&page, &query)))
}

pub(crate) async fn page(visit: &Visit<'_>, query: ListQuery) -> Result<Page, Rejection> {
    let source = Users { store: visit.store.clone(), directory: visit.directory.clone() };
    listing::page(source, query).await
}

struct Users {
    store: portcullis_store::Store,
    directory: crate::sink::DirectorySettings,
}

impl Source for Users {
    type Item = StoredPerson;
    type Lookup = PersonLookup;
    type Order = PersonOrder;
    const ALL: PersonLookup = PersonLookup::All;

    fn lookup(&self, equality: &Equality<'_>) -> Option<PersonLookup> {
        let text = || equality.text.to_owned();
        if equality.is("userName", None) {
            Some(PersonLookup::UserName(text()))
        } else if equality.is("id", None) {
            Some(PersonLookup::ScimId(text()))
        } else if equality.is("externalId", None) {
            Some(PersonLookup::ExternalId(text()))
        } else if equality.is("displayName", None) {
            Some(PersonLookup::DisplayName(text()))
        } else if equality.is("emails", Some("value"))
            || equality.is("emails", None)
            || equality.is("email", None)
        {
            Some(PersonLookup::Email(text()))
        } else {
            None
        }
    }

    fn number(person: &StoredPerson) -> i64 {
        person.id.0
    }

    fn core_urn() -> &'static str {
        USER.core.urn
    }

    fn list(&self, which: &PersonLookup, offset: usize, limit: usize) -> listing::Listed<StoredPerson> {
        let list = |which| self.store.list_persons(&self.directory.name, which, offset, limit);
        let page = list(which)?;
        // A client that tells people apart by something else asks for that by the name of `userName`.
        let meant = match (which, self.directory.rules.unique_by) {
            (PersonLookup::UserName(text), UniqueBy::Email) => PersonLookup::Email(text.clone()),
            (PersonLookup::UserName(text), UniqueBy::ExternalId) => PersonLookup::ExternalId(text.clone()),
            _ => return Ok((page.total, page.items)),
        };
        let page = if page.total == 0 { list(&meant)? } else { page };
        Ok((page.total, page.items))
    }

    fn scan(&self, after: i64, limit: usize) -> Result<Vec<StoredPerson>, Rejection> {
        Ok(self.store.scan_persons(&self.directory.name, PersonId(after), limit)?)
    }

    fn order(sort: &Sort) -> Option<PersonOrder> {
        if sort.is_by(USER.core.urn, "userName") {
            Some(PersonOrder::UserName)
        } else {
            sort.is_by(USER.core.urn, "id").then_some(PersonOrder::ScimId)
        }
    }

    fn ordered(
        &self,
        order: (PersonOrder, Direction),
        begin: &Begin,
        limit: usize,
    ) -> Result<SortedPage<StoredPerson>, Rejection> {
        Ok(self.store.sorted_persons(&self.directory.name, order, begin, limit)?)
    }

    fn resource(&self, person: &StoredPerson, _: &Projection, _: Option<&Filter>) -> listing::Resource {
        Ok((user::resource(person, &self.directory.base_url), person.groups.len()))
    }

    fn case_exact(path: &AttributePath) -> bool {
        user_case_exact(path)
    }
}
