//! A provider tried out for an administrator, step by step, by the same code that logs people in. What a step found is told in
//! words; printing it is left to the command line.

use http::header::{DATE, LOCATION};
use http::{HeaderMap, Request, Response};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use super::discovery::Metadata;
use super::exchange::get;
use super::{AuthorizationRequest, Provider, ProviderError, Wanted};
use crate::causes::with_causes;
use crate::config::{ClientAuthentication, PushedRequests};
use crate::login::claims::LEEWAY_S;
use crate::login::groups::try_api;
use crate::seal::random_text;

/// Somebody whom no organisation has: who asks for their groups learns whether asking is allowed.
const NOBODY: &str = "portcullis-idp-test";

/// What one step found.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// Logins may work; this cannot be known from here, or has a price.
    Doubtful,
    /// Logins fail.
    Failed,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Doubtful => "warning",
            Self::Failed => "failed",
        }
    }
}

impl Step {
    fn good(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, text: text.into(), advice: None }
    }

    fn doubtful(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Doubtful, text: text.into(), advice: Some(advice.into()) }
    }

    fn failed(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Failed, text: text.into(), advice: Some(advice.into()) }
    }

    fn of_error(name: &'static str, error: &ProviderError) -> Self {
        Self::failed(name, with_causes(error), advice(error))
    }
}

impl Provider {
    /// All steps that can be made. `user` is somebody, by id or login, whose groups are fetched.
    pub(crate) async fn examine(&self, redirect_uri: &str, user: Option<&str>, now: i64) -> Vec<Step> {
        let mut steps = Vec::new();
        let metadata = match self.metadata(now).await {
            Ok(metadata) => metadata,
            Err(error) => {
                steps.push(Step::of_error("discovery", &error));
                steps.extend(self.examine_groups(user, now).await);
                return steps;
            }
        };
        steps
            .push(Step::good("discovery", format!("`{}` answers and calls itself so", self.settings.issuer)));
        let metadata = &metadata.content;
        steps.extend(self.examine_keys(metadata, now).await);
        steps.push(self.examine_client(metadata, redirect_uri, now).await);
        steps.push(self.examine_scopes(metadata));
        steps.extend(self.examine_login(metadata, redirect_uri, now).await);
        steps.extend(self.examine_groups(user, now).await);
        steps
    }

    /// The keys, and by the head of their answer the clock.
    async fn examine_keys(&self, metadata: &Metadata, now: i64) -> Vec<Step> {
        let address = self.settings.jwks_uri.as_ref().unwrap_or(&metadata.jwks_uri);
        let clock = match get(&self.http, address, "key set").await {
            Ok(answer) => examine_clock(answer.headers(), now),
            Err(error) => return vec![Step::of_error("keys", &error)],
        };
        let keys = match self.fetch_keys(metadata).await {
            Ok(keys) => Step::good("keys", format!("{} keys that can be used", keys.content.keys().len())),
            Err(error) => Step::of_error("keys", &error),
        };
        vec![clock, keys]
    }

