//! What an administrator of the org does, from code, from the admin page or over its API: each action changes the org and
//! then pushes by SCIM, if a target is set, and gives back what the sink answered.

use std::sync::Arc;

use super::company::{Client, Group, Person};
use super::groups_claim::{ClaimMode, GroupFilter};
use super::journal::{Operation, Push};
use super::scim_client::{ScimClient, ScimError, ScimTarget};
use super::scim_push::Pusher;
use super::state::{Account, OrgError, Status};
use super::{Okta, lock};

/// What the sink answered; empty when nothing is pushed for this change.
pub type Pushes = Result<Vec<Push>, OrgError>;

impl Okta {
    /// Adds a person, who is not provisioned yet, and gives their Okta id.
    pub fn add_person(&self, person: Person) -> Result<String, OrgError> {
        self.org().add_person(person)
    }

    /// Adds a group, not pushed yet, and gives its id.
    pub fn add_group(&self, group: Group) -> Result<String, OrgError> {
        self.org().add_group(group)
    }

    /// Registers an application, in the place of one with the same id.
    pub fn add_client(&self, client: Client) {
        let mut org = self.org();
        org.clients.retain(|known| known.id != client.id);
        org.clients.push(client);
    }

    /// Sets who may use an application: these logins, or everyone.
    pub fn assign_client(&self, client_id: &str, logins: Option<Vec<String>>) -> Result<(), OrgError> {
        let mut org = self.org();
        let client = org.clients.iter_mut().find(|client| client.id == client_id);
        client.ok_or_else(|| OrgError::UnknownClient(client_id.to_owned()))?.assigned = logins;
        Ok(())
    }

    /// Sets how the groups claim behaves.
    pub fn set_groups_claim(&self, mode: ClaimMode, filter: GroupFilter) {
        let mut org = self.org();
        org.claim_mode = mode;
        org.claim_filter = filter;
    }

    /// Whether the custom authorization server has an access policy that matches.
    pub fn set_custom_policy(&self, matches: bool) {
        self.org().custom_policy_matches = matches;
    }

    /// The Okta id of a person: `sub`, and the SCIM `externalId`.
    pub fn person_id(&self, login: &str) -> Result<String, OrgError> {
        self.org().account(login).map(|account| account.id.clone())
    }

    /// The id that the sink gave a person.
    pub fn scim_id(&self, login: &str) -> Result<Option<String>, OrgError> {
        self.org().account(login).map(|account| account.scim_id.clone())
    }

    /// Where a person stands.
    pub fn status(&self, login: &str) -> Result<Status, OrgError> {
        self.org().account(login).map(|account| account.status)
    }

    /// Names of the groups of a person, `Everyone` included.
    pub fn groups_of(&self, login: &str) -> Result<Vec<String>, OrgError> {
        let org = self.org();
        org.account(login).map(|account| org.group_names_of(&account.id))
    }

    /// Points the SCIM client at a sink, and forgets the ids that an earlier one gave.
    pub fn set_scim_target(&self, target: ScimTarget) -> Result<(), ScimError> {
        let client = ScimClient::new(target)?;
        let mut org = self.org();
        let elsewhere = self.scim_client().is_none_or(|old| old.target.base_url != client.target.base_url);
        if elsewhere {
            for account in &mut org.people {
                account.scim_id = None;
                account.provisioned = false;
            }
            for record in &mut org.groups {
                record.scim_id = None;
            }
        }
        *lock(&self.scim) = Some(Arc::new(client));
        Ok(())
    }

    /// The sink that is pushed to.
    #[must_use]
    pub fn scim_target(&self) -> Option<ScimTarget> {
        self.scim_client().map(|client| client.target.clone())
    }

    /// "Test API Credentials".
    pub async fn test_connection(&self) -> Vec<Push> {
        let Some(mut pusher) = Pusher::new(self, Operation::TestConnection, "") else { return Vec::new() };
        pusher.test_connection().await;
        pusher.done()
    }

