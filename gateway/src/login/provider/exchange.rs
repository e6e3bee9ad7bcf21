//! One question to a provider's endpoint and its JSON answer. What is asked, and what the answer means, is left to the files beside.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::error::ProviderError;
use crate::web_client::WebClient;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// GET of a JSON document; anything but 200 is a failure.
pub(super) async fn get(
    http: &WebClient,
    url: &Url,
    endpoint: &'static str,
) -> Result<Response<Vec<u8>>, ProviderError> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = uri(url, endpoint)?;
    request.headers_mut().insert(ACCEPT, JSON);
    let answer = http.send(request).await.map_err(|error| ProviderError::exchange(endpoint, error))?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        status => {
            Err(ProviderError::BadAnswer { endpoint, status: status.as_u16(), why: "the status is not 200" })
        }
    }
}

/// A form to be posted, without anything that says whose it is.
pub(in crate::login) fn form_request(
    url: &Url,
    endpoint: &'static str,
    form: &[(&str, &str)],
) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut request = Request::new(Serializer::new(String::new()).extend_pairs(form).finish().into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(url, endpoint)?;
    request.headers_mut().insert(ACCEPT, JSON);
    request.headers_mut().insert(CONTENT_TYPE, FORM);
    Ok(request)
}

pub(in crate::login) fn parse<'a, T: Deserialize<'a>>(
    endpoint: &'static str,
    answer: &'a Response<Vec<u8>>,
) -> Result<T, ProviderError> {
    // What serde says would quote the answer, which may hold tokens.
    serde_json::from_slice(answer.body()).map_err(|_| ProviderError::BadAnswer {
        endpoint,
        status: answer.status().as_u16(),
        why: "it is not the JSON that belongs there",
    })
}

fn uri(url: &Url, endpoint: &'static str) -> Result<http::Uri, ProviderError> {
    let why = "its address cannot be requested";
    url.as_str().parse().map_err(|_| ProviderError::BadAnswer { endpoint, status: 0, why })
}
