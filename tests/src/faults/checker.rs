//! The judge: what was seen of one person and must not have been. It looks at recordings alone; who makes them is left to the others.

use std::fmt;
use std::time::{Duration, Instant};

use super::former::Former;
use crate::upstream::{Chunk, Direction};

/// A deactivation, as the provisioning client saw it.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    pub(super) person: usize,
    /// When the first request was sent.
    pub(super) asked: Instant,
    /// When the kernel had the 2xx.
    pub(super) acknowledged: Instant,
    /// How many requests were refused or broke off before.
    pub(super) refused: usize,
}

/// How something comes to a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// An event stream, or the answer to an upload.
    Http1,
    /// An answer or a download among others on one connection.
    Http2,
    /// A WebSocket.
    Socket,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Socket];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Socket => "a WebSocket",
        })
    }
}

/// Bytes of the application that a browser got, and when its kernel had them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) way: Way,
    pub(super) at: Instant,
    pub(super) len: usize,
}

/// A stream, from its answer to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) opened: Instant,
    pub(super) closed: Instant,
}

/// All that is known of one person after a round.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Everything that the upstream recorded.
    pub(super) upstream: Vec<Chunk>,
    /// What the browser got.
    pub(super) pieces: Vec<Piece>,
    /// Whether they are active, by the door that was asked; nothing where they are unknown.
    pub(super) stored: Vec<(String, Option<bool>)>,
    /// What sessions of before got after the reactivation, by gateway.
    pub(super) former: Vec<Former>,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// No byte of theirs was ever seen at the upstream, or in their browser this way: the round says nothing about it.
    NeverWorked { by: Option<Way> },
    /// The upstream received something after the 2xx.
    Upstream { path: String, bytes: usize, late: Duration },
    /// The browser did.
    Browser { way: Way, bytes: usize, late: Duration },
    /// The store does not say what was acknowledged.
    Lost { door: String, active: Option<bool> },
    /// An application's session of before the deactivation works.
    Resurrected { gateway: String, status: u16 },
    /// The login of before the deactivation does.
    LoggedIn { gateway: String, landed: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverWorked { by: None } => write!(f, "never came to the upstream, so nothing is known"),
            Self::NeverWorked { by: Some(way) } => {
                write!(f, "never got a byte by {way}, so nothing is known")
            }
            Self::Upstream { path, bytes, late } => {
                write!(f, "the upstream received {bytes} B for {path} {late:?} after the 2xx")
            }
            Self::Browser { way, bytes, late } => {
                write!(f, "the browser received {bytes} B by {way} {late:?} after the 2xx")
            }
            Self::Lost { door, active } => write!(f, "after the 2xx {door} says active = {active:?}"),
            Self::Resurrected { gateway, status } => {
                write!(f, "a session of before the deactivation is answered {status} by {gateway}")
            }
            Self::LoggedIn { gateway, landed } => {
                write!(
                    f,
                    "a login of before the deactivation leads past the provider's page at {gateway}: {landed}"
                )
            }
        }
    }
}

/// What is wrong about one person.
pub(super) fn judge(dropped: &Dropped, witness: &Witness) -> Vec<Violation> {
    let after = |at: Instant| at.checked_duration_since(dropped.acknowledged).filter(|late| !late.is_zero());
    let mut found = Vec::new();
    let received = |chunk: &&Chunk| chunk.direction == Direction::Received;
    if !witness.upstream.iter().any(|chunk| received(&chunk)) {
        found.push(Violation::NeverWorked { by: None });
    }
    let silent = Way::ALL.into_iter().filter(|way| witness.pieces.iter().all(|piece| piece.way != *way));
    found.extend(silent.map(|way| Violation::NeverWorked { by: Some(way) }));
    found.extend(witness.upstream.iter().filter(received).filter_map(|chunk| {
        let late = after(chunk.at)?;
        Some(Violation::Upstream { path: chunk.path.to_string(), bytes: chunk.len, late })
    }));
    found.extend(witness.pieces.iter().filter_map(|piece| {
        Some(Violation::Browser { way: piece.way, bytes: piece.len, late: after(piece.at)? })
    }));
    let lost = witness.stored.iter().filter(|(_, active)| *active != Some(false));
    found.extend(lost.map(|(door, active)| Violation::Lost { door: door.clone(), active: *active }));
    for Former { gateway, script, landed } in &witness.former {
        if !matches!(script, 401 | 403) {
            found.push(Violation::Resurrected { gateway: gateway.clone(), status: *script });
        }
        if let Some(landed) = landed.clone() {
            found.push(Violation::LoggedIn { gateway: gateway.clone(), landed });
        }
    }
    found
}

