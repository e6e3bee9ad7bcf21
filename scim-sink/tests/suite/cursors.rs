//! Cursors (RFC 9865), orders, and what they promise while the directory changes.

use serde_json::{Value, json};

use crate::rig::{Rig, user_body};

fn names(page: &Value) -> Vec<String> {
    let listed = page["Resources"].as_array().unwrap();
    listed.iter().map(|one| one["userName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn people_who_come_and_go_neither_move_nor_repeat_the_others() {
    let rig = Rig::new().await;
    let mut ids = Vec::new();
    for name in ["e@x", "a@x", "d@x", "b@x", "c@x"] {
        ids.push(rig.user(name).await);
    }
    for (query, first, rest) in [
        ("count=2", ["e@x", "a@x"], vec!["b@x", "c@x", "f@x"]),
        ("sortBy=userName&count=2", ["a@x", "b@x"], vec!["c@x", "e@x", "f@x"]),
    ] {
        let page = rig.get(&format!("/Users?{query}&cursor")).await;
        assert_eq!(names(&page), first, "{query}");
        assert!(page.get("startIndex").is_none());
        let cursor = page["nextCursor"].as_str().unwrap().to_owned();
        // One who was shown goes, one who was not goes, one comes.
        let shown = rig.get("/Users?filter=userName eq \"a@x\"").await["Resources"][0]["id"].clone();
        let (shown, unseen) = (shown.as_str().unwrap().to_owned(), ids[2].clone());
        for id in [&shown, &unseen] {
            rig.call("DELETE", &format!("/Users/{id}"), None).await.expect(204);
        }
        let came = rig.user("f@x").await;
        let page =
            rig.get(&format!("/Users?{query}&count=9&cursor={cursor}").replacen("count=2&", "", 1)).await;
        assert_eq!(names(&page), rest, "{query}");
        assert!(page.get("nextCursor").is_none());
        // As it was, for the next round.
        rig.call("DELETE", &format!("/Users/{came}"), None).await.expect(204);
        for (place, name) in [(1, "a@x"), (2, "d@x")] {
            ids[place] = rig.user(name).await;
        }
    }
}

#[tokio::test]
async fn a_search_leads_by_its_cursor_through_users_and_groups() {
    let rig = Rig::new().await;
    let mut all = Vec::new();
    for name in ["b@x", "a@x", "c@x"] {
        all.push(rig.user(name).await);
    }
    for name in ["H", "G"] {
        all.push(rig.group(name, &[]).await);
    }
    let sorted = [1, 0, 2, 4, 3].map(|place: usize| all[place].clone());
    for (order, wanted) in [(None, all.clone()), (Some("id"), Vec::new()), (Some("externalId"), Vec::new())] {
        for count in 1..=4 {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let body = json!({"count": count, "cursor": cursor, "sortBy": order});
                let page = rig.call("POST", "/.search", Some(body)).await.expect(200);
                let listed = page["Resources"].as_array().unwrap();
                found.extend(listed.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
                match page.get("nextCursor") {
                    Some(next) => cursor = next.as_str().unwrap().to_owned(),
                    None => break,
                }
            }
            let mut wanted = if wanted.is_empty() { found.clone() } else { wanted.clone() };
            assert_eq!(found, wanted, "{order:?} {count}");
            wanted.sort();
            let mut everybody = all.clone();
            everybody.sort();
            assert_eq!(wanted, everybody, "{order:?} {count}");
        }
    }
    let body = json!({"sortBy": "displayName", "count": 9});
    let page = rig.call("POST", "/Groups/.search", Some(body)).await.expect(200);
    assert_eq!(page["Resources"][0]["id"], json!(sorted[3]));
    // The listing by GET is the same listing.
    let page = rig.get("/Users?cursor=&count=1").await;
    let body = json!({"cursor": page["nextCursor"], "count": 1});
    assert_eq!(names(&rig.call("POST", "/Users/.search", Some(body)).await.expect(200)), ["a@x"]);
    let elsewhere = format!("/Groups?cursor={}", page["nextCursor"].as_str().unwrap());
    rig.call("GET", &elsewhere, None).await.expect_error(400, Some("invalidCursor"));
}

#[tokio::test]
async fn an_order_is_by_the_primary_value_and_by_the_parts_of_a_name() {
    let rig = Rig::new().await;
    for (name, family, mails) in [
        ("one@x", "Zander", json!([{"value": "m@x"}, {"value": "a@x", "primary": true}])),
        ("two@x", "adams", json!([{"value": "b@x"}])),
        ("three@x", "Moss", json!([])),
    ] {
        let mut body = user_body(name);
        body["name"]["familyName"] = json!(family);
        body["emails"] = mails;
        rig.post("/Users", body).await;
    }
    for (query, wanted) in [
        ("sortBy=name.familyName", ["two@x", "three@x", "one@x"]),
        ("sortBy=emails", ["one@x", "two@x", "three@x"]),
        ("sortBy=emails.value&sortOrder=descending", ["three@x", "two@x", "one@x"]),
        ("sortBy=meta.created&sortOrder=descending", ["one@x", "two@x", "three@x"]),
        ("sortBy=urn:ietf:params:scim:schemas:core:2.0:User:userName", ["one@x", "three@x", "two@x"]),
    ] {
        assert_eq!(names(&rig.get(&format!("/Users?{query}")).await), wanted, "{query}");
    }
}

#[tokio::test]
async fn a_version_says_whether_anything_is_to_be_told_or_written() {
    let rig = Rig::new().await;
    let id = rig.user("jane@x").await;
    for (path, body) in [
        (format!("/Users/{id}"), json!({"userName": "jane@x", "title": "T"})),
        (format!("/Groups/{}", rig.group("G", &[&id]).await), json!({"displayName": "G2"})),
    ] {
        let with = |method: &str, header: &'static str, tag: &'static str, body: Option<&Value>| {
            let mut request = rig.request(method, &path, body.cloned());
            request.headers_mut().insert(header, tag.parse().unwrap());
            request
        };
        for (tag, status) in
            [("W/\"1\"", 304), ("\"1\"", 304), ("W/\"7\", W/\"1\"", 304), ("*", 304), ("W/\"2\"", 200)]
        {
            let reply = rig.send(with("GET", "if-none-match", tag, None)).await;
            assert_eq!(reply.headers["etag"], "W/\"1\"", "{tag}");
            reply.expect(status);
        }
        for (method, body) in [("PUT", Some(&body)), ("DELETE", None)] {
            rig.send(with(method, "if-match", "W/\"7\"", body)).await.expect_error(412, None);
        }
        let reply = rig.send(with("PUT", "if-match", "W/\"7\", W/\"1\"", Some(&body))).await;
        assert_eq!(reply.headers["etag"], "W/\"2\"");
        assert_eq!(reply.expect(200)["meta"]["version"], "W/\"2\"");
        rig.send(with("PUT", "if-match", "W/\"1\"", Some(&body))).await.expect_error(412, None);
        rig.send(with("DELETE", "if-match", "*", None)).await.expect(204);
    }
}
