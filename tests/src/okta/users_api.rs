//! The management API for users and groups: `SSWS` tokens, tokens of service apps, `Link` paging, rate-limit headers and Okta's error bodies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, LINK};
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

use super::Okta;
use super::exchange::{Answer, Ask, encode};
use super::keys::random_id;
use super::state::{Account, GroupRecord, Status};

/// The largest page that `limit` may ask for.
const MAX_PAGE: usize = 10_000;
/// The window of the rate limits.
pub const RATE_WINDOW_S: u64 = 60;

/// How many calls one window has seen.
#[derive(Default)]
pub(super) struct RateWindow {
    window: u64,
    calls: u32,
}

/// A page of things, and the addresses of this one and the next.
struct Page {
    items: Vec<Value>,
    this: String,
    next: Option<String>,
}

/// An error body; only `errorCode` is stable at Okta.
pub(super) fn error(status: StatusCode, code: &str, summary: &str) -> Answer {
    let body = json!({
        "errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": format!("oae{}", random_id(12)),
        "errorCauses": [],
    });
    Answer::json(status, &body)
}

/// The 404 of a thing that is not there.
pub(super) fn not_found(what: &str, kind: &str) -> Answer {
    let summary = format!("Not found: Resource not found: {what} ({kind})");
    error(StatusCode::NOT_FOUND, "E0000007", &summary)
}

/// The 403 for a token without the right, and for an address that ThreatInsight or a network zone blocks.
pub(super) fn forbidden() -> Answer {
    let summary = "You do not have permission to perform the requested action";
    error(StatusCode::FORBIDDEN, "E0000006", summary)
}

/// The 429. At the concurrency limit, both numbers are 0.
pub(super) fn too_many() -> Answer {
    let summary = "API call exceeded rate limit due to too many requests.";
    error(StatusCode::TOO_MANY_REQUESTS, "E0000047", summary)
}

/// Everything below `/api/v1`, with the headers that all of it carries.
pub(super) fn answer(shared: &Okta, ask: &Ask) -> Answer {
    let now = shared.now();
    let limit = shared.config.api_calls_per_minute;
    let left = {
        let mut rate = shared.rate();
        if rate.window != now / RATE_WINDOW_S {
            *rate = RateWindow { window: now / RATE_WINDOW_S, calls: 0 };
        }
        rate.calls = rate.calls.saturating_add(1);
        limit.checked_sub(rate.calls)
    };
    let answer = match left {
        Some(_) => admit(shared, ask).unwrap_or_else(|| respond(shared, ask)),
        None => too_many(),
    };
    rate_headers(answer, limit, left.unwrap_or_default(), (now / RATE_WINDOW_S + 1) * RATE_WINDOW_S)
}

pub(super) fn rate_headers(answer: Answer, limit: u32, left: u32, reset: u64) -> Answer {
    answer
        .with(HeaderName::from_static("x-rate-limit-limit"), &limit.to_string())
        .with(HeaderName::from_static("x-rate-limit-remaining"), &left.to_string())
        .with(HeaderName::from_static("x-rate-limit-reset"), &reset.to_string())
}

/// The refusal of a caller who may not read, if there is one.
fn admit(shared: &Okta, ask: &Ask) -> Option<Answer> {
    let company = &shared.config.company;
    let header = ask.header(AUTHORIZATION).unwrap_or_default();
    if let Some(token) = header.strip_prefix("Bearer ") {
        let grants = shared.grants();
        return match grants.service_scopes(token.trim(), shared.now()) {
            None => Some(error(StatusCode::UNAUTHORIZED, "E0000011", "Invalid token provided")),
            Some(scopes) if scopes.iter().any(|scope| scope == needed_scope(ask)) => None,
            Some(_) => Some(forbidden()),
        };
    }
    // Okta's own Python client puts no space after the scheme, and works.
    let Some(token) = header.strip_prefix("SSWS").map(str::trim_start) else {
        let summary = "Invalid session";
        return Some(error(StatusCode::FORBIDDEN, "E0000005", summary));
    };
    if company.powerless_api_token.as_deref() == Some(token) {
        return Some(forbidden());
    }
    if company.api_token.as_deref() == Some(token) {
        return None;
    }
    Some(error(StatusCode::UNAUTHORIZED, "E0000011", "Invalid token provided"))
}

/// The groups of one user are read with the scope of users.
fn needed_scope(ask: &Ask) -> &'static str {
    if ask.segments.get(2).is_some_and(|kind| kind == "groups") {
        "okta.groups.read"
    } else {
        "okta.users.read"
    }
}

