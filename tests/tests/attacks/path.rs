//! Group A: a path has one meaning for the policy and for the upstream, or the request ends.

use super::rig::{Mark, run};

#[test]
fn t01_dot_segments_are_refused() {
    run(async |rig| {
        let targets =
            ["/public/../admin", "/public/./../admin", "/./admin", "/..", "/.", "/public/..", "/a/."];
        rig.refuses_targets(&targets).await;
    });
}

#[test]
fn t02_encoded_dot_segments_are_refused() {
    run(async |rig| {
        let targets = [
            "/public/%2e%2e/admin",
            "/public/%2E%2E/admin",
            "/public/.%2e/admin",
            "/public/%2E./admin",
            "/%2e/a",
        ];
        rig.refuses_targets(&targets).await;
    });
}

#[test]
fn t03_what_is_encoded_twice_is_never_decoded_twice() {
    run(async |rig| {
        let target = "/public/%252e%252e%252fadmin";
        rig.forwards_targets(&[(target, target), ("/%25252e", "/%25252e")]).await;
    });
}

#[test]
fn t04_path_parameters_are_refused_by_default() {
    run(async |rig| {
        let targets =
            ["/public/..;/admin", "/admin;x=1", "/adm;a=b/in", "/;/admin", "/public;/../admin", "/a;"];
        rig.refuses_targets(&targets).await;
    });
}

#[test]
fn t05_an_encoded_slash_is_refused_by_default() {
    run(async |rig| {
        let targets = ["/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/public%2f..%2fadmin", "/public/..%5cadmin"];
        rig.refuses_targets(&targets).await;
        rig.refuses_targets(&["/a\\b", "/public\\..\\admin"]).await;
    });
}

#[test]
fn t06_empty_segments_are_refused_and_a_last_slash_or_dot_is_kept() {
    run(async |rig| {
        rig.refuses_targets(&["//admin", "/public//../admin", "/a//", "//", "///wiki.localhost/admin"]).await;
        rig.forwards_targets(&[("/admin/", "/admin/"), ("/admin.", "/admin."), ("/admin", "/admin")]).await;
    });
}

/// The library that reads requests cuts a fragment off before anybody sees it: what is judged and forwarded is what stood
/// before, and no `#` reaches an upstream.
#[test]
fn t07_a_fragment_never_reaches_an_upstream() {
    run(async |rig| {
        rig.forwards_targets(&[("/admin%23", "/admin%23"), ("/public%23/x", "/public%23/x")]).await;
        for target in ["/public#/../admin", "/public#", "/admin#?x=/public"] {
            let mark = Mark::new();
            let reply = rig.get(target, &mark).await;
            let arrived = rig.arrived(&mark);
            let line = arrived.lines().next().unwrap_or_default().to_owned();
            if reply.status == 400 {
                assert!(line.is_empty(), "{target}: {line}");
            } else {
                let before = target.split('#').next().unwrap();
                assert_eq!(line, format!("GET {before} HTTP/1.1"), "{target}");
                assert_eq!(rig.judged(&arrived).await["path"], before, "{target}");
            }
        }
    });
}

#[test]
fn t08_the_query_is_no_part_of_the_judged_path() {
    run(async |rig| {
        let same = ["/admin?x=/public", "/admin?/public", "/admin?/../public", "/a?b?c=%2f..%2f;x", "/a?//"];
        rig.forwards_targets(&same.map(|target| (target, target))).await;
        rig.forwards_targets(&[("/admin?", "/admin")]).await;
    });
}

#[test]
fn t09_bytes_that_patterns_are_written_in_are_bytes_of_the_path() {
    run(async |rig| {
        rig.forwards_targets(&[
            ("/adm*n", "/adm*n"),
            ("/*", "/*"),
            ("/**", "/**"),
            ("/a|b", "/a%7Cb"),
            ("/a^b", "/a%5Eb"),
            ("/{id}", "/%7Bid%7D"),
            ("/a[0-9]b", "/a[0-9]b"),
            ("/a$(x)", "/a$(x)"),
        ])
        .await;
    });
}

