//! Moments inside, outside and at the edges.

use super::*;

/// Monday, 2 January 2023, 00:00 UTC.
const MONDAY: i64 = 1_672_617_600;
const HOUR: i64 = 3_600;

fn window(days: &[Weekday], from: &str, to: &str, zone: &str) -> TimeWindow {
    TimeWindow::new(days, from.parse().unwrap(), to.parse().unwrap(), zone.parse().unwrap()).unwrap()
}

#[test]
fn office_hours() {
    let window = window(&Weekday::ALL[..5], "08:00", "18:30", "UTC");
    for (at, holds, edge) in [
        (MONDAY, false, MONDAY + 8 * HOUR),
        (MONDAY + 8 * HOUR - 1, false, MONDAY + 8 * HOUR),
        (MONDAY + 8 * HOUR, true, MONDAY + 18 * HOUR + 1_800),
        (MONDAY + 18 * HOUR + 1_799, true, MONDAY + 18 * HOUR + 1_800),
        (MONDAY + 18 * HOUR + 1_800, false, MONDAY + 24 * HOUR),
        (MONDAY + 4 * DAY_S + 9 * HOUR, true, MONDAY + 4 * DAY_S + 18 * HOUR + 1_800),
        (MONDAY + 5 * DAY_S + 9 * HOUR, false, MONDAY + 5 * DAY_S + 18 * HOUR + 1_800),
        (MONDAY - DAY_S + 9 * HOUR, false, MONDAY - DAY_S + 18 * HOUR + 1_800),
    ] {
        assert_eq!(window.holds_at(at), (holds, edge), "{}", at - MONDAY);
    }
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_began() {
    let window = window(&[Weekday::Sunday], "22:00", "06:00", "UTC");
    for (at, holds) in [
        (MONDAY - 2 * HOUR - 1, false),
        (MONDAY - 2 * HOUR, true),
        (MONDAY, true),
        (MONDAY + 6 * HOUR - 1, true),
        (MONDAY + 6 * HOUR, false),
        (MONDAY + 22 * HOUR, false),
        (MONDAY - DAY_S, false),
    ] {
        assert_eq!(window.holds_at(at).0, holds, "{}", at - MONDAY);
    }
}

#[test]
fn another_clock_moves_it_over_midnight() {
    let east = window(&[Weekday::Monday], "00:00", "01:00", "+02:00");
    assert!(east.holds_at(MONDAY - 2 * HOUR).0);
    assert!(!east.holds_at(MONDAY - HOUR).0 && !east.holds_at(MONDAY).0);
    let west = window(&[Weekday::Monday], "23:00", "24:00", "-03:30");
    assert!(west.holds_at(MONDAY + DAY_S + 2 * HOUR + 1_800).0);
    assert!(!west.holds_at(MONDAY + DAY_S + 3 * HOUR + 1_800).0);
}

#[test]
fn nothing_changes_before_the_edge_that_is_told() {
    let all = ["UTC", "+05:30", "-11:00"].map(|zone| window(&[Weekday::Tuesday], "21:15", "03:00", zone));
    for window in all {
        let mut at = MONDAY - DAY_S;
        while at < MONDAY + 8 * DAY_S {
            let (holds, edge) = window.holds_at(at);
            assert!(edge > at);
            assert_eq!(window.holds_at(edge - 1).0, holds);
            at += 7 * 60;
        }
    }
}

#[test]
fn what_is_no_window_has_its_own_cause() {
    for text in ["8:00", "08:60", "24:01", "08:00:00", "", "0800", "+8:00", "٠٨:٠٠"] {
        assert_eq!(text.parse::<TimeOfDay>(), Err(TimeWindowError::Time(text.to_owned())));
    }
    assert_eq!("Mon".parse::<Weekday>(), Err(TimeWindowError::Weekday("Mon".to_owned())));
    let time = |text: &str| text.parse::<TimeOfDay>().unwrap();
    let new = |days: &[Weekday], from, to| TimeWindow::new(days, time(from), time(to), Zone::default());
    assert_eq!(new(&[], "08:00", "09:00"), Err(TimeWindowError::NoDay));
    assert_eq!(new(&Weekday::ALL, "08:00", "08:00"), Err(TimeWindowError::Empty));
    assert_eq!(new(&Weekday::ALL, "24:00", "08:00"), Err(TimeWindowError::Empty));
    assert_eq!(new(&Weekday::ALL, "00:00", "24:00").unwrap().holds_at(MONDAY), (true, MONDAY + DAY_S));
}

#[test]
fn a_window_reads_as_it_is_written() {
    let window = window(&[Weekday::Friday, Weekday::Monday], "08:00", "18:30", "-03:30");
    assert_eq!(window.to_string(), "mon,fri 08:00-18:30 -03:30");
}

/// 26 March 2023, 02:00 becomes 03:00; 29 October, 03:00 becomes 02:00: both at 01:00 UTC.
#[test]
fn a_place_keeps_its_hours_when_its_clocks_are_changed() {
    let (spring, autumn) = (1_679_792_400, 1_698_541_200);
    let window = window(&Weekday::ALL, "02:30", "18:00", "Europe/Berlin");
    for (at, holds) in [
        (spring - 1, false),
        (spring, true),
        (spring + 15 * HOUR - 1, true),
        (spring + 15 * HOUR, false),
        (autumn - 1_801, false),
        (autumn - 1_800, true),
        (autumn, false),
        (autumn + 1_800, true),
        (autumn + 16 * HOUR - 1, true),
        (autumn + 16 * HOUR, false),
    ] {
        let (found, edge) = window.holds_at(at);
        assert_eq!(found, holds, "{at}");
        assert!(edge > at);
    }
    // The clock jumps over 02:30: what holds changes at the jump, and so does what is told.
    assert_eq!(window.holds_at(spring - 60), (false, spring));
    assert_eq!(window.holds_at(autumn - 60), (true, autumn));
    for change in [spring, autumn] {
        for at in (change - DAY_S..change + DAY_S).step_by(499) {
            let (holds, edge) = window.holds_at(at);
            for between in (at..edge).step_by(601).chain([edge - 1]) {
                assert_eq!(window.holds_at(between).0, holds, "{at} {between}");
            }
        }
    }
    assert_eq!(window.told(spring), "sun 03:00:00 Europe/Berlin");
}
