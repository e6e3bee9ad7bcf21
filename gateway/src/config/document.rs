//! A TOML document that is read key by key and remembers every fault with its line, so that an operator sees all of them at
//! once. What the keys mean is left to the sections beside this file.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file that it stands in; none for the configuration file itself.
    pub file: Option<PathBuf>,
    /// Line in the file, from 1.
    pub line: usize,
    /// Dotted path of the key, such as `server.listen`; empty when the file is not TOML at all.
    pub key: String,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "line {}: {}", self.line, self.text)
        } else {
            write!(f, "line {}: `{}`: {}", self.line, self.key, self.text)
        }
    }
}

/// Collects faults while a document is read.
pub(super) struct Faults<'s> {
    source: &'s str,
    list: RefCell<Vec<Fault>>,
    files: RefCell<Vec<PathBuf>>,
    /// Those of documents that this one names.
    of_others: RefCell<Vec<Fault>>,
}

impl<'s> Faults<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, list: RefCell::default(), files: RefCell::default(), of_others: RefCell::default() }
    }

    pub(super) fn add(&self, span: &Range<usize>, key: &str, text: impl Into<String>) {
        let fault = Fault { file: None, line: self.line(span), key: key.to_owned(), text: text.into() };
        let mut list = self.list.borrow_mut();
        if !list.contains(&fault) {
            list.push(fault);
        }
    }

    /// The line in which something begins, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.source.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// Takes over what is wrong with a document that this one names.
    pub(super) fn adopt(&self, file: &Path, others: Faults<'_>) {
        let named = |fault| Fault { file: Some(file.to_owned()), ..fault };
        self.of_others.borrow_mut().extend(others.into_sorted().into_iter().map(named));
    }

    /// The files that the document names, and that were read or will be.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().clone()
    }

    pub(super) fn into_sorted(self) -> Vec<Fault> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|fault| fault.line);
        list.extend(self.of_others.into_inner());
        list
    }
}

/// Parses the text; a document that is not TOML yields its faults and whatever could be read.
pub(super) fn parse<'s>(faults: &Faults<'s>) -> Spanned<DeTable<'s>> {
    let (table, errors) = DeTable::parse_recoverable(faults.source);
    for error in errors {
        faults.add(&error.span().unwrap_or(0..0), "", error.message());
    }
    table
}

/// A table being read. Every key that nobody asked for is a fault when the section is finished.
pub(super) struct Section<'a, 's> {
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'s>,
    asked: Vec<&'static str>,
    faults: &'a Faults<'s>,
}

impl<'a, 's> Section<'a, 's> {
    pub(super) fn root(table: &'a Spanned<DeTable<'s>>, faults: &'a Faults<'s>) -> Self {
        Self { path: String::new(), span: 0..0, table: table.get_ref(), asked: Vec::new(), faults }
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of an optional key.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Value<'a, 's>> {
        self.asked.push(key);
        let node = self.table.get(key)?;
        Some(Value { path: self.key_path(key), node, faults: self.faults })
    }

    /// The value of a key that must be there; its absence is a fault that says `what` it is for.
    pub(super) fn required(&mut self, key: &'static str, what: &str) -> Option<Value<'a, 's>> {
        let value = self.optional(key);
        if value.is_none() {
            self.fault(format!("`{key}` is missing: {what}"));
        }
        value
    }

    /// The sections of an array of tables such as `[[application]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'a, 's>> {
        let Some(value) = self.optional(key) else { return Vec::new() };
        value.list().into_iter().filter_map(|item| item.section()).collect()
    }

    /// A fault of the section as a whole.
    pub(super) fn fault(&self, text: impl Into<String>) {
        self.faults.add(&self.span, &self.path, text);
    }

    /// Where the section begins, for faults that are found after the whole file was read.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Every key with its value, for a table whose keys are chosen by whoever writes it.
    pub(super) fn entries(self) -> Vec<(&'a str, Value<'a, 's>)> {
        let entry = |(key, node): (&'a Spanned<std::borrow::Cow<'s, str>>, &'a Spanned<DeValue<'s>>)| {
            let name: &str = key.get_ref();
            (name, Value { path: self.key_path(name), node, faults: self.faults })
        };
        self.table.iter().map(entry).collect()
    }

    /// Whether some key was not asked for yet.
    pub(super) fn has_unknown_keys(&self) -> bool {
        self.table.iter().any(|(key, _)| !self.asked.contains(&key.get_ref().as_ref()))
    }

    /// Names every key that was never asked for, with the nearest known one.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = match nearest(name, &self.asked) {
                Some(known) => format!("unknown key; did you mean `{known}`?"),
                None => format!("unknown key; known here: {}", self.asked.join(", ")),
            };
            self.faults.add(&key.span(), &self.key_path(name), hint);
        }
    }
}

/// A value being read.
#[derive(Clone)]
pub(super) struct Value<'a, 's> {
    path: String,
    node: &'a Spanned<DeValue<'s>>,
    faults: &'a Faults<'s>,
}

impl<'a, 's> Value<'a, 's> {
    pub(super) fn fault(&self, text: impl Into<String>) {
        self.faults.add(&self.node.span(), &self.path, text);
    }

