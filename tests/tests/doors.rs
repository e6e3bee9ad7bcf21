//! Every door of the gateway, tried by everybody in every way: a table of the statuses, and for each cell but those of a
//! good session on its own application, that no byte reached the upstream. What a forged head is worth is at the end.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use http::Method;
use portcullis_tests::browser::{Browser, Outgoing, Versions};
use portcullis_tests::harness::{World, WorldConfig, binary};
use portcullis_tests::okta::company::DEMO_PASSWORD;

/// Who knocks, in the order of the table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visitor {
    /// No cookie.
    Nobody,
    /// A token of the right form that was never given out.
    Forged,
    /// The cookies of a session that was signed out.
    SignedOut,
    /// The cookies of somebody who was deactivated.
    Deactivated,
    /// Somebody whose groups do not open the wiki.
    Outsider,
    /// Somebody whose groups do.
    Good,
    /// A program whose service token opens the wiki, beside the cookies of somebody for whom more doors open.
    Service,
    /// One with a token that was never given out, beside the same cookies.
    WrongService,
}

const VISITORS: [Visitor; 8] = [
    Visitor::Nobody,
    Visitor::Forged,
    Visitor::SignedOut,
    Visitor::Deactivated,
    Visitor::Outsider,
    Visitor::Good,
    Visitor::Service,
    Visitor::WrongService,
];

/// How they knock, in the order of the table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A page navigation.
    Get,
    /// A script's POST.
    Post,
    /// A WebSocket's handshake.
    Upgrade,
    /// A POST of gRPC's content type over HTTP/2.
    Grpc,
}

const WAYS: [Way; 4] = [Way::Get, Way::Post, Way::Upgrade, Way::Grpc];

/// On which host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Wiki,
    Auth,
    /// A host that nobody configured, asked for over a connection that was opened for the login host.
    Unknown,
}

/// The statuses of one visitor: GET, POST, upgrade, gRPC.
type Statuses = [u16; 4];

struct Door {
    on: On,
    path: &'static str,
    expected: [Statuses; 8],
    /// Whether a good session gets through to the upstream.
    opens: bool,
    /// Whether a GET ends the session that knocks.
    ends: bool,
}

const fn door(on: On, path: &'static str, expected: [Statuses; 8]) -> Door {
    Door { on, path, expected, opens: false, ends: false }
}

/// The application's own paths: log in, or you may not, or the application's answer.
const fn application(path: &'static str, good: Statuses) -> Door {
    const LOG_IN: Statuses = [303, 401, 401, 401];
    let expected = [LOG_IN, LOG_IN, LOG_IN, [403; 4], [403; 4], good, good, [401; 4]];
    Door { on: On::Wiki, path, expected, opens: true, ends: false }
}

/// The same answer to everybody.
const fn alike(on: On, path: &'static str, statuses: Statuses) -> Door {
    door(on, path, [statuses; 8])
}

/// One that answers GET only: the same to everybody.
const fn endpoint(on: On, path: &'static str, get: u16) -> Door {
    alike(on, path, [get, 405, get, 405])
}

const fn ending(on: On, path: &'static str, get: u16) -> Door {
    Door { ends: true, ..endpoint(on, path, get) }
}

/// Who am I: a good session is known, and so is one that may not enter the wiki. A service is nobody.
const fn identity(on: On) -> Door {
    const NO: Statuses = [401, 405, 401, 405];
    const YES: Statuses = [200, 405, 200, 405];
    door(on, "/cdn-cgi/access/get-identity", [NO, NO, NO, NO, YES, YES, NO, NO])
}

/// Where a person says yes to a program at a terminal: leads whoever is logged in on to the auth host.
const fn onwards(path: &'static str) -> Door {
    const LOG_IN: Statuses = [303, 405, 401, 405];
    const ENDED: Statuses = [403, 405, 403, 405];
    const ON: Statuses = [303, 405, 303, 405];
    door(On::Wiki, path, [LOG_IN, LOG_IN, LOG_IN, ENDED, ON, ON, ON, ON])
}

