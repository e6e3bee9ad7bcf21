//! Where events wait to be written: one queue for each worker, filled by its thread alone and emptied by the writer of the log. What an
//! event costs a request is copying its texts.

use std::fmt::{Display, Write as _};
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use portcullis_policy::{Action, Reason, RulePosition};
use portcullis_store::SessionId;

use crate::log::Wake;
use crate::metrics::Answer;
use crate::trace_context::Trace;

/// Events of one worker that may wait, and the bytes of their texts. What comes on top is dropped and counted: a request never waits for
/// whoever reads the log.
const MAX_WAITING_EVENTS: usize = 32 * 1024;
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// The texts of an event; an empty one is absent.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) request: &'a str,
    pub(crate) application: &'a str,
    pub(crate) host: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) certificate: &'a str,
    pub(crate) certificate_subject: &'a str,
    pub(crate) email: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) provider: &'a str,
    /// The name of its token, when a service asks; its client id is the subject then.
    pub(crate) service: &'a str,
    pub(crate) policy: &'a str,
    /// What the person said that they use the application for, shortened.
    pub(crate) purpose: &'a str,
    /// What report-only policies would have decided.
    pub(crate) reports: &'a str,
    pub(crate) cause: &'a str,
}

const TEXTS: usize = 15;

/// The rest of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) answered: Instant,
    pub(crate) answer: Answer,
    pub(crate) trace: Option<Trace>,
    pub(crate) client: IpAddr,
    pub(crate) session: Option<SessionId>,
    /// When the provider last saw the person log in, in unix seconds.
    pub(crate) login_at: Option<i64>,
    /// Of the policies that it was judged by.
    pub(crate) revision: Option<u64>,
    /// What the policy that decided does.
    pub(crate) action: Option<Action>,
    pub(crate) rule: Option<RulePosition>,
    pub(crate) reason: Option<Reason>,
}

/// An event as it was recorded.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) texts: Texts<'a>,
}

/// Events in the order of their coming.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Beside its facts, where each text of an event ends.
    events: Vec<(Facts, [usize; TEXTS])>,
    texts: String,
    dropped: u64,
}

/// The queue of one worker.
#[derive(Debug)]
pub(crate) struct Journal {
    waiting: Mutex<Batch>,
    wake: Arc<Wake>,
    worker: usize,
}

impl Journal {
    pub(crate) fn new(wake: Arc<Wake>, worker: usize) -> Self {
        Self { waiting: Mutex::default(), wake, worker }
    }

    /// The number of the worker that fills it.
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    /// Keeps an event until it is written. The writer holds the lock for an exchange of pointers, and nobody else takes it.
    pub(crate) fn record(&self, facts: Facts, texts: &Texts<'_>, cause: Option<&dyn Display>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(facts, texts, cause);
        self.wake.nudge();
    }

    /// Exchanges what has come for an empty batch.
    pub(crate) fn take(&self, empty: &mut Batch) {
        mem::swap(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), empty);
    }
}

impl Batch {
    fn push(&mut self, facts: Facts, texts: &Texts<'_>, cause: Option<&dyn Display>) {
        let before = self.texts.len();
        if self.events.len() >= MAX_WAITING_EVENTS {
            self.dropped += 1;
            return;
        }
        let mut ends = [0; TEXTS];
        for (end, text) in ends.iter_mut().zip(texts.in_order()) {
            self.texts.push_str(text);
            *end = self.texts.len();
        }
        if let (Some(cause), Some(end)) = (cause, ends.last_mut()) {
            // Writing to a string fails only where a `Display` is wrong; what it wrote is kept.
            let _ = write!(self.texts, "{cause}");
            *end = self.texts.len();
        }
        if self.texts.len() > MAX_WAITING_BYTES {
            self.texts.truncate(before);
            self.dropped += 1;
            return;
        }
        self.events.push((facts, ends));
    }

