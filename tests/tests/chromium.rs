//! A real browser, Debian's Chromium, walks through login, drop and refusals; the scripts are in `tests/node`. It trusts the
//! development authority because that was imported, not because checking was turned off. Pictures are kept in
//! `target/screenshots`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod outside {
    use std::time::Duration;

    use portcullis_tests::harness::binary::repository;
    use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig, ports};
    use portcullis_tests::okta::company::{COLLECTOR, DEMO_PASSWORD};
    use portcullis_tests::okta::{ClaimMode, GroupFilter, Neglect};
    use portcullis_tests::outside::Script;
    use serde_json::json;

    /// A browser on a busy machine of two cores.
    const PATIENCE: Duration = Duration::from_secs(240);

    async fn play(world: &World, walk: &str) {
        let (settings, url) = (&world.settings, |name| world.settings.application_url(name));
        let broken = settings.applications.iter().any(|application| application.name == "broken");
        let payroll = settings.applications.iter().any(|application| application.name == "payroll");
        let vault = settings.applications.iter().any(|application| application.name == "vault");
        let scene = json!({
            "play": walk,
            "folder": world.gateway.folder(),
            "ca": world.gateway.ca_file(),
            "screenshots": repository().join("target/screenshots"),
            "payroll": if payroll { url("payroll") } else { String::new() },
            "vault": if vault { url("vault") } else { String::new() },
            "wiki": url("wiki"), "auth": settings.auth_url(), "okta": world.okta.issuer(),
            "broken": if broken { url("broken") } else { String::new() },
            "engineer": "engineer@corp.example", "designer": "designer@corp.example", "collector": COLLECTOR,
            "password": DEMO_PASSWORD,
        });
        match Script::start("browser.mjs", &scene).over(PATIENCE).await {
            Ok(steps) => println!("{steps}"),
            Err(steps) => panic!("the walk `{walk}` went wrong:\n{steps}"),
        }
    }

    async fn changed(change: fn(&mut Settings)) -> World {
        World::with(WorldConfig { change, ..WorldConfig::default() }).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_person_logs_in_is_dropped_and_comes_back() {
        play(&World::start().await, "walk").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_refusal_is_a_page_that_can_be_read() {
        let world = changed(|settings| {
            let nobody = format!("http://127.0.0.1:{}", ports::free());
            settings.applications.push(ApplicationSettings::new("broken", &nobody, "anybody"));
        });
        play(&world.await, "refusals").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_login_that_the_provider_refuses_is_told() {
        let world = World::start().await;
        world.okta.assign_client(&world.settings.client_id, Some(Vec::new())).unwrap();
        play(&world, "refusedLogins").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_login_that_stays_too_weak_is_told() {
        let world = changed(|settings| {
            let upstream = settings.applications[0].upstream.clone();
            settings.applications.push(ApplicationSettings::new("vault", &upstream, "strong"));
            settings.policies.push_str(
                "[[policy]]\nname = \"strong\"\naction = \"allow\"\ninclude = [{ everyone = true }]\n\
                 require = [{ acr = \"urn:okta:loa:2fa:any\" }]\n",
            );
        });
        let world = world.await;
        world.okta.neglect(Neglect::AcrValues);
        play(&world, "stepUp").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_asked_before_an_application_opens_is_a_page_that_can_be_read() {
        let world = changed(|settings| {
            let upstream = settings.applications[0].upstream.clone();
            settings.applications.push(ApplicationSettings::new("vault", &upstream, "with-purpose"));
            settings.applications.push(ApplicationSettings::new("payroll", &upstream, "by-approval"));
            settings.policies.push_str(
                "[[policy]]\nname = \"with-purpose\"\naction = \"allow\"\ninclude = [{ everyone = true }]\n\
                 purpose = { prompt = \"Which ticket do you work on?\" }\n\
                 [[policy]]\nname = \"by-approval\"\naction = \"allow\"\ninclude = [{ everyone = true }]\n\
                 approval = { approvers = [{ email = \"designer@corp.example\" }], longest = \"4h\" }\n",
            );
        });
        play(&world.await, "errands").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_terminal_asks_is_a_page_that_can_be_read() {
        play(&World::start().await, "terminal").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pages_bear_the_organisations_name_in_both_themes() {
        let world = changed(|settings| {
            settings.applications[0].extra = "deny_text = \"Ask the owner of the wiki.\"\n".to_owned();
            settings.extra =
                "[branding]\nname = \"Corp & Sons\"\ncolour = \"#1d4ed8\"\nsupport_text = \"Ask the help \
                              desk.\"\nsupport_url = \"mailto:help@corp.example\"\n"
                    .to_owned();
        });
        play(&world.await, "branded").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn too_many_groups_are_told_to_person_and_administrator() {
        let world = World::with(WorldConfig { api_token: None, ..WorldConfig::default() }).await;
        world.okta.set_groups_claim(ClaimMode::CutAtLimit, GroupFilter::default());
        play(&world, "tooManyGroups").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_provider_that_is_down_is_told() {
        let world = changed(|settings| settings.issuer = format!("http://127.0.0.1:{}", ports::free()));
        play(&world.await, "providerDown").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn with_two_providers_the_person_chooses() {
        let world = changed(|settings| {
            settings.extra = format!(
                "[[identity_provider]]\nname = \"partners\"\ntype = \"oidc\"\nissuer = \"{}\"\nclient_id = \"portcullis\"\n",
                settings.issuer
            );
        });
        play(&world.await, "picker").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn thirty_tabs_at_once_all_arrive() {
        play(&World::start().await, "tabs").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_browser_that_does_not_trust_the_authority_goes_nowhere() {
        play(&World::start().await, "distrust").await;
    }
}
