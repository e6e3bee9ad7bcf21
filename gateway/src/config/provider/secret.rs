//! A secret of the configuration: it stands in a file of its own or in the environment. What it opens is left to who asks.

use std::path::Path;

use portcullis_store::Secret;

use super::super::document::{Section, Value};

const FORM: &str = "write { env = \"NAME\" } or { file = \"path\" }: a secret does not stand in this file";

/// `{ env = "NAME" }` or `{ file = "path" }`; a secret never stands in the file itself.
pub(in super::super) fn read_secret(value: &Value<'_, '_>, folder: &Path) -> Option<Secret<String>> {
    let mut section = value.section_or(FORM)?;
    let secret = read_from(&mut section, value, folder);
    section.finish();
    secret
}

/// The secret of a table that has more keys than `env` and `file`, which were asked for before.
pub(super) fn read_from(
    section: &mut Section<'_, '_>,
    value: &Value<'_, '_>,
    folder: &Path,
) -> Option<Secret<String>> {
    let env = section.optional("env");
    let file = section.optional("file");
    // A key that is unknown here is a fault of its own, and most likely the one that is meant.
    if env.is_some() && file.is_some() || env.is_none() && file.is_none() && !section.has_unknown_keys() {
        value.fault(FORM);
    }
    let from_env = env.and_then(|name| {
        let found = std::env::var(name.string()?).ok();
        if found.is_none() {
            name.fault("that environment variable is not set");
        }
        found
    });
    let from_file = file.and_then(|path| {
        let file = folder.join(path.string()?);
        path.names_file(&file);
        std::fs::read_to_string(&file)
            .map_err(|error| path.fault(format!("cannot read `{}`: {error}", file.display())))
            .ok()
    });
    let secret = from_env.or(from_file).map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    match &secret {
        Some(text) if text.is_empty() => value.fault("the secret is empty"),
        _ => {}
    }
    secret.map(Secret::new)
}
