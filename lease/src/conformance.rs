//! What every engine must do, told as one walk. An engine's own tests run it; how it does what it does is left to it.

use crate::engine::{Engine, Epoch, MemberId, Position, Renewed, Row};
use std::fmt::Debug;

/// An engine whose history can be moved by a test.
pub trait Movable: Engine {
    /// Commits one change and returns its position.
    fn commit(&mut self) -> Position;
    /// Puts another history in place of this one, with the same watermark.
    fn replace_history(&mut self);
}

/// Walks an empty engine through everything that the protocol asks of it.
///
/// # Panics
/// When the engine does anything else.
pub fn walk<E: Movable>(engine: &mut E)
where
    E::Error: Debug,
{
    let epoch = joins(engine);
    renews(engine, &epoch);
    fences(engine, &epoch);
    let lost = engine.renew(MemberId(3), Position(0), &Epoch("another".to_owned()));
    assert_eq!(said(lost), Renewed::HistoryLost, "another history");
    engine.replace_history();
    assert_eq!(said(engine.renew(MemberId(3), Position(0), &epoch)), Renewed::HistoryLost);
    said(engine.leave(MemberId(3)));
    assert!(said(engine.members()).is_empty());
    said(engine.leave(MemberId(3)));
}

fn joins<E: Movable>(engine: &mut E) -> Epoch
where
    E::Error: Debug,
{
    let first = engine.commit();
    assert_eq!(engine.commit(), Position(first.0 + 1), "positions have no gaps");
    assert!(said(engine.members()).is_empty());
    let joined = said(engine.join(MemberId(1), None));
    assert_eq!(joined.watermark, Position(first.0 + 1));
    let Row { id, acked, .. } = only(engine);
    assert_eq!((id, acked), (MemberId(1), joined.watermark), "a row begins at the watermark");
    assert_eq!(said(engine.join(MemberId(2), Some(MemberId(1)))), joined);
    assert_eq!(only(engine).id, MemberId(2), "the former row is gone");
    assert_eq!(said(engine.renew(MemberId(1), joined.watermark, &joined.epoch)), Renewed::Fenced);
    joined.epoch
}

fn renews<E: Movable>(engine: &mut E, epoch: &Epoch)
where
    E::Error: Debug,
{
    let before = only(engine);
    let newest = engine.commit();
    let held = said(engine.renew(MemberId(2), newest, epoch));
    assert_eq!(held, Renewed::Held { watermark: newest });
    let after = only(engine);
    assert!(after.renew > before.renew, "a renewal counts");
    assert_eq!(after.acked, newest);
    said(engine.renew(MemberId(2), before.acked, epoch));
    assert_eq!(only(engine).acked, newest, "what was acknowledged stays so");
    let counted = only(engine);
    let beyond = said(engine.renew(MemberId(2), Position(newest.0 + 1), epoch));
    assert_eq!(beyond, Renewed::HistoryLost, "it has applied what is not there");
    assert_eq!(only(engine), counted, "and nothing is noted of that");
}

fn fences<E: Movable>(engine: &mut E, epoch: &Epoch)
where
    E::Error: Debug,
{
    let before = only(engine);
    said(engine.renew(MemberId(2), before.acked, epoch));
    said(engine.fence(MemberId(2), before.renew));
    let renewed = only(engine);
    assert_eq!(renewed.id, MemberId(2), "it had renewed meanwhile");
    said(engine.fence(MemberId(2), renewed.renew));
    assert!(said(engine.members()).is_empty());
    assert_eq!(said(engine.renew(MemberId(2), before.acked, epoch)), Renewed::Fenced);
    said(engine.join(MemberId(3), Some(MemberId(2))));
    assert_eq!(only(engine).id, MemberId(3));
}

fn only<E: Engine>(engine: &mut E) -> Row
where
    E::Error: Debug,
{
    let rows = said(engine.members());
    let [row] = rows.as_slice() else { unreachable!("one row, not {rows:?}") };
    *row
}

fn said<T, E: Debug>(answer: Result<T, E>) -> T {
    answer.unwrap_or_else(|cause| unreachable!("the engine failed: {cause:?}"))
}
