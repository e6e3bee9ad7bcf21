//! The gateway as a contestant: one worker, decision events to `/dev/null`, people provisioned over SCIM, and somebody who has
//! logged in at the simulated Okta, whose cookie the load carries.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use url::Url;

use super::contestant::{Address, Contestant, PROXY_CORE};
use super::stage::Papers;
use crate::browser::Browser;
use crate::harness::{Folder, Gateway, Launch, Settings};
use crate::okta::company::{DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_PASSWORD};
use crate::okta::{Client, Company, Dialect, OktaConfig, OktaSim, ScimTarget};

const PERSON: &str = "engineer@corp.example";
/// One address opens all connections here and one person asks for everything, which the defaults forbid. The counting stays on.
/// Connections stay as long as those of the others do.
const LIMITS: &str = "[limits]\nconnections = 20000\nconnections_per_address = 20000\n\
                      requests_per_address = 100000000\nrequests_per_person = 100000000\n\
                      upstream_connections_per_person = 1000000\nheader_timeout = \"600s\"\n";

/// The gateway and the provider that it was logged in at.
pub(super) struct Ours {
    pub(super) contestant: Contestant,
    pub(super) okta: OktaSim,
}

/// Starts both and logs somebody in.
pub(super) async fn start(
    name: &'static str,
    program: &Path,
    origin: SocketAddr,
    papers: &Papers,
) -> Result<Ours, String> {
    let okta = OktaSim::start(OktaConfig::new(Company::demo())).await.map_err(|error| error.to_string())?;
    let mut settings = Settings::new(&okta.issuer(), &format!("http://{origin}"));
    settings.client_id = DEMO_CLIENT_ID.to_owned();
    settings.client_secret = Some(DEMO_CLIENT_SECRET.to_owned());
    settings.server_extra = "workers = 1\n".to_owned();
    settings.extra = LIMITS.to_owned();
    okta.add_client(Client::confidential(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, &settings.redirect_uri()));
    let files = format!("certificate = {:?}\nkey = {:?}", papers.certificate, papers.key);
    let launch = Launch {
        program: pinned(name, program, &papers.folder)?,
        folder: Folder::temporary(),
        config: settings.toml().replace("self_signed = true", &files),
        environment: settings.environment(),
        inner_port: settings.inner_port,
    };
    let gateway = Gateway::start(launch).await.map_err(|error| error.to_string())?;
    provision(&okta, &gateway, &settings, papers).await?;
    let address = log_in(&settings, papers).await?;
    Ok(Ours { contestant: Contestant::gateway(name, address, gateway), okta })
}

/// A script that pins the gateway and throws its events away; other uses of the program stay as they are.
fn pinned(name: &str, program: &Path, folder: &Path) -> Result<PathBuf, String> {
    let file = folder.join(format!("{name}.sh"));
    let program = program.display();
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = run ] && exec taskset -c {PROXY_CORE} '{program}' \"$@\" >/dev/null\nexec '{program}' \"$@\"\n"
    );
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    std::fs::write(&file, text).map_err(told)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).map_err(told)?;
    Ok(file)
}

async fn provision(
    okta: &OktaSim,
    gateway: &Gateway,
    settings: &Settings,
    papers: &Papers,
) -> Result<(), String> {
    let target = ScimTarget {
        base_url: format!("{}/scim/v2/corp", settings.auth_url()),
        token: gateway.scim_key("corp", "okta"),
        bearer: true,
        ca_pem: Some(papers.pem.clone()),
        dialect: Dialect::Wizard,
    };
    okta.set_scim_target(target).map_err(|error| error.to_string())?;
    okta.provision_everyone().await.map_err(|error| error.to_string())?;
    Ok(())
}

async fn log_in(settings: &Settings, papers: &Papers) -> Result<Address, String> {
    let browser = Browser::new(&papers.pem);
    let url = format!("{}/bytes/1024", settings.application_url("wiki"));
    let page = browser.log_in(&url, PERSON, DEMO_PASSWORD).await.map_err(|error| error.to_string())?;
    if page.status != 200 {
        return Err(format!("the login did not lead to the application: {}", page.trail()));
    }
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    let cookie = browser.jar().header(&url).ok_or("the login left no cookie")?;
    Ok(Address { host: papers.host.clone(), port: settings.port, cookie })
}
