//! When something last moved on an upstream connection, and how long it may stand still. What stands still for too long is cut by
//! the worker's sweeper, whoever waits for it and however: no request needs a timer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::clock::{Clock, TICK, in_ms};
use crate::socket::Cutter;

/// How long a client may be waited for, all in all, before it counts how much it sends.
const SLOW_GRACE: Duration = Duration::from_secs(10);
/// Says that nothing is watched.
const NEVER: u64 = u64::MAX;

/// What moves on one upstream connection.
#[derive(Debug)]
pub(super) struct Activity {
    clock: Arc<Clock>,
    cutter: Arc<Cutter>,
    /// When a byte last moved, either way.
    last_ms: AtomicU64,
    /// How long nothing may move.
    limit_ms: AtomicU64,
    /// When all of it must be over.
    ends_ms: AtomicU64,
    stopped: AtomicU8,
    /// How much of the request body is not written yet: the body itself, while more of it may come, and each piece of it.
    unwritten: AtomicUsize,
    /// Whether more of that body is waited for.
    for_client: AtomicBool,
    /// What of it must come on average, in bytes a second; 0 is anything.
    rate: AtomicU64,
    /// What of it came, and how long was waited for that.
    came: AtomicU64,
    waited_ms: AtomicU64,
    swept_ms: AtomicU64,
    /// How often the connection had been flushed when the last piece of the body was written.
    flushed: AtomicU64,
}

/// Why a connection was cut in the middle of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing moved for too long, and it was the upstream's turn.
    Still,
    /// Nothing moved for too long, and it was the client's turn.
    ClientStill,
    /// The exchange took too long as a whole.
    TooLong,
    /// The request body is longer than it may be.
    TooLarge,
    /// The client broke off.
    ClientGone,
}

impl Activity {
    pub(super) fn new(clock: Arc<Clock>, cutter: Arc<Cutter>) -> Self {
        let now_ms = clock.ms();
        Self {
            clock,
            cutter,
            last_ms: AtomicU64::new(now_ms),
            limit_ms: AtomicU64::new(NEVER),
            ends_ms: AtomicU64::new(NEVER),
            stopped: AtomicU8::new(0),
            unwritten: AtomicUsize::new(0),
            for_client: AtomicBool::new(false),
            rate: AtomicU64::new(0),
            came: AtomicU64::new(0),
            waited_ms: AtomicU64::new(0),
            swept_ms: AtomicU64::new(now_ms),
            flushed: AtomicU64::new(0),
        }
    }

    pub(super) fn cutter(&self) -> &Arc<Cutter> {
        &self.cutter
    }

    /// A byte moved.
    pub(super) fn note(&self) {
        self.last_ms.store(self.clock.ms(), Ordering::Relaxed);
    }

    /// From now on nothing may stand still for longer than `limit`.
    pub(super) fn watch(&self, limit: Duration) {
        self.note();
        self.limit_ms.store(in_ms(limit), Ordering::Relaxed);
    }

    /// Standing still is nobody's fault for now.
    pub(super) fn pause(&self) {
        self.limit_ms.store(NEVER, Ordering::Relaxed);
    }

