//! Cutting, stalling and closing, on real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
struct Client(Arc<()>);

impl Kept for Client {
    const DELIVERS: bool = true;

    fn is_guarded(&self) -> bool {
        true
    }
}

async fn pair<K: Kept>(kept: K, patience: Duration) -> (CuttableStream<K>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), async {
        listener.accept().await.unwrap().0
    });
    let near = Arc::new(Descriptor::from(near.unwrap()));
    let cutter = Arc::new(Cutter::of(&near).unwrap());
    (CuttableStream::new(near, cutter, kept, patience), far)
}

/// Writes until the kernel takes no more.
async fn fill<K: Kept>(near: &mut CuttableStream<K>) -> usize {
    let mut written = 0;
    while let Ok(taken) = tokio::time::timeout(Duration::from_millis(200), near.write(&[7; 65_536])).await {
        written += taken.unwrap();
    }
    written
}

#[tokio::test]
async fn a_cut_throws_away_what_was_queued() {
    let (mut near, mut far) = pair((), PATIENCE).await;
    fill(&mut near).await;
    assert!(!near.cutter.is_quiet());
    near.cutter.cut();
    assert_eq!(near.cutter.unsent(), 0);
    assert!(near.write(b"later").await.is_err());
    let end = far.read_to_end(&mut Vec::new()).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_cut_from_another_thread_wakes_a_waiting_reader() {
    let (mut near, _far) = pair((), PATIENCE).await;
    let cutter = near.cutter.clone();
    let thread = std::thread::spawn(move || cutter.cut());
    let read = near.read(&mut [0; 1]).await;
    thread.join().unwrap();
    assert!(read.is_err() || read.unwrap() == 0);
}

#[tokio::test]
async fn a_quiet_stream_closes_in_good_order_whoever_holds_its_cutter() {
    let (near, mut far) = pair((), PATIENCE).await;
    let cutter = near.cutter.clone();
    drop(near);
    assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
    cutter.cut();
}

#[tokio::test]
async fn a_closed_stream_delivers_and_stays_within_reach_meanwhile() {
    let kept = Client(Arc::new(()));
    let (mut near, mut far) = pair(kept.clone(), PATIENCE).await;
    let written = fill(&mut near).await;
    drop(near);
    assert_eq!(Arc::strong_count(&kept.0), 2, "kept while bytes are on their way");
    let mut received = Vec::new();
    far.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), written);
    while Arc::strong_count(&kept.0) > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_closed_stream_can_still_be_cut() {
    let (mut near, mut far) = pair(Client(Arc::new(())), PATIENCE).await;
    fill(&mut near).await;
    let cutter = near.cutter.clone();
    drop(near);
    cutter.cut();
    let end = far.read_to_end(&mut Vec::new()).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_nobody_keeps_is_not_delivered_after_the_close() {
    let (mut near, mut far) = pair((), PATIENCE).await;
    fill(&mut near).await;
    drop(near);
    let end = far.read_to_end(&mut Vec::new()).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut_off() {
    let (mut near, mut far) = pair((), Duration::from_millis(300)).await;
    let mut outcome = Ok(0);
    while outcome.is_ok() {
        outcome = near.write(&[7; 65_536]).await;
    }
    assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let end = far.read_to_end(&mut Vec::new()).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_peer_that_takes_little_by_little_is_not_cut_off() {
    let (mut near, mut far) = pair((), Duration::from_millis(500)).await;
    fill(&mut near).await;
    let reading = tokio::spawn(async move {
        // Less than opens room for a write in any one interval, and something in each.
        for _ in 0..20 {
            far.read_exact(&mut vec![0; 100_000]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        far
    });
    let mut written = Ok(1);
    let until = Instant::now() + Duration::from_millis(1_800);
    while written.is_ok() && Instant::now() < until {
        written = match tokio::time::timeout_at(until, near.write(&[7; 65_536])).await {
            Ok(written) => written,
            Err(_) => break,
        };
    }
    assert!(written.is_ok(), "{written:?}");
    reading.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_takes_less_than_it_must_is_cut_off() {
    let (near, mut far) = pair((), Duration::from_secs(1)).await;
    let mut near = near.at_least(100_000_000);
    fill(&mut near).await;
    let reading = tokio::spawn(async move {
        while far.read(&mut vec![0; 100_000]).await.is_ok_and(|len| len > 0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let until = Instant::now() + Duration::from_secs(20);
    let mut written = Ok(1);
    while written.is_ok() {
        assert!(Instant::now() < until, "it is waited for without end");
        written = near.write(&[7; 65_536]).await;
    }
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    reading.await.unwrap();
}

/// Told something of somebody while the lease had begun anew so often.
#[derive(Clone, Debug)]
struct Told(u64);

impl Kept for Told {
    const DELIVERS: bool = true;

    fn is_guarded(&self) -> bool {
        true
    }

    fn is_outdated(&self) -> bool {
        self.0 != gate::lapses()
    }
}

#[tokio::test]
async fn what_was_told_under_an_earlier_lease_never_leaves() {
    let (mut near, mut far) = pair(Told(gate::lapses()), PATIENCE).await;
    near.write_all(b"before").await.unwrap();
    far.read_exact(&mut [0; 6]).await.unwrap();
    // Held again, so that nothing but the count tells that it was over.
    gate::testing::guard_this_thread_by(Arc::new(portcullis_store::Lease::endless()));
    assert!(gate::is_open());
    assert!(near.write(b"after").await.is_err());
    assert!(!matches!(far.read(&mut [0; 5]).await, Ok(1..)));
}
