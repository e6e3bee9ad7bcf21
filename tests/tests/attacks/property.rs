//! T16 on the whole program: requests made up at random, over kept connections and both versions of HTTP. What the policy saw
//! of path, host and person is what the upstream decodes from the bytes it got; or the request ended.

use std::collections::HashMap;
use std::time::Instant;

use portcullis_tests::harness::WorldConfig;
use serde_json::Value;

use super::frames::{Frames, Outcome};
use super::rig::{ENGINEER, Mark, Rig, alone};
use super::wire::{Reply, Wire};

/// How many requests each of the connections carries.
const REQUESTS: usize = 900;
const CONNECTIONS: usize = 4;
/// Another seed makes other requests.
const SEED_VARIABLE: &str = "PORTCULLIS_SEED";
/// Stands in every value that would be an identity.
const FORGED: &str = "forged-by-the-client";

/// Pieces of paths that have been read differently by different servers, among ordinary ones.
const PIECES: [&str; 56] = [
    "a",
    "b1",
    "admin",
    "public",
    "wiki.html",
    "A",
    "-",
    "_",
    "~",
    "",
    "/",
    "//",
    ".",
    "..",
    "...",
    "%2e",
    "%2E%2e",
    ".%2e",
    "%252e",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    ";",
    ";x=1",
    "..;",
    "%3b",
    "%00",
    "%0d%0a",
    "%20",
    "+",
    "%c3%a9",
    "%C3%A9",
    "%c0%af",
    "%ff",
    "é",
    "%",
    "%z",
    "%4",
    "%61",
    "%41",
    "%7e",
    "%40",
    "@",
    ":",
    "*",
    "|",
    "^",
    "{x}",
    "[1]",
    "$(x)",
    "'",
    "\"",
    "<b>",
    "cdn-cgi",
    "access",
];
const QUERIES: [&str; 10] =
    ["", "?", "?a=b", "?a=%2f..%2f", "?/admin", "?a?b", "?;x", "?a=b&a=c", "?%zz", "?//"];
/// Names that tell identity, place or framing, before they are misspelled.
const NAMES: [&str; 16] = [
    "cf-access-authenticated-user-email",
    "cf-access-jwt-assertion",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "forwarded",
    "x-original-url",
    "x-rewrite-url",
    "x-real-ip",
    "remote-user",
    "x-auth-user",
    "x-http-method-override",
    "x-request-id",
    "x-user",
    "proxy-authorization",
];

/// xorshift64*: enough to choose, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.roll(from.len())]
    }

    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..=self.roll(4) {
            path.push('/');
            for _ in 0..=self.roll(2) {
                // Half of all pieces are ordinary, or hardly any path would pass.
                let pieces = if self.roll(2) == 0 { &PIECES[..9] } else { &PIECES[..] };
                path.push_str(self.pick(pieces));
            }
        }
        path
    }

    /// A name in some spelling.
    fn spelling(&mut self, name: &str) -> String {
        let letter = |letter: char, dice: &mut Self| match (letter, dice.roll(8)) {
            ('-', 0) => '_',
            ('-', 1) => '.',
            (letter, 2..=4) => letter.to_ascii_uppercase(),
            (letter, _) => letter,
        };
        name.chars().map(|known| letter(known, self)).collect()
    }

    fn fields(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for _ in 0..self.roll(5) {
            let name = self.pick(&NAMES);
            fields.push((self.spelling(name), FORGED.to_owned()));
        }
        match self.roll(8) {
            0 => fields.push(("Connection".to_owned(), format!("{}, x-kept", self.pick(&NAMES)))),
            1 => fields.push(("Cookie".to_owned(), format!("__Host-portcullis-x={FORGED}; kept=1"))),
            2 => fields.push(("X-Kept".to_owned(), "caf\u{e9}".to_owned())),
            3 => fields.push(("Authorization".to_owned(), "Basic a2VwdA==".to_owned())),
            _ => {}
        }
        fields
    }

    fn host(&mut self, port: u16) -> String {
        match self.roll(24) {
            0 => "wiki.localhost".to_owned(),
            1 => format!("WIKI.Localhost:{port}"),
            2 => format!("wiki.localhost.:{port}"),
            3 => format!("canteen.localhost:{port}"),
            4 => format!("unknown.localhost:{port}"),
            5 => format!("x@wiki.localhost:{port}"),
            _ => format!("wiki.localhost:{port}"),
        }
    }
}