/// How long after the 2xx the last stream that was open then was closed; nothing when all were before.
pub(super) fn until_closed(dropped: &Dropped, stays: &[Stay]) -> Duration {
    let open = stays.iter().filter(|stay| stay.opened <= dropped.acknowledged);
    open.map(|stay| stay.closed.saturating_duration_since(dropped.acknowledged)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn dropped() -> Dropped {
        let asked = Instant::now();
        Dropped { person: 0, asked, acknowledged: asked + 100 * MS, refused: 0 }
    }

    fn chunk(direction: Direction, at: Instant) -> Chunk {
        let (person, path) = (Some(Arc::from("person@corp.example")), Arc::from("/upload"));
        Chunk { direction, person, connection: 1, path, at, len: 16, bytes: None }
    }

    fn piece(way: Way, at: Instant) -> Piece {
        Piece { way, at, len: 20 }
    }

    fn former(number: usize, script: u16, landed: Option<&str>) -> Former {
        Former { gateway: format!("gateway {number}"), script, landed: landed.map(str::to_owned) }
    }

    /// Somebody who worked until their 2xx and is gone since.
    fn clean(dropped: &Dropped) -> Witness {
        let last = dropped.acknowledged;
        Witness {
            upstream: vec![
                chunk(Direction::Received, dropped.asked),
                chunk(Direction::Received, last),
                chunk(Direction::Sent, last + 50 * MS),
            ],
            pieces: Way::ALL.iter().flat_map(|way| [dropped.asked, last].map(|at| piece(*way, at))).collect(),
            stored: vec![("gateway 1".to_owned(), Some(false))],
            former: vec![former(1, 401, None), former(2, 403, None)],
        }
    }

    #[test]
    fn who_is_gone_with_the_2xx_is_in_order() {
        let dropped = dropped();
        assert_eq!(judge(&dropped, &clean(&dropped)), []);
    }

    #[test]
    fn a_byte_after_the_2xx_is_found_on_either_side() {
        let dropped = dropped();
        let mut witness = clean(&dropped);
        witness.upstream.push(chunk(Direction::Received, dropped.acknowledged + MS));
        let (path, late) = ("/upload".to_owned(), MS);
        assert_eq!(judge(&dropped, &witness), [Violation::Upstream { path, bytes: 16, late }]);
        for way in Way::ALL {
            let mut witness = clean(&dropped);
            witness.pieces.push(piece(way, dropped.acknowledged + 2 * MS));
            assert_eq!(judge(&dropped, &witness), [Violation::Browser { way, bytes: 20, late: 2 * MS }]);
        }
    }

    #[test]
    fn what_was_acknowledged_and_is_not_stored_is_found() {
        let dropped = dropped();
        for active in [None, Some(true)] {
            let mut witness = clean(&dropped);
            witness.stored.push(("the sidecar".to_owned(), active));
            assert_eq!(
                judge(&dropped, &witness),
                [Violation::Lost { door: "the sidecar".to_owned(), active }]
            );
        }
    }

    #[test]
    fn a_session_that_works_again_is_found() {
        let dropped = dropped();
        let gateway = || "gateway 3".to_owned();
        let mut witness = clean(&dropped);
        witness.former.push(former(3, 200, None));
        assert_eq!(judge(&dropped, &witness), [Violation::Resurrected { gateway: gateway(), status: 200 }]);
        let mut witness = clean(&dropped);
        witness.former.push(former(3, 401, Some("/ with 200")));
        let landed = "/ with 200".to_owned();
        assert_eq!(judge(&dropped, &witness), [Violation::LoggedIn { gateway: gateway(), landed }]);
    }

    #[test]
    fn silence_proves_nothing() {
        let dropped = dropped();
        for way in Way::ALL {
            let mut witness = clean(&dropped);
            witness.pieces.retain(|piece| piece.way != way);
            assert_eq!(judge(&dropped, &witness), [Violation::NeverWorked { by: Some(way) }]);
        }
        let witness = Witness { upstream: Vec::new(), ..clean(&dropped) };
        assert_eq!(judge(&dropped, &witness), [Violation::NeverWorked { by: None }]);
    }

    #[test]
    fn only_streams_that_were_open_at_the_2xx_are_waited_for() {
        let dropped = dropped();
        let at = |ms: u32| dropped.asked + ms * MS;
        let stay = |opened, closed| Stay { opened: at(opened), closed: at(closed) };
        assert_eq!(until_closed(&dropped, &[stay(0, 40), stay(50, 99)]), Duration::ZERO);
        assert_eq!(until_closed(&dropped, &[stay(0, 107), stay(1, 103), stay(101, 900)]), 7 * MS);
    }
}
