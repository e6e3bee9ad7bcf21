//! `[tls.acme]`: for which hosts certificates are ordered, from whom and as whom. Ordering them is left to `acme`.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_store::Secret;
use rustls::RootCertStore;
use url::Url;

use super::document::Value;
use super::provider::read_secret;
use super::tls::{Certificates, path};
use crate::host::{Host, HostPattern};
use crate::tls::authorities;

/// `[tls.acme]`
#[derive(Debug, Clone)]
pub struct Acme {
    /// Where the authority says what it offers.
    pub directory: String,
    /// Whom the authority may write to, as `mailto:` addresses.
    pub contact: Vec<String>,
    /// The hosts that get a certificate each.
    pub hosts: Vec<Host>,
    /// Who vouches for the authority's own server; none are the roots of the system.
    pub roots: Option<Arc<RootCertStore>>,
    /// What binds our account to one that the operator has there already.
    pub external_account: Option<ExternalAccount>,
}

/// `[tls.acme.external_account]` (RFC 8555 section 7.3.4)
#[derive(Debug, Clone)]
pub struct ExternalAccount {
    /// What the authority calls the key.
    pub key_id: String,
    /// The key, decoded.
    pub hmac_key: Secret<Vec<u8>>,
}

/// Each host is an order, and authorities count orders.
const MAX_HOSTS: usize = 100;
const MAX_CONTACTS: usize = 10;
const MAX_TEXT_BYTES: usize = 1_024;

pub(super) fn read_acme(
    value: &Value<'_, '_>,
    folder: &Path,
    served: &[HostPattern],
    certificates: Option<&Certificates>,
) -> Option<Acme> {
    let mut section = value.section()?;
    let directory = section
        .required(
            "directory",
            "the authority's URL, such as \"https://acme-v02.api.letsencrypt.org/directory\"",
        )
        .and_then(|value| read_directory(&value));
    let contact = section.optional("contact").map_or(Some(Vec::new()), |value| read_contact(&value));
    let agreed = section.required("agree_to_terms", "read the authority's terms, then write true");
    if let Some(agreed) = agreed
        && agreed.boolean() == Some(false)
    {
        agreed.fault("without it the authority makes no account: read its terms, then write true");
    }
    let hosts = section
        .required("hosts", "the hosts to order a certificate for")
        .map(|value| read_hosts(&value, served, certificates));
    let roots = section.optional("ca_file").map_or(Some(None), |value| read_roots(&value, folder).map(Some));
    let external = section.optional("external_account");
    let external = external.map_or(Some(None), |value| read_external_account(&value, folder).map(Some));
    section.finish();
    Some(Acme {
        directory: directory?,
        contact: contact?,
        hosts: hosts?,
        roots: roots?,
        external_account: external?,
    })
}

fn read_directory(value: &Value<'_, '_>) -> Option<String> {
    let text = value.string()?;
    match Url::parse(text) {
        _ if text.len() > MAX_TEXT_BYTES => value.fault(format!("is longer than {MAX_TEXT_BYTES} bytes")),
        Err(error) => value.fault(format!("`{text}` is no URL: {error}")),
        Ok(url) if url.scheme() != "https" => value.fault("must be https (RFC 8555 section 6.1)"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() => {
            value.fault("a directory has no user and no fragment");
        }
        Ok(_) => return Some(text.to_owned()),
    }
    None
}

fn read_contact(value: &Value<'_, '_>) -> Option<Vec<String>> {
    let addresses = value.list();
    if addresses.len() > MAX_CONTACTS {
        value.fault(format!("holds more than {MAX_CONTACTS} addresses"));
    }
    // More than one recipient, or header fields, are refused by authorities (RFC 8555 section 7.3).
    let is_address = |text: &str| {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic() && !b",?%<>\"".contains(&byte));
        let parts: Vec<&str> = text.split('@').collect();
        printable && text.len() <= MAX_TEXT_BYTES && parts.len() == 2 && parts.iter().all(|it| !it.is_empty())
    };
    let read = addresses.iter().map(|item| {
        let text = item.string()?;
        if !is_address(text) {
            item.fault(format!("`{text}` is no e-mail address, such as \"operator@corp.example\""));
        }
        Some(format!("mailto:{text}"))
    });
    let read: Vec<Option<String>> = read.collect();
    read.into_iter().collect()
}

fn read_hosts(
    value: &Value<'_, '_>,
    served: &[HostPattern],
    certificates: Option<&Certificates>,
) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    let list = value.list();
    if list.is_empty() {
        value.fault("needs at least one host");
    }
    for item in list {
        let Some(host) = read_host(&item, served, certificates) else { continue };
        if hosts.contains(&host) {
            item.fault(format!("`{host}` stands here twice"));
        }
        hosts.push(host);
    }
    if hosts.len() > MAX_HOSTS {
        value.fault(format!("holds more than {MAX_HOSTS} hosts"));
    }
    hosts
}

fn read_host(
    value: &Value<'_, '_>,
    served: &[HostPattern],
    certificates: Option<&Certificates>,
) -> Option<Host> {
    let pattern: HostPattern = value.parsed()?;
    let HostPattern::Exact(host) = &pattern else {
        value.fault(format!(
            "`{pattern}`: a wildcard is proved by a record in the DNS, which is not written here; name each host, or give a certificate for all"
        ));
        return None;
    };
    if host.as_str().parse::<Ipv4Addr>().is_ok() {
        value.fault(format!("`{host}` is an address, no name"));
    }
    if !served.iter().any(|served| served.covers(host)) {
        value.fault(format!("`{host}`: neither an application nor `server.auth_host` lives there"));
    }
    if let Some(Certificates::Files(given)) = certificates
        && given.iter().any(|certificate| certificate.covers(&pattern))
    {
        value.fault(format!(
            "`{host}`: a certificate that is given covers it, and would be shown instead of one that is ordered"
        ));
    }
    Some(host.clone())
}

fn read_roots(value: &Value<'_, '_>, folder: &Path) -> Option<Arc<RootCertStore>> {
    let read = authorities(&path(value, folder)?);
    read.map(Arc::new).map_err(|error| value.fault(error.to_string())).ok()
}

fn read_external_account(value: &Value<'_, '_>, folder: &Path) -> Option<ExternalAccount> {
    let mut section = value.section()?;
    let key_id = section.required("key_id", "what the authority calls the key");
    let key_id = key_id.and_then(|value| {
        let text = value.string()?;
        if text.is_empty() || text.len() > MAX_TEXT_BYTES {
            value.fault(format!("has 1 to {MAX_TEXT_BYTES} bytes"));
        }
        Some(text.to_owned())
    });
    let hmac_key = section.required("hmac_key", "the key that the authority gave, in base64url");
    let hmac_key = hmac_key.and_then(|value| {
        let text = read_secret(&value, folder)?;
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(text.expose().trim_end_matches('=')).ok();
        if decoded.as_ref().is_none_or(Vec::is_empty) {
            value.fault("is no base64url text, such as authorities give");
        }
        decoded.map(Secret::new)
    });
    section.finish();
    Some(ExternalAccount { key_id: key_id?, hmac_key: hmac_key? })
}
