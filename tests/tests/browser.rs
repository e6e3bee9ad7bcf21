//! The browser's own rules: which cookies it takes and where it sends them, and how it talks TLS.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use portcullis_tests::browser::{CookieRefusal, Jar, MAX_COOKIE};
use url::Url;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn cookies_that_break_a_rule_are_refused_with_its_name() {
    let wiki = "https://wiki.corp.example/a/b";
    let long = format!("a={}", "x".repeat(MAX_COOKIE));
    let cases = [
        (wiki, "__Host-s=1; Path=/", CookieRefusal::HostPrefix),
        (wiki, "__Host-s=1; Secure; Path=/a", CookieRefusal::HostPrefix),
        (wiki, "__Host-s=1; Secure", CookieRefusal::HostPrefix),
        (wiki, "__host-s=1; Secure; Path=/; Domain=wiki.corp.example", CookieRefusal::HostPrefix),
        (wiki, "__Secure-s=1", CookieRefusal::SecurePrefix),
        (wiki, "s=1; Domain=other.example", CookieRefusal::ForeignDomain),
        (wiki, "s=1; Domain=iki.corp.example", CookieRefusal::ForeignDomain),
        (wiki, "s=1; Domain=example", CookieRefusal::PublicSuffix),
        ("https://wiki.localhost/", "s=1; Domain=localhost", CookieRefusal::PublicSuffix),
        (wiki, "s=1; SameSite=None", CookieRefusal::NoneWithoutSecure),
        ("http://wiki.corp.example/", "s=1; Secure", CookieRefusal::SecureOverPlain),
        (wiki, "; Path=/", CookieRefusal::Nameless),
        (wiki, long.as_str(), CookieRefusal::TooLong),
    ];
    for (from, line, rule) in cases {
        let jar = Jar::default();
        assert_eq!(jar.set(&url(from), line), Err(rule), "{line}");
        assert!(jar.all().is_empty(), "{line} was kept");
    }
}

#[test]
fn cookies_go_where_they_belong() {
    let jar = Jar::default();
    let wiki = url("https://wiki.corp.example/");
    jar.set(&wiki, "__Host-s=1; Secure; HttpOnly; Path=/; SameSite=Lax").unwrap();
    jar.set(&wiki, "shared=2; Domain=.corp.example; Secure; Path=/").unwrap();
    jar.set(&wiki, "deep=3; Path=/docs").unwrap();
    let sent = |to: &str| jar.header(&url(to)).unwrap_or_default();
    assert_eq!(sent("https://wiki.corp.example/"), "__Host-s=1; shared=2");
    assert_eq!(sent("https://wiki.corp.example:8443/docs/x"), "deep=3; __Host-s=1; shared=2");
    assert_eq!(sent("https://wiki.corp.example/docsx"), "__Host-s=1; shared=2");
    assert_eq!(sent("https://mail.corp.example/"), "shared=2");
    assert_eq!(sent("https://a.wiki.corp.example/"), "shared=2");
    assert_eq!(sent("http://wiki.corp.example/docs"), "deep=3");
    assert_eq!(sent("https://evilcorp.example/"), "");
}

#[test]
fn expiry_replaces_and_removes() {
    let jar = Jar::default();
    let wiki = url("https://wiki.corp.example/");
    jar.set(&wiki, "s=1; Max-Age=1000").unwrap();
    jar.set(&wiki, "s=2; Max-Age=1000; Expires=Thu, 01 Jan 1970 00:00:00 GMT").unwrap();
    assert_eq!(jar.header(&wiki).unwrap(), "s=2");
    jar.set(&wiki, "s=; Expires=Thu, 01 Jan 1970 00:00:00 GMT").unwrap();
    assert_eq!(jar.header(&wiki), None);
    jar.set(&wiki, "s=3; Max-Age=1000").unwrap();
    jar.set(&wiki, "s=; Max-Age=0").unwrap();
    assert!(jar.all().is_empty());
}

mod over_tls {
    use portcullis_tests::browser::{Browser, BrowserError, Initiator, Outgoing, Versions};
    use portcullis_tests::harness::Front;
    use portcullis_tests::upstream::{Upstream, UpstreamConfig};

    async fn front(upstream: &Upstream) -> Front {
        Front::start(&["wiki.localhost"], upstream.address()).await
    }

    #[tokio::test]
    async fn trusts_its_ca_and_nothing_else() {
        let upstream = Upstream::start(UpstreamConfig::default()).await.unwrap();
        let front_of_wiki = front(&upstream).await;
        let (ca, port) = (front_of_wiki.ca_pem.clone(), front_of_wiki.port);
        let page = format!("https://wiki.localhost:{port}/status/200");
        assert_eq!(Browser::new(&ca).fetch(&page).await.unwrap().status, 200);
        let wrong_name = format!("https://mail.localhost:{port}/");
        assert!(matches!(Browser::new(&ca).fetch(&wrong_name).await, Err(BrowserError::Tls(..))));
        let other = front(&upstream).await;
        assert!(matches!(Browser::new(&other.ca_pem).fetch(&page).await, Err(BrowserError::Tls(..))));
        assert!(matches!(
            Browser::speaking(&ca, Versions::Http2).fetch(&page).await,
            Err(BrowserError::Tls(..))
        ));
    }