    /// The import of all users and groups of the sink.
    pub async fn import(&self) -> Vec<Push> {
        let Some(mut pusher) = Pusher::new(self, Operation::Import, "") else { return Vec::new() };
        pusher.import().await;
        pusher.done()
    }

    /// Assigns the SCIM application to a person, then tells the pushed groups that they are in.
    pub async fn provision(&self, login: &str) -> Pushes {
        let mut pushes = self.assign(login, Operation::AssignUser).await?;
        pushes.extend(self.push_memberships(login).await?);
        Ok(pushes)
    }

    /// Assigns the SCIM application to everybody who is active, then pushes every group marked for it.
    pub async fn provision_everyone(&self) -> Pushes {
        let (logins, groups) = {
            let org = self.org();
            let active = org.people.iter().filter(|account| account.status == Status::Active);
            let pushed = org.groups.iter().filter(|record| record.group.pushed);
            (
                active.map(|account| account.person.login.clone()).collect::<Vec<_>>(),
                pushed.map(|record| record.group.name.clone()).collect::<Vec<_>>(),
            )
        };
        let mut pushes = Vec::new();
        for login in logins {
            pushes.extend(self.assign(&login, Operation::AssignUser).await?);
        }
        for group in groups {
            pushes.extend(self.push_group(&group).await?);
        }
        Ok(pushes)
    }

    async fn assign(&self, login: &str, operation: Operation) -> Pushes {
        let account = self.change(login, |account| account.provisioned = true)?;
        let Some(mut pusher) = Pusher::new(self, operation, &account.person.login) else {
            return Ok(Vec::new());
        };
        pusher.assign(&account).await;
        Ok(pusher.done())
    }

    async fn push_memberships(&self, login: &str) -> Pushes {
        let (account, groups) = {
            let org = self.org();
            let account = org.account(login)?.clone();
            let linked = org.groups_of(&account.id).filter(|record| record.scim_id.is_some());
            let ids = linked.map(|record| record.id.clone()).collect::<Vec<_>>();
            (account, ids)
        };
        let mut pushes = Vec::new();
        for id in groups {
            pushes.extend(self.push_member(&id, &account, true).await?);
        }
        Ok(pushes)
    }

    /// Deactivates: Okta's own sessions and tokens die at once, then the sink is told. Called again, it tells the sink again,
    /// as an administrator does who retries a failed task.
    pub async fn deactivate(&self, login: &str) -> Pushes {
        let account = self.change(login, |account| account.status = Status::Deprovisioned)?;
        self.grants().forget_person(&account.id);
        self.tell_inactive(&account).await
    }

    /// Takes the SCIM application from a person who stays active in Okta.
    pub async fn unassign(&self, login: &str) -> Pushes {
        let account = self.change(login, |_| ())?;
        self.tell_inactive(&account).await
    }

    async fn tell_inactive(&self, account: &Account) -> Pushes {
        self.change(&account.id, |account| account.provisioned = false)?;
        let Some(mut pusher) = Pusher::new(self, Operation::DeactivateUser, &account.person.login) else {
            return Ok(Vec::new());
        };
        pusher.write_user(account, false).await;
        Ok(pusher.done())
    }

    /// Reactivates, assigns the application again, and pushes the memberships that were kept.
    pub async fn reactivate(&self, login: &str) -> Pushes {
        self.change(login, |account| account.status = Status::Active)?;
        let mut pushes = self.assign(login, Operation::ReactivateUser).await?;
        pushes.extend(self.push_memberships(login).await?);
        Ok(pushes)
    }

    /// Suspends, or ends a suspension. Okta sends nothing, and drops its own sessions.
    pub fn suspend(&self, login: &str, suspended: bool) -> Result<(), OrgError> {
        let status = if suspended { Status::Suspended } else { Status::Active };
        let account = self.change(login, |account| account.status = status)?;
        if suspended {
            self.grants().forget_person(&account.id);
        }
        Ok(())
    }

