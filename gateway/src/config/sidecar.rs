//! `[sidecar]`: where the SCIM sink listens when it runs as a program of its own, and whom it lets connect. Running it is left to `sidecar`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::document::Section;
use super::networks::{Networks, read_networks};

/// The sink as a program of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// `listen`: where it answers, without TLS.
    pub listen: SocketAddr,
    /// `from`: what speaks TLS before it; from anywhere else nobody connects. This machine, unless it listens beyond.
    pub from: Networks,
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
    let from = section.optional("from").map(|value| {
        let from = read_networks(&value);
        if value.list().is_empty() {
            value.fault("must name what connects, such as [\"10.0.1.7\"]: nobody else can");
        }
        from
    });
    let beyond = listen.is_some_and(|address: SocketAddr| !address.ip().to_canonical().is_loopback());
    if beyond && from.is_none() {
        section.fault(
            "`from` is missing: from which addresses connections come, when it listens beyond this machine",
        );
    }
    section.finish();
    Some(Sidecar { listen: listen?, from: from.unwrap_or_else(this_machine), public_url })
}

fn this_machine() -> Networks {
    let loopback = [
        Ipv4Net::new(Ipv4Addr::LOCALHOST, 8).map(IpNet::from),
        Ipv6Net::new(Ipv6Addr::LOCALHOST, 128).map(IpNet::from),
    ];
    loopback.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::WHOLE;
    use super::*;
    use crate::config::Config;

    fn read(lines: &str) -> Result<Option<Sidecar>, Vec<String>> {
        let source = format!("{WHOLE}\n{lines}");
        let config = Config::parse(&source, Path::new("/etc/portcullis"));
        config.map(|config| config.sidecar).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    fn faults_of(lines: &str) -> String {
        read(&format!("[sidecar]\n{lines}")).unwrap_err().join("\n")
    }

    #[test]
    fn it_serves_this_machine_unless_told_otherwise() {
        assert_eq!(read(""), Ok(None));
        let sidecar = read("[sidecar]\nlisten = \"127.0.0.1:8481\"").unwrap().unwrap();
        assert_eq!((sidecar.listen.port(), &sidecar.public_url), (8481, &None));
        for (address, may) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.1.7", false),
            ("::2", false),
        ] {
            assert_eq!(sidecar.from.contains(address.parse().unwrap()), may, "{address}");
        }
        let named = "[sidecar]\nlisten = \"10.0.1.5:8481\"\nfrom = [\"10.0.1.7\", \"fd00::/64\"]\n\
                     public_url = \"https://scim.corp.example\"";
        let sidecar = read(named).unwrap().unwrap();
        assert_eq!(sidecar.public_url.as_deref(), Some("https://scim.corp.example"));
        let may = |address: &str| sidecar.from.contains(address.parse().unwrap());
        assert!(may("10.0.1.7") && may("fd00::9") && !may("10.0.1.8") && !may("127.0.0.1"));
    }

    #[test]
    fn what_cannot_be_meant_is_a_fault() {
        let listen = "listen = \"127.0.0.1:8481\"";
        for (lines, words) in [
            (String::new(), "`listen` is missing"),
            ("listen = \"localhost\"".to_owned(), "must be an address and a port"),
            ("listen = 8481".to_owned(), "must be a string"),
            ("listen = \"10.0.1.5:8481\"".to_owned(), "`from` is missing"),
            ("listen = \"0.0.0.0:8481\"".to_owned(), "`from` is missing"),
            ("listen = \"[::]:8481\"".to_owned(), "`from` is missing"),
            (format!("{listen}\nfrom = []"), "must name what connects"),
            (format!("{listen}\nfrom = [\"proxy\"]"), "is no network"),
            (format!("{listen}\nfrom = [\"0.0.0.0/0\"]"), "almost everybody"),
            (format!("{listen}\nfrom = \"10.0.1.7\""), "must be a list"),
            (format!("{listen}\npublic_url = \"http://scim.corp.example\""), "must be https"),
            (format!("{listen}\npublic_url = \"https://scim.corp.example/\""), "must be https"),
            (format!("{listen}\npublic_url = \"https://scim.corp.example/x\""), "must be https"),
            (format!("{listen}\nkey_file = \"x\""), "unknown key"),
        ] {
            let fault = faults_of(&lines);
            assert!(fault.contains("`sidecar") && fault.contains(words), "{lines}: {fault}");
        }
    }
}
