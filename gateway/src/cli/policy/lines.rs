//! In which file and line a policy, a rule or an application stands: for findings, which are made long after the files were read.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use portcullis_policy::{Place, Section};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::Config;

/// The files of a configuration, and what stands where in them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    main: PathBuf,
    /// By the name of the table (`policy`) and its own.
    stands: HashMap<(&'static str, String), Stand>,
}

#[derive(Debug)]
struct Stand {
    file: PathBuf,
    line: usize,
    /// The lines of rules by list.
    rules: HashMap<&'static str, Vec<usize>>,
}

const TABLES: [&str; 3] = ["policy", "rule_group", "application"];
const LISTS: [&str; 3] = ["include", "require", "exclude"];

impl Lines {
    /// Looks through the configuration and the files with tables that it names. What cannot be read any more has no lines.
    pub(super) fn of(config: &Config) -> Self {
        let mut lines = Self { main: config.file.clone(), ..Self::default() };
        let others = config.files.iter().filter(|file| file.extension().is_some_and(|it| it == "toml"));
        for file in [&config.file].into_iter().chain(others) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            lines.learn(file, &text);
        }
        lines
    }

    fn learn(&mut self, file: &Path, text: &str) {
        let (document, _) = DeTable::parse_recoverable(text);
        let line =
            |span: Range<usize>| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
        for table in TABLES {
            for entry in items(document.get_ref(), table) {
                let Some(fields) = entry.get_ref().as_table() else { continue };
                let Some(name) = fields.get("name").and_then(|name| name.get_ref().as_str()) else {
                    continue;
                };
                let rules = LISTS.map(|list| {
                    (list, items(fields, list).map(|it| line(it.span())).collect::<Vec<usize>>())
                });
                let stand = Stand { file: file.to_owned(), line: line(entry.span()), rules: rules.into() };
                self.stands.entry((table, name.to_owned())).or_insert(stand);
            }
        }
    }

    /// File and line of a place; line 0 where that is not known.
    pub(super) fn at(&self, place: &Place) -> (&Path, usize) {
        let (table, name, rule) = match place {
            Place::Policy { name, .. } => ("policy", name, None),
            Place::Rule { policy, section, rule, .. } => ("policy", policy, Some((*section, *rule))),
            Place::Approver { policy, .. } => ("policy", policy, None),
            Place::RuleGroup { name, .. } => ("rule_group", name, None),
            Place::GroupRule { rule_group, section, rule, .. } => {
                ("rule_group", rule_group, Some((*section, *rule)))
            }
            Place::Application { name, .. } => ("application", name, None),
            Place::ApplicationPolicy { application, .. } => ("application", application, None),
            _ => return (&self.main, 0),
        };
        let Some(stand) = self.stands.get(&(table, name.clone())) else { return (&self.main, 0) };
        let line = |(section, rule): (Section, usize)| stand.rules.get(section.as_str())?.get(rule).copied();
        (&stand.file, rule.and_then(line).unwrap_or(stand.line))
    }
}

fn items<'a, 's>(table: &'a DeTable<'s>, key: &str) -> impl Iterator<Item = &'a Spanned<DeValue<'s>>> {
    table.get(key).and_then(|value| value.get_ref().as_array()).into_iter().flat_map(|array| array.iter())
}
