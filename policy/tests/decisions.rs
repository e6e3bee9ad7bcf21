//! Every file of `decisions/` holds policies, applications and cases; adding a case is adding lines or a file.
//!
//! The shape of the product's own configuration file is left to the gateway.
#![allow(clippy::panic, clippy::unwrap_used, reason = "test code: a panic is how it fails")]

use std::collections::HashSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_policy::{
    Action, ApplicationPolicies, Decision, IpNet, Known, LoginFacts, Person, Policy, PolicySet, Principal,
    Question, Reason, Selector, Service,
};
use serde::Deserialize;

/// When every case is decided.
const NOW: i64 = 1_700_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    identity_providers: Vec<String>,
    #[serde(default)]
    policy: Vec<FilePolicy>,
    application: Vec<FileApplication>,
    #[serde(default)]
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePolicy {
    name: String,
    action: FileAction,
    include: Vec<FileSelector>,
    #[serde(default)]
    require: Vec<FileSelector>,
    #[serde(default)]
    exclude: Vec<FileSelector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileAction {
    Allow,
    Block,
    ServiceAuth,
}

/// `"everyone"` or `"any_service_token"`, or a table with one key and one value or a list of alternatives.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileSelector {
    Everyone,
    Email(OneOrMany),
    EmailDomain(OneOrMany),
    Group(OneOrMany),
    Ip(OneOrMany),
    LoginMethod(OneOrMany),
    ServiceToken(OneOrMany),
    AnyServiceToken,
    Acr(OneOrMany),
    Amr(OneOrMany),
    /// In seconds.
    LoginAge(u64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileApplication {
    name: String,
    policies: Vec<String>,
    #[serde(default)]
    login_methods: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    application: String,
    /// A service asks, by the token of this name; what is said of a person then is left out.
    service: Option<String>,
    email: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    /// Groups in which the person is by a word that does not count.
    #[serde(default)]
    unproved_groups: Vec<String>,
    login_method: Option<String>,
    acr: Option<String>,
    amr: Option<Vec<String>>,
    /// How many seconds ago the login was made; negative when it lies ahead.
    login_age: Option<i64>,
    ip: IpAddr,
    /// What was made for the policies of another revision.
    #[serde(default)]
    stale: Vec<Stale>,
    expect: Expect,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Stale {
    Application,
    Groups,
    LoginMethod,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expect {
    verdict: String,
    reason: String,
    policy: Option<String>,
    rule: Option<String>,
}

#[test]
fn every_case_of_every_file_is_decided_as_written() {
    let mut failures = Vec::new();
    let mut reasons = HashSet::new();
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!file.case.is_empty(), "{} holds no case", path.display());
        let set = compile(&file, &path, false);
        let other = compile(&file, &path, true);
        let mut names = HashSet::new();
        for case in &file.case {
            assert!(names.insert(&case.name), "{}: two cases named `{}`", path.display(), case.name);
            let found = found(&set, decide(&set, &other, case));
            if found != case.expect {
                failures.push(format!(
                    "{}: {}\n  {found:?}, not\n  {:?}",
                    path.display(),
                    case.name,
                    case.expect
                ));
            }
            reasons.insert(found.reason);
        }
    }
    assert!(failures.is_empty(), "{} cases failed\n{}", failures.len(), failures.join("\n"));
    for reason in Reason::ALL {
        assert!(reasons.contains(reason.as_str()), "no case ends with {reason}");
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.iter().all(|path| path.extension().is_some_and(|it| it == "toml")), "{files:?}");
    files
}

/// The set of the file, or the same with one more identity provider: another revision, and other ids.
fn compile(file: &File, path: &Path, other_revision: bool) -> PolicySet {
    let policies: Vec<Policy> = file.policy.iter().map(policy).collect();
    let applications: Vec<_> = file
        .application
        .iter()
        .map(|it| ApplicationPolicies {
            application: it.name.clone(),
            policies: it.policies.clone(),
            login_methods: it.login_methods.clone(),
        })
        .collect();
    let mut known = Known { identity_providers: file.identity_providers.clone() };
    if other_revision {
        known.identity_providers.push("added".into());
    }
    PolicySet::compile(&policies, &applications, &known)
        .unwrap_or_else(|faults| panic!("{}: {faults:?}", path.display()))
}

fn policy(source: &FilePolicy) -> Policy {
    let selectors = |list: &[FileSelector]| list.iter().map(selector).collect();
    Policy {
        name: source.name.clone(),
        action: match source.action {
            FileAction::Allow => Action::Allow,
            FileAction::Block => Action::Block,
            FileAction::ServiceAuth => Action::ServiceAuth,
        },
        include: selectors(&source.include),
        require: selectors(&source.require),
        exclude: selectors(&source.exclude),
        session_duration: None,
    }
}

fn selector(source: &FileSelector) -> Selector {
    match source {
        FileSelector::Everyone => Selector::Everyone,
        FileSelector::Email(list) => Selector::Email(list.each(|text| text.parse().unwrap())),
        FileSelector::EmailDomain(list) => Selector::EmailDomain(list.each(|text| text.parse().unwrap())),
        FileSelector::Group(list) => Selector::Group(list.each(str::to_owned)),
        FileSelector::Ip(list) => Selector::Ip(list.each(network)),
        FileSelector::LoginMethod(list) => Selector::LoginMethod(list.each(str::to_owned)),
        FileSelector::ServiceToken(list) => Selector::ServiceToken(list.each(str::to_owned)),
        FileSelector::AnyServiceToken => Selector::AnyServiceToken,
        FileSelector::Acr(list) => Selector::Acr(list.each(str::to_owned)),
        FileSelector::Amr(list) => Selector::Amr(list.each(str::to_owned)),
        FileSelector::LoginAge(seconds) => Selector::LoginAge(Duration::from_secs(*seconds)),
    }
}

fn network(text: &str) -> IpNet {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).unwrap()
}

impl OneOrMany {
    fn each<T>(&self, parse: impl Fn(&str) -> T) -> Vec<T> {
        match self {
            Self::One(text) => vec![parse(text)],
            Self::Many(list) => list.iter().map(|text| parse(text)).collect(),
        }
    }
}

/// An address that does not parse is no verified address, as at a login.
fn decide(set: &PolicySet, other: &PolicySet, case: &Case) -> Decision {
    let of = |stale: Stale| if case.stale.contains(&stale) { other } else { set };
    let person = Person {
        email: case.email.as_ref().and_then(|text| text.parse().ok()),
        groups: of(Stale::Groups).intern_groups_with_doubts(
            case.groups.iter().map(String::as_str),
            case.unproved_groups.iter().map(String::as_str),
        ),
        login_method: case.login_method.as_ref().and_then(|name| of(Stale::LoginMethod).login_method(name)),
        login: LoginFacts {
            authenticated_at: case.login_age.map(|age| NOW - age),
            acr: case.acr.as_deref().map(Box::from),
            amr: case.amr.as_ref().map(|list| list.iter().map(|method| method.as_str().into()).collect()),
        },
    };
    let principal = match &case.service {
        Some(token) => Principal::Service(Service { token: token.as_str().into() }),
        None => Principal::Person(person),
    };
    let application = of(Stale::Application).application(&case.application);
    let application = application.unwrap_or_else(|| panic!("{}: no such application", case.name));
    set.decide(application, &Question { principal: &principal, client_ip: case.ip, now: NOW })
}

fn found(set: &PolicySet, decision: Decision) -> Expect {
    Expect {
        verdict: decision.verdict.to_string(),
        reason: decision.reason.to_string(),
        policy: decision.policy.map(|id| set.policy_name(id).unwrap().to_owned()),
        rule: decision.rule.map(|rule| rule.to_string()),
    }
}
