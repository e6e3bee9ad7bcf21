//! What comes out: medians, ratios within a round, the aims beside them; as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::aims::{AIMS, Aim};
use super::row::{Extent, Metric, Row};
use super::stage::{BEFORE, US};

/// What ratios in the table refer to.
const MEASURE: &str = "nginx";
/// A core that others use by more than this makes figures doubtful.
const NOISY_CORES: f64 = 0.15;

/// The figures of one run.
#[derive(Debug)]
pub struct Report {
    extent: Extent,
    /// One figure for each round.
    figures: BTreeMap<(Row, Metric), BTreeMap<&'static str, Vec<f64>>>,
    foreign: BTreeMap<Row, Vec<f64>>,
    troubles: Vec<String>,
}

impl Report {
    pub(super) fn new(extent: Extent) -> Self {
        Self { extent, figures: BTreeMap::new(), foreign: BTreeMap::new(), troubles: Vec::new() }
    }

    pub(super) fn note(&mut self, row: Row, contestant: &'static str, figures: &[(Metric, f64)]) {
        for (metric, figure) in figures {
            let of_metric = self.figures.entry((row, *metric)).or_default();
            of_metric.entry(contestant).or_default().push(*figure);
        }
    }

    pub(super) fn foreign(&mut self, row: Row, cores: f64) {
        self.foreign.entry(row).or_default().push(cores);
    }

    pub(super) fn trouble(&mut self, contestant: &str, cause: &str) {
        println!("    {contestant}: {cause}");
        self.troubles.push(format!("{contestant}: {cause}"));
    }

    fn rounds(&self, row: Row, metric: Metric, contestant: &str) -> &[f64] {
        self.figures.get(&(row, metric)).and_then(|of| of.get(contestant)).map_or(&[], Vec::as_slice)
    }

    /// The ratio of two contestants: the median of those within the rounds.
    fn ratio(&self, row: Row, metric: Metric, one: &str, other: &str) -> Option<f64> {
        let pairs = self.rounds(row, metric, one).iter().zip(self.rounds(row, metric, other));
        median(&pairs.map(|(one, other)| one / other).collect::<Vec<_>>())
    }

    fn reached(&self, aim: &Aim) -> Option<f64> {
        match aim.against {
            Some(other) => self.ratio(aim.row, aim.metric, US, other),
            None => median(self.rounds(aim.row, aim.metric, US)),
        }
    }

    pub(super) fn print_row(&self, row: Row) {
        for line in self.lines(row) {
            println!("    {line}");
        }
    }

