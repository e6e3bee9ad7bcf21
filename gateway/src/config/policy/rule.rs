//! One rule of a policy or a rule group: a table with one key, and what stands behind it. Whether a rule may stand where it does is left
//! to the policy crate.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use ipnet::IpNet;
use portcullis_policy::{
    CountryCode, EmailAddress, EmailDomain, PathPattern, Predicate, Selector, Subject, TimeOfDay, TimeWindow,
    Weekday, Zone,
};

use super::super::document::{Section, Value};
use super::Beside;

/// What rules may speak of beside what they say themselves.
pub(super) struct Names<'a> {
    /// The provider of a user who is named without one.
    only_provider: Option<&'a str>,
    countries: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(beside: Beside<'a>) -> Self {
        let only_provider = match beside.providers {
            [only] => Some(only.name.as_str()),
            _ => None,
        };
        Self { only_provider, countries: beside.countries }
    }
}

/// The rules of a list, and where each stands. None when any rule is wrong: half a list would be another policy.
pub(super) fn read_rules(
    value: &Value<'_, '_>,
    names: &Names<'_>,
    spans: &mut Vec<Range<usize>>,
) -> Option<Vec<Selector>> {
    let rules = value.list();
    spans.extend(rules.iter().map(Value::span));
    // Each is read, also after one that is wrong.
    let read: Vec<Option<Selector>> = rules.iter().map(|rule| read_rule(rule, names)).collect();
    read.into_iter().collect()
}