/// One made-up request.
struct Case {
    mark: Mark,
    target: String,
    host: String,
    /// The status of the answer; none when there was none.
    status: Option<u16>,
}

#[test]
fn t16_what_the_policy_saw_is_what_the_upstream_decodes() {
    alone(async || {
        let seed =
            std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x00c0_ffee_u64);
        println!("{SEED_VARIABLE}={seed}");
        let begun = Instant::now();
        let rig = Rig::start(WorldConfig::default()).await;
        let port = rig.world.settings.port;
        let mut cases = Vec::new();
        let dice = |number: u64| Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number + 1));
        let one = async |number| over_http1(&rig, &mut dice(number), port).await;
        let two = async |number| over_http2(&rig, &mut dice(number), port).await;
        let (first, second, third, fourth) = tokio::join!(one(0), one(1), two(2), two(3));
        for some in [first, second, third, fourth] {
            assert_eq!(some.len(), REQUESTS);
            cases.extend(some);
        }
        assert_eq!(cases.len(), REQUESTS * CONNECTIONS);
        let forwarded = check(&rig, &cases).await;
        println!("{} requests, {forwarded} forwarded, in {:?}", cases.len(), begun.elapsed());
        // Neither end of the property may be empty.
        assert!(
            forwarded > cases.len() / 10 && forwarded < cases.len() * 9 / 10,
            "{forwarded} of {}",
            cases.len()
        );
    });
}

async fn over_http1(rig: &Rig, dice: &mut Dice, port: u16) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut wire: Option<Wire> = None;
    while cases.len() < REQUESTS {
        let (mark, host) = (Mark::new(), dice.host(port));
        let mut target = format!("{}{}", dice.path(), dice.pick(&QUERIES));
        if dice.roll(16) == 0 {
            target = format!("https://{}{target}", dice.host(port));
        }
        let mut request =
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Mark: {mark}\r\nCookie: {}\r\n", rig.cookie);
        for (name, value) in dice.fields() {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let open = match wire.take() {
            Some(open) => open,
            None => rig.wire().await,
        };
        let mut open = open;
        open.send(request.as_bytes()).await;
        let reply = open.reply().await;
        let ends = |reply: &Reply| reply.header("connection").eq_ignore_ascii_case("close");
        if !reply.as_ref().is_none_or(ends) {
            wire = Some(open);
        }
        cases.push(Case { mark, target, host, status: reply.map(|reply| reply.status) });
    }
    cases
}

async fn over_http2(rig: &Rig, dice: &mut Dice, port: u16) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut frames: Option<Frames> = None;
    while cases.len() < REQUESTS {
        let (mark, host) = (Mark::new(), dice.host(port));
        let target = format!("{}{}", dice.path(), dice.pick(&QUERIES));
        let text = mark.to_string();
        let mut fields = rig.fields(&host, target.as_bytes(), &text);
        let made = dice.fields();
        let lower: Vec<(String, String)> =
            made.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        fields.extend(lower.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let mut open = match frames.take() {
            Some(open) => open,
            None => rig.frames().await,
        };
        let outcome = open.ask(&fields).await;
        if !matches!(outcome, Outcome::Connection(_)) {
            frames = Some(open);
        }
        let status = if let Outcome::Answer(status, _) = outcome { Some(status) } else { None };
        cases.push(Case { mark, target, host, status });
    }
    cases
}

/// Compares, for every request that arrived, what the log says with what the bytes say; how many arrived.
async fn check(rig: &Rig, cases: &[Case]) -> usize {
    let arrived: HashMap<String, String> = rig
        .all_arrived()
        .into_iter()
        .filter_map(|request| Some((field(&request, "x-mark")?, request)))
        .collect();
    let events = all_events(rig, &arrived).await;
    let mut forwarded = 0;
    for case in cases {
        let shown = format!("{} on {} ({:?}) {}", case.target, case.host, case.status, case.mark);
        let Some(request) = arrived.get(&case.mark.to_string()) else {
            assert!(is_an_end(case), "{shown}: neither forwarded nor ended");
            continue;
        };
        forwarded += 1;
        assert!(
            matches!(case.status, Some(200 | 404 | 426)),
            "{shown}: it was refused and forwarded:\n{request}"
        );
        let id = field(request, "x-request-id").unwrap();
        let event = events.get(&id).unwrap_or_else(|| panic!("{shown}: no event"));
        assert_same_path(case, request, event, &shown);
        assert_same_host(rig, case, request, event, &shown);
        assert_same_person(request, event, &shown);
    }
    assert_eq!(arrived.len(), forwarded, "the upstream got what nobody sent");
    forwarded
}

