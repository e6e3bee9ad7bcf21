//! What monitoring sees, on the inner listener alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "test code")]

use portcullis_tests::harness::World;

const ENGINEER: &str = "engineer@corp.example";

/// The value of a series, named as it is written with all its labels; none when it is absent.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

async fn metrics(world: &World) -> String {
    let (status, text) = world.gateway.inner("/metrics").await.unwrap();
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_counted_by_application_and_never_by_person_or_path() {
    let world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let allowed = "portcullis_requests_total{application=\"wiki\",verdict=\"allow\",status=\"2xx\"}";
    let before = value(&metrics(&world).await, allowed).unwrap();
    for _ in 0..5 {
        assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
    }
    assert_eq!(world.browser().fetch(&world.wiki("/whoami")).await.unwrap().status, 401);
    let text = metrics(&world).await;
    let of = |series: &str| value(&text, series).unwrap_or_else(|| panic!("no {series} in\n{text}"));
    assert_eq!(of(allowed), before + 5.0);
    assert_eq!(
        of("portcullis_requests_total{application=\"wiki\",verdict=\"login_required\",status=\"4xx\"}"),
        1.0
    );
    assert_eq!(of("portcullis_upstream_duration_seconds_count{application=\"wiki\"}"), before + 5.0);
    let longest = "portcullis_request_duration_seconds_bucket{le=\"+Inf\",application=\"wiki\"}";
    assert_eq!(of(longest), of("portcullis_request_duration_seconds_count{application=\"wiki\"}"));
    assert!(of("portcullis_request_duration_seconds_sum{application=\"wiki\"}") > 0.0);
    assert!(of("portcullis_connections") >= 1.0);
    assert!(of("portcullis_tls_handshakes_total{result=\"done\",version=\"1.3\",kind=\"full\"}") >= 1.0);
    assert!(of("portcullis_scim_requests_total{method=\"POST\",status=\"2xx\"}") > 1.0);
    assert!(
        of("portcullis_sessions{kind=\"login\"}") >= 1.0
            && of("portcullis_sessions{kind=\"application\"}") >= 1.0
    );
    assert!(of("portcullis_store_changes_total") > 1.0);
    assert_eq!(of("portcullis_log_lost_total"), 0.0);
    let upstream =
        format!("portcullis_upstream_up{{application=\"wiki\",upstream=\"{}\"}}", world.upstream.url());
    assert_eq!(of(&upstream), 1.0);
    // A certificate is counted under the name that the configuration gives it.
    let others = text.lines().filter(|line| !line.starts_with("portcullis_certificate_not_after_seconds{"));
    let others: Vec<&str> = others.collect();
    for secret in [ENGINEER, "whoami", "localhost"] {
        assert!(!others.iter().any(|line| line.contains(secret)), "{secret} is in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_is_counted_by_the_change_that_made_it_and_nothing_stays_open() {
    let world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let download = portcullis_tests::browser::Outgoing::script(
        http::Method::GET,
        &world.wiki("/download?bytes=1000000000&pace_ms=20"),
    );
    let mut download = browser.stream(&download.unwrap()).await.unwrap();
    assert!(download.piece().await.unwrap().is_some());
    assert_eq!(value(&metrics(&world).await, "portcullis_requests_in_flight"), Some(1.0));
    world.deactivate(ENGINEER).await;
    assert!(download.ended().await.is_err());
    let text = metrics(&world).await;
    assert!(
        value(&text, "portcullis_cuts_total{change=\"person\"}").is_some_and(|cuts| cuts >= 1.0),
        "{text}"
    );
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while value(&metrics(&world).await, "portcullis_requests_in_flight") != Some(0.0) {
        assert!(std::time::Instant::now() < until, "a request that was cut is counted for ever");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t57_the_public_listener_tells_neither_health_nor_figures() {
    let world = World::start().await;
    let nobody = world.browser();
    for path in ["/metrics", "/healthz", "/readyz"] {
        let on_auth_host = nobody.fetch(&format!("{}{path}", world.settings.auth_url())).await.unwrap();
        assert_eq!(on_auth_host.status, 404, "{path}");
        let on_application = nobody.fetch(&world.wiki(path)).await.unwrap();
        assert_eq!(on_application.status, 401, "{path}");
        let below = nobody.fetch(&world.wiki(&format!("/cdn-cgi/access{path}"))).await.unwrap();
        assert_eq!(below.status, 404, "{path}");
        for answer in [on_auth_host, on_application, below] {
            assert!(!answer.text().contains("portcullis_") && !answer.text().starts_with("ok"), "{path}");
        }
    }
}
