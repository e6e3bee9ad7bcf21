//! `portcullis login`, `token`, `curl` and `logout`: a person at a terminal uses an application as themselves. What is kept on their
//! machine is left to `kept`, what is said to the gateway to `grants`, the port that a browser answers to, to `answer`.

use std::error::Error;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command as Process;
use std::time::Duration;

use clap::Args;
use url::Url;

mod answer;
mod grants;
mod kept;

use super::say;
use crate::gateway::now;
use answer::Listening;
use grants::{Grants, Proof, Token};
use kept::Kept;

/// How long somebody may take to answer in the browser.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub(super) struct Login {
    /// The application, such as https://wiki.corp.example
    url: Url,
    /// Show a code to type into a browser elsewhere, instead of opening one here
    #[arg(long)]
    device: bool,
}

#[derive(Debug, Args)]
pub(super) struct OfApplication {
    /// The application, such as https://wiki.corp.example
    url: Url,
}

#[derive(Debug, Args)]
pub(super) struct Curl {
    /// What curl is called with; the token goes to the host of the first URL, and to no other
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// Gets a token and keeps it.
pub(super) fn login(asked: &Login) -> Result<(), Box<dyn Error>> {
    let origin = origin(&asked.url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let token = runtime.block_on(async {
        let grants = Grants::new(origin.clone())?;
        if asked.device || !has_browser() { by_device(&grants).await } else { by_browser(&grants).await }
    })?;
    let kept = Kept::of(&origin)?;
    kept.write(&token)?;
    say(&format!(
        "signed in to {origin} until {}; `portcullis curl {origin}` uses it",
        super::date(token.expires_at)
    ))
}

/// Prints the token, for scripts.
pub(super) fn token(asked: &OfApplication) -> Result<(), Box<dyn Error>> {
    let kept = Kept::of(&origin(&asked.url)?)?.read(now())?;
    say(kept.token.expose())
}

/// Calls the machine's own curl. It reads the token from the file, as a cookie of the one host, so that it stands in no list of
/// processes and follows no redirect elsewhere.
pub(super) fn curl(asked: &Curl) -> Result<(), Box<dyn Error>> {
    let url = asked.arguments.iter().find_map(|argument| Url::parse(argument).ok().filter(Url::has_host));
    let origin =
        origin(&url.ok_or("none of the arguments is a whole URL, such as https://wiki.corp.example/page")?)?;
    let kept = Kept::of(&origin)?;
    kept.read(now())?;
    let error = Process::new("curl").arg("--cookie").arg(kept.file()).args(&asked.arguments).exec();
    Err(format!("cannot start `curl`: {error}; is it installed?").into())
}

/// Ends the token, here and at the gateway.
pub(super) fn logout(asked: &OfApplication) -> Result<(), Box<dyn Error>> {
    let origin = origin(&asked.url)?;
    let kept = Kept::of(&origin)?;
    let token = kept.read(now())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Grants::new(origin.clone())?.revoke(&token).await })?;
    kept.forget()?;
    say(&format!("signed out of {origin}"))
}

/// The application's origin. A token must not travel in the clear.
fn origin(url: &Url) -> Result<Url, Box<dyn Error>> {
    if url.scheme() != "https" || url.host_str().is_none() {
        return Err(format!("`{url}` is no https address of an application").into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("leave user and password out of the address: the login is made in a browser".into());
    }
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin.set_fragment(None);
    Ok(origin)
}

/// Whether a browser can be shown here. `BROWSER` names one even where there is no screen.
fn has_browser() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || set("BROWSER") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

async fn by_browser(grants: &Grants) -> Result<Token, Box<dyn Error>> {
    let proof = Proof::new()?;
    let listening = Listening::begin().await?;
    let page = grants.page(&proof, listening.port());
    tell(&format!("Confirm in your browser. If it does not open by itself, open this address:\n  {page}"));
    open(page.as_str());
    let answered = tokio::time::timeout(PATIENCE, listening.answer(proof.state())).await;
    let code = answered.map_err(|_| "nobody answered in the browser within five minutes; try again")??;
    Ok(grants.redeem(&proof, &code).await?)
}

async fn by_device(grants: &Grants) -> Result<Token, Box<dyn Error>> {
    let proof = Proof::new()?;
    let waiting = grants.begin_device(&proof).await?;
    tell(&format!(
        "Open {} in a browser where you can sign in, and type this code:\n  {}",
        waiting.page, waiting.code
    ));
    Ok(grants.collect(&proof, &waiting).await?)
}

/// To the error output: the other is for what is asked for.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A browser that does not open is no fault: the address was shown.
fn open(address: &str) {
    let named = std::env::var("BROWSER").ok().filter(|name| !name.is_empty());
    let program =
        named.unwrap_or_else(|| if cfg!(target_os = "macos") { "open" } else { "xdg-open" }.to_owned());
    let quiet = std::process::Stdio::null;
    let _ = Process::new(program).arg(address).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}
