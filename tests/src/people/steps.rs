//! What is measured on the directory that was built: start, look-ups, pages, changes of much at once, one deactivation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use super::figures::Figures;
use super::line::{Line, Outcome, Scim, told};
use super::seed::{self, Directory};
use super::{Size, process};
use crate::harness::World;

/// How often a short question is asked.
const TIMES: usize = 200;
const PAGE: usize = 200;
const WHO: &str = "engineer@corp.example";
/// What lies between two writes while a group is left.
const BETWEEN_CHANGES: Duration = Duration::from_millis(20);
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// How long a stream that should be cut is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the gateway from the store.
pub(super) async fn start(world: &mut World, figures: &mut Figures) -> Outcome<()> {
    let begun = Instant::now();
    world.gateway.start_again().await.map_err(told("start"))?;
    figures.time("start from this store until ready", begun.elapsed());
    figures.bytes("resident after the start", process::resident(world.gateway.id()));
    Ok(())
}

/// Asks often, each time about somebody else.
async fn often(line: &mut Line, count: usize, path: impl Fn(usize) -> String) -> Outcome<Vec<Duration>> {
    let mut took = Vec::new();
    for at in 0..TIMES {
        let path = path((at * 9973 + 17) % count);
        let begun = Instant::now();
        let said = line.get(&path).await?;
        took.push(begun.elapsed());
        if said.body["totalResults"].as_u64() == Some(0) {
            return Err(format!("{path} found nobody"));
        }
    }
    Ok(took)
}

/// Filters and pages.
pub(super) async fn look_up(scim: &Scim, directory: &Directory, figures: &mut Figures) -> Outcome<()> {
    let mut line = scim.connect().await?;
    let people = directory.size.people;
    let filter = |kind: &'static str, attribute: &'static str, value: fn(usize) -> String| {
        move |number: usize| {
            let value = value(number).replace('@', "%40").replace(' ', "%20");
            format!("/{kind}?filter={attribute}%20eq%20%22{value}%22")
        }
    };
    for (attribute, value) in [
        ("userName", seed::user_name as fn(usize) -> String),
        ("externalId", seed::external_id),
        ("emails.value", seed::user_name),
        ("displayName", seed::display_name),
    ] {
        let took = often(&mut line, people, filter("Users", attribute, value)).await?;
        figures.times(&format!("users by `{attribute} eq`"), took);
    }
    let took =
        often(&mut line, directory.size.groups, filter("Groups", "displayName", seed::group_name)).await?;
    figures.times("groups by `displayName eq`, with their members", took);
    for (place, start) in [("first", 1), ("middle", people / 2), ("last", people.saturating_sub(PAGE))] {
        let path = format!("/Users?startIndex={}&count={PAGE}", start.max(1));
        let took = often(&mut line, 1, |_| path.clone()).await?;
        figures.times(&format!("the {place} page of {PAGE} users, by index"), took);
    }
    Ok(())
}

/// An import into Okta: everybody, page by page.
pub(super) async fn page_to_the_end(scim: &Scim, size: Size, figures: &mut Figures) -> Outcome<()> {
    let mut line = scim.connect().await?;
    let (mut seen, begun) = (0, Instant::now());
    loop {
        let said = line.get(&format!("/Users?startIndex={}&count={PAGE}", seen + 1)).await?;
        let shown = said.body["Resources"].as_array().map_or(0, Vec::len);
        seen += shown;
        if shown == 0 {
            break;
        }
    }
    if seen < size.people {
        return Err(format!("only {seen} people were paged through"));
    }
    figures.rate("users read to the end, page by page by index", seen, begun.elapsed());
    Ok(())
}

