//! `[country]`: the file that says in which country an address is. Looking addresses up is left to `country`.

use std::path::Path;
use std::sync::Arc;

use super::document::Section;
use crate::country::Countries;

pub(super) fn read(root: &mut Section<'_, '_>, folder: &Path) -> Option<Option<Arc<Countries>>> {
    let Some(value) = root.optional("country") else { return Some(None) };
    let mut section = value.section()?;
    let file = section.required("file", "a database in MaxMind's format, such as \"GeoLite2-Country.mmdb\"");
    section.finish();
    let file = file?;
    let path = folder.join(file.string()?);
    file.names_file(&path);
    match Countries::read(&path) {
        Ok(countries) => Some(Some(Arc::new(countries))),
        Err(error) => {
            file.fault(error.to_string());
            None
        }
    }
}
