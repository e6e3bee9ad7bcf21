//! The users and groups API.

use portcullis_tests::okta::company::{COLLECTOR, COLLECTOR_GROUPS, DEMO_API_TOKEN};
use portcullis_tests::okta::{Endpoint, Fault, OktaConfig, OktaSim};

use crate::wire::{Reply, ask, company, start};

async fn read(okta: &OktaSim, path: &str) -> Reply {
    let token = format!("SSWS {DEMO_API_TOKEN}");
    let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", okta.base_url()) };
    ask(&url, "GET", &[("authorization", &token)], "").await
}

fn next(reply: &Reply) -> Option<String> {
    let line = reply.all("link").into_iter().find(|line| line.ends_with("rel=\"next\""))?;
    Some(line.split(['<', '>']).nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn the_collectors_groups_come_in_two_pages() {
    let okta = start().await;
    let first = read(&okta, &format!("/api/v1/users/{COLLECTOR}/groups")).await;
    assert_eq!(first.all("link").len(), 2, "self and next stand on lines of their own");
    assert_eq!(first.json().as_array().unwrap().len(), 200);
    let second = read(&okta, &next(&first).unwrap()).await;
    assert_eq!(next(&second), None);
    let mut names = [first.json(), second.json()]
        .iter()
        .flat_map(|page| page.as_array().unwrap().clone())
        .map(|group| group["profile"]["name"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), COLLECTOR_GROUPS + 1);
    assert_eq!(okta.requests(Endpoint::UserGroups), 2);
    let by_hundred = read(&okta, &format!("/api/v1/users/{COLLECTOR}/groups?limit=100")).await;
    assert_eq!(by_hundred.json().as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn people_are_found_by_id_login_and_short_login() {
    let okta = start().await;
    let id = okta.person_id("engineer@corp.example").unwrap();
    for name in [id.as_str(), "engineer@corp.example", "engineer%40corp.example", "engineer"] {
        let reply = read(&okta, &format!("/api/v1/users/{name}")).await;
        assert_eq!((reply.status, reply.json()["id"].as_str()), (200, Some(id.as_str())), "{name}");
        assert!(!reply.header("x-okta-request-id").is_empty());
    }
    okta.deactivate("engineer@corp.example").await.unwrap();
    let gone = read(&okta, &format!("/api/v1/users/{id}")).await.json();
    assert_eq!(gone["status"], "DEPROVISIONED");
    let groups = read(&okta, "/api/v1/groups?q=Engin").await.json();
    assert_eq!(groups[0]["type"], "OKTA_GROUP");
    assert_eq!(groups.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn refusals_have_oktas_codes() {
    let okta = start().await;
    let groups = format!("{}/api/v1/groups", okta.base_url());
    for (header, status, code) in [
        ("SSWS wrong", 401, "E0000011"),
        ("SSWS powerless", 403, "E0000006"),
        ("Bearer x", 401, "E0000011"),
        ("Basic eA==", 403, "E0000005"),
    ] {
        let reply = ask(&groups, "GET", &[("authorization", header)], "").await;
        assert_eq!((reply.status, reply.json()["errorCode"].as_str()), (status, Some(code)));
    }
    let unspaced = format!("SSWS{DEMO_API_TOKEN}");
    assert_eq!(ask(&groups, "GET", &[("authorization", &unspaced)], "").await.status, 200);
    for (limit, status) in [("10000", 200), ("10001", 400), ("0", 400)] {
        assert_eq!(read(&okta, &format!("/api/v1/groups?limit={limit}")).await.status, status, "{limit}");
    }
    assert_eq!(read(&okta, "/api/v1/groups?after=invented").await.status, 400, "cursors cannot be made up");
    let nobody = read(&okta, "/api/v1/users/nobody@corp.example/groups").await;
    assert_eq!(nobody.status, 404);
    assert_eq!(nobody.json()["errorCode"], "E0000007");
    assert_eq!(nobody.json()["errorSummary"], "Not found: Resource not found: nobody@corp.example (User)");
}

#[tokio::test]
async fn calls_over_the_limit_get_429_until_the_window_ends() {
    let okta =
        OktaSim::start(OktaConfig { api_calls_per_minute: 2, ..OktaConfig::new(company()) }).await.unwrap();
    // The window of the wall clock may end between two calls; a run of more than two windows' calls cannot be let through.
    let mut refused = None;
    for _ in 0..5 {
        let reply = read(&okta, "/api/v1/groups").await;
        assert_eq!(reply.header("x-rate-limit-limit"), "2");
        if reply.status == 429 {
            refused = Some(reply);
        }
    }
    let refused = refused.expect("five calls do not fit into a limit of two");
    assert_eq!(refused.json()["errorCode"], "E0000047");
    assert_eq!(refused.header("x-rate-limit-remaining"), "0");
    let reset = refused.header("x-rate-limit-reset").parse::<u64>().unwrap();
    assert_eq!(reset % 60, 0);
    okta.advance_clock(std::time::Duration::from_secs(60));
    assert_eq!(read(&okta, "/api/v1/groups").await.status, 200);
    okta.misbehave_times(Endpoint::Groups, Fault::ConcurrencyLimited, 1);
    let crowded = read(&okta, "/api/v1/groups").await;
    assert_eq!((crowded.status, crowded.header("x-rate-limit-limit")), (429, "0"));
}
