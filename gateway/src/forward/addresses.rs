//! The addresses of one endpoint: asked for once for all who wait, and kept for a moment, so that a burst of connections is no burst
//! of questions. Which of them is connected to is left to `wire`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer counts: below what common names live, since the system does not tell how long this one does.
const FRESH: Duration = Duration::from_secs(5);
/// How long a failure counts.
const FAILED: Duration = Duration::from_secs(1);
/// Addresses of one name that are tried, one after the other.
const MAX_ADDRESSES: usize = 16;

/// What is known of the addresses of one name.
#[derive(Debug, Default)]
pub(super) struct Addresses(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    until: Instant,
    found: Found,
}

/// A failure in a form that can be told more than once.
type Found = Result<Arc<[SocketAddr]>, (io::ErrorKind, String)>;

impl Addresses {
    /// Those of a host. Nobody is asked about an address.
    pub(super) async fn of(&self, host: &str, port: u16) -> io::Result<Arc<[SocketAddr]>> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(literal, port)]));
        }
        let name = (host.to_owned(), port);
        self.ask(|| async move { Ok(tokio::net::lookup_host(name).await?.collect()) }).await
    }

    async fn ask<F>(&self, question: impl FnOnce() -> F) -> io::Result<Arc<[SocketAddr]>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let mut known = self.0.clone().lock_owned().await;
        let found = match known.as_ref().filter(|known| Instant::now() < known.until) {
            Some(known) => known.found.clone(),
            None => {
                let question = question();
                // By itself, with the lock: whoever waits may give up, and nobody asks again beside a question without answer.
                let asked = tokio::spawn(async move {
                    let found = in_short(question.await);
                    let until = Instant::now() + if found.is_ok() { FRESH } else { FAILED };
                    *known = Some(Known { until, found: found.clone() });
                    found
                });
                asked.await.map_err(io::Error::other)?
            }
        };
        found.map_err(|(kind, text)| io::Error::new(kind, text))
    }
}

fn in_short(found: io::Result<Vec<SocketAddr>>) -> Found {
    match found {
        Ok(addresses) => Ok(addresses.into_iter().take(MAX_ADDRESSES).collect()),
        Err(error) => Err((error.kind(), error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Asks, and counts how often somebody really did. It takes a second.
    async fn ask(addresses: &Addresses, times: &Arc<AtomicUsize>, count: usize) -> io::Result<usize> {
        let times = times.clone();
        let found = addresses.ask(|| async move {
            times.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if count == 0 {
                Err(io::ErrorKind::NotFound.into())
            } else {
                Ok(vec![([127, 0, 0, 1], 80).into(); count])
            }
        });
        found.await.map(|found| found.len())
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_wait_ask_once_and_an_answer_counts_for_a_moment() {
        let (addresses, times) = (Addresses::default(), Arc::new(AtomicUsize::new(0)));
        let asked = || times.load(Ordering::SeqCst);
        for found in join_all((0..100).map(|_| ask(&addresses, &times, 2))).await {
            assert_eq!(found.unwrap(), 2);
        }
        assert_eq!(asked(), 1);
        tokio::time::sleep(FRESH).await;
        assert_eq!(ask(&addresses, &times, MAX_ADDRESSES + 1).await.unwrap(), MAX_ADDRESSES);
        assert_eq!(asked(), 2);
        tokio::time::sleep(FRESH).await;
        for found in join_all((0..100).map(|_| ask(&addresses, &times, 0))).await {
            assert_eq!(found.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(asked(), 3);
        tokio::time::sleep(FAILED).await;
        assert_eq!(ask(&addresses, &times, 1).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_asks_beside_a_question_that_was_given_up() {
        let (addresses, times) = (Addresses::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..10 {
            let patience = Duration::from_millis(50);
            assert!(tokio::time::timeout(patience, ask(&addresses, &times, 1)).await.is_err());
        }
        assert_eq!(ask(&addresses, &times, 1).await.unwrap(), 1);
        assert_eq!(times.load(Ordering::SeqCst), 1);
    }
}