    /// Changes a profile in any way, and pushes it if the person is provisioned.
    pub async fn update_person(&self, login: &str, change: impl FnOnce(&mut Person)) -> Pushes {
        let account = self.change(login, |account| change(&mut account.person))?;
        let pusher = Pusher::new(self, Operation::UpdateUser, &account.person.login);
        let Some(mut pusher) = pusher.filter(|_| account.provisioned) else { return Ok(Vec::new()) };
        pusher.write_user(&account, account.status == Status::Active).await;
        Ok(pusher.done())
    }

    /// Puts a person into a group.
    pub async fn add_member(&self, group: &str, login: &str) -> Pushes {
        self.move_member(group, login, true).await
    }

    /// Takes a person out of a group.
    pub async fn remove_member(&self, group: &str, login: &str) -> Pushes {
        self.move_member(group, login, false).await
    }

    async fn move_member(&self, group: &str, login: &str, joins: bool) -> Pushes {
        let (group_id, account) = {
            let mut org = self.org();
            let account = org.account(login)?.clone();
            let record = org.group_mut(group)?;
            if record.built_in {
                return Err(OrgError::BuiltIn);
            }
            if joins {
                record.members.insert(account.id.clone());
            } else {
                record.members.remove(&account.id);
            }
            (record.id.clone(), account)
        };
        self.push_member(&group_id, &account, joins).await
    }

    /// Nothing goes out for a group that is not linked or a person whom the sink does not know.
    async fn push_member(&self, group_id: &str, account: &Account, joins: bool) -> Pushes {
        let _turn = self.group_turn.lock().await;
        let (name, linked) = {
            let org = self.org();
            let record = org.group(group_id)?;
            (record.group.name.clone(), record.scim_id.is_some())
        };
        let account = self.org().account(&account.id)?.clone();
        let known = account.provisioned && account.scim_id.is_some();
        let Some(mut pusher) = Pusher::new(self, Operation::PushMembers, &name).filter(|_| linked && known)
        else {
            return Ok(Vec::new());
        };
        pusher.move_member(group_id, &account, joins).await;
        Ok(pusher.done())
    }

    /// Renames a group, which keeps its id and its members.
    pub async fn rename_group(&self, old: &str, new: &str) -> Pushes {
        let _turn = self.group_turn.lock().await;
        let (id, linked) = {
            let mut org = self.org();
            if org.group(new).is_ok() {
                return Err(OrgError::Taken(new.to_owned()));
            }
            let record = org.group_mut(old)?;
            if record.built_in {
                return Err(OrgError::BuiltIn);
            }
            new.clone_into(&mut record.group.name);
            (record.id.clone(), record.scim_id.is_some())
        };
        let Some(mut pusher) = Pusher::new(self, Operation::RenameGroup, new).filter(|_| linked) else {
            return Ok(Vec::new());
        };
        pusher.rename(&id).await;
        Ok(pusher.done())
    }

    /// Starts Group Push for a group, or "Push now": the sink's group is overwritten with all members.
    pub async fn push_group(&self, name: &str) -> Pushes {
        let _turn = self.group_turn.lock().await;
        let record = {
            let mut org = self.org();
            let record = org.group_mut(name)?;
            record.group.pushed = true;
            record.clone()
        };
        let Some(mut pusher) = Pusher::new(self, Operation::PushGroup, name) else { return Ok(Vec::new()) };
        pusher.push_group(&record).await;
        Ok(pusher.done())
    }

    /// "Unlink pushed group and delete it in the target"; the group stays in Okta.
    pub async fn unlink_group(&self, name: &str) -> Pushes {
        let _turn = self.group_turn.lock().await;
        let id = {
            let mut org = self.org();
            let record = org.group_mut(name)?;
            record.group.pushed = false;
            record.id.clone()
        };
        let Some(mut pusher) = Pusher::new(self, Operation::UnlinkGroup, name) else { return Ok(Vec::new()) };
        pusher.unlink(&id).await;
        Ok(pusher.done())
    }

    /// Changes a person and gives them as they are then.
    fn change(&self, login: &str, change: impl FnOnce(&mut Account)) -> Result<Account, OrgError> {
        let mut org = self.org();
        let account = org.account_mut(login)?;
        change(account);
        Ok(account.clone())
    }
}
