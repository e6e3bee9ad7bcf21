//! `purpose` on the auth host: asks somebody what they use an application for, once in each login. The answer is kept and logged; it is
//! for people to read, and no policy looks at what it says.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::{Carried, ErrandError, MAX_TEXT_CHARS, called, done, written};
use crate::body::Body;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::query::Query;
use crate::respond::{self, Field, Page};
use crate::route::RESERVED_PREFIX;

/// Asks.
pub(crate) fn page(
    gateway: &Gateway,
    host: &Host,
    session: &LiveSession,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, ErrandError> {
    let (carried, sealed) = Carried::open(gateway, host, session, query, now)?;
    let prompt = gateway.config.purpose_prompts.get(&carried.policy);
    let prompt = prompt.map_or("Say in a few words what you need it for.", String::as_str);
    let field = Field::Text { name: "purpose", label: "What for?", most: MAX_TEXT_CHARS };
    let page = Page::new(StatusCode::OK, "What do you need this application for?")
        .text(&format!("{} opens when you have said so, once until you sign out.", carried.application))
        .text(prompt)
        .text("Your answer is kept, and people of your organisation who look after access can read it.")
        .fields(
            &format!("{RESERVED_PREFIX}purpose/{host}"),
            &[("request", &sealed)],
            &[field],
            &[("give", "Go on")],
        );
    Ok(respond::page(&gateway.look, page, None))
}

/// Takes the answer, and leads back.
pub(crate) async fn give(
    gateway: &Arc<Gateway>,
    host: &Host,
    session: &LiveSession,
    form: &Query,
    now: i64,
) -> Result<Response<Body>, ErrandError> {
    let (carried, _) = Carried::open(gateway, host, session, form, now)?;
    let purpose = written(form.only("purpose")).ok_or(ErrandError::Incomplete)?;
    let store = &gateway.process.store;
    store.give_purpose(session.id, &carried.application, &purpose, now).await?;
    tracing::info!(
        target: "portcullis::purpose",
        application = carried.application,
        policy = carried.policy,
        person = called(session),
        subject = session.subject,
        provider = session.provider,
        session = session.id.to_string().get(..16),
        purpose,
        "a purpose was given"
    );
    let page = done("Thank you", "Your answer is kept; the application opens now.");
    Ok(carried.back(gateway, host, page))
}
