//! What a run tells in the end: a table by kind of fault, and whatever was amiss.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::Plan;
use super::fault::{Fault, Shape};
use crate::harness::binary;

const HEAD: &str = "| what was done | deactivations | refused meanwhile | request to 2xx: p50 / p90 / p99 / longest | 2xx to the last stream's close | violations |\n\
                    |---|---|---|---|---|---|\n";

/// What came of one round.
pub(super) struct Told {
    pub(super) shape: Shape,
    pub(super) fault: Fault,
    pub(super) to_2xx: Vec<Duration>,
    pub(super) to_close: Vec<Duration>,
    /// Requests that were not answered with 2xx.
    pub(super) refused: usize,
    pub(super) amiss: Vec<String>,
    /// Until everybody worked, until everybody was out, until they were let in again.
    pub(super) took: [Duration; 3],
}

impl Told {
    pub(super) fn line(&self) -> String {
        let [ready, struck, looked] = self.took.map(|span| span.as_secs_f64());
        format!(
            "{}, pushes to {}: {} deactivations, {} refused, request to 2xx {}, 2xx to close {}, {} violations \
             ({ready:.1} + {struck:.1} + {looked:.1} s)",
            self.fault,
            self.shape,
            self.to_2xx.len(),
            self.refused,
            spread(&self.to_2xx),
            spread(&self.to_close),
            self.amiss.len(),
        )
    }
}

/// All rounds.
pub struct Report {
    plan: Plan,
    rounds: Vec<Told>,
}

impl Report {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, rounds: Vec::new() }
    }

    pub(super) fn take(&mut self, told: Told) {
        self.rounds.push(told);
    }

    /// What must not have been.
    pub fn violations(&self) -> impl Iterator<Item = String> {
        let told = |round: &Told| {
            let (fault, shape) = (round.fault, round.shape);
            round
                .amiss
                .iter()
                .map(move |amiss| format!("{fault}, pushes to {shape}: {amiss}"))
                .collect::<Vec<_>>()
        };
        self.rounds.iter().flat_map(told)
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut kinds: BTreeMap<Fault, Vec<&Told>> = BTreeMap::new();
        for round in &self.rounds {
            kinds.entry(round.fault).or_default().push(round);
        }
        let mut table = HEAD.to_owned();
        for (fault, rounds) in &kinds {
            row(&mut table, &fault.to_string(), rounds);
        }
        row(&mut table, "**all**", &self.rounds.iter().collect::<Vec<_>>());
        table
    }

    /// Writes the table beside what was built; where.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn write(&self) -> PathBuf {
        let folder = binary::profile_folder().parent().unwrap().join("faults");
        std::fs::create_dir_all(&folder).unwrap();
        let violations: Vec<String> = self.violations().map(|violation| format!("- {violation}\n")).collect();
        let head = format!("Seed {}, {} people a round.\n\n", self.plan.seed, self.plan.people);
        let path = folder.join("report.md");
        std::fs::write(&path, format!("{head}{}\n{}", self.table(), violations.concat())).unwrap();
        path
    }
}

fn row(table: &mut String, name: &str, rounds: &[&Told]) {
    let all =
        |of: fn(&Told) -> &Vec<Duration>| rounds.iter().flat_map(|told| of(told).clone()).collect::<Vec<_>>();
    let (to_2xx, to_close) = (all(|told| &told.to_2xx), all(|told| &told.to_close));
    let refused: usize = rounds.iter().map(|told| told.refused).sum();
    let amiss: usize = rounds.iter().map(|told| told.amiss.len()).sum();
    let _ = writeln!(
        table,
        "| {name} | {} | {refused} | {} | {} | {amiss} |",
        to_2xx.len(),
        spread(&to_2xx),
        spread(&to_close)
    );
}

fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at =
        |share: usize| times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
    [50, 90, 99, 100].map(|share| shown(at(share))).join(" / ")
}

fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        0.0 => "0".to_owned(),
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_share() {
        let times: Vec<Duration> = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!(spread(&times), "51 ms / 91 ms / 100 ms / 101 ms");
        assert_eq!(spread(&[]), "0 / 0 / 0 / 0");
        assert_eq!(shown(Duration::from_millis(10_440)), "10.4 s");
    }

    #[test]
    fn what_was_amiss_stands_in_the_table_and_by_itself() {
        let told = |amiss: Vec<String>| Told {
            shape: Shape::Several,
            fault: Fault::FullDisk,
            to_2xx: vec![Duration::from_millis(3)],
            to_close: vec![Duration::ZERO],
            refused: 2,
            amiss,
            took: [Duration::ZERO; 3],
        };
        let mut report = Report::new(Plan::brief(1));
        report.take(told(Vec::new()));
        report.take(told(vec!["a byte".to_owned()]));
        assert!(
            report
                .table()
                .contains("| full disk | 2 | 4 | 3.0 ms / 3.0 ms / 3.0 ms / 3.0 ms | 0 / 0 / 0 / 0 | 1 |")
        );
        assert_eq!(report.violations().collect::<Vec<_>>(), ["full disk, pushes to a gateway: a byte"]);
    }
}
