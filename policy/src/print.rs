//! A rule as the configuration writes it, so that a message can quote it.

use std::fmt::{self, Display, Formatter};

use crate::source::Selector;

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::Email(list) => listed(f, "email", list),
            Self::EmailDomain(list) => listed(f, "email_domain", list),
            Self::Subject(list) => {
                listed(f, "subject", list.iter().map(|it| format!("{}/{}", it.identity_provider, it.subject)))
            }
            Self::Group(list) => listed(f, "group", list),
            Self::GroupId(list) => listed(f, "group_id", list),
            Self::Attribute(predicate) => write!(f, "attribute = '{predicate}'"),
            Self::Ip(list) => listed(f, "ip", list),
            Self::Country(list) => listed(f, "country", list),
            Self::Method(list) => listed(f, "method", list),
            Self::Path(list) => listed(f, "path", list),
            Self::ValidCertificate => f.write_str("valid_certificate"),
            Self::CommonName(list) => listed(f, "common_name", list),
            Self::TimeWindow(window) => write!(f, "time = {window}"),
            Self::LoginMethod(list) => listed(f, "login_method", list),
            Self::Acr(list) => listed(f, "acr", list),
            Self::Amr(list) => listed(f, "amr", list),
            Self::LoginAge(age) => write!(f, "login_age = \"{}s\"", age.as_secs()),
            Self::ServiceToken(list) => listed(f, "service_token", list),
            Self::AnyServiceToken => f.write_str("any_service_token"),
            Self::External(name) => write!(f, "external = \"{name}\""),
            Self::RuleGroup(name) => write!(f, "rule_group = \"{name}\""),
        }
    }
}

/// One value alone, several in brackets.
fn listed<T: Display>(f: &mut Formatter<'_>, key: &str, list: impl IntoIterator<Item = T>) -> fmt::Result {
    let texts: Vec<String> = list.into_iter().map(|item| format!("\"{item}\"")).collect();
    match &*texts {
        [only] => write!(f, "{key} = {only}"),
        several => write!(f, "{key} = [{}]", several.join(", ")),
    }
}