    fn lines(&self, row: Row) -> Vec<String> {
        let of_row = self.figures.iter().filter(|((of, _), _)| *of == row);
        let lines = of_row.flat_map(|((_, metric), contestants)| {
            contestants.iter().map(|(name, rounds)| {
                let middle = median(rounds).unwrap_or(f64::NAN);
                let ratio = self.ratio(row, *metric, name, MEASURE);
                let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
                let spread = rounds.iter().map(|figure| format!("{figure:.1}")).collect::<Vec<_>>().join(" ");
                let (row, metric) = (row.name(), metric.name());
                format!("| {row} | {metric} | {name} | {middle:.1} | {ratio} | {spread} |")
            })
        });
        lines.collect()
    }

    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::from("| row | figure | aim | reached | |\n|---|---|---|---|---|\n");
        for aim in AIMS {
            let Some(reached) = self.reached(&aim) else { continue };
            let against = aim.against.map_or_else(String::new, |other| format!(" against {other}"));
            let verdict = if aim.bound.is_met(reached) { "met" } else { "MISSED" };
            let (row, metric, bound) = (aim.row.name(), aim.metric.name(), aim.bound.text());
            let _ = writeln!(text, "| {row} | {metric}{against} | {bound} | {reached:.2} | {verdict} |");
        }
        for (row, metric) in self.figures.keys() {
            let Some(ratio) = self.ratio(*row, *metric, US, BEFORE) else { continue };
            let (row, metric) = (row.name(), metric.name());
            let _ = writeln!(text, "| {row} | {metric} against the earlier build | | {ratio:.3} | |");
        }
        text.push_str(
            "\n| row | figure | contestant | median | to nginx | rounds |\n|---|---|---|---|---|---|\n",
        );
        for line in Row::ALL.into_iter().flat_map(|row| self.lines(row)) {
            let _ = writeln!(text, "{line}");
        }
        if self.extent == Extent::Quick {
            text.push_str("\nA quick run: good for a first look only.\n");
        }
        for doubt in self.doubts() {
            let _ = writeln!(text, "\n{doubt}");
        }
        text
    }

    /// What speaks against the figures.
    fn doubts(&self) -> Vec<String> {
        let noisy = self.foreign.iter().filter_map(|(row, cores)| {
            let cores = median(cores).filter(|cores| *cores > NOISY_CORES)?;
            let row = row.name();
            Some(format!("NOISY: during `{row}` other programs used {cores:.2} cores of this machine."))
        });
        let troubles = self.troubles.iter().map(|trouble| format!("NOT MEASURED: {trouble}"));
        noisy.chain(troubles).collect()
    }

    fn json(&self) -> Value {
        let figures = self.figures.iter().flat_map(|((row, metric), contestants)| {
            contestants.iter().map(|(name, rounds)| {
                json!({
                    "row": row.name(),
                    "metric": metric.name(),
                    "contestant": name,
                    "median": median(rounds),
                    "to_nginx": self.ratio(*row, *metric, name, MEASURE),
                    "rounds": rounds,
                })
            })
        });
        let aims = AIMS.iter().map(|aim| {
            let reached = self.reached(aim);
            json!({
                "row": aim.row.name(),
                "metric": aim.metric.name(),
                "against": aim.against,
                "aim": aim.bound.text(),
                "reached": reached,
                "met": reached.map(|reached| aim.bound.is_met(reached)),
            })
        });
        json!({
            "quick": self.extent == Extent::Quick,
            "figures": figures.collect::<Vec<_>>(),
            "aims": aims.collect::<Vec<_>>(),
            "doubts": self.doubts(),
        })
    }

    /// Writes `figures.json` and `table.md`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::write(folder.join("figures.json"), format!("{:#}\n", self.json()))?;
        std::fs::write(folder.join("table.md"), self.table())
    }
}

fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied()?;
    let lower = (sorted.len() / 2).checked_sub(1).and_then(|index| sorted.get(index));
    Some(lower.filter(|_| sorted.len().is_multiple_of(2)).map_or(middle, |lower| (lower + middle) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut report = Report::new(Extent::Quick);
        for (ours, theirs) in [(1.0, 2.0), (30.0, 40.0), (5.0, 6.0)] {
            report.note(Row::Http1, US, &[(Metric::CpuUs, ours)]);
            report.note(Row::Http1, MEASURE, &[(Metric::CpuUs, theirs)]);
        }
        assert_eq!(report.ratio(Row::Http1, Metric::CpuUs, US, MEASURE), Some(0.75));
        assert!(report.table().contains("| http1 | cpu_us against nginx | <= 0.9 | 0.75 | met |"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut report = Report::new(Extent::Full);
        report.note(Row::Http1, US, &[(Metric::CpuUs, 1.0)]);
        report.trouble("haproxy", "it is not there");
        report.foreign(Row::Http1, 0.5);
        let table = report.table();
        assert!(!table.contains("against nginx") && table.contains("NOT MEASURED: haproxy"), "{table}");
        assert!(table.contains("NOISY: during `http1`"), "{table}");
    }

    #[test]
    fn the_median_of_one_is_itself() {
        assert_eq!((median(&[]), median(&[4.0]), median(&[4.0, 1.0])), (None, Some(4.0), Some(2.5)));
    }
}