fn respond(shared: &Okta, ask: &Ask) -> Answer {
    let org = shared.org();
    let base = &shared.base_url;
    let path = ask.segments.iter().skip(2).map(String::as_str).collect::<Vec<_>>();
    if ask.method != http::Method::GET {
        let summary = "The endpoint does not support the provided HTTP method";
        return error(StatusCode::METHOD_NOT_ALLOWED, "E0000022", summary);
    }
    match path.as_slice() {
        ["users"] => {
            let all = org.people.iter().filter(|account| account.status != Status::Deprovisioned);
            paged(
                shared,
                ask,
                "users",
                all.map(|account| (account.id.as_str(), user(base, account))).collect(),
            )
        }
        ["users", who] => match org.account_by_short_login(who) {
            Ok(account) => Answer::json(StatusCode::OK, &user(base, account)),
            Err(_) => not_found(who, "User"),
        },
        ["users", who, "groups"] => match org.account_by_short_login(who) {
            Ok(account) => {
                let groups =
                    org.groups_of(&account.id).map(|record| (record.id.as_str(), group(base, record)));
                paged(shared, ask, &format!("users/{}/groups", encode(who)), groups.collect())
            }
            Err(_) => not_found(who, "User"),
        },
        ["groups"] => {
            let wanted = wanted_groups(ask);
            let groups = org.groups.iter().filter(|record| wanted(record.group.name.as_str()));
            paged(
                shared,
                ask,
                "groups",
                groups.map(|record| (record.id.as_str(), group(base, record))).collect(),
            )
        }
        ["groups", id] => match org.groups.iter().find(|record| record.id == *id) {
            Some(record) => Answer::json(StatusCode::OK, &group(base, record)),
            None => not_found(id, "UserGroup"),
        },
        _ => {
            error(StatusCode::NOT_FOUND, "E0000022", "The endpoint does not support the provided HTTP method")
        }
    }
}

/// `q` matches the start of a name, `search` and `filter` the whole of it.
fn wanted_groups(ask: &Ask) -> impl Fn(&str) -> bool {
    let start = ask.query.value("q").map(str::to_lowercase);
    let whole = ask
        .query
        .value("search")
        .or_else(|| ask.query.value("filter"))
        .and_then(|text| text.strip_prefix("profile.name eq \"")?.strip_suffix('"').map(str::to_owned));
    move |name| {
        start.as_ref().is_none_or(|start| name.to_lowercase().starts_with(start.as_str()))
            && whole.as_ref().is_none_or(|whole| whole == name)
    }
}

fn paged(shared: &Okta, ask: &Ask, path: &str, mut all: Vec<(&str, Value)>) -> Answer {
    all.sort_by(|left, right| left.0.cmp(right.0));
    let limit = match ask.query.value("limit").map(str::parse::<usize>) {
        None => shared.config.page_size,
        Some(Ok(limit)) if (1..=MAX_PAGE).contains(&limit) => limit,
        Some(_) => return error(StatusCode::BAD_REQUEST, "E0000001", "Api validation failed: limit"),
    };
    let after = match ask.query.value("after").map(open_cursor) {
        Some(None) => return error(StatusCode::BAD_REQUEST, "E0000031", "Invalid search criteria."),
        cursor => cursor.flatten(),
    };
    let rest = all.into_iter().filter(|(id, _)| after.as_deref().is_none_or(|after| *id > after));
    let page = cut(&format!("{}/api/v1/{path}", shared.base_url), ask, limit, rest.collect());
    let answer = Answer::json(StatusCode::OK, &Value::Array(page.items))
        .and(LINK, &format!("<{}>; rel=\"self\"", page.this));
    match page.next {
        Some(next) => answer.and(LINK, &format!("<{next}>; rel=\"next\"")),
        None => answer,
    }
}

fn cut(address: &str, ask: &Ask, limit: usize, mut rest: Vec<(&str, Value)>) -> Page {
    let more = rest.len() > limit;
    rest.truncate(limit);
    let kept = ["q", "search", "filter"]
        .into_iter()
        .filter_map(|name| ask.query.value(name).map(|value| format!("&{name}={}", encode(value))))
        .collect::<String>();
    let at = |cursor: Option<&str>| match cursor {
        Some(cursor) => format!("{address}?after={cursor}&limit={limit}{kept}"),
        None => format!("{address}?limit={limit}{kept}"),
    };
    let next = rest.last().filter(|_| more).map(|(id, _)| at(Some(&close_cursor(id))));
    Page { this: at(ask.query.value("after")), next, items: rest.into_iter().map(|(_, item)| item).collect() }
}

/// A cursor says nothing to its reader and cannot be made up.
fn close_cursor(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("cursor/{id}").bytes().map(|byte| byte ^ 0x5a).collect::<Vec<_>>())
}

fn open_cursor(cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?.into_iter().map(|byte| byte ^ 0x5a).collect::<Vec<_>>();
    String::from_utf8(bytes).ok()?.strip_prefix("cursor/").map(str::to_owned)
}

const CREATED: &str = "2026-01-05T09:00:00.000Z";

fn user(base: &str, account: &Account) -> Value {
    json!({
        "id": account.id, "status": account.status, "created": CREATED, "activated": CREATED,
        "statusChanged": CREATED, "lastLogin": null, "lastUpdated": CREATED, "passwordChanged": CREATED,
        "type": {"id": "otyDefaultUserType000"},
        "profile": {
            "firstName": account.person.given_name, "lastName": account.person.family_name, "mobilePhone": null,
            "secondEmail": null, "login": account.person.login, "email": account.email(),
        },
        "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}},
        "_links": {"self": {"href": format!("{base}/api/v1/users/{}", account.id)}},
    })
}

fn group(base: &str, record: &GroupRecord) -> Value {
    let address = format!("{base}/api/v1/groups/{}", record.id);
    json!({
        "id": record.id, "created": CREATED, "lastUpdated": CREATED, "lastMembershipUpdated": CREATED,
        "objectClass": ["okta:user_group"], "type": if record.built_in { "BUILT_IN" } else { "OKTA_GROUP" },
        "profile": {"name": record.group.name, "description": record.group.description},
        "_links": {
            "users": {"href": format!("{address}/users")}, "apps": {"href": format!("{address}/apps")},
        },
    })
}