#[test]
fn t10_case_and_other_alphabets_are_not_folded_and_broken_ones_are_refused() {
    run(async |rig| {
        rig.forwards_targets(&[
            ("/ADMIN", "/ADMIN"),
            ("/%EF%BC%A1dmin", "/%EF%BC%A1dmin"),
            ("/adm%C4%B1n", "/adm%C4%B1n"),
            ("/adm%c4%b1n", "/adm%C4%B1n"),
            ("/%61dmin", "/admin"),
        ])
        .await;
        rig.refuses_targets(&[
            "/%c0%af",
            "/%c0%ae%c0%ae/admin",
            "/%00",
            "/admin%00",
            "/%0d%0a",
            "/a%0ab",
            "/%7f",
        ])
        .await;
    });
}

#[test]
fn t11_broken_escapes_and_bytes_that_are_no_text_are_refused() {
    run(async |rig| {
        rig.refuses_targets(&["/%zz", "/%", "/a%", "/%4", "/%+1", "/%ff", "/%ed%a0%80", "/%u0041"]).await;
        rig.refuses_targets(&[b"/\xff".as_slice(), b"/\xc0\xaf", "/é".as_bytes(), b"/a\x01b"]).await;
        // For nobody it is no better: never a redirect that carries the path along.
        for target in ["/%zz", "/public/../admin", "/a%2fb"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\r\n", rig.host());
            let reply = rig.raw(head.as_bytes()).await.unwrap();
            assert_eq!(reply.status, 400, "{target}: {}", reply.head);
            assert!(!reply.head.to_ascii_lowercase().contains("location:"), "{}", reply.head);
        }
    });
}

#[test]
fn t12_an_absolute_target_must_name_the_host_of_the_request() {
    run(async |rig| {
        let port = rig.world.settings.port;
        for other in
            ["other", "canteen.localhost", &format!("canteen.localhost:{port}"), "wiki.localhost.evil"]
        {
            for scheme in ["http", "https"] {
                let mark = Mark::new();
                let reply = rig.get(format!("{scheme}://{other}/admin"), &mark).await;
                assert_eq!(reply.status, 400, "{other}: {}", reply.text());
                rig.assert_nothing_of(&mark, other);
            }
        }
        // One that agrees is forwarded as a path.
        let mark = Mark::new();
        rig.get(format!("https://{}/admin?q", rig.host()), &mark).await;
        assert!(rig.arrived(&mark).starts_with("GET /admin?q HTTP/1.1\r\n"), "{}", rig.arrived(&mark));
        let mark = Mark::new();
        assert_eq!(rig.get(format!("https://user:pass@{}/admin", rig.host()), &mark).await.status, 400);
        rig.assert_nothing_of(&mark, "userinfo");
    });
}

#[test]
fn t13_asterisk_and_authority_forms_are_refused() {
    run(async |rig| {
        let host = rig.host();
        for (method, target) in [
            ("OPTIONS", "*"),
            ("GET", "*"),
            ("GET", host.as_str()),
            ("CONNECT", host.as_str()),
            ("CONNECT", "127.0.0.1:22"),
            ("CONNECT", "/"),
            ("GET", "admin"),
            ("GET", "?x"),
        ] {
            let mark = Mark::new();
            let mut head = rig.head(method, target, &mark);
            head.extend_from_slice(b"\r\n");
            let reply = rig.raw(&head).await;
            // What is not even a request line is answered by closing.
            let status = reply.as_ref().map_or(400, |reply| reply.status);
            assert!(matches!(status, 400 | 405 | 501), "{method} {target}: {reply:?}");
            rig.assert_nothing_of(&mark, target);
        }
        for (method, path) in
            [(&b"CONNECT"[..], &b"/"[..]), (b"OPTIONS", b"*"), (b"GET", b"admin"), (b"GET", b"")]
        {
            let mark = Mark::new();
            let (host, text) = (rig.host(), mark.to_string());
            let mut fields = rig.fields(&host, path, &text);
            fields[0].1 = method;
            let outcome = rig.frames().await.ask(&fields).await;
            assert!(outcome.is_refused(), "{outcome:?}");
            rig.assert_nothing_of(&mark, "over HTTP/2");
        }
        // A tunnel over HTTP/2 has neither scheme nor path.
        let authority = [
            (&b":method"[..], &b"CONNECT"[..]),
            (b":authority", host.as_bytes()),
            (b"cookie", rig.cookie.as_bytes()),
        ];
        let outcome = rig.frames().await.ask(&authority).await;
        assert!(outcome.is_refused(), "{outcome:?}");
    });
}

