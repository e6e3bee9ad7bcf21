//! What an upstream is told about a person, as header fields: the assertion, the e-mail address, and what the application is
//! configured to get. Built once for a session, an application and what is true of the person, then sent again until the
//! assertion wants renewal. Putting the fields into a request is left to `forward`, into an answer to another proxy to `verify`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_store::Profile;
use serde_json::Value;

mod encoding;

use crate::assertion::{MAX_CUSTOM_BYTES, Signer};
use crate::config::{Encoding, Separator, Source, Told};
use crate::live::{Grounds, LiveSession, Standing};
use crate::route::Target;

/// The assertion, as origins written for Cloudflare Access expect it.
pub(crate) const ASSERTION: HeaderName = HeaderName::from_static("cf-access-jwt-assertion");
pub(crate) const EMAIL: HeaderName = HeaderName::from_static("cf-access-authenticated-user-email");

/// The longest value of one field, in bytes. Upstreams refuse longer heads, and groups are never silently cut.
pub(crate) const MAX_FIELD_BYTES: usize = 8 * 1024;

/// Between the values of a claim that is a list.
const LIST: Separator = Separator { mark: ',', spaced: false };

/// The fields about one person for one application.
#[derive(Debug)]
pub(crate) struct IdentityHeaders(Box<[(HeaderName, HeaderValue)]>);

/// Why a person cannot be told about. The request is denied: without its fields it would be somebody else's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("the assertion cannot be signed, or its claims are longer than {MAX_CUSTOM_BYTES} bytes")]
    Assertion,
    #[error("the value of `{0}` cannot be written in the configured encoding")]
    Unwritable(HeaderName),
    #[error("the value of `{0}` is longer than {MAX_FIELD_BYTES} bytes; name the groups to tell in `only`")]
    TooLong(HeaderName),
}

impl IdentityHeaders {
    /// Made up, for `fuzzing`.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn made(fields: &[(&'static str, &'static str)]) -> Self {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Self(fields.iter().map(field).collect())
    }

    /// The fields, each name once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.0.iter()
    }
}

/// The fields for a request that was allowed.
pub(crate) fn of(
    signer: &Signer,
    session: &LiveSession,
    standing: &Arc<Standing>,
    target: &Arc<Target>,
    now: i64,
) -> Result<Arc<IdentityHeaders>, IdentityError> {
    let ring = signer.ring();
    if let Some(kept) = session.identity.find(target, standing, &ring, now) {
        return Ok(kept);
    }
    let assertion = signer.assertion(&ring, session, standing, target, now);
    let assertion = assertion.ok_or(IdentityError::Assertion)?;
    let grounds = Grounds { target: target.clone(), standing: standing.clone(), ring: Arc::clone(&ring) };
    let mut fields = vec![(ASSERTION, assertion)];
    if session.service.is_some() {
        // Nothing else is true of a service; whoever reads the other fields reads about people.
        return Ok(keep(session, grounds, now, fields));
    }
    if let Some(email) = &standing.profile.email {
        fields.push((EMAIL, field(&EMAIL, encoding::single(email, Encoding::default()))?));
    }
    let LiveSession { provider, subject, .. } = session;
    let about = About { provider, subject, profile: &standing.profile, groups: &standing.groups };
    for told in &target.application.headers.told {
        fields.extend(value_of(told, &about)?.map(|value| (told.name.clone(), value)));
    }
    Ok(keep(session, grounds, now, fields))
}

fn keep(
    session: &LiveSession,
    grounds: Grounds,
    now: i64,
    fields: Vec<(HeaderName, HeaderValue)>,
) -> Arc<IdentityHeaders> {
    let built = Arc::new(IdentityHeaders(fields.into()));
    let until = now.saturating_add(grounds.target.application.asserted.reuse_s());
    session.identity.keep(grounds, until, built.clone());
    built
}

/// Whom an upstream is told about.
struct About<'a> {
    provider: &'a str,
    subject: &'a str,
    profile: &'a Profile,
    /// Those that count now.
    groups: &'a [String],
}

/// The value of a configured field; none when there is nothing to tell.
fn value_of(told: &Told, about: &About<'_>) -> Result<Option<HeaderValue>, IdentityError> {
    let (values, separator) = match &told.source {
        Source::Groups { separator, only } => {
            let wanted = |group: &&String| only.is_empty() || only.contains(group);
            (about.groups.iter().filter(wanted).cloned().collect(), *separator)
        }
        Source::Claim(claim) => (claim_values(claim, about), LIST),
    };
    let text = match values.as_slice() {
        [] => return Ok(None),
        [only] if matches!(told.source, Source::Claim(_)) => encoding::single(only, told.encoding),
        several => encoding::list(several, separator, told.encoding),
    };
    field(&told.name, text).map(Some)
}

fn field(name: &HeaderName, text: Option<String>) -> Result<HeaderValue, IdentityError> {
    let text = text.ok_or_else(|| IdentityError::Unwritable(name.clone()))?;
    if text.len() > MAX_FIELD_BYTES {
        return Err(IdentityError::TooLong(name.clone()));
    }
    HeaderValue::try_from(text).map_err(|_| IdentityError::Unwritable(name.clone()))
}

fn claim_values(claim: &str, about: &About<'_>) -> Vec<String> {
    let profile = about.profile;
    let known = match claim {
        "sub" => Some(about.subject),
        "email" => profile.email.as_deref(),
        "name" => profile.display_name.as_deref(),
        "provider" => Some(about.provider),
        _ => return other_claim(claim, &profile.claims_json),
    };
    known.filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect()
}

/// A claim that is text, a number or a truth value, or a list of such; anything deeper has no single form.
fn other_claim(claim: &str, claims_json: &str) -> Vec<String> {
    let claims: Value = serde_json::from_str(claims_json).unwrap_or_default();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    match claims.get(claim) {
        Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
