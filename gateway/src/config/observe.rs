//! `[log]` and `[telemetry]`: what is told to operators, and where.

use std::path::{Path, PathBuf};

use url::Url;

use super::decisions::{self, Decisions};
use super::document::{Section, Value};
use super::provider::is_loopback;

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Where they go.
    pub output: LogOutput,
    /// What is told of the program's own doings. Decisions are told at every level.
    pub level: LogLevel,
    /// `[log.decisions]`: where they are recorded beside, if they are.
    pub decisions: Option<Decisions>,
}

/// `[telemetry]`: spans of requests, for a build with the feature `otel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Where spans go, by OTLP over HTTP: the whole address, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
    /// One request in so many is recorded.
    pub sample_one_in: u64,
    /// What the collector knows this program as.
    pub service_name: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person's eyes.
    Text,
}

/// Where log lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Whoever started the program takes them.
    #[default]
    StandardOutput,
    /// The end of a file, which is opened anew on SIGHUP.
    File(PathBuf),
}

/// The least important lines that are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What somebody must mend.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
}

pub(super) fn read_log(root: &mut Section<'_, '_>, folder: &Path) -> Option<Log> {
    let Some(value) = root.optional("log") else { return Some(Log::default()) };
    let mut section = value.section()?;
    let format = section
        .optional("format")
        .map(|value| one_of(&value, &[("json", LogFormat::Json), ("text", LogFormat::Text)]));
    let output = section.optional("output").map(|value| read_output(&value, folder));
    let level = section.optional("level").map(|value| {
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
        ];
        one_of(&value, &levels)
    });
    let decisions = decisions::read(&mut section, folder);
    section.finish();
    Some(Log {
        format: format.unwrap_or_else(|| Some(LogFormat::default()))?,
        output: output.unwrap_or_else(|| Some(LogOutput::default()))?,
        level: level.unwrap_or_else(|| Some(LogLevel::default()))?,
        decisions: decisions?,
    })
}

/// The file itself is opened at start, when the program is who it will be.
fn read_output(value: &Value<'_, '_>, folder: &Path) -> Option<LogOutput> {
    match value.string()? {
        "stdout" => Some(LogOutput::StandardOutput),
        "" => {
            value.fault("must be \"stdout\" or a file");
            None
        }
        file => Some(LogOutput::File(folder.join(file))),
    }
}

/// One of some words, or a fault that names them.
fn one_of<T: Copy>(value: &Value<'_, '_>, words: &[(&str, T)]) -> Option<T> {
    let text = value.string()?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        value.fault(format!("must be {}", known.join(" or ")));
    }
    found
}

/// The telemetry that is wanted; the outer none is a fault.
pub(super) fn read_telemetry(root: &mut Section<'_, '_>) -> Option<Option<Telemetry>> {
    let Some(value) = root.optional("telemetry") else { return Some(None) };
    if !cfg!(feature = "otel") {
        value.fault("this program was built without telemetry: build it with the feature `otel`");
        return None;
    }
    let mut section = value.section()?;
    let endpoint = section
        .required("endpoint", "where spans go, such as \"http://127.0.0.1:4318/v1/traces\"")
        .and_then(|value| read_endpoint(&value));
    let sample_one_in = section.optional("sample_one_in").map(|value| value.number(1..=1_000_000));
    let service_name = section.optional("service_name").map(|value| value.string().map(str::to_owned));
    section.finish();
    Some(Some(Telemetry {
        endpoint: endpoint?,
        sample_one_in: sample_one_in.unwrap_or(Some(1))?,
        service_name: service_name.unwrap_or_else(|| Some("portcullis".to_owned()))?,
    }))
}

/// Spans tell who opens which page from where: they leave the machine by https alone.
fn read_endpoint(value: &Value<'_, '_>) -> Option<String> {
    let url: Url = value.parsed()?;
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
        return Some(url.into());
    }
    value.fault("must be https; plain http is accepted for a loopback address only");
    None
}
