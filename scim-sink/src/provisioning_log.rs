//! The provisioning log: one event for each write and one for each refusal, under the target `portcullis::provisioning`. The store keeps
//! entries of its own of what was written, as part of the write, and of what was refused to a key.
//!
//! Every field that a client can fill is recorded as a string, which subscribers escape: nobody writes a second line into the log.
//! Names of attributes are written, values never, but for `active`, which is what an administrator looks for.

use std::error::Error;
use std::sync::{Arc, OnceLock};

use portcullis_store::{KeyRecord, RefusedProvisioning, Seen, SeenAttribute, Store};
use serde_json::{Map, Value};

use crate::limits::MAX_SEEN_ATTRIBUTES;
use crate::rejection::Rejection;
use crate::sink::Visit;

/// The target of all its events.
pub const TARGET: &str = "portcullis::provisioning";

/// What an edit changed. Filled inside the store's transaction, where the state before is known, and read after the commit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    names: Arc<OnceLock<Vec<String>>>,
    seen: Arc<OnceLock<Seen>>,
}

impl Changed {
    /// Notes what differs between two documents, and what changed beside them.
    pub(crate) fn between(
        &self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        beside: Option<&str>,
    ) {
        let mut names: Vec<String> = after
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(key, _)| key.clone())
            .collect();
        names.extend(before.keys().filter(|key| !after.contains_key(*key)).cloned());
        names.extend(beside.map(str::to_owned));
        // An edit runs once; a second run would find the first one's answer.
        let _ = self.names.set(names);
    }

    /// Notes what a document is kept with that stands in no schema: what was there before (in order), and what the edit brings.
    pub(crate) fn keeps(&self, before: &[SeenAttribute], after: Vec<SeenAttribute>) {
        // Of a document with more than is searched for nobody can tell what is new in it: that refuses nothing.
        let is_kept =
            |it: &SeenAttribute| before.len() > MAX_SEEN_ATTRIBUTES || before.binary_search(it).is_ok();
        let (kept, brought) = after.into_iter().partition(is_kept);
        let _ = self.seen.set(Seen { kept, brought });
    }

    /// Notes the same of an edit that may not be refused for what it brings.
    pub(crate) fn keeps_in_any_case(&self, after: Vec<SeenAttribute>) {
        let _ = self.seen.set(Seen { kept: after, brought: Vec::new() });
    }

    pub(crate) fn seen(&self) -> Arc<OnceLock<Seen>> {
        Arc::clone(&self.seen)
    }

    pub(crate) fn shared(&self) -> Arc<OnceLock<Vec<String>>> {
        Arc::clone(&self.names)
    }

    fn names(&self) -> String {
        self.names.get().map(|names| names.join(" ")).unwrap_or_default()
    }
}

/// A write that is durable and applied.
pub(crate) fn written(visit: &Visit<'_>, operation: &str, id: &str, changed: &Changed, active: Option<bool>) {
    tracing::info!(
        target: TARGET,
        directory = visit.directory.name.as_str(),
        key_id = visit.key.key_id.as_str(),
        key_name = visit.key.name.as_str(),
        operation,
        resource_id = id,
        changed = changed.names().as_str(),
        active,
        "provisioned"
    );
}

/// A request that was not done, of somebody with a key: told in the log, and kept in the store's.
pub(crate) fn refused(
    store: &Store,
    (directory, key): (&str, &KeyRecord),
    method: &str,
    path: &str,
    rejection: &Rejection,
    now: i64,
) {
    rejected(directory, Some(&key.key_id), method, path, rejection);
    let refused = RefusedProvisioning {
        directory: directory.to_owned(),
        key_id: key.key_id.clone(),
        key_name: key.name.clone(),
        operation: method.to_owned(),
        resource: path.to_owned(),
        status: rejection.status().as_u16(),
        reason: rejection.to_string(),
    };
    store.note_refused_provisioning(refused, now);
}

/// A request that was not done. The path is the client's own, and the query is left out: a key might stand in it.
pub(crate) fn rejected(
    directory: &str,
    key_id: Option<&str>,
    method: &str,
    path: &str,
    rejection: &Rejection,
) {
    let cause = rejection.cause().map(causes).unwrap_or_default();
    tracing::warn!(
        target: TARGET,
        directory,
        key_id,
        method,
        path,
        status = rejection.status().as_u16(),
        reason = rejection.to_string().as_str(),
        cause = cause.as_str(),
        "provisioning request rejected"
    );
}

fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
