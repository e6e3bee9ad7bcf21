//! Our account at an authority: made once for each directory, then taken from the store. What is ordered under it is left to
//! `order`.

use instant_acme::{AccountCredentials, ExternalAccountKey, NewAccount, NewOrder, Order};
use serde::{Deserialize, Serialize};

use super::error::AcmeError;
use super::exchange::Exchange;
use super::kept;
use crate::config::Acme;
use crate::gateway::Process;

/// An account that the authority has accepted.
pub(super) struct Account(instant_acme::Account);

/// An account, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    contact: Vec<String>,
    credentials: AccountCredentials,
}

fn name_of(settings: &Acme) -> String {
    format!("acme account {}", settings.directory)
}

impl Account {
    /// The account that was kept, or a new one.
    pub(super) async fn open(
        process: &Process,
        settings: &Acme,
        exchange: &Exchange,
    ) -> Result<Self, AcmeError> {
        let kept: Kept = match kept::open(process, &name_of(settings)) {
            Ok(Some(kept)) => kept,
            Ok(None) => return Self::make(process, settings, exchange).await,
            // It does not open with this key file: to the authority we are somebody new.
            Err(AcmeError::Seal) => return Self::make(process, settings, exchange).await,
            Err(error) => return Err(error),
        };
        let builder = instant_acme::Account::builder_with_http(Box::new(exchange.clone()));
        let credentials = serde_json::to_vec(&kept.credentials).map_err(|_| AcmeError::Seal)?;
        let account = builder.from_credentials(kept.credentials).await?;
        if kept.contact != settings.contact {
            let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
            account.update_contacts(&contact).await.map_err(|error| AcmeError::from(error).of_account())?;
            let credentials = serde_json::from_slice(&credentials).map_err(|_| AcmeError::Seal)?;
            let kept = Kept { contact: settings.contact.clone(), credentials };
            kept::keep(process, &name_of(settings), &kept).await?;
        }
        Ok(Self(account))
    }

    /// A new account, kept in the place of any other.
    pub(super) async fn make(
        process: &Process,
        settings: &Acme,
        exchange: &Exchange,
    ) -> Result<Self, AcmeError> {
        let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
        // The configuration is refused unless the operator agreed.
        let wanted =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external = settings.external_account.as_ref();
        let external = external.map(|it| ExternalAccountKey::new(it.key_id.clone(), it.hmac_key.expose()));
        let builder = instant_acme::Account::builder_with_http(Box::new(exchange.clone()));
        let made = builder.create(&wanted, settings.directory.clone(), external.as_ref()).await;
        let (account, credentials) = made.map_err(|error| AcmeError::from(error).of_account())?;
        let kept = Kept { contact: settings.contact.clone(), credentials };
        kept::keep(process, &name_of(settings), &kept).await?;
        tracing::info!(target: "portcullis::acme", directory = settings.directory, account = account.id(), "an account was made");
        Ok(Self(account))
    }

    /// Begins an order.
    pub(super) async fn order(&self, order: &NewOrder<'_>) -> Result<Order, AcmeError> {
        Ok(self.0.new_order(order).await?)
    }
}
