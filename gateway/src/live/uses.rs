//! When a session was last used, and since when it is idle: by what this process saw, and by what others on the store have noted. Ending idle
//! sessions is left to `upkeep::idle`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use portcullis_store::limits::{UNUSED_PER_WRITE, USE_AHEAD_S};
use portcullis_store::{LastUses, SessionId};

use super::{Live, LiveSession};

/// A session that goes unused for this part of the limit, and is used then, is noted at once: others on the store may be about to take it
/// for idle. Uses that follow one another sooner are noted together, several times within the rest of the limit.
const LONG_PAUSE: i64 = 2;

/// How long a session may go unused, and who knows of uses that this process did not see; one for all sessions.
#[derive(Debug, Clone)]
pub(super) struct IdleLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Replaced by a reload.
    limit_s: AtomicI64,
    elsewhere: OnceLock<LastUses>,
}

impl Default for IdleLimit {
    fn default() -> Self {
        Self(Arc::new(Shared { limit_s: AtomicI64::new(i64::MAX), elsewhere: OnceLock::new() }))
    }
}

impl IdleLimit {
    fn set(&self, limit: Option<Duration>) {
        let seconds = limit.and_then(|limit| i64::try_from(limit.as_secs()).ok()).unwrap_or(i64::MAX);
        self.0.limit_s.store(seconds, Ordering::Relaxed);
    }

    fn seconds(&self) -> i64 {
        self.0.limit_s.load(Ordering::Relaxed)
    }
}

/// Sessions that nobody has used for too long.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) sessions: Vec<SessionId>,
    /// Whether others seem to be like them.
    pub(crate) more_wait: bool,
}

/// The uses of one session.
#[derive(Debug)]
pub(super) struct Uses {
    /// In unix seconds.
    last: AtomicI64,
    /// The one that the store knows.
    noted: AtomicI64,
    /// When the store was last asked for uses elsewhere.
    asked: Mutex<i64>,
    limit: IdleLimit,
}

impl Uses {
    pub(super) fn new(last: i64, limit: IdleLimit) -> Self {
        let asked = Mutex::new(i64::MIN);
        Self { last: AtomicI64::new(last), noted: AtomicI64::new(last), asked, limit }
    }

    /// One more use. Written once in a second at most: many cores may serve one person.
    pub(super) fn touch(&self, now: i64) {
        if self.last.load(Ordering::Relaxed) < now {
            self.last.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Whether nobody has used it for too long, in any process on the store.
    pub(super) fn are_too_long_ago(&self, of: SessionId, now: i64) -> bool {
        self.seem_too_long_ago(now) && !self.went_on_elsewhere(of, now)
    }

    /// The same, by what this process knows.
    fn seem_too_long_ago(&self, now: i64) -> bool {
        now.saturating_sub(self.last(now)) >= self.limit.seconds()
    }

    /// The last use. One that a clock saw which was ahead becomes one of now: otherwise nothing would be idle until that clock's time has come.
    fn last(&self, now: i64) -> i64 {
        let last = self.last.load(Ordering::Relaxed);
        if last <= now.saturating_add(USE_AHEAD_S) {
            return last;
        }
        self.last.fetch_min(now, Ordering::Relaxed);
        now
    }

    /// Takes in what the store knows of a newer use. It is asked once in a second for each session, whoever comes with its cookie; those who
    /// come meanwhile wait for the answer. Not to be told is no use.
    fn went_on_elsewhere(&self, of: SessionId, now: i64) -> bool {
        let Some(elsewhere) = self.limit.0.elsewhere.get() else { return false };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if *asked != now {
            *asked = now;
            match elsewhere.of(of) {
                Ok(Some(at)) => {
                    self.touch(at);
                    self.note(at);
                }
                Ok(None) => {}
                Err(cause) => {
                    tracing::warn!(target: "portcullis::session", %cause, "the last use of a session could not be read");
                }
            }
        }
        !self.seem_too_long_ago(now)
    }

    /// The last use, unless it was noted.
    fn unnoted(&self, now: i64) -> Option<i64> {
        let (last, noted) = (self.last(now), self.noted.load(Ordering::Relaxed));
        (last > noted || noted > now.saturating_add(USE_AHEAD_S)).then_some(last)
    }

    /// The last use, if it came after a long pause and was not noted.
    fn unnoted_after_a_pause(&self, now: i64) -> Option<i64> {
        let noted = self.noted.load(Ordering::Relaxed);
        self.unnoted(now).filter(|last| last.saturating_sub(noted) >= self.limit.seconds() / LONG_PAUSE)
    }

    fn note(&self, at: i64) {
        self.noted.store(at, Ordering::Relaxed);
    }
}

impl Live {
    /// How long a session may go unused, from now on.
    pub(crate) fn limit_idleness(&self, limit: Option<Duration>) {
        self.idle_limit.set(limit);
    }

    /// From now on no session is idle before the store was asked whether another process saw it used.
    pub(crate) fn ask_for_uses(&self, elsewhere: LastUses) {
        // There is one store; the first goes on to be asked.
        let _ = self.idle_limit.0.elsewhere.set(elsewhere);
    }

    /// Live sessions that nobody has used for too long. No more are looked at than one write may end: the store is asked for each.
    pub(crate) fn idle(&self, now: i64) -> Idle {
        let mut seeming =
            self.chosen(|session| session.uses.seem_too_long_ago(now) && session.standing().ended.is_none());
        let more_wait = seeming.len() > UNUSED_PER_WRITE;
        seeming.truncate(UNUSED_PER_WRITE);
        let idle = seeming.iter().filter(|session| session.is_idle(now));
        Idle { sessions: idle.map(|session| session.id).collect(), more_wait }
    }

    /// The sessions whose last use the store does not know, with that.
    pub(crate) fn unnoted_uses(&self, now: i64) -> Vec<(SessionId, i64)> {
        self.uses(|uses| uses.unnoted(now))
    }

    /// Those of them that should not wait: they came after so long that another process may be about to end the session.
    pub(crate) fn unnoted_uses_after_a_pause(&self, now: i64) -> Vec<(SessionId, i64)> {
        self.uses(|uses| uses.unnoted_after_a_pause(now))
    }

    fn uses(&self, which: impl Fn(&Uses) -> Option<i64>) -> Vec<(SessionId, i64)> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.values().filter_map(|session| Some((session.id, which(&session.uses)?))).collect()
    }

    /// The store knows these uses now.
    pub(crate) fn note_uses(&self, uses: &[(SessionId, i64)]) {
        for (id, at) in uses {
            if let Some(session) = self.session(id) {
                session.uses.note(*at);
            }
        }
    }
}

impl LiveSession {
    /// Whether nobody has used it for too long, in any process on the store.
    pub(super) fn is_idle(&self, now: i64) -> bool {
        self.uses.are_too_long_ago(self.id, now)
    }

