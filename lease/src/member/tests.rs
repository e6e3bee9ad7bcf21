use super::*;

const S: u64 = 1_000_000;

fn epoch() -> Epoch {
    Epoch("first".to_owned())
}

/// A member that joined at 100 s, loaded at position 7, and serves.
fn serving() -> Member {
    let mut member = Member::new(Terms::default());
    let Step::Join(join) = member.next(Moment(100 * S)) else { panic!() };
    assert_eq!(join.replaces, None);
    member.joined(&join, MemberId(1), Joined { epoch: epoch(), watermark: Position(6) });
    assert_eq!(member.lease_until(), Moment::NEVER, "nothing to serve by");
    let Step::Load(load) = member.next(Moment(101 * S)) else { panic!() };
    assert!(member.loaded(load, Position(7), &epoch()));
    member
}

fn renewal(member: &mut Member, at: Moment) -> Renewal {
    match member.next(at) {
        Step::Renew(renewal) => renewal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_counts_from_the_moment_of_sending() {
    let mut member = serving();
    assert_eq!(member.lease_until(), Moment(109_600_000), "from the join");
    let sent = renewal(&mut member, Moment(102 * S));
    assert_eq!(sent.acked, Position(7));
    assert_eq!(member.renewed(&sent, Renewed::Held { watermark: Position(7) }), Reaction::Nothing);
    assert_eq!(member.lease_until(), Moment(111_600_000));
    assert_eq!(member.next(Moment(103 * S)), Step::Wait(Moment(104 * S)));
}

#[test]
fn what_was_applied_is_acknowledged_at_once() {
    let mut member = serving();
    let sent = renewal(&mut member, Moment(102 * S));
    assert_eq!(member.renewed(&sent, Renewed::Held { watermark: Position(9) }), Reaction::Behind);
    member.applied(Position(9));
    assert_eq!(renewal(&mut member, Moment(102 * S + 1)).acked, Position(9));
}

#[test]
fn an_answer_that_does_not_come_is_asked_for_again_and_counts_when_it_comes() {
    let mut member = serving();
    let first = renewal(&mut member, Moment(103 * S));
    assert_eq!(member.next(Moment(104 * S)), Step::Wait(Moment(105 * S)));
    let second = renewal(&mut member, Moment(105 * S));
    member.renewed(&second, Renewed::Held { watermark: Position(7) });
    let until = member.lease_until();
    member.renewed(&first, Renewed::Held { watermark: Position(7) });
    assert_eq!(member.lease_until(), until, "an older renewal shortens nothing");
}

#[test]
fn a_failure_is_tried_again_in_a_moment() {
    let mut member = serving();
    let _lost = renewal(&mut member, Moment(102 * S));
    member.failed(Moment(102 * S));
    member.nudge();
    assert_eq!(member.next(Moment(102 * S)), Step::Wait(Moment(102_250_000)));
    renewal(&mut member, Moment(102_250_000));
}

#[test]
fn who_was_fenced_takes_a_new_identity_and_loads_before_it_serves() {
    let mut member = serving();
    let sent = renewal(&mut member, Moment(102 * S));
    assert_eq!(member.renewed(&sent, Renewed::Fenced), Reaction::Lost(Loss::Fenced));
    assert_eq!(member.lease_until(), Moment::NEVER);
    let Step::Join(join) = member.next(Moment(102 * S)) else { panic!() };
    assert_eq!(join.replaces, Some(MemberId(1)));
    member.joined(&join, MemberId(2), Joined { epoch: epoch(), watermark: Position(20) });
    // What is still on its way for the former row says nothing.
    assert_eq!(member.renewed(&sent, Renewed::Held { watermark: Position(20) }), Reaction::Nothing);
    assert_eq!(member.lease_until(), Moment::NEVER);
    let Step::Load(load) = member.next(Moment(102 * S)) else { panic!() };
    assert!(member.loaded(load, Position(20), &epoch()));
    assert_eq!(member.lease_until(), Moment(111_600_000));
    assert_eq!(member.position(), Position(20));
}

#[test]
fn another_history_is_noticed() {
    for answer in [Renewed::HistoryLost, Renewed::Held { watermark: Position(6) }] {
        let mut member = serving();
        let sent = renewal(&mut member, Moment(102 * S));
        assert_eq!(member.renewed(&sent, answer), Reaction::Lost(Loss::History));
        assert_eq!(member.lease_until(), Moment::NEVER);
    }
}

#[test]
fn an_answer_from_before_a_change_of_our_own_is_no_lost_history() {
    let mut member = serving();
    let sent = renewal(&mut member, Moment(102 * S));
    member.applied(Position(8));
    assert_eq!(member.renewed(&sent, Renewed::Held { watermark: Position(7) }), Reaction::Nothing);
}

#[test]
fn a_state_from_before_the_row_or_of_another_history_is_refused() {
    for (position, history) in [(Position(5), epoch()), (Position(7), Epoch("second".to_owned()))] {
        let mut member = Member::new(Terms::default());
        let Step::Join(join) = member.next(Moment(S)) else { panic!() };
        member.joined(&join, MemberId(1), Joined { epoch: epoch(), watermark: Position(6) });
        let Step::Load(load) = member.next(Moment(S)) else { panic!() };
        assert!(!member.loaded(load, position, &history));
        assert!(matches!(member.next(Moment(S)), Step::Join(_)));
    }
}

#[test]
fn a_slow_load_does_not_keep_the_row_from_being_renewed() {
    let mut member = Member::new(Terms::default());
    let Step::Join(join) = member.next(Moment(S)) else { panic!() };
    member.joined(&join, MemberId(1), Joined { epoch: epoch(), watermark: Position(6) });
    let Step::Load(slow) = member.next(Moment(S)) else { panic!() };
    let sent = renewal(&mut member, Moment(3 * S));
    assert_eq!(sent.acked, Position(6), "nothing later is in force");
    assert_eq!(member.renewed(&sent, Renewed::Held { watermark: Position(30) }), Reaction::Nothing);
    let Step::Load(again) = member.next(Moment(11 * S)) else { panic!() };
    assert!(!member.loaded(slow, Position(6), &epoch()), "it was given up");
    assert!(member.loaded(again, Position(30), &epoch()));
}

#[test]
fn who_leaves_serves_no_more() {
    let mut member = serving();
    assert_eq!(member.leave(), Some(MemberId(1)));
    assert_eq!(member.lease_until(), Moment::NEVER);
    assert_eq!(member.leave(), None);
}
