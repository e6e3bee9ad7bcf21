//! What somebody has to do on a page of ours before an application opens: say why they use it, or ask for access; and the page on which
//! others answer. The pages stand on the auth host, where no script of an application can press a button.
//!
//! A way there is sealed for one login, and everything that such a page changes is asked by a form of ours. Which policy asks for what is
//! left to the policies, what was given to `live`.

use http::{Response, StatusCode};
use portcullis_policy::{Decision, Reason};
use portcullis_store::{AccessRequestError, AccessState, PurposeError, StoreError};
use serde::{Deserialize, Serialize};

mod answer;
mod ask;
mod purpose;

pub(crate) use answer::{Approver, answer, waiting};
pub(crate) use ask::{ask, page as ask_page};
pub(crate) use purpose::{give, page as purpose_page};

use crate::authorize::Denial;
use crate::body::Body;
use crate::config::Application;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::login;
use crate::query::Query;
use crate::respond::{self, Page};
use crate::route::{Canonical, RESERVED_PREFIX};
use crate::seal::Purpose;

/// How long somebody may take for an errand, in seconds.
const ERRAND_LIFE_S: i64 = 1_800;
/// The longest text that somebody writes on these pages, in characters; the store keeps as many in any script.
pub(crate) const MAX_TEXT_CHARS: usize = 500;

/// The policy's no, and the way to what would turn it into a yes.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) decision: Decision,
    /// The page.
    pub(crate) location: String,
    /// The application's front page, for whoever cannot show a page.
    pub(crate) front: String,
}

/// What is carried to the page, sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Carried {
    /// The login that it is for.
    #[serde(rename = "s")]
    session: [u8; 32],
    #[serde(rename = "a")]
    application: String,
    #[serde(rename = "p")]
    policy: String,
    /// Where to come back to.
    #[serde(rename = "r")]
    path: String,
}

/// Why an errand came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrandError {
    #[error("the form lacks what it should bring, or it is too long")]
    Incomplete,
    #[error("the way to the page is of another login, or too old")]
    Stale,
    #[error("nobody is logged in on the auth host in this browser")]
    SignedOut,
    #[error("the policy asks for no approval any more")]
    NothingToAsk,
    #[error("the request for access is {} already", .0.as_str())]
    Over(AccessState),
    #[error("there is no such request")]
    NoRequest,
    #[error("they may not answer this request")]
    NotYours,
    #[error("too many requests wait already")]
    TooMany,
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl ErrandError {
    /// The word in log and page.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Incomplete => "errand_incomplete",
            Self::Stale => "errand_stale",
            Self::SignedOut => "errand_signed_out",
            Self::NothingToAsk => "access_not_asked",
            Self::Over(_) => "access_over",
            Self::NoRequest => "access_unknown",
            Self::NotYours => "access_not_yours",
            Self::TooMany => "access_too_many",
            Self::Store(_) => "store_unavailable",
        }
    }
}

impl From<PurposeError> for ErrandError {
    fn from(error: PurposeError) -> Self {
        match error {
            PurposeError::SessionEnded => Self::SignedOut,
            PurposeError::TooMany => Self::TooMany,
            PurposeError::TooLong(_) => Self::Incomplete,
            PurposeError::Store(error) => Self::Store(error),
        }
    }
}

impl From<AccessRequestError> for ErrandError {
    fn from(error: AccessRequestError) -> Self {
        match error {
            AccessRequestError::SessionEnded => Self::SignedOut,
            AccessRequestError::NotFound(_) => Self::NoRequest,
            AccessRequestError::Over(state) => Self::Over(state),
            AccessRequestError::WaitsAlready => Self::Over(AccessState::Waiting),
            AccessRequestError::OwnRequest => Self::NotYours,
            AccessRequestError::TooMany => Self::TooMany,
            AccessRequestError::Expired | AccessRequestError::TooLong(_) => Self::Incomplete,
            AccessRequestError::Store(error) => Self::Store(error),
        }
    }
}

impl Errand {
    /// The errand that would turn a denial of a session into a yes, if there is one. A service has no page to go to.
    pub(crate) fn of(
        gateway: &Gateway,
        (canonical, application): (&Canonical, &Application),
        session: &LiveSession,
        denial: &Denial,
        now: i64,
    ) -> Option<Self> {
        let Denial::Policy(decision) = denial else { return None };
        let page = match decision.reason {
            Reason::PurposeRequired => "purpose",
            Reason::ApprovalRequired => "request",
            _ => return None,
        };
        let policy = decision.policy.and_then(|policy| gateway.policies.set.policy_name(policy))?;
        let carried = Carried {
            session: *session.id.as_bytes(),
            application: application.name.to_string(),
            policy: policy.to_owned(),
            path: login::return_path(canonical),
        };
        let host = &canonical.host;
        let sealed =
            gateway.process.sealer.seal(Purpose::Errand, host.as_str(), now + ERRAND_LIFE_S, carried)?;
        let auth = gateway.config.origin(&gateway.config.server.auth_host);
        Some(Self {
            decision: *decision,
            location: format!("{auth}{RESERVED_PREFIX}{page}/{host}?request={sealed}"),
            front: format!("{}/", gateway.config.origin(host)),
        })
    }
}

