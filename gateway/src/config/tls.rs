//! `[tls]` and `[[client_certificate]]`: which certificates are shown, and on which hosts clients must show one. The files are read
//! here and now, so that what was checked is what is served; how they are used is left to `tls`, which are ordered to `acme` beside
//! this file.

use std::path::{Path, PathBuf};

use super::acme::{Acme, read_acme};
use super::document::{Section, Value};
use crate::gateway::now;
use crate::host::HostPattern;
use crate::tls::{Accepted, Certified, Mode};

/// `[tls]` and `[[client_certificate]]`
#[derive(Debug, Clone)]
pub struct Tls {
    /// Where our own certificates come from.
    pub certificates: Certificates,
    /// `[tls.acme]`
    pub acme: Option<Acme>,
    /// `[[client_certificate]]`
    pub client_certificates: Vec<ClientCertificates>,
}

/// Where our own certificates come from.
#[derive(Debug, Clone)]
pub enum Certificates {
    /// A development authority and certificate, made on first start beside the store.
    SelfSigned,
    /// Given by the operator; the first is shown to whoever asks for a name that none is made out to. None at all when all are
    /// ordered.
    Files(Vec<Certified>),
}

/// One `[[client_certificate]]`: hosts on which clients are asked for a certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    /// The hosts.
    pub hosts: Vec<HostPattern>,
    /// What is accepted there.
    pub accepted: Accepted,
}

const FORM: &str = "give `certificate` and `key`, or tables `[[tls.certificate]]` of both, or `self_signed = true`, or a table `[tls.acme]`";

pub(super) fn read_tls(root: &mut Section<'_, '_>, folder: &Path, hosts: &[HostPattern]) -> Option<Tls> {
    let client_certificates = read_client_certificates(root, folder, hosts);
    let mut section = root.required("tls", FORM)?.section()?;
    let self_signed = section.optional("self_signed").and_then(|value| value.boolean()).unwrap_or(false);
    let certificate = section.optional("certificate");
    let key = section.optional("key");
    let acme = section.optional("acme");
    let certificates = match (self_signed, certificate, key) {
        (true, None, None) if acme.is_none() => Some(Certificates::SelfSigned),
        (false, None, None) if acme.is_some() => Some(Certificates::Files(Vec::new())),
        (false, Some(certificate), Some(key)) => {
            read_pair(&certificate, &key, folder).map(|pair| Certificates::Files(vec![pair]))
        }
        (false, Some(certificates), None) if certificates.is_list() => read_list(&certificates, folder),
        _ => {
            section.fault(FORM);
            None
        }
    };
    let acme =
        acme.map_or(Some(None), |value| read_acme(&value, folder, hosts, certificates.as_ref()).map(Some));
    section.finish();
    Some(Tls { certificates: certificates?, acme: acme?, client_certificates })
}

fn read_list(value: &Value<'_, '_>, folder: &Path) -> Option<Certificates> {
    let read = value.list().into_iter().map(|item| {
        let mut section = item.section()?;
        let certificate = section.required("certificate", "a PEM file, leaf first");
        let key = section.required("key", "the PEM file of the certificate's key");
        section.finish();
        read_pair(&certificate?, &key?, folder)
    });
    // All are read, so that the faults of all are told.
    let read: Vec<Option<Certified>> = read.collect();
    if read.is_empty() {
        value.fault(FORM);
        return None;
    }
    read.into_iter().collect::<Option<Vec<_>>>().map(Certificates::Files)
}

fn read_pair(certificate: &Value<'_, '_>, key: &Value<'_, '_>, folder: &Path) -> Option<Certified> {
    let key_file = path(key, folder);
    // Told also when the certificate is at fault: all faults at once.
    if let Some(file) = &key_file
        && let Err(error) = std::fs::File::open(file)
    {
        key.fault(format!("no key can be read from `{}`: {error}", file.display()));
    }
    let read = Certified::read(&path(certificate, folder)?, &key_file?, now());
    read.map_err(|error| certificate.fault(error.to_string())).ok()
}

pub(super) fn path(value: &Value<'_, '_>, folder: &Path) -> Option<PathBuf> {
    let path = folder.join(value.string()?);
    value.names_file(&path);
    Some(path)
}

fn read_client_certificates(
    root: &mut Section<'_, '_>,
    folder: &Path,
    hosts: &[HostPattern],
) -> Vec<ClientCertificates> {
    let mut all: Vec<ClientCertificates> = Vec::new();
    for mut section in root.sections("client_certificate") {
        if let Some(read) = read_client_certificate(&mut section, folder, hosts, &all) {
            all.push(read);
        }
        section.finish();
    }
    all
}

fn read_client_certificate(
    section: &mut Section<'_, '_>,
    folder: &Path,
    hosts: &[HostPattern],
    earlier: &[ClientCertificates],
) -> Option<ClientCertificates> {
    let names = section.required("hosts", "the hosts on which clients show a certificate").map(|value| {
        let names: Vec<HostPattern> =
            value.list().iter().filter_map(|name| read_name(name, hosts, earlier)).collect();
        if names.is_empty() {
            value.fault("needs at least one host");
        }
        names
    });
    let authorities = section.required("ca_file", "the PEM file of the authorities that sign clients");
    let lists = section.optional("crl_file").map(|value| path(&value, folder));
    let mode = section.optional("mode").map_or(Some(Mode::Required), |value| read_mode(&value));
    let authorities = authorities?;
    let file = path(&authorities, folder)?;
    // A list that was asked for and is not there must not mean that nothing is revoked.
    let lists = lists.map_or(Some(None), |path| path.map(Some))?;
    let accepted = Accepted::read(&file, lists.as_deref(), mode?);
    let accepted = accepted.map_err(|error| authorities.fault(error.to_string())).ok()?;
    Some(ClientCertificates { hosts: names?, accepted })
}

/// A slip of the pen in a name would leave its host without the guard, so it must be the name of something.
fn read_name(
    value: &Value<'_, '_>,
    hosts: &[HostPattern],
    earlier: &[ClientCertificates],
) -> Option<HostPattern> {
    let name: HostPattern = value.parsed()?;
    if !hosts.iter().any(|host| name.meets(host)) {
        value.fault(format!("`{name}`: neither an application nor `server.auth_host` lives there"));
    }
    if earlier.iter().any(|other| other.hosts.contains(&name)) {
        value.fault(format!("`{name}` stands in another `[[client_certificate]]` already"));
    }
    Some(name)
}

fn read_mode(value: &Value<'_, '_>) -> Option<Mode> {
    match value.string()? {
        "required" => Some(Mode::Required),
        "optional" => Some(Mode::Optional),
        _ => {
            value.fault("must be \"required\" or \"optional\"");
            None
        }
    }
}