    /// Notes that a file belongs to the configuration: when it changes, so does what is configured.
    pub(super) fn names_file(&self, path: &Path) {
        self.faults.files.borrow_mut().push(path.to_owned());
    }

    /// Where it begins, for faults that are found after the whole file was read.
    pub(super) fn span(&self) -> Range<usize> {
        self.node.span()
    }

    fn wrong_type(&self, wanted: &str) {
        self.fault(format!("is a {}, must be {wanted}", self.node.get_ref().type_str()));
    }

    pub(super) fn string(&self) -> Option<&'a str> {
        let text = self.node.get_ref().as_str();
        if text.is_none() {
            self.wrong_type("a string");
        }
        text
    }

    pub(super) fn is_string(&self) -> bool {
        self.node.get_ref().is_str()
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(|item| item.string().map(str::to_owned)).collect()
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let value = self.node.get_ref().as_bool();
        if value.is_none() {
            self.wrong_type("true or false");
        }
        value
    }

    /// A whole number within `range`.
    pub(super) fn number(&self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let Some(integer) = self.node.get_ref().as_integer() else {
            self.wrong_type("a whole number");
            return None;
        };
        let parsed = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let within = parsed.filter(|number| range.contains(number));
        if within.is_none() {
            self.fault(format!("must be from {} to {}", range.start(), range.end()));
        }
        within
    }

    /// A string parsed as `T`; the parser's own words become the fault.
    pub(super) fn parsed<T>(&self) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.string()?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(format!("`{text}`: {error}"));
                None
            }
        }
    }

    /// A string parsed as `T`, whose errors name what they found.
    pub(super) fn parsed_as_told<T>(&self) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let parsed = self.string()?.parse();
        parsed.map_err(|error: T::Err| self.fault(error.to_string())).ok()
    }

    /// A span of time such as `"90s"`, `"15m"`, `"24h"` or `"7d"`.
    pub(super) fn duration(&self) -> Option<Duration> {
        let text = self.string()?;
        let parsed = parse_duration(text);
        if parsed.is_none() {
            self.fault(format!("`{text}` is no duration: write a number and s, m, h or d, such as \"15m\""));
        }
        parsed
    }

    /// The items of a list.
    pub(super) fn list(&self) -> Vec<Value<'a, 's>> {
        let Some(array) = self.node.get_ref().as_array() else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let item =
            |node: &'a Spanned<DeValue<'s>>| Value { path: self.path.clone(), node, faults: self.faults };
        array.iter().map(item).collect()
    }

    pub(super) fn is_list(&self) -> bool {
        self.node.get_ref().is_array()
    }

    /// The items of a list, or the one value standing alone.
    pub(super) fn one_or_list(&self) -> Vec<Value<'a, 's>> {
        if self.is_list() { self.list() } else { vec![self.clone()] }
    }

    /// The value as JSON has it, whatever it is; times become texts.
    pub(super) fn json(&self) -> serde_json::Value {
        json(self.node.get_ref())
    }

    /// The table, when it is one.
    pub(super) fn table(&self) -> Option<Section<'a, 's>> {
        self.node.get_ref().as_table().and_then(|_| self.section())
    }

    pub(super) fn section(&self) -> Option<Section<'a, 's>> {
        self.section_or("must be a table")
    }

    /// The table, or a fault that says what should stand here.
    pub(super) fn section_or(&self, form: &str) -> Option<Section<'a, 's>> {
        let Some(table) = self.node.get_ref().as_table() else {
            self.fault(form);
            return None;
        };
        let (path, span) = (self.path.clone(), self.node.span());
        Some(Section { path, span, table, asked: Vec::new(), faults: self.faults })
    }
}

fn json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value as Json;
    let number = |text: &str| serde_json::from_str(text).unwrap_or(Json::Null);
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Json::Null, Json::from)
        }
        DeValue::Float(float) => number(float.as_str()),
        DeValue::Boolean(is_so) => Json::from(*is_so),
        DeValue::Datetime(at) => Json::from(at.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).filter(|total| *total > 0).map(Duration::from_secs)
}

/// The known key that differs from `name` by the fewest edits, when that is few enough to be a slip of the pen.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let scored = known.iter().map(|candidate| (edit_distance(name, candidate), *candidate));
    scored.filter(|(distance, _)| *distance <= 3).min().map(|(_, candidate)| candidate)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.chars()) {
            let substituted = diagonal + usize::from(left != right);
            diagonal = *cell;
            *cell = substituted.min(*cell + 1).min(previous + 1);
            previous = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_number_and_a_unit() {
        assert_eq!(parse_duration("24h"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(604_800)));
        for wrong in ["", "h", "0s", "10", "1.5h", "-1s", "99999999999999999999d", "1 h"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(nearest("lisen", &["listen", "auth_host"]), Some("listen"));
        assert_eq!(nearest("auth-host", &["listen", "auth_host"]), Some("auth_host"));
        assert_eq!(nearest("banana", &["listen", "auth_host"]), None);
    }
}
