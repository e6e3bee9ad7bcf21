//! `request` on the auth host: somebody asks for access that an approver grants for a while, sees how their request stands, or takes it
//! back. Answering is left to `answer`.

use std::sync::Arc;

use http::{Response, StatusCode};
use portcullis_store::{AccessRequest, AccessState, NewAccessRequest};

use super::{Carried, ErrandError, MAX_TEXT_CHARS, chosen, done, length, offered, shown, written};
use crate::body::Body;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::query::Query;
use crate::respond::{self, Field, Page};
use crate::route::RESERVED_PREFIX;

/// Asks, or tells how the request stands.
pub(crate) fn page(
    gateway: &Gateway,
    host: &Host,
    session: &LiveSession,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, ErrandError> {
    let (carried, sealed) = Carried::open(gateway, host, session, query, now)?;
    let longest_s = longest(gateway, &carried.policy)?;
    let newest = gateway.process.store.newest_access_request(
        (&session.provider, &session.subject),
        (&carried.application, &carried.policy),
    )?;
    let action = format!("{RESERVED_PREFIX}request/{host}");
    let request = [("request", sealed.as_str())];
    let page = match &newest {
        Some(newest) if newest.is_in_force(now) => {
            return Ok(carried.back(gateway, host, done("You have access", "The application opens now.")));
        }
        Some(newest) if newest.state == AccessState::Waiting => standing(newest)
            .link(&format!("{}{}", gateway.config.origin(host), carried.path), "Look again")
            .form(&action, &request, &[("withdraw", "Take it back")]),
        _ => {
            let lengths = offered(longest_s);
            let lengths = lengths.into_iter().map(|seconds| (seconds.to_string(), length(seconds))).collect();
            Page::new(StatusCode::OK, "Ask for access")
                .text(&format!(
                    "You are signed in, and {} opens when somebody who looks after it lets you in for a while.",
                    carried.application
                ))
                .text(&newest.as_ref().map(last_time).unwrap_or_default())
                .fields(
                    &action,
                    &request,
                    &[
                        Field::Text { name: "reason", label: "Why do you need it?", most: MAX_TEXT_CHARS },
                        Field::Choice { name: "for", label: "For how long?", options: lengths },
                    ],
                    &[("ask", "Ask for access")],
                )
        }
    };
    Ok(respond::page(&gateway.look, page, None))
}

/// How long a grant may last, in seconds; an error when nobody grants anything.
fn longest(gateway: &Gateway, policy: &str) -> Result<i64, ErrandError> {
    let policies = &gateway.policies.set;
    let approval = policies.policy_named(policy).and_then(|policy| policies.approval(policy));
    let approval = approval.ok_or(ErrandError::NothingToAsk)?;
    Ok(i64::try_from(approval.longest.as_secs()).unwrap_or(i64::MAX))
}

fn standing(request: &AccessRequest) -> Page {
    Page::new(StatusCode::OK, "Your request waits for an answer")
        .text(&format!(
            "You asked for {} at {}, for {}. Somebody who looks after it has to answer; then it opens.",
            request.application,
            shown(request.asked_at),
            length(request.wanted_s)
        ))
        .text(&format!("\u{201c}{}\u{201d}", request.reason))
}

/// What became of the last request.
fn last_time(request: &AccessRequest) -> String {
    match (request.state, request.decided_at, request.ended_at) {
        (AccessState::Refused, Some(at), _) => format!("Your last request was refused at {}.", shown(at)),
        (AccessState::Ended, _, Some(at)) => format!("Your last access ended at {}.", shown(at)),
        (AccessState::Granted, ..) => {
            format!("Your last access ended at {}.", request.until.map(shown).unwrap_or_default())
        }
        _ => String::new(),
    }
}

/// Takes the request, or takes it back.
pub(crate) async fn ask(
    gateway: &Arc<Gateway>,
    host: &Host,
    session: &LiveSession,
    form: &Query,
    now: i64,
) -> Result<Response<Body>, ErrandError> {
    let (carried, _) = Carried::open(gateway, host, session, form, now)?;
    let store = &gateway.process.store;
    let front = format!("{}/", gateway.config.origin(host));
    if form.only("answer") == Some("withdraw") {
        let newest = store.newest_access_request(
            (&session.provider, &session.subject),
            (&carried.application, &carried.policy),
        )?;
        store.withdraw_access(&newest.ok_or(ErrandError::NoRequest)?.id, session.id, now).await?;
        let page = done("Your request is taken back", "Nobody has to answer it any more.");
        return Ok(respond::page(&gateway.look, page.link(&front, "Open the application again"), None));
    }
    let wanted_s = chosen(form, longest(gateway, &carried.policy)?)?;
    let reason = written(form.only("reason")).ok_or(ErrandError::Incomplete)?;
    let asked = store.ask_for_access(NewAccessRequest {
        session: session.id,
        application: carried.application.clone(),
        policy: carried.policy.clone(),
        reason,
        wanted_s,
        now,
    });
    let request = asked.await?;
    let page =
        standing(&request).link(&format!("{}{}", gateway.config.origin(host), carried.path), "Look again");
    Ok(respond::page(&gateway.look, page, None))
}
