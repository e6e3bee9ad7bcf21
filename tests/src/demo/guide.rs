//! What the demo tells people and programs: the text on the screen and `demo.json`.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use super::Stage;

/// More groups than these are counted, not listed.
const LISTED_GROUPS: usize = 5;

/// The text on the screen.
pub(super) fn text(stage: &Stage) -> String {
    let plan = &stage.plan;
    let mut people = String::new();
    for person in &stage.company.people {
        let groups = match person.groups.len() {
            0 => "no group".to_owned(),
            count if count > LISTED_GROUPS => format!("{count} groups"),
            _ => person.groups.join(", "),
        };
        let _ = writeln!(people, "  {:<28} {:<16} {groups}", person.login, person.password);
    }
    format!(
        "Portcullis is running. Ctrl-C stops it.\n\n\
         The wiki, behind the gateway     {wiki}/\n\
         Okta's admin page (simulated)    http://{okta}/admin\n\
         SCIM base URL                    {scim}\n\
         Certificate authority            {ca}\n\
         Everything else                  {json}\n\n\
         People               password         groups\n{people}\n\
         Try this:\n\
         1. Open {wiki}/ in a browser. It warns, since the certificate authority was made just now: go on, or trust the file above.\n\
         2. Log in as an engineer. The wiki says who you are. Open the clock and leave it ticking.\n\
         3. On Okta's admin page deactivate that engineer: the clock stops, and the next click shows a page that says why.\n\
         4. Reactivate, and log in again. Take the engineer out of Engineering: the next click is denied, without a new login.\n\
         5. In a private window log in as the contractor: in Engineering, yet excluded by the policy.\n",
        wiki = plan.application_url(),
        okta = plan.okta,
        scim = plan.scim_url(),
        ca = stage.gateway.ca_file().display(),
        json = json_file(stage).display(),
    )
}

/// Writes `demo.json` into the stage's folder.
pub(super) fn write_json(stage: &Stage) -> io::Result<()> {
    std::fs::write(json_file(stage), format!("{:#}\n", description(stage)))
}

fn json_file(stage: &Stage) -> std::path::PathBuf {
    stage.gateway.folder().join("demo.json")
}

fn description(stage: &Stage) -> Value {
    let plan = &stage.plan;
    let people = stage.company.people.iter().map(|person| {
        json!({
            "login": person.login,
            "password": person.password,
            "given_name": person.given_name,
            "family_name": person.family_name,
            "groups": person.groups,
        })
    });
    json!({
        "application": plan.application_url(),
        "auth": plan.auth_url(),
        "inner": format!("http://{}", plan.inner_listen),
        "upstream": stage.upstream.url(),
        "okta": {
            "issuer": stage.okta.issuer(),
            "admin_page": format!("{}/admin", stage.okta.base_url()),
            "admin_api": format!("{}/admin/api", stage.okta.base_url()),
        },
        "scim": { "base_url": plan.scim_url(), "key": stage.scim_key, "directory": plan.directory },
        "ca_file": stage.gateway.ca_file(),
        "config_file": stage.gateway.folder().join("config.toml"),
        "gateway_process": stage.gateway.id(),
        "people": people.collect::<Vec<_>>(),
    })
}
