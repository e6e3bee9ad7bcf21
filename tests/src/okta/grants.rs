//! What the authorization servers have given out and remember: Okta sessions, sign-ins under way, codes, access and refresh
//! tokens. Whether a person may have them is decided by `authorize` and `token`.

use std::collections::{HashMap, HashSet};

use super::discovery::AuthServer;
use super::exchange::Params;
use super::keys::random_id;

/// How long an authorization code is good for.
pub const CODE_LIFETIME_S: u64 = 300;
/// How long an access token and an ID token are good for.
pub const TOKEN_LIFETIME_S: u64 = 3600;
/// How long a rotated refresh token is still taken.
pub const REFRESH_LEEWAY_S: u64 = 30;

/// What becomes of a refresh token that was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// That of a public client is replaced, and taken for a while yet; that of a confidential one stays.
    #[default]
    ByClient,
    /// Every one is replaced at once; a second use ends all that descend from the same login.
    SingleUse,
}
/// How long an Okta session lasts.
pub const SESSION_LIFETIME_S: u64 = 2 * 3600;

/// An authorization request that was found in order.
#[derive(Clone, Debug)]
pub(super) struct AuthorizeRequest {
    pub(super) server: AuthServer,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) response_mode: ResponseMode,
    pub(super) state: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) prompt: Option<String>,
    pub(super) max_age_s: Option<u64>,
    pub(super) acr_values: Vec<String>,
    pub(super) login_hint: Option<String>,
}

/// How the callback gets its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseMode {
    Query,
    Fragment,
    FormPost,
}

/// The browser's session with Okta itself.
#[derive(Clone, Debug)]
pub(super) struct OktaSession {
    pub(super) person_id: String,
    pub(super) auth_time: u64,
    /// The context that was asked for and reached.
    pub(super) acr: Option<String>,
}

/// What a code or a refresh token stands for.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) server: AuthServer,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) person_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) auth_time: u64,
    pub(super) acr: Option<String>,
    pub(super) issued_at: u64,
}

#[derive(Clone, Debug)]
pub(super) struct RefreshToken {
    pub(super) grant: Grant,
    /// All tokens that descend from one login.
    pub(super) family: String,
    pub(super) replaced_at: Option<u64>,
}

/// Everything given out.
#[derive(Default)]
pub(super) struct Grants {
    sessions: HashMap<String, OktaSession>,
    sign_ins: HashMap<String, AuthorizeRequest>,
    pushed: HashMap<String, (String, Params)>,
    pub(super) last_pushed: Params,
    codes: HashMap<String, Grant>,
    access: HashMap<String, Grant>,
    refresh: HashMap<String, RefreshToken>,
    pub(super) rotation: Rotation,
    /// Access tokens of service apps: their scopes, and when they were issued.
    service: HashMap<String, (Vec<String>, u64)>,
    /// The `jti` of every client assertion that was taken.
    assertions: HashSet<String>,
}

impl Grants {
    /// Whether this `jti` is new; it no longer is.
    pub(super) fn spend_assertion(&mut self, jti: &str) -> bool {
        self.assertions.insert(jti.to_owned())
    }

    pub(super) fn issue_service_token(&mut self, scopes: Vec<String>, now: u64) -> String {
        keep(&mut self.service, "eyJ", (scopes, now))
    }

    /// The scopes of a service app's token that lives.
    pub(super) fn service_scopes(&self, token: &str, now: u64) -> Option<&[String]> {
        let (scopes, issued_at) = self.service.get(token)?;
        (now < issued_at + TOKEN_LIFETIME_S).then_some(scopes)
    }

    pub(super) fn forget_service_tokens(&mut self) {
        self.service.clear();
    }

    pub(super) fn open_session(&mut self, session: OktaSession) -> String {
        keep(&mut self.sessions, "", session)
    }

    pub(super) fn session(&self, id: &str, now: u64) -> Option<&OktaSession> {
        self.sessions.get(id).filter(|session| now < session.auth_time + SESSION_LIFETIME_S)
    }