/// Writes that concern many.
pub(super) async fn change(scim: &Scim, directory: &Directory, figures: &mut Figures) -> Outcome<()> {
    let mut line = scim.connect().await?;
    let large = format!("/Groups/{}", directory.large());
    let members = json!({"value": directory.person(1)});
    let steps = [
        (
            "the large group renamed",
            json!([{"op": "replace", "value": {"displayName": "Everybody of a place"}}]),
        ),
        (
            "one person added to the large group",
            json!([{"op": "add", "path": "members", "value": [members]}]),
        ),
    ];
    for (what, operations) in steps {
        let begun = Instant::now();
        line.patch(&large, operations).await?;
        figures.time(what, begun.elapsed());
    }
    let begun = Instant::now();
    let said = line.get(&large).await?;
    figures
        .time(&format!("the large group read with its members, {} KiB", said.bytes / 1024), begun.elapsed());
    leave_at_once(scim, directory, figures).await?;
    // The connection was idle while that was swept.
    let mut line = scim.connect().await?;
    let many = format!("/Users/{}", directory.person(0));
    for (what, value) in [
        ("an attribute of somebody in many groups changed", json!({"title": "Director"})),
        ("somebody in many groups deactivated", json!({"active": false})),
    ] {
        let begun = Instant::now();
        line.patch(&many, json!([{"op": "replace", "value": value}])).await?;
        figures.time(what, begun.elapsed());
    }
    Ok(())
}

/// Everybody of a large group leaves it at once, while somebody else is changed all the time: how long each of these writes waits.
async fn leave_at_once(scim: &Scim, directory: &Directory, figures: &mut Figures) -> Outcome<()> {
    let emptied =
        json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "members", "value": []}]});
    for (what, method, group, body) in [
        ("emptied by one PATCH", Method::PATCH, directory.large(), Some(&emptied)),
        ("deleted", Method::DELETE, directory.second_large(), None),
    ] {
        let (mut line, mut other) = (scim.connect().await?, scim.connect().await?);
        let path = format!("/Groups/{group}");
        let has_left = AtomicBool::new(false);
        let begun = Instant::now();
        let leaving = async {
            line.ask(method, &path, body).await?;
            has_left.store(true, Ordering::Relaxed);
            Ok::<_, String>(begun.elapsed())
        };
        let beside = async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            change_until_swept(&mut other, directory, &has_left).await
        };
        let (left, waits) = tokio::join!(leaving, beside);
        figures.time(&format!("the large group {what}"), left?);
        figures.time("until its memberships are swept away", begun.elapsed());
        figures.times("a deactivation or reactivation meanwhile", waits?);
    }
    Ok(())
}

/// Deactivates and reactivates somebody until no memberships wait to be swept away; how long each took.
async fn change_until_swept(
    line: &mut Line,
    directory: &Directory,
    has_left: &AtomicBool,
) -> Outcome<Vec<Duration>> {
    let one = format!("/Users/{}", directory.person(2));
    let (mut took, mut is_active) = (Vec::new(), true);
    while !has_left.load(Ordering::Relaxed) || !directory.is_swept()? {
        is_active = !is_active;
        let begun = Instant::now();
        line.patch(&one, json!([{"op": "replace", "value": {"active": is_active}}])).await?;
        took.push(begun.elapsed());
        tokio::time::sleep(BETWEEN_CHANGES).await;
    }
    Ok(took)
}

/// Somebody with an open stream is deactivated, after many others were.
pub(super) async fn deactivate(
    world: &World,
    scim: &Scim,
    directory: &Directory,
    figures: &mut Figures,
) -> Outcome<()> {
    let mut line = scim.connect().await?;
    let mut took = Vec::new();
    for id in (3..3 + TIMES).map(|number| directory.person(number)) {
        let begun = Instant::now();
        line.patch(&format!("/Users/{id}"), json!([{"op": "replace", "value": {"active": false}}])).await?;
        took.push(begun.elapsed());
    }
    figures.times("one deactivation, from the request to the 2xx", took);
    let (browser, _) = world.logged_in(WHO).await.map_err(told("login"))?;
    let mut stream = browser.event_stream(&world.wiki("/events")).await.map_err(told("stream"))?;
    let watching = tokio::spawn(async move {
        let _ = tokio::time::timeout(PATIENCE, stream.ended()).await;
        Instant::now()
    });
    let begun = Instant::now();
    let answered = world.deactivate(WHO).await;
    let cut = watching.await.map_err(told("stream"))?;
    figures.time("the stream of somebody who is deactivated ends, from the first request", cut - begun);
    let after = cut.saturating_duration_since(answered);
    figures.time("of that, after the 2xx", after);
    Ok(())
}
