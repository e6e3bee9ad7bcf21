//! Sign-in domains: only people with a verified e-mail address of a listed domain come in, and whoever does not learns why.

use portcullis_tests::browser::Page;
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use portcullis_tests::okta::{Company, Dialect, Person, Push};

use super::rig::ENGINEER;

/// Logins with addresses of all kinds; every login is allowed by a policy that speaks of nobody.
fn people() -> Vec<(Person, Result<(), &'static str>)> {
    let with = |name: &str, email: &str| Person {
        email: Some(email.to_owned()),
        ..Person::new(&format!("{name}@login.example"), name, "Visitor")
    };
    let refused = Err("email_domain_refused");
    let unverified = Err("email_unverified");
    vec![
        (with("plain", "a@corp.example"), Ok(())),
        (with("capitals", "A@CORP.Example"), Ok(())),
        (with("listed-too", "a@corp.test"), Ok(())),
        (with("longer", "a@evil-corp.example"), refused),
        (with("subdomain", "a@mail.corp.example"), refused),
        (with("behind", "a@corp.example.evil.test"), refused),
        (with("elsewhere", "a@partner.example"), refused),
        (with("two-ats", "a@corp.example@evil.test"), unverified),
        (with("quoted", "\"a@evil.test\"@corp.example"), unverified),
        (with("dot-behind", "a@corp.example."), unverified),
        (with("homoglyph", "a@\u{441}orp.example"), unverified),
        (Person { email_verified: false, ..with("unverified", "b@corp.example") }, unverified),
    ]
}

fn assert_refused(page: &Page, code: &str, words: &[&str]) {
    let text = page.text();
    assert_eq!(page.status, 403, "{}\n{text}", page.trail());
    assert!(text.contains(&format!("<dd>{code}</dd>")), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t65_t66_only_verified_addresses_of_a_listed_domain_may_sign_in() {
    let people = people();
    let company = Company {
        people: people.iter().map(|(person, _)| person.clone()).collect(),
        clients: Company::demo().clients,
        ..Company::default()
    };
    let world = World::with(WorldConfig {
        company,
        provisioned: false,
        change: |settings| {
            settings.provider_extra = "domains = [\"Corp.Example\", \"corp.test\"]\n".to_owned();
            settings.extra = "[limits]\nlogin_per_minute = 1000\n".to_owned();
        },
        ..WorldConfig::default()
    })
    .await;
    let canteen = world.settings.application_url("canteen");
    for (person, expected) in people {
        let browser = world.browser();
        let page = browser.log_in(&format!("{canteen}/"), &person.login, DEMO_PASSWORD).await.unwrap();
        match expected {
            Ok(()) => assert_eq!(page.status, 200, "{}\n{}", person.login, page.text()),
            Err(code) => {
                assert_refused(&page, code, &["For an administrator"]);
                // No cookie of the refused login opens anything.
                let answer = browser.fetch(&format!("{canteen}/whoami")).await.unwrap();
                assert_eq!(answer.status, 401, "{}", person.login);
                let auth = format!("{}/cdn-cgi/access/get-identity", world.settings.auth_url());
                assert_eq!(browser.fetch(&auth).await.unwrap().status, 401, "{}", person.login);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cronofy_an_address_of_another_domain_gets_a_clear_page() {
    let world = World::with(WorldConfig {
        change: |settings| settings.provider_extra = "domains = [\"corp.test\"]\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let (_, page) = world.logged_in(ENGINEER).await.unwrap();
    let words = ["Your e-mail address may not sign in here", "corp.example", "Open the application again"];
    assert_refused(&page, "email_domain_refused", &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn cronofy_somebody_who_is_not_provisioned_is_told_what_to_do_and_comes_in_once_they_are() {
    let mut world = World::with(WorldConfig {
        provisioned: false,
        change: |settings| settings.directory_extra = "require_provisioned = true\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let (_, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_refused(&page, "not_provisioned", &["assign you to the provisioning application"]);
    world.connect_scim(Dialect::Catalog);
    let pushes = world.okta.provision_everyone().await.unwrap();
    assert!(pushes.iter().all(Push::accepted));
    let (_, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
}
