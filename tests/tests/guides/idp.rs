//! `portcullis idp`: the values to paste into the provider's pages, and the test that names what is wrong.

use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::company::{COLLECTOR, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET};
use portcullis_tests::okta::{Client, Endpoint, Fault};
use serde_json::{Value, json};

/// Whether the command succeeded, and what it told.
fn idp(world: &World, arguments: &[&str]) -> (bool, Value) {
    let arguments: Vec<&str> = ["idp"].iter().chain(arguments).chain(&["--json"]).copied().collect();
    let output = world.gateway.command(&arguments);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains(DEMO_CLIENT_SECRET) && !errors.contains(DEMO_CLIENT_SECRET));
    let json = serde_json::from_str(&told).unwrap_or_else(|e| panic!("{e}: {told}{errors}"));
    (output.status.success(), json)
}

/// The step of that name.
fn step<'v>(told: &'v Value, name: &str) -> &'v Value {
    let steps = told["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no step `{name}` in {told}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn cronofy_appenate_configcat_the_values_to_paste_are_printed() {
    let world = World::start().await;
    let auth = world.settings.auth_url();
    let (succeeded, told) = idp(&world, &["show", "okta"]);
    assert!(succeeded);
    let sign_in = &told["sign_in"];
    assert_eq!(sign_in["sign_in_redirect_uris"], json!([world.settings.redirect_uri()]));
    assert_eq!(sign_in["initiate_login_uri"], format!("{auth}/cdn-cgi/access/initiate"));
    assert_eq!(sign_in["sign_out_redirect_uris"], json!([]));
    assert_eq!(sign_in["client_authentication"], "Client secret");
    assert_eq!(sign_in["grant_types"], json!(["Authorization Code"]));
    assert_eq!(told["provisioning"][0]["base_url"], world.scim_url());
    let output = world.gateway.command(&["idp", "show", "okta"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        format!("Sign-in redirect URIs: {}", world.settings.redirect_uri()),
        "Login initiated by: Either Okta or App".to_owned(),
        format!("Base URL: {}", world.scim_url()),
    ] {
        assert!(text.contains(&line), "`{line}` is missing in {text}");
    }
    let output = world.gateway.command(&["idp", "show", "octa"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && errors.contains("`octa`") && errors.contains("known: okta"),
        "{errors}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudflare_the_test_of_a_provider_finds_nothing_wrong_with_a_good_one() {
    let world = World::with(WorldConfig { provisioned: false, ..WorldConfig::default() }).await;
    let (succeeded, told) = idp(&world, &["test", "okta", "--user", COLLECTOR]);
    assert!(succeeded, "{told:#}");
    for name in ["discovery", "clock", "keys", "client", "scopes", "redirect URI", "groups API"] {
        assert_eq!(step(&told, name)["verdict"], "ok", "{told:#}");
    }
    assert!(step(&told, "groups API")["text"].as_str().unwrap().contains("is in 251 groups"), "{told:#}");
    let (succeeded, told) = idp(&world, &["test", "okta"]);
    assert!(succeeded, "{told:#}");
    assert!(step(&told, "groups API")["text"].as_str().unwrap().contains("--user"), "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudflare_the_test_of_a_provider_names_each_cause() {
    let world = World::with(WorldConfig { provisioned: false, ..WorldConfig::default() }).await;
    let fails = |name: &str, words: &str| {
        let (succeeded, told) = idp(&world, &["test", "okta"]);
        let step = step(&told, name);
        assert!(!succeeded && step["verdict"] == "failed", "{name}: {told:#}");
        let told = format!("{} {}", step["text"], step["advice"]);
        assert!(told.contains(words), "{name}: `{words}` is missing in {told}");
    };
    let okta = &world.okta;
    for (endpoint, fault, name, words) in [
        (Endpoint::Discovery, Fault::Status(404), "discovery", "there is no OpenID provider at `issuer`"),
        (Endpoint::Discovery, Fault::Garbage, "discovery", "something may stand between"),
        (Endpoint::Keys, Fault::Garbage, "keys", "something may stand between"),
        (Endpoint::Users, Fault::Blocked, "groups API", "ThreatInsight"),
        (Endpoint::Users, Fault::RateLimitedS(120), "groups API", "rate limit"),
        (Endpoint::Users, Fault::Status(401), "groups API", "make a new read-only API token"),
    ] {
        okta.misbehave(endpoint, fault);
        fails(name, words);
        okta.behave(None);
    }
    okta.add_client(Client::confidential(DEMO_CLIENT_ID, "another secret", &world.settings.redirect_uri()));
    fails("client", "compare `client_id`");
    okta.add_client(Client::confidential(
        DEMO_CLIENT_ID,
        DEMO_CLIENT_SECRET,
        "https://elsewhere.example/callback",
    ));
    let (succeeded, told) = idp(&world, &["test", "okta"]);
    assert!(!succeeded && told.to_string().contains("redirect"), "{told:#}");
}
