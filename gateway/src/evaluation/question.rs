//! The question to an external evaluation: who, for which application, by which request, signed with the keys of the assertions and with a
//! nonce of its own.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde::Serialize;
use serde_json::{Value, json};

use super::EvaluationError;
use crate::assertion::{self, Signer};
use crate::config::Evaluation;
use crate::gateway::Gateway;
use crate::live::{LiveSession, Prompted};
use crate::seal::random_text;

/// How long a question is good, in seconds.
const LIFE_S: i64 = 60;

/// What is told of the request that made us ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) identity: Value,
    pub(super) application: Arc<str>,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) path: String,
}

impl Request {
    /// The same question as before.
    pub(super) fn again(asked: &Prompted) -> Self {
        let Prompted { application, host, method, path } = asked.clone();
        Self { identity: Value::Null, application, host, method, path }
    }
}

impl From<Request> for Prompted {
    fn from(request: Request) -> Self {
        let Request { application, host, method, path, .. } = request;
        Self { application, host, method, path }
    }
}

/// The claims. `aud` names who is asked, so that a question is nobody's assertion; `type` says the same.
#[derive(Serialize)]
struct Claims<'a> {
    aud: [&'a str; 1],
    iss: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(rename = "type")]
    kind: &'static str,
    nonce: &'a str,
    identity: &'a Value,
    application: &'a str,
    request: Value,
}

/// Who is asked about, as `get-identity` tells it.
pub(super) fn identity(gateway: &Gateway, session: &LiveSession, client_ip: IpAddr) -> Value {
    let provider = gateway.config.identity_provider(&session.provider).map(AsRef::as_ref);
    let country = gateway.policies.country(client_ip);
    let seen = assertion::Seen { client_ip, country, presented: None };
    let mut identity = assertion::identity(session, &session.standing(), provider, Some(seen));
    if let (Some(service), Some(fields)) = (&session.service, identity.as_object_mut()) {
        fields.insert("service_token".to_owned(), (*service.token).into());
    }
    identity
}

/// The nonce, and the request that carries the question.
pub(super) fn signed(
    signer: &Signer,
    settings: &Evaluation,
    request: &Request,
    now: i64,
) -> Result<(String, http::Request<Vec<u8>>), EvaluationError> {
    let nonce = random_text::<24>().ok_or(EvaluationError::Unsigned)?;
    let claims = Claims {
        aud: [settings.url.as_str()],
        iss: signer.issuer(),
        iat: now,
        nbf: now,
        exp: now.saturating_add(LIFE_S),
        kind: "external_evaluation",
        nonce: &nonce,
        identity: &request.identity,
        application: &request.application,
        request: json!({ "host": request.host, "method": request.method, "path": request.path }),
    };
    let token = signer.statement(&claims).ok_or(EvaluationError::Unsigned)?;
    let body = json!({ "token": token }).to_string().into_bytes();
    let json = HeaderValue::from_static("application/json");
    let posted = http::Request::builder()
        .method(Method::POST)
        .uri(settings.url.as_str())
        .header(CONTENT_TYPE, json.clone())
        .header(ACCEPT, json)
        .body(body);
    Ok((nonce, posted.map_err(|_| EvaluationError::Unsigned)?))
}
