//! The way for a terminal without a browser (RFC 8628): the program shows a code, the person types it into a page on whatever
//! machine they are logged in on, and the program asks until there is an answer.
//!
//! Requests that wait are kept in memory, a bounded number of them for a bounded time: after a restart a program begins anew.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use http::Response;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::grant::Code;
use super::loopback::asking;
use super::{CONFIRM_LIFE_S, GrantError, Program, TerminalError};
use crate::body::Body;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::query::Query;
use crate::respond::{self, Page};
use crate::route::RESERVED_PREFIX;
use crate::seal::{digest_text, random_text};

/// The name of the grant (RFC 8628 section 3.4).
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Most requests that wait at once; beyond that the oldest is forgotten.
const MAX_WAITING: u64 = 10_000;
/// How long a program waits between two questions, in seconds.
const INTERVAL_S: i64 = 3;
/// Letters that are told apart when read out, and make no words (RFC 8628 section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many of them a code has: 34 bits, against guesses at the pace of logins.
const CODE_LETTERS: usize = 8;

/// The requests that wait for somebody's answer.
#[derive(Debug)]
pub(crate) struct Devices {
    /// By the host and the hash of the code that the program has.
    by_device: Cache<String, Arc<Waiting>>,
    /// By the host and the code that the person types.
    by_code: Cache<String, Arc<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    program: Program,
    asked_from: IpAddr,
    asked_at: i64,
    answer: Mutex<Answer>,
}

#[derive(Debug)]
struct Answer {
    given: Given,
    /// When the program asked last.
    polled_at: i64,
}

#[derive(Debug)]
enum Given {
    NotYet,
    Yes(Code),
    No,
}

impl Devices {
    pub(crate) fn new() -> Self {
        let life = Duration::from_secs(CONFIRM_LIFE_S.unsigned_abs());
        let cache = || {
            // Whoever comes last must be remembered; the default policy may decline to.
            let policy = EvictionPolicy::lru();
            Cache::builder().eviction_policy(policy).max_capacity(MAX_WAITING).time_to_live(life).build()
        };
        Self { by_device: cache(), by_code: cache() }
    }
}

fn key(host: &Host, text: &str) -> String {
    format!("{host} {text}")
}

/// `device/begin` on an application's host: a program asks.
pub(crate) fn begin(
    gateway: &Gateway,
    host: &Host,
    client_ip: IpAddr,
    form: &Query,
    now: i64,
) -> Response<Body> {
    let asked = || -> Result<Response<Body>, GrantError> {
        let (challenge, method) = (form.only("code_challenge"), form.only("code_challenge_method"));
        let program =
            Program::read(form.only("name"), challenge, method).map_err(|_| GrantError::InvalidRequest)?;
        let device_code = random_text::<32>().ok_or(GrantError::NoRandomness)?;
        let user_code = user_code().ok_or(GrantError::NoRandomness)?;
        let answer = Mutex::new(Answer { given: Given::NotYet, polled_at: i64::MIN });
        let waiting = Arc::new(Waiting { program, asked_from: client_ip, asked_at: now, answer });
        let devices = &gateway.process.devices;
        devices.by_device.insert(key(host, &digest_text(&device_code)), waiting.clone());
        devices.by_code.insert(key(host, &user_code), waiting);
        let page = format!("{}{RESERVED_PREFIX}device", gateway.config.origin(host));
        let shown = shown(&user_code);
        Ok(respond::identity(&serde_json::json!({
            "device_code": device_code,
            "user_code": shown,
            // No address that brings the code along: whoever confirms shall have it before their eyes, and not in a link.
            "verification_uri": page,
            "expires_in": CONFIRM_LIFE_S,
            "interval": INTERVAL_S,
        })))
    };
    asked().unwrap_or_else(GrantError::into_response)
}

/// As it is shown: two groups of four.
fn shown(code: &str) -> String {
    let (first, second) = code.split_at(CODE_LETTERS / 2);
    format!("{first}-{second}")
}

/// As it is looked up, however it was typed.
fn typed(text: &str) -> Option<String> {
    let letters: String =
        text.chars().filter(|letter| !matches!(letter, '-' | ' ')).take(CODE_LETTERS + 1).collect();
    let letters = letters.to_ascii_uppercase();
    let whole = letters.len() == CODE_LETTERS && letters.bytes().all(|letter| LETTERS.contains(&letter));
    whole.then_some(letters)
}

fn user_code() -> Option<String> {
    let mut code = String::with_capacity(CODE_LETTERS);
    while code.len() < CODE_LETTERS {
        let mut byte = [0];
        rand::fill(&mut byte).ok()?;
        let [byte] = byte;
        // 240 is the largest multiple of 20 in a byte: beyond it some letters would come more often.
        if byte < 240 {
            code.push(char::from(*LETTERS.get(usize::from(byte) % LETTERS.len())?));
        }
    }
    Some(code)
}

