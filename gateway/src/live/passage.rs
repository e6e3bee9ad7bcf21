//! Where a person's bytes pass: one client connection as used by one session for one application, with the upstream sockets it
//! uses at the moment. Whether it may stay is left to the session that holds it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_policy::RequestClass;
use portcullis_store::SessionId;

use super::nobody::NOBODY;
use super::policies::Policies;
use crate::circumstances::{Shown, Situation};
use crate::socket::Cutter;

/// One passage. Everything that can carry a byte of it hangs on a [`Cutter`], so that ending it needs nobody's cooperation.
#[derive(Debug)]
pub(crate) struct Passage {
    owner: SessionId,
    /// By its name: the ids of applications change with the policies, which a passage may outlive.
    application: Arc<str>,
    client_ip: IpAddr,
    /// What it was opened with, as far as policies look at it.
    asked: Option<Asked>,
    shown: Shown,
    life: Life,
    /// When it is over at the latest, in unix seconds. A reload may change it.
    expires_at: AtomicI64,
    /// When the decision that it is open under has to be made again, in unix seconds.
    due_at: AtomicI64,
    client: Arc<Cutter>,
    upstreams: Mutex<Upstreams>,
}

/// A request of those that a passage carries: to the policies all of them are one.
#[derive(Debug)]
struct Asked {
    method: Box<str>,
    path: Box<str>,
    class: RequestClass,
}

/// From when to when an application session lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// In unix seconds.
    pub(crate) begun_at: i64,
    /// In unix seconds.
    pub(crate) expires_at: i64,
}

impl Life {
    /// Of what belongs to no session.
    pub(crate) const ENDLESS: Self = Self { begun_at: i64::MAX, expires_at: i64::MAX };

    /// When it is over for an application that asks for a session no older than `longest`, in unix seconds.
    pub(crate) fn until(self, longest: Option<Duration>) -> i64 {
        let allowed =
            longest.map_or(i64::MAX, |longest| i64::try_from(longest.as_secs()).unwrap_or(i64::MAX));
        self.expires_at.min(self.begun_at.saturating_add(allowed))
    }
}

/// What a passage is made of.
#[derive(Debug, Clone)]
pub(crate) struct NewPassage<'a> {
    /// The application session.
    pub(crate) owner: SessionId,
    /// The application's name.
    pub(crate) application: &'a Arc<str>,
    /// The request that it is for.
    pub(crate) situation: &'a Situation<'a>,
    /// What that is to the policies.
    pub(crate) class: Option<RequestClass>,
    /// That of the application session.
    pub(crate) life: Life,
    /// How old a session may be for this application.
    pub(crate) longest: Option<Duration>,
    /// The client's connection.
    pub(crate) client: &'a Arc<Cutter>,
}

#[derive(Debug, Default)]
struct Upstreams {
    dropped: bool,
    sockets: Vec<Arc<Cutter>>,
    /// Sockets that serve others by now, while the end of what passed here may still be on its way.
    tails: Vec<Arc<Cutter>>,
}

/// How much of a passage is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The client's connection too, with all that it still holds for the person.
    BothSides,
    /// The upstream's side alone: for people who end their own session, and must be told so over the same connection.
    UpstreamSide,
}

/// The passage was dropped; nothing may be sent through it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("access ended while the request was under way")]
pub(crate) struct Dropped;

impl Passage {
    pub(crate) fn new(to: NewPassage<'_>) -> Self {
        let NewPassage { owner, application, situation, class, life, longest, client } = to;
        let (application, client) = (application.clone(), client.clone());
        let Situation { client_ip, asked, shown } = *situation;
        let asked = asked.zip(class).map(|((method, path), class)| Asked {
            method: method.into(),
            path: path.into(),
            class,
        });
        let shown = shown.clone();
        let expires_at = AtomicI64::new(life.until(longest));
        let (due_at, upstreams) = (AtomicI64::new(i64::MAX), Mutex::default());
        Self { owner, application, client_ip, asked, shown, life, expires_at, due_at, client, upstreams }
    }

    /// Whether one more may join those that a connection knows. What nobody had open there, and is over, makes room: it keeps nothing
    /// that could have to be taken back from somebody, and strangers would fill up with it what a proxy shares among people.
    pub(crate) fn has_room(known: &mut Vec<Arc<Self>>, most: usize) -> bool {
        if known.len() >= most {
            known.retain(|passage| passage.owner != NOBODY || Arc::strong_count(passage) > 1);
        }
        known.len() < most
    }

    /// The application session that it belongs to.
    pub(crate) fn owner(&self) -> SessionId {
        self.owner
    }

    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    /// Whether it is for requests of this class.
    pub(crate) fn is_of(&self, class: Option<&RequestClass>) -> bool {
        self.asked.as_ref().map(|asked| &asked.class) == class
    }

