//! Several gateways on one store, with a sidecar or without, as real processes under load, while something is done to them: stopped, killed, a
//! disk that is full or slow, a clock that is set. What each person's upstream, browser and record show is judged round by round.

mod checker;
mod dice;
mod fault;
mod former;
mod frames;
mod line;
mod load;
mod machine;
mod notes;
mod proof;
mod records;
mod report;
mod round;
mod stage;

pub use fault::{Extent, Fault, Shape};
pub use report::Report;

use round::Round;
use stage::Stage;

/// People at work at once, for whom two cores suffice.
const MOST_PEOPLE: usize = 250;

/// How much is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Deactivations in all; the last round is a whole one.
    pub deactivations: usize,
    /// People of one round; each is deactivated once in it.
    pub people: usize,
    /// What differs from run to run: who is hit, and when.
    pub seed: u64,
    /// Which rounds there are.
    pub extent: Extent,
}

impl Plan {
    /// What a test run has time for: a standstill, kills and a full disk.
    #[must_use]
    pub fn brief(seed: u64) -> Self {
        Self { deactivations: 3 * 24, people: 24, seed, extent: Extent::Brief }
    }

    /// Every fault in both shapes, once at least, and again and again if there is enough to do.
    #[must_use]
    pub fn whole(deactivations: usize, seed: u64) -> Self {
        let people = deactivations.div_ceil(fault::KINDS).clamp(4, MOST_PEOPLE);
        Self { deactivations, people, seed, extent: Extent::Whole }
    }
}

/// Runs it all, and stops after the first round in which something was found.
pub async fn run(plan: Plan) -> Report {
    let rounds = plan.deactivations.div_ceil(plan.people);
    let mut stage = Stage::set(plan).await;
    let mut report = Report::new(plan);
    stage.everybody_works(fault::round(plan.extent, 0).0).await;
    for number in 0..rounds {
        let (shape, fault) = fault::round(plan.extent, number);
        let next = fault::round(plan.extent, number + 1).0;
        let told = Round { shape, fault, next }.play(&mut stage).await;
        println!("round {} of {rounds}, {}", number + 1, told.line());
        report.take(told);
        if report.violations().next().is_some() {
            break;
        }
    }
    report
}
