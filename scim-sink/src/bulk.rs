//! Bulk (RFC 7644 section 3.7): many writes in one request, one after the other, each as if it had come alone: at its own time, and only
//! while the key is valid.
//!
//! What refers to what, and so their order, is worked out in `bulk/order.rs`; the references themselves are `bulk/references.rs`' matter.
//! A 2xx of an operation means the same as that of a request: durable and applied.

mod job;
mod order;
mod references;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::IF_MATCH;
use http::{HeaderValue, Method, Request, Uri};
use serde_json::{Map, Value, json};

use self::job::{Job, Operation};
use self::order::Step;
use self::references::{Known, Unknown, resolved, resolved_path};
use crate::answer::{Answer, error_body};
use crate::authenticate::still_valid;
use crate::provisioning_log;
use crate::rejection::Rejection;
use crate::request::{expect_schema, json_object};
use crate::route::{Target, target};
use crate::sink::{Visit, write};

const REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// Nobody sees the members of a group in the answer of a Bulk request, so they are not read for it.
const WITHOUT_MEMBERS: &str = "/?excludedAttributes=members";

/// RFC 7644 section 3.7: does what the operations say, until as many have failed as the client puts up with.
pub(crate) async fn run(visit: &Visit<'_>) -> Result<Answer, Rejection> {
    let body = json_object(visit.request)?;
    expect_schema(&body, REQUEST_URN)?;
    let job = Job::parse(&body)?;
    let mut results: Vec<Option<Value>> = vec![None; job.operations.len()];
    let mut known = Known::new(job.operations.iter().filter_map(|operation| operation.bulk_id.as_deref()));
    let mut failed = 0;
    for step in order::order(&job.operations) {
        let is_over = job.fail_on_errors.is_some_and(|most| failed >= most);
        let (Step::Perform(index) | Step::Complete(index)) = step;
        let Some(operation) = job.operations.get(index) else { continue };
        let done = match step {
            Step::Perform(_) if is_over => continue,
            Step::Perform(_) => perform(visit, operation, &mut known).await,
            Step::Complete(_) => match known.id(operation.bulk_id.as_deref().unwrap_or_default()) {
                Some(_) if is_over => {
                    Err(Rejection::Unresolved("it was made without what it refers to".to_owned()))
                }
                Some(id) => complete(visit, operation, id, &known).await,
                None => continue,
            },
        };
        failed += usize::from(done.is_err());
        if let Some(result) = results.get_mut(index) {
            *result = Some(told(visit, operation, &known, &done));
        }
    }
    let results: Vec<Value> = results.into_iter().flatten().collect();
    Ok(Answer::Found(json!({ "schemas": [RESPONSE_URN], "Operations": results })))
}

/// Performs an operation; one that makes a resource leaves out what cannot be known yet.
async fn perform(visit: &Visit<'_>, operation: &Operation, known: &mut Known) -> Result<Answer, Rejection> {
    let done = async {
        let now = admitted(visit, operation)?;
        let data = match &operation.bulk_id {
            Some(_) => resolved(&operation.data, known, Unknown::LeftOut)?,
            None => resolved(&operation.data, known, Unknown::Refused)?,
        };
        let path = resolved_path(&operation.path, known)?;
        send((visit, now), operation.method.clone(), &path, operation.version.as_deref(), data).await
    };
    let done = done.await;
    if let Some(bulk_id) = &operation.bulk_id {
        let id = done.as_ref().ok().and_then(Answer::resource).and_then(|made| made.get("id")?.as_str());
        known.note(bulk_id, id);
    }
    done
}

/// Says the rest of a resource that was made without what could not be known yet (RFC 7644 section 3.7.1).
async fn complete(
    visit: &Visit<'_>,
    operation: &Operation,
    id: &str,
    known: &Known,
) -> Result<Answer, Rejection> {
    let now = admitted(visit, operation)?;
    let data = resolved(&operation.data, known, Unknown::Refused)?;
    let path = format!("{}/{id}", operation.path.trim_end_matches('/'));
    let answer = send((visit, now), Method::PUT, &path, None, data).await?;
    Ok(match answer {
        Answer::Found(resource) => Answer::Created(resource),
        other => other,
    })
}

