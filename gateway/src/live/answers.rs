//! What external evaluations have answered about one session: each answer for one application and address, for a while. Asking is left to
//! `evaluation`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_policy::{Answer, PolicySet};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// Answers about one session that are kept; one more takes the place of the one that ends first.
const MAX_ANSWERS: usize = 64;
/// Questions about one session that are under way at once; one more waits, within the time that it has. So nobody keeps all places of a
/// service from everybody else by asking from many addresses.
const MAX_ASKED_AT_ONCE: usize = 4;

/// What an answer is about. Method and path are told to who is asked, and the answer counts for all of the application.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct About {
    /// By name, as the evaluation is: ids change with the policies.
    pub(crate) application: Arc<str>,
    pub(crate) evaluation: Arc<str>,
    pub(crate) client_ip: IpAddr,
}

/// The request for which it was asked, to ask anew in its words.
#[derive(Debug, Clone)]
pub(crate) struct Prompted {
    pub(crate) application: Arc<str>,
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// Those of one session.
#[derive(Debug)]
pub(crate) struct Answers {
    known: Arc<Mutex<HashMap<About, Entry>>>,
    /// How many there are, for whoever need not take the lock.
    count: AtomicUsize,
    asking: Semaphore,
}

impl Default for Answers {
    fn default() -> Self {
        let asking = Semaphore::new(MAX_ASKED_AT_ONCE);
        Self { known: Arc::default(), count: AtomicUsize::new(0), asking }
    }
}

#[derive(Debug)]
struct Entry {
    prompted: Prompted,
    told: Option<Told>,
    flight: Option<watch::Receiver<()>>,
    /// The flight asks about somebody as they no longer are.
    is_outdated: bool,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    /// None when it was asked in vain.
    holds: Option<bool>,
    until: i64,
    /// When to ask anew for what is open.
    due_at: i64,
}

/// What came of the wish to ask.
pub(crate) enum Begun {
    /// The caller asks; others wait until the flight is let go of.
    Ask(Flight, watch::Receiver<()>),
    /// Somebody else asks.
    Wait(watch::Receiver<()>),
    /// There is an answer that need not be asked for again yet, or no room for another.
    Known,
}

/// The right to ask, and the promise to tell those who wait: also when the asking breaks off.
#[derive(Debug)]
pub(crate) struct Flight {
    known: Arc<Mutex<HashMap<About, Entry>>>,
    about: About,
    _over: watch::Sender<()>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&self.about) {
            entry.flight = None;
        }
    }
}