/// The page itself: a form is heard when it is one.
const fn question(path: &'static str, get: u16) -> Door {
    const NO: Statuses = [401, 415, 401, 415];
    let yes = [get, 415, get, 415];
    door(On::Auth, path, [NO, NO, NO, NO, yes, yes, yes, yes])
}

const DOORS: &[Door] = &[
    application("/whoami", [200, 200, 200, 200]),
    application("/ws/echo", [426, 426, 101, 426]),
    application("/", [200, 200, 200, 200]),
    application("/scim/v2/corp/Users", [404, 404, 404, 404]),
    // The prefix is reserved with its slash; one letter more or less is the application's.
    application("/cdn-cgi/accessory", [404, 404, 404, 404]),
    endpoint(On::Wiki, "/cdn-cgi/access/callback", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/login/wiki.localhost", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/authorized", 400),
    endpoint(On::Wiki, "/cdn-cgi/access/authorized?code=made-up", 400),
    ending(On::Wiki, "/cdn-cgi/access/logout", 303),
    ending(On::Wiki, "/cdn-cgi/access/logout/app", 200),
    endpoint(On::Wiki, "/cdn-cgi/access/logout/everywhere", 404),
    identity(On::Wiki),
    onwards("/cdn-cgi/access/terminal"),
    onwards("/cdn-cgi/access/device"),
    alike(On::Wiki, "/cdn-cgi/access/device/begin", [405, 415, 405, 415]),
    alike(On::Wiki, "/cdn-cgi/access/token", [405, 415, 405, 415]),
    alike(On::Wiki, "/cdn-cgi/access/token/revoke", [405, 415, 405, 415]),
    question("/cdn-cgi/access/terminal/wiki.localhost", 400),
    question("/cdn-cgi/access/device/wiki.localhost", 200),
    alike(On::Auth, "/cdn-cgi/access/terminal/unknown.localhost", [404; 4]),
    question("/cdn-cgi/access/purpose/wiki.localhost", 400),
    question("/cdn-cgi/access/request/wiki.localhost", 400),
    question("/cdn-cgi/access/requests", 200),
    alike(On::Auth, "/cdn-cgi/access/purpose/unknown.localhost", [404; 4]),
    endpoint(On::Auth, "/cdn-cgi/access/purpose", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/purpose", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/requests", 404),
    endpoint(On::Auth, "/cdn-cgi/access/token", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/initiate", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/certs", 200),
    endpoint(On::Wiki, "/cdn-cgi/access/logo", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/verify", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/nonsense", 404),
    endpoint(On::Wiki, "/cdn-cgi/access/", 404),
    alike(On::Auth, "/", [404; 4]),
    alike(On::Auth, "/whoami", [404; 4]),
    alike(On::Auth, "/healthz", [404; 4]),
    alike(On::Auth, "/metrics", [404; 4]),
    endpoint(On::Auth, "/cdn-cgi/access/callback", 400),
    endpoint(On::Auth, "/cdn-cgi/access/callback?state=made-up&code=made-up", 400),
    endpoint(On::Auth, "/cdn-cgi/access/login/wiki.localhost", 303),
    endpoint(On::Auth, "/cdn-cgi/access/login/wiki.localhost?request=made-up", 400),
    endpoint(On::Auth, "/cdn-cgi/access/login/unknown.localhost", 404),
    endpoint(On::Auth, "/cdn-cgi/access/login/", 404),
    alike(On::Auth, "/cdn-cgi/access/initiate", [400, 415, 400, 415]),
    endpoint(On::Auth, "/cdn-cgi/access/authorized", 404),
    ending(On::Auth, "/cdn-cgi/access/logout", 200),
    endpoint(On::Auth, "/cdn-cgi/access/logout/app", 404),
    // A page of the login host's own asks, so its POST is heard.
    Door { ends: true, ..alike(On::Auth, "/cdn-cgi/access/logout/everywhere", [200; 4]) },
    identity(On::Auth),
    endpoint(On::Auth, "/cdn-cgi/access/certs", 200),
    endpoint(On::Auth, "/cdn-cgi/access/logo", 404),
    endpoint(On::Auth, "/cdn-cgi/access/verify", 404),
    endpoint(On::Auth, "/cdn-cgi/access/verify/whoami", 404),
    endpoint(On::Auth, "/cdn-cgi/access/nonsense", 404),
    // A browser's session is no provisioning key, whoever it belongs to.
    alike(On::Auth, "/scim/v2/corp/Users", [401; 4]),
    alike(On::Auth, "/scim/v2/corp/Groups", [401; 4]),
    alike(On::Auth, "/scim/v2/corp/ServiceProviderConfig", [401; 4]),
    alike(On::Auth, "/scim/v2/nowhere/Users", [401; 4]),
    alike(On::Auth, "/scim/v2/", [401; 4]),
    alike(On::Auth, "/scim/v2", [404; 4]),
    alike(On::Unknown, "/", [421; 4]),
    alike(On::Unknown, "/whoami", [421; 4]),
    alike(On::Unknown, "/cdn-cgi/access/logout", [421; 4]),
    alike(On::Unknown, "/cdn-cgi/access/get-identity", [421; 4]),
    alike(On::Unknown, "/scim/v2/corp/Users", [421; 4]),
];

