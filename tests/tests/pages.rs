//! Our pages as configured: name, picture, colour, help, and what is told to those whom an application denies. How they look is
//! for `chromium` to show.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use portcullis_tests::harness::{Launch, Settings, World};
use portcullis_tests::okta::company::DEMO_PASSWORD;

const DESIGNER: &str = "designer@corp.example";
const BRANDING: &str = "[branding]\nname = \"Corp & Sons\"\nlogo = \"logo.svg\"\ncolour = \"#b45309\"\n\
                        support_text = \"Ask the help desk.\"\nsupport_url = \"mailto:help@corp.example\"\n";
const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";

/// The picture must lie beside the configuration before the gateway starts.
async fn world(deny: &str) -> World {
    let mut world = World::start().await;
    std::fs::write(world.gateway.folder().join("logo.svg"), LOGO).unwrap();
    world.settings.applications[0].extra = deny.to_owned();
    world.settings.extra = BRANDING.to_owned();
    let config = world.settings.toml();
    world.gateway.write_config(&config);
    world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_person_reads_the_applications_own_words_under_the_organisations_name() {
    let world = world("deny_text = \"Ask <the owner> of the wiki.\"\n").await;
    let browser = world.browser();
    let page = browser.log_in(&world.wiki("/"), DESIGNER, DEMO_PASSWORD).await.unwrap();
    let text = page.text();
    assert_eq!(page.status, 403, "{}", page.trail());
    for wanted in [
        "Ask &lt;the owner&gt; of the wiki.",
        "Corp &amp; Sons</span>",
        "· Corp &amp; Sons</title>",
        "src=\"/cdn-cgi/access/logo\"",
        "--act:#b45309",
        "Ask the help desk.",
        "mailto:help@corp.example",
        "<dt>Reference</dt>",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is missing in {text}");
    }
    assert!(!text.contains("<script") && page.header("content-security-policy").contains("img-src 'self'"));
    for base in [world.settings.application_url("wiki"), world.settings.auth_url()] {
        let logo = world.browser().fetch(&format!("{base}/cdn-cgi/access/logo")).await.unwrap();
        assert_eq!((logo.status.as_u16(), logo.text()), (200, LOGO.to_owned()));
        assert_eq!(logo.header("content-type"), "image/svg+xml");
        assert_eq!(logo.header("x-content-type-options"), "nosniff");
        // A picture that is opened as a page runs nothing.
        assert!(logo.header("content-security-policy").contains("sandbox"), "{:?}", logo.headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_person_is_led_to_the_applications_own_page_and_a_program_is_not() {
    let world = world("deny_url = \"https://help.corp.example/denied?from=wiki\"\n").await;
    let (browser, _) = world.logged_in("engineer@corp.example").await.unwrap();
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
    let designer = world.browser();
    let canteen = format!("{}/", world.settings.application_url("canteen"));
    designer.log_in(&canteen, DESIGNER, DEMO_PASSWORD).await.unwrap();
    // The help page is nobody's here, so the last step has no answer: each is looked at by itself.
    let mut url = world.wiki("/");
    for _ in 0..8 {
        let answer =
            designer.send(&portcullis_tests::browser::Outgoing::navigation(&url).unwrap()).await.unwrap();
        assert_eq!(answer.status, 303, "{url}");
        url = answer.location().unwrap().to_string();
        if url.starts_with("https://help.corp.example/") {
            break;
        }
    }
    assert!(url.starts_with("https://help.corp.example/denied?from=wiki&application=wiki&code="), "{url}");
    assert!(url.contains("&reference=") && !url.contains("designer"), "{url}");
    let program = designer.fetch(&world.wiki("/whoami")).await.unwrap();
    assert_eq!(program.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_would_lead_back_is_a_fault() {
    let mut settings = Settings::new("http://127.0.0.1:1", "http://127.0.0.1:1");
    settings.applications[0].extra = "deny_url = \"https://wiki.localhost/denied\"\n".to_owned();
    settings.extra =
        "[branding]\nlogo = \"absent.png\"\ncolour = \"red\"\nsupport_url = \"javascript:alert(1)\"\n"
            .to_owned();
    let launch = Launch::of(&settings);
    std::fs::write(launch.folder.path().join("config.toml"), &launch.config).unwrap();
    let said = launch.command(&["check"]);
    let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    for fault in [
        "`application.deny_url`: lies on a host of this application",
        "`branding.logo`: cannot read",
        "`branding.colour`: `red` is no colour",
        "`branding.support_url`: `javascript:alert(1)` must be",
    ] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
}
