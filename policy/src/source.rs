//! Policies as their author means them: typed, not yet checked against each other.
//!
//! Reading a file, and saying where in it something stands, is left to the configuration.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use crate::country::CountryCode;
use crate::email::{EmailAddress, EmailDomain};
use crate::path::PathPattern;
use crate::predicate::Predicate;
use crate::time_window::TimeWindow;

/// Everything that is compiled together.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// All policies.
    pub policies: &'a [Policy],
    /// The rule groups that they name.
    pub rule_groups: &'a [RuleGroup],
    /// The applications with their policies.
    pub applications: &'a [ApplicationPolicies],
    /// The names outside of these.
    pub known: &'a Known,
}

/// One named policy: it matches when any `include`, all `require` and no `exclude` hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The name by which applications refer to it and by which decisions are logged.
    pub name: String,
    /// What a match means.
    pub action: Action,
    /// At least one of these must hold; an empty list is a fault.
    pub include: Vec<Selector>,
    /// Every one of these must hold.
    pub require: Vec<Selector>,
    /// None of these may hold.
    pub exclude: Vec<Selector>,
    /// How long an application session may last for whom it allows.
    pub session_duration: Option<Duration>,
    /// Decides nothing: it is only told what it would have decided.
    pub report_only: bool,
    /// Allows only who has said for what they need the application.
    pub purpose_required: bool,
    /// Allows only to whom somebody has granted it for a time.
    pub approval: Option<Approval>,
}

/// Who grants what a policy would allow, and for how long at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Approval {
    /// One of these must hold for whoever grants it.
    pub approvers: Vec<Selector>,
    /// The longest time of one grant.
    pub longest: Duration,
}

/// Rules under a name, which policies and other rule groups use as one: it holds when any `include`, all `require` and no `exclude`
/// hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleGroup {
    /// The name.
    pub name: String,
    /// At least one of these must hold; an empty list is a fault.
    pub include: Vec<Selector>,
    /// Every one of these must hold.
    pub require: Vec<Selector>,
    /// None of these may hold.
    pub exclude: Vec<Selector>,
}

/// Somebody as one identity provider knows them: `sub` means nothing without the provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The provider's configured name.
    pub identity_provider: String,
    /// The `sub` of its ID tokens, compared exactly.
    pub subject: String,
}

/// What the match of a policy means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// The person may use the application.
    Allow,
    /// The person may not.
    Block,
    /// The service may use the application. It speaks of services alone, and allow and block of people alone.
    ServiceAuth,
    /// Whoever asks may use the application as nobody: nothing is asked about who they are, and the application is told nothing.
    Bypass,
}

/// One entry of `include`, `require` or `exclude`; the values of its list are alternatives.
///
/// Texts are compared byte for byte unless it says otherwise: no case, no Unicode form is folded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// Every person; in a bypass, whoever asks.
    Everyone,
    /// The verified e-mail address is one of these.
    Email(Vec<EmailAddress>),
    /// The verified e-mail address is in one of these domains, subdomains not meant.
    EmailDomain(Vec<EmailDomain>),
    /// One of these people, as a provider knows them.
    Subject(Vec<Subject>),
    /// A member of one of these groups. Names are compared exactly, byte for byte.
    Group(Vec<String>),
    /// A member of one of these groups of the directory, by our id or by the one that the provisioning client gave it, so that a rename
    /// changes nothing. Ids are compared exactly. Unknown for a person without a record.
    GroupId(Vec<String>),
    /// What the person's record in the directory and the claims of the ID token say.
    Attribute(Predicate),
    /// The client's address is in one of these networks.
    Ip(Vec<IpNet>),
    /// The client's address is in one of these countries; unknown where the country is.
    Country(Vec<CountryCode>),
    /// The request's method is one of these, compared exactly (RFC 9110 section 9.1).
    Method(Vec<String>),
    /// The request's path is covered by one of these. What only a forgiving server would read as covered is unknown.
    Path(Vec<PathPattern>),
    /// The client showed a certificate in its handshake that the host accepts.
    ValidCertificate,
    /// It showed one with one of these common names, compared exactly.
    CommonName(Vec<String>),
    /// It is one of these hours.
    TimeWindow(TimeWindow),
    /// The login was made by one of these identity providers.
    LoginMethod(Vec<String>),
    /// The login was made in one of these contexts (`acr`), the preferred one first.
    Acr(Vec<String>),
    /// The login was made by one of these methods (`amr`, values of RFC 8176).
    Amr(Vec<String>),
    /// The login was made no longer ago than this.
    LoginAge(Duration),
    /// A service that proves itself by a token of one of these names. Names are compared exactly, byte for byte.
    ServiceToken(Vec<String>),
    /// A service that proves itself by whatever token.
    AnyServiceToken,
    /// The external evaluation of this name says yes. Unknown until it was asked.
    External(String),
    /// The rule group of this name holds.
    RuleGroup(String),
}

/// The three lists of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Any must hold.
    Include,
    /// All must hold.
    Require,
    /// None may hold.
    Exclude,
}

/// The policies of one application, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApplicationPolicies {
    /// The application's name.
    pub application: String,
    /// Names of policies; without one, everybody is denied.
    pub policies: Vec<String>,
    /// Identity providers whose logins count here; an empty list means all.
    pub login_methods: Vec<String>,
}

/// The names outside the policies that a policy may speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known {
    /// The configured identity providers, each a login method.
    pub identity_providers: Vec<String>,
    /// The configured external evaluations.
    pub external_evaluations: Vec<String>,
}

impl Policy {
    /// A policy with one list, to be completed.
    #[must_use]
    pub fn new(name: &str, action: Action, include: Vec<Selector>) -> Self {
        Self {
            name: name.to_owned(),
            action,
            include,
            require: Vec::new(),
            exclude: Vec::new(),
            session_duration: None,
            report_only: false,
            purpose_required: false,
            approval: None,
        }
    }

    /// The three lists, each with what it means.
    #[must_use]
    pub fn sections(&self) -> [(Section, &[Selector]); 3] {
        [
            (Section::Include, &self.include),
            (Section::Require, &self.require),
            (Section::Exclude, &self.exclude),
        ]
    }
}

impl RuleGroup {
    /// The three lists, each with what it means.
    #[must_use]
    pub fn sections(&self) -> [(Section, &[Selector]); 3] {
        [
            (Section::Include, &self.include),
            (Section::Require, &self.require),
            (Section::Exclude, &self.exclude),
        ]
    }
}

impl Action {
    /// The word in configuration and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::ServiceAuth => "service_auth",
            Self::Bypass => "bypass",
        }
    }
}

impl Section {
    /// The word in configuration and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Require => "require",
            Self::Exclude => "exclude",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