type Read = fn(&Value<'_, '_>, &Names<'_>) -> Option<Selector>;

/// Every key that a rule may have.
const RULES: [(&str, Read); 23] = [
    ("everyone", |value, _| only_true(value, Selector::Everyone)),
    ("email", |value, _| parse_each::<EmailAddress>(value).map(Selector::Email)),
    ("email_domain", |value, _| parse_each::<EmailDomain>(value).map(Selector::EmailDomain)),
    ("user", |value, names| users(value, names).map(Selector::Subject)),
    ("group", |value, _| texts(value).map(Selector::Group)),
    ("group_id", |value, _| texts(value).map(Selector::GroupId)),
    ("attribute", |value, _| attribute(value).map(Selector::Attribute)),
    ("login_method", |value, _| texts(value).map(Selector::LoginMethod)),
    ("acr", |value, _| texts(value).map(Selector::Acr)),
    ("amr", |value, _| texts(value).map(Selector::Amr)),
    ("login_age", |value, _| value.duration().map(Selector::LoginAge)),
    ("ip", |value, _| networks(value).map(Selector::Ip)),
    ("country", |value, names| countries(value, names).map(Selector::Country)),
    ("method", |value, _| texts(value).map(Selector::Method)),
    ("path", |value, _| parse_each::<PathPattern>(value).map(Selector::Path)),
    ("valid_certificate", |value, _| only_true(value, Selector::ValidCertificate)),
    ("common_name", |value, _| texts(value).map(Selector::CommonName)),
    ("time", |value, _| time_window(value).map(Selector::TimeWindow)),
    ("service_token", |value, _| texts(value).map(Selector::ServiceToken)),
    ("any_service_token", |value, _| only_true(value, Selector::AnyServiceToken)),
    ("external", |value, _| value.string().map(str::to_owned).map(Selector::External)),
    ("rule_group", |value, _| value.string().map(str::to_owned).map(Selector::RuleGroup)),
    ("claim", |value, _| {
        value.fault("write `attribute`, with `claims.` in front: { attribute = 'claims.role eq \"Admin\"' }");
        None
    }),
];

fn read_rule(value: &Value<'_, '_>, names: &Names<'_>) -> Option<Selector> {
    let mut section =
        value.section_or("a rule is a table with one key, such as { group = \"Engineering\" }")?;
    let mut given: Vec<Option<Selector>> = Vec::new();
    for (key, read) in RULES {
        given.extend(section.optional(key).map(|value| read(&value, names)));
    }
    section.finish();
    if given.len() != 1 {
        let keys: Vec<&str> = RULES.iter().map(|(key, _)| *key).filter(|key| *key != "claim").collect();
        value.fault(format!("a rule has exactly one of: {}", keys.join(", ")));
        return None;
    }
    given.pop().flatten()
}

/// A rule without values: written as true, or left out.
fn only_true(value: &Value<'_, '_>, selector: Selector) -> Option<Selector> {
    if !value.boolean()? {
        value.fault("write `true`, or leave the rule out");
        return None;
    }
    Some(selector)
}

fn texts(value: &Value<'_, '_>) -> Option<Vec<String>> {
    value.one_or_list().iter().map(|item| item.string().map(str::to_owned)).collect()
}

fn parse_each<T>(value: &Value<'_, '_>) -> Option<Vec<T>>
where
    T: FromStr,
    T::Err: Display,
{
    value.one_or_list().iter().map(Value::parsed).collect()
}

/// Networks in CIDR form; a bare address is a network of one.
pub(in super::super) fn networks(value: &Value<'_, '_>) -> Option<Vec<IpNet>> {
    let network = |item: &Value<'_, '_>| {
        let text = item.string()?;
        let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        if parsed.is_err() {
            item.fault(format!("`{text}` is no address or network, such as \"10.0.0.0/8\""));
        }
        parsed.ok()
    };
    value.one_or_list().iter().map(network).collect()
}

/// Users as a provider knows them. With a single provider its name may be left out.
fn users(value: &Value<'_, '_>, names: &Names<'_>) -> Option<Vec<Subject>> {
    let read: Vec<Option<Vec<Subject>>> =
        value.one_or_list().iter().map(|item| users_of_one(item, names)).collect();
    Some(read.into_iter().collect::<Option<Vec<_>>>()?.concat())
}

fn users_of_one(value: &Value<'_, '_>, names: &Names<'_>) -> Option<Vec<Subject>> {
    let Some(mut section) = value.table() else {
        let subject = value.string()?.to_owned();
        let Some(provider) = names.only_provider else {
            value.fault("says nothing without its provider: { provider = \"okta\", sub = \"00u1...\" }");
            return None;
        };
        return Some(vec![Subject { identity_provider: provider.to_owned(), subject }]);
    };
    let provider = section.required("provider", "the identity provider that knows them by this");
    let provider = provider.and_then(|value| value.string().map(str::to_owned));
    let subjects =
        section.required("sub", "what the provider's ID tokens call them").and_then(|it| texts(&it));
    section.finish();
    let (identity_provider, subjects) = (provider?, subjects?);
    let of = |subject| Subject { identity_provider: identity_provider.clone(), subject };
    Some(subjects.into_iter().map(of).collect())
}

/// A predicate; of several any.
fn attribute(value: &Value<'_, '_>) -> Option<Predicate> {
    let read: Vec<Option<Predicate>> = value.one_or_list().iter().map(Value::parsed_as_told).collect();
    let mut predicates: Vec<Predicate> = read.into_iter().collect::<Option<_>>()?;
    match predicates.as_slice() {
        [] => {
            value.fault("the list is empty, so the entry never holds");
            None
        }
        [_] => predicates.pop(),
        several => {
            let several: Vec<String> = several.iter().map(|one| format!("({one})")).collect();
            let joined = several.join(" or ").parse::<Predicate>();
            joined.map_err(|error| value.fault(format!("together: {error}"))).ok()
        }
    }
}

fn countries(value: &Value<'_, '_>, names: &Names<'_>) -> Option<Vec<CountryCode>> {
    if !names.countries {
        value.fault("nothing tells in which country an address is: name a file in `[country]`");
    }
    value.one_or_list().iter().map(Value::parsed_as_told).collect()
}

/// `{ days = [...], from = "08:00", to = "18:00", zone = "+01:00" }`; every day, the whole day and UTC where that is left out.
fn time_window(value: &Value<'_, '_>) -> Option<TimeWindow> {
    let mut section = value.section_or(
        "must be one table such as { days = [\"mon\", \"fri\"], from = \"08:00\", to = \"18:00\" }",
    )?;
    let days = section.optional("days").map_or_else(|| Some(Weekday::ALL.to_vec()), |value| days(&value));
    let from = time(&mut section, "from", "00:00");
    let to = time(&mut section, "to", "24:00");
    let zone = section.optional("zone").map_or_else(|| Some(Zone::default()), |it| it.parsed_as_told());
    section.finish();
    let window = TimeWindow::new(&days?, from?, to?, zone?);
    window.map_err(|error| value.fault(error.to_string())).ok()
}

fn days(value: &Value<'_, '_>) -> Option<Vec<Weekday>> {
    value.one_or_list().iter().map(Value::parsed_as_told).collect()
}

fn time(section: &mut Section<'_, '_>, key: &'static str, otherwise: &str) -> Option<TimeOfDay> {
    section.optional(key).map_or_else(|| otherwise.parse().ok(), |value| value.parsed_as_told())
}