    /// The exchange must be over by then.
    pub(super) fn end_at(&self, ends_ms: Option<u64>) {
        self.ends_ms.store(ends_ms.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// Between two exchanges. What was said of the one before does not count for the next.
    pub(super) fn rest(&self) {
        self.pause();
        self.ends_ms.store(NEVER, Ordering::Relaxed);
        self.stopped.store(0, Ordering::Release);
    }

    /// Cuts the connection when it stood still for too long. Never early: the last byte may have moved a tick before its note.
    pub(super) fn sweep(&self, now_ms: u64) {
        let limit = self.limit_ms.load(Ordering::Relaxed);
        let still = now_ms.saturating_sub(self.last_ms.load(Ordering::Relaxed));
        let waits = self.is_uploading() && self.for_client.load(Ordering::Relaxed);
        let passed = now_ms.saturating_sub(self.swept_ms.swap(now_ms, Ordering::Relaxed));
        if waits {
            self.waited_ms.fetch_add(passed, Ordering::Relaxed);
        }
        if now_ms >= self.ends_ms.load(Ordering::Relaxed) {
            self.stop(Stop::TooLong);
        } else if waits && self.comes_too_slowly() {
            self.stop(Stop::ClientStill);
        } else if still > limit.saturating_add(in_ms(TICK)) {
            self.stop(if waits { Stop::ClientStill } else { Stop::Still });
        }
    }

    /// Cuts the connection; the first reason counts.
    pub(super) fn stop(&self, why: Stop) {
        self.blame(why);
        self.pause();
        self.end_at(None);
        self.cutter.cut();
    }

    /// Says why the exchange is about to fail; the first reason counts.
    pub(super) fn blame(&self, why: Stop) {
        let code = match why {
            Stop::Still => 1,
            Stop::ClientStill => 2,
            Stop::TooLong => 3,
            Stop::TooLarge => 4,
            Stop::ClientGone => 5,
        };
        let _ = self.stopped.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Why the connection was cut, when it was for one of our reasons.
    pub(super) fn stopped(&self) -> Option<Stop> {
        match self.stopped.load(Ordering::Acquire) {
            1 => Some(Stop::Still),
            2 => Some(Stop::ClientStill),
            3 => Some(Stop::TooLong),
            4 => Some(Stop::TooLarge),
            5 => Some(Stop::ClientGone),
            _ => None,
        }
    }

    /// What counts is the time that was spent on waiting: while the upstream takes nothing, the client has no fault.
    fn comes_too_slowly(&self) -> bool {
        let rate = self.rate.load(Ordering::Relaxed);
        let earned_ms = self.came.load(Ordering::Relaxed).saturating_mul(1_000).checked_div(rate);
        let waited_ms = self.waited_ms.load(Ordering::Relaxed);
        earned_ms.is_some_and(|earned_ms| waited_ms > earned_ms.saturating_add(in_ms(SLOW_GRACE)))
    }

    /// There is an answer: from now on the two may talk as slowly as they like, as long as they do.
    pub(super) fn answered(&self) {
        self.rate.store(0, Ordering::Relaxed);
    }

    /// A request begins with a body, of which so many bytes must come each second, on average.
    pub(super) fn upload_begins(self: &Arc<Self>, rate: u64) -> Unwritten {
        self.rate.store(rate, Ordering::Relaxed);
        self.came.store(0, Ordering::Relaxed);
        self.waited_ms.store(0, Ordering::Relaxed);
        self.for_client.store(false, Ordering::Relaxed);
        Unwritten::of(self)
    }

    /// More of the body is waited for.
    pub(super) fn wait_for_client(&self) {
        self.for_client.store(true, Ordering::Relaxed);
    }

    /// More of the body came.
    pub(super) fn note_from_client(&self, bytes: u64) {
        self.came.fetch_add(bytes, Ordering::Relaxed);
        self.for_client.store(false, Ordering::Relaxed);
        self.note();
    }

    pub(super) fn is_uploading(&self) -> bool {
        self.unwritten.load(Ordering::Acquire) > 0
    }

    /// Whether the last request is wholly delivered: written, flushed after that, and taken by the peer. That the connection was
    /// flushed says nothing of a piece that HTTP/2 holds back for want of a window, so each piece is followed until it is gone.
    pub(super) fn is_delivered(&self) -> bool {
        !self.is_uploading()
            && self.cutter.flushed() > self.flushed.load(Ordering::Acquire)
            && self.cutter.is_quiet()
    }
}

/// Something of a request body that its connection has not written yet.
#[derive(Debug)]
pub(super) struct Unwritten(Arc<Activity>);

impl Unwritten {
    fn of(activity: &Arc<Activity>) -> Self {
        activity.unwritten.fetch_add(1, Ordering::AcqRel);
        Self(activity.clone())
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.0
    }
}

impl Clone for Unwritten {
    fn clone(&self) -> Self {
        Self::of(&self.0)
    }
}

/// Written, or given up: either way it does not follow after the next flush.
impl Drop for Unwritten {
    fn drop(&mut self) {
        self.0.flushed.store(self.0.cutter.flushed(), Ordering::Release);
        self.0.unwritten.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::socket::Descriptor;

    async fn activity() -> (Arc<Activity>, Arc<Descriptor>) {
        activity_since(Arc::default()).await
    }

    async fn activity_since(clock: Arc<Clock>) -> (Arc<Activity>, Arc<Descriptor>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let near = Arc::new(Descriptor::from(near));
        let cutter = Arc::new(Cutter::of(&near).unwrap());
        (Arc::new(Activity::new(clock, cutter)), near)
    }

    #[tokio::test]
    async fn what_stands_still_for_longer_than_its_limit_is_cut() {
        let (activity, _near) = activity().await;
        activity.sweep(1_000_000);
        assert_eq!(activity.stopped(), None, "nothing is watched yet");
        activity.watch(Duration::from_secs(1));
        activity.sweep(1_000 + in_ms(TICK));
        assert_eq!(activity.stopped(), None);
        activity.sweep(1_001 + in_ms(TICK));
        assert_eq!(activity.stopped(), Some(Stop::Still));
        assert!(activity.cutter().is_cut());
    }

    #[tokio::test]
    async fn a_body_that_comes_too_slowly_is_given_up() {
        let (activity, _near) = activity().await;
        activity.watch(Duration::from_secs(1_000));
        let _body = activity.upload_begins(100);
        activity.sweep(0);
        activity.wait_for_client();
        activity.sweep(9_000);
        activity.note_from_client(1_000);
        // Nobody waits for the client now.
        activity.sweep(50_000);
        activity.wait_for_client();
        activity.sweep(61_000);
        assert_eq!(activity.stopped(), None, "9 and 11 seconds were waited for, 10 earned, 10 given");
        activity.sweep(61_001);
        assert_eq!(activity.stopped(), Some(Stop::ClientStill));
    }

    #[tokio::test]
    async fn a_connection_is_no_older_than_it_is() {
        let (activity, _near) = activity_since(Arc::new(Clock::at(3_600_000))).await;
        activity.watch(Duration::from_secs(1_000));
        let _body = activity.upload_begins(100);
        activity.wait_for_client();
        activity.sweep(3_600_100);
        assert_eq!(activity.stopped(), None, "what was before the connection was not waited for");
    }

    #[tokio::test]
    async fn what_was_said_of_an_exchange_does_not_count_for_the_next() {
        let (activity, _near) = activity().await;
        activity.blame(Stop::ClientGone);
        activity.rest();
        assert_eq!(activity.stopped(), None);
        activity.blame(Stop::TooLarge);
        assert_eq!(activity.stopped(), Some(Stop::TooLarge));
    }

    #[tokio::test]
    async fn a_body_is_delivered_when_its_last_piece_is_written_and_flushed_after_that() {
        let (activity, _near) = activity().await;
        let body = activity.upload_begins(0);
        let piece = body.clone();
        drop(body);
        activity.cutter().note_flushed();
        assert!(activity.is_uploading() && !activity.is_delivered(), "a piece is held back");
        drop(piece);
        assert!(!activity.is_uploading() && !activity.is_delivered(), "it may lie in a buffer");
        activity.cutter().note_flushed();
        assert!(activity.is_delivered());
    }

    #[tokio::test]
    async fn after_an_answer_and_without_a_rate_a_body_may_take_its_time() {
        let (activity, _near) = activity().await;
        activity.watch(Duration::from_secs(1_000));
        for rate in [0, 100] {
            let _body = activity.upload_begins(rate);
            activity.wait_for_client();
            if rate > 0 {
                activity.answered();
            }
            activity.sweep(500_000);
            assert_eq!(activity.stopped(), None);
        }
    }

    #[tokio::test]
    async fn an_exchange_ends_when_it_must_even_while_bytes_move() {
        let (activity, _near) = activity().await;
        activity.watch(Duration::from_secs(1_000));
        activity.end_at(Some(500));
        activity.sweep(499);
        assert_eq!(activity.stopped(), None);
        activity.sweep(500);
        assert_eq!(activity.stopped(), Some(Stop::TooLong));
    }
}
