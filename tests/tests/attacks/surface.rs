//! Group E: nothing but a session opens anything, our own endpoints are where they are and nowhere else, and what is inside
//! stays there.

use super::frames::Outcome;
use super::rig::{Mark, run};

/// Nobody's request with these lines: its status, and that nothing of it arrived.
async fn nobody(rig: &super::rig::Rig, request_line: &str, lines: &str) -> u16 {
    let mark = Mark::new();
    let request = format!("{request_line} HTTP/1.1\r\nHost: {}\r\nX-Mark: {mark}\r\n{lines}\r\n", rig.host());
    let reply = rig.raw(request.as_bytes()).await;
    rig.assert_nothing_of(&mark, request_line);
    reply.map_or(400, |reply| reply.status)
}

#[test]
fn t50_nothing_that_a_client_says_of_itself_opens_a_door() {
    run(async |rig| {
        for agent in [
            "GoogleHC/1.0",
            "kube-probe/1.30",
            "ELB-HealthChecker/2.0",
            "Amazon-Route53-Health-Check-Service",
            "Go-http-client/1.1",
        ] {
            assert_eq!(nobody(rig, "GET /whoami", &format!("User-Agent: {agent}\r\n")).await, 401, "{agent}");
        }
        for line in [
            "X-Forwarded-For: 127.0.0.1",
            "X-Real-IP: ::1",
            "X-Internal: true",
            "X-Portcullis-Internal: 1",
            "Authorization: Basic YWRtaW46YWRtaW4=",
            "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
            "Cf-Access-Authenticated-User-Email: engineer@corp.example",
            "Cf-Access-Jwt-Assertion: eyJhbGciOiJub25lIn0.e30.",
            "Cf-Access-Client-Id: x\r\nCf-Access-Client-Secret: y",
            "Remote-User: engineer@corp.example",
            "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
            "X-Purpose: preview\r\nSec-Purpose: prefetch",
        ] {
            assert_eq!(nobody(rig, "GET /whoami", &format!("{line}\r\n")).await, 401, "{line}");
        }
        let open_elsewhere = [
            "/healthz",
            "/readyz",
            "/ping",
            "/robots.txt",
            "/favicon.ico",
            "/.well-known/security.txt",
            "/oauth2/auth",
            "/oauth2/sign_in",
            "/static/app.js",
            "/api/health",
        ];
        for path in open_elsewhere {
            assert_eq!(nobody(rig, &format!("GET {path}"), "").await, 401, "{path}");
        }
    });
}

#[test]
fn t51_options_is_a_request_like_any_other() {
    run(async |rig| {
        let preflight = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
        for lines in [
            "",
            "Origin: https://evil.example\r\n",
            "Access-Control-Request-Method: POST\r\n",
            "Accept: text/html\r\n",
        ] {
            assert_eq!(nobody(rig, "OPTIONS /whoami", lines).await, 401, "{lines}");
        }
        // A preflight carries no session: it is not forwarded, and not sent to log in.
        let status = nobody(rig, "OPTIONS /whoami", preflight).await;
        assert!(matches!(status, 401 | 403), "{status}");
        let mark = Mark::new();
        let mut bytes = rig.head("OPTIONS", "/echo", &mark);
        bytes.extend_from_slice(b"\r\n");
        assert_eq!(rig.raw(&bytes).await.unwrap().status, 200);
        assert!(rig.arrived(&mark).starts_with("OPTIONS /echo HTTP/1.1\r\n"));
    });
}

#[test]
fn t52_only_known_methods_are_served_and_none_is_overridden() {
    run(async |rig| {
        for method in ["get", "Get", "TRACE", "TRACK", "PROPFIND", "PURGE", "LINK", "GETX", "M-SEARCH", "PRI"]
        {
            let mark = Mark::new();
            let mut bytes = rig.head(method, "/echo", &mark);
            bytes.extend_from_slice(b"\r\n");
            let reply = rig.raw(&bytes).await;
            assert!(
                reply.as_ref().is_none_or(|reply| matches!(reply.status, 400 | 405 | 501)),
                "{method}: {reply:?}"
            );
            rig.assert_nothing_of(&mark, method);
            let (host, text) = (rig.host(), mark.to_string());
            let mut fields = rig.fields(&host, b"/echo", &text);
            fields[0].1 = method.as_bytes();
            let outcome = rig.frames().await.ask(&fields).await;
            assert!(
                matches!(outcome, Outcome::Answer(400 | 405 | 501, _) | Outcome::Reset(_)),
                "{method}: {outcome:?}"
            );
            rig.assert_nothing_of(&mark, method);
        }
        for request_line in ["GET  /echo", "GET\t/echo", " GET /echo", "GE\0T /echo", "GET /echo HTTP/1.1 "] {
            let mark = Mark::new();
            let head = String::from_utf8(rig.head("GET", "/echo", &mark)).unwrap();
            let bytes = format!("{}\r\n", head.replacen("GET /echo", request_line, 1));
            let reply = rig.raw(bytes.as_bytes()).await;
            assert!(reply.as_ref().is_none_or(|reply| reply.status == 400), "{request_line:?}: {reply:?}");
            rig.assert_nothing_of(&mark, request_line);
        }
        for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x_http_method_override"]
        {
            let mark = Mark::new();
            let mut bytes = rig.head("GET", "/echo", &mark);
            bytes.extend_from_slice(format!("{name}: DELETE\r\n\r\n").as_bytes());
            assert_eq!(rig.raw(&bytes).await.unwrap().status, 200);
            let arrived = rig.arrived(&mark);
            assert!(
                arrived.starts_with("GET /echo HTTP/1.1\r\n") && !arrived.contains("DELETE"),
                "{name}:\n{arrived}"
            );
        }
    });
}

