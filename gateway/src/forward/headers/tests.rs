use std::collections::BTreeSet;

use super::*;
use crate::config::{Encoding, Source, Told};

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

fn left(headers: &HeaderMap) -> BTreeSet<&str> {
    headers.keys().map(HeaderName::as_str).collect()
}

fn rules() -> RequestHeaders {
    let source = Source::Claim("department".to_owned());
    let told =
        vec![Told { name: HeaderName::from_static("department"), source, encoding: Encoding::default() }];
    RequestHeaders {
        fixed: vec![(HeaderName::from_static("stage"), HeaderValue::from_static("1"))],
        told,
        service_token: Some(HeaderName::from_static("x-service")),
    }
}

#[test]
fn t31_what_connection_names_goes_but_not_what_decides() {
    let mut request = headers(&[
        ("connection", "close, X-Hop, Authorization, host"),
        ("connection", "x-second-hop,,Content-Length"),
        ("x-hop", "1"),
        ("x-second-hop", "1"),
        ("authorization", "Basic x"),
        ("content-length", "1"),
        ("host", "a"),
        ("keep-alive", "1"),
        ("proxy-authorization", "1"),
        ("te", "gzip"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
    ]);
    assert!(!strip_request(&mut request));
    assert_eq!(left(&request), BTreeSet::from(["authorization", "content-length", "host"]));
    assert!(strip_request(&mut headers(&[("te", "gzip, Trailers")])));
}

#[test]
fn announced_trailers_are_those_that_may_come() {
    let announced = |values: &[&str]| {
        let fields: Vec<(&str, &str)> = values.iter().map(|value| ("trailer", *value)).collect();
        announced_trailers(&headers(&fields), &rules())
    };
    assert_eq!(
        announced(&["Checksum, X-Forwarded-User", "host,Later , te", " , b ad"]).unwrap(),
        "checksum, later"
    );
    assert_eq!(announced(&["x-portcullis-email, content-length"]), None);
    assert_eq!(announced(&[]), None);
}

#[test]
fn t33_trailers_tell_no_identity() {
    let mut trailers = headers(&[
        ("grpc-status", "0"),
        ("checksum", "x"),
        ("cf-access-authenticated-user-email", "x"),
        ("x_user", "x"),
        ("department", "x"),
        ("stage", "x"),
        ("cookie", "x"),
        ("authorization", "x"),
        ("transfer-encoding", "chunked"),
        ("connection", "x"),
    ]);
    strip_trailers(&mut trailers, &rules());
    assert_eq!(left(&trailers), BTreeSet::from(["checksum", "grpc-status"]));
}

#[test]
fn an_upstream_cannot_plant_our_cookie() {
    let mut answer = headers(&[("alt-svc", "h3=\":443\""), ("x-a", "1"), ("keep-alive", "timeout=5")]);
    answer.append(SET_COOKIE, HeaderValue::from_static("a=1"));
    answer.append(SET_COOKIE, HeaderValue::from_static(" __host-Portcullis=stolen; Path=/"));
    answer.append(SET_COOKIE, HeaderValue::from_static("=__Host-portcullis=stolen; Domain=corp.example"));
    for_client(&mut answer, &ResponseHeaders::default());
    let cookies: Vec<_> = answer.get_all(SET_COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1"]);
    assert_eq!(left(&answer), BTreeSet::from(["set-cookie", "x-a"]));
}

#[test]
fn answers_are_changed_as_configured() {
    let hsts = HeaderName::from_static("strict-transport-security");
    let rules = ResponseHeaders {
        set: vec![(hsts, HeaderValue::from_static("max-age=31536000"))],
        removed: vec![HeaderName::from_static("server")],
    };
    let mut answer = headers(&[
        ("server", "old/1.0"),
        ("strict-transport-security", "max-age=0"),
        ("strict-transport-security", "max-age=1"),
    ]);
    for_client(&mut answer, &rules);
    assert_eq!(answer, headers(&[("strict-transport-security", "max-age=31536000")]));
}

#[test]
fn only_a_grpc_request_is_one() {
    let head = |method: &str, version: Version, kinds: &[&str]| {
        let request = http::Request::builder().method(method).version(version);
        let request = kinds.iter().fold(request, |request, kind| request.header("content-type", *kind));
        request.body(()).unwrap().into_parts().0
    };
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        assert!(is_grpc(&head("POST", Version::HTTP_2, &[kind])), "{kind}");
        assert!(!is_grpc(&head("POST", Version::HTTP_11, &[kind])), "{kind}");
        assert!(!is_grpc(&head("PUT", Version::HTTP_2, &[kind])), "{kind}");
        assert!(!is_grpc(&head("POST", Version::HTTP_2, &[kind, "text/plain"])), "{kind}");
    }
    for kinds in [&[][..], &["application/grpc-web"], &["application/grpcs"], &["application/grp"]] {
        assert!(!is_grpc(&head("POST", Version::HTTP_2, kinds)), "{kinds:?}");
    }
}
