//! `policy_files`: policies in files of their own, since those who write them are often not those who run the gateway. Which files there
//! are, by name or by pattern, and their text; what stands in them is read by `policy`.

use std::io;
use std::path::{Path, PathBuf};

use super::super::document::{Section, Value};

/// More than anybody can keep in mind, and little to read at a reload.
pub(super) const MAX_POLICY_FILES: usize = 256;
/// A file of thousands of policies.
pub(super) const MAX_POLICY_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// What the configuration calls the files of policies: paths, with one `*` in the last part at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyFiles(Vec<PathBuf>);

impl PolicyFiles {
    /// The files that are meant at this moment: one more in a folder is a change of the configuration.
    pub(crate) fn found(&self) -> Vec<PathBuf> {
        self.0.iter().flat_map(|pattern| matching(pattern).unwrap_or_default()).collect()
    }
}

/// What was found.
pub(super) struct ReadFiles {
    pub(super) files: PolicyFiles,
    pub(super) texts: Vec<(PathBuf, String)>,
    /// False when one could not be read.
    pub(super) whole: bool,
}

pub(super) fn read(root: &mut Section<'_, '_>, folder: &Path) -> ReadFiles {
    let mut read = ReadFiles { files: PolicyFiles::default(), texts: Vec::new(), whole: true };
    let named = root.optional("policy_files").map_or_else(Vec::new, |value| value.one_or_list());
    for value in &named {
        let Some(pattern) = value.string().map(|text| folder.join(text)) else {
            read.whole = false;
            continue;
        };
        let found = matching(&pattern).and_then(|found| match found.len() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "no file has a name like this")),
            _ => Ok(found),
        });
        read.files.0.push(pattern);
        match found {
            Ok(found) => found.into_iter().for_each(|file| read.take(value, file)),
            Err(error) => read.fails(value, error.to_string()),
        }
    }
    read
}

impl ReadFiles {
    fn take(&mut self, value: &Value<'_, '_>, file: PathBuf) {
        value.names_file(&file);
        if self.texts.iter().any(|(known, _)| *known == file) {
            return self.fails(value, format!("names `{}` a second time", file.display()));
        }
        if self.texts.len() >= MAX_POLICY_FILES {
            return self.fails(value, format!("names more than {MAX_POLICY_FILES} files"));
        }
        match text(&file) {
            Ok(text) => self.texts.push((file, text)),
            Err(error) => self.fails(value, format!("cannot read `{}`: {error}", file.display())),
        }
    }

    fn fails(&mut self, value: &Value<'_, '_>, why: String) {
        value.fault(why);
        self.whole = false;
    }
}

fn text(file: &Path) -> io::Result<String> {
    if std::fs::metadata(file)?.len() > MAX_POLICY_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_POLICY_FILE_BYTES} bytes")));
    }
    std::fs::read_to_string(file)
}

/// The files of a pattern, by name. A name without `*` is itself, also when there is no such file.
fn matching(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else { return Ok(vec![pattern.to_owned()]) };
    let folder = pattern.parent().unwrap_or(Path::new("."));
    let is_meant = |name: &str| {
        // What an editor or a package manager leaves lying about begins with a dot.
        let long_enough = name.len() >= before.len() + after.len() && !name.starts_with('.');
        long_enough && name.starts_with(before) && name.ends_with(after)
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_meant) {
            found.push(folder.join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}
