//! The kinds of rounds: which shape the processes have, what is done to them, and in which order rounds follow one another.

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::dice::Dice;
use super::machine::{Machine, Room};
use super::proof::{Signs, Slow};
use super::stage::Stage;
use crate::harness::Gateway;

/// Longer than a lease, so that whoever stands still is fenced and finds out.
const STANDSTILL: Duration = Duration::from_secs(12);
const BRIEF_STANDSTILL: Duration = Duration::from_millis(11_500);
/// Longer than a lease and the time for which open streams wait for it.
const NO_ROOM: Duration = Duration::from_secs(14);
/// How long a disk or a clock stays as it was made.
const STEP: Duration = Duration::from_millis(2_300);
const HOUR_S: i64 = 3_600;

/// Where the provisioning client pushes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// To a sidecar beside the gateways.
    Sidecar,
    /// To one of the gateways.
    Several,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sidecar => "a sidecar",
            Self::Several => "a gateway",
        })
    }
}

/// What is done to the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing, for comparison.
    Quiet,
    /// A gateway is stopped for longer than a lease, and goes on.
    Stopped,
    /// Gateways are killed and started again.
    Killed,
    /// The sidecar is.
    SidecarKilled,
    /// All are, at once.
    AllKilled,
    /// There is no room on the disk.
    FullDisk,
    /// A sync takes long.
    SlowDisk,
    /// The wall clock of one gateway is set by hours, forwards and backwards.
    ClockOfOne,
    /// That of all processes is.
    ClockOfAll,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quiet => "nothing",
            Self::Stopped => "a gateway stopped for 12 s",
            Self::Killed => "gateways killed",
            Self::SidecarKilled => "the sidecar killed",
            Self::AllKilled => "all killed at once",
            Self::FullDisk => "full disk",
            Self::SlowDisk => "slow disk",
            Self::ClockOfOne => "one clock set by hours",
            Self::ClockOfAll => "all clocks set by hours",
        })
    }
}

/// How many kinds of rounds there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A few, and shorter.
    Brief,
    /// All.
    Whole,
}

const BRIEF: [(Shape, Fault); 3] =
    [(Shape::Sidecar, Fault::Stopped), (Shape::Several, Fault::Killed), (Shape::Sidecar, Fault::FullDisk)];

/// How many rounds there are of which none is like another.
pub(super) const KINDS: usize = WHOLE.len();

/// Shapes alternate; where there is no sidecar to kill, there is one more standstill.
const WHOLE: [(Shape, Fault); 18] = [
    (Shape::Sidecar, Fault::Stopped),
    (Shape::Several, Fault::FullDisk),
    (Shape::Sidecar, Fault::Killed),
    (Shape::Several, Fault::ClockOfAll),
    (Shape::Sidecar, Fault::SidecarKilled),
    (Shape::Several, Fault::Stopped),
    (Shape::Sidecar, Fault::AllKilled),
    (Shape::Several, Fault::SlowDisk),
    (Shape::Sidecar, Fault::ClockOfOne),
    (Shape::Several, Fault::Killed),
    (Shape::Sidecar, Fault::FullDisk),
    (Shape::Several, Fault::AllKilled),
    (Shape::Sidecar, Fault::SlowDisk),
    (Shape::Several, Fault::ClockOfOne),
    (Shape::Sidecar, Fault::ClockOfAll),
    (Shape::Several, Fault::Quiet),
    (Shape::Sidecar, Fault::Quiet),
    (Shape::Several, Fault::Stopped),
];

/// What a round is about.
pub(super) fn round(extent: Extent, number: usize) -> (Shape, Fault) {
    match extent {
        Extent::Brief => BRIEF[number % BRIEF.len()],
        Extent::Whole => WHOLE[number % WHOLE.len()],
    }
}

impl Fault {
    /// Over which time the deactivations of a round begin.
    pub(super) fn span(self, extent: Extent) -> Duration {
        let ms = match (self, extent) {
            (Self::FullDisk, Extent::Brief) => 2_000,
            (_, Extent::Brief) => 1_000,
            (Self::Quiet, _) => 4_000,
            (Self::Stopped, _) => 9_000,
            (Self::FullDisk, _) => 14_000,
            (..) => 7_000,
        };
        Duration::from_millis(ms)
    }

