//! The door of the provisioning client on the auth host: bounds what is read, then leaves everything to the SCIM sink. What ends before
//! that is refused in SCIM's own form too; which status and words it gets is left to `respond`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use portcullis_scim_sink::{MAX_BODY_BYTES, ScimSink};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::body::Body;
use crate::gateway::{self, Gateway};
use crate::host::Host;
use crate::limit::RateLimit;
use crate::route::Canonical;

/// Where the sink's paths begin.
const PREFIX: &str = "/scim/v2/";
/// What nothing else of ours begins with.
const ROOT: &str = "/scim";
/// How long a body may take to arrive. Okta sends small ones at once.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request needs of whoever opens the door.
pub(crate) struct Door<'a> {
    pub(crate) sink: &'a ScimSink,
    /// Where the work is done.
    pub(crate) control: &'a Handle,
    /// How many requests are read and answered at once.
    pub(crate) requests: &'a Arc<Semaphore>,
    /// How often an address may come with a wrong key.
    pub(crate) guesses: &'a RateLimit,
}

impl<'a> Door<'a> {
    pub(crate) fn of(gateway: &'a Gateway) -> Self {
        let process = &gateway.process;
        let (control, requests) = (&process.control, &process.scim_requests);
        Self { sink: &gateway.scim, control, requests, guesses: &gateway.limits.logins }
    }
}

/// Whether a request on the auth host is for the sink.
pub(crate) fn is_scim(canonical: &Canonical) -> bool {
    canonical.path.as_str().starts_with(PREFIX)
}

/// Whether a request is meant for the sink, as far as its head can tell: also one that names nothing there, or has no single meaning.
pub(crate) fn is_meant(head: &Parts, auth_host: &Host) -> bool {
    let path = head.uri.path();
    let below = path.strip_prefix(ROOT).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    let names = |authority: &str| {
        authority.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(auth_host.as_str()))
    };
    let mut fields = head.headers.get_all(HOST).iter().filter_map(|field| field.to_str().ok());
    below && (head.uri.authority().is_some_and(|authority| names(authority.as_str())) || fields.any(names))
}

/// Answers a provisioning request. Runs to its end even when the client goes away: a change that was begun is finished.
pub(crate) async fn respond(
    door: Door<'_>,
    client_ip: IpAddr,
    canonical: &Canonical,
    request: Request<Incoming>,
    now: i64,
) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    // The sink reads the method and the path that were routed, not those that were sent.
    head.method = canonical.method.clone();
    if let Ok(target) = canonical_target(canonical).parse() {
        head.uri = target;
    }
    // The key before the body: who has none cannot make us hold anything for them. It is looked up in the store, which may keep
    // us waiting, so not on a thread that carries requests.
    let sink = door.sink.clone();
    let admitting = door.control.spawn(async move {
        let admitted = sink.admit(&head.method, head.uri.path(), &head.headers, now);
        admitted.map(|()| head)
    });
    let head = match admitting.await {
        Ok(Ok(head)) => head,
        Ok(Err(refusal)) => return unauthorised(&door, client_ip, refusal),
        Err(_) => {
            return refused(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping; repeat the request");
        }
    };
    let Ok(room) = door.requests.clone().try_acquire_owned() else {
        return refused(StatusCode::TOO_MANY_REQUESTS, "too many requests are under way; repeat in a minute");
    };
    // One that says so itself need not come first.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return ScimSink::too_large().map(Body::from);
    }
    let reading = Limited::new(body, MAX_BODY_BYTES).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(read)) => read.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return ScimSink::too_large().map(Body::from),
        // The client broke off, or dripped: most likely there is nobody left to tell.
        Ok(Err(_)) | Err(_) => {
            return refused(StatusCode::REQUEST_TIMEOUT, "the request body did not arrive whole");
        }
    };
    let sink = door.sink.clone();
    let working = door.control.spawn(async move {
        let response = sink.respond(Request::from_parts(head, body), gateway::now).await;
        drop(room);
        response
    });
    let Ok(response) = working.await else {
        // Whether the change was made is unknown, so it is never called done; repeating it is safe.
        return refused(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping; repeat the request");
    };
    if canonical.method == Method::HEAD { without_body(response) } else { response.map(Body::from) }
}

/// What a HEAD is answered: the fields of a GET (RFC 9110 section 9.3.2). The length of what is not modified is told by neither.
fn without_body(response: Response<Bytes>) -> Response<Body> {
    let length = response.body().len();
    let mut response = response.map(|_| Body::empty());
    if response.status() != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// A wrong key is told, as long as there are not too many of them.
fn unauthorised(door: &Door<'_>, client_ip: IpAddr, refusal: Response<Bytes>) -> Response<Body> {
    if door.guesses.allows(client_ip) {
        return refusal.map(Body::from);
    }
    refused(StatusCode::TOO_MANY_REQUESTS, "too many requests without a valid key; wait a minute")
}

fn canonical_target(canonical: &Canonical) -> String {
    match &canonical.query {
        Some(query) => format!("{}?{query}", canonical.path),
        None => canonical.path.to_string(),
    }
}

/// What the gateway itself refuses, in the form of RFC 7644 section 3.12. What may be repeated says when: Okta waits for whole seconds alone.
pub(crate) fn refused(status: StatusCode, detail: &str) -> Response<Body> {
    let told = serde_json::json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": status.as_str(),
        "detail": detail,
    });
    let mut response = Response::new(Body::from(told.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(target: &str, hosts: &[&str]) -> bool {
        let request = Request::get(target);
        let request = hosts.iter().fold(request, |request, host| request.header(HOST, *host));
        is_meant(&request.body(()).unwrap().into_parts().0, &"auth.corp.example".parse().unwrap())
    }

    #[test]
    fn who_comes_to_the_sink_is_known_by_the_head() {
        let ours = ["auth.corp.example"].as_slice();
        for path in
            ["/scim", "/scim/", "/scim/v2", "/scim/v2/corp/Users?x=1", "/scim%2Fv2", "/scim;x", "/scim?a"]
        {
            assert!(meant(path, ours), "{path}");
        }
        for path in ["/", "/scimitar", "/login", "/x/scim/v2"] {
            assert!(!meant(path, ours), "{path}");
        }
        assert!(meant("/scim", &["AUTH.corp.example:8443"]));
        assert!(meant("https://auth.corp.example/scim", &[]));
        assert!(
            meant("/scim", &["wiki.corp.example", "auth.corp.example"]),
            "two hosts are refused in its form"
        );
        assert!(!meant("/scim", &["wiki.corp.example"]), "an application may have a path of that name");
        assert!(!meant("/scim", &[]));
    }
}
