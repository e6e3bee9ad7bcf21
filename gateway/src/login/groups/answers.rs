//! What the groups API said of people a moment ago: many tabs that log in at once ask it once. How it is asked is left to `api`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Mutex;

use super::super::provider::ProviderError;

/// How long an answer counts: as long as tabs take to log in together, and shorter than anybody waits between two changes of groups.
pub(crate) const ANSWER_LIFE_S: i64 = 30;
/// Most people whose answers are kept.
pub(crate) const MAX_ANSWERS: u64 = 1_000;

/// One per provider, by `sub`.
#[derive(Debug)]
pub(crate) struct Answers {
    people: Cache<String, Arc<Person>>,
}

#[derive(Debug, Default)]
struct Person {
    /// How many questions about this person have ended.
    ended: AtomicU64,
    /// The last answer. Whoever holds the lock is the one who asks.
    last: Mutex<Option<Answer>>,
}

#[derive(Debug)]
struct Answer {
    at: i64,
    groups: Result<Vec<String>, ProviderError>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let life = Duration::from_secs(ANSWER_LIFE_S.unsigned_abs());
        Self { people: Cache::builder().max_capacity(MAX_ANSWERS).time_to_live(life * 2).build() }
    }

    /// The groups of `sub`, fetched unless they were just now. A failure is shared by those who waited for it, and by nobody after.
    pub(super) async fn of<F>(&self, sub: &str, now: i64, fetch: F) -> Result<Vec<String>, ProviderError>
    where
        F: Future<Output = Result<Vec<String>, ProviderError>>,
    {
        let person = self.people.get_with(sub.to_owned(), Arc::default);
        let ended = person.ended.load(Ordering::SeqCst);
        let mut last = person.last.lock().await;
        let waited_for_it = person.ended.load(Ordering::SeqCst) != ended;
        match last.as_ref() {
            Some(Answer { groups: Err(error), .. }) if waited_for_it => return Err(error.clone()),
            Some(Answer { groups: Ok(groups), at }) if is_recent(*at, now) => return Ok(groups.clone()),
            _ => {}
        }
        let groups = fetch.await;
        *last = Some(Answer { at: now, groups: groups.clone() });
        person.ended.fetch_add(1, Ordering::SeqCst);
        groups
    }
}

/// A time far ahead is one from before the clock was set back.
fn is_recent(at: i64, now: i64) -> bool {
    (-ANSWER_LIFE_S..ANSWER_LIFE_S).contains(&now.saturating_sub(at))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn ask(answers: &Answers, sub: &str, now: i64, asked: &Cell<u32>, good: bool) -> bool {
        let fetch = async {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            if good { Ok(vec![sub.to_owned()]) } else { Err(ProviderError::GroupsRateLimited) }
        };
        let got = answers.of(sub, now, fetch).await;
        assert!(got.as_ref().is_err() || got.as_ref().is_ok_and(|names| names == &[sub]), "{got:?}");
        got.is_ok()
    }

    #[tokio::test]
    async fn many_tabs_ask_once_and_a_renewal_asks_anew() {
        let (answers, asked) = (Answers::new(), Cell::new(0));
        let tabs = (0..30).map(|_| ask(&answers, "00u1", 1000, &asked, true));
        assert!(futures_util::future::join_all(tabs).await.into_iter().all(|good| good));
        assert_eq!(asked.get(), 1);
        assert!(ask(&answers, "00u2", 1000, &asked, true).await);
        assert_eq!(asked.get(), 2, "another person is another question");
        assert!(ask(&answers, "00u1", 1000 + ANSWER_LIFE_S - 1, &asked, true).await);
        assert_eq!(asked.get(), 2);
        assert!(ask(&answers, "00u1", 1000 + ANSWER_LIFE_S, &asked, true).await);
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_waited_and_no_longer() {
        let (answers, asked) = (Answers::new(), Cell::new(0));
        let tabs = (0..30).map(|_| ask(&answers, "00u1", 1000, &asked, false));
        assert!(futures_util::future::join_all(tabs).await.into_iter().all(|good| !good));
        assert_eq!(asked.get(), 1);
        assert!(ask(&answers, "00u1", 1000, &asked, true).await);
        // A clock that was set back far makes nothing count for ever.
        assert!(ask(&answers, "00u1", 10, &asked, true).await);
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test]
    async fn the_people_who_are_remembered_are_bounded() {
        let (answers, asked) = (Answers::new(), Cell::new(0));
        for number in 0..MAX_ANSWERS * 2 {
            ask(&answers, &format!("00u{number}"), 1000, &asked, true).await;
        }
        answers.people.run_pending_tasks();
        assert!(answers.people.entry_count() <= MAX_ANSWERS);
    }
}
