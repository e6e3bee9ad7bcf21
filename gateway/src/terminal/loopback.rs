//! The way over a port of the person's own machine (RFC 8252 section 7.3): a page asks the person, and their answer goes to the
//! program with a code that works once, soon, and only for who knows the verifier. Redeeming it is left to `grant`.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::grant::Code;
use super::{CONFIRM_LIFE_S, MAX_STATE_BYTES, Program, TerminalError, is_url_safe};
use crate::body::Body;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::query::Query;
use crate::respond::{self, Page};
use crate::route::RESERVED_PREFIX;
use crate::seal::{Purpose, random_text};

/// A question that was put to somebody, sealed into the form that answers it: nobody else can answer, and not another one.
#[derive(Serialize, Deserialize)]
struct Question {
    /// Answered once.
    id: String,
    /// Whose page it stands on.
    session: [u8; 32],
    program: Program,
    /// Where the program listens, on the person's machine.
    port: u16,
    /// The program's own, given back.
    state: String,
}

/// `terminal` on the auth host: asks the person.
pub(crate) fn page(
    gateway: &Gateway,
    host: &Host,
    session: &LiveSession,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, TerminalError> {
    let program =
        Program::read(query.only("name"), query.only("code_challenge"), query.only("code_challenge_method"))?;
    let port = query.only("port").and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0);
    let state = query
        .only("state")
        .filter(|state| (1..=MAX_STATE_BYTES).contains(&state.len()) && state.bytes().all(is_url_safe));
    let (Some(port), Some(state)) = (port, state) else { return Err(TerminalError::Malformed) };
    let page = asking(host, session, &program.name);
    let question = Question {
        id: random_text::<16>().ok_or(TerminalError::Stale)?,
        session: *session.id.as_bytes(),
        program,
        port,
        state: state.to_owned(),
    };
    let sealed =
        gateway.process.sealer.seal(Purpose::Terminal, host.as_str(), now + CONFIRM_LIFE_S, question);
    let sealed = sealed.ok_or(TerminalError::Stale)?;
    let page = page.text("Allow it only if you have started it yourself, just now, on this computer.").form(
        &format!("{RESERVED_PREFIX}terminal/{host}"),
        &[("question", &sealed)],
        &[("allow", "Allow"), ("deny", "Deny")],
    );
    Ok(respond::page(&gateway.look, page, None))
}

/// The beginning of the page on both ways: who asks for what.
pub(super) fn asking(host: &Host, session: &LiveSession, name: &str) -> Page {
    let standing = session.standing();
    let profile = &standing.profile;
    let who = profile.email.as_ref().or(profile.display_name.as_ref()).unwrap_or(&session.subject);
    Page::new(StatusCode::OK, "Let a program act as you?").text(&format!(
        "\u{201c}{name}\u{201d} asks to use {host} as {who}. It will be able to do there what you can do, until you sign out or your \
         session ends."
    ))
}

/// The person's answer. It goes on to the program by a page and not by a redirect: our pages send forms nowhere else.
pub(crate) async fn confirm(
    gateway: &Gateway,
    host: &Host,
    session: &LiveSession,
    form: &Query,
    now: i64,
) -> Result<Response<Body>, TerminalError> {
    let sealed = form.only("question").ok_or(TerminalError::Malformed)?;
    let opened = gateway.process.sealer.open::<Question>(Purpose::Terminal, host.as_str(), now, sealed);
    let question = opened.map_err(|_| TerminalError::Stale)?;
    if question.session != *session.id.as_bytes() || !gateway.process.is_first_use(&question.id, now).await {
        return Err(TerminalError::Stale);
    }
    let mut back = format!("http://127.0.0.1:{}/?state={}", question.port, question.state);
    let (title, text) = match form.only("answer") {
        Some("allow") => {
            let code =
                Code::new(gateway, session, question.program).and_then(|code| code.seal(gateway, host, now));
            back.push_str("&code=");
            back.push_str(&code.ok_or(TerminalError::Stale)?);
            ("The program may act as you", "It goes on in the terminal; this page can be closed.")
        }
        _ => {
            back.push_str("&error=access_denied");
            ("The program was refused", "It is told so; this page can be closed.")
        }
    };
    let page = Page::new(StatusCode::OK, title).text(text).leading_to(&back, "Tell the program");
    Ok(respond::page(&gateway.look, page, None))
}