    /// Does it, and makes all well again; what was seen of it.
    pub(super) async fn strike(
        self,
        stage: &mut Stage,
        shape: Shape,
        dice: &mut Dice,
        extent: Extent,
    ) -> Signs {
        let mut signs = Signs::default();
        sleep(dice.ms(100..400)).await;
        match self {
            Self::Quiet => {}
            Self::Stopped => {
                let victim = dice.index(stage.gateways.len());
                stage.gateways[victim].freeze();
                sleep(if extent == Extent::Brief { BRIEF_STANDSTILL } else { STANDSTILL }).await;
                stage.gateways[victim].thaw();
            }
            Self::Killed => kill_some(stage, shape, dice, extent).await,
            Self::SidecarKilled => {
                for _ in 0..5 {
                    stage.deactivations_are_under_way().await;
                    stage.sidecar.kill_hard();
                    sleep(dice.ms(0..300)).await;
                    stage.sidecar.start_again().await;
                    sleep(dice.ms(200..900)).await;
                }
            }
            Self::AllKilled => {
                for _ in 0..3 {
                    stage.deactivations_are_under_way().await;
                    kill_all(stage, shape).await;
                    sleep(dice.ms(300..1_200)).await;
                }
            }
            Self::FullDisk => signs.unready = fill_disk(stage, dice, extent).await,
            Self::SlowDisk => signs.slow = slow_down_disk(stage, shape, dice).await,
            Self::ClockOfOne | Self::ClockOfAll => signs.missing = set_clocks(self, stage, dice).await,
        }
        stage.machines().for_each(Machine::heal);
        signs
    }
}

async fn kill_some(stage: &mut Stage, shape: Shape, dice: &mut Dice, extent: Extent) {
    let times = if extent == Extent::Brief { 1 } else { 3 };
    for time in 0..times {
        // The one that is pushed to comes first: what it was about to acknowledge is the question.
        let pushed_to = (time == 0 && shape == Shape::Several).then_some(stage.pushed_to);
        let victim = pushed_to.unwrap_or_else(|| dice.index(stage.gateways.len()));
        stage.deactivations_are_under_way().await;
        stage.gateways[victim].kill_hard();
        sleep(dice.ms(0..700)).await;
        stage.gateways[victim].start_again().await.unwrap();
        sleep(dice.ms(200..900)).await;
    }
}

async fn kill_all(stage: &mut Stage, shape: Shape) {
    stage.gateways.iter_mut().for_each(Gateway::kill_hard);
    if shape == Shape::Sidecar {
        stage.sidecar.kill_hard();
        stage.sidecar.start_again().await;
    }
    let started = join_all(stage.gateways.iter_mut().map(Gateway::start_again)).await;
    started.into_iter().for_each(|started| started.unwrap());
}

async fn fill_disk(stage: &mut Stage, dice: &mut Dice, extent: Extent) -> bool {
    let (some, none) = match extent {
        Extent::Brief => (Duration::from_millis(500), Duration::from_secs(2)),
        Extent::Whole => (dice.ms(1_000..3_000), NO_ROOM),
    };
    stage.machines().for_each(|machine| machine.leave_room(Room::NoGrowth));
    sleep(some).await;
    stage.machines().for_each(|machine| machine.leave_room(Room::None));
    sleep(none).await;
    stage.is_one_unready().await
}

async fn slow_down_disk(stage: &mut Stage, shape: Shape, dice: &mut Dice) -> Vec<Slow> {
    let mut slow = Vec::new();
    for longest in [60, 250, 1_500] {
        stage.machines().for_each(|machine| machine.sync_takes(dice.ms(longest / 3..longest)));
        let sync = dice.ms(longest / 3..longest);
        stage.machine_of_pushes(shape).sync_takes(sync);
        let from = Instant::now();
        sleep(STEP).await;
        slow.push(Slow { from, until: Instant::now(), sync });
    }
    slow
}

/// What of it cannot be seen.
async fn set_clocks(fault: Fault, stage: &mut Stage, dice: &mut Dice) -> Vec<String> {
    let victim = dice.index(stage.gateways.len());
    let hours = [dice.of(1..7), dice.of(1..7)].map(|hours| hours as i64 * HOUR_S);
    let mut unseen = Vec::new();
    for off in [hours[0], -hours[1], 0] {
        let is_hit = |number: usize| fault == Fault::ClockOfAll || number == victim;
        let hit = stage.machines().enumerate().filter(|(number, _)| is_hit(*number));
        hit.for_each(|(_, machine)| machine.set_clock(off));
        sleep(STEP).await;
        for number in (0..stage.gateways.len()).filter(|number| is_hit(*number)) {
            if !stage.clock_is_off(number, off).await {
                unseen.push(format!("the clock of gateway {number} is not off by {off} s"));
            }
        }
    }
    unseen
}
