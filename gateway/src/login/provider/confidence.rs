//! What was told to a provider in confidence: its answers are shown to people and written to the log, and some providers repeat
//! the question in their errors. Asking is left to `provider`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http::header::AUTHORIZATION;
use url::form_urlencoded;

/// Parameters that everybody may see.
const PUBLIC: [&str; 5] = ["grant_type", "redirect_uri", "client_id", "scope", "client_assertion_type"];
/// What is shorter is no secret worth the name, and stands in any text by chance.
const SHORTEST_BYTES: usize = 6;

/// The secrets of one request, in every form in which they were sent.
pub(in crate::login) struct Confidence(Vec<String>);

impl Confidence {
    /// Those of a form, and of the client's credentials beside it.
    pub(in crate::login) fn of(request: &Request<Vec<u8>>) -> Self {
        let mut secrets = Vec::new();
        let form = form_urlencoded::parse(request.body());
        for (_, value) in form.filter(|(name, _)| !PUBLIC.contains(&name.as_ref())) {
            secrets.push(form_urlencoded::byte_serialize(value.as_bytes()).collect());
            secrets.push(value.into_owned());
        }
        let credentials = request.headers().get(AUTHORIZATION).and_then(|line| line.to_str().ok());
        if let Some((_, credentials)) = credentials.and_then(|line| line.split_once(' ')) {
            secrets.push(credentials.to_owned());
            let decoded = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some((_, encoded)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) {
                let plain = form_urlencoded::parse(encoded.as_bytes()).next();
                secrets.extend(plain.map(|(secret, _)| secret.into_owned()));
                secrets.push(encoded.to_owned());
            }
        }
        secrets.retain(|secret| secret.len() >= SHORTEST_BYTES);
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// What the provider said, without any of them.
    pub(in crate::login) fn keep(&self, said: &str) -> String {
        self.0.iter().fold(said.to_owned(), |said, secret| said.replace(secret, "[hidden]"))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn t78_an_answer_that_repeats_the_question_tells_no_secret() {
        let body = "grant_type=authorization_code&code=the+code+of+1&redirect_uri=https%3A%2F%2Fauth&code_verifier=v3rifier%2F1";
        let mut request = Request::new(body.as_bytes().to_vec());
        let credentials = STANDARD.encode("portcullis:s3cret%3Aodd");
        let line = HeaderValue::try_from(format!("Basic {credentials}")).unwrap();
        request.headers_mut().insert(AUTHORIZATION, line);
        let confidence = Confidence::of(&request);
        let said =
            format!("invalid: {body} with {credentials}, that is s3cret%3Aodd or s3cret:odd; the code of 1");
        let kept = confidence.keep(&said);
        for secret in ["the+code", "the code of", "v3rifier", &credentials, "s3cret"] {
            assert!(!kept.contains(secret), "{secret}: {kept}");
        }
        assert!(
            kept.contains("grant_type=authorization_code&code=[hidden]&redirect_uri=https%3A%2F%2Fauth"),
            "{kept}"
        );
        assert_eq!(confidence.keep("no such client: portcullis"), "no such client: portcullis");
    }
}
