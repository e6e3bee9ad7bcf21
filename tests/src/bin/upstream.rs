//! The upstream as a program: `upstream [ADDRESS]`, by default 127.0.0.1:8081. It serves until it is stopped.
#![allow(missing_docs, reason = "a program has no callers")]

use std::net::SocketAddr;
use std::process::ExitCode;

use portcullis_tests::upstream::{Keep, Upstream, UpstreamConfig};

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let Ok(listen) = address.parse::<SocketAddr>() else {
        eprintln!("upstream: `{address}` is no address; expected something like 127.0.0.1:8081");
        return ExitCode::from(2);
    };
    match Upstream::start(UpstreamConfig { listen, keep: Keep::Nothing }).await {
        Ok(upstream) => {
            println!("upstream listens on {}", upstream.url());
            let _ = tokio::signal::ctrl_c().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("upstream: cannot listen on {listen}: {error}");
            ExitCode::FAILURE
        }
    }
}