    /// A code that nobody was given is refused for itself only when the client was believed before.
    async fn examine_client(&self, metadata: &Metadata, redirect_uri: &str, now: i64) -> Step {
        const NAME: &str = "client";
        let verifier = random_text::<32>().unwrap_or_default();
        let form = vec![
            ("grant_type", "authorization_code"),
            ("code", NOBODY),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.as_str()),
        ];
        let proof = match self.settings.client_authentication {
            ClientAuthentication::Public => "a public client",
            ClientAuthentication::SecretBasic(_) => "client_secret_basic",
            ClientAuthentication::SecretPost(_) => "client_secret_post",
            ClientAuthentication::PrivateKeyJwt(_) => "private_key_jwt",
        };
        match self.ask_for_tokens(metadata, form, now).await {
            Err(ProviderError::CodeRefused { .. }) => {
                Step::good(NAME, format!("the client id and its proof ({proof}) are accepted"))
            }
            Err(error @ ProviderError::Refused { .. }) => Step::doubtful(
                NAME,
                with_causes(&error),
                "the provider does not say whether it believes the client; is the grant type Authorization Code ticked?",
            ),
            Err(error) => Step::of_error(NAME, &error),
            Ok(_) => Step::failed(
                NAME,
                "the provider gives tokens for a code that it never gave out",
                "do not use this provider",
            ),
        }
    }

    fn examine_scopes(&self, metadata: &Metadata) -> Step {
        const NAME: &str = "scopes";
        let Some(supported) = &metadata.scopes_supported else {
            return Step::doubtful(NAME, "the provider does not announce its scopes", "a login will tell");
        };
        let missing: Vec<&str> = self
            .settings
            .scopes
            .iter()
            .filter(|scope| !supported.contains(scope))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return Step::good(NAME, self.settings.scopes.join(" "));
        }
        Step::doubtful(
            NAME,
            format!("asked for and not announced: {}", missing.join(" ")),
            "add them at the authorization server, or take them out of `scopes`; `groups` is not needed where the claim \
             comes with another scope",
        )
    }

    /// A login as far as it goes without anybody: the provider is asked not to show a page.
    async fn examine_login(&self, metadata: &Metadata, redirect_uri: &str, now: i64) -> Vec<Step> {
        const NAME: &str = "redirect URI";
        let (state, nonce) =
            (random_text::<16>().unwrap_or_default(), random_text::<16>().unwrap_or_default());
        let verifier = random_text::<32>().unwrap_or_default();
        let request = AuthorizationRequest {
            redirect_uri,
            state: &state,
            nonce: &nonce,
            code_verifier: self.settings.pkce.then_some(verifier.as_str()),
            login_hint: None,
            wanted: &Wanted::default(),
        };
        let mut steps = Vec::new();
        let mut url = match self.authorization_url(&request, now).await {
            Ok(url) => url,
            Err(error) => return vec![Step::of_error("pushed request", &error)],
        };
        if url.query_pairs().any(|(name, _)| name == "request_uri") {
            steps.push(Step::good("pushed request", "the provider takes what a login asks for"));
        } else {
            url.query_pairs_mut().append_pair("prompt", "none");
            if metadata.pushed_requests_endpoint.is_some()
                && self.settings.pushed_requests == PushedRequests::Auto
            {
                steps.push(Step::doubtful(
                    "pushed request",
                    "the provider offers them, and does not take ours for the moment",
                    "logins go on without; try again later",
                ));
            }
        }
        let address = url.as_str().parse().map(|uri| {
            let mut asked = Request::new(Vec::new());
            *asked.uri_mut() = uri;
            asked
        });
        let Ok(asked) = address else { return steps };
        let answer = self.http.send(asked).await;
        steps.push(match answer.map_err(|error| ProviderError::exchange("authorization endpoint", error)) {
            Ok(answer) => judge_login(NAME, &answer, redirect_uri, &url),
            Err(error) => Step::of_error(NAME, &error),
        });
        steps
    }

    async fn examine_groups(&self, user: Option<&str>, now: i64) -> Option<Step> {
        const NAME: &str = "groups API";
        let is_okta = self.settings.groups_api.is_some();
        let Some(asked) = try_api(self, user.unwrap_or(NOBODY), now).await else {
            return is_okta.then(|| {
                Step::doubtful(
                    NAME,
                    "there is no `api_token` and no service app to ask it with",
                    "people for whom the claim lists exactly 100 groups are refused, since it may have been cut there; \
                     with a read-only API token nobody is",
                )
            });
        };
        Some(match (asked, user) {
            (Ok(groups), Some(user)) => {
                Step::good(NAME, format!("`{user}` is in {} groups: {}", groups.len(), some_of(&groups)))
            }
            (Err(ProviderError::GroupsUserUnknown), None) => {
                Step::good(NAME, "it may be asked; name somebody with --user to see their groups")
            }
            (Ok(_), None) => Step::good(NAME, "it may be asked"),
            (Err(error), _) => Step::of_error(NAME, &error),
        })
    }
}

/// How many groups are named.
const SHOWN_GROUPS: usize = 10;

fn some_of(groups: &[String]) -> String {
    let mut text: Vec<&str> = groups.iter().take(SHOWN_GROUPS).map(String::as_str).collect();
    if groups.len() > SHOWN_GROUPS {
        text.push("...");
    }
    text.join(", ")
}

fn examine_clock(headers: &HeaderMap, now: i64) -> Step {
    const NAME: &str = "clock";
    let date = headers.get(DATE).and_then(|date| OffsetDateTime::parse(date.to_str().ok()?, &Rfc2822).ok());
    let Some(date) = date else {
        return Step::doubtful(NAME, "the provider does not tell the time", "compare the clocks by hand");
    };
    let ahead = date.unix_timestamp().saturating_sub(now);
    let text = match ahead {
        -1..=1 => "both clocks agree".to_owned(),
        2.. => format!("this machine is {ahead} s behind the provider"),
        _ => format!("this machine is {} s ahead of the provider", ahead.unsigned_abs()),
    };
    if ahead.abs() <= LEEWAY_S {
        return Step::good(NAME, text);
    }
    Step::failed(
        NAME,
        text,
        format!("set the clock (NTP): more than {LEEWAY_S} s apart, ID tokens are refused"),
    )
}

