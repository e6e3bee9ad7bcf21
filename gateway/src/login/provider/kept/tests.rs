use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const DOWN: ProviderError = ProviderError::Slow { endpoint: "key set" };

/// A document that is fetched with a pause in between, and counted.
#[derive(Default)]
struct Source {
    fetches: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

impl Source {
    async fn fetch(&self) -> Result<Fetched<usize>, ProviderError> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            Err(DOWN)
        } else {
            Ok(Fetched { content: number, max_age_s: None })
        }
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

async fn current(kept: &Kept<usize>, source: &Source, now: i64) -> Option<usize> {
    kept.current(now, source.fetch()).await.ok().map(|document| document.content)
}

#[tokio::test]
async fn a_document_is_fetched_once_an_hour() {
    let (kept, source) = (Kept::new(), Source::default());
    let waiting = (0..50).map(|_| current(&kept, &source, 1000));
    assert!(futures_util::future::join_all(waiting).await.into_iter().all(|content| content == Some(1)));
    assert_eq!(current(&kept, &source, 1000 + MAX_AGE_S - 1).await, Some(1));
    assert_eq!(current(&kept, &source, 1000 + MAX_AGE_S).await, Some(2));
    assert_eq!(source.fetches(), 2);
}

#[tokio::test]
async fn the_last_good_one_is_kept_while_the_provider_is_down() {
    let (kept, source) = (Kept::new(), Source::default());
    current(&kept, &source, 0).await;
    source.set_down(true);
    for second in 0..REFETCH_FLOOR_S {
        assert_eq!(current(&kept, &source, MAX_AGE_S + second).await, Some(1));
    }
    assert_eq!(source.fetches(), 2);
    source.set_down(false);
    assert_eq!(current(&kept, &source, MAX_AGE_S + REFETCH_FLOOR_S).await, Some(3));
}

#[tokio::test]
async fn those_who_wait_for_the_first_one_share_its_failure() {
    let (kept, source) = (Kept::new(), Source::default());
    source.set_down(true);
    let waiting = (0..50).map(|_| current(&kept, &source, 1000));
    assert!(futures_util::future::join_all(waiting).await.into_iter().all(|content| content.is_none()));
    assert_eq!(source.fetches(), 1);
    source.set_down(false);
    assert_eq!(current(&kept, &source, 1001).await, Some(2));
}

#[tokio::test]
async fn t62_a_storm_of_unknown_keys_makes_one_fetch_per_floor() {
    let (kept, source) = (Kept::new(), Source::default());
    let first = kept.current(0, source.fetch()).await.unwrap();
    for down in [false, true] {
        source.set_down(down);
        let before = source.fetches();
        let start = if down { 100 } else { 0 };
        let newest = kept.last_good.load_full().unwrap();
        let storm = (0..10_000).map(|_| kept.newer(&newest, start, source.fetch()));
        let got = futures_util::future::join_all(storm).await;
        assert_eq!(got.iter().filter(|document| document.is_some()).count(), if down { 0 } else { 10_000 });
        assert_eq!(source.fetches(), before + 1);
        let newest = kept.last_good.load_full().unwrap();
        assert!(kept.newer(&newest, start + REFETCH_FLOOR_S - 1, source.fetch()).await.is_none());
        assert_eq!(source.fetches(), before + 1);
    }
    source.set_down(false);
    assert!(
        !Arc::ptr_eq(&first, &kept.last_good.load_full().unwrap()),
        "a failing fetch replaced nothing, a good one did"
    );
    let newest = kept.last_good.load_full().unwrap();
    assert!(kept.newer(&newest, 100 + REFETCH_FLOOR_S, source.fetch()).await.is_some());
}

#[tokio::test]
async fn a_clock_set_back_does_not_freeze_the_document() {
    let (kept, source) = (Kept::new(), Source::default());
    current(&kept, &source, 1_000_000).await;
    assert_eq!(current(&kept, &source, 1_000_000 - CLOCK_STEP_S).await, Some(1));
    assert_eq!(current(&kept, &source, 1_000_000 - CLOCK_STEP_S - 1).await, Some(2));
}

#[tokio::test]
async fn the_sender_may_shorten_the_life_of_a_document_but_not_lengthen_it() {
    for (told, life) in
        [(Some(60), 60), (Some(0), REFETCH_FLOOR_S), (Some(86_400), MAX_AGE_S), (None, MAX_AGE_S)]
    {
        let fetch = async || Ok(Fetched { content: (), max_age_s: told });
        let kept = Kept::new();
        let first = kept.current(1000, fetch()).await.unwrap();
        let before = kept.current(1000 + life - 1, fetch()).await.unwrap();
        assert!(Arc::ptr_eq(&first, &before), "{told:?}");
        let after = kept.current(1000 + life, fetch()).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &after), "{told:?}");
    }
}

#[test]
fn cache_control_is_read_whatever_its_form() {
    let read = |fields: &[&'static str]| {
        let fields = fields.iter().map(|field| (CACHE_CONTROL, http::HeaderValue::from_static(field)));
        max_age_s(&fields.collect())
    };
    assert_eq!(read(&[]), None);
    assert_eq!(read(&["max-age=5, must-revalidate"]), Some(5));
    assert_eq!(read(&["public", "MAX-AGE=\"7\""]), Some(7));
    assert_eq!(read(&["max-age=900, no-store"]), Some(0));
    assert_eq!(read(&["max-age=soon"]), None);
    assert_eq!(read(&["max-age=99999999999999999999"]), None);
}
