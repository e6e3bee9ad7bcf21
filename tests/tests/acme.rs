//! Certificates by ACME, ordered from Pebble by the real program: the whole walk through a real handshake, and what happens when
//! the authority is away, refuses, forgets or is forgetful.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod outside {
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;
    use std::time::{Duration, Instant};

    use portcullis_tests::handshake::{Handshake, status};
    use portcullis_tests::harness::{Gateway, Launch, Settings};
    use portcullis_tests::outside::{EXTERNAL_KEY, Pebble, PebbleSettings};
    use serde_json::Value;

    const WIKI: &str = "wiki.localhost";
    const AUTH: &str = "auth.localhost";
    /// Machines that run tests are busy.
    const PATIENCE: Duration = Duration::from_secs(120);
    const POLL: Duration = Duration::from_millis(100);
    const KEY_VARIABLE: &str = "ACME_EXTERNAL_KEY";

    struct Rig {
        pebble: Pebble,
        settings: Settings,
        launch: Option<Launch>,
    }

    impl Rig {
        /// A gateway that is to order for these hosts, and its authority; neither runs yet.
        fn new(hosts: &[&str], change: impl FnOnce(&mut PebbleSettings)) -> Self {
            let mut settings = Settings::new("http://127.0.0.1:9", "http://127.0.0.1:9");
            // A connection may be idle for as long as a certificate lives.
            settings.extra = "[limits]\nheader_timeout = \"10m\"\n".to_owned();
            let mut of_pebble = PebbleSettings {
                tls_port: settings.port,
                validity_s: 3_600,
                nonces_refused: 0,
                external_account: false,
                names_lead_to: Ipv4Addr::LOCALHOST,
            };
            change(&mut of_pebble);
            let external = of_pebble.external_account.then(|| {
                let key_id = EXTERNAL_KEY.0;
                format!("external_account = {{ key_id = \"{key_id}\", hmac_key = {{ env = \"{KEY_VARIABLE}\" }} }}\n")
            });
            let pebble = Pebble::prepare(of_pebble);
            let acme = format!(
                "[tls.acme]\ndirectory = \"{}\"\nca_file = {:?}\nagree_to_terms = true\nhosts = {hosts:?}\n\
                 contact = [\"operator@corp.example\"]\n{}",
                pebble.directory(),
                pebble.ca_file(),
                external.unwrap_or_default(),
            );
            let mut launch = Launch::of(&settings);
            launch.config = launch.config.replace("[tls]\nself_signed = true\n", &acme);
            launch.environment.push((KEY_VARIABLE.to_owned(), EXTERNAL_KEY.1.to_owned()));
            Self { pebble, settings, launch: Some(launch) }
        }

        async fn start(&mut self) -> Gateway {
            Gateway::start(self.launch.take().unwrap()).await.unwrap_or_else(|error| panic!("{error}"))
        }

        /// Asks for a host, and believes what the authority issues.
        fn handshake(&self, host: &str) -> Handshake {
            Handshake::new(&self.pebble.root_pem(), self.settings.port, host)
        }
    }

    fn issued(host: &str) -> impl Fn(&Value) -> bool {
        move |event| event["host"] == host && event["renewed_in_s"].is_i64()
    }

    fn failed(event: &Value) -> bool {
        event["again_in_s"].is_i64()
    }

    fn of_acme(gateway: &Gateway, wanted: impl Fn(&Value) -> bool) -> usize {
        gateway.log().events().iter().filter(|event| wanted(event)).count()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_certificate_is_ordered_shown_and_outlives_a_restart() {
        let mut rig = Rig::new(&[WIKI, AUTH], |settings| settings.external_account = true);
        rig.pebble.run().await;
        let mut gateway = rig.start().await;
        for host in [WIKI, AUTH] {
            let event = gateway.log().wait_for(PATIENCE, issued(host)).await.expect(host);
            let left = event["renewed_in_s"].as_i64().unwrap();
            assert!((2_000..=2_400).contains(&left), "two thirds of an hour: {event}");
            assert_ne!(status(&rig.handshake(host).get(host).unwrap()), 0);
        }
        assert_eq!(rig.pebble.orders(), 2);
        assert!(
            rig.handshake("canteen.localhost").get("canteen.localhost").is_err(),
            "nothing was ordered for it"
        );
        let nobody = Handshake { names_itself: false, ..rig.handshake(WIKI) };
        assert!(nobody.get(WIKI).is_err(), "who asks for no name is shown no other's");
        let asking = Handshake { protocols: vec![b"acme-tls/1".to_vec()], ..rig.handshake(WIKI) };
        assert!(asking.get(WIKI).is_err(), "nothing is answered that no authority was told to ask");
        let (_, figures) = gateway.inner("/metrics").await.unwrap();
        assert!(
            figures.contains("portcullis_certificate_not_after_seconds{host=\"wiki.localhost\"}"),
            "{figures}"
        );
        assert!(figures.contains("result=\"challenge\""), "{figures}");
        assert_eq!(gateway.stop().await, Some(0));
        gateway.start_again().await.unwrap();
        assert_ne!(status(&rig.handshake(WIKI).get(WIKI).unwrap()), 0, "shown from the first handshake on");
        // As long as an order takes: one that was begun would have been seen.
        let wiki = gateway.log().wait_for(Duration::from_secs(10), failed).await;
        assert_eq!((wiki, rig.pebble.orders()), (None, 2), "a restart orders nothing");
        let secrets = std::fs::read(gateway.folder().join("portcullis.db")).unwrap();
        let in_the_clear = |text: &[u8]| secrets.windows(text.len()).any(|window| window == text);
        assert!(!in_the_clear(b"PRIVATE KEY") && !in_the_clear(b"key_pkcs8"), "keys are sealed");
        assert!(!gateway.log().text().contains(EXTERNAL_KEY.1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_certificate_is_renewed_under_open_connections_by_an_authority_that_forgot_us() {
        let mut rig = Rig::new(&[WIKI], |settings| {
            settings.validity_s = 60;
            settings.nonces_refused = 20;
        });
        rig.pebble.run().await;
        let gateway = rig.start().await;
        gateway.log().wait_for(PATIENCE, issued(WIKI)).await.expect("a first certificate");
        let mut open = rig.handshake(WIKI).connect().unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {WIKI}\r\n\r\n");
        let mut some = [0; 12];
        open.write_all(request.as_bytes()).unwrap();
        open.read_exact(&mut some).unwrap();
        rig.pebble.stop();
        rig.pebble.run().await;
        let until = Instant::now() + PATIENCE;
        while of_acme(&gateway, issued(WIKI)) < 2 {
            assert!(Instant::now() < until, "no renewal");
            tokio::time::sleep(POLL).await;
        }
        // The new root believes nothing that was issued before.
        assert_ne!(status(&rig.handshake(WIKI).get(WIKI).unwrap()), 0);
        open.write_all(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut rest = String::new();
        let _ = open.read_to_string(&mut rest);
        assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "the open connection serves on: {rest}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_authority_that_is_down_is_asked_again() {
        let mut rig = Rig::new(&[WIKI, AUTH], |_| {});
        let gateway = rig.start().await;
        let event = gateway.log().wait_for(PATIENCE, failed).await.expect("a failure");
        assert!(event["cause"].as_str().unwrap().contains("cannot be reached"), "{event}");
        assert!(event["advice"].as_str().unwrap().contains("tls.acme.directory"), "{event}");
        let again_in_s = event["again_in_s"].as_i64().unwrap();
        assert!((9..=13).contains(&again_in_s), "{event}");
        rig.pebble.run().await;
        assert!(rig.handshake(WIKI).get(WIKI).is_err(), "no certificate, no handshake");
        for host in [WIKI, AUTH] {
            gateway.log().wait_for(PATIENCE, issued(host)).await.expect(host);
        }
        assert_ne!(status(&rig.handshake(WIKI).get(WIKI).unwrap()), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_that_does_not_lead_here_is_refused_and_waits() {
        let mut rig = Rig::new(&[WIKI], |settings| settings.names_lead_to = Ipv4Addr::new(127, 0, 0, 9));
        rig.pebble.run().await;
        let gateway = rig.start().await;
        let event = gateway.log().wait_for(PATIENCE, failed).await.expect("a failure");
        assert!(event["cause"].as_str().unwrap().contains("could not verify"), "{event}");
        assert!(event["advice"].as_str().unwrap().contains("port 443"), "{event}");
        let again_in_s = event["again_in_s"].as_i64().unwrap();
        assert!(again_in_s >= 290, "authorities count refusals: {event}");
        assert_eq!(rig.pebble.orders(), 1);
        // Whoever mends it need not wait.
        rig.pebble.let_names_lead_to(Ipv4Addr::LOCALHOST).await;
        gateway.hang_up();
        gateway.log().wait_for(PATIENCE, issued(WIKI)).await.expect("a certificate");
        assert_ne!(status(&rig.handshake(WIKI).get(WIKI).unwrap()), 0);
    }
}
