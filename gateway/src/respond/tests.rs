//! Who is a person and who a program; and that nothing which somebody else said is markup on any of our pages.

use futures_util::FutureExt;
use http_body_util::BodyExt;
use portcullis_policy::{
    ApplicationPolicies, Circumstances, Known, PolicySet, Principal, Question, Service, Sources,
};

use super::*;
use crate::config::Branding;
use crate::login::{IdTokenFault, ProviderError};
use crate::terminal::TerminalError;

/// What would be an element, an end of an attribute, a script and a reference, if it were not text.
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror='alert(1)' y=\"</p></main>&lt;!--";

fn audience(fields: &[(&str, &str)]) -> Audience {
    let request =
        fields.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    Audience::of(&request.body(()).unwrap().into_parts().0)
}

#[test]
fn only_a_page_navigation_is_a_person() {
    let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!(audience(&[html, ("sec-fetch-mode", "navigate")]), Audience::Person);
    assert_eq!(audience(&[html]), Audience::Person);
    assert_eq!(audience(&[html, ("sec-fetch-mode", "cors")]), Audience::Program);
    assert_eq!(audience(&[html, ("upgrade", "websocket")]), Audience::Program);
    assert_eq!(audience(&[("accept", "application/json")]), Audience::Program);
    assert_eq!(audience(&[("accept", "*/*")]), Audience::Program);
    assert_eq!(audience(&[]), Audience::Program);
}

#[test]
fn whoever_cannot_be_served_on_a_connection_lets_go_of_it() {
    for rejection in [
        Rejection::Denied(Denial::CrowdedConnection),
        Rejection::Route(RouteError::TlsPolicy),
        Rejection::Route(RouteError::TransferEncoding),
    ] {
        let mut headers = HeaderMap::new();
        add_context(&mut headers, &rejection, Audience::Program);
        assert_eq!(headers.get(CONNECTION).unwrap(), "close", "{rejection:?}");
    }
}

/// Every rejection that repeats what somebody said, and one of each other kind.
fn rejections(text: &str) -> Vec<Rejection> {
    let own = || text.to_owned();
    let challenge = || {
        Box::new(Challenge { location: own(), cookies: Vec::new(), entrance: format!("https://a/{text}") })
    };
    let provider = [
        ProviderError::WrongIssuer { configured: own(), announced: own() },
        ProviderError::Refused { error: own(), description: own() },
        ProviderError::ClientRefused { description: own() },
        ProviderError::CodeRefused { description: own() },
        ProviderError::TooManyGroups { api_configured: false },
        ProviderError::ServiceAppRefused { description: own() },
        ProviderError::PersonInactive { status: "SUSPENDED" },
        ProviderError::ClientUnsigned,
        ProviderError::PushUnoffered,
        ProviderError::PushDemanded,
        ProviderError::Slow { endpoint: "token endpoint" },
        ProviderError::GroupsForbidden,
        ProviderError::IdToken(IdTokenFault::Expired),
    ];
    let login = [
        LoginError::Malformed,
        LoginError::Stale,
        LoginError::ProviderRefused { error: own(), description: own() },
        LoginError::IssuerParameter,
        LoginError::Deactivated,
        LoginError::NotProvisioned,
        LoginError::EmailUnverified,
        LoginError::EmailDomainRefused { domain: own() },
        LoginError::StepUpUnmet { wanted: own(), came: own() },
        LoginError::NoRandomness,
    ];
    let login = login.into_iter().chain(provider.map(LoginError::Provider));
    let mut all: Vec<Rejection> = login.map(|error| Rejection::Login { error, front: Some(own()) }).collect();
    all.extend([
        Rejection::Route(RouteError::UnknownHost),
        Rejection::Route(RouteError::HostsDiffer),
        Rejection::NotFound,
        Rejection::MethodNotAllowed("GET"),
        Rejection::TooManyRequests,
        Rejection::SessionEnded(EndReason::Deactivated, challenge()),
        Rejection::SessionEnded(EndReason::Revoked, challenge()),
        Rejection::Denied(denial()),
        Rejection::Forward(ForwardError::Busy(own())),
        Rejection::Forward(ForwardError::TotalTimeout(own())),
        Rejection::Asked(OriginalError::Untold("host")),
        Rejection::NoIdentity,
        Rejection::Terminal(TerminalError::UnknownCode),
    ]);
    all
}

/// The policy's no, which only a decision can say.
fn denial() -> Denial {
    let application =
        ApplicationPolicies { application: "wiki".into(), policies: Vec::new(), login_methods: Vec::new() };
    let (known, applications) = (Known::default(), [application]);
    let sources = Sources { policies: &[], rule_groups: &[], applications: &applications, known: &known };
    let set = PolicySet::compile(&sources).unwrap();
    let principal = Principal::Service(Service { token: "ci".into() });
    let circumstances = Circumstances::at([192, 0, 2, 1].into(), 0);
    let question = Question::new(&principal, &circumstances);
    Denial::Policy(set.decide(set.application("wiki").unwrap(), &question))
}

