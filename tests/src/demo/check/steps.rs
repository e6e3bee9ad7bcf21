//! The steps of the walk: each does what a person, a script or an administrator would, and says what was not as promised.

use std::time::{Duration, Instant};

use crate::browser::{Browser, BrowserError, EventStream, Form, Page, Socket};
use crate::harness::Scene;
use crate::okta::company::{COLLECTOR, DEMO_PASSWORD};
use crate::okta::{OrgError, Push};

use super::Outcome;

const ENGINEER: &str = "engineer@corp.example";
const DEVELOPER: &str = "developer@corp.example";
const ADMIN: &str = "admin@corp.example";
const GROUP: &str = "Engineering";
/// How long the upstream is watched for bytes that must not come.
const WATCH: Duration = Duration::from_millis(500);

/// What the steps hand to each other.
pub(super) struct Walk<'a> {
    scene: &'a Scene<'a>,
    engineer: Browser,
    clock: Option<Socket>,
    events: Option<EventStream>,
    dropped_at: Option<Instant>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(scene: &'a Scene<'a>) -> Self {
        let engineer = Browser::new(&scene.ca_pem);
        Self { scene, engineer, clock: None, events: None, dropped_at: None }
    }

    fn wiki(&self, path: &str) -> String {
        format!("{}{path}", self.scene.wiki)
    }

    /// A fresh browser, somebody's login in it, and where that led.
    async fn log_in(&self, login: &str) -> Result<(Browser, Page), String> {
        let browser = self.engineer.another_profile();
        let page = browser.log_in(&self.wiki("/"), login, DEMO_PASSWORD).await.map_err(broke)?;
        Ok((browser, page))
    }

    pub(super) async fn stranger_is_sent_to_log_in(&self) -> Outcome {
        let page = self.engineer.another_profile().navigate(&self.wiki("/a/b?c=d")).await.map_err(broke)?;
        let issuer = self.scene.okta.issuer();
        expect(page.url.as_str().starts_with(&issuer), || format!("not at {issuer}:\n{}", page.trail()))?;
        expect(Form::login(&page.text()).is_some(), || format!("no login form:\n{}", page.trail()))
    }

    pub(super) async fn script_is_told(&self) -> Outcome {
        let answer = self.engineer.another_profile().fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(answer.status == 401, || format!("status {}", answer.status))?;
        expect(!answer.header("www-authenticate").is_empty(), || "no WWW-Authenticate".to_owned())
    }

    pub(super) async fn engineer_reads(&self) -> Outcome {
        let page = self.engineer.log_in(&self.wiki("/"), ENGINEER, DEMO_PASSWORD).await.map_err(broke)?;
        expect(page.status == 200 && page.url.as_str() == self.wiki("/"), || page_text(&page))?;
        expect(page.text().contains(&format!("<strong id=\"email\">{ENGINEER}</strong>")), || {
            page_text(&page)
        })?;
        expect(!page.text().contains("no assertion"), || "the upstream got no assertion".to_owned())
    }

    pub(super) async fn identity_is_told(&self) -> Outcome {
        let address = self.wiki("/cdn-cgi/access/get-identity");
        let identity = self.engineer.fetch(&address).await.map_err(broke)?;
        let text = identity.text();
        expect(identity.status == 200, || format!("status {}: {text}", identity.status))?;
        expect(identity.json()["email"] == ENGINEER, || text.clone())?;
        expect(text.contains(GROUP), || format!("no `{GROUP}` in {text}"))
    }

    pub(super) async fn is_denied(&self, login: &str) -> Outcome {
        let (browser, page) = self.log_in(login).await?;
        expect(page.status == 403, || page_text(&page))?;
        let again = browser.fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(again.status == 403, || format!("the next request got {}", again.status))?;
        let seen = self.scene.recorder.of(login).len();
        expect(seen == 0, || format!("the upstream has {seen} records of a denied person"))
    }

    pub(super) async fn collector_reads(&self) -> Outcome {
        let (_, page) = self.log_in(COLLECTOR).await?;
        expect(page.status == 200 && page.text().contains(COLLECTOR), || page_text(&page))
    }

    pub(super) async fn streams_run(&mut self) -> Outcome {
        let mut clock = self.engineer.websocket(&self.wiki("/ws/clock")).await.map_err(broke)?;
        for number in 1..=3 {
            let tick = clock.next().await.ok_or("the clock stopped")?;
            expect(tick == format!("tick {number}"), || tick.clone())?;
        }
        let mut events = self.engineer.event_stream(&self.wiki("/events")).await.map_err(broke)?;
        expect(events.status == 200, || format!("events: {}", events.status))?;
        for number in 1..=3 {
            let event = events.next().await.map_err(broke)?.ok_or("the events stopped")?;
            expect(event.data == format!("tick {number}"), || event.data.clone())?;
        }
        self.clock = Some(clock);
        self.events = Some(events);
        Ok(())
    }

    pub(super) async fn group_decides(&self) -> Outcome {
        let (browser, page) = self.log_in(DEVELOPER).await?;
        expect(page.status == 200, || page_text(&page))?;
        accepted(self.scene.okta.remove_member(GROUP, DEVELOPER).await)?;
        let denied = browser.navigate(&self.wiki("/")).await.map_err(broke)?;
        expect(denied.status == 403 && denied.chain.len() == 1, || page_text(&denied))?;
        accepted(self.scene.okta.add_member(GROUP, DEVELOPER).await)?;
        let allowed = browser.navigate(&self.wiki("/")).await.map_err(broke)?;
        expect(allowed.status == 200 && allowed.chain.len() == 1, || page_text(&allowed))
    }

    pub(super) async fn deactivation_cuts(&mut self) -> Outcome {
        let mut clock = self.clock.take().ok_or("the clock never ran")?;
        let mut events = self.events.take().ok_or("the events never ran")?;
        let alive = clock.next().await;
        expect(alive.is_some(), || "the clock had stopped before".to_owned())?;
        self.dropped_at = Some(accepted(self.scene.okta.deactivate(ENGINEER).await)?);
        clock.closed().await;
        // A proper end and a cut are both an end; what counts is that nothing more comes.
        let _ = events.ended().await;
        Ok(())
    }

    pub(super) async fn nothing_came_after(&self) -> Outcome {
        let at = self.dropped_at.ok_or("nobody was deactivated")?;
        tokio::time::sleep(WATCH).await;
        let earlier = self.scene.recorder.of(ENGINEER).len();
        expect(earlier > 0, || "the recorder knows nothing of the person at all".to_owned())?;
        let bytes = self.scene.recorder.bytes_after(ENGINEER, at);
        expect(bytes == 0, || format!("{bytes} bytes came after the 2xx"))
    }

    pub(super) async fn next_request_is_refused(&self) -> Outcome {
        let answer = self.engineer.fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(answer.is_refusal(), || format!("a script got {}", answer.status))?;
        let page = self.engineer.navigate(&self.wiki("/")).await.map_err(broke)?;
        expect(page.header("content-type").starts_with("text/html"), || page_text(&page))?;
        expect(page.status == 403 || Form::login(&page.text()).is_some(), || page_text(&page))?;
        let at = self.dropped_at.ok_or("nobody was deactivated")?;
        let bytes = self.scene.recorder.bytes_after(ENGINEER, at);
        expect(bytes == 0, || format!("{bytes} bytes reached the upstream"))
    }

    pub(super) async fn login_is_refused(&self) -> Outcome {
        let (browser, page) = self.log_in(ENGINEER).await?;
        expect(page.header("content-type").starts_with("text/html"), || page_text(&page))?;
        expect(!page.url.as_str().starts_with(&self.scene.wiki), || page_text(&page))?;
        let answer = browser.fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(answer.status == 401, || format!("after the refused login a request got {}", answer.status))
    }

    /// Unassigned in Okta: the provider still lets the person in, the gateway must not.
    pub(super) async fn directory_refuses(&self) -> Outcome {
        let (_, before) = self.log_in(ADMIN).await?;
        expect(before.status == 200, || page_text(&before))?;
        let at = accepted(self.scene.okta.unassign(ADMIN).await)?;
        let (browser, page) = self.log_in(ADMIN).await?;
        expect(page.status == 403 && page.url.as_str().starts_with(&self.scene.auth), || page_text(&page))?;
        let answer = browser.fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(answer.status == 401, || format!("after the refused login a request got {}", answer.status))?;
        let bytes = self.scene.recorder.bytes_after(ADMIN, at);
        expect(bytes == 0, || format!("{bytes} bytes came after the 2xx"))
    }

    pub(super) async fn reactivated_reads(&mut self) -> Outcome {
        accepted(self.scene.okta.reactivate(ENGINEER).await)?;
        let old = self.engineer.fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(old.is_refusal(), || format!("the old session came back to life: {}", old.status))?;
        let (browser, page) = self.log_in(ENGINEER).await?;
        expect(page.status == 200 && page.text().contains(ENGINEER), || page_text(&page))?;
        self.engineer = browser;
        Ok(())
    }

    pub(super) async fn logout_ends(&self) -> Outcome {
        let before = self.engineer.fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(before.status == 200, || format!("before the logout: {}", before.status))?;
        let page = self.engineer.navigate(&self.wiki("/cdn-cgi/access/logout")).await.map_err(broke)?;
        let after = self.engineer.fetch(&self.wiki("/")).await.map_err(broke)?;
        expect(after.is_refusal(), || format!("still {} after\n{}", after.status, page.trail()))
    }
}

fn expect(condition: bool, why: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(why()) }
}

/// The error with all its causes.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
fn broke(error: BrowserError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Where a navigation ended, with the beginning of what it showed.
fn page_text(page: &Page) -> String {
    let shown: String = page.text().chars().take(600).collect();
    format!("{}\n{shown}", page.trail())
}

/// When the last push was answered, if that was with a 2xx.
fn accepted(pushes: Result<Vec<Push>, OrgError>) -> Result<Instant, String> {
    let pushes = pushes.map_err(|error| error.to_string())?;
    let last = pushes.last().ok_or("nothing was pushed")?;
    expect(last.accepted(), || format!("{} {}: {:?} {}", last.method, last.path, last.status, last.body))?;
    Ok(last.answered)
}
