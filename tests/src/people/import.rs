//! What SCIM costs in a directory of that size: people one by one as Okta sends them, people and groups in bulk over many connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::figures::Figures;
use super::line::{Line, Outcome, Scim, told};
use super::seed::Directory;

const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// How many are sent one after the other, each on its own.
const ONE_BY_ONE: usize = 500;
/// How many are sent in bulk, over so many connections, in requests of so many.
const PEOPLE: usize = 20_000;
const GROUPS: usize = 1_000;
const LINES: usize = 32;
const PEOPLE_PER_BULK: usize = 100;
const GROUPS_PER_BULK: usize = 20;
/// Members of a group of the import.
const MEMBERS: usize = 100;
/// Members in one request, near what a body holds.
const MEMBERS_PER_REQUEST: usize = 10_000;

/// A person as Okta's default profile tells one.
fn person(number: usize) -> Value {
    json!({
        "schemas": [CORE_USER, ENTERPRISE],
        "userName": format!("newcomer{number}@corp.example"),
        "externalId": format!("00unew{number:014}"),
        "active": true,
        "name": {"givenName": "Given", "familyName": format!("Newcomer{number}")},
        "displayName": format!("Given Newcomer{number}"),
        "emails": [{"value": format!("newcomer{number}@corp.example"), "type": "work", "primary": true}],
        "title": format!("Engineer {}", number % 50),
        "userType": "Employee",
        "locale": "en-US",
        ENTERPRISE: {
            "department": format!("Department {}", number % 300),
            "employeeNumber": number.to_string(),
            "costCenter": format!("C{}", number % 1000),
            "organization": "Corp",
        },
    })
}

/// Imports, and notes how fast.
pub(super) async fn measure(scim: &Scim, directory: &Directory, figures: &mut Figures) -> Outcome<()> {
    let mut line = scim.connect().await?;
    let mut took = Vec::new();
    for number in 0..ONE_BY_ONE {
        let begun = Instant::now();
        line.ask(Method::POST, "/Users", Some(&person(number))).await?;
        took.push(begun.elapsed());
    }
    figures.times("one person created, one after the other as Okta does", took);
    let numbers = ONE_BY_ONE..ONE_BY_ONE + PEOPLE;
    let people = in_bulk(scim, numbers, PEOPLE_PER_BULK, "/Users", person).await?;
    figures.rate("people imported in bulk", PEOPLE, people);
    let size = directory.size;
    let ids: Arc<Vec<String>> =
        Arc::new((0..size.people).step_by(37).map(|at| directory.person(at)).collect());
    let group = move |number: usize| {
        let spread = (0..MEMBERS).map(|at| (number * 7919 + at * 10_007) % ids.len());
        let listed: Vec<Value> = spread.map(|at| json!({"value": ids[at]})).collect();
        json!({"schemas": [CORE_GROUP], "displayName": format!("Newcomers {number}"), "members": listed})
    };
    let groups = in_bulk(scim, 0..GROUPS, GROUPS_PER_BULK, "/Groups", group).await?;
    figures.rate("memberships imported in bulk, 100 to a group", GROUPS * MEMBERS, groups);
    // The first connection was idle for longer than one is kept.
    members(&mut scim.connect().await?, directory, figures).await
}

/// Creates resources of these numbers; how long that took.
async fn in_bulk(
    scim: &Scim,
    numbers: std::ops::Range<usize>,
    per_request: usize,
    path: &'static str,
    resource: impl Fn(usize) -> Value + Clone + Send + Sync + 'static,
) -> Outcome<Duration> {
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..LINES {
        let (scim, next, end, resource) = (scim.clone(), next.clone(), numbers.end, resource.clone());
        tasks.spawn(async move {
            let mut line = scim.connect().await?;
            loop {
                let first = next.fetch_add(per_request, Ordering::Relaxed);
                if first >= end {
                    return Ok::<_, String>(());
                }
                send(&mut line, first..(first + per_request).min(end), path, &resource).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(told("task"))??;
    }
    Ok(begun.elapsed())
}

async fn send(
    line: &mut Line,
    batch: std::ops::Range<usize>,
    path: &str,
    resource: &impl Fn(usize) -> Value,
) -> Outcome<()> {
    let operations: Vec<Value> = batch
        .map(|number| json!({"method": "POST", "path": path, "bulkId": number.to_string(), "data": resource(number)}))
        .collect();
    let body = json!({"schemas": [BULK], "Operations": operations});
    let said = line.ask(Method::POST, "/Bulk", Some(&body)).await?;
    let results = said.body["Operations"].as_array().ok_or("no operations")?;
    match results.iter().find(|result| result["status"] != "201") {
        Some(result) => Err(format!("not created: {result}")),
        None => Ok(()),
    }
}

/// A group that is filled by PATCH in bodies of the longest kind.
async fn members(line: &mut Line, directory: &Directory, figures: &mut Figures) -> Outcome<()> {
    let body = json!({"schemas": [CORE_GROUP], "displayName": "Everybody of a continent"});
    let said = line.ask(Method::POST, "/Groups", Some(&body)).await?;
    let id = said.body["id"].as_str().ok_or("no id")?.to_owned();
    let step = (directory.size.people / directory.size.large).max(1);
    let mut took = Vec::new();
    for chunk in 0..(directory.size.large / MEMBERS_PER_REQUEST).min(5) {
        let numbers = chunk * MEMBERS_PER_REQUEST..(chunk + 1) * MEMBERS_PER_REQUEST;
        let listed: Vec<Value> = numbers.map(|at| json!({"value": directory.person(at * step)})).collect();
        let begun = Instant::now();
        line.patch(&format!("/Groups/{id}"), json!([{"op": "add", "path": "members", "value": listed}]))
            .await?;
        took.push(begun.elapsed());
    }
    figures.times(&format!("{MEMBERS_PER_REQUEST} members added by one PATCH"), took);
    Ok(())
}