    /// What it was opened with. Where other policies ask something else about requests than those that it was opened under, one of them
    /// does not stand for all, and what was asked is not known: neither does that help whoever asked.
    pub(super) fn situation(&self, policies: &Policies) -> Situation<'_> {
        let application = policies.set.application(&self.application);
        let is_current =
            |asked: &&Asked| application.is_some_and(|it| policies.set.is_current(it, &asked.class));
        let asked = self.asked.as_ref().filter(is_current).map(|asked| (&*asked.method, &*asked.path));
        Situation { client_ip: self.client_ip, asked, shown: &self.shown }
    }

    pub(super) fn has_run_out(&self, now: i64) -> bool {
        now >= self.expires_at.load(Ordering::Acquire)
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        now >= self.due_at.load(Ordering::Acquire)
    }

    /// Takes over from a decision of its session until when it holds.
    pub(super) fn decide_again_at(&self, due_at: i64) {
        self.due_at.store(due_at, Ordering::Release);
    }

    /// Takes over from a request's decision until when it holds. That one may be older than one of the session, so it only
    /// brings the next one nearer.
    pub(crate) fn decide_again_before(&self, due_at: i64) {
        self.due_at.fetch_min(due_at, Ordering::AcqRel);
    }

    /// Takes over how old a session may be for the application now.
    pub(crate) fn lasts(&self, longest: Option<Duration>) {
        self.expires_at.store(self.life.until(longest), Ordering::Release);
    }

    pub(super) fn life(&self) -> Life {
        self.life
    }

    pub(crate) fn client_ip(&self) -> IpAddr {
        self.client_ip
    }

    /// Ties an upstream socket to the passage before the first byte goes to it; refused when the passage was dropped.
    pub(crate) fn attach(self: &Arc<Self>, socket: &Arc<Cutter>) -> Result<Attached, Dropped> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if upstreams.dropped {
            return Err(Dropped);
        }
        upstreams.sockets.push(socket.clone());
        Ok(Attached { passage: self.clone(), socket: socket.clone() })
    }

    /// Ends it: when this returns, no byte passes on any socket within reach, and none can be added.
    pub(super) fn drop_now(&self, reach: Reach) {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.dropped = true;
        for socket in upstreams.sockets.drain(..) {
            socket.cut();
        }
        // What the peer has taken cannot be taken back, and whoever uses the socket now need not suffer for it.
        for socket in upstreams.tails.drain(..).filter(|socket| !socket.is_quiet()) {
            socket.cut();
        }
        if reach == Reach::BothSides {
            self.client.cut();
        }
    }

    /// Whether it was ended.
    pub(crate) fn is_dropped(&self) -> bool {
        self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }

    fn detach(&self, socket: &Arc<Cutter>) {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let Upstreams { sockets, tails, .. } = &mut *upstreams;
        for held in [sockets, tails] {
            held.retain(|held| !Arc::ptr_eq(held, socket));
        }
    }

    fn leave_tail(&self, socket: &Arc<Cutter>) {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let Upstreams { sockets, tails, .. } = &mut *upstreams;
        tails.extend(sockets.extract_if(.., |held| Arc::ptr_eq(held, socket)));
    }
}

/// An upstream socket in use by a passage. Letting go of it says: nothing of this person is on its way there any more.
#[derive(Debug)]
pub(crate) struct Attached {
    passage: Arc<Passage>,
    socket: Arc<Cutter>,
}

impl Attached {
    /// Whether the socket already hangs on this passage.
    pub(crate) fn is_of(&self, passage: &Arc<Passage>) -> bool {
        Arc::ptr_eq(&self.passage, passage)
    }

    /// The socket goes over to another passage, and only the end of what passed here may still be on its way. When this passage is dropped
    /// before that has arrived, the socket is cut all the same.
    pub(crate) fn into_tail(self) -> Self {
        self.passage.leave_tail(&self.socket);
        self
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.passage.detach(&self.socket);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::socket::{CuttableStream, Descriptor};

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn pair() -> (CuttableStream<()>, Arc<Cutter>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let near = Arc::new(Descriptor::from(near));
        let cutter = Arc::new(Cutter::of(&near).unwrap());
        let far = listener.accept().await.unwrap().0;
        (CuttableStream::new(near, cutter.clone(), (), PATIENCE), cutter, far)
    }

    fn passage(client: &Arc<Cutter>) -> Arc<Passage> {
        Arc::new(Passage::new(NewPassage {
            owner: SessionId::new([1; 32]),
            application: &"wiki".into(),
            situation: &Situation { client_ip: [192, 0, 2, 1].into(), asked: None, shown: &Shown::Nothing },
            class: None,
            life: Life::ENDLESS,
            longest: None,
            client,
        }))
    }

    #[tokio::test]
    async fn a_socket_that_went_over_to_another_is_cut_only_while_anything_of_the_first_may_be_on_its_way() {
        let (_near, client, _far) = pair().await;
        for is_on_its_way in [false, true] {
            let (mut near, cutter, _far) = pair().await;
            let (first, second) = (passage(&client), passage(&client));
            let attached = first.attach(&cutter).unwrap();
            if is_on_its_way {
                // Nobody reads: the kernel keeps it.
                let writing = async { while near.write(&[7; 65_536]).await.is_ok() {} };
                assert!(tokio::time::timeout(Duration::from_millis(500), writing).await.is_err());
            }
            let next = second.attach(&cutter).unwrap();
            let tail = attached.into_tail();
            first.drop_now(Reach::UpstreamSide);
            assert_eq!(cutter.is_cut(), is_on_its_way);
            drop((tail, next));
        }
    }

    #[tokio::test]
    async fn a_socket_that_serves_another_alone_is_out_of_reach_and_one_that_is_dropped_leaves_no_tail() {
        let (_near, client, _far) = pair().await;
        let (mut near, cutter, _far) = pair().await;
        let (first, second) = (passage(&client), passage(&client));
        let attached = first.attach(&cutter).unwrap();
        let next = second.attach(&cutter).unwrap();
        drop(attached.into_tail());
        let writing = async { while near.write(&[7; 65_536]).await.is_ok() {} };
        assert!(tokio::time::timeout(Duration::from_millis(500), writing).await.is_err());
        first.drop_now(Reach::UpstreamSide);
        assert!(!cutter.is_cut(), "what is on its way is of the second");
        second.drop_now(Reach::UpstreamSide);
        assert!(cutter.is_cut());
        let _tail = next.into_tail();
        assert!(second.attach(&cutter).is_err());
    }
}
