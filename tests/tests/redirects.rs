//! Redirects lead to the configured hosts and to the provider, and nowhere else: more than five hundred shapes of addresses that are
//! read differently by different readers, through every endpoint that answers with a redirect.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::harness::{World, WorldConfig};
use url::Url;
use url::form_urlencoded::byte_serialize;

const ENGINEER: &str = "engineer@corp.example";
/// Requests under way at once.
const AT_ONCE: usize = 16;

/// The list, and what a small grammar makes: a scheme, slashes of all kinds, an authority.
fn shapes(port: u16) -> BTreeSet<String> {
    const SCHEMES: [&str; 6] = ["", "https:", "http:", "HTTPS:", " https:", "javascript:"];
    const SLASHES: [&str; 7] = ["//", "/\\", "\\/", "\\\\", "///", "/", "/%09/"];
    const AUTHORITIES: [&str; 9] = [
        "evil.example",
        "wiki.localhost:PORT@evil.example",
        "wiki.localhost:PORT.evil.example",
        "evil.example\\@wiki.localhost:PORT",
        "evil.example#@wiki.localhost:PORT",
        "evil.example?@wiki.localhost:PORT",
        "wiki.localhost:PORT%2f@evil.example",
        "evil%2eexample",
        "wiki.localhost:PORT",
    ];
    let listed = include_str!("../redirect-targets.txt").lines().filter(|line| !line.starts_with("# "));
    let mut shapes: BTreeSet<String> = listed.map(str::to_owned).collect();
    for scheme in SCHEMES {
        for slashes in SLASHES {
            for authority in AUTHORITIES {
                shapes.insert(format!("{scheme}{slashes}{authority}/"));
            }
        }
    }
    shapes.into_iter().map(|shape| shape.replace("PORT", &port.to_string())).collect()
}

/// What came back, as far as it matters here.
struct Told {
    status: u16,
    location: Option<String>,
    /// Names and values of the cookies that are set.
    cookies: Vec<(String, String)>,
}

struct Rig {
    world: World,
    browser: Browser,
    /// The engineer's `Cookie` field on the auth host.
    cookie: String,
}