    pub(super) fn close_session(&mut self, id: &str) -> Option<OktaSession> {
        self.sessions.remove(id)
    }

    pub(super) fn begin_sign_in(&mut self, request: AuthorizeRequest) -> String {
        keep(&mut self.sign_ins, "", request)
    }

    /// The request stays, so that a mistyped password can be corrected.
    pub(super) fn sign_in(&self, state_token: &str) -> Option<&AuthorizeRequest> {
        self.sign_ins.get(state_token)
    }

    pub(super) fn end_sign_in(&mut self, state_token: &str) {
        self.sign_ins.remove(state_token);
    }

    pub(super) fn push_request(&mut self, client_id: &str, params: Params) -> String {
        self.last_pushed = params.clone();
        keep(&mut self.pushed, "urn:okta:", (client_id.to_owned(), params))
    }

    /// A pushed request is used by the client that pushed it, once.
    pub(super) fn take_pushed(&mut self, uri: &str, client_id: &str) -> Option<Params> {
        self.pushed.get(uri).filter(|(pusher, _)| pusher == client_id)?;
        self.pushed.remove(uri).map(|(_, params)| params)
    }

    pub(super) fn issue_code(&mut self, grant: Grant) -> String {
        keep(&mut self.codes, "", grant)
    }

    /// A code is gone after the first try, whether that try succeeds or not.
    pub(super) fn take_code(&mut self, code: &str, now: u64) -> Option<Grant> {
        self.codes.remove(code).filter(|grant| now < grant.issued_at + CODE_LIFETIME_S)
    }

    pub(super) fn remember_access(&mut self, token: String, grant: Grant) {
        self.access.insert(token, grant);
    }

    pub(super) fn access(&self, token: &str, now: u64) -> Option<&Grant> {
        self.access.get(token).filter(|grant| now < grant.issued_at + TOKEN_LIFETIME_S)
    }

    pub(super) fn issue_refresh(&mut self, grant: Grant, family: Option<String>) -> String {
        let family = family.unwrap_or_else(|| random_id(16));
        keep(&mut self.refresh, "", RefreshToken { grant, family, replaced_at: None })
    }

    /// The token if it may still be used. One that was replaced longer ago than the leeway takes its family with it.
    pub(super) fn use_refresh(&mut self, token: &str, now: u64) -> Option<RefreshToken> {
        let found = self.refresh.get(token)?.clone();
        let leeway_s = match self.rotation {
            Rotation::ByClient => Some(REFRESH_LEEWAY_S),
            Rotation::SingleUse => None,
        };
        if found.replaced_at.is_some_and(|at| leeway_s.is_none_or(|leeway_s| now > at + leeway_s)) {
            self.refresh.retain(|_, other| other.family != found.family);
            return None;
        }
        Some(found)
    }

    pub(super) fn replace_refresh(&mut self, token: &str, now: u64) {
        if let Some(replaced) = self.refresh.get_mut(token) {
            replaced.replaced_at.get_or_insert(now);
        }
    }

    pub(super) fn revoke_token(&mut self, token: &str) {
        self.access.remove(token);
        if let Some(gone) = self.refresh.remove(token) {
            self.refresh.retain(|_, other| other.family != gone.family);
        }
    }

    /// A deactivated person keeps nothing.
    pub(super) fn forget_person(&mut self, person_id: &str) {
        self.sessions.retain(|_, session| session.person_id != person_id);
        self.codes.retain(|_, grant| grant.person_id != person_id);
        self.access.retain(|_, grant| grant.person_id != person_id);
        self.refresh.retain(|_, token| token.grant.person_id != person_id);
    }
}

fn keep<T>(shelf: &mut HashMap<String, T>, prefix: &str, thing: T) -> String {
    let key = format!("{prefix}{}", random_id(32));
    shelf.insert(key.clone(), thing);
    key
}
