//! The endpoints of all applications of one configuration. Shared by all workers; what is known of an endpoint outlives a reload
//! that does not change it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::balance::Balance;
use super::health;
use crate::config::Application;

/// All endpoints, and the tasks that ask them whether they are well. These end with it.
#[derive(Debug)]
pub(crate) struct Fleet {
    balances: Vec<Arc<Balance>>,
    asking: Mutex<Vec<AbortHandle>>,
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
        Self { balances: applications.iter().map(balance).collect(), asking: Mutex::default() }
    }

    pub(super) fn balances(&self) -> &[Arc<Balance>] {
        &self.balances
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

impl Drop for Fleet {
    fn drop(&mut self) {
        for task in self.asking.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}
