//! Faults of delivery, set per endpoint: late, cut, broken, huge, endless. What a token says wrongly is in `id_token`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exchange::{Answer, Ask};
use super::users_api;
use super::{Okta, lock};

/// A body that may stream or break.
pub(super) type SimBody = UnsyncBoxBody<Bytes, io::Error>;

/// What can be told to misbehave, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Both kinds of metadata, of both authorization servers.
    Discovery,
    /// `/authorize`.
    Authorize,
    /// The posting of the sign-in form.
    Login,
    /// `/token`.
    Token,
    /// `/userinfo`.
    Userinfo,
    /// `/keys`.
    Keys,
    /// `/logout`.
    Logout,
    /// `/par`.
    Par,
    /// `/revoke`.
    Revoke,
    /// `/api/v1/users` and one user.
    Users,
    /// `/api/v1/users/{id}/groups`.
    UserGroups,
    /// `/api/v1/groups` and one group.
    Groups,
    /// The admin page and its API, which never misbehave.
    Admin,
    /// Everything that is nowhere else.
    Elsewhere,
}

/// One way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The right answer, after so many milliseconds.
    DelayMs(u64),
    /// No answer, ever, on an open connection.
    Hang,
    /// Half of the body that `Content-Length` promises, then the connection is cut.
    CutBody,
    /// This status with a short HTML body.
    Status(u16),
    /// The right status with a body that is not JSON.
    Garbage,
    /// So many bytes of white space before the right body.
    HugeBody(usize),
    /// White space, one byte every so many milliseconds, without end.
    EndlessBodyMs(u64),
    /// 429 `E0000047` with the reset this many seconds ahead.
    RateLimitedS(u64),
    /// 429 as at the concurrency limit: limit and remaining are 0.
    ConcurrencyLimited,
    /// 400 with an OAuth error that repeats all that was asked, secrets included.
    Echo,
    /// 403 `E0000006`, as ThreatInsight or a network zone answers.
    Blocked,
}

/// What a provider may pay no heed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Neglect {
    /// `acr_values`: every login is by password alone, in no context.
    AcrValues,
    /// `max_age`: whoever is logged in stays so.
    MaxAge,
}

/// The faults that are set.
#[derive(Default)]
pub(super) struct Faults(HashMap<Endpoint, SetFault>);

struct SetFault {
    fault: Fault,
    /// Requests that are still answered well before the first fault.
    spared: u32,
    /// Requests that are still to suffer; without end when none.
    times: Option<u32>,
}

impl Faults {
    pub(super) fn set(&mut self, endpoint: Endpoint, fault: Fault, spared: u32, times: Option<u32>) {
        self.0.insert(endpoint, SetFault { fault, spared, times });
    }

    pub(super) fn clear(&mut self, endpoint: Option<Endpoint>) {
        match endpoint {
            Some(endpoint) => {
                self.0.remove(&endpoint);
            }
            None => self.0.clear(),
        }
    }

    /// The fault for one request, which uses it up once.
    pub(super) fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let SetFault { fault, spared, times } = self.0.get_mut(&endpoint)?;
        if let Some(left) = spared.checked_sub(1) {
            *spared = left;
            return None;
        }
        match times {
            None => Some(*fault),
            Some(0) => None,
            Some(left) => {
                *left -= 1;
                Some(*fault)
            }
        }
    }
}

impl Okta {
    /// Dates every login from now on so far back, as if it had been made then.
    pub fn backdate_logins(&self, by: Duration) {
        self.logins_back_s.store(by.as_secs(), Ordering::Relaxed);
    }

    /// Pays no heed to something from now on.
    pub fn neglect(&self, what: Neglect) {
        lock(&self.neglected).insert(what);
    }

    /// Makes an endpoint misbehave until it is told to behave.
    pub fn misbehave(&self, endpoint: Endpoint, fault: Fault) {
        lock(&self.faults).set(endpoint, fault, 0, None);
    }

    /// Makes an endpoint misbehave for its next so many requests.
    pub fn misbehave_times(&self, endpoint: Endpoint, fault: Fault, times: u32) {
        lock(&self.faults).set(endpoint, fault, 0, Some(times));
    }

