//! Requests that a page of another origin makes (Fetch standard, CORS protocol): which of them is a preflight, and which answers
//! such a page may read. Nothing here lets anybody in.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use http_body::Body;

use crate::config::{Cors, CorsRules};

/// Whether a request is a preflight. Any other OPTIONS request is an ordinary one, and so is one that brings something.
pub(crate) fn is_preflight(head: &Parts, body: &impl Body) -> bool {
    head.method == Method::OPTIONS
        && body.is_end_stream()
        && only(&head.headers, &ORIGIN).is_some()
        && only(&head.headers, &ACCESS_CONTROL_REQUEST_METHOD).is_some()
}

fn only<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|value| !value.is_empty() && values.next().is_none())
}

/// Who may read an answer, beside pages of the application itself.
#[derive(Debug)]
pub(crate) enum Readable {
    /// Whoever the application says.
    AsItIs,
    /// The listed origin that asked, if it is one.
    ByListed(Option<HeaderValue>),
}

impl Readable {
    pub(crate) fn by(cors: &Cors, headers: &HeaderMap) -> Self {
        match cors {
            Cors::Off | Cors::Pass => Self::AsItIs,
            Cors::Answer(rules) => Self::ByListed(rules.origin(headers).cloned()),
        }
    }
}

impl Cors {
    /// Marks an answer as readable by the page of a listed origin that asked.
    pub(crate) fn mark(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if let Self::Answer(rules) = self {
            rules.mark(origin, answer);
        }
    }
}

impl CorsRules {
    /// The listed origin that a request comes from.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Option<&HeaderValue> {
        let asking = only(headers, &ORIGIN)?;
        self.origins.iter().find(|listed| *listed == asking)
    }

    /// Whether a page may open a WebSocket. No browser asks us first and any page may read what comes, so here it is our part to
    /// compare (RFC 6455 section 10.2). Who names no origin is no page.
    pub(crate) fn admits_socket(&self, headers: &HeaderMap, own: &str) -> bool {
        let is_own = |asking: &HeaderValue| asking.as_bytes() == own.as_bytes();
        !headers.contains_key(ORIGIN)
            || only(headers, &ORIGIN).is_some_and(is_own)
            || self.origin(headers).is_some()
    }

    /// What a preflight of a listed origin is told; what it asked for is compared by the browser.
    pub(crate) fn permit(&self, origin: &HeaderValue, answer: &mut HeaderMap) {
        self.mark(Some(origin), answer);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        if let Some(headers) = &self.headers {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
    }

    /// Marks an answer as readable by the page that asked, in place of what the application said about it.
    fn mark(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            answer.remove(name);
        }
        // What is kept for one origin must not be served to another.
        answer.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        let expose = self.expose.iter().cloned();
        // A page that is told to log in may read where.
        let login =
            answer.contains_key(WWW_AUTHENTICATE).then_some(HeaderValue::from_static("www-authenticate"));
        for exposed in expose.chain(login) {
            answer.append(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::{Empty, Full};
    use hyper::body::Bytes;

    use super::*;

    fn head(method: &str, fields: &[(&'static str, &'static str)]) -> Parts {
        let mut head = Request::builder().method(method).body(()).unwrap().into_parts().0;
        for (name, value) in fields {
            head.headers.append(*name, HeaderValue::from_static(value));
        }
        head
    }

    const PAGE: (&str, &str) = ("origin", "https://app.corp.example");
    const WANTED: (&str, &str) = ("access-control-request-method", "PUT");

    fn rules() -> CorsRules {
        CorsRules {
            origins: vec![HeaderValue::from_static(PAGE.1)],
            methods: HeaderValue::from_static("PUT"),
            headers: None,
            expose: None,
            credentials: true,
            max_age: HeaderValue::from(600),
        }
    }

    #[test]
    fn t51_only_a_whole_preflight_is_one() {
        let nothing = Empty::<Bytes>::new();
        assert!(is_preflight(&head("OPTIONS", &[PAGE, WANTED]), &nothing));
        let something = Full::new(Bytes::from_static(b"x"));
        assert!(!is_preflight(&head("OPTIONS", &[PAGE, WANTED]), &something));
        for (method, fields) in [
            ("OPTIONS", &[PAGE][..]),
            ("OPTIONS", &[WANTED]),
            ("OPTIONS", &[]),
            ("GET", &[PAGE, WANTED]),
            ("POST", &[PAGE, WANTED]),
            ("OPTIONS", &[PAGE, PAGE, WANTED]),
            ("OPTIONS", &[PAGE, WANTED, WANTED]),
            ("OPTIONS", &[("origin", ""), WANTED]),
        ] {
            assert!(!is_preflight(&head(method, fields), &nothing), "{method} {fields:?}");
        }
    }

    #[test]
    fn a_socket_is_opened_by_our_own_page_and_by_listed_ones() {
        const OWN: &str = "https://wiki.corp.example";
        let own = ("origin", OWN);
        for fields in [&[][..], &[own], &[PAGE]] {
            assert!(rules().admits_socket(&head("GET", fields).headers, OWN), "{fields:?}");
        }
        for fields in [
            &[("origin", "https://wiki.corp.example:8443")][..],
            &[("origin", "http://wiki.corp.example")],
            &[("origin", "https://evil.corp.example")],
            &[("origin", "null")],
            &[("origin", "")],
            &[own, own],
            &[own, PAGE],
        ] {
            assert!(!rules().admits_socket(&head("GET", fields).headers, OWN), "{fields:?}");
        }
    }

    #[test]
    fn an_answer_is_marked_for_the_listed_origin_alone() {
        let rules = rules();
        assert_eq!(rules.origin(&head("GET", &[PAGE]).headers).unwrap(), PAGE.1);
        for other in [
            "https://app.corp.example:8443",
            "http://app.corp.example",
            "null",
            "https://evil-app.corp.example",
        ] {
            assert!(rules.origin(&head("GET", &[("origin", other)]).headers).is_none(), "{other}");
        }
        let mut answer = head("GET", &[("access-control-allow-origin", "*")]).headers;
        rules.mark(None, &mut answer);
        assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "the application's own word is replaced");
        rules.mark(Some(&HeaderValue::from_static(PAGE.1)), &mut answer);
        assert_eq!(answer.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), PAGE.1);
        assert_eq!(answer.get(ACCESS_CONTROL_ALLOW_CREDENTIALS).unwrap(), "true");
    }
}