/// What an authorization endpoint says to a browser that nobody sits at.
fn judge_login(name: &'static str, answer: &Response<Vec<u8>>, redirect_uri: &str, asked: &Url) -> Step {
    let status = answer.status();
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.and_then(|location| asked.join(location).ok());
    if let Some(back) =
        location.as_ref().filter(|to| status.is_redirection() && to.as_str().starts_with(redirect_uri))
    {
        let value = |wanted: &str| {
            back.query_pairs()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| super::readable(&value, super::MAX_DESCRIPTION_CHARS))
        };
        return match value("error").as_deref() {
            // What `prompt=none` asks for (OpenID Connect Core 1.0 section 3.1.2.6).
            None
            | Some(
                "login_required" | "interaction_required" | "consent_required" | "account_selection_required",
            ) => Step::good(name, format!("`{redirect_uri}` is known at the provider")),
            Some(error) => Step::failed(
                name,
                format!(
                    "the provider sends people back with `{error}`: {}",
                    value("error_description").unwrap_or_default()
                ),
                "mend what it names: a scope that the client may not ask for, a policy without a rule for this client, or \
                 a response type that is not ticked",
            ),
        };
    }
    let text = String::from_utf8_lossy(answer.body()).to_ascii_lowercase();
    match status.as_u16() {
        400..=499 if text.contains("redirect_uri") || text.contains("redirect uri") => Step::failed(
            name,
            format!("the provider does not know `{redirect_uri}`"),
            "add it to the Sign-in redirect URIs of the application, letter by letter",
        ),
        400..=499 => Step::failed(
            name,
            format!("the provider shows an error page (status {})", status.as_u16()),
            "open an application in a browser and read it: mostly the client id, or a Sign-in redirect URI",
        ),
        // A pushed request is looked at as a whole when it is taken (RFC 9126 section 2.1).
        200..=399 if asked.query_pairs().any(|(name, _)| name == "request_uri") => {
            Step::good(name, format!("`{redirect_uri}` is known at the provider"))
        }
        200..=399 => Step::doubtful(
            name,
            "the provider shows its sign-in page, so it did not refuse the redirect URI so far",
            "a login will tell; some providers look at the redirect URI only then",
        ),
        _ => Step::doubtful(name, format!("status {}", status.as_u16()), "try again later"),
    }
}

fn advice(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Unreachable { .. } => {
            "look at DNS, firewall and proxy of this machine; for a certificate that does not verify, at its certificate \
             authorities (SSL_CERT_FILE)"
        }
        ProviderError::Slow { .. } => {
            "look at firewall and proxy of this machine, or raise `limits.provider_timeout`"
        }
        ProviderError::WrongIssuer { .. } => {
            "write `issuer` as the provider calls itself: no slash at the end, not the `-admin` host, the custom domain \
             where there is one"
        }
        ProviderError::BadAnswer { status: 404, .. } => {
            "there is no OpenID provider at `issuer`: compare the organisation's name and the id of a custom \
             authorization server"
        }
        ProviderError::AnswerTooLarge { .. } | ProviderError::BadAnswer { .. } => {
            "open `<issuer>/.well-known/openid-configuration` from this machine: something may stand between"
        }
        ProviderError::ClientRefused { .. } | ProviderError::ClientUnsigned => {
            "compare `client_id`, and the secret or key with the application's; `client_auth` must be what is ticked there"
        }
        ProviderError::PushUnoffered => "leave `pushed_authorization_requests` at \"auto\"",
        ProviderError::PushDemanded => "leave `pushed_authorization_requests` out",
        ProviderError::GroupsToken => "make a new read-only API token",
        ProviderError::GroupsForbidden => {
            "give the token's administrator, or the service app, the role Read-only Administrator (and the scope \
             okta.users.read); exempt this machine's outgoing address from ThreatInsight and network zones"
        }
        ProviderError::GroupsUserUnknown => {
            "write the user's id or login as Okta shows it; is the token of this organisation?"
        }
        ProviderError::GroupsRateLimited => "wait a minute, or raise the token's share of the rate limit",
        ProviderError::ServiceAppRefused { .. } => {
            "look at the service app: client id, public key, granted scopes, role"
        }
        ProviderError::PersonInactive { .. } => "reactivate the person in Okta, or try another",
        _ => "the codes are explained in deploy/okta.md",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_clock_that_is_further_off_than_the_leeway_fails() {
        const DATE_OF_NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let now = 784_111_777;
        let mut headers = HeaderMap::new();
        assert_eq!(examine_clock(&headers, now).verdict, Verdict::Doubtful);
        headers.insert(DATE, HeaderValue::from_static(DATE_OF_NOW));
        for (off, verdict) in [
            (0, Verdict::Good),
            (LEEWAY_S, Verdict::Good),
            (-LEEWAY_S, Verdict::Good),
            (LEEWAY_S + 1, Verdict::Failed),
            (-LEEWAY_S - 1, Verdict::Failed),
        ] {
            assert_eq!(examine_clock(&headers, now + off).verdict, verdict, "{off}");
        }
        assert!(examine_clock(&headers, now + 300).text.contains("300 s ahead of the provider"));
        assert!(examine_clock(&headers, now - 300).text.contains("300 s behind the provider"));
    }
}
