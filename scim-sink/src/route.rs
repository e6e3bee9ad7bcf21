//! From the path to what it names, and which methods are possible there (RFC 7644 section 3.2).
//!
//! Whether a named resource exists is for the operation to find out.

use http::Method;

use crate::rejection::Rejection;

/// Below this everything is the sink's.
const PREFIX: &str = "/scim/v2/";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'p> {
    /// `.search` of everything.
    Search,
    Users,
    SearchUsers,
    User(&'p str),
    Groups,
    SearchGroups,
    Group(&'p str),
    Bulk,
    ServiceProviderConfig,
    ResourceTypes,
    ResourceType(&'p str),
    Schemas,
    Schema(&'p str),
    Me,
}

/// The directory that a path names, and what follows it. A path with neither has the empty name, which no directory has.
pub(crate) fn split_directory(path: &str) -> (&str, &str) {
    let below = path.strip_prefix(PREFIX).unwrap_or_default();
    below.split_once('/').unwrap_or((below, ""))
}

/// What the rest of the path names; one trailing slash is forgiven.
pub(crate) fn target(rest: &str) -> Result<Target<'_>, Rejection> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (first, id) = match rest.split_once('/') {
        Some((first, id)) if !id.is_empty() && !id.contains('/') => (first, Some(id)),
        Some(_) => return Err(Rejection::UnknownPath),
        None => (rest, None),
    };
    match (first, id) {
        (".search", None) => Ok(Target::Search),
        ("Users", Some(".search")) => Ok(Target::SearchUsers),
        ("Groups", Some(".search")) => Ok(Target::SearchGroups),
        ("Users", None) => Ok(Target::Users),
        ("Users", Some(id)) => Ok(Target::User(id)),
        ("Groups", None) => Ok(Target::Groups),
        ("Groups", Some(id)) => Ok(Target::Group(id)),
        ("Bulk", None) => Ok(Target::Bulk),
        ("ServiceProviderConfig", None) => Ok(Target::ServiceProviderConfig),
        ("ResourceTypes", None) => Ok(Target::ResourceTypes),
        ("ResourceTypes", Some(name)) => Ok(Target::ResourceType(name)),
        ("Schemas", None) => Ok(Target::Schemas),
        ("Schemas", Some(urn)) => Ok(Target::Schema(urn)),
        ("Me", None) => Ok(Target::Me),
        _ => Err(Rejection::UnknownPath),
    }
}

impl Target<'_> {
    /// Refuses a method that the target does not have, with those that it has.
    pub(crate) fn admit(&self, method: &Method) -> Result<(), Rejection> {
        let allow = match self {
            Target::Users | Target::Groups => "GET, POST",
            Target::User(_) | Target::Group(_) => "GET, PUT, PATCH, DELETE",
            Target::Search | Target::SearchUsers | Target::SearchGroups | Target::Bulk => "POST",
            Target::Me => return Err(Rejection::NoMe),
            _ => "GET",
        };
        if allow.split(", ").any(|possible| possible == method.as_str()) {
            Ok(())
        } else {
            Err(Rejection::MethodNotAllowed { allow })
        }
    }
}
