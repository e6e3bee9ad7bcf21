//! The form of the files in `decisions/`, and how a case becomes a question. A module of the tests that read them.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_policy::{
    Action, Answer, ApplicationId, ApplicationPolicies, Approval, Attributes, Certificate, Circumstances,
    Grant, IpNet, Known, LoginFacts, Person, Policy, PolicySet, Principal, Question, RequestPath, RuleGroup,
    Selector, Service, Sources, Subject, TimeOfDay, TimeWindow, Weekday, Zone, loosened,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// When every case is decided that names no time: a Tuesday, 22:13:20 UTC.
const NOW: i64 = 1_700_000_000;
/// Monday of that week, at its first second.
const MONDAY: i64 = 1_699_833_600;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    identity_providers: Vec<String>,
    #[serde(default)]
    external_evaluations: Vec<String>,
    #[serde(default)]
    policy: Vec<FilePolicy>,
    #[serde(default)]
    rule_group: Vec<FileRuleGroup>,
    application: Vec<FileApplication>,
    #[serde(default)]
    pub(super) case: Vec<Case>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePolicy {
    name: String,
    action: FileAction,
    include: Vec<FileSelector>,
    #[serde(default)]
    require: Vec<FileSelector>,
    #[serde(default)]
    exclude: Vec<FileSelector>,
    #[serde(default)]
    report_only: bool,
    #[serde(default)]
    purpose_required: bool,
    /// Who may grant it.
    #[serde(default)]
    approvers: Vec<FileSelector>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRuleGroup {
    name: String,
    include: Vec<FileSelector>,
    #[serde(default)]
    require: Vec<FileSelector>,
    #[serde(default)]
    exclude: Vec<FileSelector>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileAction {
    Allow,
    Block,
    ServiceAuth,
    Bypass,
}

/// `"everyone"`, `"any_service_token"` or `"valid_certificate"`, or a table with one key and one value or a list of alternatives.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileSelector {
    Everyone,
    Email(OneOrMany),
    EmailDomain(OneOrMany),
    /// `provider/sub`.
    Subject(OneOrMany),
    Group(OneOrMany),
    GroupId(OneOrMany),
    Attribute(String),
    Ip(OneOrMany),
    Country(OneOrMany),
    Method(OneOrMany),
    Path(OneOrMany),
    ValidCertificate,
    CommonName(OneOrMany),
    Time(FileTime),
    LoginMethod(OneOrMany),
    ServiceToken(OneOrMany),
    AnyServiceToken,
    Acr(OneOrMany),
    Amr(OneOrMany),
    /// In seconds.
    LoginAge(u64),
    External(String),
    RuleGroup(String),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTime {
    days: Option<Vec<String>>,
    from: String,
    to: String,
    zone: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileApplication {
    name: String,
    policies: Vec<String>,
    #[serde(default)]
    login_methods: Vec<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// Left out where somebody is asked about at every application.
    #[serde(default)]
    application: String,
    /// A service asks, by the token of this name; what is said of a person then is left out.
    service: Option<String>,
    /// Nobody asks.
    #[serde(default)]
    nobody: bool,
    email: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    /// Groups in which the person is by a word that does not count.
    #[serde(default)]
    unproved_groups: Vec<String>,
    /// Groups of the record in the directory, by id; there is no record without.
    group_ids: Option<Vec<String>>,
    /// The record in the directory.
    user: Option<Map<String, Value>>,
    #[serde(default)]
    claims: Map<String, Value>,
    login_method: Option<String>,
    acr: Option<String>,
    amr: Option<Vec<String>>,
    /// How many seconds ago the login was made; negative when it lies ahead.
    login_age: Option<i64>,
    /// `"192.0.2.1"` where it does not matter.
    ip: Option<IpAddr>,
    country: Option<String>,
    method: Option<String>,
    path: Option<String>,
    certificate: Option<FileCertificate>,
    /// `"mon 08:00"`, of one week, in UTC; with seconds where they matter.
    at: Option<String>,
    /// The applications for which a purpose was given, for how many seconds more.
    #[serde(default)]
    purposes: Vec<Given>,
    #[serde(default)]
    grants: Vec<Given>,
    /// What external evaluations said: `yes`, `no` or `nothing`.
    #[serde(default)]
    answers: Vec<FileAnswer>,
    /// What was made for the policies of another revision.
    #[serde(default)]
    stale: Vec<Stale>,
    #[serde(default)]
    pub(super) expect: Expect,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileCertificate {
    Absent,
    /// One without a common name.
    Nameless,
    CommonName(String),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    application: String,
    /// Of a grant.
    policy: Option<String>,
    seconds: i64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAnswer {
    evaluation: String,
    says: String,
    seconds: Option<i64>,
}

#[derive(Clone, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Stale {
    Application,
    Groups,
    Attributes,
    LoginMethod,
    Purposes,
    Grants,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) verdict: String,
    pub(super) reason: String,
    pub(super) policy: Option<String>,
    pub(super) rule: Option<String>,
    /// For how many seconds more; not compared where a case says nothing.
    pub(super) lasts: Option<i64>,
    pub(super) unanswered: Option<String>,
    /// What report-only policies would have decided; not compared where a case says nothing.
    pub(super) reports: Option<Vec<Reported>>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Reported {
    pub(super) policy: String,
    pub(super) verdict: String,
    pub(super) reason: String,
    pub(super) differs: bool,
}

impl Expect {
    pub(super) fn is_met_by(&self, found: &Expect) -> bool {
        let decided = |it: &Expect| {
            (it.verdict.clone(), it.reason.clone(), it.policy.clone(), it.rule.clone(), it.unanswered.clone())
        };
        decided(self) == decided(found)
            && self.lasts.is_none_or(|lasts| found.lasts == Some(lasts))
            && self.reports.as_ref().is_none_or(|reports| found.reports.as_ref() == Some(reports))
    }
}

/// Every file with its name, sorted.
pub(super) fn files() -> Vec<(String, File)> {
    let folder = folder().join("decisions");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.iter().all(|path| path.extension().is_some_and(|it| it == "toml")), "{paths:?}");
    paths.iter().map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), read(path))).collect()
}