/// The event of each request that arrived, once all are written.
async fn all_events(rig: &Rig, arrived: &HashMap<String, String>) -> HashMap<String, Value> {
    let wanted: Vec<String> = arrived.values().filter_map(|request| field(request, "x-request-id")).collect();
    for _ in 0..100 {
        let events = rig.world.gateway.log().events();
        let named =
            events.into_iter().filter_map(|event| Some((event["request"].as_str()?.to_owned(), event)));
        let events: HashMap<String, Value> = named.collect();
        if wanted.iter().all(|id| events.contains_key(id)) {
            return events;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("not every forwarded request has its event");
}

/// A refusal, or one of our own endpoints, or the end of the connection or stream.
fn is_an_end(case: &Case) -> bool {
    match case.status {
        None => true,
        Some(200 | 303) => case.target.contains("cdn-cgi/access/"),
        Some(status) => (400..500).contains(&status) || status == 501,
    }
}

/// The policy's path, decoded, is the client's path, decoded, and the upstream's, byte for byte.
fn assert_same_path(case: &Case, request: &str, event: &Value, shown: &str) {
    let line = request.lines().next().unwrap();
    let target = line
        .strip_prefix("GET ")
        .and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
        .unwrap_or_else(|| panic!("{shown}: {line}"));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    assert_eq!(event["path"], path, "{shown}: judged and forwarded paths differ");
    let asked = case
        .target
        .strip_prefix("https://")
        .map_or(case.target.as_str(), |rest| &rest[rest.find('/').unwrap()..]);
    let (asked_path, asked_query) =
        asked.split_once('?').map_or((asked, None), |(path, query)| (path, Some(query)));
    assert_eq!(decoded(path), decoded(asked_path), "{shown}: another path was forwarded");
    assert_eq!(query, asked_query.filter(|query| !query.is_empty()), "{shown}: another query was forwarded");
    let text = String::from_utf8(decoded(path)).unwrap_or_else(|_| panic!("{shown}: {path} is no text"));
    let hidden = text.split('/').any(|segment| matches!(segment, "." | ".."));
    assert!(
        !hidden && !text.contains("//") && !text.contains(['\\', ';', '\0', '#'])
            || text.contains(';') && path.contains("%3B"),
        "{shown}: {path}"
    );
}

fn assert_same_host(rig: &Rig, case: &Case, request: &str, event: &Value, shown: &str) {
    assert!(
        case.host.to_ascii_lowercase().starts_with("wiki.localhost"),
        "{shown}: forwarded for another host"
    );
    assert_eq!(event["host"], "wiki.localhost", "{shown}");
    assert_eq!(event["application"], "wiki", "{shown}");
    for name in ["host", "x-forwarded-host"] {
        assert_eq!(all(request, name), [rig.host()], "{shown}: {name}");
    }
    assert_eq!(all(request, "x-forwarded-proto"), ["https"], "{shown}");
    assert_eq!(all(request, "x-forwarded-for"), [event["client"].as_str().unwrap()], "{shown}");
}

fn assert_same_person(request: &str, event: &Value, shown: &str) {
    assert_eq!(event["email"], ENGINEER, "{shown}");
    assert_eq!(event["verdict"], "allow", "{shown}");
    assert_eq!(all(request, "cf-access-authenticated-user-email"), [ENGINEER], "{shown}");
    assert_eq!(all(request, "cf-access-jwt-assertion").len(), 1, "{shown}");
    assert!(!request.contains(FORGED), "{shown}: a forged field came through:\n{request}");
    assert!(!request.contains("__Host-portcullis"), "{shown}: our cookie came through:\n{request}");
    let names = request.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name);
    for name in names {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{shown}: `{name}`");
    }
}

/// The values of a field, in order.
fn all(request: &str, name: &str) -> Vec<String> {
    let fields = request.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}

fn field(request: &str, name: &str) -> Option<String> {
    all(request, name).into_iter().next()
}

/// Percent-decoded once, as every server does.
fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let pair: Option<[u8; 2]> =
            (byte == b'%').then(|| bytes.clone().take(2).collect::<Vec<u8>>().try_into().ok()).flatten();
        let pair = pair.and_then(|pair| u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok());
        if pair.is_some() {
            bytes.nth(1);
        }
        decoded.push(pair.unwrap_or(byte));
    }
    decoded
}