/// `device` on the auth host: asks for the code.
pub(crate) fn page(gateway: &Gateway, host: &Host) -> Response<Body> {
    let page = Page::new(http::StatusCode::OK, "Connect a terminal")
        .text(&format!("Type the code that the terminal shows, to let it use {host} as you."))
        .entry(&format!("{RESERVED_PREFIX}device/{host}"), "user_code", "Code", "Go on");
    respond::page(&gateway.look, page, None)
}

/// Shows what a code belongs to.
fn question(
    gateway: &Gateway,
    host: &Host,
    session: &LiveSession,
    code: &str,
    now: i64,
) -> Result<Response<Body>, TerminalError> {
    let (code, waiting) = find(gateway, host, code)?;
    let minutes = (now - waiting.asked_at) / 60;
    let carried = [("user_code", code.as_str()), ("for", &owner(session))];
    let page = asking(host, session, &waiting.program.name)
        .text(&format!(
            "The request came from the address {}, {minutes} min ago, and shows the code {}. Allow it only if you have started it \
             yourself and see this code there. Nobody who helps you needs it.",
            waiting.asked_from,
            shown(&code)
        ))
        .form(&format!("{RESERVED_PREFIX}device/{host}"), &carried, &[("allow", "Allow"), ("deny", "Deny")]);
    Ok(respond::page(&gateway.look, page, None))
}

/// Says in the form on whose page it stands, without showing the session's id.
fn owner(session: &LiveSession) -> String {
    digest_text(&format!("device page {}", session.id))
}

fn find(gateway: &Gateway, host: &Host, code: &str) -> Result<(String, Arc<Waiting>), TerminalError> {
    let code = typed(code).ok_or(TerminalError::UnknownCode)?;
    let waiting = gateway.process.devices.by_code.get(&key(host, &code)).ok_or(TerminalError::UnknownCode)?;
    Ok((code, waiting))
}

/// The code, and then the person's answer.
pub(crate) fn confirm(
    gateway: &Gateway,
    host: &Host,
    session: &LiveSession,
    form: &Query,
    now: i64,
) -> Result<Response<Body>, TerminalError> {
    if form.only("answer").is_none() {
        let code = form.only("user_code").ok_or(TerminalError::Malformed)?;
        return question(gateway, host, session, code, now);
    }
    if form.only("for") != Some(&owner(session)) {
        return Err(TerminalError::Stale);
    }
    let (code, waiting) = find(gateway, host, form.only("user_code").ok_or(TerminalError::Malformed)?)?;
    // A code is answered once.
    gateway.process.devices.by_code.invalidate(&key(host, &code));
    let allowed = form.only("answer") == Some("allow");
    let mut answer = waiting.answer.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(answer.given, Given::NotYet) {
        return Err(TerminalError::Stale);
    }
    let (title, text) = if allowed {
        let code = Code::new(gateway, session, waiting.program.clone()).ok_or(TerminalError::Stale)?;
        answer.given = Given::Yes(code);
        ("The program may act as you", "It goes on in the terminal; this page can be closed.")
    } else {
        answer.given = Given::No;
        ("The program was refused", "It is told so; this page can be closed.")
    };
    Ok(respond::page(&gateway.look, Page::new(http::StatusCode::OK, title).text(text), None))
}

/// The program asks for the answer.
pub(super) fn collect(gateway: &Gateway, host: &Host, form: &Query, now: i64) -> Result<Code, GrantError> {
    let device_code = form.only("device_code").ok_or(GrantError::InvalidRequest)?;
    let key = key(host, &digest_text(device_code));
    let waiting = gateway.process.devices.by_device.get(&key).ok_or(GrantError::Expired)?;
    let mut answer = waiting.answer.lock().unwrap_or_else(PoisonError::into_inner);
    let too_soon = now < answer.polled_at.saturating_add(INTERVAL_S - 1);
    answer.polled_at = now;
    match &answer.given {
        Given::NotYet if too_soon => Err(GrantError::SlowDown),
        Given::NotYet => Err(GrantError::Pending),
        Given::No => Err(GrantError::Denied),
        Given::Yes(code) => Ok(code.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        let code = user_code().unwrap();
        assert_eq!(typed(&shown(&code)), Some(code.clone()));
        assert_eq!(typed(&shown(&code).to_lowercase()), Some(code.clone()));
        assert_eq!(typed(&format!(" {code} ")), Some(code.clone()));
        for wrong in ["", "BCDF", "BCDF-GHJA", &format!("{code}B"), &"B".repeat(100_000), "BCDF-GHJ\u{df}"] {
            assert_eq!(typed(wrong), None, "{wrong}");
        }
    }
}
