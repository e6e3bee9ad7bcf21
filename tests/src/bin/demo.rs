//! The demo as a program; `cargo xtask demo` builds and runs it.
#![allow(missing_docs, reason = "a program has no callers")]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    portcullis_tests::demo::run(&arguments).await
}
