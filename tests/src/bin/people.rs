//! The directory of a million people as a program: `cargo xtask bench people` builds and starts it.
#![allow(missing_docs, reason = "a program has no callers")]

use std::process::ExitCode;

use portcullis_tests::harness::binary;
use portcullis_tests::people::{Figures, Size, run};

const PEOPLE: usize = 1_000_000;

fn measured() -> Result<Figures, String> {
    let people = match std::env::args().nth(1) {
        Some(count) => count.parse().map_err(|_| format!("`{count}` is no number of people"))?,
        None => PEOPLE,
    };
    let built = binary::profile_folder();
    let folder = built.parent().ok_or("this program lies in no target folder")?.join("bench");
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(run(Size::of(people), folder))
}

fn main() -> ExitCode {
    match measured() {
        Ok(figures) => {
            println!("\n{}", figures.table());
            match figures.write() {
                Ok(folder) => println!("Written to {}", folder.display()),
                Err(error) => {
                    eprintln!("people: the figures cannot be written: {error}");
                    return ExitCode::FAILURE;
                }
            }
            ExitCode::SUCCESS
        }
        Err(cause) => {
            eprintln!("people: {cause}");
            ExitCode::FAILURE
        }
    }
}