    /// Somebody came with its cookie.
    pub(crate) fn touch(&self, now: i64) {
        self.uses.touch(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = SessionId::new([1; 32]);

    #[test]
    fn a_session_is_idle_from_its_last_use_on() {
        let limit = IdleLimit::default();
        let uses = Uses::new(100, limit.clone());
        assert!(!uses.are_too_long_ago(ID, i64::MAX - 1), "without a limit nothing is idle");
        limit.set(Some(Duration::from_secs(10)));
        assert!(!uses.are_too_long_ago(ID, 109));
        assert!(uses.are_too_long_ago(ID, 110));
        uses.touch(109);
        uses.touch(50);
        assert!(!uses.are_too_long_ago(ID, 118));
        assert!(uses.are_too_long_ago(ID, 119));
    }

    #[test]
    fn a_use_is_noted_once_and_soon_after_a_long_pause() {
        let limit = IdleLimit::default();
        let uses = Uses::new(100, limit.clone());
        assert_eq!(uses.unnoted(110), None);
        uses.touch(105);
        assert_eq!(
            (uses.unnoted(110), uses.unnoted_after_a_pause(110)),
            (Some(105), None),
            "there is no limit"
        );
        limit.set(Some(Duration::from_secs(10)));
        assert_eq!(uses.unnoted_after_a_pause(110), Some(105));
        uses.note(105);
        assert_eq!((uses.unnoted(110), uses.unnoted_after_a_pause(110)), (None, None));
        uses.touch(109);
        assert_eq!((uses.unnoted(110), uses.unnoted_after_a_pause(110)), (Some(109), None));
    }

    #[test]
    fn a_use_that_lies_ahead_becomes_one_of_now_and_is_noted_so() {
        let limit = IdleLimit::default();
        limit.set(Some(Duration::from_secs(10)));
        let ahead = 1_000 + USE_AHEAD_S;
        let little = Uses::new(ahead, limit.clone());
        assert_eq!(little.unnoted(1_000), None);
        assert!(!little.are_too_long_ago(ID, ahead + 9), "clocks that differ a little count both");
        let far = Uses::new(ahead + 1, limit.clone());
        assert!(!far.are_too_long_ago(ID, 1_000));
        assert_eq!(far.unnoted(1_000), Some(1_000));
        far.note(1_000);
        assert_eq!(far.unnoted(1_000), None);
        assert!(!far.are_too_long_ago(ID, 1_009));
        assert!(far.are_too_long_ago(ID, 1_010));
        far.touch(1_010);
        assert_eq!((far.unnoted(1_010), far.are_too_long_ago(ID, 1_019)), (Some(1_010), false));
    }
}
