//! The admin page: people, groups and what the SCIM sink answered, in forms without script. The actions are those of
//! `actions`; each form is answered by a redirect, so that a reload repeats nothing.

use http::{Method, StatusCode};

use super::Okta;
use super::exchange::{Answer, Ask, Params, encode, escape};
use super::journal::Push;
use super::login::document;
use super::state::{Account, GroupRecord, Org, OrgError, Status};

/// How many of the latest SCIM requests the page shows.
const SHOWN_PUSHES: usize = 40;
/// How many groups of one person the page names.
const SHOWN_GROUPS: usize = 8;
/// How much of an answer's body the page shows.
const SHOWN_BODY: usize = 300;

pub(super) async fn answer(okta: &Okta, ask: &Ask) -> Answer {
    if ask.method != Method::POST {
        return page(okta, ask.query.value("note"));
    }
    let note = match act(okta, &ask.form()).await {
        Ok(pushes) => in_words(&pushes),
        Err(error) => format!("Not done: {error}."),
    };
    Answer::redirect(StatusCode::SEE_OTHER, &format!("/admin?note={}", encode(&note)))
}

async fn act(okta: &Okta, form: &Params) -> Result<Vec<Push>, OrgError> {
    let field = |name| form.value(name).unwrap_or_default();
    match field("action") {
        "deactivate" => okta.deactivate(field("login")).await,
        "reactivate" => okta.reactivate(field("login")).await,
        "provision" => okta.provision(field("login")).await,
        "provision-everyone" => okta.provision_everyone().await,
        "test" => Ok(okta.test_connection().await),
        "join" => okta.add_member(field("group"), field("login")).await,
        "leave" => okta.remove_member(field("group"), field("login")).await,
        "push" => okta.push_group(field("group")).await,
        "rename" => okta.rename_group(field("group"), field("name")).await,
        "rotate" => {
            okta.rotate_keys();
            Ok(Vec::new())
        }
        "replace-keys" => {
            okta.rotate_keys_in_emergency();
            Ok(Vec::new())
        }
        other => Err(OrgError::UnknownGroup(format!("action {other}"))),
    }
}

/// What the page says after an action.
fn in_words(pushes: &[Push]) -> String {
    match pushes.last() {
        None => "Done. Nothing was pushed by SCIM.".to_owned(),
        Some(last) => {
            let verdict = if last.accepted() { "accepted it" } else { "refused it" };
            let status = last.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let took = (last.answered - last.started).as_millis();
            let what = if last.status.is_some() { "" } else { last.body.as_str() };
            format!(
                "Done. The SCIM sink {verdict}: {} {} - {status} after {took} ms ({} requests). {what}",
                last.method,
                last.path,
                pushes.len()
            )
        }
    }
}

fn page(okta: &Okta, note: Option<&str>) -> Answer {
    let note =
        note.map(|note| format!("<p role=status><strong>{}</strong></p>", escape(note))).unwrap_or_default();
    let target = match okta.scim_client() {
        Some(client) => {
            format!("SCIM target: {} ({:?})", escape(&client.target.base_url), client.target.dialect)
        }
        None => "No SCIM target is set: nothing is pushed.".to_owned(),
    };
    let org = okta.org();
    let people = org.people.iter().map(|account| person_row(&org, account)).collect::<String>();
    let groups = org.groups.iter().filter(|record| shown(record)).map(group_row).collect::<String>();
    let names = org.groups.iter().filter(|record| shown(record) && !record.built_in);
    let names =
        names.map(|record| format!("<option value=\"{}\">", escape(&record.group.name))).collect::<String>();
    drop(org);
    let pushes = okta.journal().iter().rev().take(SHOWN_PUSHES).map(push_row).collect::<String>();
    let body = format!(
        "{note}<datalist id=groups>{names}</datalist><p class=quiet>Issuer {issuer}. {target}</p>\
         <form method=post action=\"/admin\"><button name=action value=provision-everyone>Provision everyone</button> \
         <button name=action value=test>Test SCIM connection</button> \
         <button name=action value=rotate>Rotate keys</button> \
         <button name=action value=replace-keys>Replace keys (emergency)</button></form>\
         <h2>People</h2><table><tr><th>Person<th>Status<th>Groups<th>Actions</tr>{people}</table>\
         <h2>Groups</h2><table><tr><th>Group<th>Members<th>SCIM<th>Actions</tr>{groups}</table>\
         <h2>What the SCIM sink answered</h2>\
         <table><tr><th>Operation<th>Request<th>Status<th>Took<th>Body</tr>{pushes}</table>",
        issuer = escape(&okta.issuer())
    );
    Answer::html(StatusCode::OK, document("People and groups", &body))
}

/// Groups that nobody pushes would only fill the page.
fn shown(record: &GroupRecord) -> bool {
    record.built_in || record.group.pushed || record.scim_id.is_some()
}

fn person_row(org: &Org, account: &Account) -> String {
    let login = escape(&account.person.login);
    let mut names = org.group_names_of(&account.id);
    let more = names.len().saturating_sub(SHOWN_GROUPS);
    names.truncate(SHOWN_GROUPS);
    let mut groups = escape(&names.join(", "));
    if more > 0 {
        groups.push_str(&format!(" and {more} more"));
    }
    let (action, label) = match account.status {
        Status::Active => ("deactivate", "Deactivate"),
        _ => ("reactivate", "Reactivate"),
    };
    let provisioned = if account.provisioned { "provisioned" } else { "not provisioned" };
    format!(
        "<tr><td>{name}<br><span class=quiet>{login}</span><td>{status:?}<br><span class=quiet>{provisioned}</span>\
         <td>{groups}<td>\
         <form method=post action=\"/admin\"><input type=hidden name=login value=\"{login}\">\
         <button name=action value={action}>{label}</button></form>\
         <form method=post action=\"/admin\"><input type=hidden name=login value=\"{login}\">\
         <label>Group <input name=group list=groups required size=14></label>\
         <button name=action value=join>Add</button><button name=action value=leave>Remove</button></form></tr>",
        name = escape(&account.display_name()),
        status = account.status,
    )
}

fn group_row(record: &GroupRecord) -> String {
    let name = escape(&record.group.name);
    let scim = if record.scim_id.is_some() { "linked" } else { "not pushed" };
    let actions = if record.built_in {
        "built in".to_owned()
    } else {
        format!(
            "<form method=post action=\"/admin\"><input type=hidden name=group value=\"{name}\">\
             <button name=action value=push>Push now</button></form>\
             <form method=post action=\"/admin\"><input type=hidden name=group value=\"{name}\">\
             <label>New name <input name=name required size=14></label>\
             <button name=action value=rename>Rename</button></form>"
        )
    };
    format!("<tr><td>{name}<td>{}<td>{scim}<td>{actions}</tr>", record.members.len())
}

fn push_row(push: &Push) -> String {
    let status = push.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let body = push.body.chars().take(SHOWN_BODY).collect::<String>();
    format!(
        "<tr><td>{:?}<br><span class=quiet>{}</span><td>{} {}<td>{status}<td>{} ms<td><pre>{}</pre></tr>",
        push.operation,
        escape(&push.subject),
        push.method,
        escape(&push.path),
        (push.answered - push.started).as_millis(),
        escape(&body)
    )
}
