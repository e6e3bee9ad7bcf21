//! A request as an upstream would get it, without one: the steps that change it on its way, for `fuzzing`. Sending is left out.

use http::Request;

use super::{Context, ForwardError, headers, outgoing};
use crate::config::Application;
use crate::route::Canonical;

/// The request that the application's first endpoint would get.
pub(crate) fn rehearse<B>(
    canonical: &Canonical,
    request: Request<B>,
    application: &Application,
    context: &Context<'_>,
) -> Result<Request<B>, ForwardError> {
    let upstream = &application.upstream;
    let (mut head, body) = request.into_parts();
    let target = outgoing::target(canonical, &head.uri, upstream)?;
    let upgrade = headers::wanted_upgrade(&head);
    headers::for_upstream(&mut head.headers, &application.headers, context, upgrade);
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = canonical.method.clone();
    *outgoing.headers_mut() = head.headers;
    outgoing::tell_prefix(&mut outgoing, upstream);
    let endpoint = upstream.endpoints.first().ok_or(ForwardError::NoUpstream)?;
    outgoing::address(&mut outgoing, &target, &context.way.authority, endpoint, upstream)?;
    Ok(outgoing)
}