impl Carried {
    /// What the browser brought, if it is for this login.
    fn open(
        gateway: &Gateway,
        host: &Host,
        session: &LiveSession,
        brought: &Query,
        now: i64,
    ) -> Result<(Self, String), ErrandError> {
        let sealed = brought.only("request").ok_or(ErrandError::Incomplete)?;
        let opened = gateway.process.sealer.open::<Self>(Purpose::Errand, host.as_str(), now, sealed);
        let carried = opened.map_err(|_| ErrandError::Stale)?;
        if carried.session != *session.id.as_bytes() {
            return Err(ErrandError::Stale);
        }
        // An application that is gone since has nobody to come back to.
        let mut applications = gateway.routes.applications(host);
        if !applications.any(|application| *application.name == *carried.application) {
            return Err(ErrandError::Stale);
        }
        Ok((carried, sealed.to_owned()))
    }

    /// Back to the page that was asked for. By a page and not by a redirect: our pages send forms nowhere else.
    fn back(&self, gateway: &Gateway, host: &Host, page: Page) -> Response<Body> {
        let location = format!("{}{}", gateway.config.origin(host), self.path);
        respond::page(&gateway.look, page.leading_to(&location, "Go on"), None)
    }
}

/// What somebody wrote, on one line and without control characters; none when it is nothing, or too long.
fn written(text: Option<&str>) -> Option<String> {
    let text: String = text?.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty() && text.chars().count() <= MAX_TEXT_CHARS).then_some(text)
}

/// What somebody is called on a page and in the log.
fn called(session: &LiveSession) -> String {
    let standing = session.standing();
    standing.profile.email.clone().unwrap_or_else(|| format!("{} at {}", session.subject, session.provider))
}

/// A time for people.
fn shown(at: i64) -> String {
    let form = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let known = time::OffsetDateTime::from_unix_timestamp(at).ok().and_then(|at| at.format(&form).ok());
    known.unwrap_or_else(|| at.to_string())
}

/// A length of time for people.
fn length(seconds: i64) -> String {
    let (count, unit) = match seconds {
        s if s > 0 && s % 86_400 == 0 => (s / 86_400, "day"),
        s if s > 0 && s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s >= 60 => (s / 60, "minute"),
        s => (s, "second"),
    };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// The lengths of time that are offered, up to the longest.
fn offered(longest_s: i64) -> Vec<i64> {
    const USUAL: [i64; 9] = [900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 259_200, 604_800];
    let mut lengths: Vec<i64> = USUAL.into_iter().filter(|length| *length < longest_s).collect();
    lengths.push(longest_s);
    lengths
}

/// The chosen length of time, if it is one that may be.
fn chosen(form: &Query, longest_s: i64) -> Result<i64, ErrandError> {
    let seconds = form.only("for").and_then(|seconds| seconds.parse::<i64>().ok());
    seconds.filter(|seconds| (1..=longest_s).contains(seconds)).ok_or(ErrandError::Incomplete)
}

/// A page that says that something is done.
fn done(title: &'static str, text: &str) -> Page {
    Page::new(StatusCode::OK, title).text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_over_the_limit_is_none() {
        let longest = "ä".repeat(MAX_TEXT_CHARS);
        assert_eq!(written(Some(&longest)), Some(longest.clone()));
        assert!(longest.len() <= portcullis_store::limits::PURPOSE_BYTES);
        assert_eq!(written(Some(&format!("{longest}a"))), None);
        assert_eq!(written(Some("  Ticket\r\n 7\u{1b}[2J ")).as_deref(), Some("Ticket 7 [2J"));
        for nothing in [None, Some(""), Some(" \n\t")] {
            assert_eq!(written(nothing), None);
        }
    }

    #[test]
    fn times_are_offered_up_to_the_longest_and_no_other_is_taken() {
        assert_eq!(offered(14_400), [900, 1_800, 3_600, 7_200, 14_400]);
        assert_eq!(offered(60), [60]);
        let chosen = |text: &str| chosen(&Query::parse(Some(text)), 3_600).ok();
        assert_eq!(chosen("for=3600"), Some(3_600));
        for wrong in
            ["", "for=", "for=0", "for=-1", "for=3601", "for=1h", "for=60&for=60", "for=9223372036854775808"]
        {
            assert_eq!(chosen(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lengths_are_told_in_the_largest_unit_that_fits() {
        for (seconds, told) in
            [(30, "30 seconds"), (90, "1 minute"), (3_600, "1 hour"), (14_400, "4 hours"), (86_400, "1 day")]
        {
            assert_eq!(length(seconds), told);
        }
        assert_eq!(shown(0), "1970-01-01 00:00 UTC");
    }
}