impl Rig {
    async fn start() -> Self {
        let world = World::with(WorldConfig {
            change: |settings| {
                settings.extra =
                    "[limits]\nlogin_per_minute = 1000000\nrequests_per_address = 1000000\n".to_owned();
            },
            ..WorldConfig::default()
        })
        .await;
        let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.trail());
        let cookie = browser.jar().header(&world.settings.auth_url().parse().unwrap()).unwrap();
        let browser = Browser::speaking(&world.gateway.ca_pem(), Versions::Http1);
        Self { world, browser, cookie }
    }

    /// A navigation with exactly these bytes as its target; a line break would be another request.
    async fn get(&self, base: &str, target: &str, cookie: &str) -> Told {
        let host = base.strip_prefix("https://").unwrap();
        let target = target.replace('\r', "%0d").replace('\n', "%0a");
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        );
        let answer = self.browser.raw(base, request.as_bytes()).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        let head = text.split("\r\n\r\n").next().unwrap();
        let fields = || head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let values = |name: &'static str| {
            fields().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        assert!(values("location").count() <= 1, "{target}: {head}");
        let pair = |value: &str| {
            let (name, rest) = value.split_once('=').unwrap();
            (name.to_owned(), rest.split(';').next().unwrap().to_owned())
        };
        Told {
            status: Browser::raw_status(&answer),
            location: values("location").next().map(str::to_owned),
            cookies: values("set-cookie").map(pair).collect(),
        }
    }

    /// Whichever way a location is read, it names a host of ours, or the provider's endpoint.
    fn assert_ours(&self, asked: &str, told: &Told) {
        assert!(matches!(told.status, 200..=499), "{asked}: {}", told.status);
        let Some(location) = &told.location else {
            assert_ne!(told.status / 100, 3, "{asked}");
            return;
        };
        let settings = &self.world.settings;
        let hosts =
            [settings.auth_url(), settings.application_url("wiki"), settings.application_url("canteen")];
        let provider = format!("{}/oauth2/v1/authorize?", self.world.okta.base_url());
        // A backslash, or a letter that looks like a slash, is one to some, up to the query.
        let before_query = location.split('?').next().unwrap();
        let plain = before_query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        assert!(plain && location.bytes().all(|byte| byte > b' '), "{asked}: `{location}`");
        if location.starts_with(&provider) {
            return;
        }
        // As text: nothing can stand between the host and the first slash.
        let ours = hosts.iter().any(|host| location.starts_with(&format!("{host}/")));
        assert!(ours, "{asked}: `{location}`");
        // As browsers read it.
        let url = Url::parse(location).unwrap();
        let origin = url.origin().ascii_serialization();
        assert!(hosts.contains(&origin) && url.username().is_empty(), "{asked}: `{location}`");
        // As a program that splits at slashes, or at an `@`, reads it.
        let authority = location.split('/').nth(2).unwrap();
        assert!(hosts.iter().any(|host| host.ends_with(&format!("//{authority}"))), "{asked}: `{location}`");
    }

    /// One shape through every endpoint; how many of the answers were redirects, by endpoint.
    async fn try_shape(&self, shape: &str) -> BTreeMap<&'static str, usize> {
        let encoded: String = byte_serialize(shape.as_bytes()).collect();
        let (auth, wiki) = (self.world.settings.auth_url(), self.world.settings.application_url("wiki"));
        let issuer: String = byte_serialize(self.world.okta.issuer().as_bytes()).collect();
        let named = ["redirect_uri", "return_to", "returnTo", "next", "url", "rd", "state", "RelayState"];
        let everywhere: String = named.iter().map(|name| format!("&{name}={encoded}")).collect();
        let below = "/cdn-cgi/access";
        let mut redirects = BTreeMap::new();
        for (endpoint, base, target) in [
            ("login", &auth, format!("{below}/login/{shape}")),
            ("login", &auth, format!("{below}/login/wiki.localhost?request={encoded}{everywhere}")),
            (
                "initiate",
                &auth,
                format!("{below}/initiate?iss={issuer}&target_link_uri={encoded}{everywhere}"),
            ),
            ("callback", &auth, format!("{below}/callback?code=x{everywhere}")),
            ("logout", &auth, format!("{below}/logout?post_logout_redirect_uri={encoded}{everywhere}")),
            ("logout", &wiki, format!("{below}/logout?post_logout_redirect_uri={encoded}{everywhere}")),
            ("logout/app", &wiki, format!("{below}/logout/app?x=1{everywhere}")),
            ("authorized", &wiki, format!("{below}/authorized?code={encoded}{everywhere}")),
            ("challenge", &wiki, shape.to_owned()),
            ("challenge", &wiki, format!("/{shape}")),
            ("challenge", &wiki, format!("/?q={shape}")),
        ] {
            let told = self.get(base, &target, "").await;
            self.assert_ours(&format!("{base}{target}"), &told);
            if told.location.is_some() {
                *redirects.entry(endpoint).or_default() += 1;
            }
            // One of the shapes is the address of the logout, which leads to no login.
            if told.location.as_ref().is_some_and(|location| location.contains("?request=")) {
                self.follow(&told, &target).await;
                // Both hops of it led on: from the login to the application, and there to the page.
                *redirects.entry("login").or_default() += 1;
                *redirects.entry("authorized").or_default() += 1;
            }
        }
        redirects
    }

    /// What was asked for under this address comes back at the end of a login, on the host that it was asked of.
    async fn follow(&self, challenge: &Told, asked: &str) {
        let (auth, wiki) = (self.world.settings.auth_url(), self.world.settings.application_url("wiki"));
        let login = challenge.location.as_deref().unwrap();
        let told = self.get(&auth, login.strip_prefix(&auth).unwrap(), &self.cookie).await;
        self.assert_ours(asked, &told);
        let authorized = told.location.unwrap();
        let (name, value) = &challenge.cookies[0];
        let target = authorized.strip_prefix(&wiki).unwrap_or_else(|| panic!("{asked}: {authorized}"));
        let told = self.get(&wiki, target, &format!("{name}={value}")).await;
        self.assert_ours(asked, &told);
        let arrived = told.location.unwrap_or_else(|| panic!("{asked}: no way back"));
        assert!(arrived.starts_with(&format!("{wiki}/")), "{asked}: {arrived}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t68_no_redirect_leaves_the_configured_hosts() {
    let rig = Arc::new(Rig::start().await);
    let shapes = shapes(rig.world.settings.public());
    assert!(shapes.len() >= 500, "{} shapes", shapes.len());
    let tried = stream::iter(shapes).map(|shape| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.try_shape(&shape).await })
    });
    let mut redirects: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tried = tried.buffer_unordered(AT_ONCE);
    while let Some(found) = tried.next().await {
        for (endpoint, count) in found.unwrap() {
            *redirects.entry(endpoint).or_default() += count;
        }
    }
    // Every endpoint that redirects was seen doing so, or nothing was tried.
    for endpoint in ["login", "initiate", "logout", "authorized", "challenge"] {
        assert!(redirects.get(endpoint).is_some_and(|count| *count > 0), "{endpoint}: {redirects:?}");
    }
}
