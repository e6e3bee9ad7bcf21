//! gRPC through the gateway, by a client and a server that were not written here: every kind of call with its metadata, trailers
//! and status; the end of a conversation whose person is deactivated; and what somebody without a session is told.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod outside {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig, ports};
    use portcullis_tests::okta::company::DEMO_PASSWORD;
    use portcullis_tests::outside::Script;
    use serde_json::{Value, json};

    const ENGINEER: &str = "engineer@corp.example";
    const HOST: &str = "kettle.localhost";
    const PATIENCE: Duration = Duration::from_secs(90);
    /// By so much the server may note a message later than it came.
    const LAG: Duration = Duration::from_millis(500);
    /// Long enough for a message to arrive that should not.
    const A_WHILE: Duration = Duration::from_secs(2);

    struct Rig {
        world: World,
        server: Script,
    }

    impl Rig {
        async fn start() -> Self {
            let change = |settings: &mut Settings| {
                let upstream = format!("h2c://127.0.0.1:{}", ports::free());
                settings.applications.push(ApplicationSettings::new("kettle", &upstream, "anybody"));
            };
            let world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
            let upstream = &world.settings.applications.last().unwrap().upstream;
            let port: u16 = upstream.rsplit(':').next().unwrap().parse().unwrap();
            let mut server = Script::start_python("grpc_server.py", &json!({ "port": port }));
            server.ready().await;
            Self { world, server }
        }

        /// The cookie of the engineer, who has logged in with a browser.
        async fn cookie(&self) -> String {
            let address = format!("{}/", self.world.settings.application_url("kettle"));
            let browser = self.world.browser();
            // The page is the server's own answer to what is no gRPC, and does not matter.
            browser.log_in(&address, ENGINEER, DEMO_PASSWORD).await.unwrap();
            browser.jar().header(&address.parse().unwrap()).unwrap()
        }

        fn client(&self, scene: &str, cookie: &str) -> Script {
            let told = json!({
                "scene": scene, "host": HOST, "port": self.world.settings.port, "cookie": cookie,
                "ca": self.world.gateway.ca_file(),
            });
            Script::start_python("grpc_client.py", &told)
        }

        /// When the server got each message of conversations, and when the client sent it.
        fn heard(&self) -> Vec<(u64, u64)> {
            let events = self.server.output().events();
            let time = |text: &Value| text.as_str()?.parse::<u64>().ok();
            events.iter().filter_map(|event| Some((event["at"].as_u64()?, time(&event["got"])?))).collect()
        }
    }

    /// What a client saw.
    async fn seen(client: Script) -> Value {
        let text = client.over(PATIENCE).await.unwrap_or_else(|trouble| panic!("{trouble}"));
        serde_json::from_str(text.lines().last().unwrap()).unwrap_or_else(|_| panic!("{text}"))
    }

    /// An instant on the clock that the scripts use.
    fn nanoseconds(instant: Instant) -> u64 {
        let then = SystemTime::now() - instant.elapsed();
        u64::try_from(then.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_kind_of_call_passes_with_metadata_trailers_and_status() {
        let rig = Rig::start().await;
        let seen = seen(rig.client("kinds", &rig.cookie().await)).await;
        assert_eq!(seen["who"]["answer"]["asked"], "who");
        assert_eq!(seen["who"]["begun"]["x-begun"], "yes", "{seen}");
        assert_eq!(seen["who"]["ended"], json!({ "x-ended": "yes", "x-ended-bin": "00ff" }));
        let came = seen["who"]["answer"]["came"].as_array().unwrap();
        let values = |name: &str| came.iter().filter(|it| it[0] == name).map(|it| &it[1]).collect::<Vec<_>>();
        assert_eq!(values("cf-access-authenticated-user-email"), [ENGINEER]);
        assert_eq!(values("cf-access-jwt-assertion").len(), 1, "{came:?}");
        assert!(values("cookie").is_empty(), "our cookie stays with us: {came:?}");
        assert_eq!(seen["count"], json!((0..100).collect::<Vec<_>>()));
        assert_eq!(seen["collect"], format!("64 pieces, {} bytes", 64 * 65_536));
        assert_eq!(seen["talk"], json!(["heard 0", "heard 1", "heard 2", "heard 3", "heard 4"]));
        assert_eq!(seen["fail"]["code"], "FAILED_PRECONDITION", "{seen}");
        assert_eq!(seen["fail"]["details"], "the kettle is empty: 50 %, café");
        assert_eq!(seen["fail"]["ended"]["grpc-status-details-bin"], "0064657461696c73ff");
        assert_eq!(seen["unknown"]["code"], "UNIMPLEMENTED", "{seen}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_deactivation_ends_a_conversation() {
        let rig = Rig::start().await;
        let client = rig.client("talk", &rig.cookie().await);
        let until = Instant::now() + PATIENCE;
        while rig.heard().len() < 20 {
            assert!(Instant::now() < until, "there is no conversation: {}", rig.server.output().text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = nanoseconds(Instant::now());
        let answered = rig.world.deactivate(ENGINEER).await;
        tokio::time::sleep(A_WHILE).await;
        let (answered, late) = (nanoseconds(answered), nanoseconds(answered + LAG));
        let heard = rig.heard();
        // Silence proves something only where there was noise until the end.
        let second = 1_000_000_000;
        assert!(heard.iter().any(|(at, _)| at + second > before), "the conversation had stopped before");
        assert!(heard.iter().all(|(_, sent)| *sent <= answered), "sent after the 2xx, and received");
        assert!(heard.iter().all(|(at, _)| *at <= late), "received after the 2xx");
        let ended: Vec<Value> = rig.server.output().events();
        let ended: Vec<&Value> = ended.iter().filter_map(|event| event.get("ended")).collect();
        assert_eq!(
            ended,
            ["cut"],
            "the server knows that it is over, and that it was no end of the client's"
        );
        let seen = seen(client).await;
        assert!(seen["heard"].as_u64().unwrap() > 0, "{seen}");
        assert_ne!(seen["cut"]["code"], "OK", "cut as if it were whole: {seen}");
        // What grpc makes of a 403, as it makes UNAUTHENTICATED of a 401.
        assert_eq!(seen["again"]["code"], "PERMISSION_DENIED", "{seen}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_a_session_a_client_is_told_that_it_is_unauthenticated() {
        let rig = Rig::start().await;
        for cookie in ["", "__Host-portcullis=forged"] {
            let seen = seen(rig.client("once", cookie)).await;
            assert_eq!(seen["code"], "UNAUTHENTICATED", "{seen}");
            let words = seen.to_string().to_ascii_lowercase();
            assert!(!words.contains("<html") && !words.contains("302"), "{words}");
        }
        assert!(rig.server.output().lines().iter().all(|line| line == "ready"), "nothing reached the server");
    }
}
