//! `scim2-server` as a running process with one user, and how the SPEC suite reaches it.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::Method;
use portcullis_tests::browser::{Browser, Outgoing};
use portcullis_tests::okta::{Dialect, ScimTarget};
use portcullis_tests::outside::scim2_server;
use serde_json::{Value, json};

use crate::okta_spec::{Credential, Reply, Sink};

const TOKEN: &str = "reference-key";
/// Python has to load it all first.
const START_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Reference {
    child: Child,
    base_url: String,
    browser: Browser,
}

impl Reference {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(scim2_server());
        command.args(["--port", &port.to_string(), "--bearer-token", TOKEN]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // It is plain HTTP; the browser wants an authority all the same.
        let made = rcgen::generate_simple_self_signed(vec!["reference.localhost".to_owned()]).unwrap();
        let mut this = Self {
            child,
            base_url: format!("http://127.0.0.1:{port}/v2"),
            browser: Browser::new(&made.cert.pem()),
        };
        let until = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(this.child.try_wait().unwrap().is_none(), "scim2-server left");
            assert!(Instant::now() < until, "scim2-server was not ready in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let first = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "first@corp.example", "active": true,
            "name": {"givenName": "Jane", "familyName": "Doe"},
            "emails": [{"primary": true, "value": "first@corp.example", "type": "work"}],
        });
        assert_eq!(this.post("/Users", &first).await.status, 201);
        this
    }

    pub(crate) fn target(&self, dialect: Dialect) -> ScimTarget {
        ScimTarget {
            base_url: self.base_url.clone(),
            token: TOKEN.to_owned(),
            bearer: true,
            ca_pem: None,
            dialect,
        }
    }

    async fn send(&self, outgoing: Outgoing) -> Reply {
        let answer = self.browser.send(&outgoing).await.unwrap();
        Reply { status: answer.status.as_u16(), body: answer.json() }
    }

    fn request(&self, method: Method, path: &str) -> Outgoing {
        let path = path.replace(' ', "%20").replace('"', "%22");
        Outgoing::script(method, &format!("{}{path}", self.base_url)).unwrap()
    }
}

impl Sink for Reference {
    async fn get(&self, path: &str, credential: Credential) -> Reply {
        let auth = match credential {
            Credential::Good => format!("Bearer {TOKEN}"),
            Credential::NoToken => "non-token".to_owned(),
        };
        let request = self.request(Method::GET, path).header("accept", "application/scim+json");
        let request = request.header("user-agent", "OKTA SCIM Integration").header("authorization", &auth);
        self.send(request).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, path).header("authorization", &format!("Bearer {TOKEN}"));
        self.send(request.body("application/json", body.to_string())).await
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
