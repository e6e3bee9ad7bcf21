//! A configuration for a test: the documented shape, with the parts that tests change as fields.

use std::fmt::Write as _;

/// What a gateway under test is told. Every field may be changed before it is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The public port.
    pub port: u16,
    /// The port that browsers use, when another server stands in front.
    pub public_port: Option<u16>,
    /// The port for health.
    pub inner_port: u16,
    /// The host that carries login.
    pub auth_host: String,
    /// More lines for the server's section.
    pub server_extra: String,
    /// The provider's `type`.
    pub provider_type: String,
    /// Its issuer.
    pub issuer: String,
    /// Its client id.
    pub client_id: String,
    /// Its client secret, given through the environment; `None` is a public client.
    pub client_secret: Option<String>,
    /// The API token, given through the environment.
    pub api_token: Option<String>,
    /// More secrets, given through the environment: name and value.
    pub secrets: Vec<(String, String)>,
    /// More lines for the provider's section.
    pub provider_extra: String,
    /// More lines for the directory's section.
    pub directory_extra: String,
    /// The applications.
    pub applications: Vec<ApplicationSettings>,
    /// The policies, as TOML.
    pub policies: String,
    /// More TOML at the end.
    pub extra: String,
}

/// One application of a test.
#[derive(Debug, Clone)]
pub struct ApplicationSettings {
    /// Its name.
    pub name: String,
    /// Its one host.
    pub host: String,
    /// Its one upstream; empty when it has none.
    pub upstream: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// More lines for its section.
    pub extra: String,
}

impl ApplicationSettings {
    /// An application under `NAME.localhost` with one policy.
    #[must_use]
    pub fn new(name: &str, upstream: &str, policy: &str) -> Self {
        Self {
            name: name.to_owned(),
            host: format!("{name}.localhost"),
            upstream: upstream.to_owned(),
            policies: vec![policy.to_owned()],
            extra: String::new(),
        }
    }
}

/// Engineers who are no contractors; and everybody.
const POLICIES: &str = r#"
[[policy]]
name = "engineering"
action = "allow"
include = [{ group = "Engineering" }]
exclude = [{ group = "Contractors" }]

[[policy]]
name = "anybody"
action = "allow"
include = [{ everyone = true }]
"#;

impl Settings {
    /// The names of the environment variables that hold the secrets.
    pub const SECRET_VARIABLE: &'static str = "OKTA_CLIENT_SECRET";
    /// See [`Settings::SECRET_VARIABLE`].
    pub const TOKEN_VARIABLE: &'static str = "OKTA_API_TOKEN";

    /// A wiki for engineers and a canteen for everybody, on free ports.
    #[must_use]
    pub fn new(issuer: &str, upstream: &str) -> Self {
        Self {
            port: super::ports::free(),
            public_port: None,
            inner_port: super::ports::free(),
            auth_host: "auth.localhost".to_owned(),
            server_extra: String::new(),
            provider_type: "okta".to_owned(),
            issuer: issuer.to_owned(),
            client_id: "portcullis".to_owned(),
            client_secret: None,
            api_token: None,
            secrets: Vec::new(),
            provider_extra: String::new(),
            directory_extra: String::new(),
            applications: vec![
                ApplicationSettings::new("wiki", upstream, "engineering"),
                ApplicationSettings::new("canteen", upstream, "anybody"),
            ],
            policies: POLICIES.to_owned(),
            extra: String::new(),
        }
    }

    /// The port that browsers use.
    #[must_use]
    pub fn public(&self) -> u16 {
        self.public_port.unwrap_or(self.port)
    }

    /// The address of the login host, without a slash at the end.
    #[must_use]
    pub fn auth_url(&self) -> String {
        format!("https://{}:{}", self.auth_host, self.public())
    }

    /// The redirect URI to register at the provider.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}/cdn-cgi/access/callback", self.auth_url())
    }

    /// The address of an application, without a slash at the end.
    ///
    /// # Panics
    /// When there is no application of this name.
    #[must_use]
    pub fn application_url(&self, name: &str) -> String {
        let application =
            self.applications.iter().find(|a| a.name == name).expect("an application of this name");
        format!("https://{}:{}", application.host, self.public())
    }

    /// The environment that goes with it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let secret =
            self.client_secret.iter().map(|secret| (Self::SECRET_VARIABLE.to_owned(), secret.clone()));
        let token = self.api_token.iter().map(|token| (Self::TOKEN_VARIABLE.to_owned(), token.clone()));
        secret.chain(token).chain(self.secrets.iter().cloned()).collect()
    }

    /// The file.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut text = format!(
            "[server]\nlisten = [\"127.0.0.1:{}\"]\nauth_host = \"{}\"\ninner_listen = \"127.0.0.1:{}\"\n{}\n\
             [tls]\nself_signed = true\n[store]\nurl = \"sqlite:portcullis.db\"\n\
             [[identity_provider]]\nname = \"okta\"\ntype = \"{}\"\nissuer = \"{}\"\nclient_id = \"{}\"\n",
            self.port,
            self.auth_host,
            self.inner_port,
            self.public_port.map(|port| format!("public_port = {port}\n")).unwrap_or_default()
                + &self.server_extra,
            self.provider_type,
            self.issuer,
            self.client_id,
        );
        if self.client_secret.is_some() {
            let _ = writeln!(text, "client_secret = {{ env = \"{}\" }}", Self::SECRET_VARIABLE);
        }
        if self.api_token.is_some() {
            let _ = writeln!(text, "api_token = {{ env = \"{}\" }}", Self::TOKEN_VARIABLE);
        }
        let _ = writeln!(text, "{}", self.provider_extra);
        let directory = &self.directory_extra;
        let _ = writeln!(text, "[[directory]]\nname = \"corp\"\nidentity_provider = \"okta\"\n{directory}");
        for application in &self.applications {
            let ApplicationSettings { name, host, upstream, policies, extra } = application;
            let _ = writeln!(
                text,
                "[[application]]\nname = \"{name}\"\nhosts = [\"{host}\"]\npolicies = {policies:?}"
            );
            if !upstream.is_empty() {
                let _ = writeln!(text, "upstreams = [\"{upstream}\"]");
            }
            let _ = writeln!(text, "{extra}");
        }
        format!("{text}{}\n{}\n", self.policies, self.extra)
    }
}