/// `office` is for 10.0.0.0/8, `near` for 127.0.0.0/8; the engineer comes from 127.0.0.1 whatever a field says.
#[test]
fn t53_a_rule_on_addresses_sees_the_peer() {
    run(async |rig| {
        for (name, status) in [("office", 403), ("near", 200)] {
            let front = format!("{}/echo", rig.world.settings.application_url(name));
            let page = rig.browser.navigate(&front).await.unwrap();
            assert_eq!(page.status, status, "{name}: {}", page.trail());
            let cookie = rig.browser.jar().header(&front.parse().unwrap()).unwrap();
            let host = rig.host().replace("wiki", name);
            for address in ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1, 127.0.0.1", "127.0.0.1, 10.0.0.1"] {
                let mark = Mark::new();
                let request = format!(
                    "GET /echo HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Mark: {mark}\r\n\
                     X-Forwarded-For: {address}\r\nForwarded: for={address}\r\nX-Real-IP: {address}\r\n\r\n"
                );
                assert_eq!(rig.raw(request.as_bytes()).await.unwrap().status, status, "{name} {address}");
                assert_eq!(rig.arrived(&mark).is_empty(), status != 200, "{name} {address}");
            }
        }
    });
}

#[test]
fn t56_our_endpoints_are_below_one_prefix_and_nowhere_else() {
    run(async |rig| {
        // Another spelling of the same path is the same endpoint: known to us, unknown to the upstream.
        for target in [
            "/cdn-cgi/access/get-identity",
            "/%63dn-cgi/access/get-identity",
            "/cdn-cgi/access/get%2Didentity",
        ] {
            let mark = Mark::new();
            let reply = rig.get(target, &mark).await;
            assert_eq!(reply.status, 200, "{target}: {}", reply.text());
            assert!(reply.text().contains(super::rig::ENGINEER), "{target}: {}", reply.text());
            rig.assert_nothing_of(&mark, target);
        }
        // What is not below the prefix is the application's, and has no meaning for us.
        rig.forwards_targets(&[
            ("/CDN-CGI/access/logout", "/CDN-CGI/access/logout"),
            ("/cdn-cgi/accessory", "/cdn-cgi/accessory"),
            ("/x/cdn-cgi/access/logout", "/x/cdn-cgi/access/logout"),
            ("/?/cdn-cgi/access/logout", "/?/cdn-cgi/access/logout"),
            ("/?logout=1&rd=https://evil.example", "/?logout=1&rd=https://evil.example"),
            ("/?code=x&state=y", "/?code=x&state=y"),
        ])
        .await;
        rig.refuses_targets(&[
            "/cdn-cgi//access/logout",
            "/x/../cdn-cgi/access/logout",
            "/cdn-cgi/access%2flogout",
            "/cdn-cgi/access/;/logout",
        ])
        .await;
        // Still logged in after all of it.
        assert_eq!(rig.get("/whoami", &Mark::new()).await.status, 200);
    });
}

#[test]
fn t57_what_is_inside_is_not_on_the_public_listener() {
    run(async |rig| {
        let auth = format!("auth.localhost:{}", rig.world.settings.port);
        let inside = [
            "/metrics",
            "/healthz",
            "/readyz",
            "/debug/pprof/",
            "/debug/vars",
            "/admin",
            "/api/v1/sessions",
            "/config",
            "/status",
        ];
        for path in inside {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {auth}\r\nCookie: {}\r\n\r\n", rig.cookie);
            let reply = rig.raw(request.as_bytes()).await.unwrap();
            assert_eq!(reply.status, 404, "{path}: {}", reply.text());
            // On an application's host it is a page of the application, so for nobody it is not there.
            assert_eq!(nobody(rig, &format!("GET {path}"), "").await, 401, "{path}");
        }
        // The inner listener serves nothing of the outside.
        for path in ["/cdn-cgi/access/get-identity", "/scim/v2/corp/Users", "/"] {
            let (status, _) = rig.world.gateway.inner(path).await.unwrap();
            assert_eq!(status, 404, "{path}");
        }
    });
}