/// On one host the engineer may use everything but `/admin` and the teams' secrets. However a path is spelled, no server that
/// reads it in its own way is led there.
#[test]
fn t15_the_most_specific_application_decides_in_every_spelling() {
    run(async |rig| {
        let cookie = rig.cookie_for("site.localhost").await;
        let host = rig.host().replace("wiki", "site");
        let ask = async |target: &str, mark: &Mark| {
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Mark: {mark}\r\n\r\n"
            );
            rig.raw(request.as_bytes()).await.map_or(400, |reply| reply.status)
        };
        for (target, expected) in [
            ("/admin", 403),
            ("/admin/", 403),
            ("/admin/x", 403),
            ("/admin?x=/public", 403),
            ("/admin?/public", 403),
            ("/%61dmin", 403),
            ("/adm%69n/x", 403),
            ("/teams/a/secret", 403),
            ("/teams/a/secret/x", 403),
        ] {
            let mark = Mark::new();
            assert_eq!(ask(target, &mark).await, expected, "{target}");
            rig.assert_nothing_of(&mark, target);
        }
        let spellings = [
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/./admin",
            "//admin",
            "/public//../admin",
            "/admin;x=1",
            "/;/admin",
            "/adm;a=b/in",
            "/public/..;/admin",
            "/public%2f..%2fadmin",
            "/%2fadmin",
            "/admin%2fx",
            "/admin%5cx",
            "/admin\\x",
            "/admin%00",
            "/admin%20",
            "/ADMIN",
            "/Admin/x",
            "/admin.",
            "/%EF%BC%A1dmin",
            "/admin%23",
            "/admin%3f",
            "/admin%252fx",
            "/teams/a/SECRET",
            "/teams//secret",
        ];
        for target in spellings {
            let mark = Mark::new();
            let status = ask(target, &mark).await;
            assert!(matches!(status, 400 | 403 | 404), "{target}: {status}");
            let arrived = rig.arrived(&mark);
            let line = arrived.lines().next().unwrap_or_default();
            // What did pass is no spelling of what is closed, also for a server that folds letters and decodes separators.
            let loose = line.to_ascii_lowercase().replace("%2f", "/").replace("%5c", "/");
            assert!(
                !loose.contains("/admin/") && !loose.contains("/admin http") && !loose.contains("/secret"),
                "{target}: {line}"
            );
        }
        let mark = Mark::new();
        assert_eq!(ask("/whoami", &mark).await, 200);
        assert_eq!(rig.judged(&rig.arrived(&mark)).await["application"], "site");
    });
}

/// What one application tolerates is forwarded in one form, and is still refused elsewhere.
#[test]
fn t05_t04_a_tolerant_application_gets_what_was_judged() {
    run(async |rig| {
        let cookie = rig.cookie_for("lenient.localhost").await;
        let host = rig.host().replace("wiki", "lenient");
        for (target, expected) in [
            ("/a%2fb", Some("/a%2Fb")),
            ("/a;b=c/d", Some("/a;b=c/d")),
            ("/a%5cb", None),
            ("//a", None),
            ("/a/..;/b", None),
            ("/a/../b", None),
        ] {
            let mark = Mark::new();
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Mark: {mark}\r\n\r\n"
            );
            let reply = rig.raw(request.as_bytes()).await.unwrap();
            let arrived = rig.arrived(&mark);
            let line = arrived.lines().next();
            assert_eq!(
                line,
                expected.map(|path| format!("GET {path} HTTP/1.1")).as_deref(),
                "{target}: {}",
                reply.status
            );
            if let Some(path) = expected {
                assert_eq!(rig.judged(&arrived).await["path"], path, "{target}");
            } else {
                assert_eq!(reply.status, 400, "{target}");
            }
        }
    });
}
