//! The benchmarks as a program: `cargo xtask bench` builds it, pins it to the second core and starts it.
#![allow(missing_docs, reason = "a program has no callers")]

use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_tests::bench::{Extent, Plan, Row, run};
use portcullis_tests::harness::binary;

/// What is measured, from the words of the command line.
fn plan(words: impl Iterator<Item = String>) -> Result<Plan, String> {
    let built = binary::profile_folder();
    let target = built.parent().ok_or("this program lies in no target folder")?;
    let mut plan = Plan {
        portcullis: built.join("portcullis"),
        before: None,
        floor: built.join("floor"),
        folder: target.join("bench"),
        extent: Extent::Full,
        rows: Vec::new(),
        contestants: Vec::new(),
    };
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => plan.extent = Extent::Quick,
            "--portcullis" => plan.portcullis = words.next().map(PathBuf::from).ok_or("which program?")?,
            "--before" => plan.before = Some(words.next().map(PathBuf::from).ok_or("which program?")?),
            "--against" => plan.contestants.push(words.next().ok_or("against whom?")?),
            name => plan.rows.push(Row::named(name).ok_or_else(|| format!("`{name}` is no row"))?),
        }
    }
    if plan.rows.is_empty() {
        plan.rows = Row::ALL.to_vec();
    }
    Ok(plan)
}

fn main() -> ExitCode {
    let measured = plan(std::env::args().skip(1)).and_then(|plan| Ok((run(&plan)?, plan)));
    match measured {
        Ok((report, plan)) => {
            println!("\n{}", report.table());
            if let Err(error) = report.write(&plan.folder) {
                eprintln!("bench: the figures cannot be written: {error}");
                return ExitCode::FAILURE;
            }
            println!("Written to {}", plan.folder.display());
            ExitCode::SUCCESS
        }
        Err(cause) => {
            eprintln!("bench: {cause}");
            ExitCode::FAILURE
        }
    }
}
