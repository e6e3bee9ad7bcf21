//! A company as a file describes it: people, groups, applications, API tokens; and the company of the demo. What becomes of
//! it at run time is for `state`.

use jsonwebtoken::jwk::Jwk;
use serde::{Deserialize, Serialize};

use super::client_key::ClientKey;
use super::groups_claim::{ClaimMode, GroupFilter};
use super::scim_client::ScimTarget;

/// Everything an org is set up with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Company {
    /// The people.
    pub people: Vec<Person>,
    /// The groups. A group that only a person names is made, and not pushed by SCIM; `Everyone` is always there.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The registered applications.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// The `SSWS` token that may read users and groups.
    #[serde(default)]
    pub api_token: Option<String>,
    /// An `SSWS` token that is known, but whose owner has no permission: 403 `E0000006`.
    #[serde(default)]
    pub powerless_api_token: Option<String>,
    /// Where users and groups are pushed to.
    #[serde(default)]
    pub scim: Option<ScimTarget>,
    /// How the groups claim behaves above 100 groups.
    #[serde(default)]
    pub claim_mode: ClaimMode,
    /// Which groups the claim holds.
    #[serde(default)]
    pub claim_filter: GroupFilter,
}

/// One person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The Okta login, an e-mail address in most companies.
    pub login: String,
    /// The password, in the clear: this is a simulator.
    pub password: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// The e-mail address where it differs from the login.
    #[serde(default)]
    pub email: Option<String>,
    /// What the ID token says of the e-mail address.
    #[serde(default = "yes")]
    pub email_verified: bool,
    /// Names of groups, `Everyone` aside.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The department, which Okta maps to the enterprise extension.
    #[serde(default)]
    pub department: Option<String>,
}

impl Person {
    /// A person named after a role: `engineer@corp.example` is `Erin Engineer` with `Person::new("engineer@corp.example", "Erin", "Engineer")`
    /// and the password `correct horse`.
    #[must_use]
    pub fn new(login: &str, given_name: &str, family_name: &str) -> Self {
        Self {
            login: login.to_owned(),
            password: DEMO_PASSWORD.to_owned(),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            email: None,
            email_verified: true,
            groups: Vec::new(),
            department: None,
        }
    }

    /// Puts the person into groups.
    #[must_use]
    pub fn in_groups<'a>(mut self, groups: impl IntoIterator<Item = &'a str>) -> Self {
        self.groups.extend(groups.into_iter().map(str::to_owned));
        self
    }
}

/// One group of type `OKTA_GROUP`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The name, which need not be unique in Okta but is here.
    pub name: String,
    /// The description.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether Group Push sends it to the SCIM target.
    #[serde(default)]
    pub pushed: bool,
}

impl Group {
    /// A group that is pushed by SCIM.
    #[must_use]
    pub fn pushed(name: &str) -> Self {
        Self { name: name.to_owned(), description: None, pushed: true }
    }

    /// A group that only Okta knows.
    #[must_use]
    pub fn unpushed(name: &str) -> Self {
        Self { name: name.to_owned(), description: None, pushed: false }
    }
}

/// One OpenID Connect application.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The client id.
    pub id: String,
    /// The secret; a client without one is public, and must use PKCE.
    #[serde(default)]
    pub secret: Option<String>,
    /// Public keys, as JWKs: the client proves itself with one of them (`private_key_jwt`), and with nothing else.
    #[serde(default)]
    pub keys: Vec<Jwk>,
    /// Scopes of the management API that are granted: this makes it a service app.
    #[serde(default)]
    pub api_scopes: Vec<String>,
    /// The sign-in redirect URIs, compared exactly.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The sign-out redirect URIs, compared exactly.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// "Require PKCE as additional verification".
    #[serde(default)]
    pub require_pkce: bool,
    /// Logins of the people assigned; nothing means everyone.
    #[serde(default)]
    pub assigned: Option<Vec<String>>,
}

impl Client {
    /// Whether it has nothing to prove itself with.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.secret.is_none() && self.keys.is_empty()
    }

    /// A web application with a secret, open to everyone.
    #[must_use]
    pub fn confidential(id: &str, secret: &str, redirect_uri: &str) -> Self {
        Self { secret: Some(secret.to_owned()), ..Self::public(id, redirect_uri) }
    }

    /// A web application that has this key, open to everyone.
    #[must_use]
    pub fn with_key(id: &str, key: &ClientKey, redirect_uri: &str) -> Self {
        Self { keys: vec![key.public.clone()], ..Self::public(id, redirect_uri) }
    }

    /// A service app that has this key and these scopes.
    #[must_use]
    pub fn service(id: &str, key: &ClientKey, scopes: &[&str]) -> Self {
        let api_scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Self { keys: vec![key.public.clone()], api_scopes, redirect_uris: Vec::new(), ..Self::public(id, "") }
    }

    /// A native or browser application, open to everyone.
    #[must_use]
    pub fn public(id: &str, redirect_uri: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: None,
            keys: Vec::new(),
            api_scopes: Vec::new(),
            redirect_uris: vec![redirect_uri.to_owned()],
            post_logout_redirect_uris: Vec::new(),
            require_pkce: false,
            assigned: None,
        }
    }
}

fn yes() -> bool {
    true
}

/// The password of everybody in the demo.
pub const DEMO_PASSWORD: &str = "correct horse";
/// The client id of the demo.
pub const DEMO_CLIENT_ID: &str = "portcullis";
/// The client secret of the demo.
pub const DEMO_CLIENT_SECRET: &str = "demo-client-secret-of-no-worth";
/// The API token of the demo.
pub const DEMO_API_TOKEN: &str = "00demoApiTokenOfNoWorth";
/// The login of the person whose groups do not fit into 100.
pub const COLLECTOR: &str = "collector@corp.example";
/// How many groups that person is in, `Everyone` aside.
pub const COLLECTOR_GROUPS: usize = 250;

impl Company {
    /// The company of the demo: eight people, one of them in 250 groups, one application and an API token.
    #[must_use]
    pub fn demo() -> Self {
        let collected =
            (1..COLLECTOR_GROUPS).map(|number| format!("Collected {number:03}")).collect::<Vec<_>>();
        let collector = Person::new(COLLECTOR, "Cole", "Collector")
            .in_groups(collected.iter().map(String::as_str))
            .in_groups(["Engineering"]);
        let groups = ["Engineering", "Contractors", "Design", "Finance", "Administrators"];
        Self {
            people: vec![
                Person::new("engineer@corp.example", "Erin", "Engineer").in_groups(["Engineering"]),
                Person::new("developer@corp.example", "Devon", "Developer").in_groups(["Engineering"]),
                Person::new("designer@corp.example", "Dana", "Designer").in_groups(["Design"]),
                Person::new("contractor@corp.example", "Connor", "Contractor")
                    .in_groups(["Engineering", "Contractors"]),
                Person::new("accountant@corp.example", "Ada", "Accountant").in_groups(["Finance"]),
                Person::new("admin@corp.example", "Addison", "Admin")
                    .in_groups(["Engineering", "Administrators"]),
                Person::new("newcomer@corp.example", "Nell", "Newcomer"),
                collector,
            ],
            groups: groups.into_iter().map(Group::pushed).collect(),
            clients: vec![Client::confidential(
                DEMO_CLIENT_ID,
                DEMO_CLIENT_SECRET,
                "https://auth.localhost:8443/cdn-cgi/access/callback",
            )],
            api_token: Some(DEMO_API_TOKEN.to_owned()),
            ..Self::default()
        }
    }
}
