//! The bytes of an answer: a resource, a list, nothing, or an error in SCIM's own form (RFC 7644 sections 3.1 and 3.12).
//!
//! What is answered is decided before; statuses of errors come from `rejection`.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::rejection::Rejection;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json; charset=utf-8");
const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// What was done. It has no form for a failure.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 200
    Found(Value),
    /// 201
    Created(Value),
    /// 204
    Gone,
    /// 204, of what is too much to be told in full
    Changed(String),
    /// 304
    NotModified(String),
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Answer::Found(_) => StatusCode::OK,
            Answer::Created(_) => StatusCode::CREATED,
            Answer::Gone | Answer::Changed(_) => StatusCode::NO_CONTENT,
            Answer::NotModified(_) => StatusCode::NOT_MODIFIED,
        }
    }

    /// The resource that was found or made.
    pub(crate) fn resource(&self) -> Option<&Value> {
        match self {
            Answer::Found(body) | Answer::Created(body) => Some(body),
            Answer::Gone | Answer::Changed(_) | Answer::NotModified(_) => None,
        }
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let status = self.status();
        match self {
            Answer::Found(body) => with_body(status, &body),
            Answer::Created(body) => {
                let mut response = with_body(status, &body);
                // RFC 7644 section 3.3.
                set(&mut response, LOCATION, body.pointer("/meta/location").and_then(Value::as_str));
                response
            }
            Answer::Gone => without_body(status),
            Answer::Changed(version) | Answer::NotModified(version) => {
                let mut response = without_body(status);
                set(&mut response, ETAG, Some(&version));
                response
            }
        }
    }
}

/// The error in SCIM's form; `status` is a string there.
pub(crate) fn error_body(rejection: &Rejection) -> Value {
    let mut body = json!({ "schemas": [ERROR_URN], "status": rejection.status().as_str() });
    if let Some(map) = body.as_object_mut() {
        if let Some(scim_type) = rejection.scim_type() {
            map.insert("scimType".to_owned(), Value::from(scim_type));
        }
        map.insert("detail".to_owned(), Value::from(rejection.to_string()));
    }
    body
}

/// The whole response of an error.
pub(crate) fn refuse(rejection: &Rejection) -> Response<Bytes> {
    let mut response = with_body(rejection.status(), &error_body(rejection));
    match rejection {
        Rejection::Unauthorized(_) => set(&mut response, WWW_AUTHENTICATE, Some("Bearer realm=\"scim\"")),
        Rejection::MethodNotAllowed { allow } => set(&mut response, ALLOW, Some(allow)),
        _ => {}
    }
    if let Some(seconds) = rejection.retry_after_s() {
        set(&mut response, RETRY_AFTER, Some(&seconds.to_string()));
    }
    response
}

fn with_body(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    set(&mut response, ETAG, body.pointer("/meta/version").and_then(Value::as_str));
    set(&mut response, CACHE_CONTROL, Some("no-store"));
    response
}

fn without_body(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn set(response: &mut Response<Bytes>, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use portcullis_store::StoreError;

    use super::*;

    #[test]
    fn a_store_that_cannot_write_never_answers_with_success() {
        for (error, status, retry_after) in [
            (StoreError::Busy, 429, Some("5")),
            (StoreError::NotEverywhere, 429, Some("5")),
            (StoreError::Stopped, 500, None),
            (StoreError::BrokeOff, 500, None),
            (StoreError::Unreadable("person"), 500, None),
            (StoreError::NoRandomness, 500, None),
        ] {
            let text = error.to_string();
            let response = refuse(&Rejection::from(error));
            assert_eq!(response.status().as_u16(), status, "{text}");
            let header = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!(header, retry_after, "{text}");
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body["schemas"], json!([ERROR_URN]));
            assert_eq!(body["status"], json!(status.to_string()));
            assert!(!body.to_string().contains(&text), "the cause is for the log alone");
        }
    }

    #[test]
    fn a_commit_without_a_known_outcome_is_to_be_repeated() {
        let rejection = Rejection::OutcomeUnknown(StoreError::Stopped);
        let response = refuse(&rejection);
        assert_eq!(
            (response.status().as_u16(), &response.headers()[RETRY_AFTER]),
            (429, &HeaderValue::from(5))
        );
    }
}
