//! `[sidecar]`: where the SCIM sink listens when it runs as a program of its own. Running it is left to `sidecar`.

use std::net::SocketAddr;

use super::document::Section;

/// The sink as a program of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// `listen`: where it answers, without TLS.
    pub listen: SocketAddr,
    /// `public_url`: how provisioning clients reach it, where that is not the auth host.
    pub public_url: Option<String>,
}

pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Sidecar> {
    let mut section = root.optional("sidecar")?.section()?;
    let listen = section.required("listen", "such as \"127.0.0.1:8481\"").and_then(|value| {
        let address = value.string()?.parse();
        if address.is_err() {
            value.fault("must be an address and a port, such as \"127.0.0.1:8481\"");
        }
        address.ok()
    });
    let public_url = section.optional("public_url").and_then(|value| {
        let url = value.string()?;
        let is_origin = url::Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.path() == "/");
        if !is_origin || url.ends_with('/') {
            value
                .fault("must be https, a host, and nothing behind it, such as \"https://scim.corp.example\"");
        }
        Some(url.to_owned())
    });
    section.finish();
    Some(Sidecar { listen: listen?, public_url })
}
