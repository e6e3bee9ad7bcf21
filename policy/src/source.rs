//! Policies as their author means them: typed, not yet checked against each other.
//!
//! Reading a file, and saying where in it something stands, is left to the configuration.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use crate::email::{EmailAddress, EmailDomain};

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
}

/// What the match of a policy means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// The person may use the application.
    Allow,
    /// The person may not.
    Block,
    /// The service may use the application. It speaks of services alone, and the two others of people alone.
    ServiceAuth,
}

/// One entry of `include`, `require` or `exclude`; the values of its list are alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// Every principal.
    Everyone,
    /// The verified e-mail address is one of these.
    Email(Vec<EmailAddress>),
    /// The verified e-mail address is in one of these domains, subdomains not meant.
    EmailDomain(Vec<EmailDomain>),
    /// A member of one of these groups. Names are compared exactly, byte for byte.
    Group(Vec<String>),
    /// The client's address is in one of these networks.
    Ip(Vec<IpNet>),
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
}

/// Whom a selector or an action can speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// People alone.
    People,
    /// Services alone.
    Services,
    /// Whoever asks.
    Both,
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
}

impl Policy {
    /// The three lists, each with what it means.
    pub(crate) fn sections(&self) -> [(Section, &[Selector]); 3] {
        [
            (Section::Include, &self.include),
            (Section::Require, &self.require),
            (Section::Exclude, &self.exclude),
        ]
    }
}

impl Action {
    /// Whom it lets in or keeps out.
    pub(crate) fn concerns(self) -> Concerns {
        match self {
            Self::Allow | Self::Block => Concerns::People,
            Self::ServiceAuth => Concerns::Services,
        }
    }

    /// The word in configuration and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::ServiceAuth => "service_auth",
        }
    }
}

impl Selector {
    /// Of whom it can hold. Services are nobody: also `everyone` means people.
    pub(crate) fn concerns(&self) -> Concerns {
        match self {
            Self::Everyone
            | Self::Email(_)
            | Self::EmailDomain(_)
            | Self::Group(_)
            | Self::LoginMethod(_)
            | Self::Acr(_)
            | Self::Amr(_)
            | Self::LoginAge(_) => Concerns::People,
            Self::ServiceToken(_) | Self::AnyServiceToken => Concerns::Services,
            Self::Ip(_) => Concerns::Both,
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