/// The `Cookie` lines of a visitor on both hosts.
#[derive(Debug, Clone, Default)]
struct Cookies {
    wiki: Option<String>,
    auth: Option<String>,
}

/// The fields of a program with a service token, which policies call `ci`.
type ServiceFields = [(&'static str, String); 2];

/// The world, the visitors' cookies and their two browsers, which keep no cookies of their own.
struct Rig {
    world: World,
    known: Vec<(Visitor, Cookies)>,
    service: ServiceFields,
    http1: Browser,
    http2: Browser,
}

const SERVICE_POLICY: &str = r#"
[[policy]]
name = "ci"
action = "service_auth"
include = [{ service_token = "ci" }]
"#;

fn service_fields(world: &World) -> ServiceFields {
    let output = world.gateway.command(&["service-token", "create", "ci"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    ["CF-Access-Client-Id", "CF-Access-Client-Secret"].map(|name| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        (name, line.unwrap_or_else(|| panic!("no {name} in {shown}")).to_owned())
    })
}

async fn cookies_of(world: &World, login: &str) -> Cookies {
    let browser = world.browser();
    let page = browser.log_in(&world.wiki("/whoami"), login, DEMO_PASSWORD).await.unwrap();
    assert!(matches!(page.status.as_u16(), 200 | 403), "{}", page.trail());
    let line = |url: String| browser.jar().header(&url.parse().unwrap());
    Cookies { wiki: line(world.wiki("/")), auth: line(world.settings.auth_url()) }
}

impl Rig {
    async fn start() -> Self {
        let world = World::with(WorldConfig {
            // Each of the many refusals below costs its address one of these.
            change: |settings| {
                settings.extra = "[limits]\nlogin_per_minute = 100000\n".to_owned();
                settings.applications[0].policies.push("ci".to_owned());
                settings.policies.push_str(SERVICE_POLICY);
            },
            ..WorldConfig::default()
        })
        .await;
        let signed_out = cookies_of(&world, "developer@corp.example").await;
        let deactivated = cookies_of(&world, "admin@corp.example").await;
        let token = format!("__Host-portcullis={}", "Zm9yZ2Vk".repeat(6).split_off(5));
        let forged = Cookies { wiki: Some(token.clone()), auth: Some(token) };
        let known = vec![
            (Visitor::Nobody, Cookies::default()),
            (Visitor::Forged, forged),
            (Visitor::SignedOut, signed_out),
            (Visitor::Deactivated, deactivated),
        ];
        let ca = world.gateway.ca_pem();
        let http1 = Browser::speaking(&ca, Versions::Http1);
        let http2 = Browser::speaking(&ca, Versions::Http2);
        let service = service_fields(&world);
        let rig = Self { world, known, service, http1, http2 };
        rig.end_the_ended().await;
        rig.until_the_service_is_known().await;
        rig
    }

    /// Both sessions were good before, which is what makes their end worth testing.
    async fn end_the_ended(&self) {
        for visitor in [Visitor::SignedOut, Visitor::Deactivated] {
            let cookies = self.cookies(visitor).await;
            let before = self.knock(On::Wiki, "/whoami", (visitor, &cookies), Way::Get).await;
            assert_eq!(before, 200, "{visitor:?}");
        }
        let cookies = self.cookies(Visitor::SignedOut).await;
        let signed_out = (Visitor::SignedOut, &cookies);
        assert_eq!(self.knock(On::Auth, "/cdn-cgi/access/logout", signed_out, Way::Get).await, 200);
        self.world.deactivate("admin@corp.example").await;
        self.world.upstream.recorder().clear();
    }

    /// The command line is another process; the gateway follows what it writes.
    async fn until_the_service_is_known(&self) {
        let begun = std::time::Instant::now();
        while self.knock(On::Wiki, "/whoami", (Visitor::Service, &Cookies::default()), Way::Get).await != 200
        {
            assert!(begun.elapsed().as_secs() < 30, "the gateway does not know the token");
        }
        self.world.upstream.recorder().clear();
    }

    /// The fields of a program that asks with a service token.
    fn fields(&self, visitor: Visitor) -> Option<ServiceFields> {
        let [id, (name, secret)] = self.service.clone();
        match visitor {
            Visitor::Service => Some([id, (name, secret)]),
            Visitor::WrongService => Some([(id.0, format!("{}.access", "0".repeat(32))), (name, secret)]),
            _ => None,
        }
    }

    /// Sessions that live are begun anew each time they are asked for, since some doors end them.
    async fn cookies(&self, visitor: Visitor) -> Cookies {
        match visitor {
            Visitor::Outsider => cookies_of(&self.world, "designer@corp.example").await,
            Visitor::Good | Visitor::Service | Visitor::WrongService => {
                cookies_of(&self.world, "engineer@corp.example").await
            }
            _ => self.known.iter().find(|(known, _)| *known == visitor).unwrap().1.clone(),
        }
    }

    async fn knock(&self, on: On, path: &str, (visitor, cookies): (Visitor, &Cookies), way: Way) -> u16 {
        let (base, cookie) = match on {
            On::Wiki => (self.world.settings.application_url("wiki"), &cookies.wiki),
            On::Auth | On::Unknown => (self.world.settings.auth_url(), &cookies.auth),
        };
        let url = format!("{base}{path}");
        let mut outgoing = match way {
            Way::Get => Outgoing::navigation(&url).unwrap(),
            Way::Post => Outgoing::script(Method::POST, &url).unwrap().body("application/json", "{}"),
            Way::Upgrade => Outgoing::script(Method::GET, &url)
                .unwrap()
                .header("connection", "Upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
                .header("sec-fetch-mode", "websocket"),
            Way::Grpc => Outgoing::script(Method::POST, &url)
                .unwrap()
                .header("te", "trailers")
                .header("accept", "application/grpc")
                .body("application/grpc", vec![0u8; 5]),
        };
        if let Some(cookie) = cookie {
            outgoing = outgoing.header("cookie", cookie);
        }
        for (name, value) in self.fields(visitor).iter().flatten() {
            outgoing = outgoing.header(name, value);
        }
        if on == On::Unknown {
            outgoing = outgoing.for_authority(&format!("unknown.localhost:{}", self.world.settings.port));
        }
        // A fresh profile each time: nothing of one cell is left for the next.
        let browser = match way {
            Way::Grpc => self.http2.another_profile(),
            _ => self.http1.another_profile(),
        };
        browser.send(&outgoing).await.unwrap().status.as_u16()
    }

    /// What the upstream has seen since the last time.
    fn seen_upstream(&self) -> usize {
        let seen = self.world.upstream.recorder().all().iter().map(|chunk| chunk.len).sum();
        self.world.upstream.recorder().clear();
        seen
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_for_everybody_in_every_way() {
    let rig = Rig::start().await;
    let mut wrong = Vec::new();
    for (row, visitor) in VISITORS.into_iter().enumerate() {
        let mut cookies = rig.cookies(visitor).await;
        // Doors that open come last, so that their late bytes are not taken for those of a closed one.
        for opens in [false, true] {
            for door in DOORS.iter().filter(|door| door.opens == opens) {
                for (column, way) in WAYS.into_iter().enumerate() {
                    rig.world.upstream.recorder().clear();
                    let status = rig.knock(door.on, door.path, (visitor, &cookies), way).await;
                    let seen = rig.seen_upstream();
                    let cell = format!("{visitor:?} {way:?} {:?} {}", door.on, door.path);
                    if status != door.expected[row][column] {
                        wrong.push(format!("{cell}: {status}, not {}", door.expected[row][column]));
                    }
                    let may_pass = matches!(visitor, Visitor::Good | Visitor::Service) && door.opens;
                    if !may_pass && seen > 0 {
                        wrong.push(format!("{cell}: {seen} bytes at the upstream"));
                    }
                    if may_pass && seen == 0 {
                        wrong.push(format!(
                            "{cell}: nothing reached the upstream, so the table proves nothing"
                        ));
                    }
                    if door.ends && status < 400 {
                        cookies = rig.cookies(visitor).await;
                        rig.world.upstream.recorder().clear();
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A door that is added to the program and not to the table fails here.
#[test]
fn every_endpoint_of_the_program_is_in_the_table() {
    let source =
        ["gateway/src/access.rs", "gateway/src/access/terminals.rs", "gateway/src/access/errands.rs"]
            .map(|file| std::fs::read_to_string(binary::repository().join(file)).unwrap())
            .concat();
    let arms = source.lines().filter_map(|line| line.split_once("=>")).map(|(arm, _)| arm.trim());
    let named = arms.filter(|arm| arm.starts_with(['"', '('])).filter_map(|arm| arm.split('"').nth(1));
    let named: Vec<&str> = named.collect();
    assert!(named.len() >= 10, "only {named:?} were found: has the table of the program moved?");
    for name in named {
        let wanted = format!("/cdn-cgi/access/{name}");
        assert!(DOORS.iter().any(|door| door.path.starts_with(&wanted)), "{wanted} is not in the table");
    }
}

/// Stands in every value that a client made up.
const MARK: &str = "forged-by-the-client";

/// Names by which upstreams are told who somebody is or where a request came from, as an attacker would spell them.
const FORGED: [&str; 32] = [
    "Cf-Access-Authenticated-User-Email",
    "CF-ACCESS-AUTHENTICATED-USER-EMAIL",
    "cf_access_authenticated_user_email",
    "Cf.Access.Authenticated.User.Email",
    "Cf-Access_Authenticated-User.Email",
    "Cf-Access-Jwt-Assertion",
    "cf-access-JWT-assertion",
    "CF_ACCESS_JWT_ASSERTION",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Prefix",
    "X-Forwarded-Port",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X_Forwarded_For",
    "Forwarded",
    "X-Original-URL",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Real-IP",
    "True-Client-IP",
    "X-Auth-User",
    "X_Auth_User",
    "X.Auth.User",
    "Remote-User",
    "X-Remote-User",
    "X-Request-Id",
];

#[tokio::test(flavor = "multi_thread")]
async fn t26_t27_t30_t37_a_forged_identity_never_reaches_the_upstream() {
    let rig = Rig::start().await;
    let cookies = rig.cookies(Visitor::Good).await.wiki.unwrap();
    let host = format!("wiki.localhost:{}", rig.world.settings.port);
    // Each alone with its own case on the wire, twice (T30), so that none hides behind another.
    for name in FORGED {
        rig.world.upstream.recorder().clear();
        let request = format!(
            "GET /echo HTTP/1.1\r\nHost: {host}\r\n{name}: {MARK}\r\nCookie: {cookies}\r\n{name}: {MARK} \t\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = rig.http1.raw(&rig.world.wiki("/echo"), request.as_bytes()).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(Browser::raw_status(&answer), 200, "{name}: {text}");
        let received = rig.world.upstream.recorder().raw_received_for("/echo");
        let received = String::from_utf8_lossy(&received).to_ascii_lowercase();
        assert!(!received.contains(MARK), "{name} came through:\n{received}");
        let ours = received.lines().filter(|line| line.starts_with("cf-access-authenticated-user-email:"));
        let ours: Vec<&str> = ours.collect();
        assert_eq!(ours, ["cf-access-authenticated-user-email: engineer@corp.example"], "{name}");
    }
    // And all at once over HTTP/2, where names are lower case and a field may not hold what HTTP/1.1 may.
    rig.world.upstream.recorder().clear();
    let mut outgoing = Outgoing::script(Method::GET, &rig.world.wiki("/echo")).unwrap();
    outgoing = outgoing.header("cookie", &cookies);
    for name in FORGED {
        outgoing = outgoing.header(&name.to_ascii_lowercase(), MARK);
    }
    assert_eq!(rig.http2.another_profile().send(&outgoing).await.unwrap().status, 200);
    let received = rig.world.upstream.recorder().raw_received_for("/echo");
    let received = String::from_utf8_lossy(&received).to_ascii_lowercase();
    assert!(!received.is_empty() && !received.contains(MARK), "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t28_t31_t33_t35_what_is_ours_or_the_connections_stays_behind() {
    let rig = Rig::start().await;
    let cookies = rig.cookies(Visitor::Good).await.wiki.unwrap();
    let host = format!("wiki.localhost:{}", rig.world.settings.port);
    // T28: with any method; T31: what `Connection` names goes, what we set survives being named; T33: trailers.
    for method in ["GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE"] {
        rig.world.upstream.recorder().clear();
        let request = format!(
            "{method} /echo HTTP/1.1\r\nHost: {host}\r\nCookie: first=1; {cookies}; __HOST-Portcullis-old={MARK}\r\n\
             Cookie: last=2\r\nX-Hop: {MARK}\r\nX-Second-Hop: {MARK}\r\nKeep-Alive: {MARK}\r\n\
             Proxy-Authorization: {MARK}\r\nAuthorization: Basic kept\r\nX-Kept: kept\r\n\
             Connection: close, X-Hop, cf-access-authenticated-user-email, Authorization\r\n\
             Connection: x-second-hop, Cf-Access-Jwt-Assertion, x-forwarded-host\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\nCf-Access-Authenticated-User-Email: {MARK}\r\n\r\n"
        );
        let answer = rig.http1.raw(&rig.world.wiki("/echo"), request.as_bytes()).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(Browser::raw_status(&answer), 200, "{method}: {text}");
        let received = rig.world.upstream.recorder().raw_received_for("/echo");
        let received = String::from_utf8_lossy(&received).to_ascii_lowercase();
        assert!(!received.contains(MARK), "{method}:\n{received}");
        assert!(!received.contains("__host-portcullis"), "{method}:\n{received}");
        for kept in [
            "cookie: first=1; last=2",
            "authorization: basic kept",
            "x-kept: kept",
            "cf-access-authenticated-user-email: engineer@corp.example",
            "cf-access-jwt-assertion: ey",
            &format!("x-forwarded-host: {host}"),
        ] {
            assert!(received.contains(kept), "{method}: `{kept}` is missing in\n{received}");
        }
        // The cookie is stripped, and what is in it is nowhere else either.
        let token = cookies.split('=').next_back().unwrap().to_ascii_lowercase();
        assert!(!received.contains(&token), "{method}: the session's token came through");
    }
}
