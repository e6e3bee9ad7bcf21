//! The sequences of requests that Okta makes for each of its operations, in both dialects, every request journaled and 429
//! obeyed. The changes in Okta that cause them are in `actions`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::exchange::encode;
use super::journal::{Operation, Push};
use super::scim_client::{Dialect, ScimClient};
use super::state::{Account, GroupRecord};
use super::{Okta, scim_bodies as bodies};

/// After so many attempts an administrator has to retry by hand.
pub const MAX_ATTEMPTS: u32 = 10;
/// The wait after a 429 without integer seconds.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(300);
/// The page size of an import.
pub const IMPORT_PAGE: u64 = 100;

/// One operation under way. Each step is `None` when the sink did not accept it, which ends the sequence as it does at Okta.
pub(super) struct Pusher<'a> {
    okta: &'a Okta,
    client: Arc<ScimClient>,
    operation: Operation,
    subject: String,
    pushes: Vec<Push>,
}

impl<'a> Pusher<'a> {
    /// Nothing when no SCIM target is set.
    pub(super) fn new(okta: &'a Okta, operation: Operation, subject: &str) -> Option<Self> {
        let client = okta.scim_client()?;
        Some(Self { okta, client, operation, subject: subject.to_owned(), pushes: Vec::new() })
    }

    pub(super) fn done(self) -> Vec<Push> {
        self.pushes
    }

    fn dialect(&self) -> Dialect {
        self.client.target.dialect
    }

    pub(super) async fn test_connection(&mut self) -> Option<()> {
        self.call(Method::GET, "/Users?startIndex=1&count=2", None).await?;
        self.call(Method::GET, "/Groups?startIndex=1&count=100", None).await?;
        Some(())
    }

    /// Looks the person up, then creates or links. The sink's id is remembered.
    pub(super) async fn assign(&mut self, account: &Account) -> Option<()> {
        let known = self.find("Users", "userName", &account.person.login).await?;
        let id = match known {
            None => id_of(&self.call(Method::POST, "/Users", Some(bodies::new_user(account))).await?)?,
            Some(id) => {
                let again = account.scim_id.as_ref() == Some(&id);
                if again && self.dialect() == Dialect::Catalog {
                    let path = format!("/Users/{}", encode(&id));
                    self.call(Method::PATCH, &path, Some(bodies::patch_active(true))).await?;
                } else {
                    self.put_user(&id, account, true).await?;
                }
                id
            }
        };
        self.okta.org().account_mut(&account.id).ok()?.scim_id = Some(id);
        Some(())
    }

    /// Sends the profile, or only `active`, of a person whom the sink knows.
    pub(super) async fn write_user(&mut self, account: &Account, active: bool) -> Option<()> {
        let id = account.scim_id.clone()?;
        match self.dialect() {
            Dialect::Wizard => self.put_user(&id, account, active).await,
            Dialect::Catalog => {
                let body = match self.operation {
                    Operation::UpdateUser => bodies::patch_profile(account, active),
                    _ => bodies::patch_active(active),
                };
                self.call(Method::PATCH, &format!("/Users/{}", encode(&id)), Some(body)).await.map(|_| ())
            }
        }
    }

    async fn put_user(&mut self, id: &str, account: &Account, active: bool) -> Option<()> {
        let path = format!("/Users/{}", encode(id));
        let found = self.call(Method::GET, &path, None).await?;
        let body = bodies::merged_user(&found, account, active);
        self.call(Method::PUT, &path, Some(body)).await.map(|_| ())
    }

    /// Creates or links the group, then sends all its members.
    pub(super) async fn push_group(&mut self, record: &GroupRecord) -> Option<()> {
        let id = match self.find("Groups", "displayName", &record.group.name).await? {
            Some(id) => id,
            None => id_of(&self.call(Method::POST, "/Groups", Some(bodies::new_group(record))).await?)?,
        };
        self.okta.org().group_mut(&record.id).ok()?.scim_id = Some(id.clone());
        let path = format!("/Groups/{}", encode(&id));
        self.call(Method::GET, &path, None).await?;
        let (method, body) = {
            let org = self.okta.org();
            let record = org.group(&record.id).ok()?;
            match self.dialect() {
                Dialect::Wizard => (Method::PUT, bodies::whole_group(&org, record)),
                Dialect::Catalog => (Method::PATCH, bodies::patch_all_members(&org, record)),
            }
        };
        self.call(method, &path, Some(body)).await.map(|_| ())
    }