impl Answers {
    /// The answers that count for an application and an address at that time, in the ids of these policies.
    pub(crate) fn of(&self, set: &PolicySet, application: &str, client_ip: IpAddr, now: i64) -> Vec<Answer> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let concerned = known
            .iter()
            .filter(|(about, _)| *about.application == *application && about.client_ip == client_ip);
        let answers = concerned.filter_map(|(about, entry)| {
            let Told { holds, until, .. } = entry.told.filter(|told| now < told.until)?;
            Some(Answer { evaluation: set.evaluation(&about.evaluation)?, holds, until })
        });
        answers.collect()
    }

    /// Begins to ask, unless somebody does already or there is an answer that is not due.
    pub(crate) fn begin(&self, about: &About, prompted: Prompted, now: i64) -> Begun {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get(about) {
            if let Some(over) = &entry.flight {
                return Begun::Wait(over.clone());
            }
            if entry.told.is_some_and(|told| now < told.until.min(told.due_at)) {
                return Begun::Known;
            }
        } else if !make_room(&mut known, now) {
            return Begun::Known;
        }
        let (sender, over) = watch::channel(());
        let entry = known.entry(about.clone()).or_insert(Entry {
            prompted: prompted.clone(),
            told: None,
            flight: None,
            is_outdated: false,
        });
        (entry.prompted, entry.flight, entry.is_outdated) = (prompted, Some(over.clone()), false);
        self.count.store(known.len(), Ordering::Release);
        Begun::Ask(Flight { known: self.known.clone(), about: about.clone(), _over: sender }, over)
    }

    /// Waits for a place among the questions about this session; none when there will be no more.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.asking.acquire().await.ok()
    }

    /// Forgets what was answered about somebody as they were. What is still being asked is about them as they were too: its answer will
    /// not count, and those who wait for it ask anew.
    pub(crate) fn forget(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, entry| entry.flight.is_some());
        for entry in known.values_mut() {
            (entry.told, entry.is_outdated) = (None, true);
        }
        self.count.store(known.len(), Ordering::Release);
    }

    /// It answered, at a time, until a time, to be asked anew from a time on. Whether that is another answer than one that was in force.
    pub(crate) fn tell(&self, about: &About, holds: bool, (now, until, due_at): (i64, i64, i64)) -> bool {
        let mut turned = false;
        self.set(about, |entry| {
            turned = entry.told.is_some_and(|told| now < told.until && told.holds == Some(!holds));
            (!entry.is_outdated).then_some(Told { holds: Some(holds), until, due_at })
        });
        turned
    }

    /// It did not answer. An answer that still counts stays; otherwise nobody asks again for a moment.
    pub(crate) fn fail(&self, about: &About, now: i64, pause_s: i64) {
        self.set(about, |entry| {
            let still = entry.told.filter(|told| told.holds.is_some() && now < told.until);
            let until = now.saturating_add(pause_s);
            Some(still.unwrap_or(Told { holds: None, until, due_at: until }))
        });
    }

    fn set(&self, about: &About, told: impl FnOnce(&Entry) -> Option<Told>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(about) {
            entry.told = told(entry);
        }
    }

    /// Answers that end soon, or have ended, and nobody asks about.
    pub(crate) fn due(&self, now: i64) -> Vec<(About, Prompted)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |entry: &Entry| {
            entry.flight.is_none()
                && entry
                    .told
                    .is_some_and(|told| told.holds.is_some() && (told.due_at..told.until).contains(&now))
        };
        let due = known.iter().filter(|(_, entry)| is_due(entry));
        due.map(|(about, entry)| (about.clone(), entry.prompted.clone())).collect()
    }
}

