//! Who asks: the key in the `Authorization` header or in a field of the directory's own, verified by the store for the directory in the address.
//!
//! A key in the query is never looked at: it would stand in logs along the way.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use portcullis_store::{KeyRecord, Store};

use crate::rejection::{Rejection, Unauthorized};
use crate::sink::DirectorySettings;

/// A provisioning client whose key was verified, at its own directory.
pub(crate) struct Client<'s> {
    pub(crate) directory: &'s DirectorySettings,
    pub(crate) key: KeyRecord,
}

/// The one way to a [`Client`]. An unknown directory is looked for with the key all the same, so that both refusals take the same walk.
pub(crate) fn authenticate<'s>(
    store: &Store,
    directories: &'s [DirectorySettings],
    named: &str,
    headers: &HeaderMap,
    now: i64,
) -> Result<Client<'s>, Rejection> {
    let directory = directories.iter().find(|directory| directory.name == named);
    let own_field = directory.and_then(|directory| directory.key_header.as_ref());
    let token = presented(headers, own_field).map_err(Rejection::Unauthorized)?;
    let verified = store.verify_scim_key(named, &token, now)?;
    let directory = directory.ok_or(Rejection::Unauthorized(Unauthorized::UnknownDirectory))?;
    let key = verified.ok_or(Rejection::Unauthorized(Unauthorized::WrongKey))?;
    Ok(Client { directory, key })
}

/// Looks at the key of a request once more, for one of its operations: it may have been revoked since the request began, or run out.
pub(crate) fn still_valid(
    store: &Store,
    directory: &DirectorySettings,
    headers: &HeaderMap,
    now: i64,
) -> Result<(), Rejection> {
    let token = presented(headers, directory.key_header.as_ref()).map_err(Rejection::Unauthorized)?;
    let verified = store.verify_scim_key(&directory.name, &token, now)?;
    verified.map(|_| ()).ok_or(Rejection::Unauthorized(Unauthorized::WrongKey))
}

/// `Bearer T` (RFC 6750), the bare `T` that a header field of Okta may hold, or `Basic` with the key as the password; in `Authorization`
/// or in the directory's own field, but not in both.
fn presented(headers: &HeaderMap, own_field: Option<&HeaderName>) -> Result<String, Unauthorized> {
    let own = own_field.filter(|field| **field != AUTHORIZATION).map(|field| headers.get_all(field));
    let mut values = headers.get_all(AUTHORIZATION).iter().chain(own.into_iter().flatten());
    let value = values.next().ok_or(Unauthorized::NoHeader)?;
    if values.next().is_some() {
        return Err(Unauthorized::SeveralHeaders);
    }
    let text = value.to_str().map_err(|_| Unauthorized::Unreadable)?.trim();
    match text.split_once(' ') {
        None => Ok(text.to_owned()),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim().to_owned()),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("basic") => password(token.trim()),
        Some(_) => Err(Unauthorized::Unreadable),
    }
}

/// RFC 7617: the user name ends at the first colon, and says nothing here.
fn password(encoded: &str) -> Result<String, Unauthorized> {
    let decoded = STANDARD.decode(encoded).map_err(|_| Unauthorized::Unreadable)?;
    let text = String::from_utf8(decoded).map_err(|_| Unauthorized::Unreadable)?;
    text.split_once(':').map(|(_, password)| password.to_owned()).ok_or(Unauthorized::Unreadable)
}
