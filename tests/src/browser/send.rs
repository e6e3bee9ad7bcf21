//! One request and its answer: headers as a browser writes them, cookies from the jar and into it, connections kept
//! for the next. It follows nothing; that is `navigate`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use url::Url;

use super::jar::Crossing;
use super::{Answer, Browser, BrowserError};

/// No exchange takes longer than this to its last byte.
const PATIENCE: Duration = Duration::from_secs(30);
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) PortcullisTests/1.0";

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// What makes the browser ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initiator {
    /// The person, by typing the address or with a bookmark.
    Person,
    /// A link or form on this page.
    Page(Url),
    /// A script on this page.
    Script(Url),
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) initiator: Initiator,
    pub(crate) authority: Option<String>,
}

impl Outgoing {
    /// A page navigation by the person.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn navigation(url: &str) -> Result<Self, BrowserError> {
        Ok(Self::new(Method::GET, parse(url)?, Initiator::Person))
    }

    /// A script's request, from a page of the same origin.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn script(method: Method, url: &str) -> Result<Self, BrowserError> {
        let url = parse(url)?;
        Ok(Self::new(method, url.clone(), Initiator::Script(url)))
    }

    pub(crate) fn new(method: Method, url: Url, initiator: Initiator) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new(), initiator, authority: None }
    }

    /// Another initiator than the usual one.
    #[must_use]
    pub fn by(mut self, initiator: Initiator) -> Self {
        self.initiator = initiator;
        self
    }

    /// Names another host to the server than the one that was connected to, as no browser does.
    #[must_use]
    pub fn for_authority(mut self, authority: &str) -> Self {
        self.authority = Some(authority.to_owned());
        self
    }

    /// One more header line; it wins over what the browser would write.
    ///
    /// # Panics
    /// When it is no legal header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        self
    }

    /// A body with its type.
    #[must_use]
    pub fn body(mut self, kind: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(CONTENT_TYPE.as_str(), kind)
    }

    /// The site of a page is its host here: `localhost` counts as a public suffix, as it does in browsers.
    fn crossing(&self) -> Crossing {
        let same_site = |page: &Url| page.host() == self.url.host();
        match &self.initiator {
            Initiator::Person => Crossing::None,
            Initiator::Page(page) | Initiator::Script(page) if same_site(page) => Crossing::None,
            Initiator::Page(_) if self.method.is_safe() => Crossing::Navigation,
            Initiator::Page(_) | Initiator::Script(_) => Crossing::Subrequest,
        }
    }

    /// The headers as this browser sends them.
    pub(crate) fn full_headers(&self, cookies: Option<String>) -> HeaderMap {
        let (mode, destination, accept) = match self.initiator {
            Initiator::Script(_) => ("cors", "empty", "application/json"),
            _ => ("navigate", "document", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        };
        let site = match (&self.initiator, self.crossing()) {
            (Initiator::Person, _) => "none",
            (_, Crossing::None) => "same-origin",
            _ => "cross-site",
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert("sec-fetch-mode", HeaderValue::from_static(mode));
        headers.insert("sec-fetch-dest", HeaderValue::from_static(destination));
        headers.insert("sec-fetch-site", HeaderValue::from_static(site));
        if let (Initiator::Page(page) | Initiator::Script(page), false) =
            (&self.initiator, self.method.is_safe())
            && let Ok(origin) = page.origin().ascii_serialization().parse()
        {
            headers.insert(ORIGIN, origin);
        }
        if let Some(cookies) = cookies.and_then(|line| HeaderValue::from_str(&line).ok()) {
            headers.insert(COOKIE, cookies);
        }
        for name in self.headers.keys() {
            headers.remove(name);
        }
        headers.extend(self.headers.clone());
        headers
    }
}

impl Browser {
    /// Sends one request, follows nothing, reads the answer to its end.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn send(&self, outgoing: &Outgoing) -> Result<Answer, BrowserError> {
        let exchange = async {
            let body = Full::new(outgoing.body.clone()).boxed();
            let (response, connection) = self.open(outgoing, body).await?;
            let answer = self.read(outgoing, response).await?;
            self.pool.put(&outgoing.url, connection);
            Ok(answer)
        };
        let timeout = || BrowserError::Timeout(outgoing.url.to_string());
        tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| timeout())?
    }

    /// A script's GET, as `fetch()` does it.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn fetch(&self, url: &str) -> Result<Answer, BrowserError> {
        self.send(&Outgoing::script(Method::GET, url)?).await
    }

    /// A script's POST with a body.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn post(&self, url: &str, kind: &str, body: impl Into<Bytes>) -> Result<Answer, BrowserError> {
        self.send(&Outgoing::script(Method::POST, url)?.body(kind, body)).await
    }

    /// Sends the request and gives the answer as soon as its head is there. Cookies of the head go to the jar.
    pub(crate) async fn open(
        &self,
        outgoing: &Outgoing,
        body: Body,
    ) -> Result<(Response<Incoming>, Connection), BrowserError> {
        // A kept connection may have been closed meanwhile, or in this moment. What was never sent is sent once more, and what changes
        // nothing also when the connection ended without a word, as browsers do: whether the server had heard it cannot be known.
        let again = http_body::Body::is_end_stream(&body) || !outgoing.body.is_empty();
        if again && let Some(mut kept) = self.pool.take(&outgoing.url) {
            let copy = Full::new(outgoing.body.clone()).boxed();
            match kept.send(self.request(outgoing, copy, &kept)?).await {
                Ok(response) => {
                    self.keep_cookies(&outgoing.url, response.headers());
                    return Ok((response, kept));
                }
                Err(error) if error.is_canceled() || error.is_closed() => {}
                Err(_) if self.asks_again && outgoing.method.is_safe() => {}
                Err(error) => return Err(BrowserError::Http(outgoing.url.to_string(), error)),
            }
        }
        let mut connection =
            Connection::over(self.connector.open(&outgoing.url).await?, &outgoing.url).await?;
        let response = connection.send(self.request(outgoing, body, &connection)?).await;
        let response = response.map_err(|e| BrowserError::Http(outgoing.url.to_string(), e))?;
        self.keep_cookies(&outgoing.url, response.headers());
        Ok((response, connection))
    }

    fn request(
        &self,
        outgoing: &Outgoing,
        body: Body,
        over: &Connection,
    ) -> Result<Request<Body>, BrowserError> {
        let url = &outgoing.url;
        let authority = outgoing.authority.clone().unwrap_or_else(|| authority(url));
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = Request::builder().method(outgoing.method.clone());
        request = match over {
            Connection::Http1(_) => request.uri(target).header(HOST, &authority),
            Connection::Http2(_) => request.uri(format!("{}://{authority}{target}", url.scheme())),
        };
        let mut request = request.body(body)?;
        let cookies = self.jar.header_for(url, outgoing.crossing());
        request.headers_mut().extend(outgoing.full_headers(cookies));
        Ok(request)
    }

    pub(crate) async fn read(
        &self,
        outgoing: &Outgoing,
        response: Response<Incoming>,
    ) -> Result<Answer, BrowserError> {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| BrowserError::Http(outgoing.url.to_string(), e))?;
        let trailers = body.trailers().cloned();
        Ok(Answer {
            url: outgoing.url.clone(),
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        })
    }

    fn keep_cookies(&self, url: &Url, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            // A refused cookie is simply not there later, as in a browser.
            let _ = self.jar.set(url, &String::from_utf8_lossy(line.as_bytes()));
        }
    }
}