/// Forgets what has ended, and then, if there are still too many, what ends first. What is being asked stays; when that is all there is,
/// there is no room.
fn make_room(known: &mut HashMap<About, Entry>, now: i64) -> bool {
    let ends = |entry: &Entry| entry.told.map_or(i64::MIN, |told| told.until);
    known.retain(|_, entry| entry.flight.is_some() || now < ends(entry));
    while known.len() >= MAX_ANSWERS {
        let idle = known.iter().filter(|(_, entry)| entry.flight.is_none());
        let Some(first) = idle.min_by_key(|(_, entry)| ends(entry)).map(|(about, _)| about.clone()) else {
            return false;
        };
        known.remove(&first);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn about(evaluation: &str, last: u8) -> About {
        let client_ip = Ipv4Addr::new(192, 0, 2, last).into();
        About { application: "wiki".into(), evaluation: evaluation.into(), client_ip }
    }

    fn prompted() -> Prompted {
        Prompted {
            application: "wiki".into(),
            host: String::new(),
            method: String::new(),
            path: String::new(),
        }
    }

    fn begin(answers: &Answers, about: &About, now: i64) -> &'static str {
        match answers.begin(about, prompted(), now) {
            Begun::Ask(flight, _) => {
                // The test goes on as if the asking were under way.
                std::mem::forget(flight);
                "ask"
            }
            Begun::Wait(_) => "wait",
            Begun::Known => "known",
        }
    }

    #[test]
    fn one_asks_and_others_wait_until_it_is_over() {
        let (answers, about) = (Answers::default(), about("posture", 1));
        let Begun::Ask(flight, over) = answers.begin(&about, prompted(), 10) else { panic!("nobody asks") };
        assert_eq!(begin(&answers, &about, 10), "wait");
        assert!(!answers.tell(&about, true, (10, 100, 90)), "a first answer turns nothing");
        assert!(over.has_changed().is_ok());
        drop(flight);
        assert!(over.has_changed().is_err(), "those who wait are told");
        assert_eq!(begin(&answers, &about, 89), "known");
        assert_eq!(begin(&answers, &about, 90), "ask");
    }

    #[test]
    fn an_answer_that_ends_soon_is_due_and_a_failure_leaves_it() {
        let (answers, about) = (Answers::default(), about("posture", 1));
        let Begun::Ask(flight, _) = answers.begin(&about, prompted(), 10) else { panic!("nobody asks") };
        answers.tell(&about, true, (10, 100, 90));
        drop(flight);
        assert!(answers.due(89).is_empty());
        assert_eq!(answers.due(90).len(), 1);
        answers.fail(&about, 95, 2);
        assert_eq!(answers.due(99).len(), 1, "it is tried again until the end");
        assert!(answers.due(100).is_empty());
        answers.fail(&about, 100, 2);
        assert_eq!(begin(&answers, &about, 101), "known", "not at once");
        assert_eq!(begin(&answers, &about, 102), "ask");
        assert!(!answers.tell(&about, false, (102, 200, 190)), "nothing was in force");
        assert!(answers.tell(&about, true, (199, 300, 290)), "it was no until now");
        assert!(!answers.tell(&about, true, (200, 300, 290)));
    }

    #[test]
    fn what_was_asked_about_somebody_as_they_were_does_not_count() {
        let (answers, asked, told) = (Answers::default(), about("posture", 1), about("posture", 2));
        let Begun::Ask(over, _) = answers.begin(&told, prompted(), 10) else { panic!("nobody asks") };
        answers.tell(&told, true, (10, 100, 90));
        drop(over);
        let Begun::Ask(flight, _) = answers.begin(&asked, prompted(), 11) else { panic!("nobody asks") };
        answers.forget();
        answers.tell(&asked, true, (12, 100, 90));
        assert_eq!(begin(&answers, &asked, 12), "wait", "one asks at a time");
        drop(flight);
        for about in [&told, &asked] {
            let Begun::Ask(flight, _) = answers.begin(about, prompted(), 12) else {
                panic!("it still counts")
            };
            answers.tell(about, true, (13, 100, 90));
            drop(flight);
            assert_eq!(begin(&answers, about, 14), "known", "what was asked since counts");
        }
    }

    #[test]
    fn one_question_over_the_limit_of_a_session_waits() {
        fn place(answers: &Answers) -> Option<SemaphorePermit<'_>> {
            futures_util::FutureExt::now_or_never(answers.place()).flatten()
        }
        let (answers, others) = (Answers::default(), Answers::default());
        let mut places: Vec<_> = (0..MAX_ASKED_AT_ONCE).map(|_| place(&answers).unwrap()).collect();
        assert!(place(&answers).is_none(), "one session asks without end");
        assert!(place(&others).is_some());
        places.pop();
        assert!(place(&answers).is_some());
    }

    #[test]
    fn one_answer_over_the_limit_takes_the_place_of_the_one_that_ends_first() {
        let answers = Answers::default();
        for last in 0..=u8::try_from(MAX_ANSWERS).unwrap() {
            let about = about("posture", last);
            let Begun::Ask(flight, _) = answers.begin(&about, prompted(), 10) else { panic!("nobody asks") };
            answers.tell(&about, true, (10, 1_000 + i64::from(last), 900));
            drop(flight);
        }
        let known = answers.known.lock().unwrap();
        assert_eq!(known.len(), MAX_ANSWERS);
        assert!(!known.contains_key(&about("posture", 0)) && known.contains_key(&about("posture", 1)));
    }
}
