//! `[log]`: what is told to operators, and where.

use std::path::{Path, PathBuf};

use super::document::{Section, Value};

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Where they go.
    pub output: LogOutput,
    /// What is told of the program's own doings. Decisions are told at every level.
    pub level: LogLevel,
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
    section.finish();
    Some(Log {
        format: format.unwrap_or_else(|| Some(LogFormat::default()))?,
        output: output.unwrap_or_else(|| Some(LogOutput::default()))?,
        level: level.unwrap_or_else(|| Some(LogLevel::default()))?,
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
