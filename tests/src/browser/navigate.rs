//! Walks: from an address or a form, through every redirect, to a page. Each step is kept for the test to see.

use http::Method;
use url::Url;

use super::answer::{Answer, Hop, Page};
use super::form::Form;
use super::send::{Initiator, Outgoing};
use super::{Browser, BrowserError};

/// Browsers give up after about this many.
pub(crate) const MAX_REDIRECTS: usize = 20;
/// A login that asks for more forms than this is no login.
const MAX_FORMS: usize = 4;

impl Browser {
    /// Types an address and follows it to a page.
    ///
    /// # Errors
    /// When a step gets no answer, or the redirects do not end.
    pub async fn navigate(&self, url: &str) -> Result<Page, BrowserError> {
        self.follow(Outgoing::navigation(url)?).await
    }

    /// Follows a link of a page.
    ///
    /// # Errors
    /// As [`Browser::navigate`].
    pub async fn click(&self, page: &Page, href: &str) -> Result<Page, BrowserError> {
        let url = page.url.join(href).map_err(|_| BrowserError::BadUrl(href.to_owned()))?;
        self.follow(Outgoing::new(Method::GET, url, Initiator::Page(page.url.clone()))).await
    }

    /// Fills the first form of a page and submits it. Fields that are not named keep their values.
    ///
    /// # Errors
    /// When there is no form, and as [`Browser::navigate`].
    pub async fn submit(&self, page: &Page, fields: &[(&str, &str)]) -> Result<Page, BrowserError> {
        let form = Form::first(&page.text()).ok_or_else(|| BrowserError::NoForm(page.url.to_string()))?;
        self.submit_form(page, &form.filled(fields)).await
    }

    /// Submits a form that the test has chosen.
    ///
    /// # Errors
    /// As [`Browser::navigate`].
    pub async fn submit_form(&self, page: &Page, form: &Form) -> Result<Page, BrowserError> {
        self.follow(form.request(&page.url)?).await
    }

    /// Types an address and, wherever a login form comes up, logs in.
    ///
    /// # Errors
    /// As [`Browser::navigate`]. A refused login is a page, not an error.
    pub async fn log_in(&self, url: &str, user: &str, password: &str) -> Result<Page, BrowserError> {
        let mut page = self.navigate(url).await?;
        let mut chain = Vec::new();
        for _ in 0..MAX_FORMS {
            let Some(form) = Form::login(&page.text()) else { break };
            let form = form.with_login(user, password);
            chain.append(&mut page.chain);
            let asked = page.url.clone();
            page = self.submit_form(&page, &form).await?;
            // The same form again, with an error on it, is the provider's refusal.
            if page.url.path() == asked.path() && page.url.host() == asked.host() && page.chain.len() == 1 {
                break;
            }
        }
        chain.append(&mut page.chain);
        Ok(Page { answer: page.answer, chain })
    }

    /// Sends a request and follows its redirects as a browser does.
    ///
    /// # Errors
    /// When a step gets no answer, or the redirects do not end.
    pub async fn follow(&self, first: Outgoing) -> Result<Page, BrowserError> {
        let mut outgoing = first;
        let mut chain = Vec::new();
        loop {
            let answer = self.send(&outgoing).await?;
            chain.push(Hop {
                method: outgoing.method.clone(),
                url: outgoing.url.clone(),
                status: answer.status,
            });
            let Some(next) = answer.location() else { return Ok(Page { answer, chain }) };
            if chain.len() > MAX_REDIRECTS {
                return Err(BrowserError::Redirects(next.to_string()));
            }
            outgoing = redirected(outgoing, &answer, next);
        }
    }
}

/// Fetch standard, HTTP-redirect fetch: 303 always, and 301 and 302 after POST, turn into GET without a body.
fn redirected(mut outgoing: Outgoing, answer: &Answer, next: Url) -> Outgoing {
    let becomes_get = match answer.status.as_u16() {
        303 => outgoing.method != Method::HEAD,
        301 | 302 => outgoing.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        outgoing.method = Method::GET;
        outgoing.body.clear();
        outgoing.headers.remove(http::header::CONTENT_TYPE);
    }
    outgoing.url = next;
    outgoing
}
