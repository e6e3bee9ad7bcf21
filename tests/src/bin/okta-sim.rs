//! The Okta simulator as a program: `okta-sim --port N --company FILE.json`. Everything it does is in the library.

use std::error::Error;
use std::process::ExitCode;

use portcullis_tests::okta::{AuthServer, Company, OktaConfig, OktaSim};

const USAGE: &str = "\
Usage: okta-sim [--port N] [--company FILE.json] [--print-company]

  --port N             listen on 127.0.0.1:N (default 8090; 0 takes a free port)
  --company FILE.json  people, groups, clients, tokens (default: the demo's company)
  --print-company      print the demo's company as JSON, to start a file from, and end
";

/// What the command line asks for.
enum Wish {
    Serve(Box<OktaConfig>),
    Print(String),
}

fn read_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Wish, Box<dyn Error>> {
    let mut port = 8090;
    let mut company = None;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--port" => port = value()?.parse::<u16>().map_err(|error| format!("--port: {error}"))?,
            "--company" => company = Some(read_company(&value()?)?),
            "--print-company" => return Ok(Wish::Print(serde_json::to_string_pretty(&Company::demo())?)),
            "--help" | "-h" => return Ok(Wish::Print(USAGE.to_owned())),
            other => return Err(format!("unknown argument `{other}`\n\n{USAGE}").into()),
        }
    }
    let company = company.unwrap_or_else(Company::demo);
    Ok(Wish::Serve(Box::new(OktaConfig { port, ..OktaConfig::new(company) })))
}

fn read_company(path: &str) -> Result<Company, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("company `{path}`: {error}").into())
}

async fn serve(config: OktaConfig) -> Result<(), Box<dyn Error>> {
    let people = config.company.people.clone();
    let okta = OktaSim::start(config).await?;
    println!("issuer (org)      {}", okta.issuer());
    println!("issuer (default)  {}", okta.issuer_of(AuthServer::Default));
    println!("admin page        {}/admin", okta.base_url());
    println!("admin API         {}/admin/api/state", okta.base_url());
    for person in people {
        println!("person            {}  password: {}", person.login, person.password);
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match read_arguments(std::env::args().skip(1)) {
        Ok(Wish::Print(text)) => {
            println!("{text}");
            Ok(())
        }
        Ok(Wish::Serve(config)) => serve(*config).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            eprintln!("okta-sim: {text}");
            ExitCode::FAILURE
        }
    }
}