    /// Makes an endpoint misbehave after so many more good answers, until it is told to behave.
    pub fn misbehave_after(&self, endpoint: Endpoint, fault: Fault, good: u32) {
        lock(&self.faults).set(endpoint, fault, good, None);
    }

    /// Ends the faults of an endpoint, or of all.
    pub fn behave(&self, endpoint: Option<Endpoint>) {
        lock(&self.faults).clear(endpoint);
    }
}

/// Delivers an answer, as badly as the fault says.
pub(super) async fn deliver(answer: Answer, fault: Option<Fault>, now: u64) -> Response<SimBody> {
    let Some(fault) = fault else { return plain(answer) };
    match fault {
        Fault::DelayMs(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            plain(answer)
        }
        Fault::Hang => std::future::pending().await,
        Fault::CutBody => cut(answer),
        Fault::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            plain(Answer::html(status, format!("<html><body><h1>{status}</h1></body></html>")))
        }
        Fault::Garbage => plain(Answer { body: Bytes::from_static(b"<html>{\"half\": "), ..answer }),
        Fault::HugeBody(size) => huge(answer, size),
        Fault::EndlessBodyMs(ms) => endless(answer, Duration::from_millis(ms)),
        Fault::RateLimitedS(wait) => {
            plain(users_api::rate_headers(users_api::too_many(), 600, 0, now + wait))
        }
        Fault::ConcurrencyLimited => plain(users_api::rate_headers(users_api::too_many(), 0, 0, now)),
        Fault::Blocked => plain(users_api::forbidden()),
        // The answer is the echo already, as only `serve` knows the question.
        Fault::Echo => plain(answer),
    }
}

/// An OAuth error that repeats the question, and an error of the users and groups API at once.
pub(super) fn echo(ask: &Ask) -> Answer {
    let said = format!("{:?} {}", ask.headers, String::from_utf8_lossy(&ask.body));
    let body = json!({
        "error": "invalid_request", "error_description": said, "errorCode": "E0000009", "errorSummary": said,
    });
    Answer::json(StatusCode::BAD_REQUEST, &body)
}

fn with_body(answer: Answer, body: SimBody) -> Response<SimBody> {
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

fn plain(mut answer: Answer) -> Response<SimBody> {
    let body = Full::new(std::mem::take(&mut answer.body));
    with_body(answer, body.map_err(|never: Infallible| match never {}).boxed_unsync())
}

fn cut(mut answer: Answer) -> Response<SimBody> {
    let whole = std::mem::take(&mut answer.body);
    let half = whole.slice(..whole.len() / 2);
    let answer = answer.with(CONTENT_LENGTH, &whole.len().to_string());
    let frames = stream::unfold(Some(half), |left| async move {
        match left {
            Some(half) if !half.is_empty() => Some((Ok(Frame::data(half)), Some(Bytes::new()))),
            Some(_) => {
                // Time for the half to leave before the connection is torn down.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Err(io::Error::other("cut on purpose")), None))
            }
            None => None,
        }
    });
    with_body(answer, StreamBody::new(frames).boxed_unsync())
}

/// White space before JSON changes nothing for a reader without a limit.
fn huge(mut answer: Answer, size: usize) -> Response<SimBody> {
    const PIECE: &[u8] = &[b' '; 64 * 1024];
    let end = std::mem::take(&mut answer.body);
    let frames = stream::unfold((size, Some(end)), |(left, end)| async move {
        if left > 0 {
            let piece = &PIECE[..left.min(PIECE.len())];
            return Some((Ok(Frame::data(Bytes::from_static(piece))), (left - piece.len(), end)));
        }
        end.map(|end| (Ok(Frame::data(end)), (0, None)))
    });
    with_body(answer, StreamBody::new(frames).boxed_unsync())
}

fn endless(answer: Answer, pause: Duration) -> Response<SimBody> {
    let frames = stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
    });
    with_body(answer, StreamBody::new(frames).boxed_unsync())
}
