//! What a terminal says to the gateway: the two grants of `terminal`, and the end of a token.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use portcullis_store::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::route::RESERVED_PREFIX;
use crate::seal::random_text;
use crate::web_client::{WebClient, WebClientError};

/// How long one exchange with the gateway may take.
const EXCHANGE: Duration = Duration::from_secs(30);
/// The name of the device grant (RFC 8628 section 3.4).
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The longest pause that a gateway may ask for between two questions, in seconds.
const MAX_INTERVAL_S: u64 = 60;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum GrantsError {
    #[error("the system gave no random bytes")]
    NoRandomness,
    #[error("no client can be made")]
    Client(#[source] WebClientError),
    #[error("the gateway at {0} does not answer")]
    Exchange(Box<Url>, #[source] WebClientError),
    #[error(
        "{0} is no application behind a Portcullis gateway that gives tokens to terminals: it answered {1}"
    )]
    NotAGateway(Box<Url>, StatusCode),
    #[error("the gateway refused: {0}")]
    Refused(String),
}

/// A token and when it is over, in unix seconds.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) token: Secret<String>,
    pub(super) expires_at: i64,
}

/// What ties the beginning of a login to its end.
#[derive(Debug)]
pub(super) struct Proof {
    state: String,
    verifier: Secret<String>,
}

impl Proof {
    pub(super) fn new() -> Result<Self, GrantsError> {
        let state = random_text::<16>().ok_or(GrantsError::NoRandomness)?;
        let verifier = random_text::<32>().ok_or(GrantsError::NoRandomness)?;
        Ok(Self { state, verifier: Secret::new(verifier) })
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.expose().as_bytes()))
    }
}

/// A login that waits for somebody elsewhere.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) page: String,
    pub(super) code: String,
    device_code: Secret<String>,
    pause: Duration,
}

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    interval: u64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_at: i64,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(alias = "message")]
    error_description: Option<String>,
}

/// The gateway in front of one application.
#[derive(Debug)]
pub(super) struct Grants {
    origin: Url,
    http: WebClient,
}

impl Grants {
    pub(super) fn new(origin: Url) -> Result<Self, GrantsError> {
        let http = WebClient::new(EXCHANGE).map_err(GrantsError::Client)?;
        Ok(Self { origin, http })
    }

    /// The page on which the person confirms.
    pub(super) fn page(&self, proof: &Proof, port: u16) -> Url {
        let mut page = self.endpoint("terminal");
        page.query_pairs_mut()
            .append_pair("port", &port.to_string())
            .append_pair("state", &proof.state)
            .append_pair("code_challenge", &proof.challenge())
            .append_pair("code_challenge_method", "S256")
            .append_pair("name", &name());
        page
    }

    pub(super) async fn redeem(&self, proof: &Proof, code: &str) -> Result<Token, GrantsError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", proof.verifier.expose().as_str()),
        ];
        self.ask::<Granted>("token", &form).await?.map(Token::from).map_err(refused)
    }

    pub(super) async fn begin_device(&self, proof: &Proof) -> Result<Waiting, GrantsError> {
        let (challenge, name) = (proof.challenge(), name());
        let form =
            [("code_challenge", challenge.as_str()), ("code_challenge_method", "S256"), ("name", &name)];
        let begun: Begun = self.ask("device/begin", &form).await?.map_err(refused)?;
        Ok(Waiting {
            page: begun.verification_uri,
            code: begun.user_code,
            device_code: Secret::new(begun.device_code),
            pause: Duration::from_secs(begun.interval.clamp(1, MAX_INTERVAL_S)),
        })
    }

    /// Asks until there is an answer; the gateway says when it waits no longer.
    pub(super) async fn collect(&self, proof: &Proof, waiting: &Waiting) -> Result<Token, GrantsError> {
        let form = [
            ("grant_type", DEVICE),
            ("device_code", waiting.device_code.expose().as_str()),
            ("code_verifier", proof.verifier.expose().as_str()),
        ];
        let mut pause = waiting.pause;
        loop {
            tokio::time::sleep(pause).await;
            match self.ask::<Granted>("token", &form).await? {
                Ok(granted) => return Ok(Token::from(granted)),
                Err(Refusal { error, .. }) if error == "authorization_pending" => {}
                // RFC 8628 section 3.5: five seconds more from now on.
                Err(Refusal { error, .. }) if error == "slow_down" => pause += Duration::from_secs(5),
                Err(refusal) => return Err(refused(refusal)),
            }
        }
    }

    pub(super) async fn revoke(&self, token: &Token) -> Result<(), GrantsError> {
        let answer: Result<serde_json::Value, Refusal> =
            self.ask("token/revoke", &[("token", token.token.expose().as_str())]).await?;
        answer.map(|_| ()).map_err(refused)
    }

    fn endpoint(&self, endpoint: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(&format!("{RESERVED_PREFIX}{endpoint}"));
        url
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        form: &[(&str, &str)],
    ) -> Result<Result<T, Refusal>, GrantsError> {
        let url = self.endpoint(endpoint);
        let mut request =
            Request::new(Serializer::new(String::new()).extend_pairs(form).finish().into_bytes());
        *request.method_mut() = Method::POST;
        let unusable = |status| GrantsError::NotAGateway(self.origin.clone().into(), status);
        *request.uri_mut() = url.as_str().parse().map_err(|_| unusable(StatusCode::BAD_REQUEST))?;
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| GrantsError::Exchange(self.origin.clone().into(), error))?;
        if answer.status() == StatusCode::OK {
            return serde_json::from_slice(answer.body()).map(Ok).map_err(|_| unusable(answer.status()));
        }
        serde_json::from_slice(answer.body()).map(Err).map_err(|_| unusable(answer.status()))
    }
}

impl From<Granted> for Token {
    fn from(granted: Granted) -> Self {
        Self { token: Secret::new(granted.access_token), expires_at: granted.expires_at }
    }
}

fn refused(refusal: Refusal) -> GrantsError {
    let Refusal { error, error_description } = refusal;
    GrantsError::Refused(error_description.map_or_else(|| error.clone(), |text| format!("{text} ({error})")))
}

/// What the page calls this program: itself, and the machine it runs on.
fn name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match machine.trim() {
        "" => "portcullis".to_owned(),
        machine => format!("portcullis on {machine}"),
    }
}
