//! Whether what was to be done to the processes was done: a round in which nothing happened proves nothing about it. It looks at what can be seen
//! from outside, since that also tells whether the program still does what the played disk and clock cover.

use std::time::{Duration, Instant};

use super::checker::Dropped;
use super::fault::Fault;

/// A lease of ten seconds, less the two between renewals and the time between two bursts of deactivations.
const WAITS_FOR_A_LEASE: Duration = Duration::from_secs(7);

/// What was seen while a fault was played.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Whether a gateway said that it is not ready.
    pub(super) unready: bool,
    pub(super) slow: Vec<Slow>,
    /// What should have been seen and was not.
    pub(super) missing: Vec<String>,
}

/// A time in which each sync of the process that is pushed to took so much longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) sync: Duration,
}

impl Slow {
    /// How long a deactivation takes at least, of one that was asked for early enough in this time.
    fn least(&self, dropped: &Dropped) -> Option<Duration> {
        let half = (self.until - self.from) / 2;
        let early = dropped.asked >= self.from && dropped.asked < self.from + half;
        // Who is not through at the end of this time has waited for the rest of it.
        early.then(|| self.sync.min(half))
    }
}

/// What is missing for a fault to have happened.
pub(super) fn missing(fault: Fault, signs: &Signs, dropped: &[Dropped]) -> Vec<String> {
    let mut missing = signs.missing.clone();
    let took = |dropped: &Dropped| dropped.acknowledged.saturating_duration_since(dropped.asked);
    match fault {
        Fault::FullDisk if !signs.unready && dropped.iter().all(|dropped| dropped.refused == 0) => {
            missing.push("the disk was full, and nothing was refused".to_owned());
        }
        Fault::Stopped if dropped.iter().map(took).max().unwrap_or_default() < WAITS_FOR_A_LEASE => {
            missing.push("a gateway was stopped, and nobody waited for its lease".to_owned());
        }
        Fault::SlowDisk => {
            let hit = |dropped| signs.slow.iter().find_map(|slow: &Slow| slow.least(dropped));
            let (mut all, mut slow) = (0, 0);
            for (dropped, least) in dropped.iter().filter_map(|dropped| Some((dropped, hit(dropped)?))) {
                all += 1;
                slow += usize::from(took(dropped) >= least);
            }
            if slow * 2 <= all {
                missing.push(format!("{slow} of {all} deactivations took as long as a sync"));
            }
        }
        _ => {}
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn dropped(asked: Instant, took: Duration, refused: usize) -> Dropped {
        Dropped { person: 0, asked, acknowledged: asked + took, refused }
    }

    #[test]
    fn a_full_disk_refuses_or_makes_a_gateway_unready() {
        let (now, quiet) = (Instant::now(), Signs::default());
        assert_eq!(missing(Fault::FullDisk, &quiet, &[dropped(now, S, 0)]).len(), 1);
        assert!(missing(Fault::FullDisk, &quiet, &[dropped(now, S, 0), dropped(now, S, 1)]).is_empty());
        let unready = Signs { unready: true, ..Signs::default() };
        assert!(missing(Fault::FullDisk, &unready, &[dropped(now, S, 0)]).is_empty());
        assert!(missing(Fault::Quiet, &quiet, &[dropped(now, S, 0)]).is_empty());
    }

    #[test]
    fn a_stopped_gateway_is_waited_for() {
        let (now, quiet) = (Instant::now(), Signs::default());
        assert_eq!(missing(Fault::Stopped, &quiet, &[dropped(now, 6 * S, 0)]).len(), 1);
        assert!(missing(Fault::Stopped, &quiet, &[dropped(now, S, 0), dropped(now, 8 * S, 0)]).is_empty());
    }

    #[test]
    fn a_slow_disk_makes_deactivations_slow() {
        let from = Instant::now();
        let slow = vec![Slow { from, until: from + 4 * S, sync: S }];
        let signs = Signs { slow, ..Signs::default() };
        let of = |dropped: &[Dropped]| missing(Fault::SlowDisk, &signs, dropped).len();
        assert_eq!(of(&[dropped(from, S, 0)]), 0);
        assert_eq!(of(&[dropped(from, S / 2, 0), dropped(from + S, S / 2, 0), dropped(from, 2 * S, 0)]), 1);
        // Nobody was deactivated early enough to say anything.
        assert_eq!(of(&[]), 1);
        assert_eq!(of(&[dropped(from + 3 * S, S, 0)]), 1);
    }

    #[test]
    fn what_was_not_seen_meanwhile_is_told() {
        let signs = Signs { missing: vec!["the clock of gateway 1 is right".to_owned()], ..Signs::default() };
        assert_eq!(missing(Fault::ClockOfAll, &signs, &[]), signs.missing);
    }
}
