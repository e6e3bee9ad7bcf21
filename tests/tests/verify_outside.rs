//! nginx and Caddy, as `deploy/` configures them, ask about every request that they carry. What the answers are in detail is
//! tested in `verify`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod outside {
    use http::Method;
    use portcullis_tests::browser::{Browser, Outgoing};
    use portcullis_tests::harness::{Settings, World, WorldConfig, ports};
    use portcullis_tests::okta::company::DEMO_PASSWORD;
    use portcullis_tests::okta::{Dialect, ScimTarget};
    use portcullis_tests::outside::{Program, Proxy};

    const ENGINEER: &str = "engineer@corp.example";
    /// Stands in every value that a client made up.
    const MARK: &str = "forged-by-the-client";

    struct Rig {
        world: World,
        proxy: Proxy,
    }

    impl Rig {
        /// Everything goes through the proxy, provisioning too.
        async fn start(program: Program) -> Self {
            let change = |settings: &mut Settings| {
                settings.public_port = Some(ports::free());
                settings.server_extra =
                    "forward_auth_from = [\"127.0.0.1\"]\nforward_auth_secret = { env = \"OKTA_CLIENT_SECRET\" }\n".to_owned();
                settings.applications[0].upstream = String::new();
                settings.applications[0].extra = "forward_auth = true\n".to_owned();
            };
            let config = WorldConfig { provisioned: false, change, ..WorldConfig::default() };
            let mut world = World::with(config).await;
            let proxy = Proxy::start(program, &world).await;
            world.scim_key = world.gateway.scim_key("corp", "okta");
            let target = ScimTarget {
                base_url: world.scim_url(),
                token: world.scim_key.clone(),
                bearer: true,
                ca_pem: Some(proxy.ca_pem.clone()),
                dialect: Dialect::Wizard,
            };
            world.okta.set_scim_target(target).unwrap();
            let pushes = world.okta.provision_everyone().await.unwrap();
            assert!(pushes.iter().all(portcullis_tests::okta::Push::accepted), "{pushes:?}");
            Self { world, proxy }
        }

        fn browser(&self) -> Browser {
            Browser::new(&self.proxy.ca_pem)
        }

        async fn logged_in(&self, login: &str) -> Browser {
            let browser = self.browser();
            let page = browser.log_in(&self.world.wiki("/whoami?tab=1"), login, DEMO_PASSWORD).await.unwrap();
            assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
            assert_eq!(page.json()["email"], login);
            assert_eq!(page.url.as_str(), self.world.wiki("/whoami?tab=1"), "back at the page asked for");
            browser
        }

        /// What the application has got since the last time, in lower case.
        fn arrived(&self) -> String {
            let chunks = self.world.upstream.recorder().all();
            self.world.upstream.recorder().clear();
            let bytes: Vec<u8> = chunks.into_iter().filter_map(|chunk| chunk.bytes).flatten().collect();
            String::from_utf8_lossy(&bytes).to_ascii_lowercase()
        }
    }

    async fn walk(program: Program) {
        let rig = Rig::start(program).await;
        let nobody = rig.browser();
        let page = nobody.navigate(&rig.world.wiki("/whoami")).await.unwrap();
        assert_eq!(
            page.url.port(),
            rig.world.okta.issuer().parse::<http::Uri>().unwrap().port_u16(),
            "{}",
            page.trail()
        );
        let program = rig.browser().fetch(&rig.world.wiki("/whoami")).await.unwrap();
        assert_eq!(program.status, 401, "{}", program.text());
        let login_url = format!("{}/cdn-cgi/access/login/wiki.localhost", rig.world.settings.auth_url());
        assert_eq!(program.json()["login_url"], login_url);
        assert_eq!(rig.arrived(), "", "nothing of these reached the application");

        let browser = rig.logged_in(ENGINEER).await;
        forged_fields(&rig, &browser).await;
        a_clients_own_question(&rig, &browser).await;
        path_tricks(&rig, &browser).await;

        let designer = rig.browser();
        let page = designer
            .log_in(&rig.world.wiki("/whoami"), "designer@corp.example", DEMO_PASSWORD)
            .await
            .unwrap();
        assert_eq!(page.status, 403, "{}", page.trail());
        assert!(page.text().contains("You have no access to this application"), "{}", page.text());

        rig.arrived();
        let dropped = rig.world.deactivate(ENGINEER).await;
        for _ in 0..3 {
            let refused = browser.fetch(&rig.world.wiki("/whoami")).await.unwrap();
            assert!(refused.is_refusal(), "{}", refused.status);
        }
        assert_eq!(rig.world.upstream.recorder().bytes_after(ENGINEER, dropped), 0);

        let developer = rig.logged_in("developer@corp.example").await;
        let out = developer.navigate(&rig.world.wiki("/cdn-cgi/access/logout/app")).await.unwrap();
        assert_eq!(out.status, 200, "{}", out.trail());
        assert_eq!(developer.fetch(&rig.world.wiki("/whoami")).await.unwrap().status, 401);
    }

    /// What a client made up about itself is replaced by what is true, or goes; our cookie stays with us.
    async fn forged_fields(rig: &Rig, browser: &Browser) {
        rig.arrived();
        let forged = Outgoing::script(Method::GET, &rig.world.wiki("/echo"))
            .unwrap()
            .header("cf-access-authenticated-user-email", MARK)
            .header("cf-access-jwt-assertion", MARK)
            .header("x-forwarded-for", "203.0.113.9")
            .header("x-forwarded-method", "DELETE")
            .header("x-forwarded-uri", "/elsewhere");
        let answer = browser.send(&forged).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let arrived = rig.arrived();
        assert!(!arrived.contains(MARK) && !arrived.contains("203.0.113.9"), "{arrived}");
        assert!(!arrived.contains("__host-portcullis"), "{arrived}");
        let emails = arrived.lines().filter(|line| line.starts_with("cf-access-authenticated-user-email:"));
        let emails: Vec<&str> = emails.collect();
        assert_eq!(emails, [format!("cf-access-authenticated-user-email: {ENGINEER}")]);
        assert!(arrived.contains("cf-access-jwt-assertion: ey"), "{arrived}");
    }

    /// The proxy passes on what a client asks, and is not taken for the one who asks: the answer would tell the client what is for
    /// the application.
    async fn a_clients_own_question(rig: &Rig, browser: &Browser) {
        for address in [rig.world.settings.auth_url(), rig.world.settings.application_url("wiki")] {
            for path in ["/cdn-cgi/access/verify", "/cdn-cgi/access/verify/whoami"] {
                let question = Outgoing::script(Method::GET, &format!("{address}{path}"))
                    .unwrap()
                    .header("x-forwarded-proto", "https")
                    .header("x-forwarded-method", "GET")
                    .header("x-forwarded-host", "wiki.localhost")
                    .header("x-forwarded-uri", "/whoami")
                    .header("x-portcullis-forward-auth", MARK);
                let answer = browser.send(&question).await.unwrap();
                assert_eq!(answer.status, 404, "{address}{path}: {}", answer.text());
                assert_eq!(answer.header("cf-access-jwt-assertion"), "");
            }
        }
    }

    /// Whatever a path could mean to somebody, it is refused, or is what was judged.
    async fn path_tricks(rig: &Rig, browser: &Browser) {
        let cookie = browser.jar().header(&rig.world.wiki("/").parse().unwrap()).unwrap();
        let host = format!("wiki.localhost:{}", rig.world.settings.public());
        rig.arrived();
        for path in [
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public/.%2E/admin",
            "//admin",
            "/public//../admin",
            "/a%2fadmin",
            "/a%5cadmin",
            "/public/..;/admin",
            "/admin%00",
            "/admin%zz",
            "/admin%c0%af",
        ] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
            );
            let answer = browser.raw(&rig.world.wiki("/"), request.as_bytes()).await.unwrap();
            let status = Browser::raw_status(&answer);
            assert!(status >= 400, "{path}: {}", String::from_utf8_lossy(&answer));
            assert_eq!(rig.arrived(), "", "{path} reached the application");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn t11_t26_nginx_carries_what_is_verified_and_nothing_else() {
        walk(Program::Nginx).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn t11_t26_caddy_carries_what_is_verified_and_nothing_else() {
        walk(Program::Caddy).await;
    }
}
