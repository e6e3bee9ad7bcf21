//! What the cookies of before are worth once their person may work again: nothing, neither those of an application nor those of the login.

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use url::Url;

use super::load::Worker;
use super::stage::{LOOK, PATIENCE, SIDE_BY_SIDE, Stage};
use crate::browser::{Browser, Cookie, Form};

/// What one gateway does with them.
#[derive(Clone, Debug)]
pub(super) struct Former {
    pub(super) gateway: String,
    /// What a script is answered.
    pub(super) script: u16,
    /// How a browser that has the login alone goes to the application; nothing where it ends at the provider's login page.
    pub(super) landed: Option<String>,
}

/// By person, in the order of `workers`.
pub(super) async fn former_sessions(stage: &Stage, workers: &[Worker]) -> Vec<Vec<Former>> {
    let asked = workers.iter().map(|worker| async move {
        // An answer may take cookies away; each gateway is shown what there was.
        let cookies = worker.browser.jar().all();
        let of_wiki = |cookie: &&Cookie| Url::parse(&worker.wiki).unwrap().host_str() == Some(&cookie.host);
        // With an application's cookie the way ends at a page that says so, before anybody looks at the login.
        let login: Vec<Cookie> = cookies.iter().filter(|cookie| !of_wiki(cookie)).cloned().collect();
        let mut told = Vec::new();
        for number in 0..stage.gateways.len() {
            let (gateway, wiki) = (format!("gateway {number}"), stage.wiki(number));
            let script = told_to(&with(stage, &cookies), &format!("{wiki}/whoami")).await;
            let landed = landed(stage, &login, &format!("{wiki}/")).await;
            told.push(Former { gateway, script, landed });
        }
        told
    });
    stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await
}

fn with(stage: &Stage, cookies: &[Cookie]) -> Browser {
    let browser = stage.stranger();
    cookies.iter().for_each(|cookie| browser.jar().plant(cookie.clone()));
    browser
}

/// What is answered, once something is: no answer and 503 say nothing about a session.
async fn told_to(browser: &Browser, url: &str) -> u16 {
    let begun = Instant::now();
    loop {
        let status = browser.fetch(url).await.map_or(0, |answer| answer.status.as_u16());
        if !matches!(status, 0 | 503) || begun.elapsed() > PATIENCE {
            return status;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn landed(stage: &Stage, cookies: &[Cookie], url: &str) -> Option<String> {
    let begun = Instant::now();
    loop {
        let page = with(stage, cookies).navigate(url).await;
        let nowhere = page.as_ref().map_or(true, |page| page.status == 503);
        match page {
            _ if nowhere && begun.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            Ok(page) => {
                let at_okta = page.url.as_str().starts_with(&stage.okta.issuer());
                let asks = at_okta && Form::login(&page.text()).is_some();
                return (!asks).then(|| page.trail());
            }
            Err(error) => return Some(error.to_string()),
        }
    }
}
