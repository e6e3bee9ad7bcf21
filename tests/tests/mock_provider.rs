//! The login against another OpenID provider that was not written here, `oauth2-mock-server`: right tokens log in, and each
//! spoilt one ends in the page that names its fault.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod outside {
    use portcullis_tests::browser::{Browser, Page};
    use portcullis_tests::harness::{Gateway, Launch, Settings, ports};
    use portcullis_tests::outside::Script;
    use portcullis_tests::upstream::{Upstream, UpstreamConfig};
    use serde_json::json;

    /// What the provider does, and the code of the page that follows.
    const SPOILT: [(&str, &str); 24] = [
        ("wrong audience", "id_token_audience"),
        ("a further audience", "id_token_audience"),
        ("for another party", "id_token_audience"),
        ("wrong issuer", "id_token_issuer"),
        ("expired", "id_token_expired"),
        ("from the future", "id_token_issued_in_future"),
        ("not valid yet", "id_token_issued_in_future"),
        ("for two years", "id_token_lifetime"),
        ("wrong nonce", "id_token_nonce"),
        ("no nonce", "id_token_nonce"),
        ("no subject", "id_token_malformed"),
        ("unknown key", "id_token_unknown_key"),
        ("wrong access token hash", "id_token_access_token"),
        ("no algorithm", "id_token_algorithm"),
        ("another's signature", "id_token_signature"),
        ("shared secret", "id_token_algorithm"),
        ("changed after signing", "id_token_signature"),
        ("no token", "id_token_missing"),
        ("not a token", "id_token_malformed"),
        ("wrong state", "login_stale"),
        ("two codes", "callback_malformed"),
        ("refused", "provider_refused"),
        ("code refused", "provider_code_refused"),
        ("broken", "provider_refused"),
    ];

    struct Mocked {
        _provider: Script,
        _upstream: Upstream,
        gateway: Gateway,
        settings: Settings,
        control_port: u16,
    }

    impl Mocked {
        async fn start() -> Self {
            let (port, control_port) = (ports::free(), ports::free());
            let mut provider =
                Script::start("mock_provider.mjs", &json!({"port": port, "controlPort": control_port}));
            provider.ready().await;
            let upstream = Upstream::start(UpstreamConfig::default()).await.unwrap();
            let mut settings = Settings::new(&format!("http://127.0.0.1:{port}"), &upstream.url());
            settings.provider_type = "oidc".to_owned();
            let gateway = Gateway::start(Launch::of(&settings)).await.unwrap_or_else(|e| panic!("{e}"));
            Self { _provider: provider, _upstream: upstream, gateway, settings, control_port }
        }

        async fn spoil(&self, how: &str) {
            let url = format!("http://127.0.0.1:{}/{}", self.control_port, how.replace(' ', "%20"));
            assert_eq!(Browser::new(&self.gateway.ca_pem()).fetch(&url).await.unwrap().status, 204, "{how}");
        }

        /// The provider asks nobody for anything, so that typing an address is all of a login.
        async fn log_in(&self) -> (Browser, Page) {
            let browser = Browser::new(&self.gateway.ca_pem());
            let canteen = format!("{}/", self.settings.application_url("canteen"));
            let page = browser.navigate(&canteen).await.unwrap();
            (browser, page)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn right_tokens_log_in_and_each_spoilt_one_ends_in_its_page() {
        let world = Mocked::start().await;
        for (spoil, code) in SPOILT {
            world.spoil("nothing").await;
            let (browser, page) = world.log_in().await;
            assert_eq!(page.status, 200, "before {spoil}: {}\n{}", page.trail(), page.text());
            let identity =
                format!("{}/cdn-cgi/access/get-identity", world.settings.application_url("canteen"));
            let identity = browser.fetch(&identity).await.unwrap().json();
            assert_eq!((&identity["sub"], &identity["idp"]["type"]), (&json!("johndoe"), &json!("oidc")));

            world.spoil(spoil).await;
            let (browser, page) = world.log_in().await;
            let text = page.text();
            assert!(page.status.as_u16() >= 400 && text.contains(code), "{spoil}: {}\n{text}", page.trail());
            assert_eq!(page.url.path(), "/cdn-cgi/access/callback", "{spoil}");
            assert!(!text.contains("eyJ"), "{spoil}: the page tells a token");
            let session = browser.jar().all().into_iter().find(|cookie| cookie.name == "__Host-portcullis");
            assert!(session.is_none_or(|cookie| cookie.value.is_empty()), "{spoil}: a session was given");
        }
        assert!(!world.gateway.log().text().contains("eyJ"), "the log tells a token");
    }
}
