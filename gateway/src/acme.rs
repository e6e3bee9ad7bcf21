//! Certificates by ACME (RFC 8555): one task of the process looks which are due, orders them one after the other, keeps them
//! sealed and shows them from the next handshake on. Which certificate a client sees, and the answer to an authority's question,
//! is left to `tls`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

mod account;
mod error;
mod exchange;
mod kept;
mod order;
mod plan;

pub(crate) use kept::restore;

use crate::config::Acme;
use crate::gateway::{Current, Gateway, now};
use crate::host::Host;
use crate::tls::{Ordered, Validity};
use crate::web_client::WebClient;
use account::Account;
use error::AcmeError;
use exchange::Exchange;
use plan::Plan;

/// How often the plans are looked at; a reload is noticed as late as this.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait for one answer of an authority.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that one order may take, from the account to the certificate.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);

/// Orders whatever is due, until the runtime ends.
pub(crate) async fn keep_ordering(current: Arc<Current>) {
    let mut desk = Desk::default();
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let gateway = current.get();
        match &gateway.config.tls.acme {
            Some(settings) => Box::pin(desk.look(&gateway, settings)).await,
            None => desk = Desk::default(),
        }
    }
}

/// What is planned for each host, under one configuration.
#[derive(Default)]
struct Desk {
    generation: Option<u64>,
    plans: HashMap<Host, Plan>,
}

impl Desk {
    /// Orders the first certificate that is due. The next look takes the configuration anew.
    async fn look(&mut self, gateway: &Gateway, settings: &Acme) {
        // Whoever changed the configuration may have mended what failed.
        if self.generation.replace(gateway.policies.generation) != Some(gateway.policies.generation) {
            let plan = |host: &Host| (host.clone(), Plan::first(held(gateway, settings, host), now()));
            self.plans = settings.hosts.iter().map(plan).collect();
        }
        let due = |host: &&Host| self.plans.get(*host).is_some_and(|plan| plan.is_due(now()));
        let Some(host) = settings.hosts.iter().find(due) else { return };
        let exchange = exchange(settings);
        let ordered = match &exchange {
            Ok(exchange) => {
                let ordering = Box::pin(order_and_keep(gateway, settings, host, exchange));
                tokio::time::timeout(ORDER_TIMEOUT, ordering).await.unwrap_or(Err(AcmeError::Slow))
            }
            Err(error) => Err(AcmeError::Unreachable(error.clone())),
        };
        let told_to_wait_s = exchange.map_or(0, |exchange| exchange.told_to_wait_s());
        match ordered {
            Ok(validity) => self.succeeded(host, validity),
            Err(error) => self.failed(gateway, host, &error, told_to_wait_s),
        }
    }

    fn succeeded(&mut self, host: &Host, validity: Validity) {
        let now = now();
        let plan = Plan::renewal(validity, now);
        tracing::info!(
            target: "portcullis::acme",
            %host,
            expires_in_s = validity.not_after.saturating_sub(now),
            renewed_in_s = plan.wait_s(now),
            "a certificate was issued and is shown from now on"
        );
        self.plans.insert(host.clone(), plan);
    }

    fn failed(&mut self, gateway: &Gateway, host: &Host, error: &AcmeError, told_to_wait_s: i64) {
        let now = now();
        // An authority that cannot be reached, or has no account for us, is so for every host.
        let same_for_all = error.concerns_all();
        let concerned =
            self.plans.iter_mut().filter(|(it, plan)| *it == host || (same_for_all && plan.is_due(now)));
        for (_, plan) in concerned {
            plan.fail(error.patience(), told_to_wait_s, now);
        }
        let again_in_s = self.plans.get(host).map_or(0, |plan| plan.wait_s(now));
        let ends_in_s = gateway.process.issued.of(host);
        let ends_in_s = ends_in_s.map(|held| held.certified.validity().not_after.saturating_sub(now));
        match ends_in_s.filter(|left| *left > 0) {
            Some(ends_in_s) => tracing::warn!(
                target: "portcullis::acme",
                %host, cause = %error, advice = error.advice(), again_in_s, ends_in_s,
                "a certificate was not renewed; the one before is shown until it ends"
            ),
            None => tracing::error!(
                target: "portcullis::acme",
                %host, cause = %error, advice = error.advice(), again_in_s,
                "a certificate was not issued; the host has none, and handshakes for it are refused"
            ),
        }
    }
}

/// Until when what we have of the configured authority is good. What another one has issued is shown, and replaced at once.
fn held(gateway: &Gateway, settings: &Acme, host: &Host) -> Option<Validity> {
    let held = gateway.process.issued.of(host)?;
    (held.directory == settings.directory).then(|| held.certified.validity())
}

fn exchange(settings: &Acme) -> Result<Exchange, String> {
    let web = match &settings.roots {
        Some(roots) => WebClient::trusting(roots.as_ref().clone(), EXCHANGE_TIMEOUT),
        None => WebClient::new(EXCHANGE_TIMEOUT),
    };
    web.map(Exchange::new).map_err(|error| error.to_string())
}

async fn order_and_keep(
    gateway: &Gateway,
    settings: &Acme,
    host: &Host,
    exchange: &Exchange,
) -> Result<Validity, AcmeError> {
    let process = &gateway.process;
    let account = Account::open(process, settings, exchange).await?;
    let ordered = order::order(&account, host, &process.issued).await;
    let pair = match ordered {
        // Authorities forget accounts, test authorities at each start.
        Err(AcmeError::NoAccount(_)) => {
            let account = Account::make(process, settings, exchange).await?;
            order::order(&account, host, &process.issued).await?
        }
        ordered => ordered?,
    };
    let certified = pair.certified(host, now())?;
    // Kept first: what a restart would lose would be ordered again, and authorities count orders.
    kept::keep_certificate(process, settings, host, &pair).await?;
    let validity = certified.validity();
    process.issued.install(host, Ordered { certified, directory: settings.directory.clone() });
    Ok(validity)
}
