//! A world with applications of its own, and upstreams that do as they are told, each by one function.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use portcullis_tests::browser::{Answer, Browser, Versions};
use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

pub const ENGINEER: &str = "engineer@corp.example";
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One world at a time is put together: its settings are handed over in a static.
static STARTING: Mutex<()> = Mutex::const_new(());
static NEXT: StdMutex<Next> = StdMutex::new((Vec::new(), String::new(), String::new()));

/// Applications, more lines of the configuration, and more lines of its `[server]`.
type Next = (Vec<ApplicationSettings>, String, String);

/// An application for everybody; `upstreams` is the inside of the list, `extra` more lines of the section.
pub fn application(name: &str, upstreams: &str, extra: &str) -> ApplicationSettings {
    // The one upstream of the settings stands between quotation marks.
    let inside = upstreams.trim_matches('"');
    ApplicationSettings { extra: extra.to_owned(), ..ApplicationSettings::new(name, inside, "anybody") }
}

/// A world with these applications beside its own.
pub async fn world(applications: Vec<ApplicationSettings>, extra: &str) -> World {
    made((applications, extra.to_owned(), String::new())).await
}

/// The same with a single worker, so that everybody uses the same upstream connections.
pub async fn world_of_one_worker(applications: Vec<ApplicationSettings>, extra: &str) -> World {
    made((applications, extra.to_owned(), "workers = 1\n".to_owned())).await
}

async fn made(next: Next) -> World {
    let _alone = STARTING.lock().await;
    *NEXT.lock().unwrap() = next;
    let change = |settings: &mut Settings| {
        let (applications, extra, server_extra) = std::mem::take(&mut *NEXT.lock().unwrap());
        settings.applications.extend(applications);
        (settings.extra, settings.server_extra) = (extra, server_extra);
    };
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

/// The engineer's browser, logged in on the wiki and on each of these applications, so that their upstreams are asked once.
pub async fn visitor(world: &World, versions: Versions, applications: &[&str]) -> Browser {
    let browser = Browser::speaking(&world.gateway.ca_pem(), versions);
    browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    for name in applications {
        let page = browser.navigate(&at(world, name, "/first")).await.unwrap();
        assert!(page.status != 401 && page.status != 403, "{name}: {}", page.trail());
    }
    browser
}

pub fn at(world: &World, name: &str, path: &str) -> String {
    format!("{}{path}", world.settings.application_url(name))
}

pub async fn get(browser: &Browser, world: &World, name: &str, path: &str) -> Answer {
    browser.fetch(&at(world, name, path)).await.unwrap()
}

/// What an upstream does with one request, whose head it is given: bytes to send, and whether to close then.
pub type Manner = dyn Fn(&str) -> Act + Send + Sync;

pub enum Act {
    Answer(&'static str),
    /// These bytes, and then nothing for ever.
    Stall(&'static str),
    /// These bytes again and again, with a pause between them.
    Drip(&'static str, &'static str, Duration),
    Close,
}

pub const OK: Act = Act::Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
pub const AILING: Act = Act::Answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");

/// An upstream that does as a function says.
#[derive(Clone)]
pub struct Told {
    manner: Arc<Manner>,
    heads: Arc<StdMutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Told {
    pub fn new(manner: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self { manner: Arc::new(manner), heads: Arc::default(), connections: Arc::default() }
    }

    pub async fn listen(port: u16, manner: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let told = Self::new(manner);
        let accepting = told.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        told
    }

    /// The heads of the requests with this text in them.
    pub fn heads(&self, text: &str) -> Vec<String> {
        self.heads.lock().unwrap().iter().filter(|head| head.contains(text)).cloned().collect()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let mut buffer = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                    break at + 4;
                }
                let Ok(1..) = stream.read_buf(&mut buffer).await else { return };
            };
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end);
            self.heads.lock().unwrap().push(head.clone());
            match (self.manner)(&head) {
                Act::Close => return,
                Act::Answer(bytes) => {
                    if stream.write_all(bytes.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Act::Stall(bytes) => {
                    let _ = stream.write_all(bytes.as_bytes()).await;
                    while let Ok(1..) = stream.read_buf(&mut buffer).await {}
                    return;
                }
                Act::Drip(first, bytes, pause) => {
                    let _ = stream.write_all(first.as_bytes()).await;
                    while stream.write_all(bytes.as_bytes()).await.is_ok() {
                        tokio::time::sleep(pause).await;
                    }
                    return;
                }
            }
        }
    }
}

/// Waits for an event of an upstream's state.
pub async fn told(world: &World, message: &str, endpoint: &str) {
    let event = world.gateway.log().wait_for(PATIENCE, |event| {
        let text = event.to_string();
        text.contains(message) && text.contains(endpoint)
    });
    assert!(event.await.is_some(), "`{message}` of {endpoint} was not logged");
}