/// Where the files of these tests are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

pub(super) fn read(path: &Path) -> File {
    let file = toml::from_str(&fs::read_to_string(path).unwrap());
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl File {
    pub(super) fn policies(&self) -> Vec<Policy> {
        self.policy.iter().map(FilePolicy::source).collect()
    }

    pub(super) fn rule_groups(&self) -> Vec<RuleGroup> {
        self.rule_group.iter().map(FileRuleGroup::source).collect()
    }

    pub(super) fn applications(&self) -> Vec<ApplicationPolicies> {
        let source = |it: &FileApplication| ApplicationPolicies {
            application: it.name.clone(),
            policies: it.policies.clone(),
            login_methods: it.login_methods.clone(),
        };
        self.application.iter().map(source).collect()
    }

    pub(super) fn known(&self) -> Known {
        let identity_providers = self.identity_providers.clone();
        Known { identity_providers, external_evaluations: self.external_evaluations.clone() }
    }

    /// The set of the file, or the same with one more identity provider: another revision, and other ids.
    pub(super) fn compile(&self, other_revision: bool) -> PolicySet {
        let mut known = self.known();
        if other_revision {
            known.identity_providers.push("added".into());
        }
        self.compile_with(&self.policies(), &known)
    }

    pub(super) fn compile_with(&self, policies: &[Policy], known: &Known) -> PolicySet {
        let (rule_groups, applications) = (self.rule_groups(), self.applications());
        let sources = Sources { policies, rule_groups: &rule_groups, applications: &applications, known };
        PolicySet::compile(&sources).unwrap_or_else(|faults| panic!("{faults:?}"))
    }
}

impl FilePolicy {
    fn source(&self) -> Policy {
        let action = match self.action {
            FileAction::Allow => Action::Allow,
            FileAction::Block => Action::Block,
            FileAction::ServiceAuth => Action::ServiceAuth,
            FileAction::Bypass => Action::Bypass,
        };
        let approval =
            Approval { approvers: selectors(&self.approvers), longest: Duration::from_secs(3_600) };
        Policy {
            require: selectors(&self.require),
            exclude: selectors(&self.exclude),
            report_only: self.report_only,
            purpose_required: self.purpose_required,
            approval: (!self.approvers.is_empty()).then_some(approval),
            ..Policy::new(&self.name, action, selectors(&self.include))
        }
    }
}

impl FileRuleGroup {
    fn source(&self) -> RuleGroup {
        RuleGroup {
            name: self.name.clone(),
            include: selectors(&self.include),
            require: selectors(&self.require),
            exclude: selectors(&self.exclude),
        }
    }
}

fn selectors(list: &[FileSelector]) -> Vec<Selector> {
    list.iter().map(FileSelector::source).collect()
}

impl FileSelector {
    fn source(&self) -> Selector {
        match self {
            Self::Everyone => Selector::Everyone,
            Self::Email(list) => Selector::Email(list.each(|text| text.parse().unwrap())),
            Self::EmailDomain(list) => Selector::EmailDomain(list.each(|text| text.parse().unwrap())),
            Self::Subject(list) => Selector::Subject(list.each(|text| {
                let (provider, subject) = text.split_once('/').unwrap();
                Subject { identity_provider: provider.to_owned(), subject: subject.to_owned() }
            })),
            Self::Group(list) => Selector::Group(list.each(str::to_owned)),
            Self::GroupId(list) => Selector::GroupId(list.each(str::to_owned)),
            Self::Attribute(text) => Selector::Attribute(text.parse().unwrap()),
            Self::Ip(list) => Selector::Ip(list.each(network)),
            Self::Country(list) => Selector::Country(list.each(|text| text.parse().unwrap())),
            Self::Method(list) => Selector::Method(list.each(str::to_owned)),
            Self::Path(list) => Selector::Path(list.each(|text| text.parse().unwrap())),
            Self::ValidCertificate => Selector::ValidCertificate,
            Self::CommonName(list) => Selector::CommonName(list.each(str::to_owned)),
            Self::Time(time) => Selector::TimeWindow(time.source()),
            Self::LoginMethod(list) => Selector::LoginMethod(list.each(str::to_owned)),
            Self::ServiceToken(list) => Selector::ServiceToken(list.each(str::to_owned)),
            Self::AnyServiceToken => Selector::AnyServiceToken,
            Self::Acr(list) => Selector::Acr(list.each(str::to_owned)),
            Self::Amr(list) => Selector::Amr(list.each(str::to_owned)),
            Self::LoginAge(seconds) => Selector::LoginAge(Duration::from_secs(*seconds)),
            Self::External(name) => Selector::External(name.clone()),
            Self::RuleGroup(name) => Selector::RuleGroup(name.clone()),
        }
    }
}

impl FileTime {
    fn source(&self) -> TimeWindow {
        let all: Vec<Weekday> = match &self.days {
            Some(days) => days.iter().map(|day| day.parse().unwrap()).collect(),
            None => Weekday::ALL.into(),
        };
        let time = |text: &str| text.parse::<TimeOfDay>().unwrap();
        let zone = self.zone.as_ref().map_or_else(Zone::default, |zone| zone.parse().unwrap());
        TimeWindow::new(&all, time(&self.from), time(&self.to), zone).unwrap()
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

impl Case {
    /// The same asker with the same request, at another application.
    pub(super) fn at_application(&self, application: &str) -> Case {
        Case { application: application.to_owned(), ..self.clone() }
    }

    /// Puts the case as a question to a set; `other` is the one of which the stale facts are.
    pub(super) fn ask<T>(
        &self,
        set: &PolicySet,
        other: &PolicySet,
        file: &File,
        answer: impl FnOnce(ApplicationId, &Question<'_>) -> T,
    ) -> T {
        let now = self.at.as_deref().map_or(NOW, moment);
        let of = |stale: Stale| if self.stale.contains(&stale) { other } else { set };
        let principal = match &self.service {
            _ if self.nobody => Principal::Nobody,
            Some(token) => Principal::Service(Service { token: token.as_str().into() }),
            None => Principal::Person(self.person(&of, now)),
        };
        let application = of(Stale::Application).application(&self.application);
        let application = application.unwrap_or_else(|| panic!("{}: no such application", self.name));
        let loosest = self.path.as_deref().map(loosened).unwrap_or_default();
        let path = self.path.as_deref().map(|normal| RequestPath { normal, loosest: &loosest });
        let circumstances = Circumstances {
            client_ip: self.ip.unwrap_or_else(|| [192, 0, 2, 1].into()),
            now,
            country: self.country.as_ref().map(|code| code.parse().unwrap()),
            method: self.method.as_deref(),
            path,
            certificate: match &self.certificate {
                None => Certificate::Unknown,
                Some(FileCertificate::Absent) => Certificate::Absent,
                Some(FileCertificate::Nameless) => Certificate::Valid { common_name: None },
                Some(FileCertificate::CommonName(name)) => Certificate::Valid { common_name: Some(name) },
            },
        };
        assert!(self.answers.iter().all(|it| file.external_evaluations.contains(&it.evaluation)));
        let answers: Vec<Answer> = self.answers.iter().map(|it| it.answer(set, now)).collect();
        let question = Question { principal: &principal, circumstances: &circumstances, answers: &answers };
        answer(application, &question)
    }

    /// An address that does not parse is no verified address, as at a login.
    fn person<'s>(&self, of: &impl Fn(Stale) -> &'s PolicySet, now: i64) -> Person {
        let groups = of(Stale::Groups).intern_groups_with_doubts(
            self.groups.iter().map(String::as_str),
            self.unproved_groups.iter().map(String::as_str),
        );
        let groups = match &self.group_ids {
            Some(ids) => of(Stale::Groups).intern_group_ids(groups, ids.iter().map(String::as_str)),
            None => groups,
        };
        let attributes = Attributes {
            user: self.user.as_ref(),
            claims: &self.claims,
            case_exact: |path| path.name == "externalId",
        };
        let purposes = self.purposes.iter().map(|it| (it.application.as_str(), now + it.seconds));
        let grants = self.grants.iter().map(|it| Grant {
            application: &it.application,
            policy: it.policy.as_deref().unwrap(),
            until: now + it.seconds,
        });
        Person {
            email: self.email.as_ref().and_then(|text| text.parse().ok()),
            subject: self.subject.as_deref().map(Box::from),
            groups,
            attributes: of(Stale::Attributes).intern_attributes(&attributes),
            login_method: self
                .login_method
                .as_ref()
                .and_then(|name| of(Stale::LoginMethod).login_method(name)),
            login: LoginFacts {
                authenticated_at: self.login_age.map(|age| now - age),
                acr: self.acr.as_deref().map(Box::from),
                amr: self.amr.as_ref().map(|list| list.iter().map(|method| method.as_str().into()).collect()),
            },
            purposes: of(Stale::Purposes).intern_purposes(purposes),
            grants: of(Stale::Grants).intern_grants(grants),
        }
    }
}

impl FileAnswer {
    fn answer(&self, set: &PolicySet, now: i64) -> Answer {
        let holds = match self.says.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            "nothing" => None,
            other => panic!("`{other}` is no answer"),
        };
        let evaluation = set.evaluation(&self.evaluation).unwrap();
        Answer { evaluation, holds, until: now + self.seconds.unwrap_or(60) }
    }
}

/// `"mon 08:00"` or `"mon 08:00:30"` in unix seconds.
fn moment(text: &str) -> i64 {
    let (day, clock) = text.split_once(' ').unwrap();
    let day = Weekday::ALL.iter().position(|it| it.as_str() == day).unwrap();
    let seconds =
        clock.split(':').zip([3_600, 60, 1]).map(|(part, worth)| part.parse::<i64>().unwrap() * worth);
    MONDAY + i64::try_from(day).unwrap() * 86_400 + seconds.sum::<i64>()
}
