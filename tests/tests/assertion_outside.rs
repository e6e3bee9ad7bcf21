//! Applications written for Cloudflare Access check our assertions, unchanged: with `jose` and PyJWT as Cloudflare's
//! documentation shows it, and with Cloudflare's own plugin, each fetching our keys over TLS.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod outside {
    use std::time::{Duration, Instant};

    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use http::Method;
    use portcullis_tests::browser::{Browser, Outgoing};
    use portcullis_tests::harness::{Settings, World, WorldConfig, ports};
    use portcullis_tests::outside::Script;
    use serde_json::{Value, json};

    const ENGINEER: &str = "engineer@corp.example";
    /// `jose` asks for keys again after half a minute at the earliest.
    const PATIENCE: Duration = Duration::from_secs(120);
    /// Where the applications of the world have their origins, by the script that each is.
    const WIKI: [&str; 2] = ["/jose", "/cloudflare"];
    const CANTEEN: [&str; 2] = ["/pyjwt", "/documented"];
    /// Those that know RS256 alone.
    const OLDER: [&str; 2] = ["/cloudflare", "/documented"];

    struct Origins {
        world: World,
        browser: Browser,
        ports: [u16; 2],
        _scripts: [Script; 2],
    }

    impl Origins {
        /// A world whose wiki is written for Node and whose canteen is written in Python, and somebody who is logged in.
        async fn start(change: fn(&mut Settings)) -> Self {
            let mut world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
            let ports = [ports::free(), ports::free()];
            for (application, port) in world.settings.applications.iter_mut().zip(ports) {
                application.upstream = format!("http://127.0.0.1:{port}");
            }
            world.gateway.replace_config(&world.settings.toml());
            world.gateway.hang_up();
            let reloaded = |event: &Value| event.to_string().contains("the configuration was reloaded");
            assert!(world.gateway.log().wait_for(PATIENCE, reloaded).await.is_some());
            let team = world.settings.auth_url();
            let told = |port, audience| json!({"port": port, "team": team, "audience": audience});
            let ca_file = world.gateway.ca_file();
            let mut scripts = [
                Script::start_trusting("origin.mjs", &told(ports[0], "wiki"), &ca_file),
                Script::start_trusting("origin.py", &told(ports[1], "canteen"), &ca_file),
            ];
            for script in &mut scripts {
                script.ready().await;
            }
            let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
            browser.navigate(&world.settings.application_url("canteen")).await.unwrap();
            Self { world, browser, ports, _scripts: scripts }
        }

        /// What an origin says to a request that the gateway forwards.
        async fn through_the_gateway(&self, application: &str, judge: &str) -> (u16, Value) {
            let url = format!("{}{judge}", self.world.settings.application_url(application));
            let answer = self.browser.fetch(&url).await.unwrap();
            (answer.status.as_u16(), answer.json())
        }

        /// What it says to somebody who found a way past the gateway.
        async fn past_the_gateway(&self, judge: &str, token: Option<&str>) -> u16 {
            let port = self.ports[usize::from(CANTEEN.contains(&judge))];
            let url = format!("http://127.0.0.1:{port}{judge}");
            let mut outgoing = Outgoing::script(Method::GET, &url).unwrap();
            if let Some(token) = token {
                outgoing = outgoing.header("cf-access-jwt-assertion", token);
            }
            self.browser.send(&outgoing).await.unwrap().status.as_u16()
        }
    }

    fn judges() -> impl Iterator<Item = (&'static str, &'static str)> {
        WIKI.map(|judge| ("wiki", judge)).into_iter().chain(CANTEEN.map(|judge| ("canteen", judge)))
    }

    /// The same token with something changed, though not signed anew.
    fn spoilt(token: &str) -> Vec<(&'static str, String)> {
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}")
        };
        let part = |text: &str| -> Value {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
        };
        let sealed = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let with = |text: &str, name: &str, value: Value| {
            let mut changed = part(text);
            changed[name] = value;
            sealed(&changed)
        };
        let admin = with(payload, "email", json!("admin@corp.example"));
        vec![
            ("another person", format!("{header}.{admin}.{signature}")),
            (
                "a longer life",
                format!("{header}.{}.{signature}", with(payload, "exp", json!(4_000_000_000_u32))),
            ),
            ("no signature", format!("{header}.{payload}.")),
            ("no algorithm", format!("{}.{admin}.", with(header, "alg", json!("none")))),
            ("another key", format!("{}.{payload}.{signature}", with(header, "kid", json!("stranger")))),
        ]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn origins_written_for_cloudflare_access_let_in_whom_we_vouch_for_and_nobody_else() {
        let origins = Origins::start(|_| {}).await;
        let mut tokens = Vec::new();
        for (application, judge) in judges() {
            let (status, said) = origins.through_the_gateway(application, judge).await;
            assert_eq!((status, said["email"].as_str()), (200, Some(ENGINEER)), "{judge}: {said}");
            tokens.push(said["token"].as_str().unwrap().to_owned());
        }
        for ((application, judge), token) in judges().zip(&tokens) {
            assert_eq!(origins.past_the_gateway(judge, Some(token)).await, 200, "{judge}: judges nothing");
            assert_eq!(origins.past_the_gateway(judge, None).await, 403, "{judge}: without any");
            for (what, token) in spoilt(token) {
                // Found by trying all keys, whatever the token says of its own.
                if (judge, what) == ("/documented", "another key") {
                    continue;
                }
                assert_eq!(origins.past_the_gateway(judge, Some(&token)).await, 403, "{judge}: {what}");
            }
            let others = if application == "wiki" { &tokens[2] } else { &tokens[0] };
            assert_eq!(
                origins.past_the_gateway(judge, Some(others)).await,
                403,
                "{judge}: for another application"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn they_go_on_when_another_key_signs() {
        let origins = Origins::start(|_| {}).await;
        let mut former = Vec::new();
        for (application, judge) in judges() {
            let (status, said) = origins.through_the_gateway(application, judge).await;
            assert_eq!(status, 200, "{judge}: {said}");
            former.push(said["token"].clone());
        }
        let rotated = origins.world.gateway.command(&["keys", "rotate", "--now"]);
        assert!(rotated.status.success(), "{rotated:?}");
        let until = Instant::now() + PATIENCE;
        for ((application, judge), former) in judges().zip(former) {
            loop {
                let (status, said) = origins.through_the_gateway(application, judge).await;
                if status == 200 && kid(&said["token"]) != kid(&former) {
                    break;
                }
                assert!(Instant::now() < until, "{judge}: {said}");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            // What was sent before is good until it ends.
            assert_eq!(
                origins.past_the_gateway(judge, former.as_str()).await,
                200,
                "{judge}: the former key"
            );
        }
    }

    fn kid(token: &Value) -> Option<String> {
        jsonwebtoken::decode_header(token.as_str()?).ok()?.kid
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_knows_other_algorithms_is_content_with_them() {
        let choices: [fn(&mut Settings); 2] = [
            |settings| settings.extra = "[assertion]\nalgorithm = \"ES256\"\n".to_owned(),
            |settings| settings.extra = "[assertion]\nalgorithm = \"EdDSA\"\n".to_owned(),
        ];
        for choice in choices {
            let origins = Origins::start(choice).await;
            for (application, judge) in judges() {
                let (status, said) = origins.through_the_gateway(application, judge).await;
                let expected = if OLDER.contains(&judge) { 403 } else { 200 };
                assert_eq!(status, expected, "{judge}: {said}");
            }
        }
    }
}
