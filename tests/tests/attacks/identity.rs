//! Group C: who somebody is, and where a request came from, is what the gateway says and nobody else. Forged spellings of
//! known names are tried in `doors`; here is what these do not cover.

use std::collections::BTreeSet;

use portcullis_tests::harness::WorldConfig;
use portcullis_tests::okta::{Company, company::Person};

use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, field_block};
use super::rig::{ENGINEER, Mark, Rig, alone, run};

/// Stands in every value that a client made up.
const FORGED: &str = "forged-by-the-client";

/// What a proxy in front would say, if there were one.
const SPOOFED: &str = "X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\n\
    X-Forwarded-Port: 1\r\nX-Forwarded-Uri: /public\r\nX-Forwarded-Method: OPTIONS\r\nX-Forwarded-Prefix: /evil\r\n\
    Forwarded: for=10.1.1.1;host=evil.example;proto=http\r\nX-Original-URL: /public\r\nX-Original-Method: OPTIONS\r\n\
    X-Rewrite-URL: /public\r\nX-Real-IP: 10.1.1.1\r\nTrue-Client-IP: 10.1.1.1\r\nX-Original-Host: evil.example\r\n";

#[test]
fn t26_nobody_is_trusted_to_say_where_a_request_comes_from() {
    run(async |rig| {
        let host = rig.host();
        let auth = rig.world.settings.auth_url();
        // The way to the login and its cookie: as without these fields, but for what is random.
        let request = format!("GET /page HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n{SPOOFED}\r\n");
        let reply = rig.raw(request.as_bytes()).await.unwrap();
        assert_eq!(reply.status, 303);
        assert!(
            reply
                .header("location")
                .starts_with(&format!("{auth}/cdn-cgi/access/login/wiki.localhost?request="))
        );
        assert!(
            reply.header("set-cookie").contains("; Secure") && !reply.head.contains("evil"),
            "{}",
            reply.head
        );
        // The policy and the log: the peer's own address, the request's own path and method.
        let mark = Mark::new();
        let mut bytes = rig.head("GET", "/admin", &mark);
        bytes.extend_from_slice(SPOOFED.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        assert_eq!(rig.raw(&bytes).await.unwrap().status, 404);
        let arrived = rig.arrived(&mark);
        let event = rig.judged(&arrived).await;
        for (field, value) in
            [("client", "127.0.0.1"), ("path", "/admin"), ("method", "GET"), ("host", "wiki.localhost")]
        {
            assert_eq!(event[field], value, "{event}");
        }
        for spoofed in ["evil", "10.1.1.1", "/public"] {
            assert!(!arrived.contains(spoofed), "{spoofed}: {arrived}");
        }
    });
}

/// Whatever the gateway tells an upstream, today or tomorrow, cannot be told by a client.
#[test]
fn t38_every_field_that_the_gateway_sets_is_its_own() {
    run(async |rig| {
        let mark = Mark::new();
        assert_eq!(rig.get("/echo", &mark).await.status, 200);
        let first = rig.arrived(&mark);
        let sent = ["host", "cookie", "x-mark", "connection", "transfer-encoding", "content-length"];
        let ours: BTreeSet<String> = names(&first).filter(|name| !sent.contains(&name.as_str())).collect();
        assert!(ours.len() >= 5 && ours.contains("cf-access-jwt-assertion"), "{ours:?}");
        for name in &ours {
            for spelled in spellings(name) {
                let mark = Mark::new();
                let mut bytes = rig.head("GET", "/echo", &mark);
                bytes.extend_from_slice(
                    format!("{spelled}: {FORGED}\r\nX-Other: 1\r\n{spelled}:\t{FORGED} \r\n\r\n").as_bytes(),
                );
                let reply = rig.raw(&bytes).await.unwrap();
                assert_eq!(reply.status, 200, "{spelled}");
                let arrived = rig.arrived(&mark);
                assert!(!arrived.contains(FORGED), "{spelled} came through:\n{arrived}");
                assert_eq!(names(&arrived).filter(|known| known == name).count(), 1, "{spelled}:\n{arrived}");
                assert!(names(&arrived).any(|name| name == "x-other"), "{arrived}");
            }
        }
    });
}

fn names(head: &str) -> impl Iterator<Item = String> {
    let lines = head.lines().skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_ascii_lowercase())
}