fn html(response: Response<Body>) -> String {
    let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let bytes = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every tag with the names of its attributes, as a browser's tokenizer finds them; texts and values are left out.
fn skeleton(html: &str) -> Vec<String> {
    let (mut tags, mut rest) = (Vec::new(), html);
    while let Some((_, after)) = rest.split_once('<') {
        let (mut tag, mut quote, mut end) = (String::new(), None, after.len());
        for (index, character) in after.char_indices() {
            match quote {
                Some(mark) if mark == character => quote = None,
                Some(_) => {}
                None if character == '>' => {
                    end = index + 1;
                    break;
                }
                None if matches!(character, '"' | '\'') => quote = Some(character),
                None => tag.push(character),
            }
        }
        tags.push(tag);
        rest = after.get(end..).unwrap_or_default();
    }
    tags
}

#[test]
fn t69_nothing_that_somebody_said_is_markup_on_any_page() {
    let page = |text: &str, rejection: &Rejection| {
        let name = (text != "plain").then(|| text.to_owned());
        let look = Look::new(&Branding {
            name: Some(name.clone().unwrap_or("plain".to_owned())),
            support_text: Some(name.unwrap_or("plain".to_owned())),
            ..Branding::default()
        });
        let mut application =
            Application::at("wiki", "wiki.localhost".parse().unwrap(), Vec::new(), Vec::new());
        application.deny_page.text = Some(text.to_owned());
        let application = Some(&application);
        let reader = Reader { audience: Audience::Person, reference: text, look: &look, application };
        html(rejected(rejection, &reader))
    };
    for (hostile, plain) in rejections(HOSTILE).iter().zip(&rejections("plain")) {
        let (found, expected) = (page(HOSTILE, hostile), page("plain", plain));
        assert_eq!(skeleton(&found), skeleton(&expected), "{hostile:?}: {found}");
        assert!(found.contains("&lt;script&gt;"), "what was said is told as text: {found}");
    }
}

#[test]
fn t69_names_and_addresses_on_the_other_pages_are_text_too() {
    let look = Look::new(&Branding::default());
    let build = |text: &str| {
        let page = Page::new(StatusCode::OK, "Choose how to sign in")
            .text(text)
            .link(text, text)
            .other_link(text, text)
            .form(text, &[(text, text)], &[(text, text), ("deny", text)])
            .entry(text, text, text, text)
            .leading_to(text, text)
            .code(text, text);
        html(super::page(&look, page, None))
    };
    assert_eq!(skeleton(&build(HOSTILE)), skeleton(&build("plain")));
}

#[test]
fn t69_a_program_gets_json_that_no_browser_takes_for_a_page() {
    let look = Look::new(&Branding::default());
    for rejection in rejections(HOSTILE) {
        let reader =
            Reader { audience: Audience::Program, reference: HOSTILE, look: &look, application: None };
        let response = rejected(&rejection, &reader);
        assert_eq!(response.headers()["content-type"], "application/json", "{rejection:?}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{rejection:?}");
        let bytes = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(told["reference"], HOSTILE);
        assert!(!told["error"].as_str().unwrap().is_empty() && !told["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_provisioning_client_is_told_in_scims_own_form() {
    let look = Look::new(&Branding::default());
    let mut all = rejections(HOSTILE);
    all.extend([
        Rejection::Route(RouteError::FieldCount),
        Rejection::Route(RouteError::TlsPolicy),
        Rejection::Route(RouteError::Method),
        Rejection::Route(RouteError::TransferEncoding),
        Rejection::TooFast,
        Rejection::Unleased,
        Rejection::Unrecorded,
    ]);
    for rejection in all {
        let audience = Audience::ProvisioningClient;
        let reader = Reader { audience, reference: HOSTILE, look: &look, application: None };
        for response in [rejected(&rejection, &reader), refused_in_scim(&rejection)] {
            let status = response.status();
            assert!(status.is_client_error() || status.is_server_error(), "{rejection:?}");
            assert_eq!(response.headers()["content-type"], "application/scim+json; charset=utf-8");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            let waits = response.headers().get("retry-after").and_then(|field| field.to_str().ok());
            let is_repeatable = matches!(status.as_u16(), 429 | 503);
            assert_eq!(waits.is_some_and(|wait| wait.parse::<u32>().is_ok()), is_repeatable, "{rejection:?}");
            let bytes = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
            let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(told["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
            assert_eq!(told["status"], status.as_str());
            assert!(!told["detail"].as_str().unwrap().is_empty(), "{rejection:?}");
        }
    }
}

#[test]
fn every_page_has_a_language_one_heading_and_one_main_part() {
    let look = Look::new(&Branding { name: Some("Corp".to_owned()), ..Branding::default() });
    for rejection in rejections("plain") {
        let reader = Reader { audience: Audience::Person, reference: "r", look: &look, application: None };
        let html = html(rejected(&rejection, &reader));
        assert!(html.contains("<html lang=\"en\">") && html.contains("name=\"viewport\""), "{html}");
        for one in ["<main>", "<h1>", "<header>", "<dt>Code</dt>", "<dt>Reference</dt>", "<title>"] {
            assert_eq!(html.matches(one).count(), 1, "{one} in {html}");
        }
    }
}