    #[tokio::test]
    async fn sockets_and_raw_bytes_travel_over_tls() {
        let upstream = Upstream::start(UpstreamConfig::default()).await.unwrap();
        let front_of_wiki = front(&upstream).await;
        let (ca, port) = (front_of_wiki.ca_pem.clone(), front_of_wiki.port);
        let browser = Browser::new(&ca);
        let mut echo = browser.websocket(&format!("wss://wiki.localhost:{port}/ws/echo")).await.unwrap();
        echo.send("through").await.unwrap();
        assert_eq!(echo.next().await.unwrap(), "through");
        let refused = browser.websocket(&format!("wss://wiki.localhost:{port}/status/403")).await;
        assert!(matches!(refused, Err(BrowserError::SocketRefused { status: 403, .. })));

        let bytes = b"GET /echo HTTP/1.1\r\nHost: wiki.localhost\r\nx_Odd.Name:  two  spaces\r\n\r\n";
        let answer = browser.raw(&format!("https://wiki.localhost:{port}/"), bytes).await.unwrap();
        assert_eq!(Browser::raw_status(&answer), 200);
        assert!(String::from_utf8_lossy(&answer).contains("x_Odd.Name:  two  spaces"));
        assert_eq!(upstream.recorder().raw_received_for("/echo"), bytes);
    }

    #[tokio::test]
    async fn same_site_is_obeyed_and_the_jar_is_one_for_all_tabs() {
        let upstream = Upstream::start(UpstreamConfig::default()).await.unwrap();
        let front_of_wiki = front(&upstream).await;
        let (ca, port) = (front_of_wiki.ca_pem.clone(), front_of_wiki.port);
        let browser = Browser::new(&ca);
        let echo = format!("https://wiki.localhost:{port}/echo");
        let page = url::Url::parse(&echo).unwrap();
        for line in ["lax=1; SameSite=Lax", "strict=2; SameSite=Strict", "none=3; Secure; SameSite=None"] {
            browser.jar().set(&page, line).unwrap();
        }
        let elsewhere = Initiator::Page(url::Url::parse("http://127.0.0.1:8090/login").unwrap());
        let sent = |outgoing: Outgoing| {
            let tab = browser.clone();
            async move {
                let headers = tab.send(&outgoing).await.unwrap().json()["headers"].clone();
                let cookies = headers.as_array().unwrap().iter().filter_map(|line| line.as_str());
                cookies.filter_map(|line| line.strip_prefix("cookie: ")).collect::<Vec<_>>().join("|")
            }
        };
        let typed = Outgoing::navigation(&echo).unwrap();
        assert_eq!(sent(typed.clone()).await, "lax=1; strict=2; none=3");
        assert_eq!(sent(typed.by(elsewhere.clone())).await, "lax=1; none=3");
        let posted = Outgoing::script(http::Method::POST, &echo).unwrap();
        assert_eq!(sent(posted.clone()).await, "lax=1; strict=2; none=3");
        assert_eq!(sent(posted.by(elsewhere)).await, "none=3");
    }
}

/// A form on another site, filled and submitted, and the redirect back with a code: what a login is made of.
#[tokio::test]
async fn a_login_form_is_filled_and_the_way_back_is_visible() {
    use portcullis_tests::browser::{Browser, Form};
    use portcullis_tests::okta::company::DEMO_PASSWORD;
    use portcullis_tests::okta::{Client, Company, OktaConfig, OktaSim};
    use portcullis_tests::upstream::{Upstream, UpstreamConfig};

    let upstream = Upstream::start(UpstreamConfig::default()).await.unwrap();
    let back = format!("{}/status/200", upstream.url());
    let clients = vec![Client::confidential("shop", "of-no-worth", &back)];
    let okta = OktaSim::start(OktaConfig::new(Company { clients, ..Company::demo() })).await.unwrap();
    let unused = rcgen::generate_simple_self_signed(vec!["unused.localhost".to_owned()]).unwrap();
    let browser = Browser::new(&unused.cert.pem());
    let ask = format!(
        "{}/oauth2/v1/authorize?client_id=shop&response_type=code&scope=openid&state=s%26t&nonce=n&redirect_uri={back}",
        okta.base_url()
    );
    let wrong = browser.log_in(&ask, "engineer@corp.example", "not the password").await.unwrap();
    assert!(Form::login(&wrong.text()).is_some(), "{}\n{}", wrong.trail(), wrong.text());
    let page = browser.log_in(&ask, "engineer@corp.example", DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let query: Vec<_> = page.url.query_pairs().collect();
    assert!(query.iter().any(|(name, value)| name == "code" && !value.is_empty()), "{}", page.trail());
    assert!(query.iter().any(|(name, value)| name == "state" && value == "s&t"), "{}", page.trail());
    assert!(page.chain.len() >= 3, "{}", page.trail());
}
