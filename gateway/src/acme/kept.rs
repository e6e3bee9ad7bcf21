//! What must outlast the process: our account at an authority and the certificates from there, sealed in the store. Using them
//! is left to `account` and `tls`.

use portcullis_store::Secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::AcmeError;
use super::order::Pair;
use crate::config::{Acme, Config};
use crate::gateway::{Process, now};
use crate::host::Host;
use crate::seal::Purpose;
use crate::tls::Ordered;

/// A certificate, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    chain: String,
    key: String,
}

fn name_of(host: &Host) -> String {
    format!("acme certificate {host}")
}

/// Shows the certificates that were kept, before anything is served. What cannot be read is ordered anew.
pub(crate) fn restore(config: &Config, process: &Process) {
    let hosts = config.tls.acme.iter().flat_map(|acme| &acme.hosts);
    for host in hosts.filter(|host| process.issued.of(host).is_none()) {
        match restored(process, host) {
            Ok(Some(ordered)) => process.issued.install(host, ordered),
            Ok(None) => tracing::info!(
                target: "portcullis::acme", %host,
                "the host has no certificate yet; handshakes for it are refused until one is issued"
            ),
            Err(cause) => tracing::warn!(
                target: "portcullis::acme", %host, %cause,
                "the certificate that was kept cannot be used; another is ordered"
            ),
        }
    }
}

fn restored(process: &Process, host: &Host) -> Result<Option<Ordered>, AcmeError> {
    let Some(Kept { directory, chain, key }) = open(process, &name_of(host))? else { return Ok(None) };
    let pair = Pair { chain, key: Secret::new(key) };
    Ok(Some(Ordered { certified: pair.certified_then(host)?, directory }))
}

pub(super) async fn keep_certificate(
    process: &Process,
    settings: &Acme,
    host: &Host,
    pair: &Pair,
) -> Result<(), AcmeError> {
    let kept = Kept {
        directory: settings.directory.clone(),
        chain: pair.chain.clone(),
        key: pair.key.expose().clone(),
    };
    keep(process, &name_of(host), &kept).await
}

/// Keeps an item under a name, in the place of the one before.
pub(super) async fn keep<T: Serialize + Sync>(
    process: &Process,
    name: &str,
    item: &T,
) -> Result<(), AcmeError> {
    let plain = serde_json::to_vec(item).map_err(|_| AcmeError::Seal)?;
    let sealed = process.sealer.seal_bytes(Purpose::AtRest, name, plain).ok_or(AcmeError::Seal)?;
    Ok(process.store.keep_sealed_item(name, sealed, now()).await?)
}

/// What was kept under a name.
pub(super) fn open<T: DeserializeOwned>(process: &Process, name: &str) -> Result<Option<T>, AcmeError> {
    let Some(sealed) = process.store.sealed_item(name)? else { return Ok(None) };
    let plain = process.sealer.open_bytes(Purpose::AtRest, name, &sealed).ok_or(AcmeError::Seal)?;
    let plain = Secret::new(plain);
    serde_json::from_slice(plain.expose()).map(Some).map_err(|_| AcmeError::Seal)
}