/// The time of an operation, if the key is still valid then. What was done before it stays done.
fn admitted(visit: &Visit<'_>, operation: &Operation) -> Result<i64, Rejection> {
    let now = (visit.clock)();
    let valid = still_valid(visit.store, visit.directory, visit.request.headers(), now);
    if let Err(rejection) = &valid {
        let by = (visit.directory.name.as_str(), &visit.key);
        let path = operation.path.trim_start_matches('/');
        provisioning_log::refused(visit.store, by, operation.method.as_str(), path, rejection, now);
    }
    valid.map(|()| now)
}

/// One write, as if it had come alone.
async fn send(
    (visit, now): (&Visit<'_>, i64),
    method: Method,
    path: &str,
    version: Option<&str>,
    data: Value,
) -> Result<Answer, Rejection> {
    let body = if data.is_null() { Bytes::new() } else { Bytes::from(data.to_string()) };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_static(WITHOUT_MEMBERS);
    if let Some(version) = version {
        let version = HeaderValue::from_str(version)
            .map_err(|_| Rejection::InvalidValue("`version` is no version".to_owned()))?;
        request.headers_mut().insert(IF_MATCH, version);
    }
    let rest = path.strip_prefix('/').unwrap_or(path);
    let visit = Visit {
        store: visit.store,
        directory: visit.directory,
        key: visit.key.clone(),
        request: &request,
        clock: visit.clock,
        now,
    };
    let done = async {
        let target = target(rest)?;
        if !matches!(target, Target::Users | Target::User(_) | Target::Groups | Target::Group(_)) {
            return Err(Rejection::UnknownPath);
        }
        target.admit(request.method())?;
        write(&visit, target).await
    };
    let done = done.await;
    if let Err(rejection) = &done {
        let by = (visit.directory.name.as_str(), &visit.key);
        provisioning_log::refused(visit.store, by, request.method().as_str(), rest, rejection, visit.now);
    }
    done
}

/// RFC 7644 section 3.7.3.
fn told(visit: &Visit<'_>, operation: &Operation, known: &Known, done: &Result<Answer, Rejection>) -> Value {
    let mut result = Map::new();
    let mut set = |name: &str, value: Value| result.insert(name.to_owned(), value);
    set("method", Value::from(operation.method.as_str()));
    if let Some(bulk_id) = &operation.bulk_id {
        set("bulkId", Value::from(bulk_id.as_str()));
    }
    let resource = done.as_ref().ok().and_then(Answer::resource);
    let location = resource.and_then(|made| made.pointer("/meta/location")?.as_str()).map(str::to_owned);
    if let Some(location) = location.or_else(|| named_location(visit, operation, known)) {
        set("location", Value::from(location));
    }
    if let Some(version) = resource.and_then(|made| made.pointer("/meta/version")) {
        set("version", version.clone());
    }
    let status = done.as_ref().map_or_else(Rejection::status, Answer::status);
    set("status", Value::from(status.as_str()));
    if let Err(rejection) = done {
        set("response", error_body(rejection));
    }
    Value::Object(result)
}

/// Where the resource of an operation is that did not answer with it; there is none of what was to be made and was not.
fn named_location(visit: &Visit<'_>, operation: &Operation, known: &Known) -> Option<String> {
    let path = match &operation.bulk_id {
        Some(bulk_id) => format!("{}/{}", operation.path.trim_end_matches('/'), known.id(bulk_id)?),
        None if operation.method == Method::POST => return None,
        None => resolved_path(&operation.path, known).ok()?,
    };
    let path = path.strip_prefix('/').unwrap_or(&path);
    Some(format!("{}/{path}", visit.directory.base_url))
}
