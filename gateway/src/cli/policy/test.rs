//! `portcullis policy test`: cases from files, each decided as the gateway would, and what differs from what was expected.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use portcullis_policy::Explanation;
use serde_json::{Value, json};

use super::asked::Request;
use super::directory::Directory;
use super::judge::Judge;
use super::persona::{Asker, Persona};
use super::{StoreFile, count, say, trace};
use crate::config::{Case, CaseFile, Expected, Who};

#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// Files with cases
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration for files that name none
    #[arg(long, short = 'c', value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    #[command(flatten)]
    store: StoreFile,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// A configuration, and its directory once a case asks for somebody real.
pub(super) struct Bench {
    pub(super) judge: Judge,
    directory: Option<Directory>,
    store: StoreFile,
}

/// What became of a case.
struct Ran<'a> {
    file: &'a Path,
    case: &'a Case,
    /// What was wrong, if anything was.
    failure: Option<String>,
    got: Value,
}

pub(in crate::cli) fn run(test: &Test) -> Result<(), Box<dyn Error>> {
    // Every file is read before the first case is run, so that a fault in the last does not come after all others.
    let read = |file: &PathBuf| Ok((file.clone(), CaseFile::load(file)?));
    let files: Vec<(PathBuf, CaseFile)> =
        test.files.iter().map(read).collect::<Result<_, Box<dyn Error>>>()?;
    let mut benches: HashMap<PathBuf, Bench> = HashMap::new();
    let mut ran = Vec::new();
    for (file, cases) in &files {
        let config = cases.config.clone().unwrap_or_else(|| test.config.clone());
        if !benches.contains_key(&config) {
            benches.insert(config.clone(), Bench::new(Judge::load(&config)?, &test.store));
        }
        let Some(bench) = benches.get_mut(&config) else { continue };
        ran.extend(cases.cases.iter().map(|case| try_case(bench, file, case)));
    }
    let failed = ran.iter().filter(|ran| ran.failure.is_some()).count();
    if test.json {
        say(&serde_json::to_string_pretty(&as_json(&ran))?)?;
    } else {
        for ran in ran.iter().filter(|ran| ran.failure.is_some()) {
            let failure = ran.failure.as_deref().unwrap_or_default();
            say(&format!("FAILED {}:{} {}\n{failure}", ran.file.display(), ran.case.line, ran.case.name))?;
        }
        let files = count(files.len(), "file", "files");
        say(&format!(
            "{} of {files}: {} as expected, {failed} not",
            count(ran.len(), "case", "cases"),
            ran.len() - failed
        ))?;
    }
    if failed > 0 {
        let verb = if failed == 1 { "does not go" } else { "do not go" };
        return Err(format!("{} {verb} as expected", count(failed, "case", "cases")).into());
    }
    Ok(())
}

fn as_json(ran: &[Ran<'_>]) -> Value {
    let case = |ran: &Ran<'_>| {
        json!({
            "file": ran.file.display().to_string(),
            "line": ran.case.line,
            "case": ran.case.name,
            "passed": ran.failure.is_none(),
            "got": ran.got,
            "failure": ran.failure,
        })
    };
    ran.iter().map(case).collect()
}

fn try_case<'a>(bench: &mut Bench, file: &'a Path, case: &'a Case) -> Ran<'a> {
    match bench.ask(case) {
        Ok((asker, explanation)) => {
            let got = trace::json(&bench.judge, &explanation, &asker);
            Ran { file, case, failure: difference(&bench.judge, &case.expected, &explanation, &asker), got }
        }
        Err(error) => Ran {
            file,
            case,
            failure: Some(format!("    it could not be asked: {error}\n")),
            got: Value::Null,
        },
    }
}

impl Bench {
    pub(super) fn new(judge: Judge, store: &StoreFile) -> Self {
        Self { judge, directory: None, store: store.clone() }
    }

    /// Asks what a case asks.
    fn ask(&mut self, case: &Case) -> Result<(Asker, Explanation), Box<dyn Error>> {
        let (asker, request) = self.asked(case)?;
        let explanation = self.judge.explain(&asker, &request).ok_or("the application is unknown")?;
        Ok((asker, explanation))
    }

    /// Who asks for what in a case.
    pub(super) fn asked(&mut self, case: &Case) -> Result<(Asker, Request), Box<dyn Error>> {
        let request = Request::of_case(&case.request, &self.judge)?;
        let mut asker = match &case.who {
            Who::Nobody => Asker::Nobody,
            Who::Service(token) => Asker::Service(token.clone()),
            Who::Invented(told) => {
                Asker::Person(Box::new(Persona::invented(told, &self.judge.config, request.at.now)))
            }
            Who::Real(text) => Asker::Person(Box::new(self.persona_called(text)?)),
        };
        if let Some(persona) = asker.persona_mut() {
            persona.purposes.extend(case.request.purpose.then(|| request.application.clone()));
            let granted = case.request.granted.iter();
            persona
                .grants
                .extend(granted.map(|policy| (request.application.clone(), policy.clone(), i64::MAX)));
        }
        Ok((asker, request))
    }

    /// Somebody of the directory.
    pub(super) fn persona_called(&mut self, text: &str) -> Result<Persona, Box<dyn Error>> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => Directory::open(&self.store, &self.judge.config)?,
        };
        let directory = self.directory.insert(directory);
        let person = directory.person_called(text)?;
        Ok(directory.persona(&person, &self.judge.config))
    }
}

/// What differs, line by line, with how it came about; none when all is as expected.
fn difference(
    judge: &Judge,
    expected: &Expected,
    explanation: &Explanation,
    asker: &Asker,
) -> Option<String> {
    let decision = &explanation.decision;
    let got_policy = judge.policy_of(decision).unwrap_or_default();
    let got_rule = decision.rule.map(|rule| rule.to_string()).unwrap_or_default();
    let compared = [
        ("verdict", Some(expected.verdict.as_str()), decision.verdict.as_str()),
        ("reason", expected.reason.as_deref(), decision.reason.as_str()),
        ("policy", expected.policy.as_deref(), got_policy),
        ("rule", expected.rule.as_deref(), &got_rule),
    ];
    if compared.iter().all(|(_, wanted, got)| wanted.is_none_or(|wanted| wanted == *got)) {
        return None;
    }
    let mut text = String::new();
    let shown = |text: &str| if text.is_empty() { "(none)".to_owned() } else { text.to_owned() };
    for (key, wanted, got) in compared {
        let _ = match wanted {
            Some(wanted) if wanted != got => {
                writeln!(text, "  - {key}: {}\n  + {key}: {}", shown(wanted), shown(got))
            }
            _ => writeln!(text, "    {key}: {}", shown(got)),
        };
    }
    let _ = writeln!(text, "  how it came about:");
    text.push_str(&trace::short(explanation, asker));
    Some(text)
}
