//! The endpoints of all applications of one configuration. Shared by all workers; what is known of an endpoint outlives a reload
//! that does not change it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::balance::Balance;
use super::clock;
use super::endpoint::Endpoint;
use super::health;
use super::share::Shares;
use crate::config::Application;

/// All endpoints, and the tasks that ask them whether they are well. These end with it.
#[derive(Debug)]
pub(crate) struct Fleet {
    balances: Vec<Arc<Balance>>,
    asking: Mutex<Vec<AbortHandle>>,
    shares: Arc<Shares>,
}

/// How an endpoint is at the moment.
#[derive(Debug)]
pub(crate) struct EndpointState {
    pub(crate) application: String,
    pub(crate) url: String,
    /// Whether it is asked: well, and not left alone for its failures.
    pub(crate) usable: bool,
    /// Exchanges under way.
    pub(crate) in_flight: usize,
}

impl Fleet {
    /// Of a configuration, with what was known `before`.
    pub(crate) fn new(applications: &[Arc<Application>], before: Option<&Self>) -> Self {
        let known = |application: &Application| {
            let balances = before.map(|before| before.balances.as_slice()).unwrap_or_default();
            balances.iter().find(|balance| balance.application().name == application.name)
        };
        let balance = |application: &Arc<Application>| {
            Arc::new(Balance::new(application, known(application).map(AsRef::as_ref)))
        };
        let shares = before.map(|before| before.shares.clone()).unwrap_or_default();
        Self { balances: applications.iter().map(balance).collect(), asking: Mutex::default(), shares }
    }

    pub(super) fn shares(&self) -> &Arc<Shares> {
        &self.shares
    }

    pub(super) fn balances(&self) -> &[Arc<Balance>] {
        &self.balances
    }

    /// How each endpoint is.
    pub(crate) fn states(&self) -> Vec<EndpointState> {
        let now_ms = clock::now_ms();
        let endpoints = self.balances.iter().flat_map(|balance| balance.endpoints());
        let state = |endpoint: &Arc<Endpoint>| EndpointState {
            application: endpoint.application.clone(),
            url: endpoint.url.clone(),
            usable: endpoint.is_usable(now_ms),
            in_flight: endpoint.in_flight(),
        };
        endpoints.map(state).collect()
    }

    /// Begins to ask endpoints whether they are well, where that is configured.
    pub(crate) fn ask(&self, control: &Handle) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        for balance in &self.balances {
            let Some(health) = &balance.application().upstream.health else { continue };
            for number in 0..balance.endpoints().len() {
                let task = health::ask_for_ever(balance.clone(), number, health.clone());
                asking.push(control.spawn(task).abort_handle());
            }
        }
    }
}

impl Fleet {
    /// Asks nobody any more: another configuration asks in its place.
    pub(crate) fn rest(&self) {
        for task in self.asking.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.rest();
    }
}