    /// The events in their order.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let mut begin = 0;
        self.events.iter().map(move |(facts, ends)| {
            let mut texts = [""; TEXTS];
            for (text, end) in texts.iter_mut().zip(ends) {
                *text = self.texts.get(begin..*end).unwrap_or_default();
                begin = *end;
            }
            Event { facts, texts: Texts::from_order(texts) }
        })
    }

    /// How many found no place.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Empties it and keeps its room.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.texts.clear();
        self.dropped = 0;
    }
}

impl<'a> Texts<'a> {
    fn in_order(&self) -> [&'a str; TEXTS] {
        let Self {
            request,
            application,
            host,
            method,
            path,
            certificate,
            certificate_subject,
            email,
            subject,
            provider,
            service,
            policy,
            purpose,
            reports,
            cause,
        } = *self;
        [
            request,
            application,
            host,
            method,
            path,
            certificate,
            certificate_subject,
            email,
            subject,
            provider,
            service,
            policy,
            purpose,
            reports,
            cause,
        ]
    }

    fn from_order(texts: [&'a str; TEXTS]) -> Self {
        let [
            request,
            application,
            host,
            method,
            path,
            certificate,
            certificate_subject,
            email,
            subject,
            provider,
            service,
            policy,
            purpose,
            reports,
            cause,
        ] = texts;
        Self {
            request,
            application,
            host,
            method,
            path,
            certificate,
            certificate_subject,
            email,
            subject,
            provider,
            service,
            policy,
            purpose,
            reports,
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::decision_log::Verdict;

    fn facts(status: u16) -> Facts {
        Facts {
            answered: Instant::now(),
            answer: Answer { verdict: Verdict::Allow, status, micros: 7, upstream_micros: None },
            trace: None,
            client: Ipv4Addr::LOCALHOST.into(),
            session: None,
            login_at: None,
            revision: None,
            action: None,
            rule: None,
            reason: None,
        }
    }

    #[test]
    fn events_come_back_whole_and_in_order() {
        let journal = Journal::new(Arc::default(), 0);
        let first = Texts { request: "1", path: "/ä", email: "engineer@corp.example", ..Texts::default() };
        journal.record(facts(200), &first, None);
        journal.record(facts(502), &Texts { request: "2", ..Texts::default() }, Some(&"it broke off"));
        let mut batch = Batch::default();
        journal.take(&mut batch);
        let seen: Vec<_> = batch
            .events()
            .map(|it| {
                (it.facts.answer.status, it.texts.request, it.texts.path, it.texts.email, it.texts.cause)
            })
            .collect();
        assert_eq!(seen, [(200, "1", "/ä", "engineer@corp.example", ""), (502, "2", "", "", "it broke off")]);
        batch.clear();
        journal.take(&mut batch);
        assert_eq!((batch.events().count(), batch.dropped()), (0, 0));
    }

    #[test]
    fn an_event_over_the_limit_is_dropped_and_counted() {
        let journal = Journal::new(Arc::default(), 0);
        for _ in 0..=MAX_WAITING_EVENTS {
            journal.record(facts(200), &Texts::default(), None);
        }
        let mut batch = Batch::default();
        journal.take(&mut batch);
        assert_eq!((batch.events().count(), batch.dropped()), (MAX_WAITING_EVENTS, 1));
        batch.clear();
        let half = "a".repeat(MAX_WAITING_BYTES / 2);
        let long = Texts { path: &half, ..Texts::default() };
        for _ in 0..3 {
            journal.record(facts(200), &long, None);
        }
        journal.record(facts(404), &Texts::default(), None);
        journal.take(&mut batch);
        let seen: Vec<_> = batch.events().map(|it| (it.facts.answer.status, it.texts.path.len())).collect();
        assert_eq!(seen, [(200, half.len()), (200, half.len()), (404, 0)]);
        assert_eq!(batch.dropped(), 1);
    }
}