pub(crate) fn parse(url: &str) -> Result<Url, BrowserError> {
    let parsed = Url::parse(url).map_err(|_| BrowserError::BadUrl(url.to_owned()))?;
    match parsed.scheme() {
        "http" | "https" | "ws" | "wss" => Ok(parsed),
        _ => Err(BrowserError::BadUrl(url.to_owned())),
    }
}

pub(crate) fn authority(url: &Url) -> String {
    url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
}

/// An open connection, ready for one request or many.
pub(crate) enum Connection {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    async fn over(stream: super::Stream, url: &Url) -> Result<Self, BrowserError> {
        let broke = |e| BrowserError::Http(url.to_string(), e);
        if stream.speaks_http2() {
            let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let (sender, driver) = handshake.await.map_err(broke)?;
            tokio::spawn(driver);
            Ok(Self::Http2(sender))
        } else {
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
            tokio::spawn(driver);
            Ok(Self::Http1(sender))
        }
    }

    async fn send(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

/// Connections that are open and idle, or shared.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<String, Vec<Connection>>>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pool").finish()
    }
}

impl Pool {
    fn take(&self, url: &Url) -> Option<Connection> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pool.get_mut(&url.origin().ascii_serialization())?;
        kept.retain(|connection| match connection {
            Connection::Http1(sender) => !sender.is_closed(),
            Connection::Http2(sender) => !sender.is_closed(),
        });
        match kept.last()? {
            Connection::Http2(sender) => Some(Connection::Http2(sender.clone())),
            Connection::Http1(_) => kept.pop(),
        }
    }

    fn put(&self, url: &Url, connection: Connection) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pool.entry(url.origin().ascii_serialization()).or_default();
        // One HTTP/2 connection carries everything; keeping its clones would only grow the list.
        let have_http2 = kept.iter().any(|kept| matches!(kept, Connection::Http2(_)));
        if matches!(connection, Connection::Http1(_)) || !have_http2 {
            kept.push(connection);
        }
    }
}
