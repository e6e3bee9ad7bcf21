//! The whole walk, played step by step against running parts, with the time of each step. The steps are in `check/steps`.

mod steps;

use std::future::Future;
use std::time::{Duration, Instant};

use crate::harness::Scene;

use steps::Walk;

/// No step takes longer; a stuck one is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a step says when it is wrong.
pub type Outcome = Result<(), String>;

/// Plays everything and prints each step.
pub async fn play(scene: &Scene<'_>) -> Score {
    let mut walk = Walk::new(scene);
    let mut score = Score::default();
    score.step("without a session a page leads to Okta's login", walk.stranger_is_sent_to_log_in()).await;
    score.step("without a session a script gets 401 and no redirect", walk.script_is_told()).await;
    score.step("an engineer logs in and the wiki shows who it is", walk.engineer_reads()).await;
    score.step("the gateway tells the engineer's identity and groups", walk.identity_is_told()).await;
    score.step("a designer is refused by policy, with a page", walk.is_denied("designer@corp.example")).await;
    score.step("a contractor in Engineering is excluded", walk.is_denied("contractor@corp.example")).await;
    score.step("a person in 250 groups logs in", walk.collector_reads()).await;
    score.step("the WebSocket clock and the event stream run", walk.streams_run()).await;
    score
        .step("leaving the group denies the next request; joining again allows it", walk.group_decides())
        .await;
    score.step("deactivation cuts WebSocket and event stream", walk.deactivation_cuts()).await;
    score.step("after the 2xx the upstream saw no byte of the person", walk.nothing_came_after()).await;
    score.step("the next request of the deactivated person is refused", walk.next_request_is_refused()).await;
    score.step("a new login is refused with a page", walk.login_is_refused()).await;
    score.step("a login that only the directory forbids is refused, too", walk.directory_refuses()).await;
    score.step("reactivation lets in again", walk.reactivated_reads()).await;
    score.step("logout ends the session", walk.logout_ends()).await;
    println!("\n{} steps ok, {} WRONG", score.right, score.wrong);
    score
}

/// How many steps were as promised, and how many were not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// As promised.
    pub right: u32,
    /// Not.
    pub wrong: u32,
}

impl Score {
    /// Whether there were steps and all were right.
    #[must_use]
    pub fn is_perfect(self) -> bool {
        self.wrong == 0 && self.right > 0
    }

    async fn step(&mut self, name: &str, step: impl Future<Output = Outcome>) {
        let begun = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, Box::pin(step)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("not done within {PATIENCE:?}")));
        let took = begun.elapsed().as_millis();
        match outcome {
            Ok(()) => {
                self.right += 1;
                println!("{took:>6} ms  ok     {name}");
            }
            Err(why) => {
                self.wrong += 1;
                println!(
                    "{took:>6} ms  WRONG  {name}\n{:>18}{}",
                    "",
                    why.replace('\n', "\n                  ")
                );
            }
        }
    }
}
