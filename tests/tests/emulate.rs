//! The login against an Okta that was not written here: `emulate`, service `okta`, with its organisation's authorization
//! server and with the custom one named `default`.
//!
//! Where it differs from Okta, and what is done about it here:
//! - a client belongs to one authorization server, where Okta's applications work with all: two clients are registered;
//! - the login is a page with one button for each person, and takes no password;
//! - the client's secret must not hold a character whose form encoding is `+`: it decodes that as a plus sign, against
//!   RFC 6749 section 2.3.1 and appendix B. The secret below has other characters that must be encoded;
//! - its users and groups API takes any token, so that only the reading of the groups is judged here, not the refusal.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod outside {
    use std::time::{Duration, Instant};

    use portcullis_tests::browser::{Browser, Form, Page};
    use portcullis_tests::harness::{Gateway, Launch, Settings, ports};
    use portcullis_tests::outside::Script;
    use portcullis_tests::upstream::{Upstream, UpstreamConfig};
    use serde_json::{Value, json};

    const PATIENCE: Duration = Duration::from_secs(60);
    const SECRET: &str = "emulated:secret/of=no&worth%";
    const TOKEN: &str = "00emulatedTokenOfNoWorth";

    struct Emulated {
        _okta: Script,
        _upstream: Upstream,
        gateway: Gateway,
        settings: Settings,
    }

    /// Which authorization server: the end of the issuer, and what `emulate` calls it.
    #[derive(Clone, Copy)]
    struct Server {
        path: &'static str,
        id: &'static str,
    }

    const ORG: Server = Server { path: "", id: "org" };
    const DEFAULT: Server = Server { path: "/oauth2/default", id: "default" };

    async fn start(server: Server, change: impl FnOnce(&mut Settings)) -> Emulated {
        let port = ports::free();
        let base = format!("http://127.0.0.1:{port}");
        let upstream = Upstream::start(UpstreamConfig::default()).await.unwrap();
        let mut settings = Settings::new(&format!("{base}{}", server.path), &upstream.url());
        settings.client_id = format!("portcullis-{}", server.id);
        settings.client_secret = Some(SECRET.to_owned());
        change(&mut settings);
        let argument = json!({
            "port": port, "base": base, "seed": seed(&settings.redirect_uri()),
        });
        let mut okta = Script::start("okta.mjs", &argument);
        okta.ready().await;
        let gateway = Gateway::start(Launch::of(&settings)).await.unwrap_or_else(|e| panic!("{e}"));
        Emulated { _okta: okta, _upstream: upstream, gateway, settings }
    }

    fn seed(redirect_uri: &str) -> Value {
        let client = |server: &str| {
            json!({
                "client_id": format!("portcullis-{server}"), "client_secret": SECRET, "name": "Portcullis",
                "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "client_secret_basic",
                "auth_server_id": server,
            })
        };
        let person = |id: &str, login: &str| json!({"okta_id": id, "login": login, "first_name": "Pat", "last_name": "Person"});
        let member = |person: &str, group: &str| json!({"user_okta_id": person, "group_okta_id": group});
        json!({
            "users": [
                person("00u_engineer", "engineer@corp.example"),
                person("00u_designer", "designer@corp.example"),
                person("00u_contractor", "contractor@corp.example"),
            ],
            "groups": [
                {"okta_id": "00g_engineering", "name": "Engineering"},
                {"okta_id": "00g_design", "name": "Design"},
                {"okta_id": "00g_contractors", "name": "Contractors"},
            ],
            "group_memberships": [
                member("00u_engineer", "00g_engineering"),
                member("00u_designer", "00g_design"),
                member("00u_contractor", "00g_engineering"),
                member("00u_contractor", "00g_contractors"),
            ],
            "oauth_clients": [client("org"), client("default")],
            "authorization_servers": [{"id": "default", "name": "default", "audiences": ["api://default"]}],
        })
    }

    impl Emulated {
        /// Types the wiki's address and chooses a person on the page of `emulate`.
        async fn log_in(&self, person: &str) -> (Browser, Page) {
            let browser = Browser::new(&self.gateway.ca_pem());
            let url = format!("{}/", self.settings.application_url("wiki"));
            let page = browser.navigate(&url).await.unwrap();
            let is_persons =
                |form: &Form| form.fields.iter().any(|f| f.name == "user_ref" && f.value == person);
            let form = Form::all(&page.text()).into_iter().find(is_persons);
            let form =
                form.unwrap_or_else(|| panic!("no button for {person}:\n{}\n{}", page.trail(), page.text()));
            let page = browser.submit_form(&page, &form).await.unwrap();
            (browser, page)
        }

        async fn groups_decide(&self) {
            let (browser, page) = self.log_in("00u_engineer").await;
            assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
            assert!(
                page.text().contains("<strong id=\"email\">engineer@corp.example</strong>"),
                "{}",
                page.text()
            );
            let identity = format!("{}/cdn-cgi/access/get-identity", self.settings.application_url("wiki"));
            let identity = browser.fetch(&identity).await.unwrap().json();
            assert_eq!(identity["sub"], "00u_engineer", "{identity}");
            assert!(identity["groups"].to_string().contains("Engineering"), "{identity}");

            for outsider in ["00u_designer", "00u_contractor"] {
                let (_, page) = self.log_in(outsider).await;
                assert_eq!(page.status, 403, "{outsider}: {}\n{}", page.trail(), page.text());
                assert!(page.text().contains("You have no access to this application"), "{}", page.text());
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_organisations_server_logs_in_and_groups_decide() {
        start(ORG, |_| {}).await.groups_decide().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_default_server_logs_in_and_groups_decide() {
        start(DEFAULT, |_| {}).await.groups_decide().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_confidential_client_logs_in_without_pkce() {
        let world = start(ORG, |settings| settings.provider_extra = "pkce = false".to_owned()).await;
        world.groups_decide().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_the_claim_the_groups_come_from_the_api() {
        for server in [ORG, DEFAULT] {
            let world = start(server, |settings| {
                settings.api_token = Some(TOKEN.to_owned());
                settings.provider_extra = "scopes = [\"openid\", \"profile\", \"email\"]".to_owned();
            });
            world.await.groups_decide().await;
        }
    }

    /// Each refresh token is used once, and the next one comes with the answer.
    #[tokio::test(flavor = "multi_thread")]
    async fn sessions_are_renewed_by_refresh_tokens_that_rotate() {
        for server in [ORG, DEFAULT] {
            let world = start(server, |settings| {
                settings.provider_extra = "refresh = true".to_owned();
                settings.extra = "[session]\nrenew_every = \"2s\"\n".to_owned();
            });
            let world = world.await;
            let (browser, page) = world.log_in("00u_engineer").await;
            assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
            let wiki = format!("{}/whoami", world.settings.application_url("wiki"));
            let until = Instant::now() + PATIENCE;
            let is_renewal = |event: &&Value| event["message"] == "a session was renewed";
            while world.gateway.log().events().iter().filter(is_renewal).count() < 3 {
                assert_eq!(browser.fetch(&wiki).await.unwrap().status, 200, "{}", server.id);
                assert!(Instant::now() < until, "{}: not renewed again and again", server.id);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