    pub(super) async fn rename(&mut self, group_id: &str) -> Option<()> {
        self.write_group(group_id, bodies::patch_name).await
    }

    pub(super) async fn move_member(&mut self, group_id: &str, account: &Account, joins: bool) -> Option<()> {
        self.write_group(group_id, |record, id| bodies::patch_member(record, id, account, joins)).await
    }

    async fn write_group(
        &mut self,
        group_id: &str,
        patch: impl FnOnce(&GroupRecord, &str) -> Value,
    ) -> Option<()> {
        let id = self.okta.org().group(group_id).ok()?.scim_id.clone()?;
        let path = format!("/Groups/{}", encode(&id));
        let wizard = self.dialect() == Dialect::Wizard;
        if wizard {
            self.call(Method::GET, &path, None).await?;
        }
        let (method, body) = {
            let org = self.okta.org();
            let record = org.group(group_id).ok()?;
            if wizard {
                (Method::PUT, bodies::whole_group(&org, record))
            } else {
                (Method::PATCH, patch(record, &id))
            }
        };
        self.call(method, &path, Some(body)).await.map(|_| ())
    }

    /// "Unlink pushed group and delete it in the target".
    pub(super) async fn unlink(&mut self, group_id: &str) -> Option<()> {
        let id = self.okta.org().group_mut(group_id).ok()?.scim_id.take()?;
        self.call(Method::DELETE, &format!("/Groups/{}", encode(&id)), None).await.map(|_| ())
    }

    /// All pages of users, then all pages of groups.
    pub(super) async fn import(&mut self) -> Option<()> {
        for kind in ["Users", "Groups"] {
            let mut start = 1;
            loop {
                let path = format!("/{kind}?startIndex={start}&count={IMPORT_PAGE}");
                let page = self.call(Method::GET, &path, None).await?;
                start += IMPORT_PAGE;
                if start > page["totalResults"].as_u64()? {
                    break;
                }
            }
        }
        Some(())
    }

    /// The id of the one resource that fits; an empty list and a 404 both mean that there is none.
    async fn find(&mut self, kind: &str, attribute: &str, value: &str) -> Option<Option<String>> {
        let filter =
            encode(&format!("{attribute} eq \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        let path = format!("/{kind}?filter={filter}&startIndex=1&count=100");
        let found = self.call(Method::GET, &path, None).await;
        match (&found, self.pushes.last().and_then(|push| push.status)) {
            (None, Some(404)) => Some(None),
            (None, _) => None,
            (Some(list), _) => Some(id_of(&list["Resources"][0])),
        }
    }

    /// One request, repeated while the sink says 429. A 2xx without a JSON body, DELETE and PATCH aside, is an error.
    async fn call(&mut self, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        for attempt in 0..MAX_ATTEMPTS {
            let started = Instant::now();
            let answer = self.client.call(&method, path, body.as_ref()).await;
            let answered = answer.as_ref().map_or_else(|_| Instant::now(), |answer| answer.arrived);
            let (status, text, headers) = match answer {
                Ok(answer) => {
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    (Some(answer.status), text, answer.headers)
                }
                Err(error) => (None, error.in_full(), HeaderMap::new()),
            };
            let push = Push {
                operation: self.operation,
                subject: self.subject.clone(),
                method: method.to_string(),
                path: path.to_owned(),
                sent: body.clone(),
                status: status.map(|status| status.as_u16()),
                body: text,
                started,
                answered,
                answered_unix_ms: super::unix_ms(),
            };
            self.okta.record(push.clone());
            let accepted = push.accepted();
            let parsed = serde_json::from_str::<Value>(&push.body).ok();
            self.pushes.push(push);
            if status != Some(StatusCode::TOO_MANY_REQUESTS) {
                let may_be_empty = matches!(method, Method::DELETE | Method::PATCH);
                return accepted.then(|| parsed.or(may_be_empty.then_some(Value::Null)))?;
            }
            if attempt + 1 < MAX_ATTEMPTS {
                tokio::time::sleep(wait_after(&headers, self.okta.config.retry_wait, attempt)).await;
            }
        }
        None
    }
}

/// Whole seconds of `Retry-After`, else the default, doubled with each attempt.
fn wait_after(headers: &HeaderMap, default: Duration, attempt: u32) -> Duration {
    let asked = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
        .map(Duration::from_secs);
    asked.unwrap_or(default).saturating_mul(1 << attempt)
}

fn id_of(resource: &Value) -> Option<String> {
    resource["id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}
