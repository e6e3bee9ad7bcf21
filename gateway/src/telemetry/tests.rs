use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::decision_log::{Batch, EventFacts, EventTexts, Journal, Verdict};
use crate::metrics::Answer;
use crate::trace_context::settle;

const TOLD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes messages as a collector does, and shows their bodies.
async fn collector() -> (String, tokio::sync::mpsc::UnboundedReceiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (seen, messages) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let seen = seen.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
                    let body = request.into_body().collect().await?.to_bytes();
                    seen.send((path, serde_json::from_slice(&body).unwrap())).unwrap();
                    Ok::<_, hyper::Error>(http::Response::new(Full::<Bytes>::default()))
                }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    (endpoint, messages)
}

fn attribute<'v>(span: &'v Value, key: &str) -> Option<&'v Value> {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|attribute| attribute["key"] == key).map(|attribute| &attribute["value"])
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_requests_reach_the_collector() {
    let (endpoint, mut messages) = collector().await;
    let settings = Telemetry { endpoint, sample_one_in: 1, service_name: "gate".to_owned() };
    let sending = start(&settings, &Handle::current()).unwrap();

    let id = RequestId::next();
    let mut headers = http::HeaderMap::new();
    headers.insert("traceparent", TOLD.parse().unwrap());
    let trace = settle(&mut headers, &id).unwrap();
    let onward = format!("00-0af7651916cd43dd8448eb211c80319c-{id}-01");
    assert_eq!(headers["traceparent"], onward, "what the upstream does belongs to our span");
    let alone = settle(&mut http::HeaderMap::new(), &RequestId::next()).unwrap();
    assert!(alone.recorded && alone.parent == 0);

    let journal = Journal::new(Arc::default(), 0);
    let answered = Instant::now();
    let facts = |trace| EventFacts {
        answered,
        answer: Answer { verdict: Verdict::Allow, status: 200, micros: 1_500, upstream_micros: Some(1_000) },
        trace,
        client: Ipv4Addr::LOCALHOST.into(),
        session: None,
        login_at: None,
        revision: None,
        action: None,
        rule: None,
        reason: None,
    };
    let (method, application, email) = ("GET", "wiki", "engineer@corp.example");
    let texts = EventTexts {
        request: id.as_str(),
        method,
        application,
        email,
        path: "/page",
        ..EventTexts::default()
    };
    journal.record(facts(Some(trace)), &texts, None);
    journal.record(facts(None), &texts, None);
    let mut batch = Batch::default();
    journal.take(&mut batch);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut spans = Spans::new();
    batch.events().for_each(|event| spans.take(&event, now));
    spans.end_turn(Urgency::Later);
    assert!(messages.try_recv().is_err(), "spans gather for a while");
    spans.end_turn(Urgency::Now);

    let (path, message) = tokio::time::timeout(PATIENCE, messages.recv()).await.unwrap().unwrap();
    assert_eq!(path, "/v1/traces");
    let resource = &message["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "gate");
    let spans_told = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans_told.len(), 1, "{message}");
    let span = &spans_told[0];
    assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((&span["spanId"], &span["parentSpanId"]), (&id.as_str().into(), &"b7ad6b7169203331".into()));
    assert_eq!((&span["kind"], &span["name"]), (&2.into(), &"GET".into()));
    let nanos = |key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    assert_eq!(nanos("endTimeUnixNano") - nanos("startTimeUnixNano"), 1_500_000);
    assert_eq!(attribute(span, "http.response.status_code").unwrap()["intValue"], "200");
    assert_eq!(attribute(span, "portcullis.application").unwrap()["stringValue"], "wiki");
    assert!(!message.to_string().contains(email), "people are not told to the collector");

    batch.events().for_each(|event| spans.take(&event, now));
    spans.end_turn(Urgency::Now);
    sending.finish().await;
    let last = tokio::time::timeout(PATIENCE, messages.recv()).await.unwrap();
    assert!(last.is_some(), "the end sends what is left");
    assert_eq!(lost(), 0);
    batch.events().for_each(|event| spans.take(&event, now));
    spans.end_turn(Urgency::Now);
    assert_eq!(lost(), 1, "what comes after the end is counted");
}
