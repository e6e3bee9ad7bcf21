//! An HTTP client of the plainest kind, one connection per request, and the steps of a login made with it.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis_tests::okta::{AuthServer, Client, Company, OktaConfig, OktaSim};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::{Url, form_urlencoded};

pub(crate) const CALLBACK: &str = "https://auth.localhost/cdn-cgi/access/callback";
pub(crate) const SECRET: &str = "s3cret:with/odd characters";
pub(crate) const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-0123456789";

/// The demo's people with a web application, another one, and a public client.
pub(crate) fn company() -> Company {
    let mut company = Company::demo();
    company.clients = vec![
        Client::confidential("web", SECRET, CALLBACK),
        Client::confidential("other", "another secret", CALLBACK),
        Client::public("native", CALLBACK),
    ];
    company.powerless_api_token = Some("powerless".to_owned());
    company
}

pub(crate) async fn start() -> OktaSim {
    OktaSim::start(OktaConfig::new(company())).await.unwrap()
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The parameters of the address it redirects to.
    pub(crate) fn callback(&self) -> HashMap<String, String> {
        assert_eq!(self.status, 302, "{}", self.body);
        let url = Url::parse(self.header("location")).unwrap();
        assert!(url.as_str().starts_with(CALLBACK), "{url}");
        url.query_pairs().into_owned().collect()
    }

    /// The session cookie it sets, as a `Cookie` header.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }
}

/// Sends a request and reads until the connection closes; an error when the answer is cut short.
pub(crate) async fn try_ask(
    url: &str,
    method: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Reply> {
    let url = Url::parse(url).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await?;
    let target = &url[url::Position::BeforePath..];
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
        url.authority(),
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    socket.write_all(format!("{request}\r\n{body}").as_bytes()).await?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> std::io::Result<Reply> {
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut slots);
    let short = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|_| short())? else {
        return Err(short());
    };
    let headers = head
        .headers
        .iter()
        .map(|header| (header.name.to_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect::<Vec<_>>();
    let reply = Reply {
        status: head.code.unwrap(),
        headers,
        body: String::from_utf8_lossy(&bytes[length..]).into_owned(),
    };
    match reply.header("content-length").parse::<usize>() {
        Ok(promised) if promised != bytes.len() - length => Err(short()),
        _ => Ok(reply),
    }
}

pub(crate) async fn ask(url: &str, method: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    tokio::time::timeout(Duration::from_secs(30), try_ask(url, method, headers, body)).await.unwrap().unwrap()
}

pub(crate) async fn get(url: &str) -> Reply {
    ask(url, "GET", &[], "").await
}

pub(crate) async fn post_form(url: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Reply {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    ask(url, "POST", &all, &body).await
}

pub(crate) fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()))
}

/// The address of an authorization request in order; `more` replaces or, with an empty value, removes parameters.
pub(crate) fn authorize_url(
    okta: &OktaSim,
    server: AuthServer,
    client: &str,
    more: &[(&str, &str)],
) -> String {
    let challenge = challenge();
    let mut fields = vec![
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile email groups"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("{}?{query}", server.endpoint(okta.base_url(), "authorize"))
}

/// The value of a hidden field of a form.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let field =
        page.split(&format!("name={name} value=\"")).nth(1).unwrap_or_else(|| panic!("no {name}: {page}"));
    field.split('"').next().unwrap().to_owned()
}

/// Opens the form at an address and posts it.
pub(crate) async fn sign_in(okta: &OktaSim, url: &str, login: &str, password: &str) -> Reply {
    let form = get(url).await;
    assert_eq!(form.status, 200, "{}", form.body);
    let state_token = hidden(&form.body, "stateToken");
    let fields = [("stateToken", state_token.as_str()), ("username", login), ("password", password)];
    post_form(&format!("{}/login", okta.base_url()), &[], &fields).await
}

/// The code of a complete login of somebody at the client `web`.
pub(crate) async fn code_of(okta: &OktaSim, login: &str) -> String {
    let url = authorize_url(okta, AuthServer::Org, "web", &[]);
    let callback = sign_in(okta, &url, login, "correct horse").await.callback();
    assert_eq!(callback["state"], "the state");
    callback["code"].clone()
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    let half = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", half(id), half(secret))))
}

/// Exchanges a code as the client `web` does.
pub(crate) async fn exchange(okta: &OktaSim, code: &str) -> Reply {
    let header = basic("web", SECRET);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    post_form(&AuthServer::Org.endpoint(okta.base_url(), "token"), &[("authorization", &header)], &fields)
        .await
}

/// The ID token of a login, unopened.
pub(crate) async fn id_token_of(okta: &OktaSim, login: &str) -> String {
    let reply = exchange(okta, &code_of(okta, login).await).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["id_token"].as_str().unwrap().to_owned()
}

/// Opens an ID token with the published keys, as a relying party would.
pub(crate) async fn verify(okta: &OktaSim, server: AuthServer, token: &str) -> Result<Value, String> {
    let keys = get(&server.endpoint(okta.base_url(), "keys")).await.json();
    let keys = serde_json::from_value::<JwkSet>(keys).unwrap();
    let kid = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?.kid;
    let jwk = keys.find(&kid.ok_or("no kid")?).ok_or("unknown kid")?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["web", "native"]);
    validation.set_issuer(&[okta.issuer_of(server)]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let opened =
        jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|error| error.to_string())?;
    Ok(opened.claims)
}
