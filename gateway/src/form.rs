//! Forms that are posted to our own endpoints: read whole, within a size and a time, or refused. What a form asks for is left to
//! the endpoint.

use std::time::Duration;

use http::HeaderValue;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::query::Query;

/// The largest form that is read.
pub(crate) const MAX_FORM_BYTES: usize = 16 * 1024;
/// How long it may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a form was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the body is not application/x-www-form-urlencoded")]
    NotAForm,
    #[error("the form is larger than {MAX_FORM_BYTES} bytes")]
    TooLarge,
    #[error("the form did not arrive whole in time")]
    Incomplete,
    #[error("the form was not sent by a page of ours")]
    Foreign,
}

/// Reads a form.
pub(crate) async fn read(head: &Parts, body: Incoming) -> Result<Query, FormError> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(FormError::NotAForm);
    }
    let reading = Limited::new(body, MAX_FORM_BYTES).collect();
    match tokio::time::timeout(FORM_TIMEOUT, reading).await {
        Ok(Ok(read)) => {
            let bytes = read.to_bytes();
            let text = std::str::from_utf8(&bytes).map_err(|_| FormError::NotAForm)?;
            Ok(Query::parse(Some(text)))
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(FormError::TooLarge),
        Ok(Err(_)) | Err(_) => Err(FormError::Incomplete),
    }
}

/// Whether a browser says that a page of this origin sent the form. It says so by Fetch Metadata, or by `Origin`; one that says
/// neither is not believed.
pub(crate) fn from_our_page(head: &Parts, origin: &str) -> Result<(), FormError> {
    let site = head.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let ours = match (site, head.headers.get(ORIGIN)) {
        (Some(site), _) => site == b"same-origin",
        (None, Some(from)) => from.as_bytes() == origin.as_bytes(),
        (None, None) => false,
    };
    if ours { Ok(()) } else { Err(FormError::Foreign) }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_form_of_another_origin_is_refused() {
        let ours = "https://wiki.corp.example";
        let judge = |fields: &[(&str, &str)]| {
            let request = fields
                .iter()
                .fold(Request::post("/"), |request, (name, value)| request.header(*name, *value));
            from_our_page(&request.body(()).unwrap().into_parts().0, ours)
        };
        assert_eq!(judge(&[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(judge(&[("sec-fetch-site", "same-origin"), ("origin", "null")]), Ok(()));
        assert_eq!(judge(&[("origin", ours)]), Ok(()));
        for foreign in [
            &[][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", ours)],
            &[("sec-fetch-site", "none")],
            &[("origin", "null")],
            &[("origin", "https://wiki.corp.example.evil.example")],
            &[("origin", "http://wiki.corp.example")],
        ] {
            assert_eq!(judge(foreign), Err(FormError::Foreign), "{foreign:?}");
        }
    }
}
