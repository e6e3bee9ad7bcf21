//! `portcullis policy explain`: one request of one person, with every policy and every rule that was looked at.

use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::asked::{Moment, Request};
use super::judge::Judge;
use super::persona::{Asker, Persona};
use super::test::Bench;
use super::{Around, LoggedIn, StoreFile, say, trace};
use crate::cli::{ConfigFile, date};
use crate::config::{CaseFile, Invented};

#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    store: StoreFile,
    #[command(flatten)]
    who: WhoFlags,
    /// The address that is asked for
    #[arg(long, required_unless_present = "case")]
    url: Option<String>,
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    login: LoggedIn,
    /// The application was asked for with a purpose
    #[arg(long)]
    purpose: bool,
    /// A policy that somebody has granted; can be given several times
    #[arg(long, value_name = "POLICY")]
    granted: Vec<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Who asks, by exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct WhoFlags {
    /// Somebody of the directory: userName, e-mail address, externalId or id
    #[arg(long, conflicts_with_all = ["email", "group", "provider", "service", "nobody", "case"])]
    person: Option<String>,
    /// Somebody invented, by verified e-mail address
    #[arg(long, conflicts_with_all = ["service", "nobody", "case"])]
    email: Option<String>,
    /// A group of somebody invented; can be given several times
    #[arg(long, conflicts_with_all = ["service", "nobody", "case"])]
    group: Vec<String>,
    /// The identity provider of somebody invented
    #[arg(long, conflicts_with_all = ["service", "nobody", "case"])]
    provider: Option<String>,
    /// A service, by the name of its token
    #[arg(long, conflicts_with_all = ["nobody", "case"])]
    service: Option<String>,
    /// Nobody who is known
    #[arg(long, conflicts_with = "case")]
    nobody: bool,
    /// A file of cases, of which all are explained, or those that --name names
    #[arg(long, value_name = "FILE")]
    case: Option<PathBuf>,
    /// The name of a case
    #[arg(long, requires = "case")]
    name: Option<String>,
}

pub(in crate::cli) fn run(explain: &Explain) -> Result<(), Box<dyn Error>> {
    if let Some(file) = &explain.who.case {
        return run_cases(explain, &CaseFile::load(file)?);
    }
    let mut bench = Bench::new(Judge::of(explain.config.load()?), &explain.store);
    let at = Moment::of_flags(&explain.around, &bench.judge);
    let url = explain.url.as_deref().unwrap_or_default();
    let request = Request::of_url(url, &explain.method, at, &bench.judge)?;
    let mut asker = explain.who.asker(&mut bench, request.at.now)?;
    if let Some(persona) = asker.persona_mut() {
        persona.logged_in(&explain.login, request.at.now);
        persona.purposes.extend(explain.purpose.then(|| request.application.clone()));
        let granted = explain.granted.iter();
        persona.grants.extend(granted.map(|policy| (request.application.clone(), policy.clone(), i64::MAX)));
    }
    show(&bench.judge, &asker, &request, explain.json)
}

fn run_cases(explain: &Explain, file: &CaseFile) -> Result<(), Box<dyn Error>> {
    let config = file.config.as_deref().unwrap_or(&explain.config.file);
    let mut bench = Bench::new(Judge::load(config)?, &explain.store);
    let wanted = |name: &str| explain.who.name.as_deref().is_none_or(|wanted| wanted == name);
    let mut cases = file.cases.iter().filter(|case| wanted(&case.name)).peekable();
    if cases.peek().is_none() {
        return Err("the file has no case of that name".into());
    }
    for (index, case) in cases.enumerate() {
        if index > 0 && !explain.json {
            say("")?;
        }
        let (asker, request) = bench.asked(case).map_err(|error| format!("case `{}`: {error}", case.name))?;
        if !explain.json {
            say(&format!("== {}", case.name))?;
        }
        show(&bench.judge, &asker, &request, explain.json)?;
    }
    Ok(())
}

impl WhoFlags {
    fn asker(&self, bench: &mut Bench, now: i64) -> Result<Asker, Box<dyn Error>> {
        Ok(match (&self.person, &self.service, self.nobody) {
            (Some(person), _, _) => Asker::Person(Box::new(bench.persona_called(person)?)),
            (_, Some(token), _) => Asker::Service(token.clone()),
            (_, _, true) => Asker::Nobody,
            _ => {
                let told = Invented {
                    email: self.email.clone(),
                    groups: self.group.clone(),
                    provider: self.provider.clone(),
                    ..Invented::default()
                };
                Asker::Person(Box::new(Persona::invented(&told, &bench.judge.config, now)))
            }
        })
    }
}

fn show(judge: &Judge, asker: &Asker, request: &Request, as_json: bool) -> Result<(), Box<dyn Error>> {
    let explanation = judge.explain(asker, request).ok_or("the application is unknown")?;
    if as_json {
        let asked = json!({
            "who": asker.name(),
            "application": request.application,
            "host": request.host,
            "method": request.method,
            "path": request.path,
            "ip": request.at.ip,
            "country": request.at.country.map(|country| country.to_string()),
            "time": request.at.now,
        });
        let explained = trace::json(judge, &explanation, asker);
        return say(&serde_json::to_string_pretty(&json!({ "asked": asked, "decision": explained }))?);
    }
    let mut text = String::new();
    let Request { method, host, path, application, at, .. } = request;
    let country = at.country.map(|country| format!(" ({country})")).unwrap_or_default();
    let _ = writeln!(text, "{} asks: {method} https://{host}{path}", asker.name());
    let _ = writeln!(text, "application `{application}`, from {}{country}, at {}", at.ip, date(at.now));
    if let Some(persona) = asker.persona() {
        text.push_str(&described(persona));
    }
    let _ = writeln!(text, "\n{}\n", trace::headline(judge, &explanation.decision));
    text.push_str(&trace::long((judge, request), &explanation, asker));
    say(text.trim_end())
}

/// Who somebody is, as far as policies can ask.
fn described(persona: &Persona) -> String {
    let mut text = String::new();
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".to_owned());
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "  {key:<9} {value}");
    };
    line("provider", format!("{}, subject {}", or(&persona.provider), or(&persona.subject)));
    line("groups", if persona.groups.is_empty() { "none".to_owned() } else { persona.groups.join(", ") });
    if !persona.doubts.is_empty() {
        line("perhaps", persona.doubts.join(", "));
    }
    let login = &persona.login;
    let at = login.authenticated_at.map_or_else(|| "not known at what time".to_owned(), date);
    let acr = login.acr.as_deref().unwrap_or("not known");
    let amr = login.amr.as_ref().map_or_else(|| "not known".to_owned(), |methods| methods.join(", "));
    line("login", format!("{at}, acr {acr}, amr {amr}"));
    line(
        "record",
        if persona.user.is_some() { "in the directory" } else { "none in a directory" }.to_owned(),
    );
    for note in &persona.notes {
        line("note", note.clone());
    }
    text
}
