//! The demo: Okta, upstream and gateway on loopback with the repository's own `config.toml`, and a company to play with;
//! or, with `--check`, the whole walk played by a program. How parts are started is the harness's business.

pub mod check;
mod guide;
mod plan;
mod stage;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

pub use plan::{Plan, PlanError};
pub use stage::{Stage, StageError};

use crate::harness::binary;
use crate::upstream::Keep;

const USAGE: &str = "usage: demo [--check]\n\n\
    Without arguments the demo runs on the addresses of config.toml until Ctrl-C.\n\
    --check   plays the whole walk on free ports, prints each step, and fails when one is wrong";

/// The program: what `cargo xtask demo` runs.
pub async fn run(arguments: &[String]) -> ExitCode {
    let checking = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let played = async { if checking { Box::pin(play()).await } else { Box::pin(show()).await } };
    tokio::select! {
        code = played => code,
        // Leaving this function drops the stage, which stops what was started.
        () = asked_to_stop() => {
            println!("\nstopped");
            if checking { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

async fn play() -> ExitCode {
    let stage = match stage("check", Plan::moved, Keep::Times).await {
        Ok(stage) => stage,
        Err(error) => return refused(&error),
    };
    println!("playing the whole walk on {}\n", stage.plan.application_url());
    if check::play(&stage.scene()).await.is_perfect() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn show() -> ExitCode {
    let mut stage = match stage("", |plan| plan, Keep::Nothing).await {
        Ok(stage) => stage,
        Err(error) => return refused(&error),
    };
    println!("{}", guide::text(&stage));
    while stage.gateway.is_running() {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    eprintln!("the gateway has stopped by itself; its last words:");
    let lines = [stage.gateway.log().lines(), stage.gateway.errors().lines()].concat();
    lines.iter().rev().take(20).rev().for_each(|line| eprintln!("{line}"));
    ExitCode::FAILURE
}

async fn stage(folder: &str, change: fn(Plan) -> Plan, keep: Keep) -> Result<Stage, StageError> {
    let root = binary::repository();
    let plan = Plan::read(&root.join("config.toml")).map(change)?;
    let stage = Box::pin(Stage::set(plan, &root.join("target/demo").join(folder), keep)).await?;
    guide::write_json(&stage).map_err(StageError::Write)?;
    Ok(stage)
}

fn refused(error: &StageError) -> ExitCode {
    eprintln!("the demo cannot start: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        eprintln!("  because: {inner}");
        cause = inner.source();
    }
    ExitCode::FAILURE
}

async fn asked_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