fn spellings(name: &str) -> Vec<String> {
    vec![
        name.to_owned(),
        name.to_ascii_uppercase(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replacen('-', "_", 1).to_ascii_uppercase(),
    ]
}

/// A trailer is a field that comes late; over HTTP/2 it needs no announcement.
#[test]
fn t33_identity_in_trailers_stays_behind() {
    run(async |rig| {
        let mark = Mark::new();
        let (host, text) = (rig.host(), mark.to_string());
        let mut fields = rig.fields(&host, b"/upload", &text);
        fields[0].1 = b"POST";
        let mut frames = rig.frames().await;
        let stream = frames.head(&fields, 0).await;
        frames.send(DATA, 0, stream, b"body").await;
        let trailers = field_block(&[
            (b"cf-access-authenticated-user-email", FORGED.as_bytes()),
            (b"cf_access_authenticated_user_email", FORGED.as_bytes()),
            (b"x-forwarded-for", FORGED.as_bytes()),
            (b"cookie", FORGED.as_bytes()),
            (b"host", FORGED.as_bytes()),
        ]);
        frames.send(HEADERS, END_HEADERS | END_STREAM, stream, &trailers).await;
        assert_eq!(frames.outcome(stream).await.status(), 200);
        let arrived = rig.arrived(&mark);
        assert!(arrived.contains("body") && !arrived.contains(FORGED), "{arrived}");
        let mark = Mark::new();
        let mut bytes = rig.head("POST", "/upload", &mark);
        bytes.extend_from_slice(
            b"Trailer: Remote-User\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n",
        );
        bytes.extend_from_slice(
            format!("Remote-User: {FORGED}\r\nX-Forwarded-For: {FORGED}\r\n\r\n").as_bytes(),
        );
        assert_eq!(rig.raw(&bytes).await.unwrap().status, 200);
        let arrived = rig.arrived(&mark);
        assert!(arrived.contains("body") && !arrived.contains(FORGED), "{arrived}");
    });
}

/// Bytes that are no text open nothing: nobody stays nobody, and somebody stays who they are.
#[test]
fn t34_fields_that_are_no_text_change_no_decision() {
    run(async |rig| {
        let host = rig.host();
        for name in ["Cookie", "Authorization", "Accept", "Origin", "User-Agent", "X-Forwarded-For", "X-Any"]
        {
            let mut bytes = format!("GET /echo HTTP/1.1\r\nHost: {host}\r\nX-Mark: ").into_bytes();
            let mark = Mark::new();
            bytes.extend_from_slice(format!("{mark}\r\n{name}: ").as_bytes());
            bytes.extend_from_slice(b"\xff\xfe\xc0\xaf\r\n\r\n");
            let reply = rig.raw(&bytes).await;
            assert!(
                reply.as_ref().is_none_or(|reply| matches!(reply.status, 400 | 401)),
                "{name}: {reply:?}"
            );
            rig.assert_nothing_of(&mark, name);
            let mark = Mark::new();
            let mut bytes = rig.head("GET", "/echo", &mark);
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(b"\xff\xfe\xc0\xaf\r\n\r\n");
            let reply = rig.raw(&bytes).await.unwrap();
            assert!(matches!(reply.status, 200 | 400), "{name}: {}", reply.head);
            if reply.status == 200 {
                assert_eq!(rig.judged(&rig.arrived(&mark)).await["email"], ENGINEER, "{name}");
            }
        }
        let mark = Mark::new();
        let (host, text) = (rig.host(), mark.to_string());
        let mut fields = rig.fields(&host, b"/echo", &text);
        fields[2].1 = b"wiki\xff.localhost";
        assert!(rig.frames().await.ask(&fields).await.is_refused());
        rig.assert_nothing_of(&mark, "a host that is no text");
    });
}

/// A page of ours for somebody who is logged in holds nothing that they are known by, and asks nobody else for anything.
#[test]
fn t36_a_page_of_ours_tells_no_secret() {
    run(async |rig| {
        let token = rig.cookie.split('=').next_back().unwrap();
        for (target, status) in [("/cdn-cgi/access/nothing", 404), ("/a/../b", 400)] {
            let mut bytes = rig.head("GET", target, &Mark::new());
            bytes.extend_from_slice(b"Accept: text/html\r\nAuthorization: Basic c2VjcmV0\r\n\r\n");
            let reply = rig.raw(&bytes).await.unwrap();
            assert_eq!(reply.status, status);
            let whole = format!("{}{}", reply.head, reply.text());
            for secret in [token, "c2VjcmV0", "eyJ"] {
                assert!(!whole.contains(secret), "{target}: {whole}");
            }
            // Nothing is fetched from elsewhere: neither by the browser nor, since there is no such service, by the gateway.
            assert!(reply.header("content-security-policy").contains("default-src 'none'"), "{}", reply.head);
        }
    });
}

/// Somebody whose address at the provider is no field value.
fn odd_people() -> Company {
    let mut company = Company::demo();
    for (login, email) in [
        ("umlaut@corp.example", "jürgen@corp.example"),
        ("newline@corp.example", "a@corp.example\r\nX-Injected: yes"),
        ("nul@corp.example", "a\0@corp.example"),
    ] {
        let mut person = Person::new(login, "Odd", "Person").in_groups(["Engineering"]);
        person.email = Some(email.to_owned());
        company.people.push(person);
    }
    company
}

#[test]
fn t29_t32_a_claim_that_is_no_field_value_leaves_no_room_for_another() {
    alone(async || {
        let config = WorldConfig { company: odd_people(), provisioned: false, ..WorldConfig::default() };
        let rig = Rig::start(config).await;
        for login in ["umlaut@corp.example", "newline@corp.example", "nul@corp.example"] {
            let (browser, page) = rig.world.logged_in(login).await.unwrap();
            if page.status != 200 {
                // Refusing such a login is an answer too.
                assert!(page.status.is_client_error(), "{login}: {}", page.trail());
                continue;
            }
            let cookie = browser.jar().header(&rig.world.wiki("/").parse().unwrap()).unwrap();
            let mark = Mark::new();
            let host = rig.host();
            let request = format!(
                "GET /echo HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Mark: {mark}\r\n\
                 Cf-Access-Authenticated-User-Email: {FORGED}\r\nCF_ACCESS_AUTHENTICATED_USER_EMAIL: {FORGED}\r\n\r\n"
            );
            assert_eq!(rig.raw(request.as_bytes()).await.unwrap().status, 200, "{login}");
            let arrived = rig.arrived(&mark);
            assert!(
                !arrived.contains(FORGED) && !arrived.to_ascii_lowercase().contains("x-injected"),
                "{arrived}"
            );
            // Written in another form, or not at all.
            let email = arrived
                .lines()
                .find(|line| line.to_ascii_lowercase().starts_with("cf-access-authenticated-user-email"));
            assert!(email.is_none_or(str::is_ascii), "{email:?}");
        }
    });
}
